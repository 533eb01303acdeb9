//! An access to the page at NULL.

use necropsy_disasm::memory_operands;
use necropsy_lexicon::Symptom;
use necropsy_machine::{
    Reg,
    dataflow::{Origin, function_of},
};

use crate::{
    cause::Cause,
    explain::{Access, BadAddress, Happened, code},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "null-pointer", causes: &[Cause::NullPointer], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let Happened::Access(access) = &explanation.what else { return None };
    let offset = match access.why {
        BadAddress::Null => 0,
        BadAddress::NearNull { offset } => offset,
        _ => return None,
    };
    let at = explanation.instruction.as_ref()?;
    // An instruction that could not but fail is only taken for the one that failed, unless the
    // kernel says so.
    let set = set_to_null(inquiry);
    let confidence = match inquiry.symptom() {
        Some(Symptom::NullPointer) if set.is_none() => Confidence::Certain,
        _ => Confidence::Likely,
    };
    let set = set.map_or(String::new(), |register| {
        format!(
            "; the code itself had set %{register} to that: it is written so, or it is not the \
             instruction that was loaded (its file would tell)"
        )
    });
    Some(Finding {
        class: Cause::NullPointer,
        statement: statement(&at.location, access, offset) + &set,
        confidence,
        evidence: vec![
            Evidence::instruction(at),
            Evidence {
                what: "the address that it accesses, and where that comes from".into(),
                address: None,
                value: Some(access.address),
                command: "explain".into(),
            },
        ],
        object: None,
        function: None,
        task: None,
    })
}

/// The register that the address was made of, if the function had set it to a constant: where an
/// instruction can hold an address, compilers do not put what they know to be NULL into a register.
fn set_to_null(inquiry: &Inquiry<'_>) -> Option<Reg> {
    let case = inquiry.case.as_ref()?;
    let frame = case.trace().frames.get(case.exception()?)?;
    let target = inquiry.kernel.target();
    necropsy_disasm::holds_addresses(target.isa()).then_some(())?;
    let state = function_of(target, frame.pc)?.state_before(frame.pc)?;
    let bytes = code::code_at(inquiry.kernel, frame.pc);
    let operands = memory_operands(target.isa(), &bytes, frame.pc);
    let mut bases = operands.iter().filter_map(|operand| operand.base);
    bases.find(|base| matches!(state.register(*base), Origin::Constant(_)))
}

fn statement(location: &str, access: &Access, offset: u64) -> String {
    let (verb, from) = if access.write { ("writes", "to") } else { ("reads", "from") };
    let member = match (&access.name, offset) {
        (Some(name), 0) => format!(" ({name})"),
        (Some(name), offset) => format!(" ({name}, {offset:#x} bytes from NULL)"),
        (None, 0) => String::new(),
        (None, offset) => format!(" ({offset:#x} bytes from NULL)"),
    };
    format!("{location} {verb} {from} memory at NULL{member}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_null_is_said_with_its_offset() {
        let access = Access {
            write: false,
            size_bytes: 8,
            address: 0x18,
            formula: String::new(),
            why: BadAddress::NearNull { offset: 0x18 },
            name: Some("file->f_inode".into()),
            constant: false,
        };
        assert_eq!(
            statement("vfs_read+0x10", &access, 0x18),
            "vfs_read+0x10 reads from memory at NULL (file->f_inode, 0x18 bytes from NULL)"
        );
    }
}
