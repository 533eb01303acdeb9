//! An instruction that the processor refuses although it accesses nothing bad: a breakpoint that is
//! nobody's, an operand that is not aligned, a value that a control register does not take.

use necropsy_disasm::{effective_address, memory_operands};
use necropsy_lexicon::Symptom;

use crate::{
    cause::Cause,
    explain::{Happened, code},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector {
    name: "refused",
    causes: &[Cause::BadPointer, Cause::InvalidOpcode, Cause::Unknown],
    detect,
};

/// Instructions whose memory operand must be aligned to its size (Intel's manual, volume 2).
const ALIGNED: [&str; 9] =
    ["movaps", "movapd", "movdqa", "movntps", "movntpd", "movntdq", "vmovaps", "vmovdqa", "fxsave"];
/// Instructions, and operands, that only take certain values.
const CONTROL: [&str; 14] = [
    ",%cr", ",%db", ",%dr", ",%ds", ",%es", ",%fs", ",%gs", ",%ss", "wrmsr", "xsetbv", "ltr ",
    "lldt ", "iret", "xrstor",
];
/// A breakpoint of x86; the processor goes on behind it.
const BREAKPOINT: u8 = 0xcc;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let refused = matches!(
        inquiry.symptom(),
        Some(Symptom::GeneralProtection | Symptom::StackSegment | Symptom::Trap)
    );
    if !matches!(explanation.what, Happened::Nothing) || !refused {
        return None;
    }
    let case = inquiry.case.as_ref()?;
    let frame = case.trace().frames.get(case.exception()?)?;
    let target = inquiry.kernel.target();
    let shown = |what: String, at: u64| {
        vec![Evidence { what, address: Some(at), value: None, command: format!("dis {at:x} 1") }]
    };
    if inquiry.symptom() == Some(Symptom::Trap) {
        let at = frame.pc.wrapping_sub(1);
        (target.read_u8(at).ok()? == BREAKPOINT).then_some(())?;
        return Some(Finding::new(
            Cause::InvalidOpcode,
            Confidence::Likely,
            format!(
                "control came to a breakpoint instruction at {} that is nobody's: written there, left \
                 there by a debugger, or filling between functions that a wild jump ran into",
                code::location(inquiry.kernel, at)
            ),
            shown("the instruction".into(), at),
        ));
    }
    let at = explanation.instruction.as_ref()?;
    let what = format!("the instruction, {}", at.text);
    let name = at.text.split_whitespace().next()?;
    let bytes = code::code_at(inquiry.kernel, frame.pc);
    let mut regs = |reg| frame.regs.get(reg);
    let crooked = memory_operands(target.isa(), &bytes, frame.pc).into_iter().find_map(|operand| {
        let size = u64::from(operand.size_bytes);
        let address = effective_address(&operand, &mut regs)?;
        (size >= 16 && address % size != 0).then_some((address, size))
    });
    if let Some((address, size)) = crooked
        && ALIGNED.iter().any(|it| name.starts_with(it))
    {
        let statement = format!(
            "{} accesses {address:x}, which is not a multiple of {size} as {name} wants it",
            at.location
        );
        let evidence = shown(what, at.address);
        return Some(Finding::new(Cause::BadPointer, Confidence::Certain, statement, evidence));
    }
    CONTROL.iter().any(|it| at.text.contains(it)).then_some(())?;
    Some(Finding::new(
        Cause::Unknown,
        Confidence::Certain,
        format!(
            "the processor refused {:?} at {}: it does not take the value; no memory was accessed",
            at.text, at.location
        ),
        shown(what, at.address),
    ))
}
