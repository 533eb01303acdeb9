//! Lines, and the functions that an address lies in: inlined ones, innermost first.

use std::sync::Arc;

use gimli::{AttributeValue, DebuggingInformationEntry, UnitOffset, constants as dw};

use super::{Dwarf, Inner, Unit, file::Slice};

pub(super) type Die<'a> = DebuggingInformationEntry<Slice<'a>>;

/// Scopes within each other in one function, and steps from an entry to the one that has its name.
const MAX_DEPTH: usize = 128;

/// A function that was executing at an address, or was about to return there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFrame {
    /// Its name.
    pub function: Option<String>,
    /// The source file, as named from the directory of compilation: for a kernel the root of its
    /// tree.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// Its code is part of the next function's.
    pub inlined: bool,
    /// What its variables are asked by.
    pub scope: Scope,
}

/// A function at an address: where its variables are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The function and the blocks of it that the address lies in, outermost first: offsets in
    /// `.debug_info`.
    pub(super) dies: Vec<u32>,
    /// The function whose code it is, itself not inlined.
    pub(super) function: u32,
}

/// A line of a unit's table: code from an address on.
#[derive(Debug, Clone, Copy)]
struct Row {
    address: u64,
    file: u64,
    line: u32,
    end: bool,
}

/// A unit's table of lines, sorted by address.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: Vec<Row>,
}

/// Lines of one unit that are believed.
const MAX_ROWS: usize = 1 << 22;

impl Rows {
    pub(super) fn of(unit: &gimli::Unit<Slice<'_>>) -> Rows {
        let mut rows = Vec::new();
        let Some(program) = unit.line_program.clone() else { return Rows { rows } };
        let mut all = program.rows();
        while let Ok(Some((_, row))) = all.next_row() {
            if rows.len() >= MAX_ROWS {
                break;
            }
            rows.push(Row {
                address: row.address(),
                file: row.file_index(),
                line: row.line().map_or(0, |line| u32::try_from(line.get()).unwrap_or(0)),
                end: row.end_sequence(),
            });
        }
        // Where a sequence ends another may begin: the end comes first. Of several lines at one
        // address the last counts, so the order of the table is kept.
        rows.sort_by_key(|row| (row.address, !row.end));
        Rows { rows }
    }

    fn at(&self, address: u64) -> Option<(u64, u32)> {
        let after = self.rows.partition_point(|row| row.address <= address);
        let row = self.rows.get(after.checked_sub(1)?)?;
        (!row.end && row.line != 0).then_some((row.file, row.line))
    }
}

impl Dwarf {
    /// The functions that an address lies in, innermost first; empty if no line is known of it
    /// and no function.
    pub fn frames_at(&self, address: u64) -> Arc<[SourceFrame]> {
        self.with(|inner| {
            let find = || inner.find_frames(address).unwrap_or_default().into();
            inner.frames_at.get(address, find)
        })
    }

    /// File and line of an address.
    pub fn line_at(&self, address: u64) -> Option<(String, u32)> {
        self.with(|inner| {
            let unit = inner.unit(inner.index.unit_at(address)?)?;
            let (file, line) = unit.rows().at(address)?;
            Some((inner.file_name(unit, file)?, line))
        })
    }
}

impl<'a> Inner<'a> {
    fn find_frames(&self, address: u64) -> Option<Vec<SourceFrame>> {
        let function = self.index.function_at(address);
        let at = match function {
            Some(die) => die,
            None => self.index.unit_at(address)?,
        };
        let unit = self.unit(at)?;
        let mut place = unit.rows().at(address);
        let name = |file| self.file_name(unit, file);
        let Some(function) = function else {
            // Assembly: lines, but no function.
            let (file, line) = place?;
            let scope = Scope { dies: Vec::new(), function: 0 };
            return Some(vec![SourceFrame {
                function: None,
                file: name(file),
                line: Some(line),
                inlined: false,
                scope,
            }]);
        };
        let mut frames = Vec::new();
        for scope in self.scopes(unit, function, address)?.into_iter().rev() {
            let first = *scope.dies.first()?;
            let inlined = first != function;
            let entry = unit.entry(first)?;
            let (file, line) = place.unzip();
            frames.push(SourceFrame {
                function: self.name(first),
                file: file.and_then(name),
                line,
                inlined,
                scope,
            });
            // The next one was there where this one was called.
            let number = |attribute| match entry.attr_value(attribute) {
                Some(AttributeValue::FileIndex(file)) => Some(file),
                Some(value) => value.udata_value(),
                None => None,
            };
            place = number(dw::DW_AT_call_file)
                .zip(number(dw::DW_AT_call_line).and_then(|line| u32::try_from(line).ok()));
        }
        Some(frames)
    }

    /// The function and what is inlined in it at an address, outermost first.
    pub(super) fn scopes(
        &self,
        unit: &Unit<'a>,
        function: u32,
        address: u64,
    ) -> Option<Vec<Scope>> {
        let mut scopes = vec![Scope { dies: vec![function], function }];
        let mut at = unit.local(function)?;
        for _ in 0..MAX_DEPTH {
            let Some((next, inlined)) = self.inner_scope(unit, at, address) else { break };
            let die = unit.global(next)?;
            match (inlined, scopes.last_mut()) {
                (false, Some(scope)) => scope.dies.push(die),
                _ => scopes.push(Scope { dies: vec![die], function }),
            }
            at = next;
        }
        Some(scopes)
    }

    /// The block or inlined function directly in an entry that holds the address.
    fn inner_scope(
        &self,
        unit: &Unit<'a>,
        parent: UnitOffset,
        address: u64,
    ) -> Option<(UnitOffset, bool)> {
        let mut found = None;
        self.children(unit, parent, &mut |entry| {
            let inlined = match entry.tag() {
                dw::DW_TAG_inlined_subroutine => true,
                dw::DW_TAG_lexical_block => false,
                _ => return true,
            };
            if self.covers(unit, entry, address) {
                found = Some((entry.offset(), inlined));
            }
            found.is_none()
        });
        found
    }

    fn covers(&self, unit: &Unit<'a>, entry: &Die<'a>, address: u64) -> bool {
        let Ok(mut ranges) = self.dwarf.die_ranges(&unit.unit, entry) else { return false };
        for _ in 0..MAX_RANGES {
            match ranges.next() {
                Ok(Some(range)) if (range.begin..range.end).contains(&address) => return true,
                Ok(Some(_)) => {}
                _ => return false,
            }
        }
        false
    }

    /// Shows the direct children of an entry until `look` returns false.
    pub(super) fn children(
        &self,
        unit: &Unit<'a>,
        parent: UnitOffset,
        look: &mut dyn FnMut(&Die<'a>) -> bool,
    ) {
        let Ok(mut tree) = unit.unit.entries_tree(Some(parent)) else { return };
        let Ok(root) = tree.root() else { return };
        let mut children = root.children();
        while let Ok(Some(child)) = children.next() {
            if !look(child.entry()) {
                return;
            }
        }
    }

    /// The value of an attribute, of the entry itself or of the one that it is an instance of.
    /// The offset is that of the entry which has it.
    pub(super) fn attribute(
        &self,
        die: u32,
        wanted: gimli::DwAt,
    ) -> Option<(u32, AttributeValue<Slice<'a>>)> {
        let mut die = die;
        for _ in 0..MAX_DEPTH {
            let (unit, at) = self.place(die)?;
            let entry = unit.unit.entry(at).ok()?;
            if let Some(value) = entry.attr_value(wanted) {
                return Some((die, value));
            }
            let origin = entry
                .attr_value(dw::DW_AT_abstract_origin)
                .or_else(|| entry.attr_value(dw::DW_AT_specification))?;
            die = self.reference(unit, &origin)?;
        }
        None
    }

    /// The entry that a value refers to.
    pub(super) fn reference(
        &self,
        unit: &Unit<'a>,
        value: &AttributeValue<Slice<'a>>,
    ) -> Option<u32> {
        match *value {
            AttributeValue::UnitRef(offset) => unit.global(offset),
            AttributeValue::DebugInfoRef(offset) => u32::try_from(offset.0).ok(),
            _ => None,
        }
    }

    /// The name of an entry, or of what it is an instance of.
    pub(super) fn name(&self, die: u32) -> Option<String> {
        let (owner, value) = self.attribute(die, dw::DW_AT_name)?;
        let text = self.dwarf.attr_string(&self.unit(owner)?.unit, value).ok()?;
        Some(String::from_utf8_lossy(text.slice()).into_owned())
    }

    fn file_name(&self, unit: &Unit<'a>, index: u64) -> Option<String> {
        let header = unit.unit.line_program.as_ref()?.header();
        let file = header.file(index)?;
        let text = |value| {
            let text = self.dwarf.attr_string(&unit.unit, value).ok()?;
            Some(String::from_utf8_lossy(text.slice()).into_owned())
        };
        let mut path = String::new();
        // Directory 0 is the one of compilation: names are told from there.
        if file.directory_index() != 0
            && let Some(directory) = file.directory(header)
        {
            join(&mut path, &text(directory)?);
        }
        join(&mut path, &text(file.path_name())?);
        let path = tidy(&path);
        let root = unit.unit.comp_dir.map(|root| tidy(&String::from_utf8_lossy(root.slice())));
        let inside = root
            .filter(|root| !root.is_empty())
            .and_then(|root| path.strip_prefix(&root)?.strip_prefix('/').map(str::to_owned));
        Some(inside.unwrap_or(path))
    }
}

const MAX_RANGES: usize = 1 << 16;

fn join(path: &mut String, part: &str) {
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(part);
}

/// A path without `.` and the detours over `..` that builds outside of the source tree have.
pub fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            (".", _) => {}
            ("..", Some(last)) if !matches!(*last, "" | "." | "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_are_taken_out_of_paths() {
        for (path, tidied) in [
            ("/build/linux/debian/build/../../fs/read_write.c", "/build/linux/fs/read_write.c"),
            ("../../../kernel/fork.c", "../../../kernel/fork.c"),
            ("./arch/x86/./mm/fault.c", "arch/x86/mm/fault.c"),
            ("/..", "/.."),
            ("", ""),
        ] {
            assert_eq!(tidy(path), tidied);
        }
    }
}
