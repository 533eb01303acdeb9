use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Arg, Command},
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["h", "history"],
    summary: "lines typed in this session",
    synopsis: "[count]",
    options: &[],
    args: &[Arg::Number],
    description: "\
Lists the lines typed in this session, or the last COUNT of them. \"r\" or \"!!\" runs the last one
again, \"r N\" or \"!N\" the one with that number, \"r TEXT\" the last one that begins with TEXT.",
    examples: &[],
    run,
};

#[derive(Serialize)]
struct Row<'a> {
    number: usize,
    line: &'a str,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let lines = &session.history;
    let count = match parsed.arg(0) {
        None => lines.len(),
        Some(text) => text
            .parse()
            .map_err(|_| CommandError::usage(format!("{text}: not a decimal number of lines")))?,
    };
    for (index, line) in lines.iter().enumerate().skip(lines.len().saturating_sub(count)) {
        let row = Row { number: index + 1, line };
        out.record(&row, |text| writeln!(text, "[{}] {}", row.number, row.line))?;
    }
    Ok(())
}
