//! Calls over a distance that an instruction cannot bridge.

use necropsy_disasm::Flow;

use super::{
    code::{Insn, decode},
    state::{Origin, State},
    transfer,
};
use crate::Target;

/// Instructions of an entry.
const LONGEST: usize = 5;

/// The function that a call to `address` reaches in the end, where that is an entry of a module's
/// table of far calls: code without a name that only loads an address and jumps there
/// (arch/arm64/kernel/module-plts.c). `None` for everything else.
pub fn far_call(target: &Target, address: u64) -> Option<u64> {
    if target.locate(address).is_some_and(|found| found.offset == 0) {
        return None;
    }
    let mut state = State::entry(target.abi());
    let mut at = address;
    for _ in 0..LONGEST {
        let longest = target.abi().longest_instruction as u64;
        let effects = decode(target.architecture(), &target.read_bytes(at, longest).ok()?, at)?;
        match (effects.flow, effects.target, &effects.indirect) {
            (Flow::Next, ..) => {}
            (Flow::Jump, Some(to), _) => return Some(to),
            (Flow::Jump, None, Some(pointer)) => {
                return match transfer::evaluate(&state, pointer)? {
                    Origin::Constant(to) => Some(to),
                    _ => None,
                };
            }
            _ => return None,
        }
        let end = at.wrapping_add(effects.length.into());
        let insn = Insn { effects, end, next: vec![end], traced: false };
        transfer::step(&mut state, at, &insn);
        at = end;
    }
    None
}
