//! ELF cores, of either class and byte order (System V ABI, `Elf32_Ehdr` and `Elf64_Ehdr`).

use crate::{Buffer, Order};

/// A `PT_LOAD` segment.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Physical address.
    pub physical: u64,
    /// Virtual address.
    pub address: u64,
    /// Content; `p_filesz` is its length.
    pub data: Vec<u8>,
    /// `p_memsz`.
    pub memory_size: u64,
}

/// An ELF core file.
#[derive(Debug, Clone)]
pub struct ElfCore {
    /// Whether it is of class 64.
    pub wide: bool,
    /// Byte order.
    pub order: Order,
    /// `e_machine`.
    pub machine: u16,
    /// Notes: name, type, description.
    pub notes: Vec<(String, u32, Vec<u8>)>,
    /// Segments, in file order.
    pub segments: Vec<Segment>,
    /// Count program headers in the first section header, as files with very many do.
    pub extended_count: bool,
}

impl ElfCore {
    /// The file: headers, notes, segments from 4096 on, each 16-byte aligned.
    pub fn build(&self) -> Vec<u8> {
        let word = if self.wide { 8 } else { 4 };
        let (header, entry, section) = if self.wide { (64, 56, 64) } else { (52, 32, 40) };
        let count = self.segments.len() + 1;
        let mut file = Buffer::new(self.order);
        file.put(0, b"\x7fELF");
        let order = if self.order == Order::Little { 1 } else { 2 };
        file.put(4, &[if self.wide { 2 } else { 1 }, order, 1]);
        file.number(16, 4, 2);
        file.number(18, self.machine.into(), 2);
        file.number(20, 1, 4);
        file.number(24 + word, header as u64, word);
        let section_at = header + entry * count;
        let sizes = 24 + 3 * word + 4;
        file.number(sizes, header as u64, 2);
        file.number(sizes + 2, entry as u64, 2);
        if self.extended_count {
            file.number(24 + 2 * word, section_at as u64, word);
            file.number(sizes + 4, 0xffff, 2);
            file.number(sizes + 6, section as u64, 2);
            file.number(sizes + 8, 1, 2);
            // sh_info stands behind name, type, flags, addr, offset, size and link.
            file.number(section_at + 12 + 4 * word, count as u64, 4);
        } else {
            file.number(sizes + 4, count as u64, 2);
        }
        let mut notes = Buffer::new(self.order);
        for (name, kind, desc) in &self.notes {
            notes.note(name, *kind, desc);
        }
        let notes_at = (section_at + section).next_multiple_of(16);
        file.put(notes_at, &notes.bytes);
        self.program(&mut file, header, 4, [notes_at as u64, 0, 0, notes.bytes.len() as u64, 0]);
        let mut at = (notes_at + notes.bytes.len()).next_multiple_of(4096);
        for (index, segment) in self.segments.iter().enumerate() {
            let size = segment.data.len() as u64;
            let fields = [at as u64, segment.address, segment.physical, size, segment.memory_size];
            self.program(&mut file, header + entry * (index + 1), 1, fields);
            file.put(at, &segment.data);
            at = (at + segment.data.len()).next_multiple_of(16);
        }
        file.bytes
    }

    /// `p_flags` stands behind the type in class 64, and before the alignment in class 32.
    fn program(&self, file: &mut Buffer, at: usize, kind: u64, fields: [u64; 5]) {
        file.number(at, kind, 4);
        let (first, word) = if self.wide { (8, 8) } else { (4, 4) };
        for (index, field) in fields.into_iter().enumerate() {
            file.number(at + first + index * word, field, word);
        }
    }
}
