//! Page-table entries.

use std::fmt;

use necropsy_dump::Reason;
use necropsy_machine::arch;

use crate::rows::memory::EntryRow;
use crate::{
    Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["pte"],
    summary: "what a page-table entry says",
    synopsis: "value ...",
    options: &[],
    rows: &[EntryRow::TYPE],
    args: &[Arg::Number],
    description: "\
Shows the page that an entry of the last level maps and its flags; of one that maps nothing, the
swap device and the offset on it in pages.",
    examples: &[Example {
        about: "A page that can be written.",
        line: "pte d8e067",
        output: "\
 PTE    PHYSICAL  FLAGS
d8e067   d8e000   (PRESENT|RW|USER|ACCESSED|DIRTY)",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "a value")?;
    let kernel = session.kernel.as_ref();
    let paging = kernel.map_or(arch::assumed().paging(), |kernel| kernel.target().paging());
    let values: Result<Vec<u64>, _> = parsed.args.iter().map(|w| session.address(w)).collect();
    for value in values? {
        let target = paging.entry_target(value);
        let (swap_device, swap_offset) = match target {
            Err(Reason::Swapped { device, offset }) => (Some(device), Some(offset)),
            _ => (None, None),
        };
        let row = EntryRow {
            value: Hex(value),
            physical: target.ok().map(Hex),
            flags: target
                .map_or(Vec::new(), |_| paging.entry_flags(value, 1 << paging.page_shift())),
            swap_device,
            swap_offset,
        };
        out.record(&row, |line| match (target, row.swap_device, row.swap_offset) {
            (Ok(physical), ..) => write_table(line, value, physical, &row.flags),
            (_, Some(device), Some(offset)) => {
                let width = row.value.to_string().len().max(3);
                writeln!(line, "{:^width$}  SWAP DEVICE  OFFSET", "PTE")?;
                writeln!(line, "{:width$}  {device:^11}  {offset}", row.value)
            }
            _ => write_table(line, value, 0, &[]),
        })?;
    }
    Ok(())
}

/// The entry, the page it maps and its flags, as `vtop` and `pte` print them.
pub(super) fn write_table(
    line: &mut dyn fmt::Write,
    value: u64,
    physical: u64,
    flags: &[&str],
) -> fmt::Result {
    let (value, physical) = (format!("{value:x}"), format!("{physical:x}"));
    let (wide, narrow) = (value.len().max(3), physical.len().max(8));
    writeln!(line, "{:^wide$}  {:^narrow$}  FLAGS", "PTE", "PHYSICAL")?;
    let flags = if flags.is_empty() { "no mapping".to_owned() } else { flags.join("|") };
    writeln!(line, "{}  {}  ({flags})", centred(&value, wide), centred(&physical, narrow))
}

/// In the middle of `width`; an odd blank goes to the left, as in crash.
fn centred(text: &str, width: usize) -> String {
    let left = (width - text.len().min(width)).div_ceil(2);
    format!("{:<width$}", format!("{:left$}{text}", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_as_in_crash() {
        let table = |value, physical, flags: &[&str]| {
            let mut text = String::new();
            write_table(&mut text, value, physical, flags).unwrap();
            text
        };
        assert_eq!(
            table(0x8000_0000_01e0_8063, 0x1e0_8000, &["PRESENT", "RW"]),
            "      PTE         PHYSICAL  FLAGS\n8000000001e08063   1e08000  (PRESENT|RW)\n"
        );
        assert_eq!(table(0, 0, &[]), "PTE  PHYSICAL  FLAGS\n 0       0     (no mapping)\n");
        assert_eq!(
            table(0x25, 0, &["PRESENT"]),
            "PTE  PHYSICAL  FLAGS\n 25      0     (PRESENT)\n"
        );
    }
}
