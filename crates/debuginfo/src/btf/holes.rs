//! BTF of which pages are missing: where the records go on behind a hole, and how many are lost in
//! it.
//!
//! Records have no marks of their own. They go on where everything up to the section's end (or the
//! next hole) makes sense as records; and as types refer to each other by number, the number of
//! lost ones is that with which every function behind the hole refers to a prototype.

use std::ops::Range;

use super::{
    KIND_ENUM64, KIND_FUNC, KIND_FUNC_PROTO, KIND_INT, KIND_PTR, RECORD, Record, Sections,
};

/// Bytes behind a hole in which the first whole record must begin: the largest enum has a third.
const REACH: usize = 64 << 10;
/// Records that have to make sense before the rest is looked at.
const FEW: usize = 64;
/// Functions that are asked.
const FUNCTIONS: usize = 4000;
/// Bits of `info` that have always been zero.
const RESERVED: u32 = 0x60ff_0000;

/// Where the records go on, and how many there were since `at`, the beginning of the first that is
/// lost and has number `id`. `hole` is the one that it runs into; `next` where the following one
/// begins.
pub(super) fn resume(
    sections: &Sections<'_>,
    at: usize,
    id: u32,
    hole: &Range<usize>,
    next: usize,
) -> Option<(usize, usize)> {
    let first = hole.end.next_multiple_of(4);
    let last = first.saturating_add(REACH).min(next);
    let resumed = (first..last).step_by(4).find(|&start| makes_sense(sections, start, next))?;
    if resumed == sections.types.len() {
        return Some((resumed, 0));
    }
    let most = (resumed - at) / RECORD;
    lost(sections, resumed, next, id, most).map(|lost| (resumed, lost))
}

/// Whether records follow each other from `start` up to `end`, or into it.
fn makes_sense(sections: &Sections<'_>, start: usize, end: usize) -> bool {
    let is_end = end == sections.types.len();
    let mut at = start;
    let mut count = 0;
    while at < end {
        if !is_end && at + RECORD > end {
            break;
        }
        let Some(record) = sections.record(at).filter(|record| is_possible(sections, record))
        else {
            return false;
        };
        let Some(length) = record.rest_length() else { return false };
        at = record.rest + length;
        count += 1;
    }
    count >= FEW && (!is_end || at == end)
}

fn is_possible(sections: &Sections<'_>, record: &Record) -> bool {
    let kind = record.kind();
    let is_bare = matches!(kind, KIND_PTR | KIND_INT) && record.count() > 0;
    let is_function = kind == KIND_FUNC && record.count() > 2;
    (1..=KIND_ENUM64).contains(&kind)
        && record.info & RESERVED == 0
        && (record.name as usize) < sections.strings.len()
        && !is_bare
        && !is_function
}

/// With which number of lost records all functions behind the hole refer to prototypes.
fn lost(sections: &Sections<'_>, start: usize, end: usize, id: u32, most: usize) -> Option<usize> {
    let mut kinds = Vec::new();
    let mut functions = Vec::new();
    let mut at = start;
    while at + RECORD <= end
        && let Some(record) = sections.record(at)
        && let Some(length) = record.rest_length()
    {
        if record.kind() == KIND_FUNC && record.size_or_type >= id && functions.len() < FUNCTIONS {
            functions.push(record.size_or_type);
        }
        kinds.push(record.kind());
        at = record.rest + length;
    }
    let agreeing = |lost: usize| {
        let mut count = 0usize;
        for &prototype in &functions {
            let Some(index) = ((prototype - id) as usize).checked_sub(lost) else { continue };
            match kinds.get(index) {
                Some(&KIND_FUNC_PROTO) => count += 1,
                Some(_) => return 0,
                None => {}
            }
        }
        count
    };
    (0..=most)
        .map(|lost| (agreeing(lost), lost))
        .max()
        .filter(|&(count, _)| count > 0)
        .map(|(_, lost)| lost)
}

/// The parts of the names that cannot be told: a hole, and the beginning of the name that runs
/// into it.
pub(super) fn lost_names(strings: &[u8], holes: &[Range<usize>]) -> Vec<Range<u32>> {
    let lost = holes.iter().map(|hole| {
        let before = strings.get(..hole.start).unwrap_or(&[]);
        let start = memchr::memrchr(0, before).map_or(0, |nul| nul + 1);
        start as u32..hole.end as u32
    });
    lost.collect()
}
