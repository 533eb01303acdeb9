//! One step by the frame pointer, or by what an exception left (arch/x86/kernel/unwind_frame.c).

use necropsy_lexicon::reg::i386::*;

use super::ABI;
use crate::{
    Target,
    regs::Regs,
    stack::{FoundBy, Frame, Stack, Step},
};

pub(super) fn step(target: &Target, frame: &Frame) -> Step {
    let Some(bp) = frame.regs.get(EBP) else { return Step::Unknown };
    if bp == 0 {
        return Step::End;
    }
    // The entry code leaves the address of the registers that it saved with the lowest bit set, or
    // the topmost one clear (`encode_frame_pointer`).
    if bp & 1 != 0 || bp < 0x8000_0000 && bp | 0x8000_0000 >= frame.sp {
        let at = bp & !1 | 0x8000_0000;
        // The mark says that they are there: what they interrupted may be code of a module that
        // nobody knows.
        return match target.saved_regs(at) {
            Ok(regs) if sound(&regs) => saved(at, regs),
            // A kernel thread, which never came from anywhere (`copy_thread`).
            Ok(regs) if regs.get(EIP) == Some(0) && regs.get(CS) == Some(0) => Step::End,
            _ => Step::Unknown,
        };
    }
    // `jmp` to nowhere, or before the frame was made: the return address is on top.
    if frame.interrupted && frame.saved_regs {
        let fresh = target.is_text(frame.pc) && !starts(target, frame.pc);
        if !fresh
            && let Ok(pc) = target.read_pointer(frame.sp)
            && follows_call(target, pc)
        {
            let mut next =
                Frame::returning(&ABI, pc, frame.sp.wrapping_add(4), frame.sp, FoundBy::Call);
            next.regs.put(EBP, Some(bp));
            return Step::Frame(next);
        }
    }
    by_pointer(target, frame, bp).map_or_else(|| on_top(target, frame), Step::Frame)
}

/// The registers of user space, where the entry code called from: it does so with nothing above them,
/// and leaves the frame pointer the program's where it does not mark it.
fn on_top(target: &Target, frame: &Frame) -> Step {
    match target.saved_regs(frame.sp) {
        Ok(regs) if !frame.interrupted && regs.user_mode() && plausible(target, &regs) => {
            saved(frame.sp, regs)
        }
        _ => Step::Unknown,
    }
}

/// Whether the frame pointer is still the caller's there: at the first two instructions.
fn starts(target: &Target, pc: u64) -> bool {
    target.locate(pc).is_some_and(|located| located.offset < 3)
}

fn saved(at: u64, regs: Regs) -> Step {
    if regs.user_mode() {
        return Step::User(at, regs);
    }
    let (Some(pc), Some(sp)) = (regs.get(EIP), regs.get(ESP)) else { return Step::Unknown };
    let slot = at.wrapping_add(12 * 4);
    Step::Frame(Frame {
        pc,
        // Before 5.4 nothing was saved of the stack pointer; it lay right above.
        sp: if sp > at { sp } else { at.wrapping_add(15 * 4) },
        slot,
        found_by: FoundBy::Registers,
        interrupted: true,
        regs,
        saved_regs: true,
        stack: None,
    })
}

/// Whether these could be the registers that an exception saved.
pub(super) fn plausible(target: &Target, regs: &Regs) -> bool {
    sound(regs) && (regs.user_mode() || regs.get(EIP).is_some_and(|ip| target.is_text(ip)))
}

/// Whether segment and flags are those of the kernel or of a program.
fn sound(regs: &Regs) -> bool {
    let (Some(cs), Some(flags)) = (regs.get(CS), regs.get(EFLAGS)) else { return false };
    // __KERNEL_CS, __USER_CS
    matches!(cs, 0x60 | 0x73) && flags & 2 != 0 && flags < 1 << 22
}

fn by_pointer(target: &Target, at: &Frame, bp: u64) -> Option<Frame> {
    if !bp.is_multiple_of(4) || bp < at.sp {
        return None;
    }
    let next = target.read_pointer(bp).ok()?;
    let pc = target.read_pointer(bp.wrapping_add(4)).ok()?;
    if !target.is_text(pc) {
        return None;
    }
    let sp = bp.wrapping_add(8);
    let mut frame = Frame::returning(&ABI, pc, sp, bp.wrapping_add(4), FoundBy::FramePointer);
    frame.regs.set(EBP, next);
    Some(frame)
}

pub(super) fn frame_pointer(target: &Target, at: &Frame, stack: &Stack) -> Option<Frame> {
    let bp = at.regs.get(EBP)?;
    if bp > stack.end.saturating_sub(8) {
        return None;
    }
    by_pointer(target, at, bp)
}

/// Where the `call rel32` before `pc` leads, if there is one.
pub(super) fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let [opcode, a, b, c, d] = target.read_array::<5>(pc.wrapping_sub(5)).ok()?;
    let offset = i32::from_le_bytes([a, b, c, d]);
    (opcode == 0xe8).then(|| pc.wrapping_add_signed(offset.into()) & u64::from(u32::MAX))
}

/// Whether the instruction before `pc` could be a call: `e8 rel32`, or `ff /2` in its lengths.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    if !target.is_text(pc) {
        return false;
    }
    let Ok(before) = target.read_array::<7>(pc.wrapping_sub(7)) else { return false };
    let indirect = |at: usize| before[at] == 0xff && before[at + 1] & 0x38 == 0x10;
    before[2] == 0xe8 || [0, 1, 3, 4, 5].into_iter().any(indirect)
}
