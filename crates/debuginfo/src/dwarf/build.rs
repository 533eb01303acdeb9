//! Makes the index of a debug file: one parallel pass over its units.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use gimli::{CieOrFde, DebugInfoOffset, SectionId, UnwindSection};
use hashbrown::HashMap;

use super::{
    file::{DebugFile, Slice},
    index::{Parts, name_key},
    scan::{EntryKind, Found, NameAt, Shapes, UnitAt},
    sections,
};

/// Types of one name and kind that differ in size and are all kept: two files may each have a
/// `struct entry` of their own.
const MAX_SIZES: usize = 8;

/// What tells types apart: kind, name, bytes, line of the declaration.
type Key = (EntryKind, u32, u32, u32);

/// What one thread has found.
#[derive(Default)]
struct Batch {
    functions: Vec<(u64, u32, u32)>,
    ranges: Vec<(u64, u64, u32)>,
    scattered: Vec<(u32, u32)>,
    /// By kind, name in `.debug_str`, size and line: the first entry.
    named: HashMap<Key, u32>,
    /// The same of names that stand in `.debug_info`, by the key of the name.
    short: HashMap<Key, u32>,
    /// Addresses below are of code that is nowhere.
    lowest: u64,
    /// Names whose place only gimli can tell, and all of `.debug_info`.
    other: Vec<(EntryKind, u32, u32)>,
}

/// Looks through the file. What is damaged is left out, a unit at a time.
pub(super) fn build(file: &DebugFile) -> Parts {
    let dwarf = sections(file);
    let units = units(file, &dwarf);
    // Threads of our own: those who ask for an index may be workers of a pool, and wait for it.
    let (batches, frames, ranges) = thread::scope(|scope| {
        let frames = scope.spawn(|| frames(file));
        let batches = scan_all(file, &units);
        let ranges = ranges(&dwarf, &units, file.lowest_code());
        (batches, frames.join().unwrap_or_default(), ranges)
    });
    let mut parts = Parts {
        units: units.iter().map(|unit| unit.offset).collect(),
        ranges,
        frames,
        stext: file.address_of("_stext").unwrap_or(0),
        ..Parts::default()
    };
    let mut named: HashMap<Key, u32> = HashMap::new();
    let strings = file.section(SectionId::DebugStr);
    for batch in batches {
        parts.functions.extend(batch.functions);
        parts.ranges.extend(batch.ranges);
        for ((kind, name, size, line), die) in batch.named {
            if let Some(text) = text(&strings, name).filter(|text| !text.is_empty()) {
                keep(&mut named, (kind, name_key(text, kind), size, line), die);
            }
        }
        for (key, die) in batch.short {
            keep(&mut named, key, die);
        }
        for (kind, key, die) in batch.other {
            keep(&mut named, (kind, key, 0, 0), die);
        }
    }
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    let mut names: Vec<(Key, u32)> = named.into_iter().collect();
    names.sort_unstable_by_key(|&(_, die)| die);
    for ((_, key, _, _), die) in names {
        let count = sizes.entry(key).or_default();
        *count += 1;
        // Variables of one name are all meant.
        if *count <= MAX_SIZES || key & 0xf == EntryKind::Variable as u32 {
            parts.names.push((key, die));
        }
    }
    parts
}

/// The first of equal entries, whichever thread came across it.
fn keep(named: &mut HashMap<Key, u32>, key: Key, die: u32) {
    named.entry(key).and_modify(|first| *first = die.min(*first)).or_insert(die);
}

fn text<'a>(section: &Slice<'a>, at: u32) -> Option<&'a [u8]> {
    let rest = section.slice().get(at as usize..)?;
    Some(&rest[..memchr::memchr(0, rest)?])
}

/// The units of the 32-bit format: no kernel is built in the other.
fn units(file: &DebugFile, dwarf: &gimli::Dwarf<Slice<'_>>) -> Vec<UnitAt> {
    let mut units: Vec<UnitAt> = Vec::new();
    let mut headers = dwarf.units();
    let mut released = 0;
    while let Ok(Some(header)) = headers.next() {
        if header.format() != gimli::Format::Dwarf32 {
            continue;
        }
        let Some(DebugInfoOffset(offset)) = header.debug_info_offset() else { continue };
        let unit = (|| {
            Some(UnitAt {
                offset: u32::try_from(offset).ok()?,
                entries: u32::try_from(offset.checked_add(header.header_size())?).ok()?,
                end: u32::try_from(offset.checked_add(header.length_including_self())?).ok()?,
                abbrevs: u32::try_from(header.debug_abbrev_offset().0).ok()?,
                version: header.version(),
                address_size: header.address_size(),
            })
        })();
        units.extend(unit);
        // One header brings sixteen pages in.
        if offset - released > RELEASE_BYTES {
            file.release(SectionId::DebugInfo, released..offset);
            released = offset;
        }
    }
    units
}

/// Bytes of `.debug_info` that are gone through before their memory is given back.
const RELEASE_BYTES: usize = 16 << 20;

/// Units are handed out in so many portions.
const PORTIONS: usize = 64;

fn scan_all(file: &DebugFile, units: &[UnitAt]) -> Vec<Batch> {
    let portions: Vec<&[UnitAt]> = units.chunks(units.len().div_ceil(PORTIONS).max(1)).collect();
    let next = AtomicUsize::new(0);
    let batches = Mutex::new(Vec::new());
    let work = || {
        let mut shapes = Shapes::default();
        while let Some(units) = portions.get(next.fetch_add(1, Ordering::Relaxed)) {
            let batch = scan(file, &mut shapes, units);
            batches.lock().unwrap_or_else(|error| error.into_inner()).push(batch);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(portions.len());
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    batches.into_inner().unwrap_or_else(|error| error.into_inner())
}

fn scan(file: &DebugFile, shapes: &mut Shapes, units: &[UnitAt]) -> Batch {
    let info = file.section(SectionId::DebugInfo);
    let abbrev = file.section(SectionId::DebugAbbrev);
    let dwarf = sections(file);
    let mut batch = Batch { lowest: file.lowest_code(), ..Batch::default() };
    for unit in units {
        let first = batch.other.len();
        let mut note = |found| batch.note(&info, unit, found);
        shapes.scan(info.slice(), abbrev.slice(), unit, &mut note);
        batch.resolve(&dwarf, unit, first);
    }
    if let (Some(first), Some(last)) = (units.first(), units.last()) {
        // The pass touches nearly all of the section, and nobody else soon will.
        file.release(SectionId::DebugInfo, first.offset as usize..last.end as usize);
    }
    batch
}

impl Batch {
    fn note(&mut self, info: &Slice<'_>, unit: &UnitAt, found: Found) {
        match found {
            Found::Function { die, start, size } if start >= self.lowest => {
                if let Ok(size) = u32::try_from(size) {
                    self.functions.push((start, size, die));
                }
            }
            Found::Function { .. } => {}
            Found::Scattered { die } => self.scattered.push((unit.offset, die)),
            Found::Named { kind, name, die, size, line } => {
                // Statics of one name are different variables in each unit.
                let size = if kind == EntryKind::Variable { die } else { size };
                match name {
                    NameAt::Str(at) => {
                        self.named.entry((kind, at, size, line)).or_insert(die);
                    }
                    // Hashed while its page is at hand.
                    NameAt::Info(at) => {
                        if let Some(text) = text(info, at).filter(|text| !text.is_empty()) {
                            let key = (kind, name_key(text, kind), size, line);
                            self.short.entry(key).or_insert(die);
                        }
                    }
                    NameAt::Indirect => self.other.push((kind, unit.offset, die)),
                }
            }
        }
    }

    /// Deals with what takes the tables of a unit: its part of `other` begins at `first`.
    fn resolve(&mut self, dwarf: &gimli::Dwarf<Slice<'_>>, at: &UnitAt, first: usize) {
        let indirect = self.other.split_off(first.min(self.other.len()));
        let scattered = std::mem::take(&mut self.scattered);
        if indirect.is_empty() && scattered.is_empty() {
            return;
        }
        let header = dwarf.unit_header(DebugInfoOffset(at.offset as usize));
        let Ok(unit) = header.and_then(|header| dwarf.unit(header)) else { return };
        let entry = |die: u32| {
            let inside = die.checked_sub(at.offset)?;
            unit.entry(gimli::UnitOffset(inside as usize)).ok()
        };
        for (kind, _, die) in indirect {
            let name = match kind {
                EntryKind::Constants => first_name_inside(&unit, die.saturating_sub(at.offset)),
                _ => entry(die).and_then(|entry| entry.attr_value(gimli::DW_AT_name)),
            }
            .and_then(|name| dwarf.attr_string(&unit, name).ok());
            if let Some(name) = name {
                self.other.push((kind, name_key(name.slice(), kind), die));
            }
        }
        for (_, die) in scattered {
            let Some(entry) = entry(die) else { continue };
            let Ok(mut pieces) = dwarf.die_ranges(&unit, &entry) else { continue };
            for _ in 0..MAX_PIECES {
                let Ok(Some(piece)) = pieces.next() else { break };
                if let Ok(size) = u32::try_from(piece.end.saturating_sub(piece.begin))
                    && piece.begin >= self.lowest
                    && size > 0
                {
                    self.functions.push((piece.begin, size, die));
                }
            }
        }
    }
}

/// The name of what an entry holds first.
fn first_name_inside<'a>(
    unit: &gimli::Unit<Slice<'a>>,
    entry: u32,
) -> Option<gimli::AttributeValue<Slice<'a>>> {
    let mut tree = unit.entries_tree(Some(gimli::UnitOffset(entry as usize))).ok()?;
    let mut children = tree.root().ok()?.children();
    children.next().ok()??.entry().attr_value(gimli::DW_AT_name)
}

/// Pieces of one function, and of one unit: a unit has one for each section of its own.
const MAX_PIECES: usize = 1 << 16;

/// The addresses of the units: from `.debug_aranges`, and of those that it leaves out from their
/// own entries.
fn ranges(dwarf: &gimli::Dwarf<Slice<'_>>, units: &[UnitAt], lowest: u64) -> Vec<(u64, u64, u32)> {
    let mut ranges = Vec::new();
    let mut told = hashbrown::HashSet::new();
    let mut headers = dwarf.debug_aranges.headers();
    while let Ok(Some(header)) = headers.next() {
        let Ok(unit) = u32::try_from(header.debug_info_offset().0) else { continue };
        told.insert(unit);
        let mut entries = header.entries();
        while let Ok(Some(entry)) = entries.next() {
            let range = entry.range();
            if range.begin >= lowest && range.end > range.begin {
                ranges.push((range.begin, range.end, unit));
            }
        }
    }
    for at in units.iter().filter(|unit| !told.contains(&unit.offset)) {
        let header = dwarf.unit_header(DebugInfoOffset(at.offset as usize));
        if let Ok(unit) = header.and_then(|header| dwarf.unit(header))
            && let Ok(mut pieces) = dwarf.unit_ranges(&unit)
        {
            for _ in 0..MAX_PIECES {
                let Ok(Some(piece)) = pieces.next() else { break };
                if piece.begin >= lowest && piece.end > piece.begin {
                    ranges.push((piece.begin, piece.end, at.offset));
                }
            }
        }
    }
    ranges
}

fn frames(file: &DebugFile) -> Vec<(u64, u32, u32)> {
    let section = debug_frame(file);
    let bases = gimli::BaseAddresses::default();
    let mut frames = Vec::new();
    let mut entries = section.entries(&bases);
    let mut last: Option<(usize, gimli::CommonInformationEntry<Slice<'_>>)> = None;
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let offset = partial.offset();
        let parsed = partial.parse(|section, bases, at| {
            if let Some((known, cie)) = &last
                && *known == at.0
            {
                return Ok(cie.clone());
            }
            let cie = section.cie_from_offset(bases, at)?;
            last = Some((at.0, cie.clone()));
            Ok(cie)
        });
        let Ok(fde) = parsed else { continue };
        if let (Ok(size), Ok(offset)) = (u32::try_from(fde.len()), u32::try_from(offset))
            && fde.initial_address() >= file.lowest_code()
        {
            frames.push((fde.initial_address(), size, offset));
        }
    }
    frames
}

/// The unwind section, as its machine writes it.
pub(super) fn debug_frame(file: &DebugFile) -> gimli::DebugFrame<Slice<'_>> {
    let mut section = gimli::DebugFrame::from(file.section(SectionId::DebugFrame));
    section.set_address_size(file.address_size());
    // Where pointer authentication signs a return address, a rule of Arm's own says so.
    section.set_vendor(file.vendor());
    section
}
