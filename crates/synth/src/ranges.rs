//! Formats that are ranges of memory behind headers: LiME, AVML, s390's stand-alone dump.

use std::io::Write;

use crate::{Buffer, Order};

fn range_header(magic: &[u8; 4], version: u64, first: u64, size: usize) -> Vec<u8> {
    let mut header = Buffer::new(Order::Little);
    header.put(0, magic);
    header.number(4, version, 4);
    header.number(8, first, 8);
    header.number(16, first + size as u64 - 1, 8);
    header.number(24, 0, 8);
    header.bytes
}

/// A LiME image of ranges: physical address and content.
pub fn lime(ranges: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let pieces = ranges
        .iter()
        .map(|(first, data)| [range_header(b"EMiL", 1, *first, data.len()), data.clone()].concat());
    pieces.collect::<Vec<_>>().concat()
}

/// An AVML image (version 2) of ranges: physical address and content.
///
/// # Panics
/// When snappy fails, which it does not on memory.
pub fn avml(ranges: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let pieces = ranges.iter().map(|(first, data)| {
        let mut packer = snap::write::FrameEncoder::new(Vec::new());
        packer.write_all(data).unwrap();
        let packed = packer.into_inner().unwrap();
        let header = range_header(b"AVML", 2, *first, data.len());
        let size = (packed.len() as u64).to_le_bytes().to_vec();
        [header, packed, size].concat()
    });
    pieces.collect::<Vec<_>>().concat()
}

/// A stand-alone dump of s390x whose memory begins at address 0.
pub fn s390(memory: &[u8]) -> Vec<u8> {
    let mut file = Buffer::new(Order::Big);
    file.number(0, 0xa819_0173_618f_23fd, 8);
    file.number(8, 5, 4);
    file.number(12, 4096, 4);
    file.number(16, 4, 4);
    file.number(20, 4096, 4);
    file.number(24, memory.len() as u64, 8);
    file.number(32, 0, 8);
    file.number(40, memory.len() as u64, 8);
    file.number(48, memory.len() as u64 / 4096, 4);
    file.number(72, 2, 4);
    file.number(80, 2, 4);
    file.put(4096, memory);
    let end = file.bytes.len();
    file.put(end, b"DUMP_END\0\0\0\0\0\0\0\0");
    file.bytes
}
