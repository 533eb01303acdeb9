//! The frame that commands look at, and its variables.

use necropsy_linux::Kernel;
use necropsy_machine::debug::Variable;

use crate::rows::stacks::{SelectedRow, VariableRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example},
    frames::{self, Selected},
    locals,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    source::Source,
    values,
};

pub(crate) static COMMAND: Command = Command {
    names: &["frame"],
    summary: "select a frame of the current task's stack, and show where it is",
    synopsis: "[number] [-x | -d]",
    options: &[values::HEXADECIMAL, values::DECIMAL],
    rows: &[SelectedRow::TYPE],
    args: &[Arg::Number],
    description: "\
Frames are numbered as bt shows them: 8, or 8.1 for a function within it that has no frame of its own.
The selected frame is the one that locals lists the variables
of, and in which p finds them by name; $rip, $rbx and the other registers are those of the frame,
as far as they are known. Without a number, shows the frame that is selected; at first that is the
one whose registers are known: the one that an exception interrupted, else the innermost. up and down
select its neighbours. Selecting another task deselects it.

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
    options: &[values::HEXADECIMAL, values::DECIMAL],
    rows: &[VariableRow::TYPE],
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

pub(crate) static UP: Command = Command {
    names: &["up"],
    summary: "select the caller of the selected frame",
    synopsis: "[count] [-x | -d]",
    args: &[Arg::Number],
    description: "\
Selects the next outer function of the trace, inlined ones among them, or the one that is so many
further out, and shows it as frame does.",
    examples: &[Example { about: "The caller.", line: "up", output: "" }],
    run: |session, parsed, out| walk(session, parsed, out, 1),
    ..COMMAND
};

pub(crate) static DOWN: Command = Command {
    names: &["down"],
    summary: "select the function that the selected frame called",
    synopsis: "[count] [-x | -d]",
    args: &[Arg::Number],
    description: "\
Selects the next inner function of the trace, or the one that is so many further in, and shows it as
frame does. Below the one that an exception interrupted are those by which the kernel left.",
    examples: &[Example { about: "Back again.", line: "down", output: "" }],
    run: |session, parsed, out| walk(session, parsed, out, -1),
    ..COMMAND
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let selected = match parsed.arg(0) {
        Some(text) => {
            let number = text.parse().map_err(|_| {
                CommandError::usage(format!("{text}: not a frame's number, as bt shows them"))
            })?;
            let task = session.context(kernel)?;
            frames::select(kernel, task, Some(number))?
        }
        None => session.selected_frame(kernel)?,
    };
    show(session, kernel, parsed, selected, out)
}

/// Selects the frame that lies so many further out (or in, where the direction is negative).
fn walk(session: &mut Session, parsed: &Parsed, out: &mut Output, direction: isize) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let count: isize = match parsed.arg(0) {
        Some(text) => text
            .parse()
            .map_err(|_| CommandError::usage(format!("{text}: not a count of frames")))?,
        None => 1,
    };
    let mut selected = session.selected_frame(kernel)?;
    let last = selected.all.len() - 1;
    let wanted = selected.position.saturating_add_signed(direction.saturating_mul(count)).min(last);
    if wanted == selected.position && count != 0 {
        let end = if wanted == 0 { "innermost" } else { "outermost" };
        return Err(CommandError::failed(format!("this is the {end} frame")));
    }
    selected.at = selected.all[wanted].clone();
    selected.position = wanted;
    show(session, kernel, parsed, selected, out)
}

fn show(
    session: &mut Session,
    kernel: &Kernel,
    parsed: &Parsed,
    selected: Selected,
    out: &mut Output,
) -> Outcome {
    // What was shown is what p looks into.
    session.frame = Some((session.context(kernel)?.address, selected.at.number));
    let style = values::style(session, parsed)?;
    let mut variables = selected.variables(kernel);
    variables.retain(|variable| variable.argument);
    let row = row(kernel, &selected, locals::rows(kernel, &variables, &style))?;
    let source = Source::of(session);
    out.record(&row, |line| {
        let function = row.function.as_deref().unwrap_or("(unknown)");
        let mark = match (row.inlined, row.tail_call) {
            (true, _) => " (inlined)",
            (_, true) => " (tail call)",
            _ => "",
        };
        writeln!(
            line,
            "{:>3} [{}] {function} at {}{mark}",
            format!("#{}", selected.at.number),
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
    arguments: Vec<VariableRow>,
) -> Result<SelectedRow, CommandError> {
    let frame = selected.frame().ok_or_else(|| CommandError::failed("no such frame"))?;
    let source = selected.at.source.as_ref();
    let inside = selected.at.jumped.map_or(frame.lookup_pc(), |behind| behind.wrapping_sub(1));
    let symbol = || Some(kernel.target().locate(inside)?.symbol.name.to_owned());
    let named = source.filter(|_| selected.at.inlined).and_then(|source| source.function.clone());
    Ok(SelectedRow {
        index: selected.at.number.index,
        inline: (selected.at.number.inline > 0).then_some(selected.at.number.inline),
        function: named.or_else(symbol),
        pc: Hex(selected.at.jumped.unwrap_or(frame.pc)),
        sp: Hex(selected.slot().unwrap_or(frame.slot)),
        tail_call: selected.at.jumped.is_some(),
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
    session.frame = Some((session.context(kernel)?.address, selected.at.number));
    if selected.at.source.is_none() {
        return Err(CommandError::missing(format!(
            "frame {}: no debug information of its code was found; give the vmlinux or the module's \
             file with --symbols",
            selected.at.number
        )));
    }
    let mut variables = selected.variables(kernel);
    for name in &parsed.args {
        if !variables.iter().any(|variable| variable.name == *name) {
            return Err(CommandError::failed(format!(
                "{name}: no variable of frame {}",
                selected.at.number
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
