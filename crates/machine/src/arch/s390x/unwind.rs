//! One step by the back chain (arch/s390/kernel/unwind_bc.c): a function saves its caller's registers
//! in the caller's frame, the return address (r14) among them.

use necropsy_lexicon::reg::s390x::*;

use super::ABI;
use crate::{
    Target,
    regs::Regs,
    stack::{FoundBy, Frame, Step},
};

/// Where `struct stack_frame` has the back chain and the saved r6 to r15, and its size: without types
/// as since 5.0, when the kernel packs them (asm/stacktrace.h).
struct Shape {
    chain: u64,
    gprs: u64,
    size: u64,
}

fn shape(target: &Target) -> Shape {
    let types = target.types();
    let found = types.composite("stack_frame").and_then(|ty| {
        let offset = |path: &str| types.member(ty, path).map(|member| member.offset());
        let (chain, gprs) = (offset("back_chain")?, offset("gprs")?);
        Some(Shape { chain, gprs, size: types.size_of(ty)? })
    });
    found.unwrap_or(Shape { chain: 152, gprs: 72, size: 160 })
}

pub(super) fn step(target: &Target, frame: &Frame) -> Step {
    let sp = frame.sp;
    if !sp.is_multiple_of(8) {
        return Step::Unknown;
    }
    let shape = shape(target);
    if frame.interrupted
        && let Some(caller) = by_link(target, frame)
    {
        return Step::Frame(caller);
    }
    let chain = match target.read_u64(sp.wrapping_add(shape.chain)) {
        Ok(chain) => chain,
        Err(fault) => return Step::Fault(fault),
    };
    if chain == 0 || chain % 8 != 0 {
        // The code that enters the kernel leaves none; the registers that it saved lie above.
        return saved(target, sp.wrapping_add(shape.size));
    }
    let slot = chain.wrapping_add(shape.gprs + 8 * 8);
    let pc = match target.read_u64(slot) {
        Ok(pc) => pc,
        Err(fault) => return Step::Fault(fault),
    };
    if !target.is_text(pc) {
        // The frame that the entry code made: nothing was saved in it.
        return match target.read_u64(chain.wrapping_add(shape.chain)) {
            Ok(0) => saved(target, chain.wrapping_add(shape.size)),
            _ => Step::Unknown,
        };
    }
    let mut caller = Frame::returning(&ABI, pc, chain, slot, FoundBy::FramePointer);
    // The slots of r6 to r13 lie before it; which of them were used, the code knows alone.
    caller.regs.put(R14, None);
    Step::Frame(caller)
}

fn saved(target: &Target, at: u64) -> Step {
    let Ok(regs) = target.saved_regs(at) else { return Step::End };
    if !plausible(target, &regs) {
        return Step::End;
    }
    if regs.user_mode() {
        return Step::User(at, regs);
    }
    let (Some(pc), Some(sp)) = (regs.get(PSWA), regs.get(R15)) else { return Step::Unknown };
    Step::Frame(Frame {
        pc,
        sp,
        slot: at.wrapping_add(16),
        found_by: FoundBy::Registers,
        interrupted: true,
        regs,
        saved_regs: true,
        stack: None,
    })
}

/// Whether these could be the registers that an interruption saved: the kernel runs in 64-bit mode.
pub(super) fn plausible(target: &Target, regs: &Regs) -> bool {
    let (Some(mask), Some(pc), Some(sp)) = (regs.get(PSWM), regs.get(PSWA), regs.get(R15)) else {
        return false;
    };
    const EXTENDED_AND_BASIC: u64 = 0x0000_0001_8000_0000;
    if regs.user_mode() {
        return pc != 0;
    }
    mask & EXTENDED_AND_BASIC == EXTENDED_AND_BASIC && sp % 8 == 0 && target.is_text(pc)
}

/// The caller of code that was interrupted before it made a frame, or makes none.
fn by_link(target: &Target, frame: &Frame) -> Option<Frame> {
    let link = frame.regs.get(R14)?;
    if target.is_text(frame.pc) && has_frame(target, frame.pc)? || !follows_call(target, link) {
        return None;
    }
    let mut caller = Frame::returning(&ABI, link, frame.sp, frame.sp, FoundBy::Link);
    ABI.preserved.iter().for_each(|reg| caller.regs.put(*reg, frame.regs.get(*reg)));
    Some(caller)
}

/// Whether the function at `pc` has moved the stack pointer on the straight way there.
fn has_frame(target: &Target, pc: u64) -> Option<bool> {
    let start = target.locate(pc)?.symbol.address;
    let len = pc.checked_sub(start).filter(|len| *len < 1 << 18)?;
    let code = target.read_bytes(start, len).ok()?;
    let (mut at, mut has) = (0, false);
    let mut ever = false;
    while let Some(&[first, second]) = code.get(at..at + 2).and_then(|two| two.first_chunk()) {
        let length = match first >> 6 {
            0 => 2,
            3 => 6,
            _ => 4,
        };
        let rest = code.get(at + 2..at + length).unwrap_or(&[]);
        match (first, second, rest) {
            // aghi %r15,-n
            (0xa7, 0xfb, &[high, _]) if high & 0x80 != 0 => (has, ever) = (true, true),
            // lay %r15,-n(%r15): the sign is in the byte before the last
            (0xe3, 0xf0, &[base, _, high, 0x71]) if base >> 4 == 15 && high & 0x80 != 0 => {
                (has, ever) = (true, true);
            }
            // agfi, slgfi %r15,n
            (0xc2, 0xf8 | 0xf4, _) => (has, ever) = (true, true),
            // lmg %rN,%r15,d(%r15): back to the caller's
            (0xeb, registers, &[base, _, _, 0x04]) if registers & 15 == 15 && base >> 4 == 15 => {
                has = false;
            }
            // br %r14, or a jump away: what follows is another part of the function.
            (0x07, 0xfe, _) | (0xc0, 0xf4, _) | (0xa7, 0xf4, _) => has = ever,
            _ => {}
        }
        at += length;
    }
    Some(has)
}

/// Where the `brasl` before `pc` leads, if there is one.
pub(super) fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let at = pc.wrapping_sub(6);
    let code = target.read_array::<6>(at).ok()?;
    let [0xc0, registers, distance @ ..] = code else { return None };
    (registers & 15 == 5)
        .then(|| at.wrapping_add_signed(i64::from(i32::from_be_bytes(distance)) * 2))
}

/// Whether the instruction before `pc` could be a call: `brasl`, `basr`, `bras`.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    if !pc.is_multiple_of(2) || !target.is_text(pc) {
        return false;
    }
    let Ok([a, b, c, d, e, _]) = target.read_array::<6>(pc.wrapping_sub(6)) else { return false };
    let _ = d;
    a == 0xc0 && b & 15 == 5 || c == 0xa7 && d & 15 == 5 || e == 0x0d
}
