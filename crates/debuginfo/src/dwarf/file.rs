//! A `vmlinux`, a module, or a debug file of one of them: its symbols, and its debug sections as
//! they can be read: unpacked, and of a module relocated.

use std::{
    collections::HashMap,
    ops::{Deref, Range},
    sync::OnceLock,
};

use gimli::{EndianSlice, RunTimeEndian, SectionId};
use object::{
    CompressionFormat, Object, ObjectSection, ObjectSymbol, RelocationKind, RelocationTarget,
    SectionIndex, elf,
};

use crate::{
    elf::{Elf, ElfError, has},
    symbols::{Symbol, Symbols},
};

/// Where the first section of a module is put, and to what the others are aligned: far enough from
/// zero that what was not relocated is not taken for code.
const MODULE_BASE: u64 = 1 << 32;
const MODULE_ALIGN: u64 = 1 << 12;

/// The bytes of a file, mapped or unpacked.
pub trait FileData: Deref<Target = [u8]> + Send + Sync {
    /// Says that a part will not be needed soon: memory that a mapping took for it can be had
    /// back. Its bytes stay what they are.
    fn release(&self, _range: Range<usize>) {}
}

impl FileData for Vec<u8> {}

/// See [`FileData`].
pub type FileBytes = Box<dyn FileData>;

/// A `vmlinux`, a module or a debug file of one of them.
pub struct DebugFile {
    bytes: FileBytes,
    sections: HashMap<SectionId, Part>,
    endian: RunTimeEndian,
    symbols: OnceLock<Symbols>,
    /// Where a module's sections are.
    places: HashMap<String, u64>,
    /// Ends of a module's sections, by their address.
    ends: Vec<u64>,
    build_id: Option<Vec<u8>>,
    address_size: u8,
    vendor: gimli::Vendor,
}

impl std::fmt::Debug for DebugFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DebugFile").field("build_id", &self.build_id).finish_non_exhaustive()
    }
}

/// Code of a module as its file has it.
#[derive(Debug)]
pub struct PlacedCode {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the loader writes into, by address, ascending: relocations.
    pub linked: Vec<Range<u64>>,
    /// What other sections refer to in this one: the section, and the address.
    pub named: Vec<(String, u64)>,
}

/// A section's bytes.
#[derive(Debug)]
enum Part {
    InFile(Range<usize>),
    /// Unpacked or relocated.
    Made(Vec<u8>),
}

pub(super) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

impl DebugFile {
    /// What the file has of the memory at an address that it was linked at, up to so many bytes or
    /// the end of the section: `None` where it has no bytes, as a file of debug information alone
    /// has none of code.
    pub fn linked_bytes(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let file = object::File::parse(&**self.bytes).ok()?;
        let inside = |section: &object::Section<'_, '_>| {
            has(&section.flags(), elf::SHF_ALLOC)
                && address.wrapping_sub(section.address()) < section.size()
        };
        let section = file.sections().find(inside)?;
        let bytes = section.uncompressed_data().ok()?;
        let start = usize::try_from(address - section.address()).ok()?;
        let end = start.saturating_add(len).min(bytes.len());
        bytes.get(start..end).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec)
    }

    /// Start and size of a section as it was linked.
    pub fn linked_section(&self, name: &str) -> Option<(u64, u64)> {
        let file = object::File::parse(&**self.bytes).ok()?;
        let section = file.section_by_name(name)?;
        Some((section.address(), section.size()))
    }

    /// The sections of a module's code that stay in memory: where the kernel loaded each, and its
    /// size.
    pub fn placed_sections(&self) -> Vec<(u64, usize)> {
        let Ok(file) = object::File::parse(&**self.bytes) else { return Vec::new() };
        let place = |section: object::Section<'_, '_>| {
            let name = section.name().ok()?;
            let code = has(&section.flags(), elf::SHF_ALLOC)
                && has(&section.flags(), elf::SHF_EXECINSTR)
                && !name.starts_with(".init");
            code.then_some(())?;
            Some((*self.places.get(name)?, usize::try_from(section.size()).ok()?))
        };
        file.sections().filter_map(place).collect()
    }

    /// What a module's file has of the memory at an address that the kernel loaded it at, up to so
    /// many bytes or the end of the section; `None` where it has no bytes.
    pub fn placed_code(&self, address: u64, len: usize) -> Option<PlacedCode> {
        let file = object::File::parse(&**self.bytes).ok()?;
        let place = |section: &object::Section<'_, '_>| {
            has(&section.flags(), elf::SHF_ALLOC).then_some(())?;
            self.places.get(section.name().ok()?).copied()
        };
        let (section, base) = file.sections().find_map(|section| {
            let base = place(&section)?;
            (address.wrapping_sub(base) < section.size()).then_some((section, base))
        })?;
        let bytes = section.uncompressed_data().ok()?;
        let start = usize::try_from(address - base).ok()?;
        let end = start.saturating_add(len).min(bytes.len());
        let bytes = bytes.get(start..end).filter(|bytes| !bytes.is_empty())?.to_vec();
        let until = address.saturating_add(bytes.len() as u64);
        let mut linked: Vec<Range<u64>> = section
            .relocations()
            .map(|(offset, relocation)| {
                let at = base.wrapping_add(offset);
                at..at.wrapping_add(u64::from(relocation.size().max(8)) / 8)
            })
            .filter(|written| written.start < until && written.end > address)
            .collect();
        linked.sort_unstable_by_key(|written| written.start);
        let mut named = Vec::new();
        for table in file.sections() {
            let Ok(name) = table.name() else { continue };
            for (_, relocation) in table.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else { continue };
                let Ok(symbol) = file.symbol_by_index(index) else { continue };
                if symbol.section_index() == Some(section.index()) {
                    let at = base.wrapping_add(symbol.address());
                    named.push((name.to_owned(), at.wrapping_add_signed(relocation.addend())));
                }
            }
        }
        Some(PlacedCode { bytes, linked, named })
    }

    /// Finds the debug sections. The sections of a module are laid out one
    /// after the other, and its debug sections relocated to that.
    ///
    /// # Errors
    /// When it is no ELF file, or its headers are damaged. Debug sections that are damaged are
    /// left out.
    pub fn open(bytes: FileBytes) -> Result<Self, ElfError> {
        Self::open_at(bytes, None)
    }

    /// As [`DebugFile::open`], with the sections of a module where `place` says: at the addresses
    /// at which the kernel loaded them. Those that it did not load lie nowhere.
    ///
    /// # Errors
    /// As [`DebugFile::open`].
    pub fn open_placed(
        bytes: FileBytes,
        place: &dyn Fn(&str) -> Option<u64>,
    ) -> Result<Self, ElfError> {
        Self::open_at(bytes, Some(place))
    }

    fn open_at(bytes: FileBytes, place: Option<Place<'_>>) -> Result<Self, ElfError> {
        let elf = Elf::parse(&**bytes)?;
        let build_id = elf.build_id().map(<[u8]>::to_vec);
        let endian = match elf.file.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        let layout = if elf.is_relocatable() { Layout::of(&elf, place) } else { Layout::default() };
        let mut sections = HashMap::new();
        for section in elf.file.sections() {
            // `.zdebug_info`: packed the old way.
            let name = section.name().unwrap_or("").replacen(".zdebug", ".debug", 1);
            let wanted = section_id(&name);
            if let Some(id) = wanted
                && let Some(part) = part(&elf, &section, &layout, endian)
            {
                sections.insert(id, part);
            }
        }
        let address_size = if elf.file.is_64() { 8 } else { 4 };
        let vendor = match elf.file.architecture() {
            object::Architecture::Aarch64 => gimli::Vendor::AArch64,
            _ => gimli::Vendor::Default,
        };
        drop(elf);
        let (symbols, places, ends) = (OnceLock::new(), layout.by_name, layout.ends);
        Ok(DebugFile {
            bytes,
            sections,
            endian,
            symbols,
            places,
            ends,
            build_id,
            address_size,
            vendor,
        })
    }

    /// See [`FileData::release`]: of a debug section, where it lies in the file as it is.
    pub(super) fn release(&self, id: SectionId, part: Range<usize>) {
        if let Some(Part::InFile(range)) = self.sections.get(&id) {
            let at = |offset: usize| range.start.saturating_add(offset).min(range.end);
            self.bytes.release(at(part.start)..at(part.end));
        }
    }

    /// The bytes of a debug section; empty if there is none.
    pub(super) fn section(&self, id: SectionId) -> Slice<'_> {
        let bytes = match self.sections.get(&id) {
            Some(Part::InFile(range)) => self.bytes.get(range.clone()).unwrap_or(&[]),
            Some(Part::Made(bytes)) => bytes,
            None => &[],
        };
        EndianSlice::new(bytes, self.endian)
    }

    /// Bytes of an address.
    pub(super) fn address_size(&self) -> u8 {
        self.address_size
    }

    /// Whose rules of unwinding there may be.
    pub(super) fn vendor(&self) -> gimli::Vendor {
        self.vendor
    }

    /// Addresses below are of code that is nowhere: the linker dropped it, or it is in a section of
    /// a module that the kernel did not load, and all of those begin at zero.
    pub(super) fn lowest_code(&self) -> u64 {
        if self.places.is_empty() { 0x1000 } else { 0x10_0000 }
    }

    /// What an index of the file is known by: its build ID, and where it was placed.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = self.build_id.clone().unwrap_or_default();
        self.ends.iter().for_each(|end| key.extend(end.to_le_bytes()));
        key
    }

    /// The build ID, which also the kernel prints.
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    /// The symbols: of a module at the addresses that [`Dwarf`](super::Dwarf) takes.
    pub fn symbols(&self) -> &Symbols {
        self.symbols.get_or_init(|| {
            let read = |elf: Elf<'_, &[u8]>| match elf.is_relocatable() {
                true => elf.symbols_placed(|name| self.places.get(name).copied()),
                false => elf.symbols(),
            };
            Elf::parse(&**self.bytes).map_or_else(|_| Symbols::builder().finish(), read)
        })
    }

    /// The address of one symbol, looked for without making a table of all.
    pub(super) fn address_of(&self, name: &str) -> Option<u64> {
        let elf = Elf::parse(&**self.bytes).ok()?;
        elf.file.symbol_by_name(name).map(|symbol| symbol.address())
    }

    /// Whether there are lines in it, not only symbols.
    pub fn has_lines(&self) -> bool {
        self.sections.contains_key(&SectionId::DebugInfo)
    }

    /// The address of `offset` bytes into the function called `name`, which the kernel says has
    /// `size` bytes. None if there is no such function: the file may be of another kernel. None
    /// also if there are several and the size does not tell them apart.
    pub fn locate(&self, name: &str, offset: u64, size: Option<u64>) -> Option<u64> {
        let mut found = self.symbols().all_by_name(name);
        found.retain(|symbol| {
            symbol.is_text() && size.is_none_or(|size| self.has_size(symbol, size))
        });
        found.dedup_by_key(|symbol| symbol.address);
        match found.as_slice() {
            [symbol] if offset <= self.room(symbol).max(symbol.size) => {
                symbol.address.checked_add(offset)
            }
            _ => None,
        }
    }

    /// Whether the kernel may say of the function that it has `size` bytes. It reckons up to the
    /// next symbol (`kernel/kallsyms.c`, `kernel/module/kallsyms.c`), and of the last function of
    /// a module up to the end of its memory.
    fn has_size(&self, symbol: &Symbol<'_>, size: u64) -> bool {
        let room = self.room(symbol);
        let next = symbol.address.saturating_add(room);
        let last = self.ends.binary_search(&next).is_ok();
        size == room || size == symbol.size || last && size >= symbol.size
    }

    /// Bytes up to the next symbol, or to the end of the section.
    fn room(&self, symbol: &Symbol<'_>) -> u64 {
        let next = self.symbols().next(symbol.address).map_or(u64::MAX, |next| next.address);
        let end = self.ends.partition_point(|end| *end <= symbol.address);
        let end = self.ends.get(end).copied().unwrap_or(u64::MAX);
        next.min(end) - symbol.address
    }
}

/// Where the sections of a module are, by name.
type Place<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// Where the sections of a module are put. Of two with one name only the first is.
#[derive(Debug, Default)]
struct Layout {
    by_name: HashMap<String, u64>,
    by_index: HashMap<SectionIndex, u64>,
    ends: Vec<u64>,
}

impl Layout {
    fn of<'data>(elf: &Elf<'data, &'data [u8]>, place: Option<Place<'_>>) -> Layout {
        let mut layout = Layout::default();
        let mut at = MODULE_BASE;
        for section in elf.file.sections().filter(|s| has(&s.flags(), elf::SHF_ALLOC)) {
            let Ok(name) = section.name() else { continue };
            if let Some(place) = place {
                match place(name) {
                    Some(known) => at = known,
                    None => continue,
                }
            }
            let end = at.saturating_add(section.size());
            let Some(next) = end.checked_next_multiple_of(MODULE_ALIGN) else { break };
            if layout.by_name.contains_key(name) {
                continue;
            }
            layout.by_name.insert(name.to_owned(), at);
            layout.by_index.insert(section.index(), at);
            layout.ends.push(end);
            at = next.saturating_add(MODULE_ALIGN);
        }
        layout.ends.sort_unstable();
        layout
    }
}

fn section_id(name: &str) -> Option<SectionId> {
    use SectionId::{
        DebugAbbrev, DebugAddr, DebugAranges, DebugFrame, DebugInfo, DebugLine, DebugLineStr,
        DebugLoc, DebugLocLists, DebugRanges, DebugRngLists, DebugStr, DebugStrOffsets,
    };
    [
        DebugAbbrev,
        DebugAddr,
        DebugAranges,
        DebugFrame,
        DebugInfo,
        DebugLine,
        DebugLineStr,
        DebugLoc,
        DebugLocLists,
        DebugRanges,
        DebugRngLists,
        DebugStr,
        DebugStrOffsets,
    ]
    .into_iter()
    .find(|id| id.name() == name)
}

/// The largest section that is unpacked, in bytes: that of no kernel is over 1 GiB.
const MAX_SECTION: u64 = 2 << 30;

/// A debug section: as it is in the file if it can be used like that.
fn part<'data>(
    elf: &Elf<'data, &'data [u8]>,
    section: &object::Section<'data, '_, &'data [u8]>,
    layout: &Layout,
    endian: RunTimeEndian,
) -> Option<Part> {
    let data = section.compressed_data().ok()?;
    let packed = data.format != CompressionFormat::None;
    if data.uncompressed_size > MAX_SECTION {
        return None;
    }
    if !packed && !elf.is_relocatable() {
        let (start, size) = section.file_range()?;
        let start = usize::try_from(start).ok()?;
        return Some(Part::InFile(start..start.checked_add(usize::try_from(size).ok()?)?));
    }
    let mut bytes = section.uncompressed_data().ok()?.into_owned();
    if elf.is_relocatable() {
        relocate(elf, section, layout, endian, &mut bytes);
    }
    Some(Part::Made(bytes))
}

/// Does what the linker would: debug sections hold nothing but absolute addresses and offsets
/// into each other. What cannot be done is left as it is.
fn relocate<'data>(
    elf: &Elf<'data, &'data [u8]>,
    section: &object::Section<'data, '_, &'data [u8]>,
    layout: &Layout,
    endian: RunTimeEndian,
    bytes: &mut [u8],
) {
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else { continue };
        let Ok(symbol) = elf.file.symbol_by_index(index) else { continue };
        let Some(target) = symbol.section_index() else { continue };
        let width = match relocation.size() {
            32 => 4,
            64 => 8,
            _ => continue,
        };
        if relocation.kind() != RelocationKind::Absolute {
            continue;
        }
        let field = usize::try_from(offset)
            .ok()
            .and_then(|start| bytes.get_mut(start..start.checked_add(width)?));
        let Some(field) = field else { continue };
        // Debug sections begin at zero.
        let base = layout.by_index.get(&target).copied().unwrap_or(0);
        let mut value =
            base.wrapping_add(symbol.address()).wrapping_add_signed(relocation.addend());
        if relocation.has_implicit_addend() {
            value = value.wrapping_add(read(field, endian));
        }
        write(field, value, endian);
    }
}

fn read(field: &[u8], endian: RunTimeEndian) -> u64 {
    let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    match endian {
        RunTimeEndian::Big => field.iter().fold(0, fold),
        RunTimeEndian::Little => field.iter().rev().fold(0, fold),
    }
}

fn write(field: &mut [u8], value: u64, endian: RunTimeEndian) {
    let width = field.len();
    match endian {
        RunTimeEndian::Big => field.copy_from_slice(&value.to_be_bytes()[8 - width..]),
        RunTimeEndian::Little => field.copy_from_slice(&value.to_le_bytes()[..width]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_both_orders() {
        let mut field = [0; 4];
        write(&mut field, 0x1234_5678, RunTimeEndian::Big);
        assert_eq!(
            (field, read(&field, RunTimeEndian::Big)),
            ([0x12, 0x34, 0x56, 0x78], 0x1234_5678)
        );
        write(&mut field, 0x1234_5678, RunTimeEndian::Little);
        assert_eq!(field, [0x78, 0x56, 0x34, 0x12]);
        assert_eq!(read(&field, RunTimeEndian::Little), 0x1234_5678);
    }
}
