//! What values suggest that no line says: memory that lost or gained a bit.

use necropsy_lexicon::value::flipped_bit;

use super::meaning::Layout;
use crate::report::Report;

/// Bits below this differ between neighbours in an array, too.
const LOWEST: u32 = 32;

/// Values that are one bit away from what they should be.
pub(super) fn of(report: &Report, layout: Layout) -> Vec<String> {
    let mut hints = Vec::new();
    let general = report.registers.iter().filter(|register| pointer(&register.name));
    let values: Vec<(&str, u64)> = general
        .map(|register| (register.name.as_str(), register.value))
        .filter(|(_, value)| *value > 0xffff_ffff)
        .collect();
    let address = report.address.as_ref().map(|address| address.value);
    let mut suspects: Vec<(String, u64)> = values
        .iter()
        .filter(|(_, value)| layout.impossible(*value))
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    if let Some(value) = address.filter(|value| layout.impossible(*value) || layout.kernel(*value))
        && !suspects.iter().any(|(_, known)| *known == value)
    {
        suspects.push(("the address".to_owned(), value));
    }
    for (name, value) in suspects {
        let Some((bit, what)) = flipped(value, &values, layout) else { continue };
        let hint = format!("{name} = {value:#x} is {what} with bit {bit} flipped: bad memory?");
        if hints.len() < 4 && !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

/// The bit that makes a value another register's, or an address next to one.
fn flipped(value: u64, others: &[(&str, u64)], layout: Layout) -> Option<(u32, String)> {
    let same = others.iter().find_map(|(name, other)| {
        let bit =
            flipped_bit(value, *other).filter(|bit| *bit >= LOWEST && layout.kernel(*other))?;
        Some((bit, name.to_string()))
    });
    if same.is_some() {
        return same;
    }
    // near by: an access to a member of what a register points to
    let near = others.iter().find_map(|(name, other)| {
        (LOWEST..64).find_map(|bit| {
            let mended = value ^ 1 << bit;
            let close = mended.abs_diff(*other) < 0x1000
                && layout.kernel(*other)
                && value.abs_diff(*other) >= 0x1000;
            close.then(|| (bit, format!("an address near {name}")))
        })
    });
    if near.is_some() || !layout.impossible(value) {
        return near;
    }
    let bit = (LOWEST..64).find(|bit| {
        let mended = value ^ 1 << bit;
        layout.kernel(mended)
            && others.iter().any(|(_, other)| layout.kernel(*other) && mended >> 32 == *other >> 32)
    })?;
    Some((bit, "a kernel address".to_owned()))
}

/// Does the register hold what the program computes with?
fn pointer(name: &str) -> bool {
    !matches!(
        name,
        "eflags"
            | "cr0"
            | "cr2"
            | "cr3"
            | "cr4"
            | "gs_base"
            | "fs_base"
            | "kernel_gs_base"
            | "orig_rax"
            | "pstate"
            | "pmr_save"
            | "status"
            | "cause"
            | "msr"
            | "psw_mask"
            | "tstate"
    ) && !name.starts_with("dr")
}
