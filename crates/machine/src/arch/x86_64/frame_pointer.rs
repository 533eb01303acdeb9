//! One step by the frame pointer (arch/x86/kernel/unwind_frame.c): `[bp]` is the caller's bp,
//! `[bp + 8]` the return address. Entry code that saved registers leaves their address in bp with bit 0
//! set (`ENCODE_FRAME_POINTER`, arch/x86/include/asm/frame.h).

use necropsy_lexicon::reg::x86_64::*;

use super::{
    code,
    regs::{IRET_FRAME, PT_REGS_SIZE, from_pt_regs},
    unwind::saved,
};
use crate::{
    Target,
    stack::{FoundBy, Frame, Stack, Step},
};

/// Words that a kernel which can use FRED leaves above the registers of user space, and their size.
const FRED_PADDING: u64 = 16;

pub(super) fn step(target: &Target, at: &Frame, stack: &Stack) -> Step {
    let Some(bp) = at.regs.get(RBP) else { return Step::Unknown };
    if let Some(caller) = not_set_up(target, at, bp) {
        return Step::Frame(caller);
    }
    let fits = |address: u64, size: u64| {
        address >= at.sp.min(stack.end) && address <= stack.end.saturating_sub(size)
    };
    let size = PT_REGS_SIZE as u64;
    if bp & 1 != 0 {
        let regs = bp & !1;
        return if fits(regs, size) { registers(target, regs) } else { Step::Unknown };
    }
    if bp == 0 {
        // Entry code of system calls clears it; the registers of user space end the stack.
        let top = stack.end.saturating_sub(size);
        let ends = at.sp == top || at.sp == top.saturating_sub(FRED_PADDING);
        return if ends { registers(target, at.sp) } else { Step::Unknown };
    }
    if bp % 8 != 0 || !fits(bp, 16) {
        return Step::Unknown;
    }
    let (Ok(next), Ok(pc)) = (target.read_u64(bp), target.read_u64(bp + 8)) else {
        return Step::Unknown;
    };
    if !code::follows_call(target, pc) {
        return Step::Unknown;
    }
    Step::Frame(caller(pc, bp + 8, next))
}

fn caller(pc: u64, slot: u64, bp: u64) -> Frame {
    let mut frame =
        Frame::returning(&super::ABI, pc, slot.wrapping_add(8), slot, FoundBy::FramePointer);
    frame.regs.set(RBP, bp);
    frame
}

/// What entry code saved: of a kernel thread that has never been in user space they are zeros.
fn registers(target: &Target, at: u64) -> Step {
    match target.read_array::<PT_REGS_SIZE>(at) {
        Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => Step::End,
        Ok(bytes) => saved(from_pt_regs(&bytes), at, IRET_FRAME),
        Err(fault) => Step::Fault(fault),
    }
}

/// The caller of a function that was interrupted before it had set up its frame, or while it returns.
fn not_set_up(target: &Target, at: &Frame, bp: u64) -> Option<Frame> {
    if !at.interrupted {
        return None;
    }
    let function = target.locate(at.pc)?.symbol.address;
    let (push, set) = set_up(target, function)?;
    let returns = target.read_u8(at.pc).is_ok_and(|opcode| opcode == 0xc3);
    let (slot, bp) = match at.pc {
        pc if pc <= push || returns => (at.sp, bp),
        pc if pc < set => (at.sp.wrapping_add(8), target.read_u64(at.sp).ok()?),
        _ => return None,
    };
    let pc = target.read_u64(slot).ok()?;
    code::follows_call(target, pc).then(|| caller(pc, slot, bp))
}

/// Where a function saves its caller's frame pointer, and where its own is set up: `push %rbp` and what
/// follows `mov %rsp,%rbp`. Before it may stand `endbr64` and the call of the tracer.
pub(super) fn set_up(target: &Target, function: u64) -> Option<(u64, u64)> {
    let bytes = target.read_array::<16>(function).ok()?;
    let mut at = 0;
    if bytes.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]) {
        at += 4;
    }
    // `call __fentry__`, or the nop of five bytes in its place.
    if bytes[at] == 0xe8 || bytes[at..].starts_with(&[0x0f, 0x1f, 0x44, 0x00, 0x00]) {
        at += 5;
    }
    let sets = bytes[at..].starts_with(&[0x55, 0x48, 0x89, 0xe5]);
    let push = function.wrapping_add(at as u64);
    sets.then(|| (push, push.wrapping_add(4)))
}
