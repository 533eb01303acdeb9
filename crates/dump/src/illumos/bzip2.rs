//! Parallel bzip2: decoded once into a file, because its blocks cannot be reached directly.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use bzip2::read::MultiBzDecoder;

use crate::{Reason, image::Image, map::Map};

use super::{
    header::DumpHeader,
    lzjb,
    stream::{self, Block, Run},
};

/// All pages of a dump in a file, each at its index; a bit tells which are there.
#[derive(Debug)]
pub(super) struct Unpacked {
    pages: Map,
    present: Vec<u64>,
    page_size: u64,
}

impl Unpacked {
    pub(super) fn is_present(&self, index: u64) -> bool {
        let word = self.present.get((index / 64) as usize).copied().unwrap_or(0);
        word >> (index % 64) & 1 == 1
    }

    pub(super) fn page(&self, index: u64) -> Result<&[u8], Reason> {
        if !self.is_present(index) {
            return Err(Reason::Truncated);
        }
        let start = (index * self.page_size) as usize;
        self.pages.get(start..start + self.page_size as usize).ok_or(Reason::Truncated)
    }

    pub(super) fn count(&self) -> u64 {
        self.present.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// The bytes of a stream: its blocks one after the other.
struct Joined<'a> {
    image: &'a Image,
    blocks: std::slice::Iter<'a, Block>,
    rest: &'a [u8],
}

impl Read for Joined<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Some(block) = self.blocks.next() else { return Ok(0) };
            self.rest = self.image.slice(block.offset, block.size).unwrap_or(&[]);
        }
        let n = self.rest.len().min(buf.len());
        buf[..n].copy_from_slice(&self.rest[..n]);
        self.rest = &self.rest[n..];
        Ok(n)
    }
}

/// Decodes every stream into `file`. What is damaged or cut ends its stream, and the others go on.
///
/// # Errors
/// Those of writing.
pub(super) fn unpack(image: &Image, header: &DumpHeader, file: File) -> io::Result<Unpacked> {
    let (streams, single) = stream::blocks(image, header.data);
    // A stream of zeros packs a page into less than a byte, so the count cannot be checked against
    // the file; but without a frame number in the table nobody will ask for the page.
    let known = image.len().saturating_sub(header.pfn) / 8;
    let npages = header.npages.min(known);
    let mut out = Out {
        file,
        present: vec![0; npages.div_ceil(64) as usize],
        page_size: header.pagesize,
        end: 0,
    };
    let mut next = 0;
    // A damaged stream may name the same pages over and over.
    let mut left = npages;
    for blocks in &streams {
        let joined = Joined { image, blocks: blocks.iter(), rest: &[] };
        let mut plain = MultiBzDecoder::new(joined);
        let mut head = [0; 24];
        while fill(&mut plain, &mut head) {
            let Some(mut run) = Run::parse(&head, npages) else { break };
            let mut page = vec![0; header.pagesize as usize];
            while run.left > 0 && left > 0 && fill(&mut plain, &mut page) {
                out.put(run.next, &page)?;
                run.next += 1;
                run.left -= 1;
                left -= 1;
                next = next.max(run.next);
            }
            if run.left > 0 {
                break;
            }
        }
    }
    let mut page = vec![0; header.pagesize as usize];
    for block in &single {
        let packed = image.slice(block.offset, block.size).unwrap_or(&[]);
        if next < npages && !packed.is_empty() && lzjb::decompress(packed, &mut page).is_some() {
            out.put(next, &page)?;
        }
        next += 1;
    }
    out.finish()
}

/// Whether all of `buf` could be read; damage ends the stream.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> bool {
    from.read_exact(buf).is_ok()
}

struct Out {
    file: File,
    present: Vec<u64>,
    page_size: u64,
    end: u64,
}

impl Out {
    fn put(&mut self, index: u64, page: &[u8]) -> io::Result<()> {
        if let Some(word) = self.present.get_mut((index / 64) as usize) {
            *word |= 1 << (index % 64);
        }
        // Zeros stay holes.
        if page.iter().any(|&byte| byte != 0) {
            self.file.seek(SeekFrom::Start(index * self.page_size))?;
            self.file.write_all(page)?;
        }
        self.end = self.end.max((index + 1) * self.page_size);
        Ok(())
    }

    fn finish(self) -> io::Result<Unpacked> {
        self.file.set_len(self.end)?;
        let pages = Map::of_file(self.file.try_clone()?)?;
        Ok(Unpacked { pages, present: self.present, page_size: self.page_size })
    }
}
