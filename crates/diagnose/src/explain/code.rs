//! Instructions and addresses as they are shown.

use necropsy_disasm::{Effects, MemoryOperand, decode};
use necropsy_linux::Kernel;
use necropsy_machine::{
    Reg,
    dataflow::{Evaluator, function_of},
    unwind::Frame,
};

use super::explanation::Listed;
use crate::case::Case;

/// A breakpoint of x86: debuggers and kprobes write it, the processor goes on behind it
/// (arch/x86/kernel/kprobes/core.c).
pub(crate) const BREAKPOINT: u8 = 0xcc;

/// How an address is made: ` = %rbx (0) + 0x18`.
pub(super) fn formula(operand: &MemoryOperand, frame: &Frame) -> String {
    let mut parts = Vec::new();
    let value = |reg: Reg| match frame.regs.get(reg) {
        Some(value) => format!("%{reg} ({value:x})"),
        None => format!("%{reg}"),
    };
    if let Some(segment) = operand.segment_name() {
        parts.push(format!("%{segment}"));
    }
    parts.extend(operand.base.map(value));
    if let Some(index) = operand.index {
        parts.push(match operand.scale {
            1 => value(index),
            scale => format!("{} * {scale}", value(index)),
        });
    }
    if parts.is_empty() {
        return String::new();
    }
    match operand.displacement as i64 {
        0 => format!(" = {}", parts.join(" + ")),
        negative if negative < 0 && negative > -0x10_0000 => {
            format!(" = {} - {:#x}", parts.join(" + "), negative.unsigned_abs())
        }
        _ => format!(" = {} + {:#x}", parts.join(" + "), operand.displacement),
    }
}

/// The instruction that control is at in a frame: of one that waits for a call, the call.
pub(super) fn control(kernel: &Kernel, frame: &Frame) -> u64 {
    if frame.interrupted {
        return frame.pc;
    }
    let function = function_of(kernel.target(), frame.lookup_pc());
    let call = function.and_then(|function| Some(function.code().call_before(frame.pc)?.0));
    // Every direct call is five bytes long.
    let direct = frame.pc.wrapping_sub(5);
    call.or_else(|| (code_at(kernel, direct).first() == Some(&0xe8)).then_some(direct))
        .unwrap_or(frame.pc)
}

pub(crate) fn code_at(kernel: &Kernel, pc: u64) -> Vec<u8> {
    let mut bytes = vec![0; 15];
    // The last instruction before a hole is shorter.
    let len = (1..=15).rev().find(|len| kernel.target().read(pc, &mut bytes[..*len]).is_ok());
    bytes.truncate(len.unwrap_or(0));
    bytes
}

/// What the instruction at an address does, `None` if it cannot be read or is none.
pub(crate) fn effects_at(kernel: &Kernel, at: u64) -> Option<Effects> {
    necropsy_disasm::effects(kernel.target().isa(), &code_at(kernel, at), at)
}

/// The function that an instruction calls or jumps to, if it says which.
pub(crate) fn goes_to(kernel: &Kernel, effects: &Effects) -> Option<String> {
    let found = kernel.target().locate(effects.target?)?;
    (found.offset == 0).then(|| found.symbol.name.to_owned())
}

/// An instruction with its place, `None` if it cannot be read.
pub(crate) fn listed(case: &Case<'_>, at: u64) -> Option<Listed> {
    let kernel = case.kernel;
    let insn = decode(kernel.target().isa(), &code_at(kernel, at), at)?;
    let name = |address| Some(location(kernel, address));
    let text = insn.text(&name).split_whitespace().collect::<Vec<_>>().join(" ");
    let (file, line) = case.names.line(at).unzip();
    Some(Listed { address: at, location: location(kernel, at), text, file, line })
}

/// `schedule+0x14`, or the address, with its module where that is known: a name reaches no further
/// than what it names.
pub(crate) fn location(kernel: &Kernel, address: u64) -> String {
    match kernel.nearest(address) {
        Some(located) if located.offset == 0 => located.symbol.name.to_owned(),
        Some(located) => format!("{}+{:#x}", located.symbol.name, located.offset),
        None => match kernel.image_name(address) {
            Some(module) => format!("{address:x} [{module}]"),
            None => format!("{address:x}"),
        },
    }
}

pub(crate) fn frame_function(kernel: &Kernel, frame: &Frame) -> String {
    kernel
        .target()
        .locate(frame.lookup_pc())
        .map_or_else(|| format!("{:x}", frame.pc), |located| located.symbol.name.to_owned())
}

pub(super) fn function_name(kernel: &Kernel, evaluator: &Evaluator<'_>) -> String {
    location(kernel, evaluator.function.start())
}

/// Whether the processor accepts an address at all.
pub(super) fn is_canonical(kernel: &Kernel, address: u64) -> bool {
    kernel.target().address_class(address).is_canonical()
}
