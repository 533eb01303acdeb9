//! The index of a debug file: which unit, function and unwind entry an address has, and where
//! the types and variables of a name are.
//!
//! It is made once ([`build`]) and kept under the cache directory as the bytes that [`Index`] reads
//! where they lie. Layout, little-endian throughout: a [`Header`], then the tables one after the
//! other, each of records of fixed size, sorted by their first field. A CRC guards against
//! damage; a file that is not whole, of another version or another `vmlinux` is made anew.

use std::ops::Deref;

use super::scan::EntryKind;

/// Grows with every change of the layout or of what is put in.
const VERSION: u32 = 3;
const MAGIC: [u8; 8] = *b"necroidx";

/// The tables in the order of the file, with the bytes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    /// Offset of a unit's header in `.debug_info`: u32.
    Units = 0,
    /// Addresses of a unit: start u64, end u64, unit's offset u32, 0 u32.
    Ranges = 1,
    /// Addresses of a function, or of a piece of one: start u64, size u32, entry's offset u32.
    Functions = 2,
    /// Unwind entries: start u64, size u32, offset in `.debug_frame` u32.
    Frames = 3,
    /// Names: hash u32 with the kind in the low four bits, entry's offset u32.
    Names = 4,
}

const SIZES: [usize; 5] = [4, 24, 16, 16, 8];
/// Magic, version, CRC of all that follows it, length of `.debug_info`, address of `_stext`, five
/// counts, length of the key.
const HEADER: usize = 8 + 4 + 4 + 8 + 8 + 5 * 4 + 4;
const COUNTS: usize = 32;
/// Where the bytes begin that the CRC is of.
const CHECKED: usize = 16;

/// What was found in a debug file, before it becomes bytes.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) units: Vec<u32>,
    pub(super) ranges: Vec<(u64, u64, u32)>,
    pub(super) functions: Vec<(u64, u32, u32)>,
    pub(super) frames: Vec<(u64, u32, u32)>,
    pub(super) names: Vec<(u32, u32)>,
    /// Where the kernel's text was linked, by which its distance to the running one is told; 0 if
    /// that is not known.
    pub(super) stext: u64,
}

/// The bytes of an index.
pub type IndexBytes = Box<dyn Deref<Target = [u8]> + Send + Sync>;

/// An index, in memory or mapped.
pub(super) struct Index {
    bytes: IndexBytes,
    /// Where each table begins, and one past the last.
    starts: [usize; 6],
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// The field of a name in the table: its hash, with the kind in the low bits.
pub(super) fn name_key(name: &[u8], kind: EntryKind) -> u32 {
    // FNV-1a: it must stay the same from run to run.
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    ((hash >> 32) as u32 ^ hash as u32) & !0xf | kind as u32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// The bytes of an index of the file known by `key` (its build ID), whose `.debug_info` has
/// `info` bytes. The tables are sorted here.
pub(super) fn write(mut parts: Parts, key: &[u8], info: u64) -> Vec<u8> {
    parts.units.sort_unstable();
    parts.ranges.sort_unstable();
    parts.functions.sort_unstable();
    parts.frames.sort_unstable();
    parts.names.sort_unstable();
    let counts = [
        parts.units.len(),
        parts.ranges.len(),
        parts.functions.len(),
        parts.frames.len(),
        parts.names.len(),
    ];
    let total: usize = counts.iter().zip(SIZES).map(|(count, size)| count * size).sum();
    let mut out = Vec::with_capacity(HEADER + key.len() + total);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend([0; 4]);
    out.extend(info.to_le_bytes());
    out.extend(parts.stext.to_le_bytes());
    counts.iter().for_each(|&count| out.extend((count as u32).to_le_bytes()));
    out.extend((key.len() as u32).to_le_bytes());
    out.extend(key);
    parts.units.iter().for_each(|unit| out.extend(unit.to_le_bytes()));
    for (start, end, unit) in parts.ranges {
        out.extend(start.to_le_bytes());
        out.extend(end.to_le_bytes());
        out.extend(u64::from(unit).to_le_bytes());
    }
    for (start, size, at) in parts.functions.into_iter().chain(parts.frames) {
        out.extend(start.to_le_bytes());
        out.extend(size.to_le_bytes());
        out.extend(at.to_le_bytes());
    }
    for (key, die) in parts.names {
        out.extend(key.to_le_bytes());
        out.extend(die.to_le_bytes());
    }
    let crc = crc32fast::hash(&out[CHECKED..]);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
    out
}

impl Index {
    /// Takes bytes that [`write`] made. None if they are not whole, of another version, or of
    /// another file than `key` and `info` say.
    pub(super) fn open(bytes: IndexBytes, key: &[u8], info: u64) -> Option<Index> {
        let header = bytes.get(..HEADER)?;
        if header[..8] != MAGIC || u32_at(header, 8) != VERSION || u64_at(header, 16) != info {
            return None;
        }
        let key_size = u32_at(header, HEADER - 4) as usize;
        if bytes.get(HEADER..HEADER.checked_add(key_size)?)? != key {
            return None;
        }
        let mut starts = [HEADER + key_size; 6];
        for table in 0..5 {
            let count = u32_at(header, COUNTS + 4 * table) as usize;
            starts[table + 1] = starts[table].checked_add(count.checked_mul(SIZES[table])?)?;
        }
        let checked = bytes.get(CHECKED..starts[5])?;
        if bytes.len() != starts[5] || crc32fast::hash(checked) != u32_at(header, 12) {
            return None;
        }
        Some(Index { bytes, starts })
    }

    /// An index that was just made.
    pub(super) fn made(bytes: Vec<u8>) -> Index {
        let key_size = u32_at(&bytes, HEADER - 4) as usize;
        let mut starts = [HEADER + key_size; 6];
        for table in 0..5 {
            let count = u32_at(&bytes, COUNTS + 4 * table) as usize;
            starts[table + 1] = starts[table] + count * SIZES[table];
        }
        Index { bytes: Box::new(bytes), starts }
    }

    /// Address of `_stext`, if the file has it.
    pub(super) fn stext(&self) -> Option<u64> {
        Some(u64_at(&self.bytes, 24)).filter(|address| *address != 0)
    }

    fn table(&self, table: Table) -> &[u8] {
        let index = table as usize;
        self.bytes.get(self.starts[index]..self.starts[index + 1]).unwrap_or(&[])
    }

    /// Number of records of which `before` is true: they are the first.
    fn partition(&self, table: Table, before: impl Fn(&[u8]) -> bool) -> usize {
        let (bytes, size) = (self.table(table), SIZES[table as usize]);
        let (mut low, mut high) = (0, bytes.len() / size);
        while low < high {
            let middle = (low + high) / 2;
            match bytes.get(middle * size..) {
                Some(record) if before(record) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    fn record(&self, table: Table, index: usize) -> Option<&[u8]> {
        let size = SIZES[table as usize];
        self.table(table).get(index.checked_mul(size)?..)?.get(..size)
    }

    pub(super) fn unit_count(&self) -> usize {
        self.table(Table::Units).len() / SIZES[0]
    }

    /// Number and offset of the unit that an offset in `.debug_info` lies in.
    pub(super) fn unit_of(&self, die: u32) -> Option<(usize, u32)> {
        let index = self.partition(Table::Units, |r| u32_at(r, 0) <= die).checked_sub(1)?;
        Some((index, u32_at(self.record(Table::Units, index)?, 0)))
    }

    /// Offset of the unit that has code at an address.
    pub(super) fn unit_at(&self, address: u64) -> Option<u32> {
        let after = self.partition(Table::Ranges, |r| u64_at(r, 0) <= address);
        // Ranges do not overlap, but for units that the linker dropped.
        (after.saturating_sub(8)..after).rev().find_map(|index| {
            let record = self.record(Table::Ranges, index)?;
            (address < u64_at(record, 8)).then(|| u32_at(record, 16))
        })
    }

    fn spanning(&self, table: Table, address: u64) -> Option<u32> {
        let after = self.partition(table, |r| u64_at(r, 0) <= address);
        (after.saturating_sub(8)..after).rev().find_map(|index| {
            let record = self.record(table, index)?;
            let inside = address.wrapping_sub(u64_at(record, 0)) < u64::from(u32_at(record, 8));
            inside.then(|| u32_at(record, 12))
        })
    }

    /// The function's entry at an address: its offset in `.debug_info`.
    pub(super) fn function_at(&self, address: u64) -> Option<u32> {
        self.spanning(Table::Functions, address)
    }

    /// The unwind entry of an address: its offset in `.debug_frame`.
    pub(super) fn frame_at(&self, address: u64) -> Option<u32> {
        self.spanning(Table::Frames, address)
    }

    /// Entries that may be called `name`: another may have the same hash.
    pub(super) fn named(&self, name: &[u8], kind: EntryKind) -> impl Iterator<Item = u32> + '_ {
        let key = name_key(name, kind);
        let first = self.partition(Table::Names, |r| u32_at(r, 0) < key);
        (first..)
            .map_while(move |index| self.record(Table::Names, index))
            .take_while(move |record| u32_at(record, 0) == key)
            .map(|record| u32_at(record, 4))
    }

    /// Every entry of a kind.
    pub(super) fn of_kind(&self, kind: EntryKind) -> impl Iterator<Item = u32> + '_ {
        self.table(Table::Names)
            .chunks_exact(8)
            .filter(move |record| u32_at(record, 0) & 0xf == kind as u32)
            .map(|record| u32_at(record, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let parts = Parts {
            units: vec![0, 100, 200],
            ranges: vec![(0x2000, 0x2100, 100), (0x1000, 0x1100, 0)],
            functions: vec![(0x1000, 0x20, 50), (0x2010, 0x10, 150)],
            frames: vec![(0x1000, 0x20, 24)],
            stext: 0x1000,
            names: vec![
                (name_key(b"task_struct", EntryKind::Struct), 70),
                (name_key(b"task_struct", EntryKind::Typedef), 90),
            ],
        };
        write(parts, b"id", 300)
    }

    #[test]
    fn what_was_written_is_found() {
        let index = Index::open(Box::new(sample()), b"id", 300).unwrap();
        assert_eq!((index.unit_count(), index.stext()), (3, Some(0x1000)));
        assert_eq!(index.unit_of(150), Some((1, 100)));
        assert_eq!(index.unit_at(0x20ff), Some(100));
        assert_eq!(index.unit_at(0x2100), None);
        assert_eq!(index.function_at(0x101f), Some(50));
        assert_eq!(index.function_at(0x1020), None);
        assert_eq!(index.frame_at(0x1001), Some(24));
        let named: Vec<_> = index.named(b"task_struct", EntryKind::Struct).collect();
        assert_eq!(named, [70]);
        assert_eq!(index.of_kind(EntryKind::Typedef).collect::<Vec<_>>(), [90]);
    }

    #[test]
    fn a_torn_or_foreign_index_is_none() {
        let good = sample();
        for cut in 0..good.len() {
            assert!(Index::open(Box::new(good[..cut].to_vec()), b"id", 300).is_none(), "{cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(Index::open(Box::new(bad), b"id", 300).is_none(), "{at}");
        }
        assert!(Index::open(Box::new(good.clone()), b"other", 300).is_none());
        assert!(Index::open(Box::new(good), b"id", 301).is_none());
    }
}
