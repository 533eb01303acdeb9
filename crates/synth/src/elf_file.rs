//! ELF files that describe a kernel: sections without segments, class 64 (System V ABI,
//! `Elf64_Ehdr` and `Elf64_Shdr`).

use crate::{Buffer, Order};

/// A section.
#[derive(Debug, Clone)]
pub struct FileSection {
    /// `.debug_info`
    pub name: String,
    /// `sh_type`
    pub kind: u32,
    /// Content.
    pub data: Vec<u8>,
}

/// An ELF file with sections.
#[derive(Debug, Clone)]
pub struct ElfFile {
    /// Byte order.
    pub order: Order,
    /// `e_type`: 1 relocatable, 2 executable, 3 shared.
    pub kind: u16,
    /// Sections, in file order.
    pub sections: Vec<FileSection>,
}

const PROGBITS: u32 = 1;
const STRTAB: u32 = 3;
const NOTE: u32 = 7;
const NOBITS: u32 = 8;
const GNU_BUILD_ID: u32 = 3;
const HEADER: usize = 64;

impl ElfFile {
    /// A file without sections.
    pub fn new(kind: u16) -> Self {
        ElfFile { order: Order::Little, kind, sections: Vec::new() }
    }

    /// Adds a section with content.
    #[must_use]
    pub fn section(mut self, name: &str, data: &[u8]) -> Self {
        let section = FileSection { name: name.to_owned(), kind: PROGBITS, data: data.to_vec() };
        self.sections.push(section);
        self
    }

    /// Adds the header of a section whose content went.
    #[must_use]
    pub fn without_bits(mut self, name: &str, size: usize) -> Self {
        let section = FileSection { name: name.to_owned(), kind: NOBITS, data: vec![0; size] };
        self.sections.push(section);
        self
    }

    /// Adds a build-id.
    #[must_use]
    pub fn build_id(mut self, id: &[u8]) -> Self {
        let mut note = Buffer::new(self.order);
        note.note("GNU", GNU_BUILD_ID, id);
        let name = ".note.gnu.build-id".to_owned();
        self.sections.push(FileSection { name, kind: NOTE, data: note.bytes });
        self
    }

    /// Adds a `.gnu_debuglink`: the name with its NUL, padded to 4 bytes, and the checksum.
    #[must_use]
    pub fn debug_link(self, name: &str, checksum: u32) -> Self {
        let mut link = Buffer::new(self.order);
        link.put(0, name.as_bytes());
        link.number((name.len() + 1).next_multiple_of(4), checksum.into(), 4);
        self.section(".gnu_debuglink", &link.bytes)
    }

    /// The file: header, contents 16-byte aligned, names, section headers.
    pub fn build(&self) -> Vec<u8> {
        let mut file = Buffer::new(self.order);
        file.put(0, b"\x7fELF");
        let order = if self.order == Order::Little { 1 } else { 2 };
        file.put(4, &[2, order, 1]);
        file.number(16, self.kind.into(), 2);
        file.number(18, 62, 2);
        file.number(20, 1, 4);
        let mut names = vec![0];
        let mut headers = vec![[0; 4]];
        let mut at = HEADER;
        let table = FileSection { name: ".shstrtab".into(), kind: STRTAB, data: Vec::new() };
        for section in self.sections.iter().chain([&table]) {
            let name = names.len() as u64;
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
            let data = if section.kind == STRTAB { &names } else { &section.data };
            headers.push([name, section.kind.into(), at as u64, data.len() as u64]);
            if section.kind != NOBITS {
                file.put(at, data);
                at = (at + data.len()).next_multiple_of(16);
            }
        }
        for (index, [name, kind, offset, size]) in headers.iter().enumerate() {
            let header = at + index * 64;
            file.number(header, *name, 4);
            file.number(header + 4, *kind, 4);
            file.number(header + 24, *offset, 8);
            file.number(header + 32, *size, 8);
            file.number(header + 48, 4, 8);
            file.number(header + 56, 0, 8);
        }
        file.number(40, at as u64, 8);
        file.number(52, HEADER as u64, 2);
        file.number(58, 64, 2);
        file.number(60, headers.len() as u64, 2);
        file.number(62, headers.len() as u64 - 1, 2);
        file.bytes
    }
}
