//! A symbol table: what name lies at an address, what address has a name.
//!
//! Whoever fills it decides which of several names of one address wins: the first that was pushed.
//! For kallsyms that is the kernel's own choice (`kallsyms_lookup` takes the first alias, and the
//! build ranked them), so addresses read as they do on the console. ELF tables are ranked by the
//! same rule before they are pushed.

use std::sync::OnceLock;

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Below this no kernel has text or data that is looked up by address: per-CPU symbols of x86_64
/// before Linux 6.15 are offsets that start at zero.
const LOWEST_ADDRESS: u64 = 0x10_0000;

/// A symbol as looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its virtual address; an offset for a per-CPU variable of kernels that link them at zero.
    pub address: u64,
    /// Its name.
    pub name: &'a str,
    /// nm's letter: `T`, `d`, … ; capital for a global symbol. `A` is absolute.
    pub kind: char,
    /// Bytes: as the ELF table says, else up to the next higher symbol; 0 unknown.
    pub size: u64,
}

impl Symbol<'_> {
    /// Whether it is in text (`T`, `t`, `W`, `w`).
    pub fn is_text(&self) -> bool {
        matches!(self.kind, 'T' | 't' | 'W' | 'w')
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    address: u64,
    /// Known size, 0 if not.
    size: u64,
    name: u32,
    length: u16,
    kind: u8,
}

impl Entry {
    /// Whether an address can be told by it: it is no constant and no per-CPU offset.
    fn is_located(&self) -> bool {
        !self.kind.eq_ignore_ascii_case(&b'a') && self.address >= LOWEST_ADDRESS
    }
}

/// A table of symbols, sorted by address.
pub struct Symbols {
    names: String,
    missing: Option<u64>,
    /// First the absolute ones, then from `located` on those that answer for addresses, each part
    /// sorted by address and, among equals, as pushed.
    entries: Vec<Entry>,
    located: usize,
    hasher: DefaultHashBuilder,
    by_name: OnceLock<HashTable<u32>>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Collects symbols in any order.
#[derive(Debug, Default)]
pub struct SymbolsBuilder {
    names: String,
    missing: Option<u64>,
    entries: Vec<Entry>,
}

impl SymbolsBuilder {
    /// Makes room.
    pub fn reserve(&mut self, symbols: usize, name_bytes: usize) {
        self.entries.reserve(symbols);
        self.names.reserve(name_bytes);
    }

    /// Adds a symbol; `size` 0 is unknown. Among symbols of one address the first pushed wins.
    /// Ignored are empty names, and names past 4 GiB of them.
    pub fn push(&mut self, address: u64, name: &str, kind: char, size: u64) {
        let mut length = name.len().min(u16::MAX.into());
        while !name.is_char_boundary(length) {
            length -= 1;
        }
        let Ok(start) = u32::try_from(self.names.len()) else { return };
        if length == 0 {
            return;
        }
        self.names.push_str(&name[..length]);
        self.push_named(start, length as u16, address, kind as u8, size);
    }

    fn push_named(&mut self, name: u32, length: u16, address: u64, kind: u8, size: u64) {
        self.entries.push(Entry { address, size, name, length, kind });
    }

    /// Adds symbols whose names already lie in `names`, a blob that replaces the (empty) own one:
    /// each is (address, start, length, kind). Names outside of the blob are left out. One of no
    /// length is known to be there and not what it is called: it answers for no address, and
    /// neither does the one below it. `missing` is where the table could not be read.
    pub(crate) fn from_blob(
        names: String,
        symbols: impl ExactSizeIterator<Item = (u64, u32, u16, u8)>,
        missing: Option<u64>,
    ) -> Self {
        let entries = Vec::with_capacity(symbols.len());
        let mut builder = SymbolsBuilder { names, missing, entries };
        for (address, start, length, kind) in symbols {
            let range = start as usize..start as usize + usize::from(length);
            if builder.names.get(range).is_some() {
                builder.push_named(start, length, address, kind, 0);
            }
        }
        builder
    }

    /// Sorts the table.
    pub fn finish(self) -> Symbols {
        let SymbolsBuilder { names, missing, mut entries } = self;
        let key = |e: &Entry| (e.is_located(), e.address);
        if !entries.is_sorted_by_key(key) {
            entries.sort_by_key(key);
        }
        let located = entries.partition_point(|e| !e.is_located());
        Symbols {
            names,
            missing,
            entries,
            located,
            hasher: DefaultHashBuilder::default(),
            by_name: OnceLock::new(),
        }
    }
}

impl Symbols {
    /// Starts a table.
    pub fn builder() -> SymbolsBuilder {
        SymbolsBuilder::default()
    }

    /// Reads a `System.map`, or any other output of nm: address, letter and name on each line.
    /// None if a line is not like that.
    pub fn from_system_map(text: &str) -> Option<Symbols> {
        let mut builder = Symbols::builder();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            let kind = words.next().filter(|kind| kind.len() == 1)?.chars().next()?;
            builder.push(address, words.next()?, kind, 0);
        }
        Some(builder.finish())
    }

    /// With the data symbols of the file that the kernel was linked into, which lay `bias` bytes
    /// lower: a kernel without `CONFIG_KALLSYMS_ALL` names only its code. What is no address does
    /// not move. Names of its own stay the first of their addresses.
    #[must_use]
    pub fn with_data_of(&self, file: &Symbols, bias: u64) -> Symbols {
        let mut builder = SymbolsBuilder { missing: self.missing, ..Symbols::builder() };
        builder.reserve(self.len() + file.len(), self.names.len() + file.names.len());
        let mut add = |symbols: &Symbols, index: usize, moved: u64| {
            let Some(entry) = symbols.entries.get(index) else { return };
            builder.push(
                entry.address.wrapping_add(moved),
                symbols.text(entry),
                char::from(entry.kind),
                entry.size,
            );
        };
        (0..self.len()).for_each(|index| add(self, index, 0));
        for (index, symbol) in file.entries.iter().enumerate() {
            let moved = if symbol.is_located() { bias } else { 0 };
            let name = file.text(symbol);
            let known =
                |own: usize| self.entries[own].address == symbol.address.wrapping_add(moved);
            let code = matches!(symbol.kind, b'T' | b't' | b'W' | b'w');
            if !code && !self.indexes_of(name).any(known) {
                add(file, index, moved);
            }
        }
        builder.finish()
    }

    /// How many symbols there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Virtual address of a part of the table that could not be read: some names are not known.
    pub fn missing(&self) -> Option<u64> {
        self.missing
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn located(&self) -> &[Entry] {
        self.entries.get(self.located..).unwrap_or(&[])
    }

    fn text(&self, entry: &Entry) -> &str {
        let start = entry.name as usize;
        self.names.get(start..start + usize::from(entry.length)).unwrap_or("")
    }

    fn symbol(&self, index: usize) -> Option<Symbol<'_>> {
        let entry = self.entries.get(index)?;
        let size = match entry.size {
            0 => self.gap(index),
            known => known,
        };
        Some(Symbol {
            address: entry.address,
            name: self.text(entry),
            kind: char::from(entry.kind),
            size,
        })
    }

    /// Bytes up to the next higher address in the same part of the table, 0 for the last.
    fn gap(&self, index: usize) -> u64 {
        let address = self.entries[index].address;
        let part = if index < self.located { ..self.located } else { ..self.entries.len() };
        let rest = &self.entries[part][index..];
        rest.get(rest.partition_point(|e| e.address <= address))
            .map_or(0, |next| next.address - address)
    }

    /// Index of the first symbol with the highest address that is not above `address`.
    fn index_at(&self, address: u64) -> Option<usize> {
        let located = self.located();
        let after = located.partition_point(|e| e.address <= address);
        let found = located.get(after.checked_sub(1)?)?.address;
        Some(self.located + located[..after].partition_point(|e| e.address < found))
    }

    /// The symbol that `address` belongs to: the highest that is not above it. Nothing lies
    /// beyond the last symbol (its size is unknown, and it marks the end of the kernel), unless
    /// its size is known. Absolute and per-CPU symbols never answer, nor does anything where names
    /// are missing.
    pub fn lookup(&self, address: u64) -> Option<Symbol<'_>> {
        let symbol = self.symbol(self.index_at(address)?).filter(|s| !s.name.is_empty())?;
        let last = self.located().last()?.address;
        let inside = symbol.address < last || address - symbol.address < symbol.size.max(1);
        inside.then_some(symbol)
    }

    /// Of the symbols that are no addresses, per-CPU variables linked at zero among them, the
    /// highest that is not above `value`.
    pub fn absolute(&self, value: u64) -> Option<Symbol<'_>> {
        let absolute = self.entries.get(..self.located)?;
        let above = absolute.partition_point(|entry| entry.address <= value);
        let last = absolute.get(above.checked_sub(1)?)?.address;
        self.symbol(absolute.partition_point(|entry| entry.address < last))
    }

    /// Every name of exactly this address, the best first.
    pub fn at(&self, address: u64) -> impl Iterator<Item = Symbol<'_>> {
        let start = self.located + self.located().partition_point(|e| e.address < address);
        (start..self.entries.len())
            .take_while(move |&index| self.entries[index].address == address)
            .filter_map(|index| self.symbol(index))
            .filter(|symbol| !symbol.name.is_empty())
    }

    /// The lowest symbol above `address`.
    pub fn next(&self, address: u64) -> Option<Symbol<'_>> {
        self.symbol(self.located + self.located().partition_point(|e| e.address <= address))
    }

    /// The highest symbol below `address`, the best of its names.
    pub fn prev(&self, address: u64) -> Option<Symbol<'_>> {
        self.symbol(self.index_at(address.checked_sub(1)?)?)
    }

    fn name_index(&self) -> &HashTable<u32> {
        self.by_name.get_or_init(|| {
            let hash = |&index: &u32| {
                self.hasher.hash_one(self.text(&self.entries[index as usize]).as_bytes())
            };
            let mut table = HashTable::with_capacity(self.entries.len());
            for index in 0..self.entries.len().try_into().unwrap_or(u32::MAX) {
                table.insert_unique(hash(&index), index, hash);
            }
            table
        })
    }

    /// The global symbol of that name, else the lowest local one.
    pub fn by_name(&self, name: &str) -> Option<Symbol<'_>> {
        let found = self.indexes_of(name);
        let global = found.clone().filter(|&i| self.entries[i].kind.is_ascii_uppercase()).min();
        self.symbol(global.or_else(|| found.min())?)
    }

    /// Every symbol of that name by address, absolute ones first.
    pub fn all_by_name(&self, name: &str) -> Vec<Symbol<'_>> {
        let mut found: Vec<usize> = self.indexes_of(name).collect();
        found.sort_unstable();
        found.into_iter().filter_map(|index| self.symbol(index)).collect()
    }

    fn indexes_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + Clone + 'a {
        self.name_index()
            .iter_hash(self.hasher.hash_one(name.as_bytes()))
            .map(|&index| index as usize)
            .filter(move |&index| self.text(&self.entries[index]) == name)
    }

    /// Every symbol: the absolute and per-CPU ones, then the others, by address.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        let all = (0..self.entries.len()).filter_map(|index| self.symbol(index));
        all.filter(|symbol| !symbol.name.is_empty())
    }

    /// Every symbol whose name contains `part`.
    pub fn iter_name_contains<'a>(&'a self, part: &str) -> impl Iterator<Item = Symbol<'a>> {
        let finder = memchr::memmem::Finder::new(part).into_owned();
        (0..self.entries.len())
            .filter(move |&i| finder.find(self.text(&self.entries[i]).as_bytes()).is_some())
            .filter_map(|index| self.symbol(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: u64 = 0xffff_ffff_8100_0000;

    fn table() -> Symbols {
        let mut builder = Symbols::builder();
        for (address, name, kind) in [
            (TEXT + 0x40, "second", 't'),
            (0x1000, "runqueues", 'A'),
            (TEXT, "_stext", 'T'),
            (TEXT, "startup_64", 'T'),
            (0x30, "cpu_info", 'D'),
            (TEXT + 0x80, "second", 'T'),
            (TEXT + 0x80, "", 'T'),
            (TEXT + 0x100, "_end", 'B'),
        ] {
            builder.push(address, name, kind, 0);
        }
        builder.finish()
    }

    #[test]
    fn a_table_of_code_is_completed_from_the_file() {
        const LINKED: u64 = 0xc100_0000;
        let table = |symbols: &[(u64, &str, char)]| {
            let mut builder = Symbols::builder();
            symbols.iter().for_each(|(at, name, kind)| builder.push(*at, name, *kind, 0));
            builder.finish()
        };
        let own = table(&[(LINKED + 0x1000, "_stext", 'T'), (LINKED + 0x1100, "f", 't')]);
        let file = table(&[
            (LINKED, "_stext", 'T'),
            (LINKED + 0x80, "label", 't'),
            (LINKED + 0x500, "init_task", 'D'),
            (0x20, "per_cpu_at_zero", 'D'),
            (LINKED + 0x100, "f", 'D'),
        ]);
        let all = own.with_data_of(&file, 0x1000);
        let at = |name: &str| all.by_name(name).map(|symbol| symbol.address);
        assert_eq!(at("init_task"), Some(LINKED + 0x1500));
        assert_eq!((at("per_cpu_at_zero"), at("label")), (Some(0x20), None));
        assert_eq!(all.all_by_name("f").len(), 1, "known already");
        assert_eq!(all.lookup(LINKED + 0x1100).map(|symbol| symbol.name), Some("f"));
    }

    #[test]
    fn an_address_belongs_to_the_first_name_of_the_highest_symbol_below() {
        let symbols = table();
        let at = |address| symbols.lookup(address).map(|s| (s.name, s.address, s.size));
        assert_eq!(at(TEXT), Some(("_stext", TEXT, 0x40)));
        assert_eq!(at(TEXT + 0x3f), Some(("_stext", TEXT, 0x40)));
        assert_eq!(at(TEXT + 0xff), Some(("second", TEXT + 0x80, 0x80)));
        assert_eq!(symbols.at(TEXT).map(|s| s.name).collect::<Vec<_>>(), ["_stext", "startup_64"]);
    }

    #[test]
    fn nothing_lies_below_the_kernel_or_beyond_its_end() {
        let symbols = table();
        for address in [0, 0x30, 0x1008, TEXT - 1, TEXT + 0x101, u64::MAX] {
            assert_eq!(symbols.lookup(address), None, "{address:#x}");
        }
        assert_eq!(symbols.lookup(TEXT + 0x100).unwrap().name, "_end");
        assert!(Symbols::builder().finish().lookup(TEXT).is_none());
    }

    #[test]
    fn a_system_map() {
        let map = "ffffffff81000000 T _text\nffffffff81000040 t second\nffffffff82000000 B _end\n";
        let symbols = Symbols::from_system_map(map).unwrap();
        assert_eq!(symbols.lookup(TEXT + 0x44).unwrap().name, "second");
        assert!(Symbols::from_system_map("[    0.000000] Linux version\n").is_none());
        assert!(Symbols::from_system_map("").unwrap().is_empty());
    }

    #[test]
    fn a_known_size_ends_the_last_symbol() {
        let mut builder = Symbols::builder();
        builder.push(TEXT, "init_module", 't', 0x20);
        let symbols = builder.finish();
        assert!(symbols.lookup(TEXT + 0x1f).is_some());
        assert!(symbols.lookup(TEXT + 0x20).is_none());
    }

    #[test]
    fn names_lead_to_addresses_even_per_cpu_ones() {
        let symbols = table();
        assert_eq!(symbols.by_name("runqueues").unwrap().address, 0x1000);
        assert_eq!(symbols.by_name("cpu_info").unwrap().address, 0x30);
        // The global one of two.
        assert_eq!(symbols.by_name("second").unwrap().address, TEXT + 0x80);
        assert_eq!(symbols.all_by_name("second").len(), 2);
        assert_eq!(symbols.by_name("sec"), None);
        assert_eq!(symbols.iter_name_contains("_e").map(|s| s.name).collect::<Vec<_>>(), ["_end"]);
        assert_eq!(symbols.len(), 7);
    }

    #[test]
    fn neighbours_step_over_aliases() {
        let symbols = table();
        assert_eq!(symbols.next(TEXT).unwrap().address, TEXT + 0x40);
        assert_eq!(symbols.prev(TEXT + 0x40).unwrap().name, "_stext");
        assert_eq!(symbols.prev(TEXT), None);
        assert_eq!(symbols.next(TEXT + 0x100), None);
    }
}
