//! Walking the sections of a stream, as far as memory goes: what devices send has no sizes, and
//! comes last.

use crate::{bytes::Fields, image::Image};

const SECTION_START: u8 = 1;
const SECTION_PART: u8 = 2;
const SECTION_END: u8 = 3;
const SUBSECTION: u8 = 5;
const CONFIGURATION: u8 = 7;
const COMMAND: u8 = 8;
const FOOTER: u8 = 0x7e;

/// Flags in the low bits of a page's address.
const ZERO: u64 = 0x02;
const MEM_SIZE: u64 = 0x04;
const PAGE: u64 = 0x08;
const EOS: u64 = 0x10;
const CONTINUE: u64 = 0x20;
const XBZRLE: u64 = 0x40;
const HOOK: u64 = 0x80;
const PACKED: u64 = 0x100;
const MULTIFD: u64 = 0x200;
const FLAGS: u64 = 0xfff;

const PAGE_SIZE: u64 = 4096;
/// Blocks of one machine: memory, firmware, video memory.
const BLOCKS: usize = 4096;

/// A block of memory, as QEMU has it.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) name: String,
    /// Bytes.
    pub(super) size: u64,
    /// Where its pages lie, with `mapped-ram`: offsets of the bitmap and of the pages.
    pub(super) mapped: Option<(u64, u64)>,
}

/// Content of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// At this offset of the stream.
    At(u64),
    /// All bytes the same.
    Fill(u8),
}

/// A page that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Index of the block.
    pub(super) block: u32,
    /// Number of the page in the block.
    pub(super) page: u32,
    pub(super) content: Content,
}

/// What was found in a stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The machine's type, such as `pc-q35-7.2`.
    pub(super) machine: String,
    pub(super) blocks: Vec<Block>,
    /// In the order of sending.
    pub(super) sent: Vec<Sent>,
    /// The section of memory did not come to its end.
    pub(super) is_cut: bool,
    /// Where devices begin, behind memory.
    pub(super) end: Option<u64>,
}

/// A place in the stream; everything is big endian.
struct Cursor<'a> {
    image: &'a Image,
    at: u64,
}

impl Cursor<'_> {
    fn number(&mut self, size: usize) -> Option<u64> {
        let bytes = self.image.get(self.at, size)?;
        self.at += size as u64;
        match size {
            1 => bytes.first().map(|&byte| byte.into()),
            size => Fields::new(&bytes, true).uint(0, size),
        }
    }

    fn text(&mut self, len: u64) -> Option<String> {
        let bytes = self.image.get(self.at, usize::try_from(len.min(1 << 16)).ok()?)?;
        self.at += len;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A string behind its length in one byte.
    fn short_text(&mut self) -> Option<String> {
        let len = self.number(1)?;
        self.text(len)
    }

    fn skip(&mut self, size: u64) -> Option<()> {
        (self.image.extent(self.at, size) == size).then(|| self.at += size)
    }
}

impl Stream {
    /// Reads all sections up to the last of memory.
    ///
    /// # Errors
    /// What kind of stream it is, when its memory is not in this file or not readable.
    pub(super) fn read(image: &Image) -> Result<Stream, String> {
        let mut stream = Stream::default();
        let mut cursor = Cursor { image, at: 8 };
        let mut capabilities = Vec::new();
        let mut ram = None;
        let ended = loop {
            let Some(kind) = cursor.number(1) else { break None };
            match kind as u8 {
                CONFIGURATION => {
                    let read = configuration(&mut cursor, &mut stream.machine, &mut capabilities);
                    if read.is_none() {
                        break None;
                    }
                }
                COMMAND => {
                    let skipped = cursor.number(2).and_then(|_| cursor.number(2));
                    if skipped.and_then(|len| cursor.skip(len)).is_none() {
                        break None;
                    }
                }
                SECTION_START => {
                    let Some((id, name, version)) = section(&mut cursor) else { break None };
                    if name != "ram" || version != 4 {
                        // Only memory is walked: other sections that come in parts have no sizes.
                        if ram.is_none() {
                            return Err(format!(
                                "the section {name} (version {version}) comes before memory, and its size is not known"
                            ));
                        }
                        break None;
                    }
                    ram = Some(id);
                    match stream.section(&mut cursor, &capabilities) {
                        Ok(Some(())) => {}
                        Ok(None) => break None,
                        Err(what) => return Err(what),
                    }
                }
                SECTION_PART | SECTION_END => {
                    let id = cursor.number(4);
                    if id.is_none() || id != ram {
                        break None;
                    }
                    match stream.section(&mut cursor, &capabilities) {
                        Ok(Some(())) if kind as u8 == SECTION_END => break Some(()),
                        Ok(Some(())) => {}
                        Ok(None) => break None,
                        Err(what) => return Err(what),
                    }
                }
                FOOTER => {
                    if cursor.skip(4).is_none() {
                        break None;
                    }
                }
                _ => break None,
            }
        };
        stream.is_cut = ended.is_none();
        stream.end = ended.map(|()| cursor.at);
        Ok(stream)
    }

    /// One part of the section `ram`; `None` when the file ends in it.
    fn section(
        &mut self,
        cursor: &mut Cursor<'_>,
        capabilities: &[String],
    ) -> Result<Option<()>, String> {
        let mut block = 0u32;
        loop {
            let Some(word) = cursor.number(8) else { return Ok(None) };
            let (address, flags) = (word & !FLAGS, word & FLAGS);
            if flags & MEM_SIZE != 0 {
                if self.block_list(cursor, word & !MEM_SIZE, capabilities).is_none() {
                    return Ok(None);
                }
            } else if flags & (ZERO | PAGE) != 0 {
                if flags & CONTINUE == 0 {
                    let Some(name) = cursor.short_text() else { return Ok(None) };
                    let found = self.blocks.iter().position(|other| other.name == name);
                    let Some(found) = found else {
                        return Err(format!(
                            "a page of the block {name}, which its list does not have"
                        ));
                    };
                    block = found as u32;
                }
                let content = if flags & PAGE != 0 {
                    let at = cursor.at;
                    cursor.skip(PAGE_SIZE).map(|()| Content::At(at))
                } else {
                    cursor.number(1).map(|byte| Content::Fill(byte as u8))
                };
                let Some(content) = content else { return Ok(None) };
                let is_inside =
                    self.blocks.get(block as usize).is_some_and(|block| address < block.size);
                if let (true, Ok(page)) = (is_inside, u32::try_from(address / PAGE_SIZE)) {
                    self.sent.push(Sent { block, page, content });
                }
            } else if flags & EOS != 0 {
                return Ok(Some(()));
            } else if flags & MULTIFD != 0 {
                if !capabilities.iter().any(|name| name == "mapped-ram") {
                    return Err("made with multifd: its pages went through other channels; save it again without, or with mapped-ram".into());
                }
            } else if flags & (XBZRLE | PACKED | HOOK) != 0 {
                return Err("made with compression of pages (xbzrle or compress), which is not read: save it again without".into());
            } else {
                return Ok(None);
            }
        }
    }

    /// The list of blocks at the head of the section: `total` bytes in all.
    fn block_list(
        &mut self,
        cursor: &mut Cursor<'_>,
        total: u64,
        capabilities: &[String],
    ) -> Option<()> {
        let has = |name: &str| capabilities.iter().any(|capability| capability == name);
        let mut seen = 0u64;
        while seen < total && self.blocks.len() < BLOCKS {
            let name = cursor.short_text()?;
            let size = cursor.number(8)?;
            if has("x-ignore-shared") {
                cursor.number(8)?;
            }
            let mapped = if has("mapped-ram") { Some(mapped(cursor, size)?) } else { None };
            seen = seen.checked_add(size)?;
            self.blocks.push(Block { name, size, mapped });
        }
        Some(())
    }
}

/// A block's own header with `mapped-ram`: version 4, page size 8, offsets of bitmap and pages 8
/// each. The stream goes on behind the pages.
fn mapped(cursor: &mut Cursor<'_>, size: u64) -> Option<(u64, u64)> {
    let at = cursor.at;
    let (_version, page_size) = (cursor.number(4)?, cursor.number(8)?);
    let (bitmap, pages) = (cursor.number(8)?, cursor.number(8)?);
    cursor.at = pages.checked_add(size)?;
    (page_size == PAGE_SIZE && bitmap > at && pages > bitmap).then_some((bitmap, pages))
}

/// Identifier, name and version of a section; its instance is passed over.
fn section(cursor: &mut Cursor<'_>) -> Option<(u64, String, u64)> {
    let id = cursor.number(4)?;
    let name = cursor.short_text()?;
    cursor.number(4)?;
    Some((id, name, cursor.number(4)?))
}

/// The machine's type, and what is known of its subsections.
fn configuration(
    cursor: &mut Cursor<'_>,
    machine: &mut String,
    capabilities: &mut Vec<String>,
) -> Option<()> {
    let len = cursor.number(4)?;
    *machine = cursor.text(len)?;
    while cursor.image.get(cursor.at, 1)?.first() == Some(&SUBSECTION) {
        cursor.skip(1)?;
        let name = cursor.short_text()?;
        cursor.number(4)?;
        match name.as_str() {
            "configuration/target-page-bits" => cursor.skip(4)?,
            "configuration/uuid" => cursor.skip(16)?,
            "configuration/capabilities" => {
                for _ in 0..cursor.number(4)?.min(256) {
                    capabilities.push(cursor.short_text()?);
                }
            }
            _ => return None,
        }
    }
    Some(())
}
