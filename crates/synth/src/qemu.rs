//! QEMU's migration stream, and the files that carry one.

use crate::{Buffer, Order};

/// A page of the stream.
#[derive(Debug, Clone)]
pub struct SentPage {
    /// Index of its block.
    pub block: usize,
    /// Bytes from the beginning of the block.
    pub offset: u64,
    /// Content; `None`: all zero.
    pub data: Option<Vec<u8>>,
}

/// A migration stream.
#[derive(Debug, Clone)]
pub struct QemuStream {
    /// `pc-q35-7.2`
    pub machine: String,
    /// Blocks of memory: name, bytes.
    pub blocks: Vec<(String, u64)>,
    /// Pages in the order of sending, half in each of two sections.
    pub pages: Vec<SentPage>,
}

impl QemuStream {
    /// The stream, with a device behind memory.
    pub fn build(&self) -> Vec<u8> {
        let mut out = b"QEVM\0\0\0\x03".to_vec();
        out.push(7);
        out.extend((self.machine.len() as u32).to_be_bytes());
        out.extend(self.machine.as_bytes());
        section(&mut out, 1, Some("ram"));
        let total: u64 = self.blocks.iter().map(|(_, size)| size).sum();
        out.extend((total | 4).to_be_bytes());
        for (name, size) in &self.blocks {
            short(&mut out, name);
            out.extend(size.to_be_bytes());
        }
        out.extend(0x10u64.to_be_bytes());
        footer(&mut out);
        let (first, second) = self.pages.split_at(self.pages.len() / 2);
        for (kind, pages) in [(2, first), (3, second)] {
            section(&mut out, kind, None);
            let mut last = usize::MAX;
            for page in pages {
                let is_same = if page.block == last { 0x20 } else { 0 };
                let flag = if page.data.is_some() { 8 } else { 2 };
                out.extend((page.offset | is_same | flag).to_be_bytes());
                if page.block != last {
                    short(&mut out, &self.blocks[page.block].0);
                }
                match &page.data {
                    Some(data) => out.extend(data),
                    None => out.push(0),
                }
                last = page.block;
            }
            out.extend(0x10u64.to_be_bytes());
            footer(&mut out);
        }
        section(&mut out, 4, Some("cpu"));
        out.extend([0x5a; 300]);
        footer(&mut out);
        out.push(0);
        out
    }

    /// The stream with `mapped-ram`: every block's pages at their place.
    pub fn build_mapped(&self) -> Vec<u8> {
        let mut out = b"QEVM\0\0\0\x03".to_vec();
        out.push(7);
        out.extend((self.machine.len() as u32).to_be_bytes());
        out.extend(self.machine.as_bytes());
        out.push(5);
        short(&mut out, "configuration/capabilities");
        out.extend(1u32.to_be_bytes());
        out.extend(1u32.to_be_bytes());
        short(&mut out, "mapped-ram");
        section(&mut out, 1, Some("ram"));
        let total: u64 = self.blocks.iter().map(|(_, size)| size).sum();
        out.extend((total | 4).to_be_bytes());
        for (index, (name, size)) in self.blocks.iter().enumerate() {
            short(&mut out, name);
            out.extend(size.to_be_bytes());
            let bitmap_at = out.len() as u64 + 28;
            let pages_at = (bitmap_at + size / 4096 / 8 + 8).next_multiple_of(1 << 20);
            out.extend(1u32.to_be_bytes());
            out.extend(4096u64.to_be_bytes());
            out.extend(bitmap_at.to_be_bytes());
            out.extend(pages_at.to_be_bytes());
            out.resize((pages_at + size) as usize, 0);
            for page in self.pages.iter().filter(|page| page.block == index) {
                let Some(data) = &page.data else { continue };
                let number = page.offset / 4096;
                out[(bitmap_at + number / 8) as usize] |= 1 << (number % 8);
                let at = (pages_at + page.offset) as usize;
                out[at..at + data.len()].copy_from_slice(data);
            }
        }
        out.extend(0x10u64.to_be_bytes());
        footer(&mut out);
        section(&mut out, 3, None);
        out.extend(0x10u64.to_be_bytes());
        footer(&mut out);
        out.push(0);
        out
    }
}

fn short(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend(text.as_bytes());
}

/// Type, identifier, and for a new section its name, instance and version.
fn section(out: &mut Vec<u8>, kind: u8, name: Option<&str>) {
    out.push(kind);
    out.extend(2u32.to_be_bytes());
    if let Some(name) = name {
        short(out, name);
        out.extend(0u32.to_be_bytes());
        out.extend(4u32.to_be_bytes());
    }
}

fn footer(out: &mut Vec<u8>) {
    out.push(0x7e);
    out.extend(2u32.to_be_bytes());
}

/// `virsh save`: `stream` behind libvirt's header and XML.
pub fn libvirt_save(stream: &[u8], format: u32) -> Vec<u8> {
    let xml = b"<domain type='kvm'/>\n\0";
    let mut file = Buffer::new(Order::Little);
    file.put(0, b"LibvirtQemudSave");
    file.number(16, 2, 4);
    file.number(20, xml.len() as u64, 4);
    file.number(24, 1, 4);
    file.number(28, format.into(), 4);
    file.put(92, xml);
    file.put(92 + xml.len(), stream);
    file.bytes
}

/// A qcow2 image of an empty disk, with one snapshot that has `state`, its clusters in reverse
/// order.
pub fn qcow2_state(state: &[u8]) -> Vec<u8> {
    const CLUSTER: usize = 4096;
    let mut file = Buffer::new(Order::Big);
    file.put(0, b"QFI\xfb");
    file.number(4, 3, 4);
    file.number(20, 12, 4);
    let per_table = CLUSTER / 8;
    // The disk takes one L2 table; the state begins at the second.
    let disk = per_table * CLUSTER;
    file.number(24, disk as u64, 8);
    let clusters = state.len().div_ceil(CLUSTER);
    let tables = clusters.div_ceil(per_table);
    let (snapshot_at, l1_at, l2_at) = (CLUSTER, 2 * CLUSTER, 3 * CLUSTER);
    let data_at = l2_at + tables * CLUSTER;
    file.number(60, 1, 4);
    file.number(64, snapshot_at as u64, 8);
    file.number(100, 104, 4);
    file.number(snapshot_at, l1_at as u64, 8);
    file.number(snapshot_at + 8, 1 + tables as u64, 4);
    file.number(snapshot_at + 12, 1, 2);
    file.number(snapshot_at + 14, 4, 2);
    file.number(snapshot_at + 36, 16, 4);
    file.number(snapshot_at + 40, state.len() as u64, 8);
    file.number(snapshot_at + 48, disk as u64, 8);
    file.put(snapshot_at + 56, b"1snap");
    for table in 0..tables {
        file.number(l1_at + 8 + table * 8, (l2_at + table * CLUSTER) as u64 | 1 << 63, 8);
    }
    for (number, data) in state.chunks(CLUSTER).enumerate() {
        let at = data_at + (clusters - 1 - number) * CLUSTER;
        let entry = l2_at + number / per_table * CLUSTER + number % per_table * 8;
        file.number(entry, at as u64 | 1 << 63, 8);
        file.put(at, data);
    }
    file.bytes
}
