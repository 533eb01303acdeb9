//! ELF file and program headers.

use crate::{bytes::Fields, image::Image, segments::Load};

const ET_CORE: u16 = 4;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// `e_phnum` of files whose real number stands in the first section header.
const PN_XNUM: u64 = 0xffff;

pub(crate) fn is_elf(image: &Image) -> bool {
    &*image.get_up_to(0, 4) == b"\x7fELF"
}

/// Whether an ELF file is a core (a dump), not a kernel or a module.
pub(crate) fn is_core(image: &Image) -> bool {
    ElfHeader::parse(image).is_some_and(|header| header.kind == ET_CORE)
}

/// The file header.
pub(crate) struct ElfHeader {
    pub(crate) class64: bool,
    pub(crate) big_endian: bool,
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    programs_at: u64,
    program_size: usize,
    program_count: u64,
    sections_at: u64,
    section_size: u16,
    section_count: u16,
    names_index: u16,
}

/// A section header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    /// Where its name is in the section of names.
    name: u32,
    /// In the file, bytes.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: u64,
}

/// A program header, of either class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    pub(crate) kind: u32,
    /// In the file, bytes.
    pub(crate) offset: u64,
    pub(crate) virtual_address: u64,
    pub(crate) physical_address: u64,
    /// Bytes.
    pub(crate) file_size: u64,
    /// Bytes.
    pub(crate) memory_size: u64,
}

impl Program {
    pub(crate) fn is_load(&self) -> bool {
        self.kind == PT_LOAD
    }

    /// The segment's physical range and where it is.
    pub(crate) fn range(&self) -> Load {
        Load {
            offset: self.offset,
            address: self.physical_address,
            file_size: self.file_size,
            memory_size: self.memory_size,
        }
    }

    pub(crate) fn is_note(&self) -> bool {
        self.kind == PT_NOTE
    }
}

impl ElfHeader {
    pub(crate) fn parse(image: &Image) -> Option<Self> {
        let bytes = image.get_up_to(0, 64);
        let class64 = match bytes.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let big_endian = match bytes.get(5)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let fields = Fields::new(&bytes, big_endian);
        let (word, sizes_at) = if class64 { (8, 54) } else { (4, 42) };
        let sections_at = fields.uint(24 + 2 * word, word)?;
        let mut program_count = u64::from(fields.u16(sizes_at + 2)?);
        if program_count == PN_XNUM {
            let section = image.get_up_to(sections_at, 64);
            let info_at = if class64 { 44 } else { 28 };
            program_count = Fields::new(&section, big_endian).u32(info_at)?.into();
        }
        let program_size = usize::from(fields.u16(sizes_at)?);
        let least = if class64 { 56 } else { 32 };
        Some(ElfHeader {
            class64,
            big_endian,
            kind: fields.u16(16)?,
            machine: fields.u16(18)?,
            programs_at: fields.uint(24 + word, word)?,
            program_size: if program_count == 0 { least } else { program_size },
            program_count,
            sections_at,
            section_size: fields.u16(sizes_at + 4).unwrap_or(0),
            section_count: fields.u16(sizes_at + 6).unwrap_or(0),
            names_index: fields.u16(sizes_at + 8).unwrap_or(0),
        })
        .filter(|header| header.program_size >= least)
    }

    /// End of the program headers in the file.
    pub(crate) fn programs_end(&self) -> u64 {
        self.programs_at.saturating_add(self.program_count.saturating_mul(self.program_size as u64))
    }

    /// The segments and notes of the program headers that are in the file. What lies in a hole of
    /// the file is no header.
    pub(crate) fn programs(&self, image: &Image) -> Vec<Program> {
        let there = self.programs_end().min(image.len()).saturating_sub(self.programs_at);
        let size = self.program_size as u64;
        let mut programs = Vec::new();
        let mut next = 0;
        for part in image.data_in(self.programs_at, there) {
            let first = next.max((part.start - self.programs_at) / size);
            next = next.max((part.end - self.programs_at).div_ceil(size).min(there / size));
            let entries = (first..next).filter_map(|index| {
                let entry = image.get(self.programs_at + index * size, self.program_size)?;
                self.program(&entry)
            });
            programs.extend(entries.filter(|program| program.is_load() || program.is_note()));
        }
        programs
    }

    /// The section headers: type, file offset, size in bytes, offset of the name.
    pub(crate) fn sections(&self, image: &Image) -> Vec<Section> {
        let word = if self.class64 { 8 } else { 4 };
        let least = 16 + 4 * word + 8;
        let entry_size = usize::from(self.section_size);
        if entry_size < least {
            return Vec::new();
        }
        let entries = (0..u64::from(self.section_count)).map_while(|index| {
            let at = self.sections_at.checked_add(index * entry_size as u64)?;
            let bytes = image.get(at, entry_size)?;
            let fields = Fields::new(&bytes, self.big_endian);
            let name = fields.u32(0)?;
            let offset = fields.uint(8 + 2 * word, word)?;
            let size = fields.uint(8 + 3 * word, word)?;
            Some(Section { name, offset, size })
        });
        entries.collect()
    }

    /// The section of that name.
    pub(crate) fn section(&self, image: &Image, name: &str) -> Option<Section> {
        let sections = self.sections(image);
        let names = *sections.get(usize::from(self.names_index))?;
        sections.into_iter().find(|section| {
            let at = names.offset.saturating_add(section.name.into());
            let bytes = image.get_up_to(at, name.len() + 1);
            bytes.strip_suffix(&[0]).is_some_and(|bytes| bytes == name.as_bytes())
        })
    }

    fn program(&self, entry: &[u8]) -> Option<Program> {
        let fields = Fields::new(entry, self.big_endian);
        let [offset, virtual_address, physical_address, file_size, memory_size] = if self.class64 {
            [8, 16, 24, 32, 40].map(|at| fields.u64(at))
        } else {
            [4, 8, 12, 16, 20].map(|at| fields.u32(at).map(u64::from))
        };
        Some(Program {
            kind: fields.u32(0)?,
            offset: offset?,
            virtual_address: virtual_address?,
            physical_address: physical_address?,
            file_size: file_size?,
            memory_size: memory_size?,
        })
    }
}
