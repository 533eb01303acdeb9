//! What failed at an instruction: which of its values is bad, and why.

use necropsy_disasm::{
    MemoryOperand, effective_address,
    effects::{Effects, Expression},
    memory_operands,
};
use necropsy_dump::Reason;
use necropsy_lexicon::value;
use necropsy_linux::Kernel;
use necropsy_machine::{Reg, Regs, dataflow::retpoline_register};

use super::{
    classify,
    code::is_canonical,
    explanation::{BadAddress, NoCode},
};
use crate::case::Case;

/// What failed at an interrupted instruction.
pub(super) enum Failure {
    /// A trap by intent: `warning` or `bug`.
    Trap { warning: bool },
    /// A division.
    Division,
    /// An access to memory.
    Access { operand: MemoryOperand, address: u64, why: BadAddress },
    /// Control came to what is no code, or was to go there.
    Jump {
        /// Where.
        to: u64,
        /// Why it is none.
        why: NoCode,
        /// The instruction of the frame itself calls or jumps there; else its caller's did.
        here: bool,
    },
    /// An interrupt, which says nothing of the instruction.
    Interrupt { by: String },
    /// An access to memory, by the register in which the processor left its address.
    Told { register: Reg, address: u64, write: bool, why: BadAddress },
    /// What instructions of this machine do is not known here.
    NotAnalysed,
    /// Nothing is wrong with the instruction as far as can be told.
    Nothing,
}

/// The size of the area around NULL that nothing is ever mapped in.
const NULL_PAGE: u64 = 4096;

/// What may have failed at the frame `index` of a case, whose code is `bytes`.
pub(super) fn find(case: &Case<'_>, index: usize, bytes: &[u8]) -> Failure {
    let (kernel, frame) = (case.kernel, &case.trace.frames[index]);
    // The functions that run on top of it.
    let inner = &case.functions[..index];
    let called = |prefix: &str| inner.iter().any(|name| name.starts_with(prefix));
    let entry = inner.last().map_or("", String::as_str);
    let interrupts = kernel.target().abi().interrupt_entries;
    if interrupts.iter().any(|prefix| entry.starts_with(prefix)) {
        return Failure::Interrupt { by: entry.to_owned() };
    }
    let isa = kernel.target().isa();
    if !necropsy_disasm::has_effects(isa) && kernel.target().is_text(frame.pc) {
        return told(kernel, &frame.regs).unwrap_or(Failure::NotAnalysed);
    }
    let Some(effects) = necropsy_disasm::effects(isa, bytes, frame.pc) else {
        let why = match kernel.target().is_text(frame.pc) {
            true if bytes.is_empty() => NoCode::Unreadable,
            true => NoCode::NoInstruction,
            false => no_code(kernel, frame.pc).unwrap_or(NoCode::Nothing),
        };
        return Failure::Jump { to: frame.pc, why, here: false };
    };
    if !kernel.target().is_text(frame.pc) {
        let why = match (no_code(kernel, frame.pc), kernel.target().protection(frame.pc)) {
            (Some(NoCode::BadAddress(why)), _) => NoCode::BadAddress(why),
            (_, Some(allowed)) if !allowed.executable => NoCode::NotExecutable,
            (Some(why), _) => why,
            (None, _) => NoCode::NotKernel,
        };
        return Failure::Jump { to: frame.pc, why, here: false };
    }
    if let Some(jump) = wild_call(case, index, &effects) {
        return jump;
    }
    if effects.traps {
        let warning = called("__warn") || called("warn_") || is_warning(kernel, frame.pc);
        return Failure::Trap { warning };
    }
    if effects.divisor.is_some() {
        return Failure::Division;
    }
    let per_cpu = kernel.target().abi().per_cpu_base;
    let mut regs =
        |reg: Reg| if Some(reg) == per_cpu { case.per_cpu_base } else { frame.regs.get(reg) };
    for operand in memory_operands(kernel.target().isa(), bytes, frame.pc) {
        let Some(address) = effective_address(&operand, &mut regs) else { continue };
        // A member of an error pointer can lie near NULL, too.
        let error = operand.base.and_then(&mut regs).and_then(|at| value::error_number(at, true));
        if let Some(below) = error {
            return Failure::Access { operand, address, why: BadAddress::NearEnd { below } };
        }
        if let Some(why) = why_bad(kernel, address, operand.size_bytes, operand.write) {
            return Failure::Access { operand, address, why };
        }
    }
    Failure::Nothing
}

/// Why no code can be executed at an address that no image is known to have; where the dump lacks what
/// would tell of it, that is all there is to say.
fn no_code(kernel: &Kernel, at: u64) -> Option<NoCode> {
    if let Some(why) = why_bad(kernel, at, 1, false) {
        return Some(NoCode::BadAddress(why));
    }
    let modules_lack = kernel.modules().1.is_some_and(|error| error.fault().is_some());
    let lacks = kernel.target().translate(at).is_err();
    (lacks || (modules_lack && at >= kernel.target().modules_base())).then_some(NoCode::Unreadable)
}

/// What the processor itself says of an access that failed.
fn told(kernel: &Kernel, regs: &Regs) -> Option<Failure> {
    let (register, write) = kernel.target().architecture().failed_access(regs)?;
    let address = regs.get(register)?;
    let why = why_bad(kernel, address, 1, write)?;
    Some(Failure::Told { register, address, write, why })
}

/// A call or jump by a register that leads to no code: the processor refuses an address that is none
/// at the instruction itself, or within the thunk that stands for it (arch/x86/lib/retpoline.S).
fn wild_call(case: &Case<'_>, index: usize, effects: &Effects) -> Option<Failure> {
    let (target, frame) = (case.kernel.target(), case.trace.frames.get(index)?);
    let thunk = target
        .locate(frame.pc)
        .and_then(|located| retpoline_register(target, located.symbol.address));
    let by = match (&effects.indirect, thunk) {
        (Some(Expression::Register { register, .. }), _) => *register,
        (_, Some(register)) => register,
        _ => return None,
    };
    let to = frame.regs.get(by)?;
    if target.is_text(to) {
        return None;
    }
    let why = no_code(case.kernel, to).unwrap_or(NoCode::NotKernel);
    if why == NoCode::Unreadable {
        return None;
    }
    Some(Failure::Jump { to, why, here: thunk.is_none() })
}

/// BUGFLAG_WARNING (include/asm-generic/bug.h).
const WARNING: u64 = 1;

/// Whether the kernel's own table calls the trap at an address a WARN: `struct bug_entry`, whose
/// address is kept relative to itself since 2.6 on 64-bit machines. Modules have tables of their
/// own.
fn is_warning(kernel: &Kernel, pc: u64) -> bool {
    let find = || {
        let (types, target) = (kernel.types(), kernel.target());
        let size = types.size_of(types.composite("bug_entry")?)?.max(1);
        let place = kernel.offset_of("bug_entry", "bug_addr_disp").ok()?;
        let flags = kernel.offset_of("bug_entry", "flags").ok()?;
        let (start, end) =
            (kernel.symbol("__start___bug_table").ok()?, kernel.symbol("__stop___bug_table").ok()?);
        let bytes = target.read_bytes(start, end.checked_sub(start)?).ok()?;
        let field = |entry: &[u8], at: u64, size: usize| {
            let at = usize::try_from(at).ok()?;
            Some(target.number(entry.get(at..at + size)?))
        };
        let entries = bytes.chunks_exact(usize::try_from(size).ok()?);
        for (number, entry) in entries.enumerate() {
            let at = start.wrapping_add(number as u64 * size).wrapping_add(place);
            let relative = field(entry, place, 4)? as u32 as i32;
            if at.wrapping_add_signed(i64::from(relative)) == pc {
                return Some(field(entry, flags, 2)? & WARNING != 0);
            }
        }
        None
    };
    find().unwrap_or(false)
}

/// Why an address cannot be accessed, or not be written to; `None` if it can, or if the dump does
/// not tell.
pub(super) fn why_bad(kernel: &Kernel, address: u64, size: u32, write: bool) -> Option<BadAddress> {
    if !is_canonical(kernel, address) {
        let poison = value::near_poison(address, true);
        return Some(BadAddress::NotCanonical { poison, text: classify::letters(address, 8) });
    }
    if address < NULL_PAGE {
        return Some(match address {
            0 => BadAddress::Null,
            offset => BadAddress::NearNull { offset },
        });
    }
    if address > NULL_PAGE.wrapping_neg() {
        return Some(BadAddress::NearEnd { below: address.wrapping_neg() });
    }
    if !kernel.target().address_class(address).is_kernel() {
        return Some(BadAddress::User);
    }
    let last = address.wrapping_add(u64::from(size.max(1)) - 1);
    [address, last].into_iter().find_map(|at| match kernel.target().translate(at) {
        Err(fault) => match fault.reason {
            Reason::NotMapped { .. } | Reason::BadAddress => Some(BadAddress::NotMapped(fault)),
            // A kernel page is never swapped out: what is in the way is a mark on its entry.
            Reason::Swapped { .. } => Some(BadAddress::NotPresent),
            _ => None,
        },
        // Linear addresses translate without a page table: the map may be short of memory.
        Ok(physical) => {
            if physical >> kernel.target().page_shift() >= kernel.target().dump_pfns() {
                return Some(BadAddress::BeyondMemory { physical });
            }
            let allowed = kernel.target().protection(at)?;
            match (allowed.present, allowed.writable) {
                (false, _) => Some(BadAddress::NotPresent),
                (true, false) if write => Some(BadAddress::ReadOnly),
                _ => None,
            }
        }
    })
}
