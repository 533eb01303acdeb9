//! The command language: one line in, one command (or shell line, or file of lines) run.

pub(crate) mod files;
mod shell;
mod split;

use std::{
    io::{BufRead, BufReader, IsTerminal, Write},
    path::Path,
    sync::atomic::Ordering,
};

use crate::{
    CommandError, Status,
    error::Outcome,
    names::TypeKind,
    parsed::Parsed,
    registry::{self, Command},
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
        report(session, &name, &error, None);
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
    let mut words = split_words(text).map_err(named)?;
    let Some(first) = words.first().cloned() else {
        return Ok(());
    };
    let (command, drop_first) = match first.strip_prefix('\\') {
        Some(name) => match registry::find(name) {
            Some(command) => (command, true),
            None => return Err((name.to_owned(), CommandError::usage("command not found"))),
        },
        None => match registry::find(&first) {
            Some(command) => (command, true),
            None => implicit(session, &mut words).map_err(|e| (String::new(), e))?,
        },
    };
    let words = words.into_iter().skip(usize::from(drop_first));
    run_command(session, command, words, out).map_err(|error| (command.name().to_owned(), error))
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
    let form = if parsed.json { Form::Json } else { session.settings.form };
    if parsed.help {
        return out.with_form(form, |out| crate::commands::help::show(command, out));
    }
    let result = out.with_form(form, |out| (command.run)(session, &parsed, out));
    let tally = out.take_tally();
    if !tally.is_empty() {
        eprintln!("{}: left out: {tally}", command.name());
    }
    result
}

/// crash's commands that are still to come.
const NOT_BUILT: &[&str] = &[
    "kmem", "files", "vm", "net", "mount", "dev", "sig", "swap", "ipcs", "waitq", "fuser", "bpf",
    "sbitmapq", "rustfilt", "gdb", "extend", "wr",
];

/// A line which begins with no command: `*type …`, a symbol (`p`), a type (`struct`, `union`,
/// `whatis`). The bool tells whether the first word was the command's name.
fn implicit(
    session: &Session,
    words: &mut [String],
) -> Result<(&'static Command, bool), CommandError> {
    let first = words.first().cloned().unwrap_or_default();
    // Before symbols: kernels have variables called `files`.
    if NOT_BUILT.contains(&first.as_str()) {
        let text = format!("{first}: a command of crash that is not built yet; see `help`");
        return Err(CommandError::Missing(text));
    }
    let unknown = || {
        let near = nearest(&first).map(|name| format!(" (did you mean {name}?)"));
        let near = near.unwrap_or_default();
        CommandError::usage(format!("command not found: {first}{near}; \"help\" lists them all"))
    };
    let named = |name| registry::find(name).ok_or_else(unknown);
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
    let names = registry::COMMANDS.iter().flat_map(|command| command.names).copied();
    let mut names = names.filter(|name| name.len() > 1 && word.len() > 1);
    names.find(|name| one_edit_apart(word.as_bytes(), name.as_bytes()))
}

/// Whether one insertion, deletion, replacement or swap of neighbours makes `a` into `b`.
fn one_edit_apart(a: &[u8], b: &[u8]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let (short, long) = (&short[same..], &long[same..]);
    match long.len() - short.len() {
        0 => {
            short.get(1..) == long.get(1..)
                || (short.len() > 1
                    && short[0] == long[1]
                    && short[1] == long[0]
                    && short[2..] == long[2..])
        }
        1 => short == &long[1..],
        _ => false,
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
    let text = format!("{name}: {error}");
    let sent = match (&session.settings.error, out) {
        (ErrorTarget::Output, Some(out)) if !out.is_json() => out.line(&text).is_ok(),
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
