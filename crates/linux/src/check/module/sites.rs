//! Tables of places in code: what stands there must be what the table says, for the kernel itself
//! writes it (x86).

use std::collections::HashMap;

use super::{
    super::{Checker, Class, Confidence},
    function, given_back,
};
use crate::{error::Result, list::Chain, shapes::Shapes};

/// A table whose entries begin with the distance to the place, from there.
struct Table {
    /// What its entries are, for the count of what was looked at.
    places: &'static str,
    check: &'static str,
    /// Its first entry and its end.
    bounds: (&'static str, &'static str),
    /// Bytes of an entry, and from its start to the distance.
    entry: fn(&Shapes) -> Result<(u64, u64)>,
    fits: fn(&[u8; 5]) -> bool,
    /// What must stand there and does not.
    wrong: &'static str,
}

const TABLES: &[Table] = &[
    // arch/x86/include/asm/bug.h
    Table {
        places: "traps",
        check: "trap",
        bounds: ("__start___bug_table", "__stop___bug_table"),
        entry: |of| Ok((of.bug_entry.sizeof()?, of.bug_entry.displacement.offset()?)),
        // `ud2`, or since 7.0 a `ud1` that carries what is warned of.
        fits: |code| matches!(code, [0x0f, 0x0b, ..] | [0x67, 0x48, 0x0f, 0xb9, _]),
        wrong: "where BUG() or WARN() must trap there is another instruction",
    },
    // arch/x86/kernel/static_call.c
    Table {
        places: "static calls",
        check: "static_call",
        bounds: ("__start_static_call_sites", "__stop_static_call_sites"),
        entry: |of| Ok((of.static_call_site.sizeof()?, of.static_call_site.place.offset()?)),
        fits: |code| match code {
            // A call, a jump, one on a condition, a return, or nothing in one of its lengths.
            [0xe8 | 0xe9 | 0xc3, ..] | [0x0f, 0x80..=0x8f, ..] => true,
            // A call that only returns 0.
            [0x2e, 0x2e, 0x2e, 0x31, 0xc0] | [0x66, 0x66, 0x48, 0x31, 0xc0] => true,
            // A warning since 7.0: `ud1 (%edx),%rdi`.
            [0x67, 0x48, 0x0f, 0xb9, 0x3a] => true,
            code => nothing(code),
        },
        wrong: "where a static call must be there is another instruction",
    },
    // arch/x86/kernel/jump_label.c
    Table {
        places: "static branches",
        check: "static_branch",
        bounds: ("__start___jump_table", "__stop___jump_table"),
        entry: |of| Ok((of.jump_entry.sizeof()?, of.jump_entry.place.offset()?)),
        fits: |code| matches!(code, [0xe9 | 0xeb, ..] | [0x66, 0x90, ..]) || nothing(code),
        wrong: "where a static branch must be there is another instruction",
    },
];

/// Where an access that may fail stands, and where it goes on if it does: in code, whatever that is
/// (arch/x86/include/asm/extable.h).
const EXCEPTIONS: [Table; 2] = [
    Table {
        places: "accesses that may fail",
        check: "exception_table",
        bounds: ("__start___ex_table", "__stop___ex_table"),
        entry: |of| Ok((of.exception_entry.sizeof()?, of.exception_entry.access.offset()?)),
        fits: |_| true,
        wrong: "",
    },
    Table {
        places: "ways on behind failed accesses",
        check: "exception_table",
        bounds: ("__start___ex_table", "__stop___ex_table"),
        entry: |of| Ok((of.exception_entry.sizeof()?, of.exception_entry.fixup.offset()?)),
        fits: |_| true,
        wrong: "",
    },
];

/// Whether an instruction of five bytes does nothing.
fn nothing(code: &[u8; 5]) -> bool {
    matches!(code, [0x0f, 0x1f, 0x44, 0, 0] | [0x66, 0x66, 0x66, 0x66, 0x90])
}

/// Places that damage may give the same bytes.
const DAMAGED: usize = 16;
/// More entries than a table has.
const MOST: u64 = 1 << 20;

pub(super) fn run(checker: &mut Checker<'_>) {
    TABLES.iter().chain(&EXCEPTIONS).for_each(|table| look(checker, table));
    traced(checker);
}

/// Functions that can be traced begin with a call, or with nothing (kernel/trace/ftrace.c).
fn traced(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let (page, record) = (&shapes.ftrace_page, &shapes.traced_function);
    let (Ok(size), Ok(start)) = (record.sizeof(), shapes.ftrace_variables.pages.address()) else {
        return;
    };
    let fits = |code: &[u8; 5]| matches!(code[0], 0xe8 | 0xe9) || nothing(code);
    let (mut right, mut other) = (0u64, Vec::new());
    let mut count = 0;
    // Of all pages together: how many each has is the dump's word.
    let mut left = MOST;
    for pages in Chain::behind(target, start).take(MOST as usize) {
        let pages = match pages {
            Ok(pages) => pages,
            Err(error) => {
                checker.walk(
                    "ftrace_pages",
                    "pages of traced functions",
                    "ftrace_pages",
                    start,
                    &error,
                );
                break;
            }
        };
        let (Ok(records), Ok(used)) =
            (page.records.read(target, pages), page.used.read(target, pages))
        else {
            checker.unread("traced functions", 1, None);
            continue;
        };
        let used = used.min(left);
        left -= used;
        if left == 0 || checker.stopped() {
            checker.unread("traced functions", 1, None);
            break;
        }
        for number in 0..used {
            let at = records.wrapping_add(number.wrapping_mul(size));
            // One that is gone, as the code of a module that started, is zero or has a mark.
            let Ok(site) = record.place.read(target, at) else {
                checker.unread("traced functions", 1, None);
                continue;
            };
            if site == 0 || !target.is_text(site) {
                continue;
            }
            count += 1;
            match target.read_array::<5>(site) {
                Ok(code) if fits(&code) => right += 1,
                Ok(code) => other.push((site, code)),
                Err(fault) => checker.unread("traced functions", 1, Some(&fault.into())),
            }
        }
    }
    checker.count("traced functions", count);
    leave_newer_kinds(&mut other, right);
    for (site, _) in other {
        let name = function(kernel, site);
        let text = "where a function is traced there is neither a call nor nothing";
        let finding = checker.find("traced_function", Class::Text, name, site, text);
        finding.start(site).confidence(Confidence::Likely);
    }
}

fn look(checker: &mut Checker<'_>, table: &Table) {
    let kernel = checker.kernel;
    let target = kernel.target();
    let (Ok(start), Ok(end), Ok((size, distance))) = (
        kernel.symbol(table.bounds.0),
        kernel.symbol(table.bounds.1),
        (table.entry)(kernel.shapes()),
    ) else {
        return;
    };
    let count = (end.saturating_sub(start) / size.max(1)).min(MOST);
    let gone = given_back(kernel);
    let mut right = 0u64;
    // Places that hold another instruction, and entries that lead to no code.
    let mut other: Vec<(u64, [u8; 5])> = Vec::new();
    let mut wild: Vec<(u64, u64)> = Vec::new();
    for index in 0..count {
        let at = start.wrapping_add(index * size).wrapping_add(distance);
        let Ok(offset) = target.read_u32(at) else {
            checker.unread(table.places, 1, None);
            continue;
        };
        let site = at.wrapping_add(i64::from(offset as i32) as u64);
        if gone.contains(&site) {
            continue;
        }
        if !target.is_text(site) {
            wild.push((at, site));
            continue;
        }
        match target.read_array::<5>(site) {
            Ok(code) if (table.fits)(&code) => right += 1,
            Ok(code) => other.push((site, code)),
            Err(fault) => checker.unread(table.places, 1, Some(&fault.into())),
        }
    }
    checker.count(table.places, right + (other.len() + wild.len()) as u64);
    let before = other.len();
    leave_newer_kinds(&mut other, right);
    if other.len() < before {
        checker.unknown_here("places of an unknown kind in code", (before - other.len()) as u64);
    }
    for (site, _) in other {
        let name = function(kernel, site);
        let finding = checker.find(table.check, Class::Text, name, site, table.wrong);
        finding.start(site).confidence(Confidence::Likely);
    }
    // Those one behind the other were damaged together.
    for run in wild.chunk_by(|(one, _), (next, _)| one.wrapping_add(size) == *next) {
        let Some((entry, site)) = run.first() else { continue };
        let name = table.bounds.0.trim_start_matches("__start_");
        let text = match run.len() {
            1 => "an entry leads to what is no code".to_owned(),
            many => format!("{many} entries in a row lead to what is no code"),
        };
        let finding = checker.find(table.check, Class::Pointer, name, *entry, text);
        finding.start(start).found(*site).confidence(Confidence::Likely);
    }
}

/// Leaves out what stands in so many places that it is no damage: newer kernels write what older ones
/// do not; and all, where a hundredth of the places hold something else. The same byte over and over is
/// none of these.
fn leave_newer_kinds(other: &mut Vec<(u64, [u8; 5])>, right: u64) {
    let mut kinds: HashMap<[u8; 5], usize> = HashMap::new();
    other.iter().for_each(|(_, code)| *kinds.entry(*code).or_default() += 1);
    let filled = |code: &[u8; 5]| code.iter().all(|byte| *byte == code[0]);
    other.retain(|(_, code)| {
        filled(code) || kinds.get(code).is_none_or(|places| *places <= DAMAGED)
    });
    if other.iter().filter(|(_, code)| !filled(code)).count() as u64 * 100 > right {
        other.retain(|(_, code)| filled(code));
    }
}
