//! Code that is not what was loaded: where its file is at hand, the two are compared; from the dump
//! alone, an instruction is told that makes no sense where it stands.

use std::ops::Range;

use necropsy_disasm::{Flow, memory_operands};
use necropsy_lexicon::Symptom;
use necropsy_linux::code::Changed;
use necropsy_machine::dataflow::{Origin, function_of};

use crate::{
    case::Case,
    cause::Cause,
    explain::{Happened, NoCode, code},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "code-corruption", causes: &[Cause::CodeCorruption], detect };

/// The same of the functions further out, whose code is wrong, too, and need not have done the harm:
/// what is known of the failing instruction itself says more.
pub(super) static CALLERS: Detector =
    Detector { name: "code-of-callers", causes: &[Cause::CodeCorruption], detect: detect_callers };

/// Callers of the failing function whose code is compared, too: it may have come back from them.
const MOST_CALLERS: usize = 3;
/// No function is longer, in bytes.
const LONGEST: u64 = 64 << 10;
/// The longest instruction.
const INSTRUCTION: u64 = 15;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    by_file(inquiry, 0..1).or_else(|| by_sense(inquiry)).into_iter().collect()
}

fn detect_callers(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    by_file(inquiry, 1..1 + MOST_CALLERS).into_iter().collect()
}

/// The first change in the functions of some frames, counted outwards from the failing one.
fn by_file(inquiry: &Inquiry<'_>, frames: Range<usize>) -> Option<Finding> {
    // Reading debug information takes its time.
    if inquiry.quick {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    let failed = case.exception()?;
    frames.into_iter().find_map(|number| {
        let frame = case.trace().frames.get(failed + number)?;
        let changed = changed_in(case, frame.lookup_pc())?;
        Some(finding(case, failed + number, number == 0, &changed))
    })
}

/// The first change in the function around an address.
fn changed_in(case: &Case<'_>, pc: u64) -> Option<Changed> {
    let kernel = case.kernel;
    let located = kernel.target().locate(pc)?;
    let len = usize::try_from(located.symbol.size.min(LONGEST)).ok()?;
    let changed = kernel.changed_code(located.symbol.address, len)?;
    changed.into_iter().find(|changed| !is_probe(changed))
}

/// A jump that takes the place of a probe's breakpoint (arch/x86/kernel/kprobes/opt.c), and its length.
const JUMP: (u8, usize) = (0xe9, 5);

/// Whether a change may be what tracing writes: a breakpoint, or one jump elsewhere.
fn is_probe(changed: &Changed) -> bool {
    let (jump, len) = JUMP;
    let jumps = changed.is.first() == Some(&jump) && changed.is.len() <= len;
    // One bit makes a jump of a call.
    changed.is.contains(&code::BREAKPOINT) || (jumps && changed.bit().is_none())
}

fn finding(case: &Case<'_>, number: usize, failing: bool, changed: &Changed) -> Finding {
    let kernel = case.kernel;
    let hex =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    let how = match changed.bit() {
        Some((at, bit)) => format!("bit {bit} of the byte at {at:x} is flipped"),
        None => {
            let others = changed.was.iter().zip(&changed.is).filter(|(was, is)| was != is).count();
            let len = changed.is.len();
            format!("of the {len} bytes from {:x} on, {others} are others", changed.at)
        }
    };
    let pc = case.trace().frames.get(number).map_or(0, |frame| frame.pc);
    let at = instruction_with(case, changed.at).unwrap_or(pc);
    // The failing instruction itself.
    let end = function_of(kernel.target(), pc)
        .and_then(|function| Some(function.instruction(pc)?.end))
        .unwrap_or(pc.wrapping_add(1));
    let last = changed.at.saturating_add(changed.is.len() as u64);
    let within = failing && changed.at < end && last > pc;
    let place = code::location(kernel, at);
    let text = code::listed(case, at).map_or(String::new(), |it| format!(", {:?}", it.text));
    let statement = format!(
        "the code of {} in memory is not that of its file: {how} (there {}, here {}); {place} is now \
         another instruction{text}",
        crate::blame::whole(case.function(number).unwrap_or("?")),
        hex(&changed.was),
        hex(&changed.is),
    );
    let mut finding = Finding::new(
        Cause::CodeCorruption,
        // That of a caller is wrong, too, but whether it did the harm is an inference.
        if within || (failing && changed.bit().is_some()) {
            Confidence::Certain
        } else {
            Confidence::Likely
        },
        statement,
        vec![Evidence {
            what: format!("the instruction as memory has it; its file has {}", hex(&changed.was)),
            address: Some(at),
            value: None,
            command: format!("dis {at:x} 1"),
        }],
    );
    finding.function = case.function(number).map(crate::blame::whole);
    finding
}

/// Where the instruction begins that a byte belongs to, as memory has it.
fn instruction_with(case: &Case<'_>, at: u64) -> Option<u64> {
    let function = function_of(case.kernel.target(), at)?;
    let starts = (0..INSTRUCTION).map(|back| at.wrapping_sub(back));
    starts.into_iter().find(|start| function.instruction(*start).is_some_and(|insn| insn.end > at))
}

/// What cannot be where it is.
fn by_sense(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let nonsense = match &inquiry.explanation()?.what {
        Happened::BadJump { why: NoCode::NoInstruction, .. } => no_instruction(inquiry),
        Happened::Access(_) => unset_register(inquiry).or_else(|| unbalanced(inquiry)),
        Happened::Nothing => unbalanced(inquiry),
        _ => None,
    }?;
    let case = inquiry.case.as_ref()?;
    let at = case.trace().frames.get(case.exception()?)?.pc;
    let mut finding = Finding::new(
        Cause::CodeCorruption,
        Confidence::Likely,
        format!(
            "{nonsense}; the code itself is likely damaged (with the file that it was loaded from at \
             hand, the two are compared)"
        ),
        vec![Evidence {
            what: "the code there".into(),
            address: Some(at),
            value: None,
            command: format!("dis {at:x} 1"),
        }],
    );
    finding.function = case.function(case.exception()?).map(crate::blame::whole);
    Some(finding)
}

/// The processor came, within a function, to what is no instruction, and did not say so itself.
fn no_instruction(inquiry: &Inquiry<'_>) -> Option<String> {
    let case = inquiry.case.as_ref()?;
    let pc = case.trace().frames.get(case.exception()?)?.pc;
    let at = code::location(case.kernel, pc);
    (inquiry.symptom() != Some(Symptom::InvalidOpcode))
        .then(|| format!("the bytes at {at} are no instruction, and one was executed there"))
}

/// A function returns with the stack pointer elsewhere than where it found it.
fn unbalanced(inquiry: &Inquiry<'_>) -> Option<String> {
    let case = inquiry.case.as_ref()?;
    let frame = case.trace().frames.get(case.exception()?)?;
    let target = case.kernel.target();
    let bytes = code::code_at(case.kernel, frame.pc);
    let effects = necropsy_disasm::effects(target.isa(), &bytes, frame.pc)?;
    let state = function_of(target, frame.pc)?.state_before(frame.pc)?;
    let off = state.stack_pointer()?.checked_add(state.abi().pushed)?;
    (effects.flow == Flow::Return && off != 0).then(|| {
        format!(
            "the function that returns at {} does not leave the stack as it found it: its own \
             instructions put the stack pointer {off} bytes off",
            code::location(case.kernel, frame.pc)
        )
    })
}

/// The failing instruction uses a register that its function got from its caller for keeping, and
/// never set: compiled code saves such registers, and does not look into them.
fn unset_register(inquiry: &Inquiry<'_>) -> Option<String> {
    let case = inquiry.case.as_ref()?;
    let frame = case.trace().frames.get(case.exception()?)?;
    let target = case.kernel.target();
    let function = function_of(target, frame.pc)?;
    let state = function.state_before(frame.pc)?;
    let abi = state.abi();
    let bytes = code::code_at(case.kernel, frame.pc);
    let operands = memory_operands(target.isa(), &bytes, frame.pc);
    let register =
        operands.iter().flat_map(|operand| [operand.base, operand.index]).flatten().find(
            |register| match state.register(*register) {
                Origin::Entry { register: from, .. } => {
                    abi.preserved.contains(&from) && !abi.arguments.contains(&from)
                }
                _ => false,
            },
        )?;
    let at = inquiry.explanation()?.instruction.as_ref()?;
    Some(format!(
        "the instruction at {} ({}) uses %{register}, which its function never set: it still is its \
         caller's, which compiled code saves and does not use",
        at.location, at.text
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_damage_nothing() {
        let changed = |was: &[u8], is: &[u8]| {
            is_probe(&Changed { at: 0x1000, was: was.into(), is: is.into() })
        };
        assert!(changed(&[0x48], &[0xcc]), "a breakpoint");
        assert!(changed(&[0x48, 0x89, 0xe5, 0x41, 0x57], &[0xe9, 1, 2, 3, 4]), "one that jumps");
        assert!(!changed(&[0xe8], &[0xe9]), "one bit of a call");
        assert!(!changed(&[0x48, 0x89, 0xe5, 0x41, 0x57, 0x53], &[0xe9, 1, 2, 3, 4, 5]));
        assert!(!changed(&[0x48, 0x89], &[0, 0]));
    }
}
