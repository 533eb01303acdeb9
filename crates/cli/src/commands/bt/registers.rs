//! The block of registers within a trace.

use std::fmt::Write;

use necropsy_machine::{Abi, Regs};

/// crash's rows of registers; what is not known shows as dashes.
pub(super) fn write(out: &mut dyn Write, abi: &Abi, regs: &Regs) -> std::fmt::Result {
    for row in abi.listing {
        let cells: Vec<String> = row
            .iter()
            .map(|(label, reg, digits)| match regs.get(*reg) {
                Some(value) => format!("{label}: {value:0digits$x}"),
                None => format!("{label}: {}", "-".repeat(*digits)),
            })
            .collect();
        writeln!(out, "    {}", cells.join("  "))?;
    }
    Ok(())
}

/// What the program counter is called.
pub(super) fn program_counter(abi: &Abi) -> &'static str {
    abi.listing.first().and_then(|row| row.first()).map_or("PC", |(label, ..)| label.trim())
}
