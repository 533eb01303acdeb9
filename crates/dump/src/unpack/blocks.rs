//! Packed files of parts that unpack alone: blocks of xz, frames of zstd, members of bgzf. Where each
//! lies, found without unpacking any.

use std::io::{self, Read};

use crate::{bytes::Fields, image::Image};

use super::streams::{DICTIONARY, window};

/// Largest part, in bytes of content: `xz -9 -T0` makes 192 MB.
const LARGEST: u64 = 256 << 20;
/// Smaller parts than this, on average, are no packer's: the table of them would outgrow the file.
const SMALLEST: u64 = 256;
const FEW: usize = 4096;

/// A part of a packed file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// In the packed file, and bytes there; blocks of xz without what fills them up to fours.
    at: u64,
    packed: u64,
    /// In the content, and bytes there.
    pub(super) offset: u64,
    pub(super) size: u64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// With the stream's flags.
    Xz([u8; 2]),
    Zstd,
    Bgzf,
}

/// Where the parts are: ascending, without holes, two at least.
#[derive(Debug)]
pub(super) struct Blocks {
    kind: Kind,
    pub(super) blocks: Vec<Block>,
    /// Bytes of content.
    pub(super) len: u64,
}

impl Blocks {
    /// The parts of a file; `None` where it is one, is cut, or does not say how large each is.
    pub(super) fn of(image: &Image) -> Option<Blocks> {
        let head = image.get_up_to(0, 18);
        let (kind, mut blocks) = if head.starts_with(b"\xfd7zXZ\0") {
            xz(image)?
        } else if head.starts_with(ZSTD) || head.get(1..4) == Some(b"\x2a\x4d\x18") {
            (Kind::Zstd, zstd(image)?)
        } else if is_bgzf(&head) {
            (Kind::Bgzf, bgzf(image)?)
        } else {
            return None;
        };
        blocks.retain(|block| block.size > 0);
        let mut len = 0u64;
        for block in &mut blocks {
            if block.size > LARGEST {
                return None;
            }
            block.offset = len;
            len = len.checked_add(block.size)?;
        }
        (blocks.len() > 1).then_some(Blocks { kind, blocks, len })
    }

    /// Unpacks one of them.
    ///
    /// # Errors
    /// It is damaged, or its content is not as long as was said.
    pub(super) fn unpack(&self, image: &Image, block: Block) -> io::Result<Vec<u8>> {
        let len = match self.kind {
            Kind::Xz(_) => block.packed.next_multiple_of(4),
            Kind::Zstd | Kind::Bgzf => block.packed,
        };
        let packed = usize::try_from(len).ok().and_then(|len| image.get(block.at, len));
        let packed = packed.ok_or(io::ErrorKind::UnexpectedEof)?;
        let alone;
        let reader: Box<dyn Read + '_> = match self.kind {
            Kind::Xz(flags) => {
                alone = xz_of_one(flags, &packed, block);
                Box::new(lzma_rust2::XzReader::new_mem_limit(&alone[..], false, DICTIONARY))
            }
            Kind::Zstd => Box::new(window(::zstd::stream::Decoder::with_buffer(&packed[..])?)?),
            Kind::Bgzf => Box::new(flate2::read::GzDecoder::new(&packed[..])),
        };
        let mut content = Vec::new();
        reader.take(block.size + 1).read_to_end(&mut content)?;
        match content.len() as u64 == block.size {
            true => Ok(content),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Whether there are too many parts for a file of that size.
fn too_many(blocks: &[Block], image: &Image) -> bool {
    blocks.len() > FEW && blocks.len() as u64 > image.len() / SMALLEST
}

// ---- xz (`The .xz File Format`) ----

const XZ_HEADER: u64 = 12;

/// The blocks of all streams, which are found from their ends.
fn xz(image: &Image) -> Option<(Kind, Vec<Block>)> {
    let head = image.get(0, XZ_HEADER as usize)?;
    let flags = [*head.get(6)?, *head.get(7)?];
    let mut streams = Vec::new();
    let mut end = image.len();
    while end > 0 {
        // Streams are padded with zeros in fours.
        while end >= 4 && *image.get(end - 4, 4)? == [0; 4] {
            end -= 4;
        }
        let footer = image.get(end.checked_sub(XZ_HEADER)?, XZ_HEADER as usize)?;
        let fields = Fields::new(&footer, false);
        let stored = footer.get(4..10)?;
        if footer.get(10..12)? != b"YZ"
            || fields.u32(0)? != crc32(stored)
            || fields.u16(8)? != u16::from_le_bytes(flags)
        {
            return None;
        }
        let index_size = (u64::from(fields.u32(4)?) + 1) * 4;
        let index_at = (end - XZ_HEADER).checked_sub(index_size)?;
        let index = image.get(index_at, usize::try_from(index_size).ok()?)?;
        let mut records = xz_index(&index)?;
        let padded = |packed: u64| packed.checked_next_multiple_of(4);
        let total =
            records.iter().try_fold(0u64, |sum, &(packed, _)| sum.checked_add(padded(packed)?))?;
        let mut at = index_at.checked_sub(total)?;
        let start = at.checked_sub(XZ_HEADER)?;
        let blocks = records.drain(..).map(|(packed, size)| {
            let block = Block { at, packed, offset: 0, size };
            at += packed.next_multiple_of(4);
            block
        });
        streams.push(blocks.collect::<Vec<_>>());
        if streams.last().is_some_and(|blocks| too_many(blocks, image)) {
            return None;
        }
        end = start;
    }
    Some((Kind::Xz(flags), streams.into_iter().rev().flatten().collect()))
}

/// An index: bytes of each block in the file, and of its content.
fn xz_index(index: &[u8]) -> Option<Vec<(u64, u64)>> {
    let (body, sum) = index.split_at_checked(index.len().checked_sub(4)?)?;
    if Fields::new(sum, false).u32(0)? != crc32(body) {
        return None;
    }
    let mut rest = body.strip_prefix(&[0])?;
    let count = xz_number(&mut rest)?;
    let mut records = Vec::new();
    for _ in 0..count {
        let (unpadded, size) = (xz_number(&mut rest)?, xz_number(&mut rest)?);
        records.push((unpadded, size));
    }
    Some(records)
}

/// A number in bytes of seven bits, the lowest first.
fn xz_number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A file of one block, so that all of it is checked.
fn xz_of_one(flags: [u8; 2], packed: &[u8], block: Block) -> Vec<u8> {
    let mut file = b"\xfd7zXZ\0".to_vec();
    file.extend(flags);
    file.extend(crc32(&flags).to_le_bytes());
    file.extend(packed);
    let mut index = vec![0, 1];
    for mut number in [block.packed, block.size] {
        while number >= 0x80 {
            index.push(number as u8 | 0x80);
            number >>= 7;
        }
        index.push(number as u8);
    }
    index.resize(index.len().next_multiple_of(4), 0);
    index.extend(crc32(&index).to_le_bytes());
    let mut footer = (index.len() as u32 / 4 - 1).to_le_bytes().to_vec();
    footer.extend(flags);
    file.extend(&index);
    file.extend(crc32(&footer).to_le_bytes());
    file.extend(footer);
    file.extend(b"YZ");
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

// ---- zstd (RFC 8878) ----

const ZSTD: &[u8; 4] = b"\x28\xb5\x2f\xfd";

/// The frames, if each tells the size of its content: pzstd, the seekable format.
fn zstd(image: &Image) -> Option<Vec<Block>> {
    let (mut at, mut blocks) = (0, Vec::new());
    // Zeros are blocks without content: a hole is not to be gone through.
    let end = image.data_in(0, image.len()).last().map_or(0, |part| part.end);
    while at < end {
        let rest = image.slice(at, (end - at).min(LARGEST + (LARGEST >> 7)) as usize)?;
        let packed = ::zstd::zstd_safe::find_frame_compressed_size(rest).ok()? as u64;
        if rest.starts_with(ZSTD) {
            let size = ::zstd::zstd_safe::get_frame_content_size(rest).ok()??;
            blocks.push(Block { at, packed, offset: 0, size });
            if too_many(&blocks, image) {
                return None;
            }
        }
        at = at.checked_add(packed.max(1))?;
    }
    Some(blocks)
}

// ---- bgzf (the SAM specification, 4.1): gzip members that tell their size ----

fn is_bgzf(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b\x08\x04") && head.get(12..16) == Some(b"BC\x02\0")
}

fn bgzf(image: &Image) -> Option<Vec<Block>> {
    let (mut at, mut blocks) = (0u64, Vec::new());
    while at < image.len() {
        let head = image.get(at, 18).filter(|head| is_bgzf(head))?;
        let packed = u64::from(Fields::new(&head, false).u16(16)?) + 1;
        let tail = image.get(at.checked_add(packed)?.checked_sub(4)?, 4)?;
        let size = u64::from(Fields::new(&tail, false).u32(0)?);
        blocks.push(Block { at, packed, offset: 0, size });
        if too_many(&blocks, image) {
            return None;
        }
        at += packed.max(18);
    }
    Some(blocks)
}
