//! Page frame numbers to addresses.

use crate::rows::memory::FrameNumberRow;
use crate::{
    Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["ptob"],
    summary: "page frame number to address",
    synopsis: "frame ...",
    options: &[],
    rows: &[FrameNumberRow::TYPE],
    args: &[Arg::Number],
    description: "\
Pages have 4096 bytes. As in crash, a frame number is decimal when all its digits are, unless it
begins with 0x; what is shown is hexadecimal.",
    examples: &[Example {
        about: "Where a frame begins.",
        line: "ptob 512a",
        output: "512a: 512a000",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "a frame number")?;
    let values: Result<Vec<u64>, _> = parsed.args.iter().map(|w| session.number(w)).collect();
    for value in values? {
        let address = value.checked_mul(4096).ok_or_else(|| {
            crate::CommandError::failed(format!("{value:x}: no address is so high"))
        })?;
        let row = FrameNumberRow { address: Hex(address), pfn: Hex(value) };
        out.record(&row, |line| writeln!(line, "{}: {}", row.pfn, row.address))?;
    }
    Ok(())
}
