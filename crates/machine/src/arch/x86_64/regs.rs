//! Registers as x86 kernels save them.

use necropsy_dump::PrStatus;
use necropsy_lexicon::{Arch, Reg, reg::x86_64::*};

use crate::{Target, regs::Regs};

/// Bytes of `struct pt_regs`.
pub const PT_REGS_SIZE: usize = 168;

/// Offset of the instruction pointer in `struct pt_regs`: there begins the frame that the CPU
/// itself pushes.
pub(super) const IRET_FRAME: u64 = 128;

/// Bytes of that frame.
pub(super) const IRET_FRAME_SIZE: usize = 40;

/// The order of `struct pt_regs` (arch/x86/include/asm/ptrace.h), which also opens an ELF note's
/// `elf_gregset_t`.
const PT_REGS: [Reg; 21] = [
    R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS,
    RFLAGS, RSP, SS,
];

/// From a saved `struct pt_regs`, [`PT_REGS_SIZE`] bytes.
pub fn from_pt_regs(bytes: &[u8]) -> Option<Regs> {
    read(bytes.get(..PT_REGS_SIZE)?, &PT_REGS)
}

/// From the five words that the CPU pushes on an exception: RIP CS RFLAGS RSP SS.
pub fn from_iret_frame(bytes: &[u8]) -> Option<Regs> {
    read(bytes.get(..IRET_FRAME_SIZE)?, &PT_REGS[16..])
}

fn read(bytes: &[u8], order: &[Reg]) -> Option<Regs> {
    let mut regs = Regs::new();
    for (reg, word) in order.iter().zip(bytes.chunks_exact(8)) {
        let mut value = u64::from_le_bytes(word.try_into().ok()?);
        // With FRED the words of CS and SS carry more than the selector.
        if matches!(*reg, CS | SS) {
            value &= 0xffff;
        }
        regs.set(*reg, value);
    }
    Some(regs)
}

/// The registers of a note, as far as they are of a whole saved set.
pub(super) fn of_note(note: &PrStatus) -> Option<Regs> {
    let mut regs = Regs::new();
    for reg in Reg::all(Arch::X86_64).filter(|reg| PT_REGS.contains(reg)) {
        let value = note.reg(reg.name());
        regs.put(
            reg,
            if matches!(reg, CS | SS) { value.map(|value| value & 0xffff) } else { value },
        );
    }
    regs.get(RIP).is_some().then_some(regs)
}

/// Whether the saved code segment is user mode.
pub(super) fn user_mode(regs: &Regs) -> bool {
    regs.get(CS).is_some_and(|cs| cs & 3 == 3)
}

/// Whether these could be the registers that an exception saved: selectors as Linux uses them,
/// RFLAGS with its fixed bit.
pub(super) fn plausible(regs: &Regs) -> bool {
    let cs = matches!(regs.get(CS), Some(0x10 | 0x33 | 0x23 | 0xe030 | 0xe033));
    let flags = regs.get(RFLAGS).is_some_and(|f| f & 2 != 0 && f < 1 << 22);
    cs && flags
}

/// As [`plausible`], of words that nothing says are registers.
pub(super) fn saved_by_exception(target: &Target, regs: &Regs) -> bool {
    let (Some(rip), Some(rsp), Some(ss)) = (regs.get(RIP), regs.get(RSP), regs.get(SS)) else {
        return false;
    };
    let sound = match user_mode(regs) {
        true => rip < 1 << 56 && rsp < 1 << 56 && ss == 0x2b,
        false => target.is_text(rip) && rsp > 1 << 63 && matches!(ss, 0 | 0x18),
    };
    plausible(regs) && sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_pt_regs() {
        let bytes: Vec<u8> = (0..21u64).flat_map(|n| (n | 0x10_0000).to_le_bytes()).collect();
        let regs = from_pt_regs(&bytes).unwrap();
        assert_eq!(regs.get(R15), Some(0x10_0000));
        assert_eq!(regs.get(RDI), Some(0x10_000e));
        assert_eq!(regs.get(RIP), Some(0x10_0010));
        assert_eq!(regs.get(RSP), Some(0x10_0013));
        // Selectors have 16 bits.
        assert_eq!((regs.get(CS), regs.get(SS)), (Some(0x11), Some(0x14)));
        assert!(!user_mode(&regs) && !plausible(&regs));
        let frame = from_iret_frame(&bytes[IRET_FRAME as usize..]).unwrap();
        assert!(frame.iter().all(|(reg, value)| regs.get(reg) == Some(value)));
        assert_eq!(frame.iter().count(), 5);
        assert_eq!(from_pt_regs(&bytes[1..]), None);
        assert_eq!(from_iret_frame(&[0; 39]), None);
    }
}
