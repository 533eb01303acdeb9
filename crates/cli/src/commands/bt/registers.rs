//! The block of registers within a trace.

use std::fmt::Write;

use necropsy_target::{Reg, Regs};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::render::Hex;

/// crash's rows of registers; what is not known shows as dashes.
pub(super) fn write(out: &mut dyn Write, regs: &Regs) -> std::fmt::Result {
    const ROWS: [[(&str, Reg); 3]; 5] = [
        [("RAX", Reg::Rax), ("RBX", Reg::Rbx), ("RCX", Reg::Rcx)],
        [("RDX", Reg::Rdx), ("RSI", Reg::Rsi), ("RDI", Reg::Rdi)],
        [("RBP", Reg::Rbp), (" R8", Reg::R8), (" R9", Reg::R9)],
        [("R10", Reg::R10), ("R11", Reg::R11), ("R12", Reg::R12)],
        [("R13", Reg::R13), ("R14", Reg::R14), ("R15", Reg::R15)],
    ];
    let value = |reg, width: usize| match regs.get(reg) {
        Some(value) => format!("{value:0width$x}"),
        None => "-".repeat(width),
    };
    writeln!(
        out,
        "    RIP: {}  RSP: {}  RFLAGS: {}",
        value(Reg::Rip, 16),
        value(Reg::Rsp, 16),
        value(Reg::Rflags, 8)
    )?;
    for row in ROWS {
        let cells: Vec<String> =
            row.iter().map(|(name, reg)| format!("{name}: {}", value(*reg, 16))).collect();
        writeln!(out, "    {}", cells.join("  "))?;
    }
    writeln!(
        out,
        "    ORIG_RAX: {}  CS: {}  SS: {}",
        value(Reg::OrigRax, 16),
        value(Reg::Cs, 4),
        value(Reg::Ss, 4)
    )
}

/// Registers as JSON: name to value.
#[derive(Debug)]
pub(super) struct Row(pub(super) Regs);

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let map: Map<String, Value> = self
            .0
            .iter()
            .map(|(reg, value)| {
                (reg.name().to_owned(), Value::String(format!("{:#x}", Hex(value).0)))
            })
            .collect();
        map.serialize(serializer)
    }
}
