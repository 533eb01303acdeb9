//! A return address that was written over: the return instruction fails, or control comes to where no
//! call led.

use necropsy_disasm::Flow;
use necropsy_lexicon::value;

use crate::{
    cause::Cause,
    explain::Happened,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "return-address", causes: &[Cause::StackCorruption], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let target = inquiry.kernel.target();
    // Elsewhere a return takes its address from a register.
    if target.abi().pushed == 0 {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    let failed = case.exception()?;
    let frame = case.trace().frames.get(failed)?;
    // A thunk returns to where a register leads: that is a call.
    if case.function(failed)?.contains("thunk") {
        return None;
    }
    let counter = target.abi().program_counter;
    let (slot, value) = match &inquiry.explanation()?.what {
        // The word below the stack pointer is what a return took from it, if the exception has not
        // been written over it since; a call, and a jump in its place, would have left a return
        // address above, and mostly has its target in a register.
        Happened::BadJump { to, .. } if !target.is_text(*to) => {
            let slot = frame.sp.checked_sub(8)?;
            let taken = target.read_u64(slot) == Ok(*to);
            let called = target.read_u64(frame.sp).is_ok_and(|above| target.is_text(above));
            let held = frame.regs.iter().any(|(reg, value)| reg != counter && value == *to);
            let slot = if taken { slot } else { frame.sp };
            (!called && (taken || !held)).then_some((slot, *to))?
        }
        Happened::Nothing | Happened::Access(_) => {
            let bytes = target.read_bytes(frame.pc, 1).ok()?;
            let is_return = matches!(bytes.first(), Some(0xc3 | 0xc2))
                && necropsy_disasm::effects(target.isa(), &bytes, frame.pc)
                    .is_some_and(|effects| effects.flow == Flow::Return);
            let value = target.read_u64(frame.sp).ok()?;
            (is_return && !target.is_text(value)).then_some((frame.sp, value))?
        }
        _ => return None,
    };
    let text = value::printable(value, 8).filter(|text| text.len() >= 4);
    let text = text.map_or(String::new(), |text| format!(" (text {text:?})"));
    let function = match target.is_text(frame.pc) {
        true => case.function(failed).map(str::to_owned),
        false => None,
    };
    let now = target.read_u64(slot).ok();
    let what = match now == Some(value) {
        true => "the word that a return took for its address",
        false => "the stack there: a call would have left a return address",
    };
    let of = function.as_ref().map_or(String::new(), |function| format!(" of {function}"));
    Some(Finding {
        class: Cause::StackCorruption,
        statement: format!(
            "the return address{of} on the stack was written over: it is {value:016x}{text}, where \
             no code lies"
        ),
        confidence: Confidence::Likely,
        evidence: vec![Evidence {
            what: what.into(),
            address: Some(slot),
            value: now,
            command: format!("rd {slot:x}"),
        }],
        object: None,
        // Of a function that is not on the stack any more, whoever had called it, or called its caller.
        function: function.or_else(|| inquiry.led_to(value)),
        task: None,
    })
}
