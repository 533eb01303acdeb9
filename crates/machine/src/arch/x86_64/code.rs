//! What code of the kernel looks like, as far as the analyses need to know it.

use necropsy_lexicon::{Arch, Reg, reg::x86_64::*};

use crate::Target;

/// The general registers by the numbers that instructions have for them.
const ENCODED: [Reg; 16] =
    [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15];

/// Where the `call rel32` before `pc` leads, if there is one.
pub(super) fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let [opcode, a, b, c, d] = target.read_array::<5>(pc.wrapping_sub(5)).ok()?;
    let offset = i32::from_le_bytes([a, b, c, d]);
    (opcode == 0xe8).then(|| pc.wrapping_add_signed(offset.into()))
}

/// Whether the instruction before `pc` could be a call: `e8 rel32`, or `ff /2` in its
/// lengths.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    if !target.is_text(pc) {
        return false;
    }
    let Ok(before) = target.read_array::<7>(pc.wrapping_sub(7)) else { return false };
    let indirect = |at: usize| before[at] == 0xff && before[at + 1] & 0x38 == 0x10;
    before[2] == 0xe8 || [0, 1, 3, 4, 5].into_iter().any(indirect)
}

/// `__x86_indirect_thunk_rax`; of the array of thunks (5.17 and later, `arch/x86/lib/retpoline.S`)
/// each takes 32 bytes, in the order of the processor's register numbers.
pub(super) fn thunk_register(name: &str, offset: u64) -> Option<Reg> {
    let name = name.strip_prefix("__pi_").unwrap_or(name);
    match name.strip_prefix("__x86_indirect_thunk_")? {
        "array" if offset.is_multiple_of(32) => {
            ENCODED.get(usize::try_from(offset / 32).ok()?).copied()
        }
        register if offset == 0 => Reg::by_name(Arch::X86_64, register),
        _ => None,
    }
}

/// EX_DATA_REG (arch/x86/include/asm/extable_fixup_types.h), numbered as `pt_regs_offset` counts.
/// In kernels that hold a handler's address in that word it names some register, of which we then
/// know less than we could.
pub(super) fn fixup_register(data: u32) -> Reg {
    ENCODED[(data >> 8 & 15) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_thunks() {
        assert_eq!(thunk_register("__x86_indirect_thunk_r10", 0), Some(R10));
        assert_eq!(thunk_register("__pi___x86_indirect_thunk_rax", 0), Some(RAX));
        assert_eq!(thunk_register("__x86_indirect_thunk_array", 64), Some(RDX));
        assert_eq!(thunk_register("__x86_indirect_thunk_array", 32 * 16), None);
        assert_eq!(thunk_register("schedule", 0), None);
    }
}
