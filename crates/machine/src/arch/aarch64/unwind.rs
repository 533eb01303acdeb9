//! One step by the frame record that x29 leads to (arch/arm64/kernel/stacktrace.c).

use necropsy_lexicon::reg::aarch64::*;

use super::{code, layout, regs};
use crate::{
    Target,
    regs::Regs,
    stack::{FoundBy, Frame, Step},
};

/// The word behind a record of two zeros, since 6.13 (asm/stacktrace/frame.h).
const META_FINAL: u64 = 1;
const META_PT_REGS: u64 = 2;

/// Where `struct pt_regs` has its record when the types do not say: 6.13, 5.10, 5.1, 4.14.
const RECORD_IN_REGS: [u64; 4] = [296, 304, 288, 304];

pub(super) fn step(target: &Target, frame: &Frame) -> Step {
    if frame.interrupted
        && let Some(next) = by_link(target, frame)
    {
        return Step::Frame(next);
    }
    let Some(fp) = frame.regs.get(X29) else { return Step::Unknown };
    if fp == 0 {
        return Step::End;
    }
    if fp % 8 != 0 || !target.address_class(fp).is_kernel() {
        return Step::Unknown;
    }
    let (next, link) = match (target.read_u64(fp), target.read_u64(fp.wrapping_add(8))) {
        (Ok(next), Ok(link)) => (next, link),
        (Err(fault), _) | (_, Err(fault)) => return Step::Fault(fault),
    };
    let pc = layout::unsigned(target.layout(), link);
    if next == 0 && link == 0 {
        return outermost(target, fp);
    }
    if let Some((at, regs)) =
        around(target, fp, |regs| regs.get(X29) == Some(next) && regs.get(PC) == Some(link))
    {
        return saved(at, regs);
    }
    if !target.is_text(pc) {
        return if next == 0 { Step::End } else { Step::Unknown };
    }
    // Compilers put the record where the stack pointer is from then on.
    let sp = if next > fp || next != 0 && next % 16 == 0 { next } else { fp.wrapping_add(16) };
    let mut caller =
        Frame::returning(&super::ABI, pc, sp, fp.wrapping_add(8), FoundBy::FramePointer);
    caller.regs.set(X29, next);
    Step::Frame(caller)
}

/// A record of zeros: the registers of an exception lie around it, or nothing is left.
fn outermost(target: &Target, fp: u64) -> Step {
    let kind = target.read_u64(fp.wrapping_add(16)).unwrap_or(0);
    let meta = target.composite("frame_record_meta").is_some();
    match kind {
        META_PT_REGS if meta || target.composite("pt_regs").is_none() => {
            match around(target, fp, |_| true) {
                Some((at, regs)) => saved(at, regs),
                None => Step::Unknown,
            }
        }
        _ => {
            let user = around(target, fp, regs::user_mode);
            // Kernel threads have such a record, too, and no registers.
            match user.filter(|_| !meta || kind == META_FINAL) {
                Some((at, regs)) => Step::User(at, regs),
                None => Step::End,
            }
        }
    }
}

/// The saved registers whose record lies at `fp`, if they look like that, and their address.
fn around(target: &Target, fp: u64, fits: impl Fn(&Regs) -> bool) -> Option<(u64, Regs)> {
    let typed = target
        .types()
        .composite("pt_regs")
        .and_then(|ty| target.types().member(ty, "stackframe").map(|member| member.offset()));
    let places = typed.map_or(RECORD_IN_REGS.to_vec(), |offset| vec![offset]);
    places.into_iter().find_map(|offset| {
        let at = fp.checked_sub(offset)?;
        let regs = target.saved_regs(at).ok()?;
        (regs::plausible(target, &regs) && fits(&regs)).then_some((at, regs))
    })
}

fn saved(at: u64, regs: Regs) -> Step {
    if regs::user_mode(&regs) {
        return Step::User(at, regs);
    }
    let (Some(pc), Some(sp)) = (regs.get(PC), regs.get(SP)) else { return Step::Unknown };
    Step::Frame(Frame {
        pc,
        sp,
        slot: at.wrapping_add(32 * 8),
        found_by: FoundBy::Registers,
        interrupted: true,
        regs,
        saved_regs: true,
        stack: None,
    })
}

/// Where exceptions begin (arch/arm64/kernel/entry.S).
const VECTORS: [&str; 2] = ["vectors", "tramp_vectors"];

/// The caller of code that was interrupted before it made a record of its own, or makes none.
fn by_link(target: &Target, frame: &Frame) -> Option<Frame> {
    let link = layout::unsigned(target.layout(), frame.regs.get(X30)?);
    // A jump to nowhere has made no record either.
    let has_record = target.is_text(frame.pc) && code::has_record(target, frame.pc)?;
    if has_record || !code::follows_call(target, link) {
        return None;
    }
    // An exception begins in a table that nobody called: the register may be that of a function which
    // has made its record.
    let vectors = target.locate(frame.pc).is_some_and(|at| VECTORS.contains(&at.symbol.name));
    let recorded = || {
        let saved = target.read_u64(frame.regs.get(X29)?.wrapping_add(8)).ok()?;
        Some(layout::unsigned(target.layout(), saved) == link)
    };
    if vectors && recorded() == Some(true) {
        return None;
    }
    let mut caller = Frame::returning(&super::ABI, link, frame.sp, frame.sp, FoundBy::Link);
    for reg in super::ABI.preserved {
        caller.regs.put(*reg, frame.regs.get(*reg));
    }
    Some(caller)
}
