//! Page tables: neither they nor what they map is free.

use std::collections::HashSet;

use necropsy_machine::paging::PagingFormat;
use rayon::prelude::*;

use crate::span::Numbers;

use super::{
    super::{Checker, Class, Confidence},
    frames::Frames,
};

/// Page tables that are looked at; those of 10,000 processes are fewer.
const MAX_TABLES: usize = 16_000_000;
/// Entries of a table, and of a root those of user space.
const ENTRIES: usize = 512;
const USER: usize = 256;
/// Bits of an entry (arch/x86/include/asm/pgtable_types.h).
const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

pub(super) fn check(checker: &mut Checker<'_>, frames: &Frames) {
    let kernel = checker.kernel;
    let mut roots: Vec<(u64, String)> = Vec::new();
    let mut known = HashSet::new();
    for task in kernel.tasks().tasks {
        let Ok(Some(mm)) = task.mm() else { continue };
        if known.insert(mm)
            && let Ok(root) = task.page_table()
        {
            roots.push((root, task.comm().unwrap_or_else(|_| "a process".into())));
        }
    }
    // Other machines have other entries.
    let PagingFormat::X86_64 { levels, mask } = kernel.target().paging() else {
        checker.unknown_here("page tables of processes", roots.len() as u64);
        return;
    };
    let look: &Checker<'_> = checker;
    let parts: Vec<Checker<'_>> = roots
        .par_iter()
        .map(|(root, owner)| {
            let mut part = look.part();
            walk(&mut part, frames, (*root & ADDRESS, levels, mask), owner);
            part
        })
        .collect();
    parts.into_iter().for_each(|part| checker.take(part));
}

fn walk(
    checker: &mut Checker<'_>,
    frames: &Frames,
    (root, levels, mask): (u64, u8, u64),
    owner: &str,
) {
    let kernel = checker.kernel;
    let mut todo = vec![(root, levels)];
    let mut seen = HashSet::new();
    while let Some((table, level)) = todo.pop() {
        if seen.len() >= MAX_TABLES || checker.stopped() || !seen.insert(table) {
            continue;
        }
        let is_free = |pfn: u64| frames.get(pfn).buddy();
        if is_free(table >> 12) {
            free(checker, table >> 12, format!("it is a page table of {owner}, and is free"));
            continue;
        }
        let frame = frames.get(table >> 12);
        if level < levels && frame.known() && !frame.table() && frame.slab() {
            free(checker, table >> 12, format!("it is a page table of {owner}, and a slab's"));
            continue;
        }
        let mut bytes = vec![0; ENTRIES * 8];
        if let Err(fault) = kernel.target().read_physical(table, &mut bytes) {
            checker.unread("page tables", 1, Some(&fault.into()));
            continue;
        }
        let count = if level == levels { USER } else { ENTRIES };
        for entry in Numbers::of(kernel.target()).words(&bytes).into_iter().take(count) {
            if entry & PRESENT == 0 {
                continue;
            }
            let to = entry & !mask & ADDRESS;
            if level == 1 || entry & LARGE != 0 {
                if is_free(to >> 12) {
                    let text = format!("a page table of {owner} maps it, and it is free");
                    free(checker, to >> 12, text);
                }
            } else {
                todo.push((to, level - 1));
            }
        }
    }
    checker.count("page tables", seen.len() as u64);
}

fn free(checker: &mut Checker<'_>, pfn: u64, text: String) {
    let page = checker.kernel.page_of(pfn).unwrap_or(0);
    checker
        .find("mapped_free", Class::Value, format!("page frame {pfn:#x}"), page, text)
        .start(page)
        .confidence(Confidence::Likely);
}
