//! Writing 64-bit ELF cores.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use rayon::prelude::*;

use super::{Keep, Origin, Output, Stats, WriteProgress, fields::Out, for_each_frame, kept_runs};
use crate::PhysicalMemory;

const HEADER: u64 = 64;
const PROGRAM: u64 = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// Program headers beyond this are counted in the first section header.
const PN_XNUM: u64 = 0xffff;

/// Frames `first..stored_end` are in the file, those up to `end` were left out.
struct Segment {
    first: u64,
    stored_end: u64,
    end: u64,
}

/// Writes the stored frames that `keep` keeps to `out`, which appears only when it is whole.
/// Frames that are left out become segments whose file size is smaller than their memory size.
/// Every frame is read twice, so that one that turns out to be unreadable is left out as well.
///
/// # Errors
/// Those of writing; a source whose frame numbers are absurd; a frame that could be read the
/// first time and not the second.
pub fn write_elf(
    out: &Path,
    memory: &dyn PhysicalMemory,
    origin: &Origin,
    keep: &(dyn Fn(u64) -> Keep + Sync),
    progress: WriteProgress<'_>,
) -> io::Result<Stats> {
    let mut stats = Stats::default();
    let runs = kept_runs(memory, keep, &mut stats)?;
    let kept: u64 = runs.iter().map(|(first, end)| end - first).sum();
    let runs = readable(memory, &runs);
    stats.written = runs.iter().map(|(first, end)| end - first).sum();
    stats.unreadable = kept - stats.written;
    let segments = segments(memory, &runs);

    let page_size = memory.page_size();
    let notes = origin.note_bytes();
    let notes_at = HEADER + PROGRAM * (segments.len() as u64 + 1) + HEADER;
    let data_at = (notes_at + notes.len() as u64).next_multiple_of(page_size);
    let output = Output::create(out)?;
    let mut file = BufWriter::with_capacity(1 << 20, output.handle()?);
    let mut head = headers(origin, &segments, notes_at, notes.len() as u64, data_at, page_size);
    head.extend(notes);
    head.resize(data_at as usize, 0);
    file.write_all(&head)?;
    for_each_frame(
        &runs,
        progress,
        |pfn| memory.page(pfn),
        |_, page| {
            let page = page.map_err(io::Error::other)?;
            stats.zero += u64::from(page.iter().all(|&byte| byte == 0));
            file.write_all(&page)
        },
    )?;
    file.flush()?;
    drop(file);
    stats.bytes = output.finish()?;
    Ok(stats)
}

/// The frames of `runs` that can be read.
fn readable(memory: &dyn PhysicalMemory, runs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let parts: Vec<Vec<(u64, u64)>> = runs
        .par_iter()
        .map(|&(first, end)| {
            let mut parts: Vec<(u64, u64)> = Vec::new();
            for pfn in (first..end).filter(|&pfn| memory.page(pfn).is_ok()) {
                match parts.last_mut() {
                    Some(last) if last.1 == pfn => last.1 += 1,
                    _ => parts.push((pfn, pfn + 1)),
                }
            }
            parts
        })
        .collect();
    parts.into_iter().flatten().collect()
}

/// One segment a stored run, with what was left out behind it; one more where memory begins with
/// frames that were left out.
fn segments(memory: &dyn PhysicalMemory, runs: &[(u64, u64)]) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    let mut runs = runs.iter().peekable();
    let mut at = 0;
    while let Some((first, end)) = memory.memory_run(at) {
        let mut from = first;
        while let Some(&&(run_first, run_end)) = runs.peek().filter(|run| run.0 < end) {
            if run_first > from {
                leave_out(&mut out, from, run_first);
            }
            out.push(Segment { first: run_first, stored_end: run_end, end: run_end });
            from = run_end;
            runs.next();
        }
        if from < end {
            leave_out(&mut out, from, end);
        }
        at = end;
    }
    out
}

/// Frames left out belong to the segment that ends where they begin.
fn leave_out(segments: &mut Vec<Segment>, first: u64, end: u64) {
    match segments.last_mut() {
        Some(last) if last.end == first => last.end = end,
        _ => segments.push(Segment { first, stored_end: first, end }),
    }
}

fn headers(
    origin: &Origin,
    segments: &[Segment],
    notes_at: u64,
    notes_len: u64,
    data_at: u64,
    page_size: u64,
) -> Vec<u8> {
    let count = segments.len() as u64 + 1;
    let sections_at = HEADER + PROGRAM * count;
    let many = count >= PN_XNUM;
    let mut out = Out::new(origin.big_endian);
    out.bytes.extend(b"\x7fELF\x02");
    out.bytes.push(if origin.big_endian { 2 } else { 1 });
    out.bytes.push(1);
    out.bytes.resize(16, 0);
    out.u16(4);
    out.u16(origin.arch.map_or(0, |arch| arch.elf_machine()));
    out.u32(1);
    out.u64(0);
    out.u64(HEADER);
    out.u64(if many { sections_at } else { 0 });
    out.u32(0);
    out.u16(HEADER as u16);
    out.u16(PROGRAM as u16);
    out.u16(count.min(PN_XNUM) as u16);
    out.u16(if many { 64 } else { 0 });
    out.u16(u16::from(many));
    out.u16(0);
    program(&mut out, PT_NOTE, notes_at, [0, 0], notes_len, notes_len);
    let mut offset = data_at;
    for segment in segments {
        let physical = segment.first * page_size;
        let size = (segment.stored_end - segment.first) * page_size;
        let memory_size = (segment.end - segment.first) * page_size;
        let addresses = [virtual_address(origin, physical), physical];
        program(&mut out, PT_LOAD, offset, addresses, size, memory_size);
        offset += size;
    }
    // The first section header, which holds the number of program headers when there are many.
    out.bytes.resize((sections_at + 44) as usize, 0);
    out.u32(if many { count as u32 } else { 0 });
    out.bytes.resize((sections_at + HEADER) as usize, 0);
    out.bytes
}

fn program(
    out: &mut Out,
    kind: u32,
    offset: u64,
    [virtual_address, physical_address]: [u64; 2],
    file_size: u64,
    memory_size: u64,
) {
    out.u32(kind);
    out.u32(if kind == PT_LOAD { 7 } else { 0 });
    for number in [offset, virtual_address, physical_address, file_size, memory_size, 0] {
        out.u64(number);
    }
}

/// Where the source's segments have this physical address; the last one, as /proc/vmcore lists
/// the kernel's text before the direct map.
fn virtual_address(origin: &Origin, physical: u64) -> u64 {
    let segment = origin.segments.iter().rev().find(|segment| {
        let offset = physical.checked_sub(segment.physical_address);
        offset.is_some_and(|offset| offset < segment.memory_size)
    });
    segment.map_or(0, |segment| {
        segment.virtual_address.wrapping_add(physical - segment.physical_address)
    })
}
