//! SADUMP: one partition, a set of disks, a media backup.

use crate::{Buffer, Order};

const BLOCK: usize = 4096;
const SIGNATURE: &[u8; 8] = b"sadump\0\0";

/// A dump in one of its forms.
#[derive(Debug, Clone)]
pub struct Sadump {
    /// Whether the machine ran in long mode.
    pub long_mode: bool,
    /// Frames that existed.
    pub existed: Vec<u64>,
    /// Frames and their content, ascending.
    pub pages: Vec<(u64, Vec<u8>)>,
}

impl Sadump {
    /// Dump header, CPU states, both bitmaps.
    fn headers(&self) -> Vec<u8> {
        let mut file = Buffer::new(Order::Little);
        let max_pfn = self.existed.iter().chain(self.pages.iter().map(|(pfn, _)| pfn)).max();
        let max_pfn = max_pfn.map_or(0, |pfn| pfn + 1);
        file.put(0, SIGNATURE);
        file.number(8, 1, 4);
        file.number(0x28, BLOCK as u64, 4);
        file.number(0x30, 1, 4);
        file.number(0x34, 1, 4);
        file.number(0x38, 1, 4);
        file.number(0x50, 1, 4);
        file.number(0x58, max_pfn, 8);
        file.number(BLOCK, 0x400, 4);
        file.number(BLOCK + 4 + 16 + 0x3e0, if self.long_mode { 0xd00 } else { 0 }, 8);
        let mut bitmap = |at: usize, pfns: &mut dyn Iterator<Item = u64>| {
            file.put(at, &[0; BLOCK]);
            for pfn in pfns {
                file.bytes[at + pfn as usize / 8] |= 0x80 >> (pfn % 8);
            }
        };
        let pages = self.pages.iter().map(|(pfn, _)| *pfn);
        bitmap(2 * BLOCK, &mut self.existed.iter().copied().chain(pages.clone()));
        bitmap(3 * BLOCK, &mut pages.clone());
        file.bytes
    }

    fn content(&self, pages: &[(u64, Vec<u8>)]) -> Vec<u8> {
        pages.iter().flat_map(|(_, data)| data.clone()).collect()
    }

    fn partition(number: u64) -> Vec<u8> {
        let mut file = Buffer::new(Order::Little);
        file.put(0, SIGNATURE);
        file.number(0x98, number, 4);
        file.put(BLOCK - 1, &[0]);
        file.bytes
    }

    /// On one partition.
    pub fn single(&self) -> Vec<u8> {
        [Self::partition(0), self.headers(), self.content(&self.pages)].concat()
    }

    /// On two disks.
    pub fn disk_set(&self) -> [Vec<u8>; 2] {
        let (first, second) = self.pages.split_at(self.pages.len() / 2);
        let first = [Self::partition(1), set_header(), self.headers(), self.content(first)];
        [first.concat(), [Self::partition(2), self.content(second)].concat()]
    }

    /// Backed up to a file: a header without signature first, then, when the dump was on a set of
    /// disks, the set's header.
    pub fn backup(&self, of_set: bool) -> Vec<u8> {
        let mut medium = Buffer::new(Order::Little);
        medium.put(0, &[0x5d; 48]);
        medium.put(48, &[1, 1, u8::from(of_set), 1]);
        medium.put(BLOCK - 1, &[0]);
        let set = if of_set { set_header() } else { Vec::new() };
        [medium.bytes, set, self.headers(), self.content(&self.pages)].concat()
    }
}

/// One block: its own size in blocks, then the disks.
fn set_header() -> Vec<u8> {
    let mut file = Buffer::new(Order::Little);
    file.number(0, 1, 4);
    file.number(4, 2, 4);
    file.put(BLOCK - 1, &[0]);
    file.bytes
}
