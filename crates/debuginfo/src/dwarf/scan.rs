//! The hot pass over `.debug_info`: what each unit has at its top level.
//!
//! A kernel has 200 MB of it and all but the top level is of no interest to an index, so each
//! abbreviation is compiled into a few steps (*skip 11 bytes*, *here is the name*), and whatever has
//! a sibling attribute is jumped over. Everything after the index is read with gimli.

use gimli::{DwAt, DwForm, DwTag, constants as dw};
use hashbrown::HashMap;

/// What the index keeps a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum EntryKind {
    Struct = 0,
    Union = 1,
    Enum = 2,
    Typedef = 3,
    Variable = 4,
    /// An enum without a name, kept by that of its first constant.
    Constants = 5,
}

/// Where the name of an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum NameAt {
    /// In `.debug_str`.
    Str(u32),
    /// In `.debug_info` itself.
    Info(u32),
    /// Somewhere that takes the unit's tables to find out.
    Indirect,
}

/// Something at the top level of a unit. Offsets are those in `.debug_info`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    /// A type's definition, or a variable with a place.
    /// Types of one name and size are the same if they are declared in the same line.
    Named { kind: EntryKind, name: NameAt, die: u32, size: u32, line: u32 },
    /// Code without gaps.
    Function { die: u32, start: u64, size: u64 },
    /// Code in pieces, or told in a way that takes the unit's tables.
    Scattered { die: u32 },
}

/// A unit's part of `.debug_info`.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitAt {
    /// Offset of its header.
    pub(super) offset: u32,
    /// Offset of its first entry.
    pub(super) entries: u32,
    /// One past its last byte.
    pub(super) end: u32,
    pub(super) abbrevs: u32,
    pub(super) version: u16,
    pub(super) address_size: u8,
}

/// One step through the attributes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Skip(u32),
    Leb,
    Text,
    /// A block whose length takes so many bytes; 0: LEB128.
    Block(u8),
    Name(Width, Holds),
    /// Of the unit.
    Sibling(Width),
    SiblingLeb,
    Size(Width),
    /// Of the declaration in its file.
    Line(Width),
    /// Of the unit.
    Language(Width),
    /// The declaration that has the name, in the unit.
    Specification(Width),
    LowPc,
    HighPc(Width),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    One,
    Two,
    Four,
    Eight,
    Leb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Offset,
    Indirect,
}

/// An abbreviation as the pass needs it.
#[derive(Debug, Default)]
struct Shape {
    steps: Box<[Step]>,
    want: Want,
    children: bool,
    /// The line of the declaration, where it stands in the abbreviation.
    line: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Want {
    #[default]
    Nothing,
    Named(EntryKind),
    Function,
    /// A function whose place takes the unit's tables.
    Scattered,
    /// A namespace: what it holds counts as top level (Rust).
    Namespace,
}

/// The abbreviations of units, by their offset: neighbours often share.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    last: Option<(u32, u8, bool)>,
    shapes: Vec<Shape>,
    sparse: HashMap<u64, usize>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn leb(&mut self) -> Option<u64> {
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn uint(&mut self, size: usize) -> Option<u64> {
        let part = self.bytes.get(self.at..self.at.checked_add(size)?)?;
        self.at += size;
        Some(part.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn wide(&mut self, width: Width) -> Option<u64> {
        match width {
            Width::One => self.uint(1),
            Width::Two => self.uint(2),
            Width::Four => self.uint(4),
            Width::Eight => self.uint(8),
            Width::Leb => self.leb(),
        }
    }

    fn skip(&mut self, size: u64) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(size).ok()?)?;
        (self.at <= self.bytes.len()).then_some(())
    }

    fn text(&mut self) -> Option<()> {
        self.at += memchr::memchr(0, self.bytes.get(self.at..)?)? + 1;
        Some(())
    }
}

fn width_of(form: DwForm) -> Option<Width> {
    Some(match form {
        dw::DW_FORM_data1 | dw::DW_FORM_ref1 => Width::One,
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 => Width::Two,
        dw::DW_FORM_data4 | dw::DW_FORM_ref4 => Width::Four,
        dw::DW_FORM_data8 | dw::DW_FORM_ref8 => Width::Eight,
        dw::DW_FORM_udata | dw::DW_FORM_ref_udata => Width::Leb,
        _ => return None,
    })
}

/// How to step over a form of a 32-bit unit. None for what cannot be stepped over.
fn skipping(form: DwForm, version: u16, address_size: u8) -> Option<Step> {
    Some(match form {
        dw::DW_FORM_flag_present | dw::DW_FORM_implicit_const => Step::Skip(0),
        dw::DW_FORM_data1
        | dw::DW_FORM_ref1
        | dw::DW_FORM_flag
        | dw::DW_FORM_strx1
        | dw::DW_FORM_addrx1 => Step::Skip(1),
        dw::DW_FORM_data2 | dw::DW_FORM_ref2 | dw::DW_FORM_strx2 | dw::DW_FORM_addrx2 => {
            Step::Skip(2)
        }
        dw::DW_FORM_strx3 | dw::DW_FORM_addrx3 => Step::Skip(3),
        dw::DW_FORM_data4
        | dw::DW_FORM_ref4
        | dw::DW_FORM_strx4
        | dw::DW_FORM_addrx4
        | dw::DW_FORM_strp
        | dw::DW_FORM_line_strp
        | dw::DW_FORM_sec_offset
        | dw::DW_FORM_ref_sup4
        | dw::DW_FORM_strp_sup
        | dw::DW_FORM_GNU_ref_alt
        | dw::DW_FORM_GNU_strp_alt => Step::Skip(4),
        dw::DW_FORM_data8 | dw::DW_FORM_ref8 | dw::DW_FORM_ref_sig8 | dw::DW_FORM_ref_sup8 => {
            Step::Skip(8)
        }
        dw::DW_FORM_data16 => Step::Skip(16),
        dw::DW_FORM_addr => Step::Skip(address_size.into()),
        dw::DW_FORM_ref_addr if version <= 2 => Step::Skip(address_size.into()),
        dw::DW_FORM_ref_addr => Step::Skip(4),
        dw::DW_FORM_udata
        | dw::DW_FORM_sdata
        | dw::DW_FORM_ref_udata
        | dw::DW_FORM_strx
        | dw::DW_FORM_addrx
        | dw::DW_FORM_loclistx
        | dw::DW_FORM_rnglistx => Step::Leb,
        dw::DW_FORM_string => Step::Text,
        dw::DW_FORM_block1 => Step::Block(1),
        dw::DW_FORM_block2 => Step::Block(2),
        dw::DW_FORM_block4 => Step::Block(4),
        dw::DW_FORM_block | dw::DW_FORM_exprloc => Step::Block(0),
        _ => return None,
    })
}

fn kind_of(tag: DwTag) -> Option<EntryKind> {
    Some(match tag {
        dw::DW_TAG_structure_type | dw::DW_TAG_class_type => EntryKind::Struct,
        dw::DW_TAG_union_type => EntryKind::Union,
        dw::DW_TAG_enumeration_type => EntryKind::Enum,
        dw::DW_TAG_typedef | dw::DW_TAG_base_type => EntryKind::Typedef,
        dw::DW_TAG_variable => EntryKind::Variable,
        _ => return None,
    })
}

impl Shapes {
    /// Reads the abbreviations of a unit. None when they are damaged.
    fn load(&mut self, abbrev: &[u8], unit: &UnitAt) -> Option<()> {
        let key = (unit.abbrevs, unit.address_size, unit.version <= 2);
        if self.last == Some(key) {
            return Some(());
        }
        self.last = None;
        self.shapes.clear();
        self.sparse.clear();
        let mut cursor = Cursor { bytes: abbrev, at: unit.abbrevs as usize };
        loop {
            let code = cursor.leb()?;
            if code == 0 {
                break;
            }
            let shape = Self::compile(&mut cursor, unit)?;
            if code != self.shapes.len() as u64 + 1 {
                self.sparse.insert(code, self.shapes.len());
            }
            self.shapes.push(shape);
        }
        self.last = Some(key);
        Some(())
    }

    fn compile(cursor: &mut Cursor<'_>, unit: &UnitAt) -> Option<Shape> {
        let tag = DwTag(u16::try_from(cursor.leb()?).ok()?);
        let children = cursor.uint(1)? != 0;
        let mut steps: Vec<Step> = Vec::new();
        let (mut declared, mut placed, mut low, mut high, mut ranges) = Default::default();
        let mut named = false;
        let mut fast = true;
        let mut line = 0;
        loop {
            let name = DwAt(u16::try_from(cursor.leb()?).ok()?);
            let form = DwForm(u16::try_from(cursor.leb()?).ok()?);
            if form == dw::DW_FORM_implicit_const {
                let constant = cursor.leb()?;
                if name == dw::DW_AT_decl_line {
                    line = u32::try_from(constant).unwrap_or(0);
                }
            }
            if name.0 == 0 && form.0 == 0 {
                break;
            }
            let plain = skipping(form, unit.version, unit.address_size)?;
            let step = match name {
                dw::DW_AT_name => {
                    named = true;
                    match form {
                        dw::DW_FORM_string => Step::Name(Width::One, Holds::Text),
                        dw::DW_FORM_strp => Step::Name(Width::Four, Holds::Offset),
                        dw::DW_FORM_strx1 => Step::Name(Width::One, Holds::Indirect),
                        dw::DW_FORM_strx2 => Step::Name(Width::Two, Holds::Indirect),
                        dw::DW_FORM_strx4 | dw::DW_FORM_line_strp => {
                            Step::Name(Width::Four, Holds::Indirect)
                        }
                        dw::DW_FORM_strx => Step::Name(Width::Leb, Holds::Indirect),
                        _ => plain,
                    }
                }
                dw::DW_AT_sibling => match width_of(form) {
                    Some(Width::Leb) => Step::SiblingLeb,
                    Some(width) => Step::Sibling(width),
                    None => plain,
                },
                dw::DW_AT_byte_size => width_of(form).map_or(plain, Step::Size),
                dw::DW_AT_decl_line => width_of(form).map_or(plain, Step::Line),
                dw::DW_AT_language => width_of(form).map_or(plain, Step::Language),
                // A declaration by a flag that is spelled out would have to be looked at; GCC and
                // clang have only the flag that is there or not.
                dw::DW_AT_declaration => {
                    declared = true;
                    plain
                }
                dw::DW_AT_location | dw::DW_AT_const_value => {
                    placed = true;
                    plain
                }
                dw::DW_AT_specification if width_of(form).is_some() => {
                    named = true;
                    Step::Specification(width_of(form)?)
                }
                dw::DW_AT_low_pc if form == dw::DW_FORM_addr => {
                    low = true;
                    Step::LowPc
                }
                dw::DW_AT_high_pc if width_of(form).is_some() => {
                    high = true;
                    Step::HighPc(width_of(form)?)
                }
                dw::DW_AT_low_pc | dw::DW_AT_high_pc => {
                    low = true;
                    high = true;
                    fast = false;
                    plain
                }
                dw::DW_AT_ranges => {
                    ranges = true;
                    plain
                }
                _ => plain,
            };
            match (steps.last_mut(), step) {
                (_, Step::Skip(0)) => {}
                (Some(Step::Skip(before)), Step::Skip(more)) => {
                    *before = before.checked_add(more)?
                }
                _ => steps.push(step),
            }
        }
        let want = match (kind_of(tag), tag) {
            (Some(EntryKind::Variable), _) if !named || !placed => Want::Nothing,
            (Some(EntryKind::Variable), _) => Want::Named(EntryKind::Variable),
            (Some(kind), _) if named && !declared => Want::Named(kind),
            (Some(EntryKind::Enum), _) if children && !declared => {
                Want::Named(EntryKind::Constants)
            }
            (None, dw::DW_TAG_subprogram) if ranges || low && high && !fast => Want::Scattered,
            (None, dw::DW_TAG_subprogram) if low && high => Want::Function,
            (None, dw::DW_TAG_namespace) => Want::Namespace,
            _ => Want::Nothing,
        };
        Some(Shape { steps: steps.into(), want, children, line })
    }

    fn get(&self, code: u64) -> Option<&Shape> {
        match self.sparse.is_empty() {
            true => self.shapes.get(usize::try_from(code.checked_sub(1)?).ok()?),
            false => match self.sparse.get(&code) {
                Some(&index) => self.shapes.get(index),
                None => self.shapes.get(usize::try_from(code.checked_sub(1)?).ok()?),
            },
        }
    }

    fn name_of(&self, bytes: &[u8], die: usize, unit: &UnitAt) -> Option<NameAt> {
        let mut cursor = Cursor { bytes, at: die };
        let code = cursor.leb()?;
        walk(&mut cursor, self.get(code)?, unit)?.name
    }

    /// Hands what the unit has at its top level to `found`. None when the unit is damaged: what
    /// was found before that stands.
    pub(super) fn scan(
        &mut self,
        info: &[u8],
        abbrev: &[u8],
        unit: &UnitAt,
        found: &mut dyn FnMut(Found),
    ) -> Option<()> {
        self.load(abbrev, unit)?;
        let bytes = info.get(..unit.end as usize)?;
        let mut cursor = Cursor { bytes, at: unit.entries as usize };
        // The unit's own entry holds all others.
        let root = cursor.leb()?;
        let root = self.get(root)?;
        // The bindings that Rust has of C's structures would pass for those.
        let foreign = walk(&mut cursor, root, unit)?.language == u64::from(dw::DW_LANG_Rust.0);
        if !root.children {
            return Some(());
        }
        // `inside`: how deep in entries that are of no interest; `open`: namespaces.
        let (mut inside, mut open) = (0u32, 0u32);
        while cursor.at < bytes.len() {
            let die = cursor.at as u32;
            let code = cursor.leb()?;
            if code == 0 {
                match (inside, open) {
                    (0, 0) => break,
                    (0, _) => open -= 1,
                    _ => inside -= 1,
                }
                continue;
            }
            let shape = self.get(code)?;
            let mut seen = walk(&mut cursor, shape, unit)?;
            if let Some(declaration) = seen.specification.filter(|_| shape.want != Want::Nothing) {
                seen.name = self.name_of(bytes, declaration, unit);
            }
            if shape.want == Want::Named(EntryKind::Constants) && inside == 0 {
                seen.name = self.name_of(bytes, cursor.at, unit);
            }
            if inside == 0 {
                let entry = match shape.want {
                    Want::Nothing | Want::Namespace => None,
                    Want::Named(_) if foreign => None,
                    Want::Named(kind) => seen.name.map(|name| {
                        let line = seen.line.max(shape.line);
                        Found::Named { kind, name, die, size: seen.size, line }
                    }),
                    Want::Function => {
                        Some(Found::Function { die, start: seen.low, size: seen.high })
                    }
                    Want::Scattered => Some(Found::Scattered { die }),
                };
                if let Some(entry) = entry {
                    found(entry);
                }
            }
            if !shape.children {
                continue;
            }
            match seen.sibling {
                _ if inside == 0 && shape.want == Want::Namespace => open += 1,
                // Backwards would go round in circles.
                Some(sibling) if sibling > cursor.at && sibling <= bytes.len() => {
                    cursor.at = sibling;
                }
                _ => inside += 1,
            }
        }
        Some(())
    }
}

#[derive(Default)]
struct Seen {
    name: Option<NameAt>,
    specification: Option<usize>,
    sibling: Option<usize>,
    size: u32,
    line: u32,
    language: u64,
    low: u64,
    high: u64,
}

#[inline]
fn walk(cursor: &mut Cursor<'_>, shape: &Shape, unit: &UnitAt) -> Option<Seen> {
    let mut seen = Seen::default();
    for step in &shape.steps {
        match *step {
            Step::Skip(size) => cursor.skip(size.into())?,
            Step::Leb => {
                cursor.leb()?;
            }
            Step::Text => cursor.text()?,
            Step::Block(size) => {
                let size = if size == 0 { cursor.leb()? } else { cursor.uint(size.into())? };
                cursor.skip(size)?;
            }
            Step::Name(_, Holds::Text) => {
                seen.name = Some(NameAt::Info(cursor.at as u32));
                cursor.text()?;
            }
            Step::Name(width, Holds::Offset) => {
                seen.name = Some(NameAt::Str(cursor.wide(width)? as u32));
            }
            Step::Name(width, Holds::Indirect) => {
                cursor.wide(width)?;
                seen.name = Some(NameAt::Indirect);
            }
            Step::Sibling(width) => {
                let at = cursor.wide(width)?.checked_add(unit.offset.into())?;
                seen.sibling = usize::try_from(at).ok();
            }
            Step::SiblingLeb => {
                let at = cursor.leb()?.checked_add(unit.offset.into())?;
                seen.sibling = usize::try_from(at).ok();
            }
            Step::Size(width) => {
                seen.size = u32::try_from(cursor.wide(width)?).unwrap_or(u32::MAX);
            }
            Step::Line(width) => {
                seen.line = u32::try_from(cursor.wide(width)?).unwrap_or(0);
            }
            Step::Language(width) => seen.language = cursor.wide(width)?,
            Step::Specification(width) => {
                let at = cursor.wide(width)?.checked_add(unit.offset.into())?;
                seen.specification = usize::try_from(at).ok();
            }
            Step::LowPc => seen.low = cursor.uint(unit.address_size.into())?,
            Step::HighPc(width) => seen.high = cursor.wide(width)?,
        }
    }
    Some(seen)
}
