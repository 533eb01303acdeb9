//! Searching all of memory, in parallel.

use memchr::memmem::Finder;
use rayon::prelude::*;

use crate::{PhysicalMemory, VmCoreInfo};

/// Frames that one task looks through.
const FRAMES_PER_TASK: u64 = 4096;
/// VMCOREINFO's text is at most this long: one page, 64 KiB at most.
const VMCOREINFO_LIMIT: usize = 64 << 10;

/// Stored frames of `first..end`, in pieces for parallel work.
fn pieces(memory: &dyn PhysicalMemory, first: u64, end: u64) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    let mut at = first;
    while at < end
        && let Some((run_first, run_end)) = memory.stored_run(at)
        && run_first < end
        && run_end > at
    {
        let run_end = run_end.min(end);
        let mut piece = run_first;
        while piece < run_end {
            let next = run_end.min(piece + FRAMES_PER_TASK);
            out.push((piece, next));
            piece = next;
        }
        at = run_end;
    }
    out
}

/// The physical addresses in `from..to` at which `needle` begins, in ascending order. Matches may
/// span frames that lie next to each other; pages that cannot be read match nothing.
pub fn search_bytes(memory: &dyn PhysicalMemory, needle: &[u8], from: u64, to: u64) -> Vec<u64> {
    if needle.is_empty() || from >= to {
        return Vec::new();
    }
    let page_size = memory.page_size();
    let finder = Finder::new(needle);
    let pieces = pieces(memory, from / page_size, to.div_ceil(page_size));
    let found: Vec<Vec<u64>> = pieces
        .into_par_iter()
        .map(|piece| {
            let mut hits = Vec::new();
            search_piece(memory, &finder, piece, &mut hits);
            hits.retain(|&hit| (from..to).contains(&hit));
            hits
        })
        .collect();
    found.into_iter().flatten().collect()
}

/// Matches that begin in frames `first..end`. Pages are searched where they lie; only the seams
/// between them are copied.
fn search_piece(
    memory: &dyn PhysicalMemory,
    finder: &Finder<'_>,
    (first, end): (u64, u64),
    hits: &mut Vec<u64>,
) {
    let page_size = memory.page_size();
    let overhang = finder.needle().len() - 1;
    let mut seam = Vec::new();
    for pfn in first..end {
        let Ok(page) = memory.page(pfn) else { continue };
        let base = pfn * page_size;
        hits.extend(matches(finder, &page).map(|at| base + at as u64));
        if overhang > 0 {
            let keep = overhang.min(page.len());
            seam.clear();
            seam.extend_from_slice(&page[page.len() - keep..]);
            read_up_to(memory, pfn + 1, overhang, &mut seam);
            let start = base + page_size - keep as u64;
            let crossing = matches(finder, &seam).take_while(|&at| at < keep);
            hits.extend(crossing.map(|at| start + at as u64));
        }
    }
}

/// All matches, those that overlap too.
fn matches<'a>(finder: &'a Finder<'_>, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + finder.find(bytes.get(from..)?)?;
        from = at + 1;
        Some(at)
    })
}

/// Appends up to `len` bytes of the frames from `pfn` on, up to the first that cannot be read.
fn read_up_to(memory: &dyn PhysicalMemory, pfn: u64, len: usize, out: &mut Vec<u8>) {
    let end = out.len() + len;
    for pfn in pfn.. {
        let Ok(page) = memory.page(pfn) else { return };
        let rest = end.saturating_sub(out.len());
        out.extend_from_slice(&page[..rest.min(page.len())]);
        if rest <= page.len() {
            return;
        }
    }
}

/// Searches all stored memory for the kernel's own VMCOREINFO, for dumps whose header has none.
/// Of several texts (a capture kernel's, a tool's copy) the one with most lines wins, and one that
/// was completed by a crash over one that was not.
pub fn find_vmcoreinfo(memory: &dyn PhysicalMemory) -> Option<VmCoreInfo> {
    let end = memory.max_pfn().saturating_mul(memory.page_size());
    let hits = search_bytes(memory, b"OSRELEASE=", 0, end);
    let candidates = hits.into_iter().filter_map(|address| {
        let mut text = Vec::new();
        let (pfn, skip) = (address / memory.page_size(), address % memory.page_size());
        read_up_to(memory, pfn, VMCOREINFO_LIMIT + skip as usize, &mut text);
        let text = text.get(skip as usize..)?;
        let info = VmCoreInfo::parse(printable(text));
        Some((info.quality()?, info))
    });
    candidates.max_by_key(|(quality, _)| *quality).map(|(_, info)| info)
}

/// The text up to the first byte that no VMCOREINFO has.
fn printable(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| *byte == b'\n' || (b' '..=b'~').contains(byte);
    let end = bytes.iter().position(|byte| !is_text(byte)).unwrap_or(bytes.len());
    &bytes[..end]
}
