//! Debug information cut down to what a dump in the repository needs: the real units of the
//! functions on some stacks, and nothing of the other two thousand.
//!
//! The kept units are put one behind the other into `.debug_info`; references within a unit are
//! relative to it and stay right. The other sections keep their size and places, with zeros for
//! what no kept unit refers to: packed, those take no room. `.debug_frame` is made anew of the kept
//! functions' entries.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};
use gimli::{
    AttributeValue, CieOrFde, DebugInfoOffset, EndianSlice, LittleEndian, Reader, SectionId,
    UnwindSection,
};
use object::{Object, ObjectSection, ObjectSymbol};

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// A section, and which bytes of it are needed.
struct Kept {
    bytes: Vec<u8>,
    wanted: Vec<bool>,
}

impl Kept {
    fn keep(&mut self, start: usize, end: usize) {
        let end = end.min(self.wanted.len());
        if let Some(part) = self.wanted.get_mut(start..end) {
            part.fill(true);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        for (byte, wanted) in self.bytes.iter_mut().zip(&self.wanted) {
            if !wanted {
                *byte = 0;
            }
        }
        let last = self.wanted.iter().rposition(|wanted| *wanted).map_or(0, |last| last + 1);
        self.bytes.truncate(last);
        self.bytes
    }

    fn text(&mut self, at: usize) {
        let end = self.bytes[at.min(self.bytes.len())..].iter().position(|b| *b == 0);
        self.keep(at, at + end.unwrap_or(0) + 1);
    }
}

/// A file with the debug information of the units that have code at `addresses`.
pub(crate) fn make(vmlinux: &Path, addresses: &[u64]) -> Result<Vec<u8>> {
    let bytes = fs::read(vmlinux).with_context(|| vmlinux.display().to_string())?;
    let elf = object::File::parse(&*bytes)?;
    let section = |id: SectionId| -> &[u8] {
        elf.section_by_name(id.name()).and_then(|section| section.data().ok()).unwrap_or(&[])
    };
    let dwarf = gimli::Dwarf::load(|id| {
        Ok::<_, gimli::Error>(EndianSlice::new(section(id), LittleEndian))
    })?;
    let units = units_at(&dwarf, addresses)?;
    ensure!(!units.is_empty(), "no unit has code at these addresses");
    let kept = |id| {
        let bytes = section(id).to_vec();
        Kept { wanted: vec![false; bytes.len()], bytes }
    };
    let mut info = Vec::new();
    let mut places = Places {
        abbrev: kept(SectionId::DebugAbbrev),
        line: kept(SectionId::DebugLine),
        line_str: kept(SectionId::DebugLineStr),
        str: kept(SectionId::DebugStr),
        loclists: kept(SectionId::DebugLocLists),
        rnglists: kept(SectionId::DebugRngLists),
    };
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for offset in &units {
        let header = dwarf.unit_header(DebugInfoOffset(*offset))?;
        let end = offset + header.length_including_self();
        info.extend_from_slice(&section(SectionId::DebugInfo)[*offset..end]);
        let unit = dwarf.unit(header)?;
        places.note(&dwarf, &unit)?;
        let mut all = dwarf.unit_ranges(&unit)?;
        while let Some(range) = all.next()? {
            ranges.push((range.begin, range.end));
        }
    }
    let frames = frames(section(SectionId::DebugFrame), &ranges)?;
    let mut symbols: Vec<(String, u64, u64)> = Vec::new();
    for symbol in elf.symbols() {
        let name = symbol.name().unwrap_or("");
        let inside = ranges.iter().any(|(start, end)| (*start..*end).contains(&symbol.address()));
        if name == "_stext" || inside && symbol.is_definition() && !name.is_empty() {
            symbols.push((name.to_owned(), symbol.address(), symbol.size()));
        }
    }
    let sections = vec![
        (".debug_info", info),
        (".debug_abbrev", places.abbrev.finish()),
        (".debug_line", places.line.finish()),
        (".debug_line_str", places.line_str.finish()),
        (".debug_str", places.str.finish()),
        (".debug_loclists", places.loclists.finish()),
        (".debug_rnglists", places.rnglists.finish()),
        (".debug_frame", frames),
    ];
    let id = elf.build_id()?.context("no build ID")?.to_vec();
    assemble(&id, &sections, &symbols)
}

struct Places {
    abbrev: Kept,
    line: Kept,
    line_str: Kept,
    str: Kept,
    loclists: Kept,
    rnglists: Kept,
}

impl Places {
    /// Keeps what a unit refers to.
    fn note(
        &mut self,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        unit: &gimli::Unit<Slice<'_>>,
    ) -> Result<()> {
        let start = unit.header.debug_abbrev_offset().0;
        self.abbrev.keep(start, start + table_len(&self.abbrev.bytes[start..]));
        if let Some(program) = &unit.line_program {
            let header = program.header();
            let start = header.offset().0;
            let length = usize::from(header.encoding().format.initial_length_size());
            self.line.keep(start, start + length + header.unit_length());
            for entry in header.file_names() {
                self.string(entry.path_name());
            }
            for directory in header.include_directories() {
                self.string(*directory);
            }
        }
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            for attribute in entry.attrs() {
                match attribute.value() {
                    AttributeValue::LocationListsRef(offset) => {
                        let mut raw = dwarf.raw_locations(unit, offset)?;
                        while raw.next()?.is_some() {}
                        self.list(ListKind::Locations, offset.0);
                    }
                    AttributeValue::RangeListsRef(offset) => {
                        self.list(ListKind::Ranges, offset.0);
                    }
                    value => self.string(value),
                }
            }
        }
        Ok(())
    }

    fn string(&mut self, value: AttributeValue<Slice<'_>>) {
        match value {
            AttributeValue::DebugStrRef(offset) => self.str.text(offset.0),
            AttributeValue::DebugLineStrRef(offset) => self.line_str.text(offset.0),
            _ => {}
        }
    }

    /// Keeps a list of the form of DWARF 5: entries up to DW_LLE_end_of_list or its like.
    fn list(&mut self, kind: ListKind, start: usize) {
        let kept = match kind {
            ListKind::Locations => &mut self.loclists,
            ListKind::Ranges => &mut self.rnglists,
        };
        let mut rest = EndianSlice::new(&kept.bytes[start.min(kept.bytes.len())..], LittleEndian);
        let whole = rest.len();
        while let Ok(code) = rest.read_u8() {
            if code == 0 || skip_entry(&mut rest, code, kind).is_err() {
                break;
            }
        }
        // GCC puts the views of a list before it.
        kept.keep(start.saturating_sub(VIEWS), start + whole - rest.len());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ListKind {
    Locations,
    Ranges,
}

/// Bytes of views kept before a list.
const VIEWS: usize = 64;

fn skip_entry(rest: &mut Slice<'_>, code: u8, kind: ListKind) -> gimli::Result<()> {
    let locations = kind == ListKind::Locations;
    let expression = |rest: &mut Slice<'_>| -> gimli::Result<()> {
        let length = rest.read_uleb128()?;
        rest.skip(length as usize)
    };
    // DW_LLE_* has default_location at 5, which moves what follows by one.
    match (code, locations) {
        (1, _) => drop(rest.read_uleb128()?),
        (2..=4, _) => {
            rest.read_uleb128()?;
            rest.read_uleb128()?;
            if locations {
                expression(rest)?;
            }
        }
        (5, true) => expression(rest)?,
        (6, true) | (5, false) => drop(rest.read_u64()?),
        (7, true) | (6, false) => {
            rest.read_u64()?;
            rest.read_u64()?;
            if locations {
                expression(rest)?;
            }
        }
        (8, true) | (7, false) => {
            rest.read_u64()?;
            rest.read_uleb128()?;
            if locations {
                expression(rest)?;
            }
        }
        // DW_LLE_GNU_view_pair
        (9, true) => {
            rest.read_uleb128()?;
            rest.read_uleb128()?;
        }
        _ => return Err(gimli::Error::UnknownLocListsEntry(gimli::DwLle(code))),
    }
    Ok(())
}

/// Bytes of a table of abbreviations.
fn table_len(bytes: &[u8]) -> usize {
    let mut rest = EndianSlice::new(bytes, LittleEndian);
    let mut walk = || -> gimli::Result<()> {
        while rest.read_uleb128()? != 0 {
            rest.read_uleb128()?;
            rest.read_u8()?;
            loop {
                let (name, form) = (rest.read_uleb128()?, rest.read_uleb128()?);
                if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                    rest.read_sleb128()?;
                }
                if name == 0 && form == 0 {
                    break;
                }
            }
        }
        Ok(())
    };
    let _ = walk();
    bytes.len() - rest.len()
}

fn units_at(dwarf: &gimli::Dwarf<Slice<'_>>, addresses: &[u64]) -> Result<BTreeSet<usize>> {
    let mut found = BTreeSet::new();
    let mut headers = dwarf.debug_aranges.headers();
    while let Some(header) = headers.next()? {
        let mut entries = header.entries();
        while let Some(entry) = entries.next()? {
            let range = entry.range();
            if addresses.iter().any(|address| (range.begin..range.end).contains(address)) {
                found.insert(header.debug_info_offset().0);
            }
        }
    }
    Ok(found)
}

/// `.debug_frame` of the functions in the ranges.
fn frames(section: &[u8], ranges: &[(u64, u64)]) -> Result<Vec<u8>> {
    let frame = gimli::DebugFrame::new(section, LittleEndian);
    let bases = gimli::BaseAddresses::default();
    let mut out: Vec<u8> = Vec::new();
    let mut moved: Vec<(usize, u32)> = Vec::new();
    let mut entries = frame.entries(&bases);
    let length = |at: usize| -> Result<usize> {
        let size: [u8; 4] = section.get(at..at + 4).context("a cut frame")?.try_into()?;
        Ok(4 + u32::from_le_bytes(size) as usize)
    };
    while let Some(entry) = entries.next()? {
        let CieOrFde::Fde(partial) = entry else { continue };
        let fde = partial.parse(gimli::DebugFrame::cie_from_offset)?;
        let start = fde.initial_address();
        if !ranges.iter().any(|(low, high)| (*low..*high).contains(&start)) {
            continue;
        }
        let cie = fde.cie().offset();
        let at = match moved.iter().find(|(from, _)| *from == cie) {
            Some((_, at)) => *at,
            None => {
                let at = u32::try_from(out.len())?;
                out.extend_from_slice(&section[cie..cie + length(cie)?]);
                moved.push((cie, at));
                at
            }
        };
        let from = fde.offset();
        let place = out.len();
        out.extend_from_slice(&section[from..from + length(from)?]);
        out[place + 4..place + 8].copy_from_slice(&at.to_le_bytes());
    }
    Ok(out)
}

/// An ELF file of these sections, packed.
fn assemble(
    id: &[u8],
    sections: &[(&str, Vec<u8>)],
    symbols: &[(String, u64, u64)],
) -> Result<Vec<u8>> {
    use object::write::{Object, Symbol, SymbolSection};
    let (format, arch) = (object::BinaryFormat::Elf, object::Architecture::X86_64);
    let mut elf = Object::new(format, arch, object::Endianness::Little);
    let note =
        elf.add_section(Vec::new(), b".note.gnu.build-id".to_vec(), object::SectionKind::Note);
    let mut bytes = Vec::new();
    for word in [4u32, id.len() as u32, 3] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"GNU\0");
    bytes.extend(id);
    elf.append_section_data(note, &bytes, 4);
    for (name, bytes) in sections {
        let kind = object::SectionKind::Debug;
        let at = elf.add_section(Vec::new(), name.as_bytes().to_vec(), kind);
        elf.append_section_data(at, bytes, 1);
    }
    for (name, address, size) in symbols {
        elf.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: *address,
            size: *size,
            kind: object::SymbolKind::Text,
            scope: object::SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Absolute,
            flags: object::SymbolFlags::None,
        });
    }
    let mut bytes = elf.write()?;
    // e_type: an executable, whose addresses are final.
    bytes[16..18].copy_from_slice(&2u16.to_le_bytes());
    Ok(bytes)
}
