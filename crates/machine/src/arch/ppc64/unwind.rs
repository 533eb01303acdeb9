//! One step by the back chain (arch/powerpc/kernel/stacktrace.c): the word at the stack pointer leads
//! to the caller's frame, and there lies what the link register was on entry.

use necropsy_lexicon::reg::ppc64::*;

use super::ABI;
use crate::{
    Target,
    regs::Regs,
    stack::{FoundBy, Frame, Step},
};

/// Where a function keeps the return address, in its caller's frame (STACK_FRAME_LR_SAVE).
const LINK_SAVE: u64 = 16;

/// Stands in a frame below the registers of an exception (STACK_FRAME_REGS_MARKER): since 6.2 "REGS"
/// in either byte order, before that "regshere".
const MARKERS: [u64; 3] = [0x5245_4753, 0x5347_4552, 0x7265_6773_6865_7265];

/// Where the marker and the registers are: ELF V2 since 6.2; before, and ELF V1.
const REGS: [(u64, u64); 2] = [(32, 48), (96, 112)];

pub(super) fn step(target: &Target, frame: &Frame) -> Step {
    let sp = frame.sp;
    if !sp.is_multiple_of(8) {
        return Step::Unknown;
    }
    // The registers of an exception lie in the frame of the code that saved them, which C called.
    if !frame.interrupted {
        let end = target.read_u64(sp).ok().filter(|chain| *chain > sp);
        for (marker, regs) in REGS {
            // What lies behind a frame's end is its caller's.
            if end.is_none_or(|end| sp.saturating_add(regs) < end)
                && target
                    .read_u64(sp.wrapping_add(marker))
                    .is_ok_and(|word| MARKERS.contains(&word))
                && let Some(step) = saved(target, sp.wrapping_add(regs))
            {
                return step;
            }
        }
    }
    if frame.interrupted
        && let Some(caller) = by_link(target, frame)
    {
        return Step::Frame(caller);
    }
    let chain = match target.read_u64(sp) {
        Ok(0) => return Step::End,
        Ok(chain) => chain,
        Err(fault) => return Step::Fault(fault),
    };
    let slot = chain.wrapping_add(LINK_SAVE);
    let pc = match target.read_u64(slot) {
        Ok(pc) => pc,
        Err(fault) => return Step::Fault(fault),
    };
    if !target.is_text(pc) {
        // The outermost frame's caller is none.
        return match target.read_u64(chain) {
            Ok(0) => Step::End,
            _ => Step::Unknown,
        };
    }
    Step::Frame(Frame::returning(&ABI, pc, chain, slot, FoundBy::FramePointer))
}

fn saved(target: &Target, at: u64) -> Option<Step> {
    let regs = target.saved_regs(at).ok().filter(|regs| plausible(target, regs))?;
    if regs.user_mode() {
        return Some(Step::User(at, regs));
    }
    Some(Step::Frame(Frame {
        pc: regs.get(NIP)?,
        sp: regs.get(R1)?,
        slot: at.wrapping_add(32 * 8),
        found_by: FoundBy::Registers,
        interrupted: true,
        regs,
        saved_regs: true,
        stack: None,
    }))
}

/// Whether these could be the registers that an exception saved.
pub(super) fn plausible(target: &Target, regs: &Regs) -> bool {
    let (Some(nip), Some(sp), Some(trap)) = (regs.get(NIP), regs.get(R1), regs.get(TRAP)) else {
        return false;
    };
    let fits = match regs.user_mode() {
        true => nip >> 60 == 0 && sp >> 60 == 0,
        false => nip != 0 && sp % 8 == 0 && target.address_class(sp).is_kernel(),
    };
    // A vector, with a bit or two for the kernel's own use.
    fits && trap & !0x1 < 0x4000
}

/// The caller of code that was interrupted before it saved the link register, or never does.
fn by_link(target: &Target, frame: &Frame) -> Option<Frame> {
    let link = frame.regs.get(LR)?;
    let (saved, moved) = match target.is_text(frame.pc) {
        true => prologue(target, frame.pc)?,
        false => (false, false),
    };
    if moved {
        return None;
    }
    let slot = frame.sp.wrapping_add(LINK_SAVE);
    let pc = if saved { target.read_u64(slot).ok()? } else { link };
    if !follows_call(target, pc) {
        return None;
    }
    let mut caller = Frame::returning(&ABI, pc, frame.sp, slot, FoundBy::Link);
    ABI.preserved.iter().for_each(|reg| caller.regs.put(*reg, frame.regs.get(*reg)));
    Some(caller)
}

/// Whether the function at `pc` has saved the link register, and moved the stack pointer, on the
/// straight way there.
fn prologue(target: &Target, pc: u64) -> Option<(bool, bool)> {
    let start = target.locate(pc)?.symbol.address;
    let len = pc.checked_sub(start).filter(|len| *len < 1 << 18)?;
    let code = target.read_bytes(start, len).ok()?;
    let (mut saved, mut moved) = (false, false);
    for word in code.chunks_exact(4) {
        let word = target.number(word) as u32;
        match word {
            // std r0,16(r1)
            0xf801_0010 => saved = true,
            // mtlr r0
            0x7c08_03a6 => saved = false,
            // stdu r1,n(r1), stdux r1,r1,rN
            _ if word & 0xffff_0003 == 0xf821_0001 || word & 0xffff_07ff == 0x7c21_016a => {
                moved = true;
            }
            // addi r1,r1,n
            _ if word & 0xffff_8000 == 0x3821_0000 => moved = false,
            // blr, then comes another part of the function with its frame in place.
            0x4e80_0020 => {
                let entered = code.chunks_exact(4).take(64);
                let entered = entered.map(|word| target.number(word) as u32);
                let makes = |word: u32| word & 0xffff_0003 == 0xf821_0001;
                moved = entered.clone().any(makes);
                saved = moved;
            }
            _ => {}
        }
    }
    Some((saved, moved))
}

fn instruction(target: &Target, address: u64) -> Option<u32> {
    target.read_u32(address).ok()
}

/// Where the `bl` before `pc` leads, if there is one.
pub(super) fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let at = pc.wrapping_sub(4);
    let word = instruction(target, at)?;
    let offset = i64::from((word & 0x03ff_fffc) << 6) << 32 >> 38;
    (word & 0xfc00_0003 == 0x4800_0001).then(|| at.wrapping_add_signed(offset))
}

/// Whether the instruction before `pc` could be a call: `bl`, `bctrl`, `blrl`.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    if !pc.is_multiple_of(4) || !target.is_text(pc) {
        return false;
    }
    let Some(word) = instruction(target, pc.wrapping_sub(4)) else { return false };
    word & 0xfc00_0001 == 0x4800_0001 || word & 0xfc00_07ff == 0x4c00_0421 || word == 0x4e80_0021
}
