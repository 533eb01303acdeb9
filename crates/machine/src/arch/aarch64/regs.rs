//! Registers as arm64 kernels save them.

use necropsy_lexicon::{Reg, reg::aarch64::*};

use crate::{Target, arch::words, regs::Regs};

/// The general registers by the numbers that instructions have for them; 31 is the stack pointer.
pub const GENERAL: [Reg; 32] = [
    X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15, X16, X17, X18, X19, X20,
    X21, X22, X23, X24, X25, X26, X27, X28, X29, X30, SP,
];

/// What `struct pt_regs` begins with on every kernel: `struct user_pt_regs`, `orig_x0`, and the
/// number of the system call (arch/arm64/include/asm/ptrace.h).
pub(super) const SAVED: usize = 35 * 8 + 8;

pub(super) fn from_pt_regs(bytes: &[u8], big_endian: bool) -> Option<Regs> {
    let mut regs = words::registers(bytes, &GENERAL, 8, big_endian)?;
    for (reg, index) in [(PC, 32), (PSTATE, 33), (ORIG_X0, 34)] {
        regs.set(reg, words::word(bytes, index * 8, 8, big_endian)?);
    }
    // A 32-bit word: the second of two on big-endian kernels.
    let at = 35 * 8 + if big_endian { 4 } else { 0 };
    let number = words::word(bytes, at, 4, big_endian)?;
    regs.set(SYSCALLNO, i64::from(number as u32 as i32) as u64);
    Some(regs)
}

/// PSTATE.M: the exception level and which stack pointer it uses.
const MODE: u64 = 0x1f;

pub(super) fn user_mode(regs: &Regs) -> bool {
    // EL0, of a 64-bit (0) or 32-bit (0x10) program.
    regs.get(PSTATE).is_some_and(|pstate| matches!(pstate & MODE, 0 | 0x10))
}

/// Whether these could be the registers that an exception saved.
pub(super) fn plausible(target: &Target, regs: &Regs) -> bool {
    let (Some(pc), Some(sp), Some(pstate)) = (regs.get(PC), regs.get(SP), regs.get(PSTATE)) else {
        return false;
    };
    // Bits that no PSTATE has: 32 and above but for those of MTE and the like, and the reserved mode.
    if pstate >> 40 != 0 {
        return false;
    }
    match pstate & MODE {
        0 | 0x10 => pc < 1 << 56 && sp < 1 << 56 && pc != 0,
        // EL1h, EL2h: the kernel runs at either.
        5 | 9 => pc % 4 == 0 && sp % 8 == 0 && target.address_class(sp).is_kernel(),
        _ => false,
    }
}

/// As [`plausible`], of words that nothing says are registers.
pub(super) fn saved_by_exception(target: &Target, regs: &Regs) -> bool {
    let in_text = || regs.get(PC).is_some_and(|pc| target.is_text(pc));
    plausible(target, regs) && (user_mode(regs) || in_text())
}
