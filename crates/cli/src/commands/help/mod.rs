mod machine;

use std::fmt;

use super::info;
use crate::rows::session::{OptionRow, PageRow, SummaryRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Commands, Example, Opt},
    parsed::Parsed,
    render::Output,
    session::Session,
};

const REGISTERS: Opt = Opt::flag("-r", "the registers in the dump's notes");
const NOTES: Opt = Opt::flag("-n", "the dump's notes");
const HEADER: Opt = Opt::flag("-D", "the dump's header, and VMCOREINFO");
const LIST: Opt = Opt::flag("-l", "list every command with its summary");

pub(crate) static COMMAND: Command = Command {
    names: &["help", "man", "?"],
    summary: "what the commands do",
    synopsis: "[-l] [command | language | machine ...]\n-r | -n | -D",
    options: &[LIST, REGISTERS, NOTES, HEADER],
    rows: &[SummaryRow::TYPE, PageRow::TYPE],
    args: &[Arg::Command],
    description: "\
Without arguments, shows the names of all commands. With the name of a command, explains it.
\"help language\" explains what a line can be: pipes, files, aliases, numbers. \"help machine\" is the
reference card of the dump's machine: registers and their roles, the map of kernel addresses, flags of
page tables, error codes. Of crash's views of its own insides, those of the dump are here: -r the
registers of its notes, -n the notes, -D its header with VMCOREINFO; info has more.",
    examples: &[Example { about: "Explain a command.", line: "help eval", output: "" }],
    run,
};

/// What a line can be; `help language`, and a chapter of the manual.
pub const LANGUAGE: &str = "\
A line is a command with its options and arguments.

  command | pipeline    send the output to a shell pipeline
  command > file        write the output to a file, >> adds to it
  command < file        run the command once for each line of the file, which has its arguments
  < file                run the commands in the file
  !line                 run a shell line; ! alone opens a shell
  \\command              run the command, even if an alias has its name
  # text, // text       a comment

vi pwd grep cat more less echo ls clear are shell commands without the !.

A line that begins with a symbol is given to p, one that begins with a struct, union or typedef to
struct, union or whatis: \"task_struct.pid ffff888003a8c000\". *TYPE is short for \"* TYPE\".

Double quotes and brackets keep words together; single quotes mark a regular expression.
Addresses are hexadecimal, with or without 0x. Counts are decimal unless they begin with 0x.
Either may be an expression in parentheses: (jiffies + 8).

Every command takes --json, for one JSON object a line, --csv, for comma-separated values (one line
for each innermost element, the outer columns repeated), and --help. \"schema COMMAND\" tells what
is in them.
\"set scroll off\" (or sf) turns the pager off, CRASHPAGER or PAGER chooses it. Ctrl-C stops the
command in progress.
";

/// What the dump says of itself, as `info` has it.
fn of_the_dump(session: &mut Session, flags: &[&str], out: &mut Output) -> Outcome {
    let parsed = Parsed::new(&info::COMMAND, flags.iter().map(|flag| (*flag).to_owned()))?;
    (info::COMMAND.run)(session, &parsed, out)
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    match parsed.one_of(&[REGISTERS, NOTES, HEADER])? {
        Some(REGISTERS) => return of_the_dump(session, &["-r"], out),
        Some(NOTES) => return of_the_dump(session, &["-n"], out),
        Some(_) => {
            of_the_dump(session, &[], out)?;
            return if out.is_text() { of_the_dump(session, &["-v"], out) } else { Ok(()) };
        }
        None => {}
    }
    if parsed.has(LIST) || (!out.is_text() && parsed.args.is_empty()) {
        return list(session.commands, out);
    }
    if parsed.args.is_empty() {
        return overview(session.commands, out);
    }
    for topic in &parsed.args {
        if matches!(topic.as_str(), "language" | "input" | "output") {
            out.line(LANGUAGE)?;
            continue;
        }
        if topic == "machine" {
            machine::show(session, out)?;
            continue;
        }
        let command = session.commands.find(topic).ok_or_else(|| {
            CommandError::usage(format!("{topic}: no such command; \"help\" lists them all"))
        })?;
        show(command, out)?;
    }
    Ok(())
}

fn list(commands: Commands, out: &mut Output) -> Outcome {
    for command in commands.iter() {
        let [name, aliases @ ..] = command.names else { continue };
        let row = SummaryRow { name, aliases, summary: command.summary };
        out.record(&row, |line| writeln!(line, "{:<10} {}", row.name, row.summary))?;
    }
    Ok(())
}

/// Names in columns, read downwards as crash has them.
fn overview(commands: Commands, out: &mut Output) -> Outcome {
    const COLUMNS: usize = 5;
    let mut names: Vec<_> = commands.iter().map(|command| command.name()).collect();
    names.sort_unstable();
    let rows = names.len().div_ceil(COLUMNS);
    out.line("")?;
    for row in 0..rows {
        let cells = (0..COLUMNS).filter_map(|column| names.get(column * rows + row));
        let line: String = cells.map(|name| format!("{name:<15}")).collect();
        out.line(line.trim_end())?;
    }
    out.line(concat!("\nnecropsy ", env!("CARGO_PKG_VERSION")))?;
    out.line("\"help COMMAND\" explains a command, \"help language\" what a line can be.\n")
}

/// The help page of one command.
pub(crate) fn show(command: &Command, out: &mut Output) -> Outcome {
    let option = |opt: &Opt| OptionRow { flag: opt.flag, value: opt.value, help: opt.help };
    let page = PageRow {
        name: command.name(),
        aliases: command.names.get(1..).unwrap_or(&[]),
        summary: command.summary,
        synopsis: command.synopsis.lines().collect(),
        options: command.options.iter().map(option).collect(),
        description: command.description,
        examples: command.examples.iter().map(|example| example.line).collect(),
    };
    out.record(&page, |line| write_page(command, line))
}

fn write_page(command: &Command, page: &mut dyn fmt::Write) -> fmt::Result {
    let name = command.name();
    writeln!(page, "\nNAME\n  {name} - {}", command.summary)?;
    if let Some(aliases) = command.names.get(1..).filter(|aliases| !aliases.is_empty()) {
        writeln!(page, "  also: {}", aliases.join(" "))?;
    }
    writeln!(page, "\nSYNOPSIS")?;
    // A command without arguments has an empty synopsis, and one form nevertheless.
    for form in command.synopsis.split('\n') {
        writeln!(page, "{}", format!("  {name} {form}").trim_end())?;
    }
    if !command.options.is_empty() {
        writeln!(page, "\nOPTIONS")?;
    }
    for opt in command.options {
        writeln!(page, "  {:<16} {}", opt.display(), opt.help)?;
    }
    writeln!(page, "\nDESCRIPTION")?;
    for text in command.description.lines() {
        writeln!(page, "{}", format!("  {text}").trim_end())?;
    }
    for row in command.rows {
        let names: Vec<_> = row.fields().iter().map(|(field, _)| field.name).collect();
        let first = row.doc.trim().lines().next().unwrap_or("").trim_end_matches('.').to_owned();
        writeln!(page, "\nFIELDS (--json, --csv)\n  {first}:")?;
        write_wrapped(page, &names)?;
    }
    if !command.examples.is_empty() {
        writeln!(page, "\nEXAMPLES")?;
    }
    for Example { about, line, output } in command.examples {
        writeln!(page, "  {about}\n\n    necropsy> {line}")?;
        for text in output.lines() {
            writeln!(page, "    {text}")?;
        }
        writeln!(page)?;
    }
    Ok(())
}

/// Words below each other, as many to a line as fit.
fn write_wrapped(page: &mut dyn fmt::Write, words: &[&str]) -> fmt::Result {
    const WIDTH: usize = 90;
    let (mut width, mut start) = (WIDTH, "");
    for word in words {
        if width + word.len() > WIDTH {
            write!(page, "{start}  {word}")?;
            start = "\n";
            width = 2 + word.len();
        } else {
            write!(page, " {word}")?;
            width += 1 + word.len();
        }
    }
    writeln!(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{language::run_captured, registry::COMMANDS, render::Capture};

    fn run(text: &str) -> String {
        let capture = Capture::default();
        run_captured(&mut Session::new(), text, &capture);
        capture.take()
    }

    /// The examples of commands that need no kernel, against the output they show.
    #[test]
    fn examples_print_what_they_show() {
        for name in ["alias", "ascii", "eval", "set"] {
            for example in COMMANDS.find(name).unwrap().examples {
                assert_eq!(run(example.line).trim_end(), example.output, "{}", example.line);
            }
        }
    }

    #[test]
    fn every_command_has_a_page_and_takes_json() {
        for command in COMMANDS.iter() {
            let page = run(&format!("help {}", command.name()));
            assert!(page.contains("SYNOPSIS") && page.contains(command.summary), "{page}");
            assert_eq!(page, run(&format!("\\{} --help", command.name())));
            let json = run(&format!("help {} --json", command.name()));
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
            let long = page.lines().find(|line| line.len() > 104);
            assert_eq!(long, None, "{command:?}: a line is too long");
        }
    }

    #[test]
    fn overview_and_list_name_every_command() {
        let (overview, list) = (run("help"), run("?  -l"));
        for command in COMMANDS.iter() {
            assert!(overview.contains(command.name()) && list.contains(command.summary));
        }
        assert!(run("help nosuch").contains("no such command"));
        assert!(run("help language").contains("pipeline"));
    }
}
