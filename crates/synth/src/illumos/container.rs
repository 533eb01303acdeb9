//! The files that hold a memory image.

use std::io::{self, Seek, SeekFrom, Write};

use super::lzjb::compress;

const PAGE: u64 = 4096;
const OFFSET: u64 = 65536;

/// How a `vmdump` packs its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// One page after the other.
    Lzjb,
    /// Three streams, interleaved.
    ParallelLzjb,
    /// Three streams, interleaved, whose blocks are not those of pages.
    Bzip2,
}

/// What a dump holds.
#[derive(Debug, Default, Clone)]
pub struct Dump {
    /// The symbol image.
    pub ksyms: Vec<u8>,
    /// Frames in ascending order, with their content.
    pub pages: Vec<(u64, Vec<u8>)>,
    /// Address space, virtual address, frame.
    pub translations: Vec<(u64, u64, u64)>,
    /// The panic message.
    pub message: String,
    /// The system went on running.
    pub live: bool,
    /// More pages of zeros and a number each, behind the others: for the size alone.
    pub filler: u64,
}

fn round(at: u64) -> u64 {
    at.next_multiple_of(PAGE)
}

impl Dump {
    fn page_count(&self) -> u64 {
        self.pages.len() as u64 + self.filler
    }

    /// Frame and content of a page by its index.
    fn page(&self, index: u64) -> (u64, Vec<u8>) {
        match self.pages.get(index as usize) {
            Some((frame, bytes)) => (*frame, bytes.clone()),
            None => {
                let after = self.pages.last().map_or(0, |(frame, _)| frame + 1);
                let number = index - self.pages.len() as u64;
                let mut bytes = vec![0; PAGE as usize];
                bytes[..8].copy_from_slice(&number.to_le_bytes());
                (after + number * 2, bytes)
            }
        }
    }

    fn header(&self, flags: u32, start: u64, at: [u64; 4]) -> Vec<u8> {
        let mut out = vec![0; 1912];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &0xdefe_c8edu32.to_le_bytes());
        put(4, &10u32.to_le_bytes());
        let flags = flags | if self.live { 4 } else { 0 };
        put(8, &flags.to_le_bytes());
        put(12, &64u32.to_le_bytes());
        put(16, &start.to_le_bytes());
        for (index, offset) in at.iter().enumerate() {
            put(24 + 8 * index, &offset.to_le_bytes());
        }
        for (index, word) in ["SunOS", "synth", "5.11", "necropsy_test", "i86pc"].iter().enumerate()
        {
            put(56 + 257 * index, word.as_bytes());
        }
        put(1341, b"i86pc");
        put(1598, &self.message.as_bytes()[..self.message.len().min(199)]);
        let mask = self.hash_mask();
        for (at, value) in [
            (1800, 1_500_000_000),
            (1808, 12),
            (1816, PAGE),
            (1824, mask),
            (1832, self.translations.len() as u64),
            (1840, self.page_count()),
            (1848, self.ksyms.len() as u64),
            (1856, self.ksyms.len() as u64),
        ] {
            put(at, &u64::to_le_bytes(value));
        }
        put(1868, b"01234567-89ab-cdef-0123-456789abcdef");
        out
    }

    fn hash_mask(&self) -> u64 {
        (self.translations.len() as u64).max(2).next_power_of_two() - 1
    }

    fn frame_table(&self, out: &mut impl Write) -> io::Result<()> {
        for index in 0..self.page_count() {
            let frame = match self.pages.get(index as usize) {
                Some((frame, _)) => *frame,
                None => self.page(index).0,
            };
            out.write_all(&frame.to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes a `vmdump`.
    ///
    /// # Errors
    /// Those of writing.
    pub fn vmdump(&self, packing: Packing, out: &mut (impl Write + Seek)) -> io::Result<()> {
        let pfn = PAGE + round(self.ksyms.len() as u64);
        let map = pfn + round(8 * self.page_count());
        let data = map + round(24 * self.translations.len() as u64);
        let header = self.header(0x1000b, 0, [PAGE, pfn, map, data]);
        out.write_all(&header)?;
        out.seek(SeekFrom::Start(PAGE))?;
        out.write_all(&self.ksyms)?;
        out.seek(SeekFrom::Start(pfn))?;
        self.frame_table(out)?;
        out.seek(SeekFrom::Start(map))?;
        self.raw_map(out)?;
        out.seek(SeekFrom::Start(data))?;
        let end = data + self.stream(packing, out)?;
        let trailer = end + OFFSET - (end & (OFFSET - 1));
        self.trailer(packing, &header, end - data, trailer, out)
    }

    /// Writes a dump device.
    ///
    /// # Errors
    /// Those of writing.
    pub fn device(&self, packing: Packing, out: &mut (impl Write + Seek)) -> io::Result<()> {
        let map = OFFSET + PAGE + round(self.ksyms.len() as u64);
        let pfn = map + round(24 * self.translations.len() as u64);
        let data = pfn + round(8 * self.page_count());
        let header = self.header(0x1000b, OFFSET, [OFFSET + PAGE, pfn, map, data]);
        out.seek(SeekFrom::Start(OFFSET))?;
        out.write_all(&header)?;
        out.seek(SeekFrom::Start(OFFSET + PAGE))?;
        out.write_all(&self.ksyms)?;
        out.seek(SeekFrom::Start(map))?;
        self.raw_map(out)?;
        out.seek(SeekFrom::Start(pfn))?;
        self.frame_table(out)?;
        out.seek(SeekFrom::Start(data))?;
        let end = data + self.stream(packing, out)?;
        let trailer = (end + 8 * OFFSET).next_multiple_of(OFFSET);
        self.trailer(packing, &header, end - data, trailer, out)
    }

    fn raw_map(&self, out: &mut impl Write) -> io::Result<()> {
        for (space, address, frame) in &self.translations {
            for number in [space, address, frame] {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// The second header with the data header, up to the next boundary.
    fn trailer(
        &self,
        packing: Packing,
        header: &[u8],
        csize: u64,
        at: u64,
        out: &mut (impl Write + Seek),
    ) -> io::Result<()> {
        let (streams, level): (u16, u16) = match packing {
            Packing::Lzjb => (1, 0),
            Packing::ParallelLzjb => (3, 1),
            Packing::Bzip2 => (3, 2),
        };
        let mut bytes = header.to_vec();
        bytes.extend(0x6468_6472u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(round(csize).to_le_bytes());
        bytes.extend(0x20000u32.to_le_bytes());
        bytes.extend(1024u32.to_le_bytes());
        bytes.extend(streams.to_le_bytes());
        bytes.extend(level.to_le_bytes());
        bytes.extend(0u32.to_le_bytes());
        bytes.resize(OFFSET as usize, 0);
        out.seek(SeekFrom::Start(at))?;
        out.write_all(&bytes)
    }

    /// Writes the page stream and its end mark; how many bytes.
    fn stream(&self, packing: Packing, out: &mut impl Write) -> io::Result<u64> {
        let mut written = 0;
        let mut put = |tag: u32, bytes: &[u8], out: &mut dyn Write| -> io::Result<()> {
            out.write_all(&(tag << 20 | bytes.len() as u32).to_le_bytes())?;
            out.write_all(bytes)?;
            written += 4 + bytes.len() as u64;
            Ok(())
        };
        match packing {
            Packing::Lzjb => {
                for index in 0..self.page_count() {
                    let page = self.page(index).1;
                    put(0, &compress(&page).unwrap_or(page), out)?;
                }
            }
            Packing::ParallelLzjb => {
                for (number, start) in (0..self.page_count()).step_by(7).enumerate() {
                    let end = (start + 7).min(self.page_count());
                    let mut block = stream_header(start, end - start);
                    for index in start..end {
                        let page = self.page(index).1;
                        let packed = compress(&page).unwrap_or(page);
                        block.extend((packed.len() as u32).to_le_bytes());
                        block.extend(packed);
                    }
                    put(number as u32 % 3 + 1, &block, out)?;
                }
            }
            Packing::Bzip2 => {
                let mut plain = vec![Vec::new(); 3];
                for (number, start) in (0..self.page_count()).step_by(7).enumerate() {
                    let end = (start + 7).min(self.page_count());
                    let stream = &mut plain[number % 3];
                    stream.extend(stream_header(start, end - start));
                    for index in start..end {
                        stream.extend(self.page(index).1);
                    }
                }
                let mut packed = Vec::new();
                for stream in plain {
                    let level = bzip2::Compression::new(1);
                    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
                    encoder.write_all(&stream)?;
                    packed.push(encoder.finish()?);
                }
                let blocks = packed.iter().map(|stream| stream.len().div_ceil(3000)).max();
                for block in 0..blocks.unwrap_or(0) {
                    for (tag, stream) in packed.iter().enumerate() {
                        let start = block * 3000;
                        if start < stream.len() {
                            let end = stream.len().min(start + 3000);
                            put(tag as u32 + 1, &stream[start..end], out)?;
                        }
                    }
                }
            }
        }
        out.write_all(&[0; 4])?;
        Ok(written + 4)
    }

    /// What savecore makes of it, from its description: the bytes of `vmcore`. Of `unix` they are
    /// those of the symbol image.
    pub fn vmcore(&self) -> Vec<u8> {
        let mask = self.hash_mask();
        let pfn = PAGE + round(self.ksyms.len() as u64);
        let map = pfn + round(8 * self.page_count());
        let data = map + round(40 * (mask + 1));
        let mut out = self.header(0x10002, 0, [PAGE, pfn, map, data]);
        out.resize(PAGE as usize, 0);
        out.extend(&self.ksyms);
        out.resize(pfn as usize, 0);
        self.frame_table(&mut out).expect("memory");
        out.resize(map as usize, 0);
        let mut slots = vec![[0u64; 5]; mask as usize + 1];
        for (slot, (space, address, frame)) in self.translations.iter().enumerate() {
            let index = (0..self.page_count()).find(|&index| self.page(index).0 == *frame);
            let Some(index) = index else { continue };
            let bucket = (((space >> 3) + (address >> 12)) & mask) as usize;
            slots[slot][1] = slots[bucket][0];
            slots[slot][2] = data + index * PAGE;
            slots[slot][3] = *space;
            slots[slot][4] = *address;
            slots[bucket][0] = map + 40 * slot as u64;
        }
        out.extend(slots.iter().flatten().flat_map(|number| number.to_le_bytes()));
        let mut end = out.len();
        out.resize(data as usize, 0);
        for index in 0..self.page_count() {
            let page = self.page(index).1;
            if page.iter().any(|&byte| byte != 0) {
                end = out.len() + page.len();
            }
            out.extend(page);
        }
        out.truncate(end);
        out
    }
}

fn stream_header(start: u64, count: u64) -> Vec<u8> {
    let mut out = b"StrmHdr\0".to_vec();
    out.extend(start.to_le_bytes());
    out.extend(count.to_le_bytes());
    out
}
