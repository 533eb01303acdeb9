//! One step by the kernel's ORC table (arch/x86/kernel/unwind_orc.c).

use necropsy_debuginfo::orc::{OrcEntry, OrcKind, OrcReg};
use necropsy_dump::Read;

use necropsy_lexicon::reg::x86_64::*;

use super::regs::{
    IRET_FRAME, IRET_FRAME_SIZE, PT_REGS_SIZE, from_iret_frame, from_pt_regs, plausible, user_mode,
};
use crate::{
    Target,
    regs::Regs,
    stack::{FoundBy, Frame, Step},
};

pub(super) fn step(target: &Target, frame: &Frame) -> Step {
    let pc = frame.lookup_pc();
    let image = target.image_at(pc);
    if let Some(fault) = image.and_then(|image| image.orc_fault(target, pc)) {
        return Step::Fault(fault);
    }
    let entry = image.and_then(|image| image.orc(target)?.lookup(pc));
    let entry = match entry {
        Some(entry) => entry,
        // A call through a bad pointer: nothing ran at pc, the return address is on top.
        None if frame.interrupted && !target.is_text(frame.pc) => {
            return match target.read_u64(frame.sp) {
                Ok(pc) if target.is_text(pc) => {
                    let mut next = caller(frame, pc, frame.sp, frame.sp.wrapping_add(8));
                    // As nothing ran there, what a call keeps is as the caller had it.
                    for kept in super::ABI.preserved {
                        next.regs.put(*kept, frame.regs.get(*kept));
                    }
                    Step::Frame(next)
                }
                Ok(_) => Step::Unknown,
                Err(fault) => Step::Fault(fault),
            };
        }
        None => return Step::Unknown,
    };
    match entry.kind {
        OrcKind::Undefined => Step::Unknown,
        OrcKind::EndOfStack => Step::End,
        _ => evaluate(target, frame, &entry).unwrap_or_else(Step::Fault),
    }
}

fn caller(frame: &Frame, pc: u64, slot: u64, sp: u64) -> Frame {
    let mut next = Frame::returning(&super::ABI, pc, sp, slot, FoundBy::Orc);
    next.regs.put(RBP, frame.regs.get(RBP));
    next
}

fn evaluate(target: &Target, frame: &Frame, entry: &OrcEntry) -> Read<Step> {
    let reg = |reg| frame.regs.get(reg);
    let offset = i64::from(entry.sp_offset) as u64;
    let base = match entry.sp_reg {
        OrcReg::Sp => Some(frame.sp.wrapping_add(offset)),
        OrcReg::Bp => reg(RBP).map(|bp| bp.wrapping_add(offset)),
        OrcReg::BpIndirect => match reg(RBP) {
            Some(bp) => Some(target.read_u64(bp.wrapping_add(offset))?),
            None => None,
        },
        OrcReg::SpIndirect => Some(target.read_u64(frame.sp)?.wrapping_add(offset)),
        OrcReg::Di => reg(RDI),
        OrcReg::Dx => reg(RDX),
        OrcReg::R10 => reg(R10),
        OrcReg::R13 => reg(R13),
        OrcReg::Ax => reg(RAX),
        OrcReg::Undefined | OrcReg::PrevSp => None,
    };
    let Some(sp) = base else { return Ok(Step::Unknown) };
    let mut next = match entry.kind {
        OrcKind::Call => {
            let slot = sp.wrapping_sub(8);
            let pc = target.read_u64(slot)?;
            caller(frame, pc, slot, sp)
        }
        OrcKind::Regs => {
            let bytes = target.read_array::<PT_REGS_SIZE>(sp)?;
            match saved(from_pt_regs(&bytes), sp, IRET_FRAME) {
                Step::Frame(next) => next,
                step => return Ok(step),
            }
        }
        OrcKind::RegsPartial => {
            let bytes = target.read_array::<IRET_FRAME_SIZE>(sp)?;
            match saved(from_iret_frame(&bytes), sp, 0) {
                Step::Frame(mut next) => {
                    // The entry code has saved the others elsewhere; these it has not touched.
                    for kept in [R10, R13, RDI, RDX] {
                        next.regs.put(kept, frame.regs.get(kept));
                    }
                    next.regs.put(RBP, frame.regs.get(RBP));
                    next.saved_regs = false;
                    next
                }
                step => return Ok(step),
            }
        }
        OrcKind::Undefined | OrcKind::EndOfStack => return Ok(Step::Unknown),
    };
    let at = |base: u64| target.read_u64(base.wrapping_add(i64::from(entry.bp_offset) as u64));
    match entry.bp_reg {
        OrcReg::PrevSp => next.regs.put(RBP, at(sp).ok()),
        OrcReg::Bp => {
            next.regs.put(RBP, reg(RBP).and_then(|bp| at(bp).ok()));
        }
        _ => {}
    }
    next.interrupted = entry.signal || next.saved_regs;
    // The kernel returns to text; anything else says that the table led astray.
    if !next.interrupted && !target.is_text(next.pc) {
        return Ok(Step::Unknown);
    }
    Ok(Step::Frame(next))
}

/// A frame from registers saved at stack address `at`, or the step that ends the trace.
pub(super) fn saved(regs: Option<Regs>, at: u64, ip: u64) -> Step {
    let Some(regs) = regs.filter(plausible) else { return Step::Unknown };
    if user_mode(&regs) {
        return Step::User(at, regs);
    }
    let (Some(pc), Some(sp)) = (regs.get(RIP), regs.get(RSP)) else {
        return Step::Unknown;
    };
    Step::Frame(Frame {
        pc,
        sp,
        slot: at.wrapping_add(ip),
        found_by: FoundBy::Registers,
        interrupted: true,
        regs,
        saved_regs: true,
        stack: None,
    })
}
