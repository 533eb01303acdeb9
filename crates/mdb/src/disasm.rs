//! Instructions as mdb prints them: AT&T syntax with size suffixes, branches by distance.

use necropsy_disasm::{Isa, solaris};

use crate::{Failure, Outcome, Space, System};

/// Longest instruction.
const LONGEST: usize = 15;

/// The instruction at an address.
pub(crate) fn read(system: &dyn System, space: Space, at: u64) -> Outcome<solaris::Instruction> {
    let mut bytes = [0; LONGEST];
    let mut len = LONGEST;
    // The last instruction before memory that is not there is shorter.
    while let Err(fault) = system.read(space, at, &mut bytes[..len]) {
        if len == 1 {
            return Err(Failure::Fault(fault));
        }
        len -= 1;
    }
    Ok(solaris::decode(Isa::X86_64, &bytes[..len], at))
}

/// The instruction's text; what it leads to stands at a tab stop behind it. `column` is where the
/// text begins.
pub(crate) fn text(
    system: &dyn System,
    instruction: &solaris::Instruction,
    column: usize,
) -> String {
    let mut text = instruction.text.clone();
    if let Some(target) = instruction.leads_to
        && let Some(name) = system.symbolize(target)
    {
        let at = column + text.chars().count();
        let to = (at / 8 + 1) * 8;
        text.push_str(&" ".repeat(to - at));
        text.push_str(&format!("<{name}>"));
    }
    text
}
