//! What happened at the instruction: which of its values is bad, and why.

use necropsy_disasm::{Arch, MemoryOperand, effective_address, memory_operands};
use necropsy_dump::Reason;
use necropsy_linux::Kernel;
use necropsy_target::{Reg, Regs, unwind::Frame};

use super::{looks, places::is_canonical};

/// The trouble with an interrupted instruction.
pub(super) enum Trouble {
    /// A trap by intent: `warning` or `bug`.
    Trap { warning: bool },
    /// A division.
    Division,
    /// An access to memory.
    Access { operand: MemoryOperand, address: u64, why: String, kind: &'static str },
    /// Control came to what is no code.
    Jump { why: String },
    /// An interrupt, which says nothing of the instruction.
    Interrupt { by: String },
    /// Nothing is wrong with the instruction as far as can be told.
    Nothing,
}

/// The size of the area around NULL that nothing is ever mapped in.
const NULL_PAGE: u64 = 4096;

/// What may be wrong at `frame`, given the names of the functions that run on top of it.
pub(super) fn find(
    kernel: &Kernel,
    frame: &Frame,
    bytes: &[u8],
    inner: &[String],
    gs_base: Option<u64>,
) -> Trouble {
    let called = |prefix: &str| inner.iter().any(|name| name.starts_with(prefix));
    let entry = inner.last().map_or("", String::as_str);
    if [
        "asm_sysvec",
        "asm_common_interrupt",
        "asm_spurious",
        "asm_exc_nmi",
        "nmi",
        "end_repeat_nmi",
    ]
    .iter()
    .any(|prefix| entry.starts_with(prefix))
    {
        return Trouble::Interrupt { by: entry.to_owned() };
    }
    let Some(effects) = necropsy_disasm::effects(Arch::X86_64, bytes, frame.pc) else {
        let why = match kernel.target().is_text(frame.pc) {
            true => "the code there cannot be read".into(),
            false => why_bad(kernel, frame.pc, 1).unwrap_or_else(|| "no code lies there".into()),
        };
        return Trouble::Jump { why };
    };
    if !kernel.target().is_text(frame.pc) {
        return Trouble::Jump { why: "no code of the kernel or a module lies there".into() };
    }
    if effects.traps {
        return Trouble::Trap { warning: called("__warn") || called("warn_") };
    }
    if effects.divisor.is_some() {
        return Trouble::Division;
    }
    let regs = |name: &str| match name {
        "gs_base" => gs_base,
        name => frame.regs.get(Reg::by_name(name)?),
    };
    for operand in memory_operands(Arch::X86_64, bytes, frame.pc) {
        let Some(address) = effective_address(&operand, &regs) else { continue };
        if let Some(why) = why_bad(kernel, address, operand.size_bytes) {
            let kind =
                if is_canonical(kernel, address) { "page_fault" } else { "general_protection" };
            return Trouble::Access { operand, address, why, kind };
        }
    }
    Trouble::Nothing
}

/// Why an address cannot be accessed; `None` if it can, or if the dump does not tell.
fn why_bad(kernel: &Kernel, address: u64, size: u32) -> Option<String> {
    if !is_canonical(kernel, address) {
        let ascii = looks::repeated(address, 8).map_or(String::new(), |text| format!(": {text}"));
        return Some(format!("it is not a canonical address{ascii}"));
    }
    if address < NULL_PAGE {
        return Some(match address {
            0 => "it is NULL".into(),
            offset => format!("it is {offset:#x} bytes from NULL: a member of a NULL pointer"),
        });
    }
    if address > NULL_PAGE.wrapping_neg() {
        let below = address.wrapping_neg();
        return Some(format!(
            "it is {below:#x} below the end of memory: an error number as a pointer, or a member \
             before a NULL pointer"
        ));
    }
    if address < 1 << 56 {
        return Some("it is a user address".into());
    }
    let last = address.wrapping_add(u64::from(size.max(1)) - 1);
    [address, last].into_iter().find_map(|at| match kernel.target().translate(at) {
        Err(fault) => match fault.reason {
            Reason::NotMapped { .. } | Reason::BadAddress => {
                Some(format!("nothing is mapped there ({fault})"))
            }
            _ => None,
        },
        // Linear addresses translate without a page table: the map may be short of memory.
        Ok(physical) => {
            let beyond = physical >> 12 >= kernel.target().dump_pfns();
            beyond.then(|| format!("physical address {physical:#x} is beyond the machine's memory"))
        }
    })
}

/// A register of a frame, by name.
pub(super) fn reg(regs: &Regs, name: &str) -> Option<u64> {
    regs.get(Reg::by_name(name)?)
}
