//! An instruction that the processor refuses although it accesses nothing bad: a breakpoint that is
//! nobody's, an operand that is not aligned, a value that a control register does not take.

use necropsy_disasm::{Instruction, decode, effective_address, memory_operands};
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

/// Instructions whose memory operand must lie at a multiple of so many bytes, 0 for its own size, by
/// the beginning of their names (Intel's manual, volume 2).
const ALIGNED: [(&str, u64); 12] = [
    ("movaps", 0),
    ("movapd", 0),
    ("movdqa", 0),
    ("movntps", 0),
    ("movntpd", 0),
    ("movntdq", 0),
    ("vmovaps", 0),
    ("vmovdqa", 0),
    ("fxsave", 16),
    ("fxrstor", 16),
    ("xsave", 64),
    ("xrstor", 64),
];

/// Where an instruction gets a value that the processor need not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// In registers alone.
    Registers,
    /// In memory, too: a table that a selector leads to, the frame that it returns by, a saved state.
    Memory,
}

/// Where an instruction that only takes certain values gets them; none for any other.
fn given(instruction: &Instruction) -> Option<Given> {
    const TABLES: [&str; 4] = ["ltr", "lldt", "iret", "xrstor"];
    const SEGMENTS: [&str; 5] = ["%ds", "%es", "%fs", "%gs", "%ss"];
    let name = instruction.mnemonic.rsplit(' ').next().unwrap_or_default();
    // What is written stands last; an address that a segment leads is not the segment.
    let last = instruction.operands.rsplit(',').next().unwrap_or_default();
    if TABLES.iter().any(|it| name.starts_with(it)) || SEGMENTS.contains(&last) {
        return Some(Given::Memory);
    }
    let control = ["%cr", "%db", "%dr"].iter().any(|it| last.starts_with(it));
    (control || matches!(name, "wrmsr" | "rdmsr" | "xsetbv")).then_some(Given::Registers)
}

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
        (target.read_u8(at).ok()? == code::BREAKPOINT).then_some(())?;
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
    let bytes = code::code_at(inquiry.kernel, frame.pc);
    let instruction = decode(target.isa(), &bytes, frame.pc)?;
    let name = instruction.mnemonic.as_str();
    let aligned = ALIGNED.iter().find(|(it, _)| name.starts_with(it));
    let mut regs = |reg| frame.regs.get(reg);
    let crooked = memory_operands(target.isa(), &bytes, frame.pc).into_iter().find_map(|operand| {
        let multiple = match aligned? {
            (_, 0) => u64::from(operand.size_bytes),
            (_, multiple) => *multiple,
        };
        let address = effective_address(&operand, &mut regs)?;
        (multiple != 0 && address % multiple != 0).then_some((address, multiple))
    });
    if let Some((address, multiple)) = crooked {
        let statement = format!(
            "{} accesses {address:x}, which is not a multiple of {multiple} as {name} wants it",
            at.location
        );
        let evidence = shown(what, at.address);
        return Some(Finding::new(Cause::BadPointer, Confidence::Certain, statement, evidence));
    }
    let (confidence, why) = match given(&instruction)? {
        Given::Registers => {
            (Confidence::Certain, "it does not take the value; no memory was accessed")
        }
        // Memory may have been changed since.
        Given::Memory => (
            Confidence::Likely,
            "it does not take the value, or what memory had for it (a descriptor, a saved state, the \
             frame to return by)",
        ),
    };
    Some(Finding::new(
        Cause::Unknown,
        confidence,
        format!("the processor refused {:?} at {}: {why}", at.text, at.location),
        shown(what, at.address),
    ))
}

#[cfg(test)]
mod tests {
    use necropsy_disasm::Isa;

    use super::*;

    fn of(bytes: &[u8]) -> Option<Given> {
        given(&decode(Isa::X86_64, bytes, 0).expect("an instruction"))
    }

    #[test]
    fn a_segment_that_leads_an_address_is_not_loaded() {
        // mov %eax,%gs:0x10; mov %gs:0x10,%eax
        assert_eq!(of(&[0x65, 0x89, 0x04, 0x25, 0x10, 0, 0, 0]), None);
        assert_eq!(of(&[0x65, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0]), None);
        // mov %eax,%gs; mov %gs,%eax
        assert_eq!(of(&[0x8e, 0xe8]), Some(Given::Memory));
        assert_eq!(of(&[0x8c, 0xe8]), None);
    }

    #[test]
    fn only_what_comes_in_registers_needs_no_memory() {
        // wrmsr; mov %rax,%cr4; mov %cr4,%rax
        assert_eq!(of(&[0x0f, 0x30]), Some(Given::Registers));
        assert_eq!(of(&[0x0f, 0x22, 0xe0]), Some(Given::Registers));
        assert_eq!(of(&[0x0f, 0x20, 0xe0]), None);
        // iretq; xrstor (%rdi); ltr %ax; lldt %ax
        assert_eq!(of(&[0x48, 0xcf]), Some(Given::Memory));
        assert_eq!(of(&[0x0f, 0xae, 0x2f]), Some(Given::Memory));
        assert_eq!(of(&[0x0f, 0x00, 0xd8]), Some(Given::Memory));
        assert_eq!(of(&[0x0f, 0x00, 0xd0]), Some(Given::Memory));
    }
}
