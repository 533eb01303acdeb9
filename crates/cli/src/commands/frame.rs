//! The frame that commands look at, and its variables.

use necropsy_linux::Kernel;
use necropsy_target::debug::Variable;
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    frames::{self, Selected},
    locals,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
    source::Source,
    values,
};

pub(crate) static COMMAND: Command = Command {
    names: &["frame"],
    summary: "select a frame of the current task's stack, and show where it is",
    synopsis: "[number] [-x | -d]",
    options: &[
        Opt { flag: "-x", value: None, help: "numbers in hexadecimal" },
        Opt { flag: "-d", value: None, help: "numbers in decimal" },
    ],
    args: &[Arg::Number],
    description: "\
Frames are numbered as bt shows them. The selected frame is the one that locals lists the variables
of, and in which p finds them by name; $rip, $rbx and the other registers are those of the frame,
as far as they are known. Without a number, shows the frame that is selected; at first that is the
innermost. Selecting another task deselects it.

Below the frame its arguments are shown, and the source line if a source tree is given (--source).",
    examples: &[
        Example { about: "The innermost frame.", line: "frame 0", output: "" },
        Example { about: "Its caller.", line: "frame 1", output: "" },
    ],
    run,
};

pub(crate) static LOCALS: Command = Command {
    names: &["locals"],
    summary: "arguments and local variables of the selected frame",
    synopsis: "[-x | -d] [name] ...",
    options: &[
        Opt { flag: "-x", value: None, help: "numbers in hexadecimal" },
        Opt { flag: "-d", value: None, help: "numbers in decimal" },
    ],
    args: &[Arg::Text("name")],
    description: "\
A value is where debug information says that it is. What it does not tell is looked for further: in
what the caller passed, then by following the code; the line says so, and how. What is lost shows
why.

Names choose variables; a variable in an inner block hides one of the same name outside, and both
are listed.",
    examples: &[Example { about: "The innermost frame's.", line: "locals", output: "" }],
    run: run_locals,
};

#[derive(Serialize)]
struct Row {
    index: usize,
    function: Option<String>,
    pc: Hex,
    sp: Hex,
    inlined: bool,
    #[serde(rename = "tail_call")]
    jumped: bool,
    file: Option<String>,
    line: Option<u32>,
    arguments: Vec<locals::Row>,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let selected = match parsed.arg(0) {
        Some(text) => {
            let number = text.parse().map_err(|_| {
                CommandError::usage(format!("{text}: not a frame's number, as bt shows them"))
            })?;
            let task = session.context(kernel)?;
            frames::select(kernel, task, number)?
        }
        None => session.selected_frame(kernel)?,
    };
    // What was shown is what p looks into.
    session.frame = Some((session.context(kernel)?.address, selected.number));
    let style = values::style(session, parsed)?;
    let mut variables = selected.variables(kernel);
    variables.retain(|variable| variable.argument);
    let row = row(kernel, &selected, locals::rows(kernel, &variables, &style))?;
    let source = Source::of(session);
    out.record(&row, |line| {
        let function = row.function.as_deref().unwrap_or("(unknown)");
        let mark = match (row.inlined, row.jumped) {
            (true, _) => " (inlined)",
            (_, true) => " (tail call)",
            _ => "",
        };
        writeln!(
            line,
            "{:>3} [{}] {function} at {}{mark}",
            format!("#{}", row.index),
            row.sp,
            row.pc
        )?;
        if let (Some(file), Some(number)) = (&row.file, row.line) {
            writeln!(line, "    {file}: {number}")?;
            if let Some(text) = source.line(file, number) {
                writeln!(line, "    {number}\t{text}")?;
            }
        }
        row.arguments.iter().try_for_each(|argument| argument.write(line))
    })
}

fn row(
    kernel: &Kernel,
    selected: &Selected,
    arguments: Vec<locals::Row>,
) -> Result<Row, CommandError> {
    let frame = selected.frame().ok_or_else(|| CommandError::failed("no such frame"))?;
    let source = selected.at.source.as_ref();
    let inside = selected.at.jumped.map_or(frame.lookup_pc(), |behind| behind.wrapping_sub(1));
    let symbol = || Some(kernel.target().locate(inside)?.symbol.name.to_owned());
    let named = source.filter(|_| selected.at.inlined).and_then(|source| source.function.clone());
    Ok(Row {
        index: selected.number,
        function: named.or_else(symbol),
        pc: Hex(selected.at.jumped.unwrap_or(frame.pc)),
        sp: Hex(selected.slot().unwrap_or(frame.slot)),
        jumped: selected.at.jumped.is_some(),
        inlined: selected.at.inlined,
        file: source.and_then(|source| source.file.clone()),
        line: source.and_then(|source| source.line),
        arguments,
    })
}

fn run_locals(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let style = values::style(session, parsed)?;
    let selected = session.selected_frame(kernel)?;
    session.frame = Some((session.context(kernel)?.address, selected.number));
    if selected.at.source.is_none() {
        return Err(CommandError::missing(format!(
            "frame {}: no debug information of its code was found; give the vmlinux or the module's \
             file with --symbols",
            selected.number
        )));
    }
    let mut variables = selected.variables(kernel);
    for name in &parsed.args {
        if !variables.iter().any(|variable| variable.name == *name) {
            return Err(CommandError::failed(format!(
                "{name}: no variable of frame {}",
                selected.number
            )));
        }
    }
    if !parsed.args.is_empty() {
        variables.retain(|variable: &Variable| parsed.args.contains(&variable.name));
    }
    for row in locals::rows(kernel, &variables, &style) {
        out.record(&row, |line| row.write(line))?;
    }
    Ok(())
}
