//! ELF symbol tables as an illumos kernel keeps them: that of the whole kernel (`/dev/ksyms`, which
//! every dump carries) and each module's own. All values are addresses.
//!
//! What address has which name follows mdb's rules: the nearest symbol that is not above the
//! address, if the address lies within its size or its size is not known.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use memchr::memchr;

use crate::bytes::{byte, u16_le, u32_le, u64_le};

/// Bytes of an `Elf64_Sym`.
const ENTRY: usize = 24;
const SECTION_HEADER: usize = 64;
const SHT_SYMTAB: u32 = 2;

/// Bytes behind a symbol of unknown size that are taken to belong to it: entries of assembler code
/// have none, and neither have constants that stand in the table as if they were addresses.
const UNSIZED_REACH: u64 = 1 << 16;

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SymbolType {
    /// Nothing that is known.
    None,
    /// A variable.
    Object,
    /// A function.
    Function,
    /// A section.
    Section,
    /// A source file.
    File,
    /// Anything else.
    Other,
}

/// A symbol of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElfSymbol<'a> {
    /// Its address.
    pub address: u64,
    /// Bytes; 0 unknown.
    pub size: u64,
    /// Its name.
    pub name: &'a str,
    /// What it names.
    pub kind: SymbolType,
    /// Whether it is global or weak.
    pub is_global: bool,
    /// Whether it is weak.
    pub is_weak: bool,
    /// Not defined here.
    pub is_undefined: bool,
    /// Of no section.
    pub is_absolute: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    address: u64,
    size: u64,
    name: u32,
    info: u8,
    section: u16,
}

impl Entry {
    fn kind(&self) -> SymbolType {
        match self.info & 0xf {
            0 => SymbolType::None,
            1 => SymbolType::Object,
            2 => SymbolType::Function,
            3 => SymbolType::Section,
            4 => SymbolType::File,
            _ => SymbolType::Other,
        }
    }
}

/// A symbol table.
pub struct ElfSymbols {
    names: String,
    entries: Vec<Entry>,
    by_address: Vec<u32>,
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl std::fmt::Debug for ElfSymbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ElfSymbols").field("len", &self.entries.len()).finish_non_exhaustive()
    }
}

impl ElfSymbols {
    /// A table from the bytes of its entries and its strings.
    pub fn new(symbols: &[u8], strings: &[u8]) -> ElfSymbols {
        let names = match std::str::from_utf8(strings) {
            Ok(text) => text.to_owned(),
            Err(_) => strings.iter().map(|&b| if b.is_ascii() { b as char } else { '?' }).collect(),
        };
        let entries: Vec<Entry> = symbols
            .chunks_exact(ENTRY)
            .filter_map(|entry| {
                Some(Entry {
                    name: u32_le(entry, 0)?,
                    info: byte(entry, 4)?,
                    section: u16_le(entry, 6)?,
                    address: u64_le(entry, 8)?,
                    size: u64_le(entry, 16)?,
                })
            })
            .collect();
        let mut table = ElfSymbols {
            names,
            entries,
            by_address: Vec::new(),
            by_name: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        table.make_indexes();
        table
    }

    /// The symbol table of an ELF file: the image that every dump carries.
    pub fn from_elf(image: &[u8]) -> Option<ElfSymbols> {
        if !image.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let table = u64_le(image, 40)? as usize;
        let count = usize::from(u16_le(image, 60)?);
        let section = |index: usize| {
            let start = index.checked_mul(SECTION_HEADER)?.checked_add(table)?;
            image.get(start..start.checked_add(SECTION_HEADER)?)
        };
        let bytes = |header: &[u8]| {
            let (offset, size) = (u64_le(header, 24)? as usize, u64_le(header, 32)? as usize);
            // What is cut away is missing; the rest of the table is as good as before.
            let end = offset.checked_add(size)?.min(image.len());
            image.get(offset.min(end)..end)
        };
        let symbols =
            (0..count).filter_map(section).find(|header| u32_le(header, 4) == Some(SHT_SYMTAB))?;
        let strings = section(u32_le(symbols, 40)? as usize)?;
        Some(ElfSymbols::new(bytes(symbols)?, bytes(strings)?))
    }

    fn make_indexes(&mut self) {
        let named = |entry: &Entry| {
            !matches!(entry.kind(), SymbolType::Section | SymbolType::File)
                && entry.section != 0
                && !self.text(entry.name).is_empty()
        };
        let mut order: Vec<u32> = (0..self.entries.len() as u32)
            .filter(|&at| named(&self.entries[at as usize]))
            .collect();
        let hash =
            |at: &u32| self.hasher.hash_one(self.text(self.entries[*at as usize].name).as_bytes());
        let mut by_name = HashTable::with_capacity(order.len());
        for &at in &order {
            by_name.insert_unique(hash(&at), at, hash);
        }
        // Of several at one address the best name comes last: the search finds it first.
        order.sort_by(|&a, &b| {
            let (a, b) = (&self.entries[a as usize], &self.entries[b as usize]);
            a.address.cmp(&b.address).then_with(|| self.rank(b).cmp(&self.rank(a)))
        });
        self.by_address = order;
        self.by_name = by_name;
    }

    /// The lowest is the best name for an address: functions, then globals, then those with few
    /// leading underscores.
    fn rank(&self, entry: &Entry) -> (bool, bool, usize, &str) {
        let name = self.text(entry.name);
        let underscores = name.len() - name.trim_start_matches('_').len();
        (entry.kind() != SymbolType::Function, entry.info >> 4 == 0, underscores, name)
    }

    fn text(&self, offset: u32) -> &str {
        let Some(rest) = self.names.get(offset as usize..) else { return "" };
        &rest[..memchr(0, rest.as_bytes()).unwrap_or(rest.len())]
    }

    fn symbol(&self, entry: &Entry) -> ElfSymbol<'_> {
        ElfSymbol {
            address: entry.address,
            size: entry.size,
            name: self.text(entry.name),
            kind: entry.kind(),
            is_global: entry.info >> 4 != 0,
            is_weak: entry.info >> 4 == 2,
            is_undefined: entry.section == 0,
            is_absolute: entry.section == 0xfff1,
        }
    }

    /// How many symbols there are, nameless ones included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All symbols with their numbers, as the table has them.
    pub fn in_file_order(&self) -> impl Iterator<Item = (u32, ElfSymbol<'_>)> {
        self.entries.iter().enumerate().map(|(at, entry)| (at as u32, self.symbol(entry)))
    }

    /// Named symbols by address.
    pub fn by_address(&self) -> impl DoubleEndedIterator<Item = ElfSymbol<'_>> {
        self.by_address.iter().map(|&at| self.symbol(&self.entries[at as usize]))
    }

    /// The symbol of that number.
    pub fn get(&self, number: u32) -> Option<ElfSymbol<'_>> {
        self.entries.get(number as usize).map(|entry| self.symbol(entry))
    }

    /// Every symbol of that name, global ones first.
    pub fn all_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u32, ElfSymbol<'a>)> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let mut found: Vec<u32> = self
            .by_name
            .iter_hash(hash)
            .copied()
            .filter(|&at| self.text(self.entries[at as usize].name) == name)
            .collect();
        found.sort_by_key(|&at| (self.entries[at as usize].info >> 4 == 0, at));
        found.into_iter().map(|at| (at, self.symbol(&self.entries[at as usize])))
    }

    /// The symbol of that name, a global one before others.
    pub fn by_name<'a>(&'a self, name: &'a str) -> Option<ElfSymbol<'a>> {
        self.all_named(name).next().map(|(_, symbol)| symbol)
    }

    /// The symbol that `address` belongs to.
    pub fn lookup(&self, address: u64) -> Option<ElfSymbol<'_>> {
        let after =
            self.by_address.partition_point(|&at| self.entries[at as usize].address <= address);
        let entry = &self.entries[*self.by_address.get(after.checked_sub(1)?)? as usize];
        let reach = if entry.size == 0 { UNSIZED_REACH } else { entry.size };
        let inside = address - entry.address < reach;
        inside.then(|| self.symbol(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: u32, info: u8, address: u64, size: u64) -> Vec<u8> {
        let mut bytes = name.to_le_bytes().to_vec();
        bytes.extend([info, 0, 0xf1, 0xff]);
        bytes.extend(address.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes
    }

    #[test]
    fn the_nearest_symbol_answers_within_its_size() {
        let strings = b"\0panic\0_panic\0edata\0";
        let symbols = [
            entry(0, 0, 0, 0),
            entry(7, 0x12, 0x1000, 0x20),
            entry(1, 0x12, 0x1000, 0x20),
            entry(14, 0x10, 0x2000, 0),
        ]
        .concat();
        let table = ElfSymbols::new(&symbols, strings);
        assert_eq!(table.lookup(0x1005).unwrap().name, "panic");
        assert!(table.lookup(0x1020).is_none());
        assert_eq!(table.lookup(0x9000).unwrap().name, "edata");
        assert!(table.lookup(0x20_0000).is_none());
        assert!(table.lookup(0xfff).is_none());
        assert_eq!(table.by_name("_panic").unwrap().address, 0x1000);
    }
}
