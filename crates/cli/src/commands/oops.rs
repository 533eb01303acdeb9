//! What the log of the dump says went wrong.

use necropsy_diagnose::log;
use necropsy_oops::{Options, TitleStyle, reports_of_lines};

use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    oops::Printer,
    parsed::Parsed,
    problems::log_damage,
    render::Output,
    rows::oops::ReportRow,
    session::Session,
};

const ALL: Opt = Opt::flag("--all", "every report in full, with every register and doubtful frame");
const TITLE_STYLE: Opt =
    Opt::value("--title-style", "style", "how reports are titled: plain, or as syzkaller does");

pub(crate) static COMMAND: Command = Command {
    names: &["oops"],
    summary: "what the log says went wrong, decoded",
    synopsis: "[--all] [--title-style plain|syzkaller]",
    options: &[ALL, TITLE_STYLE],
    rows: &[ReportRow::TYPE],
    args: &[],
    description: "\
Finds the reports in the kernel's log (oopses, warnings, lockups, sanitisers' findings, panics)
and decodes them: what kind of trouble it is and in which function, the faulting access, registers
with what each value is, the call trace, the instructions around the trap. The first is shown in
full; what followed from it takes a line each.

It reads text only, as `necropsy oops FILE` does with any other log: neither debug information nor
types are needed, and what it says can be checked against the log.",
    examples: &[
        Example { about: "The first report, and what followed.", line: "oops", output: "" },
        Example { about: "Every report, for another program.", line: "oops --json", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let style = match parsed.value(TITLE_STYLE) {
        None | Some("plain") => TitleStyle::Plain,
        Some("syzkaller") => TitleStyle::Syzkaller,
        Some(other) => {
            return Err(CommandError::usage(format!("no title style {other}: plain, syzkaller")));
        }
    };
    let kernel = session.kernel()?;
    let log = kernel.log()?;
    let reports = reports_of_lines(log::lines(&log), &Options { style });
    let mut printer = Printer::new(out, parsed.has(ALL));
    let found = reports.len();
    for report in reports {
        printer.report(report)?;
    }
    if found == 0 {
        out.line("no kernel report found")?;
    }
    log_damage(&log, out)
}
