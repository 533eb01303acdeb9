//! ELF files that describe a kernel: `vmlinux`, modules, and their separate debug files.

use std::borrow::Cow;

use object::{
    Object, ObjectKind, ObjectSection, ObjectSymbol, ReadRef, SectionFlags, SectionIndex,
    SymbolKind, SymbolSection, elf,
};

use crate::symbols::Symbols;

/// Why an ELF file could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ElfError(#[from] object::read::Error);

/// A section of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `.text`
    pub name: String,
    /// Virtual address it is linked at; 0 in a module.
    pub address: u64,
    /// Bytes in memory.
    pub size: u64,
}

/// An open ELF file over any source of bytes: a slice, or [`object::ReadCache`] of a file.
#[derive(Debug)]
pub struct Elf<'data, R: ReadRef<'data>> {
    pub(crate) file: object::File<'data, R>,
}

/// What decides between symbols of one address, as `scripts/kallsyms.c` ranks them: a weak one
/// and one that a linker script makes lose, then fewer leading underscores win.
fn rank(name: &str, weak: bool) -> (bool, bool, usize) {
    let made = name.strip_prefix("__").is_some_and(|name| {
        ["start_", "stop_", "end_"].iter().any(|prefix| name.starts_with(prefix))
            || ["_start", "_end"].iter().any(|suffix| name.ends_with(suffix))
    });
    (weak, made, name.len() - name.trim_start_matches('_').len())
}

/// Local labels, mapping symbols and checksums name nothing that anybody looks for.
fn is_noise(name: &str) -> bool {
    name.is_empty() || [".L", "$", "__crc_"].iter().any(|prefix| name.starts_with(prefix))
}

impl<'data, R: ReadRef<'data>> Elf<'data, R> {
    /// Reads the headers.
    ///
    /// # Errors
    /// When it is no ELF file, or its headers are damaged.
    pub fn parse(data: R) -> Result<Self, ElfError> {
        Ok(Elf { file: object::File::parse(data)? })
    }

    /// The build ID that tells which kernel it belongs to.
    pub fn build_id(&self) -> Option<&'data [u8]> {
        self.file.build_id().ok().flatten()
    }

    /// Whether it is to be relocated before it can be used: a module.
    pub fn is_relocatable(&self) -> bool {
        self.file.kind() == ObjectKind::Relocatable
    }

    /// Its sections that take memory, in file order.
    pub fn sections(&self) -> impl Iterator<Item = Section> {
        self.file.sections().filter(|section| has(&section.flags(), elf::SHF_ALLOC)).filter_map(
            |section| {
                let name = section.name().ok()?.to_owned();
                Some(Section { name, address: section.address(), size: section.size() })
            },
        )
    }

    /// The bytes of a section, unpacked if it is compressed; empty for one without bytes in the
    /// file. `None` when there is no such section.
    ///
    /// # Errors
    /// When the section lies beyond the end of the file or cannot be unpacked.
    pub fn section_data(&self, name: &str) -> Result<Option<Cow<'data, [u8]>>, ElfError> {
        match self.file.section_by_name(name) {
            Some(section) => Ok(Some(section.uncompressed_data()?)),
            None => Ok(None),
        }
    }

    /// Its symbols at the addresses they are linked at.
    pub fn symbols(&self) -> Symbols {
        self.symbols_placed(|_| Some(0))
    }

    /// Its symbols moved by what `place` says for their section: for a module the address that
    /// the section was loaded at. Symbols of sections with `None` are left out.
    pub fn symbols_placed(&self, place: impl Fn(&str) -> Option<u64>) -> Symbols {
        let sections: Vec<Option<(SectionIndex, u64, char)>> = self
            .file
            .sections()
            .map(|section| {
                let added = place(section.name().ok()?)?;
                Some((section.index(), added, letter(&section)))
            })
            .collect();
        let section = |index: SectionIndex| {
            let in_order = sections.get(index.0.wrapping_sub(1)).copied().flatten();
            in_order
                .filter(|found| found.0 == index)
                .or_else(|| sections.iter().flatten().find(|found| found.0 == index).copied())
        };
        let mut found: Vec<_> = self
            .file
            .symbols()
            .filter_map(|symbol| {
                let name = symbol.name().ok()?;
                if is_noise(name) || matches!(symbol.kind(), SymbolKind::File | SymbolKind::Section)
                {
                    return None;
                }
                let (added, letter) = match symbol.section() {
                    SymbolSection::Absolute => (0, 'a'),
                    SymbolSection::Section(index) => {
                        section(index).map(|(_, added, letter)| (added, letter))?
                    }
                    _ => return None,
                };
                let kind = match (symbol.is_weak(), symbol.is_global()) {
                    (true, _) if symbol.kind() == SymbolKind::Data => 'V',
                    (true, _) => 'W',
                    (_, true) => letter.to_ascii_uppercase(),
                    (_, false) => letter,
                };
                let address = symbol.address().wrapping_add(added);
                Some((address, rank(name, symbol.is_weak()), name, kind, symbol.size()))
            })
            .collect();
        found.sort_by_key(|&(address, rank, ..)| (address, rank));
        let mut builder = Symbols::builder();
        builder.reserve(found.len(), found.iter().map(|symbol| symbol.2.len()).sum());
        for (address, _, name, kind, size) in found {
            builder.push(address, name, kind, size);
        }
        builder.finish()
    }
}

pub(crate) fn has(flags: &SectionFlags, flag: elf::SectionFlags) -> bool {
    matches!(flags, SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & flag.0 != 0)
}

/// nm's letter for a local symbol of the section.
fn letter<'data>(section: &impl ObjectSection<'data>) -> char {
    let flags = section.flags();
    if !has(&flags, elf::SHF_ALLOC) {
        'n'
    } else if has(&flags, elf::SHF_EXECINSTR) {
        't'
    } else if !has(&flags, elf::SHF_WRITE) {
        'r'
    } else if section.file_range().is_none() {
        'b'
    } else {
        'd'
    }
}
