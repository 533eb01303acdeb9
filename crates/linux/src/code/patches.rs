//! Where a kernel patches its own code, as it starts and later: places that may differ from the
//! file.

use std::{ops::Range, sync::OnceLock};

use necropsy_debuginfo::dwarf::{DebugFile, PlacedCode};

use crate::Kernel;

/// Sections that name places in code to be patched, and how many bytes may change there: before the
/// place, and from it on (arch/x86/kernel/alternative.c, kernel/module/main.c). Tracing, calls and
/// branches may begin a few bytes before; the longest alternative replaces a loop.
const SECTIONS: [(&str, u64, u64); 12] = [
    (".retpoline_sites", 0, 8),
    (".return_sites", 0, 8),
    (".call_sites", 0, 8),
    (".ibt_endbr_seal", 0, 16),
    (".cfi_sites", 0, 16),
    (".smp_locks", 0, 1),
    (".static_call_sites", 4, 8),
    ("__jump_table", 4, 8),
    ("__mcount_loc", 4, 8),
    ("__patchable_function_entries", 4, 16),
    (".altinstructions", 0, 64),
    (".parainstructions", 0, 16),
];

/// What may change where a section names a place; `None` for one that names none to be patched.
fn room(section: &str) -> Option<(u64, u64)> {
    let (_, before, bytes) = SECTIONS.iter().find(|(name, ..)| *name == section)?;
    Some((*before, *bytes))
}

/// The places in a module's code that its file names.
pub(crate) fn of_module(code: &PlacedCode) -> Vec<Range<u64>> {
    let named = code.named.iter().filter_map(|(section, at)| {
        let (before, bytes) = room(section)?;
        Some(at.saturating_sub(before)..at.saturating_add(bytes))
    });
    named.chain(code.linked.iter().cloned()).collect()
}

/// Ranges of addresses as linked, ascending, and by how much the image was moved.
#[derive(Debug)]
pub(crate) struct Patches {
    ranges: Vec<(u64, u64)>,
    moved: u64,
}

/// Where the tracer's own code calls whoever traces.
const TRACER_CALLS: [&str; 4] =
    ["ftrace_call", "ftrace_regs_call", "ftrace_graph_call", "ftrace_epilogue"];
/// A call or a jump of x86, in bytes.
const CALL: u64 = 5;
/// Longest instruction of x86, in bytes.
const INSTRUCTION: u64 = 15;
/// Sites of one table.
const MOST: u64 = 1 << 21;

impl Patches {
    /// Whether a byte may differ: it lies in a place that is patched, or in an address that was moved
    /// with the image.
    pub(crate) fn allows(&self, linked: u64, at: usize, expected: &[u8], found: &[u8]) -> bool {
        let first = self.ranges.partition_point(|(start, _)| *start <= linked);
        // Ranges may lie within longer ones.
        let near = self.ranges.get(first.saturating_sub(32)..first).unwrap_or_default();
        near.iter().any(|(start, end)| (*start..*end).contains(&linked))
            || self.relocated(at, expected, found)
    }

    /// Addresses in code are 32 bits wide, or 64; those of per-CPU variables, which are relative to
    /// code, are moved the other way.
    fn relocated(&self, at: usize, expected: &[u8], found: &[u8]) -> bool {
        let number = |bytes: &[u8], start: usize, size: usize| {
            let bytes = bytes.get(start..start + size)?;
            Some(bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
        };
        let moved = |start: usize, size: usize| {
            let (Some(was), Some(is)) = (number(expected, start, size), number(found, start, size))
            else {
                return false;
            };
            let mask = if size == 8 { u64::MAX } else { 0xffff_ffff };
            let by = is.wrapping_sub(was) & mask;
            self.moved != 0 && (by == self.moved & mask || by == self.moved.wrapping_neg() & mask)
        };
        (at.saturating_sub(3)..=at).any(|start| moved(start, 4))
            || (at.saturating_sub(7)..=at).any(|start| moved(start, 8))
    }
}

#[derive(Debug, Default)]
struct Known(OnceLock<Patches>);

/// The places that the kernel's file, and the kernel itself, name; found once.
pub(crate) fn of<'k>(kernel: &'k Kernel, file: &DebugFile, moved: u64) -> &'k Patches {
    kernel.memo::<Known>().0.get_or_init(|| find(kernel, file, moved))
}

fn find(kernel: &Kernel, file: &DebugFile, moved: u64) -> Patches {
    let mut ranges = Vec::new();
    // Tables of distances to sites, each with the bytes that may change there.
    for section in [
        ".retpoline_sites",
        ".return_sites",
        ".call_sites",
        ".ibt_endbr_seal",
        ".cfi_sites",
        ".smp_locks",
    ] {
        distances(file, section, &mut ranges);
    }
    let shapes = kernel.shapes();
    if let (Ok(size), Ok(instruction), Ok(length)) = (
        shapes.alternative.sizeof(),
        shapes.alternative.instruction.offset(),
        shapes.alternative.length.offset(),
    ) {
        alternatives(file, size, instruction, length, &mut ranges);
    }
    if let Some((start, size)) = file.linked_section(".parainstructions")
        && let Some(bytes) = file.linked_bytes(start, size as usize)
    {
        // An address and four bytes; behind the last there is no room to the next.
        for site in bytes.chunks(16).filter(|site| site.len() >= 12) {
            let at = word(site, 0);
            ranges.push((at, at.wrapping_add(INSTRUCTION)));
        }
    }
    let linked = |name: &str| Some(file.symbols().by_name(name)?.address);
    for (section, first, last, step, size) in [
        (".static_call_sites", "__start_static_call_sites", "__stop_static_call_sites", 8, 4),
        ("__jump_table", "__start___jump_table", "__stop___jump_table", 16, 4),
        ("__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc", 8, 8),
    ] {
        let (Some(start), Some(end), Some((before, bytes))) =
            (linked(first), linked(last), room(section))
        else {
            continue;
        };
        let len = end.saturating_sub(start).min(MOST * step);
        let Some(table) = file.linked_bytes(start, len as usize) else { continue };
        for (index, entry) in (0u64..).zip(table.chunks_exact(step as usize)) {
            let here = start.wrapping_add(index * step);
            let site = if size == 8 { word(entry, 0) } else { here.wrapping_add(distance(entry)) };
            ranges.push((site.saturating_sub(before), site.wrapping_add(bytes)));
        }
    }
    for symbol in file.symbols().iter() {
        // Trampolines of static calls, and thunks that are written anew; the calls of the tracer
        // (arch/x86/kernel/ftrace_64.S); constants that are found at the start
        // (arch/x86/include/asm/runtime-const.h).
        if symbol.name.starts_with("__SCT__") || symbol.name.starts_with("__x86_") {
            ranges.push((symbol.address, symbol.address.saturating_add(symbol.size.clamp(8, 64))));
        } else if TRACER_CALLS.contains(&symbol.name) {
            ranges.push((symbol.address, symbol.address.saturating_add(CALL)));
        } else if let Some(rest) = symbol.name.strip_prefix("__start_runtime_")
            && let Some(end) = linked(&format!("__stop_runtime_{rest}"))
        {
            let len = end.saturating_sub(symbol.address).min(MOST);
            let table = file.linked_bytes(symbol.address, len as usize).unwrap_or_default();
            for (index, entry) in (0u64..).zip(table.chunks_exact(4)) {
                let site = symbol.address.wrapping_add(index * 4).wrapping_add(distance(entry));
                ranges.push((site, site.wrapping_add(8)));
            }
        }
    }
    ranges.extend(kernel.kprobes().iter().map(|probe| {
        let range = probe.range();
        (range.start.wrapping_sub(moved), range.end.wrapping_sub(moved))
    }));
    ranges.sort_unstable();
    Patches { ranges, moved }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
}

/// The distance at the start of an entry, from the entry.
fn distance(bytes: &[u8]) -> u64 {
    let bytes = bytes.first_chunk().copied().unwrap_or_default();
    i64::from(i32::from_le_bytes(bytes)) as u64
}

/// A section of distances to places.
fn distances(file: &DebugFile, section: &str, ranges: &mut Vec<(u64, u64)>) {
    const DISTANCE: u64 = 4;
    let (Some((start, size)), Some((before, bytes))) =
        (file.linked_section(section), room(section))
    else {
        return;
    };
    let Some(table) = file.linked_bytes(start, size.min(MOST * DISTANCE) as usize) else { return };
    for (index, entry) in (0u64..).zip(table.chunks_exact(DISTANCE as usize)) {
        let site = start.wrapping_add(index * DISTANCE).wrapping_add(distance(entry));
        ranges.push((site.saturating_sub(before), site.wrapping_add(bytes)));
    }
}

/// `.altinstructions`: instructions that are replaced by what the processor knows better.
fn alternatives(
    file: &DebugFile,
    size: u64,
    instruction: u64,
    length: u64,
    ranges: &mut Vec<(u64, u64)>,
) {
    let Some((start, bytes)) = file.linked_section(".altinstructions") else { return };
    let Some(table) = file.linked_bytes(start, bytes.min(MOST * size) as usize) else { return };
    for (index, entry) in (0u64..).zip(table.chunks_exact(size.max(1) as usize)) {
        let at = start.wrapping_add(index * size + instruction);
        let site = at.wrapping_add(distance(entry.get(instruction as usize..).unwrap_or_default()));
        let length = entry.get(length as usize).copied().unwrap_or(0);
        ranges.push((site, site.wrapping_add(length.into())));
    }
}
