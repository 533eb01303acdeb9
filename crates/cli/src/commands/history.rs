use crate::rows::session::LineRow;
use crate::{
    CommandError, Outcome,
    command::{Arg, Command},
    parsed::Parsed,
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["h", "history"],
    summary: "lines typed in this session",
    synopsis: "[count]",
    options: &[],
    rows: &[LineRow::TYPE],
    args: &[Arg::Number],
    description: "\
Lists the lines typed in this session, or the last COUNT of them. \"r\" or \"!!\" runs the last one
again, \"r N\" or \"!N\" the one with that number, \"r TEXT\" the last one that begins with TEXT.",
    examples: &[],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let lines = &session.history;
    let count = match parsed.arg(0) {
        None => lines.len(),
        Some(text) => text
            .parse()
            .map_err(|_| CommandError::usage(format!("{text}: not a decimal number of lines")))?,
    };
    for (index, line) in lines.iter().enumerate().skip(lines.len().saturating_sub(count)) {
        let row = LineRow { number: index + 1, line };
        out.record(&row, |text| writeln!(text, "[{}] {}", row.number, row.line))?;
    }
    Ok(())
}
