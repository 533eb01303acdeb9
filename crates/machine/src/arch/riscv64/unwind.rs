//! One step by the frame pointer (arch/riscv/kernel/stacktrace.c): the caller's lies 16 bytes below
//! where s0 leads, the return address above it.

use necropsy_lexicon::reg::riscv64::*;

use super::ABI;
use crate::{
    Target,
    regs::Regs,
    stack::{FoundBy, Frame, Step},
};

/// The code of entry.S that calls the handlers: `struct pt_regs` is on top of its stack.
const ENTRIES: [&str; 4] =
    ["handle_exception", "ret_from_exception", "_restore_kernel_tpsp", "ret_from_irq"];

/// Tasks begin there.
const BEGINNINGS: [&str; 3] = ["ret_from_fork", "ret_from_fork_asm", "ret_from_kernel_thread"];

fn symbol(target: &Target, pc: u64) -> &str {
    target.locate(pc).map_or("", |located| located.symbol.name)
}

pub(super) fn step(target: &Target, frame: &Frame) -> Step {
    let name = symbol(target, frame.lookup_pc());
    // A return address may be the first of the code behind the entry.
    let exact = symbol(target, frame.pc);
    if !frame.interrupted && (ENTRIES.contains(&name) || ENTRIES.contains(&exact)) {
        return saved(target, frame.sp);
    }
    if !frame.interrupted && BEGINNINGS.contains(&exact) {
        return match target.saved_regs(frame.sp) {
            Ok(regs) if regs.user_mode() && regs.get(PC) != Some(0) => Step::User(frame.sp, regs),
            _ => Step::End,
        };
    }
    let link = frame.regs.get(RA).filter(|ra| frame.interrupted && follows_call(target, *ra));
    let Some(fp) = frame.regs.get(S0) else { return Step::Unknown };
    // Nobody calls the entry: the register may be that of a function which has its frame already.
    let recorded = || target.read_u64(fp.wrapping_sub(8)).ok() == link;
    if frame.interrupted
        && let Some(link) = link
        && !(ENTRIES.contains(&name) && recorded())
        && (!target.is_text(frame.pc) || !owns_frame(target, frame.pc))
    {
        let mut caller = Frame::returning(&ABI, link, frame.sp, frame.sp, FoundBy::Link);
        ABI.preserved.iter().for_each(|reg| caller.regs.put(*reg, frame.regs.get(*reg)));
        return Step::Frame(caller);
    }
    if fp % 8 != 0 || !target.address_class(fp).is_kernel() {
        return if fp == 0 { Step::End } else { Step::Unknown };
    }
    let at = fp.wrapping_sub(16);
    let (next, pc) = match (target.read_u64(at), target.read_u64(at.wrapping_add(8))) {
        (Ok(next), Ok(pc)) => (next, pc),
        (Err(fault), _) | (_, Err(fault)) => return Step::Fault(fault),
    };
    // A function that calls none keeps the caller's frame pointer alone, at the top.
    if !target.is_text(pc)
        && let Some(link) = link
    {
        let mut caller = Frame::returning(&ABI, link, fp, fp, FoundBy::Link);
        caller.regs.set(S0, pc);
        return Step::Frame(caller);
    }
    if !target.is_text(pc) {
        return if pc == 0 { Step::End } else { Step::Unknown };
    }
    let mut caller = Frame::returning(&ABI, pc, fp, fp.wrapping_sub(8), FoundBy::FramePointer);
    caller.regs.set(S0, next);
    Step::Frame(caller)
}

/// The registers that entry.S saved at the stack pointer.
fn saved(target: &Target, at: u64) -> Step {
    let regs = match target.saved_regs(at) {
        Ok(regs) => regs,
        Err(fault) => return Step::Fault(fault),
    };
    if !plausible(target, &regs) {
        return Step::Unknown;
    }
    if regs.user_mode() {
        return Step::User(at, regs);
    }
    let (Some(pc), Some(sp)) = (regs.get(PC), regs.get(SP)) else { return Step::Unknown };
    Step::Frame(Frame {
        pc,
        sp,
        slot: at,
        found_by: FoundBy::Registers,
        interrupted: true,
        regs,
        saved_regs: true,
        stack: None,
    })
}

/// Whether these could be the registers that a trap saved.
pub(super) fn plausible(target: &Target, regs: &Regs) -> bool {
    let (Some(pc), Some(sp), Some(cause)) = (regs.get(PC), regs.get(SP), regs.get(CAUSE)) else {
        return false;
    };
    // An interrupt has the topmost bit, and few causes are defined.
    let sound = cause & !(1 << 63) < 64 || cause == u64::MAX;
    let fits = match regs.user_mode() {
        true => pc < 1 << 56 && sp < 1 << 56,
        false => sp % 8 == 0 && target.address_class(sp).is_kernel(),
    };
    sound && fits && pc != 0
}

fn halfwords(target: &Target, start: u64, end: u64) -> Vec<u16> {
    let Some(len) = end.checked_sub(start).filter(|len| *len < 1 << 18) else { return Vec::new() };
    let bytes = target.read_bytes(start, len).unwrap_or_default();
    bytes.chunks_exact(2).map(|half| u16::from_le_bytes([half[0], half[1]])).collect()
}

/// Whether the function at `pc` has set s0 to its own frame on the straight way there.
fn owns_frame(target: &Target, pc: u64) -> bool {
    let Some(located) = target.locate(pc) else { return true };
    let code = halfwords(target, located.symbol.address, pc);
    let (mut at, mut own, mut made) = (0, false, false);
    while let Some(low) = code.get(at).copied() {
        let long = low & 3 == 3;
        let word = u32::from(low) | u32::from(code.get(at + 1).copied().unwrap_or(0)) << 16;
        at += if long { 2 } else { 1 };
        match long {
            // addi s0, sp, n
            true if word & 0x000f_ffff == 0x1_0413 => own = true,
            // ld s0, n(sp)
            true if word & 0x000f_ffff == 0x1_3403 => own = false,
            // jr: what comes behind a return has its frame again.
            true if word & 0x0000_7fff == 0x0067 => own = made,
            // c.addi4spn s0, sp, n
            false if low & 0xe01f == 0x0000 && low >> 5 != 0 => own = true,
            // c.ldsp s0, n(sp)
            false if low & 0xef83 == 0x6402 => own = false,
            // c.jr
            false if low & 0xf07f == 0x8002 => own = made,
            _ => {}
        }
        made |= own;
    }
    own
}

fn instruction(target: &Target, address: u64) -> Option<u32> {
    target.read_array(address).ok().map(u32::from_le_bytes)
}

/// Where the `jal ra` before `pc` leads, or the `auipc`, `jalr` pair.
pub(super) fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let at = pc.wrapping_sub(4);
    let word = instruction(target, at)?;
    if word & 0xfff == 0x0ef {
        let sign = i64::from(word as i32 >> 31) << 20;
        let offset = (word >> 12 & 0xff) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3ff) << 1;
        return Some(at.wrapping_add_signed(sign | i64::from(offset)));
    }
    if word & 0x7fff == 0x00e7 || word & 0x0000_0fff == 0x0e7 {
        let first = instruction(target, at.wrapping_sub(4))?;
        let register = word >> 15 & 31;
        if first & 0x7f == 0x17 && first >> 7 & 31 == register {
            let high = i64::from((first & 0xffff_f000) as i32);
            let low = i64::from(word as i32 >> 20);
            return Some(at.wrapping_sub(4).wrapping_add_signed(high + low));
        }
    }
    None
}

/// Whether the instruction before `pc` could be a call: `jal ra`, `jalr ra`, `c.jalr`.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    if !pc.is_multiple_of(2) || !target.is_text(pc) {
        return false;
    }
    let Some(word) = instruction(target, pc.wrapping_sub(4)) else { return false };
    let half = word >> 16;
    word & 0xfff == 0x0ef || word & 0x7fff == 0x00e7 || half & 0xf07f == 0x9002 && half & 0xf80 != 0
}
