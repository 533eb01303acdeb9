//! Addresses to page frame numbers.

use crate::rows::memory::FrameNumberRow;
use crate::{
    Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["btop"],
    summary: "address to page frame number",
    synopsis: "address ...",
    options: &[],
    rows: &[FrameNumberRow::TYPE],
    args: &[Arg::Number],
    description: "Pages have 4096 bytes; the values are hexadecimal.",
    examples: &[Example {
        about: "The frame of a physical address.",
        line: "btop 512a000",
        output: "512a000: 512a",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "an address")?;
    let values: Result<Vec<u64>, _> = parsed.args.iter().map(|w| session.address(w)).collect();
    for value in values? {
        let row = FrameNumberRow { address: Hex(value), pfn: Hex(value >> 12) };
        out.record(&row, |line| writeln!(line, "{}: {}", row.address, row.pfn))?;
    }
    Ok(())
}
