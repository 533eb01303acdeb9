use std::fmt;

use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{self, Arg, COMMANDS, Command, Example, Opt},
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["help", "man", "?"],
    summary: "what the commands do",
    synopsis: "[-l] [command | language ...]",
    options: &[Opt { flag: "-l", value: None, help: "list every command with its summary" }],
    args: &[Arg::Command],
    description: "\
Without arguments, shows the names of all commands. With the name of a command, explains it.
\"help language\" explains what a line can be: pipes, files, aliases, numbers.",
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

Every command takes --json, for one JSON object a line, and --help.
\"set scroll off\" (or sf) turns the pager off, CRASHPAGER or PAGER chooses it. Ctrl-C stops the
command in progress.
";

fn run(_: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has("-l") || (out.is_json() && parsed.args.is_empty()) {
        return list(out);
    }
    if parsed.args.is_empty() {
        return overview(out);
    }
    for topic in &parsed.args {
        if matches!(topic.as_str(), "language" | "input" | "output") {
            out.line(LANGUAGE)?;
            continue;
        }
        let command = registry::find(topic).ok_or_else(|| {
            CommandError::usage(format!("{topic}: no such command; \"help\" lists them all"))
        })?;
        show(command, out)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Summary {
    name: &'static str,
    aliases: &'static [&'static str],
    summary: &'static str,
}

fn list(out: &mut Output) -> Outcome {
    for command in COMMANDS {
        let [name, aliases @ ..] = command.names else { continue };
        let row = Summary { name, aliases, summary: command.summary };
        out.record(&row, |line| writeln!(line, "{:<10} {}", row.name, row.summary))?;
    }
    Ok(())
}

/// Names in columns, read downwards as crash has them.
fn overview(out: &mut Output) -> Outcome {
    const COLUMNS: usize = 5;
    let mut names: Vec<_> = COMMANDS.iter().map(|command| command.name()).collect();
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

#[derive(Serialize)]
struct Page {
    name: &'static str,
    aliases: &'static [&'static str],
    summary: &'static str,
    synopsis: Vec<&'static str>,
    options: Vec<OptionRow>,
    description: &'static str,
    examples: Vec<&'static str>,
}

#[derive(Serialize)]
struct OptionRow {
    flag: &'static str,
    value: Option<&'static str>,
    help: &'static str,
}

/// The help page of one command.
pub(crate) fn show(command: &Command, out: &mut Output) -> Outcome {
    let option = |opt: &Opt| OptionRow { flag: opt.flag, value: opt.value, help: opt.help };
    let page = Page {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{language::run_captured, render::Capture};

    fn run(text: &str) -> String {
        let capture = Capture::default();
        run_captured(&mut Session::new(), text, &capture);
        capture.take()
    }

    /// The examples of commands that need no kernel, against the output they show.
    #[test]
    fn examples_print_what_they_show() {
        for name in ["alias", "ascii", "eval", "set"] {
            for example in registry::find(name).unwrap().examples {
                assert_eq!(run(example.line).trim_end(), example.output, "{}", example.line);
            }
        }
    }

    #[test]
    fn every_command_has_a_page_and_takes_json() {
        for command in COMMANDS {
            let page = run(&format!("help {}", command.name()));
            assert!(page.contains("SYNOPSIS") && page.contains(command.summary), "{page}");
            assert_eq!(page, run(&format!("\\{} --help", command.name())));
            let json = run(&format!("help {} --json", command.name()));
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
            assert!(page.lines().all(|line| line.len() <= 104), "{command:?}: lines too long");
        }
    }

    #[test]
    fn overview_and_list_name_every_command() {
        let (overview, list) = (run("help"), run("?  -l"));
        for command in COMMANDS {
            assert!(overview.contains(command.name()) && list.contains(command.summary));
        }
        assert!(run("help nosuch").contains("no such command"));
        assert!(run("help language").contains("pipeline"));
    }
}
