//! The command language: one line in, one command (or shell line, or file of lines) run.

pub(crate) mod files;
mod gdb;
mod shell;
mod split;

use std::{
    io::{BufRead, BufReader, IsTerminal, Write},
    path::Path,
    sync::atomic::Ordering,
};

use crate::{
    CommandError, Status,
    command::Command,
    error::Outcome,
    names::TypeKind,
    near,
    parsed::Parsed,
    registry,
    render::{Form, Output, Sink},
    session::Session,
    settings::ErrorTarget,
};
use shell::{SHELL_WORDS, run_shell};
use split::{Line, Target, split_line, split_words};

/// Aliases may stand for aliases, so deep.
const MAX_ALIASES: usize = 16;

/// Runs one line, prints what failed, and notes it in the session's status.
pub fn run_line(session: &mut Session, text: &str) {
    session.interrupted.store(false, Ordering::Relaxed);
    if let Err((name, error)) = execute(session, text) {
        let form = session.settings.form;
        if text.split_whitespace().any(|word| word == "--json") {
            session.settings.form = Form::Json;
        }
        report(session, &name, &error, None);
        session.settings.form = form;
    }
}

/// Runs one line; its output goes to `capture`, what failed included, and not where a pipe or a
/// redirection in the line would send it. How it went.
pub fn run_captured(session: &mut Session, text: &str, capture: &crate::render::Capture) -> Status {
    session.interrupted.store(false, Ordering::Relaxed);
    let sink = Sink::capture(capture.clone());
    let mut out = Output::new(sink, session.settings.form, session.interrupted.clone());
    let result = match expand_aliases(session, text.trim()) {
        Ok(text) => match split_line(text.strip_prefix('\\').unwrap_or(&text)) {
            Ok(line) => run_words(session, &line.command, &mut out),
            Err(error) => Err((first_word(&text).to_owned(), error)),
        },
        Err(error) => Err((String::new(), error)),
    };
    let closed = out.finish().map_err(|error| (String::new(), error));
    match result.and(closed) {
        Ok(()) => Status::Done,
        Err((name, error)) => {
            let _ = writeln!(capture.clone(), "{name}: {error}");
            session.note(error.status());
            error.status()
        }
    }
}

/// What failed: the command's name, and why.
type Failure = (String, CommandError);

fn execute(session: &mut Session, text: &str) -> Result<(), Failure> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') || text.starts_with("//") {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix('!') {
        return run_shell(rest.trim()).map_err(|error| ("!".to_owned(), error));
    }
    let first = first_word(text);
    let named = |error| (first.to_owned(), error);
    let text = expand_aliases(session, text).map_err(named)?;
    if SHELL_WORDS.contains(&first_word(&text)) {
        return run_shell(&text).map_err(named);
    }
    let line = split_line(&text).map_err(named)?;
    if line.command.is_empty() {
        return match (&line.input, &line.target) {
            (Some(file), None) => files::run_file(session, file).map_err(|e| ("<".to_owned(), e)),
            _ => Err((String::new(), CommandError::usage("no command before the redirection"))),
        };
    }
    let sink = open_sink(session, line.target.as_ref()).map_err(named)?;
    let mut out = Output::new(sink, session.settings.form, session.interrupted.clone());
    let result = match &line.input {
        None => run_words(session, &line.command, &mut out),
        Some(file) => run_for_each_line(session, &line, file, &mut out),
    };
    if let (Err((name, error)), ErrorTarget::Output) = (&result, &session.settings.error) {
        let error = CommandError::Failed(error.to_string());
        report(session, name, &error, Some(&mut out));
        return out.finish().map_err(named);
    }
    let closed = out.finish().map_err(named);
    result.and(closed)
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || "|<>".contains(c)).next().unwrap_or("")
}

/// Replaces an alias at the line's beginning by its text, again and again; `\word` is none.
fn expand_aliases(session: &Session, text: &str) -> Result<String, CommandError> {
    let mut text = text.to_owned();
    let mut seen: Vec<String> = Vec::new();
    loop {
        let word = first_word(&text);
        let Some(alias) = session.aliases.get(word).filter(|_| !seen.iter().any(|s| s == word))
        else {
            return Ok(text);
        };
        if seen.len() == MAX_ALIASES {
            return Err(CommandError::usage("aliases are nested too deeply"));
        }
        seen.push(word.to_owned());
        text = format!("{}{}", alias.text, &text[word.len()..]);
    }
}

fn open_sink(session: &Session, target: Option<&Target>) -> Result<Sink, CommandError> {
    Ok(match target {
        Some(Target::Pipe(pipeline)) => Sink::pipe(pipeline)?,
        Some(Target::File { path, append }) => Sink::file(path, *append)?,
        None if session.interactive
            && session.settings.scroll
            && std::io::stdout().is_terminal() =>
        {
            Sink::paged(&pager())
        }
        None => Sink::stdout(),
    })
}

/// crash's choice: `CRASHPAGER`, `PAGER`, `less` so that it leaves the text on the screen.
fn pager() -> String {
    let of = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    of("CRASHPAGER").or_else(|| of("PAGER")).unwrap_or_else(|| "less -E -X".to_owned())
}

/// `command < file`: once for every line, which supplies arguments.
fn run_for_each_line(
    session: &mut Session,
    line: &Line,
    file: &Path,
    out: &mut Output,
) -> Result<(), Failure> {
    let named = |error| (first_word(&line.command).to_owned(), error);
    for arguments in read_lines(file).map_err(named)? {
        let arguments = arguments.map_err(|error| named(error.into()))?;
        let arguments = arguments.trim();
        if arguments.is_empty() || arguments.starts_with('#') {
            continue;
        }
        let text = format!("{} {arguments}{}", line.command, line.after_input);
        // As with foreach, one line that fails does not take the others along.
        match run_words(session, &text, out) {
            Err((_, stop @ (CommandError::Interrupted | CommandError::BrokenPipe))) => {
                return Err(named(stop));
            }
            Err((name, error)) => report(session, &name, &error, Some(out)),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// The lines of a text file; the error names the file.
pub(crate) fn read_lines(
    file: &Path,
) -> Result<impl Iterator<Item = std::io::Result<String>> + use<>, CommandError> {
    let opened = std::fs::File::open(file)
        .map_err(|error| CommandError::failed(format!("{}: {error}", file.display())))?;
    let mut reader = BufReader::new(opened);
    Ok(std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        match reader.read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) => Some(Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// Runs a command with its arguments, redirections apart.
fn run_words(session: &mut Session, text: &str, out: &mut Output) -> Result<(), Failure> {
    let named = |error| (first_word(text).to_owned(), error);
    session.commands = registry::COMMANDS;
    let mut words = split_words(text).map_err(named)?;
    if words.first().is_some_and(|word| word == "gdb")
        && let Some(passed) = gdb::passed(&words[1..])
    {
        words = passed;
    }
    let Some(first) = words.first().cloned() else {
        return Ok(());
    };
    let (command, drop_first) = match first.strip_prefix('\\') {
        Some(name) => match registry::COMMANDS.find(name) {
            Some(command) => (command, true),
            None => return Err((name.to_owned(), CommandError::usage("command not found"))),
        },
        None => match registry::COMMANDS.find(&first) {
            Some(command) => (command, true),
            None if gdb::is_formatted(&first) => {
                words = gdb::translate(&words).map_err(named)?;
                let command = words.first().and_then(|name| registry::COMMANDS.find(name));
                let missing = || named(CommandError::usage("command not found"));
                (command.ok_or_else(missing)?, true)
            }
            None => implicit(session, &mut words).map_err(|e| (String::new(), e))?,
        },
    };
    // Under the name that was typed, if it is one of the command's.
    let typed = words.first().map_or("", String::as_str).trim_start_matches('\\');
    let name =
        command.names.iter().find(|name| **name == typed).unwrap_or(&command.name()).to_string();
    let words = words.into_iter().skip(usize::from(drop_first));
    run_command(session, command, words, out).map_err(|error| (name, error))
}

/// Runs `command`; also for commands that run others, as `foreach` does.
///
/// # Errors
/// Wrong usage, or what the command reports.
pub fn run_command(
    session: &mut Session,
    command: &'static Command,
    words: impl IntoIterator<Item = String>,
    out: &mut Output,
) -> Outcome {
    let parsed = Parsed::new(command, words)?;
    let form = parsed.form.unwrap_or(session.settings.form);
    if parsed.help {
        return out.with_form(form, |out| crate::commands::help::show(command, out));
    }
    let result = out.with_form(form, |out| (command.run)(session, &parsed, out));
    let tally = out.take_tally();
    if !tally.is_empty() {
        out.note(&left_out(command.name(), &tally, form));
    }
    result
}

/// What a command left out: for who reads objects, one of them.
fn left_out(command: &str, tally: &necropsy_rows::Tally, form: Form) -> String {
    if form != Form::Json {
        return format!("{command}: left out: {tally}");
    }
    let parts = tally.iter().map(|(what, reason, count)| {
        serde_json::json!({ "what": what, "reason": reason, "count": count })
    });
    let parts: Vec<serde_json::Value> = parts.collect();
    serde_json::json!({ "left_out": parts, "command": command }).to_string()
}

/// crash's commands that are still to come: none.
pub const NOT_BUILT: &[&str] = &[];

/// crash's commands that there will not be, and what does their work.
const REPLACED: [(&str, &str); 3] = [
    ("gdb", "there is no gdb inside: p, whatis, dis, list and struct do what it is used for"),
    (
        "extend",
        "crash's extensions cannot be loaded: --json of every command takes the place of pykdump \
         and eppic, `trace` and `gcore` that of trace.so and gcore.so (\"help\" lists what there is)",
    ),
    ("wr", "a dump is never written to: there is no live system behind it"),
];

/// A line which begins with no command: `*type …`, a symbol (`p`), a type (`struct`, `union`,
/// `whatis`). The bool tells whether the first word was the command's name.
fn implicit(
    session: &Session,
    words: &mut [String],
) -> Result<(&'static Command, bool), CommandError> {
    let first = words.first().cloned().unwrap_or_default();
    if let Some((name, instead)) = REPLACED.iter().find(|(name, _)| *name == first) {
        return Err(CommandError::Missing(format!("{name}: {instead}")));
    }
    let unknown = || {
        let near = nearest(&first).map(|name| format!(" (did you mean {name}?)"));
        let near = near.unwrap_or_default();
        CommandError::usage(format!("command not found: {first}{near}; \"help\" lists them all"))
    };
    let named = |name| registry::COMMANDS.find(name).ok_or_else(unknown);
    if let Some(rest) = first.strip_prefix('*').filter(|rest| !rest.is_empty()) {
        words[0] = rest.to_owned();
        return Ok((named("*")?, false));
    }
    let base = first.split(['.', '-', '[', ':']).next().unwrap_or("");
    if session.is_symbol(base) {
        return Ok((named("p")?, false));
    }
    match session.is_type(base) {
        Some(TypeKind::Struct) => Ok((named("struct")?, false)),
        Some(TypeKind::Union) => Ok((named("union")?, false)),
        Some(TypeKind::Other) => Ok((named("whatis")?, false)),
        None => Err(unknown()),
    }
}

/// The command one typing error away from `word`.
fn nearest(word: &str) -> Option<&'static str> {
    near::nearest(word, registry::COMMANDS.iter().flat_map(|command| command.names).copied())
}

/// What may help. Stacks lie beyond the end of a dump that was cut; the kernel's own words mostly do
/// not.
fn hint(session: &Session, name: &str, error: &CommandError) -> &'static str {
    if let (CommandError::Missing(_) | CommandError::Failed(_), Some(kernel)) =
        (error, &session.kernel)
        && kernel.target().lacks_data_symbols()
    {
        return "\nthe dump names nothing but this kernel's code: its variables and types need debug \
                information: give its vmlinux";
    }
    let reason = match error {
        CommandError::Fault(fault) => Some(fault.reason),
        _ => None,
    };
    match (name, reason) {
        ("bt" | "explain" | "frame" | "locals", Some(necropsy_dump::Reason::Truncated)) => {
            "; the kernel's own trace may be in the log: see log and report"
        }
        _ => "",
    }
}

/// Tells of a failure, where the session's `error` variable says, and notes it.
pub(crate) fn report(
    session: &mut Session,
    name: &str,
    error: &CommandError,
    out: Option<&mut Output>,
) {
    session.note(error.status());
    if matches!(error, CommandError::BrokenPipe) {
        return;
    }
    let name = if name.is_empty() { "necropsy" } else { name };
    let text = match session.settings.form {
        // Who reads objects wants this one, too.
        Form::Json => serde_json::json!({
            "error": format!("{error}{}", hint(session, name, error)),
            "command": name,
            "status": error.status() as u8,
        })
        .to_string(),
        _ => format!("{name}: {error}{}", hint(session, name, error)),
    };
    let sent = match (&session.settings.error, out) {
        (ErrorTarget::Output, Some(out)) if out.is_text() => out.line(&text).is_ok(),
        (ErrorTarget::File(path), _) => std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| writeln!(file, "{text}"))
            .is_ok(),
        _ => false,
    };
    if !sent {
        // Nobody is left to tell if the error stream is closed, too.
        let _ = writeln!(anstream::stderr(), "{text}");
    }
}

#[cfg(test)]
mod tests;
