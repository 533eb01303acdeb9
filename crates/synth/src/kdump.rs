//! kdump-compressed files, header versions 1 to 6 (makedumpfile's `diskdump_mod.h`).

use crate::{Buffer, Codec, Order, pack};

/// A page in the file.
#[derive(Debug, Clone)]
pub struct StoredPage {
    /// Page frame number.
    pub pfn: u64,
    /// Content, of block size.
    pub data: Vec<u8>,
    /// How it is compressed.
    pub codec: Codec,
}

/// A kdump-compressed file, or a part of a split set.
#[derive(Debug, Clone)]
pub struct Kdump {
    /// Header version.
    pub version: u32,
    /// Byte order.
    pub order: Order,
    /// Whether the writer's `long` has 8 bytes.
    pub wide: bool,
    /// Whether 8-byte numbers are aligned to 4 bytes only (32-bit x86).
    pub packed: bool,
    /// `utsname`: sysname, nodename, release, version, machine, domainname.
    pub uts: [String; 6],
    /// Page and block size in bytes.
    pub block_size: usize,
    /// Header status.
    pub status: u32,
    /// Seconds since the epoch.
    pub time: u64,
    /// One past the highest frame.
    pub max_pfn: u64,
    /// Physical base.
    pub phys_base: u64,
    /// makedumpfile's `-d`.
    pub dump_level: u32,
    /// First and end frame of a part of a split set.
    pub split: Option<(u64, u64)>,
    /// VMCOREINFO, from version 3 on.
    pub vmcoreinfo: Vec<u8>,
    /// Notes (name, type, description), from version 4 on.
    pub notes: Vec<(String, u32, Vec<u8>)>,
    /// ERASEINFO, from version 5 on.
    pub eraseinfo: Vec<u8>,
    /// Frames that existed.
    pub existed: Vec<u64>,
    /// Frames in the dump, in ascending order; a part writes those of its range.
    pub pages: Vec<StoredPage>,
}

impl Kdump {
    /// A 64-bit little-endian file of version 6 without a page.
    pub fn x86_64(max_pfn: u64) -> Self {
        let uts = ["Linux", "host", "6.1.0", "#1 SMP", "x86_64", "(none)"].map(String::from);
        Kdump {
            version: 6,
            order: Order::Little,
            wide: true,
            packed: false,
            uts,
            block_size: 4096,
            status: 0,
            time: 1_700_000_000,
            max_pfn,
            phys_base: 0x100_0000,
            dump_level: 31,
            split: None,
            vmcoreinfo: b"OSRELEASE=6.1.0\nPAGESIZE=4096\n".to_vec(),
            notes: Vec::new(),
            eraseinfo: Vec::new(),
            existed: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// The file. Zero pages share one descriptor's data, as makedumpfile writes them.
    pub fn build(&self) -> Vec<u8> {
        let mut file = Buffer::new(self.order);
        let block = self.block_size;
        // Sub-header: one block for the numbers, as many as they need for the texts.
        let mut notes = Buffer::new(self.order);
        for (name, kind, desc) in &self.notes {
            notes.note(name, *kind, desc);
        }
        let info_at = 2 * block;
        let notes_at = info_at + self.vmcoreinfo.len();
        let erase_at = notes_at + notes.bytes.len();
        let texts = erase_at + self.eraseinfo.len() - info_at;
        let sub_blocks = 1 + texts.div_ceil(block);
        let bitmap_blocks = (self.max_pfn as usize).div_ceil(8).div_ceil(block).max(1);
        file.put(info_at, &self.vmcoreinfo);
        file.put(notes_at, &notes.bytes);
        file.put(erase_at, &self.eraseinfo);
        self.main_header(&mut file, sub_blocks, 2 * bitmap_blocks);
        let places = [
            (info_at, self.vmcoreinfo.len()),
            (notes_at, notes.bytes.len()),
            (erase_at, self.eraseinfo.len()),
        ];
        self.sub_header(&mut file, places);

        let existed_at = (1 + sub_blocks) * block;
        let stored_at = existed_at + bitmap_blocks * block;
        let table_at = stored_at + bitmap_blocks * block;
        let mut bits = vec![0u8; 2 * bitmap_blocks * block];
        let pages = self.pages.iter().map(|page| page.pfn);
        for pfn in self.existed.iter().copied().chain(pages.clone()) {
            bits[pfn as usize / 8] |= 1 << (pfn % 8);
        }
        for pfn in pages {
            bits[bitmap_blocks * block + pfn as usize / 8] |= 1 << (pfn % 8);
        }
        file.put(existed_at, &bits);

        let (first, end) = self.split.unwrap_or((0, u64::MAX));
        let here: Vec<&StoredPage> =
            self.pages.iter().filter(|page| (first..end).contains(&page.pfn)).collect();
        let mut data_at = table_at + 24 * here.len();
        let mut zero = None;
        for (index, page) in here.into_iter().enumerate() {
            let data = pack(&page.data, page.codec);
            let is_zero = page.data.iter().all(|&byte| byte == 0);
            let (at, size, codec) = match zero {
                Some(place) if is_zero => place,
                _ => {
                    let place = (data_at, data.len(), page.codec);
                    file.put(data_at, &data);
                    data_at += data.len();
                    if is_zero {
                        zero = Some(place);
                    }
                    place
                }
            };
            let descriptor = table_at + 24 * index;
            file.number(descriptor, at as u64, 8);
            file.number(descriptor + 8, size as u64, 4);
            file.number(descriptor + 12, codec.flag().into(), 4);
            file.number(descriptor + 16, 0, 8);
        }
        file.bytes
    }

    fn main_header(&self, file: &mut Buffer, sub_blocks: usize, bitmap_blocks: usize) {
        file.put(0, b"KDUMP   ");
        file.number(8, self.version.into(), 4);
        for (index, text) in self.uts.iter().enumerate() {
            file.put(12 + 65 * index, text.as_bytes());
        }
        // The time stamp is two longs, aligned to their size.
        let (time_at, word) = if self.wide { (408, 8) } else { (404, 4) };
        file.number(time_at, self.time, word);
        let at = time_at + 2 * word;
        file.number(at, self.status.into(), 4);
        file.number(at + 4, self.block_size as u64, 4);
        file.number(at + 8, sub_blocks as u64, 4);
        file.number(at + 12, bitmap_blocks as u64, 4);
        file.number(at + 16, self.max_pfn, 4);
        file.number(at + 36, 2, 4);
    }

    /// `struct kdump_sub_header`, with its fields' offsets for the three ways in which compilers
    /// lay it out: 64-bit; 32-bit x86; other 32-bit machines.
    fn sub_header(&self, file: &mut Buffer, places: [(usize, usize); 3]) {
        let word = if self.wide { 8 } else { 4 };
        let offsets: [usize; 13] = match (self.wide, self.packed) {
            (true, _) => [0, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96],
            (false, true) => [0, 4, 8, 12, 16, 20, 28, 32, 40, 44, 52, 56, 72],
            (false, false) => [0, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 72, 88],
        };
        let base = self.block_size;
        let mut put = |field: usize, value: u64, size: usize| {
            file.number(base + offsets[field], value, size);
        };
        put(0, self.phys_base, word);
        put(1, self.dump_level.into(), 4);
        if self.version >= 2 {
            let (first, end) = self.split.unwrap_or((0, 0));
            put(2, self.split.is_some().into(), 4);
            put(3, first, word);
            put(4, end, word);
        }
        for (index, (at, size)) in places.into_iter().enumerate() {
            if self.version as usize >= 3 + index {
                put(5 + 2 * index, at as u64, 8);
                put(6 + 2 * index, size as u64, word);
            }
        }
        if self.version >= 6 {
            let (first, end) = self.split.unwrap_or((0, 0));
            put(11, first, 8);
            put(12, self.max_pfn, 8);
            file.number(base + offsets[11] + 8, end, 8);
        }
    }
}
