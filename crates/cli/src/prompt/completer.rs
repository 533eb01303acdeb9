//! Completion: commands, options, symbols, types, members, tasks, files.

use std::{path::Path, sync::Arc};

use reedline::{CompletionResult, Span, Suggestion};

use crate::{
    command::{Arg, Command},
    commands::foreach,
    names::Names,
    registry::COMMANDS,
};

/// More candidates than this help nobody.
const LIMIT: usize = 200;

/// What reedline asks while a line is edited.
pub(super) struct Completer {
    names: Arc<dyn Names>,
}

impl Completer {
    pub(super) fn new(names: Arc<dyn Names>) -> Self {
        Completer { names }
    }
}

impl reedline::Completer for Completer {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let Some(line) = line.get(..pos) else {
            return CompletionResult::fresh(Vec::new());
        };
        let (start, candidates) = candidates(&*self.names, line);
        let suggestions: Vec<_> = candidates
            .into_iter()
            .map(|candidate| Suggestion {
                // A directory and a member of a structure may go on.
                append_whitespace: !candidate.value.ends_with('/') && candidate.ends,
                description: candidate.help.map(str::to_owned),
                value: candidate.value,
                span: Span::new(start, pos),
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

#[derive(Debug)]
struct Candidate {
    value: String,
    help: Option<&'static str>,
    /// A blank belongs behind it.
    ends: bool,
}

impl Candidate {
    fn word(value: impl Into<String>) -> Self {
        Candidate { value: value.into(), help: None, ends: true }
    }
    fn open(value: String) -> Self {
        Candidate { value, help: None, ends: false }
    }
}

/// What may stand at the end of `line`, and where the word begins that it replaces.
fn candidates(names: &dyn Names, line: &str) -> (usize, Vec<Candidate>) {
    // Behind a pipe stands the shell's business.
    if line.trim_start().starts_with('!') || line.contains('|') {
        return (line.len(), Vec::new());
    }
    if let Some((start, file)) = redirected(line) {
        return (start, files(file));
    }
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &line[start..];
    let mut before = line[..start].split_whitespace();
    let Some(first) = before.next() else {
        let (start, word) = match word.strip_prefix('\\') {
            Some(rest) => (start + 1, rest),
            None => (start, word),
        };
        return first_word(names, start, word);
    };
    let mut command = COMMANDS.find(first.strip_prefix('\\').unwrap_or(first));
    // `foreach UN bt -`: the options are those of the inner command.
    if command.is_some_and(|command| command.args.contains(&Arg::CommandLine)) {
        command = before.rev().find_map(|name| COMMANDS.find(name)).or(command);
    }
    let Some(command) = command else {
        return named(names, start, word);
    };
    if word.starts_with('-') {
        return (start, options(command, word));
    }
    // Before its inner command, foreach chooses tasks.
    if std::ptr::eq(command, &foreach::COMMAND) {
        let mut found: Vec<Candidate> =
            foreach::words().filter(|own| own.starts_with(word)).map(Candidate::word).collect();
        found.extend(words(names.tasks(word, LIMIT)));
        return (start, found);
    }
    let mut found = (start, Vec::new());
    for arg in command.args {
        let (start, more) = argument(names, *arg, start, word);
        if !more.is_empty() {
            found = (start, more);
            break;
        }
    }
    found
}

/// The file name being typed behind `>` or `<`.
fn redirected(line: &str) -> Option<(usize, &str)> {
    let at = line.rfind(['>', '<']).filter(|at| !line[..*at].ends_with('-'))? + 1;
    let file = line[at..].trim_start();
    (!file.contains(char::is_whitespace)).then_some((line.len() - file.len(), file))
}

/// A command, or a name that begins a line of its own.
fn first_word(names: &dyn Names, start: usize, word: &str) -> (usize, Vec<Candidate>) {
    let commands = COMMANDS.iter().flat_map(|command| {
        let fitting = command.names.iter().filter(|name| name.starts_with(word));
        fitting.map(|name| Candidate { help: Some(command.summary), ..Candidate::word(*name) })
    });
    let mut found: Vec<_> = commands.collect();
    // An empty line has enough to offer with the commands.
    let (start, more) =
        if word.is_empty() { (start, Vec::new()) } else { named(names, start, word) };
    if found.is_empty() {
        return (start, more);
    }
    found.extend(more);
    found.truncate(LIMIT);
    (start, found)
}

fn options(command: &Command, word: &str) -> Vec<Candidate> {
    let own = command.options.iter().map(|opt| (opt.flag, opt.help));
    let common = [
        ("--json", "one JSON object a line"),
        ("--csv", "comma-separated values"),
        ("--help", "explain the command"),
    ];
    own.chain(common)
        .filter(|(flag, _)| flag.starts_with(word))
        .map(|(flag, help)| Candidate { help: Some(help), ..Candidate::word(flag) })
        .collect()
}

fn argument(names: &dyn Names, arg: Arg, start: usize, word: &str) -> (usize, Vec<Candidate>) {
    match arg {
        Arg::Command => {
            let all = COMMANDS.iter().flat_map(|command| command.names);
            let fitting = all.filter(|name| name.starts_with(word));
            (start, fitting.map(|name| Candidate::word(*name)).collect())
        }
        Arg::Task => (start, words(names.tasks(word, LIMIT))),
        Arg::File => (start, files(word)),
        Arg::Type | Arg::Symbol | Arg::Number | Arg::Expression => named(names, start, word),
        Arg::CommandLine => first_word(names, start, word),
        Arg::Text(_) => (start, Vec::new()),
    }
}

/// A symbol, a type, or a member behind one, at the end of `word`: the last name in
/// `(init_task.mm->pg`.
fn named(names: &dyn Names, start: usize, word: &str) -> (usize, Vec<Candidate>) {
    let is_name = |c: char| c.is_alphanumeric() || "_.$".contains(c);
    // `->` joins a path, too.
    let joined = word.replace("->", "\u{1}.");
    let tail_start = joined
        .rfind(|c: char| !is_name(c) && c != '\u{1}')
        .map_or(0, |at| at + joined[at..].chars().next().map_or(1, char::len_utf8));
    let path = joined[tail_start..].replace('\u{1}', "");
    match path.rsplit_once('.') {
        Some((path, prefix)) => {
            let at = start + word.len() - prefix.len();
            let members = names.members(path, prefix, LIMIT);
            (at, members.into_iter().map(Candidate::open).collect())
        }
        None if path.is_empty() => (start, Vec::new()),
        None => {
            let at = start + word.len() - path.len();
            let mut found = names.symbols(&path, LIMIT);
            found.extend(names.types(&path, LIMIT));
            found.sort_unstable();
            found.dedup();
            found.truncate(LIMIT);
            (at, found.into_iter().map(Candidate::open).collect())
        }
    }
}

fn words(values: Vec<String>) -> Vec<Candidate> {
    values.into_iter().map(Candidate::word).collect()
}

fn files(word: &str) -> Vec<Candidate> {
    let (dir, prefix) = match word.rfind('/') {
        Some(at) => word.split_at(at + 1),
        None => ("", word),
    };
    let list = std::fs::read_dir(if dir.is_empty() { Path::new(".") } else { Path::new(dir) });
    let mut found: Vec<_> = list
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !prefix.starts_with('.');
            if !name.starts_with(prefix) || hidden {
                return None;
            }
            let slash = if entry.path().is_dir() { "/" } else { "" };
            Some(format!("{dir}{name}{slash}"))
        })
        .take(LIMIT)
        .collect();
    found.sort_unstable();
    words(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kernel;
    impl Names for Kernel {
        fn symbols(&self, prefix: &str, _: usize) -> Vec<String> {
            let all = ["init_task", "init_mm", "jiffies"];
            all.iter().filter(|n| n.starts_with(prefix)).map(ToString::to_string).collect()
        }
        fn types(&self, prefix: &str, _: usize) -> Vec<String> {
            let all = ["task_struct", "init_task"];
            all.iter().filter(|n| n.starts_with(prefix)).map(ToString::to_string).collect()
        }
        fn members(&self, path: &str, prefix: &str, _: usize) -> Vec<String> {
            let all: &[&str] = match path {
                "task_struct" => &["mm", "pid"],
                "init_task.mm" => &["pgd", "pgtables_bytes"],
                _ => &[],
            };
            all.iter().filter(|n| n.starts_with(prefix)).map(ToString::to_string).collect()
        }
    }

    /// The line after each candidate was taken.
    fn complete(line: &str) -> Vec<String> {
        let (start, candidates) = candidates(&Kernel, line);
        candidates.iter().map(|found| format!("{}{}", &line[..start], found.value)).collect()
    }

    #[test]
    fn commands_and_their_options() {
        assert_eq!(complete("eva"), ["eval"]);
        assert_eq!(complete("\\eva"), ["\\eval"]);
        assert_eq!(complete("help asc"), ["help ascii"]);
        assert_eq!(complete("eval --j"), ["eval --json"]);
        assert_eq!(complete("eval -b"), ["eval -b"]);
        assert_eq!(complete("foreach R"), ["foreach RU"]);
        assert_eq!(complete("foreach UN vt"), ["foreach UN vtop"]);
    }

    #[test]
    fn symbols_types_and_members() {
        assert_eq!(complete("eval (jif"), ["eval (jiffies"]);
        assert_eq!(complete("init_t"), ["init_task"]);
        assert_eq!(complete("task_struct.m"), ["task_struct.mm"]);
        assert_eq!(complete("eval init_task.mm->pgd"), ["eval init_task.mm->pgd"]);
        assert_eq!(complete("eval 1+(init_task.mm->pg").len(), 2);
        assert_eq!(complete("eval é"), [""; 0]);
    }

    #[test]
    fn files_behind_redirections() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pids"), "").unwrap();
        std::fs::create_dir(dir.path().join("pile")).unwrap();
        let dir = dir.path().display();
        let expect = [format!("ascii < {dir}/pids"), format!("ascii < {dir}/pile/")];
        assert_eq!(complete(&format!("ascii < {dir}/pi")), expect);
        assert_eq!(complete("log | gre"), [""; 0]);
    }

    #[test]
    fn any_prefix_of_any_line_is_safe() {
        let line = "\\rd (init_task.mm->pgd[é]) -é 'x' < /é > | ! é";
        for (end, _) in line.char_indices() {
            let _ = complete(&line[..end]);
        }
    }
}
