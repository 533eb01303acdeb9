//! The stream of page data of a `vmdump` or a dump device: where each page lies in it.
//!
//! The stream is a sequence of words of 32 bits, each followed by as many bytes as its low 20 bits
//! say. The tag above them is 0 for a page that was packed on its own (the default on x86: one
//! stream, pages in the order of the table of page frame numbers), and the number of a stream
//! for a block of it.

use crate::image::Image;

use super::header::{DataHeader, DumpHeader};

/// What a page's place is before it was found.
const NOWHERE: u64 = u64::MAX;
/// Low bits of a place that hold the size.
const SIZE_BITS: u32 = 21;
const STREAM_MAGIC: &[u8; 8] = b"StrmHdr\0";
/// Bytes of `dumpstreamhdr`.
const STREAM_HEADER: u64 = 24;

/// How the pages are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Not at all: a `vmcore`.
    Plain,
    /// One LZJB page after the other.
    Lzjb,
    /// Several streams of LZJB pages.
    ParallelLzjb,
    /// Several streams of bzip2.
    Bzip2,
}

impl Codec {
    /// As `info` names it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Plain => "none",
            Codec::Lzjb => "lzjb",
            Codec::ParallelLzjb => "parallel lzjb",
            Codec::Bzip2 => "parallel bzip2",
        }
    }
}

/// A block of a stream in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) offset: u64,
    pub(super) size: usize,
}

/// Where pages lie: for the index of a page the offset and size of its packed bytes.
#[derive(Debug, Default)]
pub(super) struct Places {
    packed: Vec<u64>,
    /// How many pages were found.
    pub(super) found: u64,
    /// What is wrong with the stream, and at which offset.
    pub(super) damage: Option<(&'static str, u64)>,
}

impl Places {
    fn new(pages: u64, room: u64) -> Self {
        // A page takes five bytes at least: a damaged count does not take memory.
        let count = pages.min(room / 5 + 1);
        Places { packed: vec![NOWHERE; count as usize], found: 0, damage: None }
    }

    pub(super) fn from_words(packed: Vec<u64>) -> Self {
        let found = packed.iter().filter(|&&place| place != NOWHERE).count() as u64;
        Places { packed, found, damage: None }
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.packed
    }

    pub(super) fn get(&self, index: u64) -> Option<Block> {
        let place = *self.packed.get(usize::try_from(index).ok()?)?;
        let size = (place & ((1 << SIZE_BITS) - 1)) as usize;
        (place != NOWHERE).then_some(Block { offset: place >> SIZE_BITS, size })
    }

    fn set(&mut self, index: u64, block: Block) {
        let Some(slot) = usize::try_from(index).ok().and_then(|at| self.packed.get_mut(at)) else {
            return;
        };
        if *slot == NOWHERE {
            self.found += 1;
        }
        *slot = block.offset << SIZE_BITS | block.size as u64;
    }
}

/// The codec, by the data header; without one by what the data looks like.
pub(super) fn codec(image: &Image, header: &DumpHeader, data: Option<DataHeader>) -> Codec {
    match data.map(|data| data.level) {
        Some(0) => Codec::Lzjb,
        Some(1) => Codec::ParallelLzjb,
        Some(_) => Codec::Bzip2,
        None => match word(image, header.data) {
            Some((1.., block)) if image.slice(block.offset, 3) == Some(b"BZh") => Codec::Bzip2,
            Some((1.., _)) => Codec::ParallelLzjb,
            _ => Codec::Lzjb,
        },
    }
}

/// One word of the stream and what it announces.
fn word(image: &Image, offset: u64) -> Option<(u32, Block)> {
    let word = u32::from_le_bytes(image.slice(offset, 4)?.try_into().ok()?);
    Some((word >> 20, Block { offset: offset + 4, size: (word & 0xf_ffff) as usize }))
}

/// Bytes of the file that the pass keeps in memory.
const PASSED: u64 = 32 << 20;

/// Finds the places of all pages: one pass over the words, nothing is unpacked.
pub(super) fn index(image: &Image, header: &DumpHeader) -> Places {
    let mut places = Places::new(header.npages, image.len().saturating_sub(header.data));
    let mut at = header.data;
    let mut next = 0;
    let mut streams: Vec<Option<Run>> = Vec::new();
    let mut passed = at;
    while places.found < header.npages {
        // The words lie all over the file: what lies behind is not needed any more.
        if at - passed >= PASSED {
            image.release(passed..at);
            passed = at;
        }
        let Some((tag, block)) = word(image, at) else {
            places.damage = Some(("the file ends within page data", at));
            break;
        };
        if tag == 0 && block.size == 0 {
            break;
        }
        if image.slice(block.offset, block.size).is_none() {
            places.damage = Some(("the file ends within page data", at));
            break;
        }
        if tag == 0 {
            if block.size as u64 > header.pagesize {
                places.damage = Some(("a page of impossible size", at));
                break;
            }
            places.set(next, block);
            next += 1;
        } else {
            let slot = tag as usize;
            if streams.len() <= slot {
                streams.resize(slot + 1, None);
            }
            let mut run = streams[slot].take();
            let whole = pages_of_block(image, header, block, &mut run, &mut places, &mut next);
            streams[slot] = run;
            if whole.is_none() {
                // The other streams' blocks can still be read.
                places.damage.get_or_insert(("a damaged block of a stream", at));
            }
        }
        at = block.offset + block.size as u64;
    }
    places
}

/// The rest of a range of pages that a stream is in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) next: u64,
    pub(super) left: u64,
}

impl Run {
    /// Reads a stream header. Its page number is an index into the table of page frames, and not
    /// a frame number, as the comment in `dumphdr.h` has it.
    pub(super) fn parse(bytes: &[u8], npages: u64) -> Option<Run> {
        let rest = bytes.strip_prefix(STREAM_MAGIC)?;
        let number = |at: usize| Some(u64::from_le_bytes(rest.get(at..at + 8)?.try_into().ok()?));
        let run = Run { next: number(0)?, left: number(8)? };
        run.next.checked_add(run.left).filter(|&end| end <= npages).map(|_| run)
    }
}

/// The pages of a block of LZJB pages: headers and pages are not split across blocks.
fn pages_of_block(
    image: &Image,
    header: &DumpHeader,
    block: Block,
    run: &mut Option<Run>,
    places: &mut Places,
    next: &mut u64,
) -> Option<()> {
    let end = block.offset + block.size as u64;
    let mut at = block.offset;
    while at < end {
        match run {
            Some(Run { next: index, left }) if *left > 0 => {
                let (tag, page) = word(image, at)?;
                let after = page.offset + page.size as u64;
                if tag != 0 || page.size == 0 || page.size as u64 > header.pagesize || after > end {
                    return None;
                }
                places.set(*index, page);
                *index += 1;
                *left -= 1;
                *next = (*next).max(*index);
                at = after;
            }
            _ => {
                let bytes = image.slice(at, STREAM_HEADER as usize)?;
                *run = Some(Run::parse(bytes, header.npages)?);
                at += STREAM_HEADER;
            }
        }
    }
    Some(())
}

/// The blocks of each stream, in the order in which they were written, and the pages packed on
/// their own behind them.
pub(super) fn blocks(image: &Image, data: u64) -> (Vec<Vec<Block>>, Vec<Block>) {
    let (mut streams, mut single): (Vec<Vec<Block>>, Vec<Block>) = Default::default();
    let mut at = data;
    while let Some((tag, block)) = word(image, at) {
        if tag == 0 && block.size == 0 {
            break;
        }
        // What is left of the last block of a cut file may still hold pages.
        let there = image.len().saturating_sub(block.offset).min(block.size as u64) as usize;
        let block = Block { size: there, ..block };
        if tag == 0 {
            single.push(block);
        } else {
            let slot = tag as usize - 1;
            if streams.len() <= slot {
                streams.resize(slot + 1, Vec::new());
            }
            streams[slot].push(block);
        }
        at = block.offset + block.size as u64;
    }
    (streams, single)
}
