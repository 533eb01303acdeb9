use necropsy_linux::{Kernel, task::Task};

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    render::{Faults, Output},
    session::Session,
    tasks::{self, Header},
};

pub(crate) static COMMAND: Command = Command {
    names: &["foreach"],
    summary: "a command for many tasks",
    synopsis: "[pid | task | name | 'regex' | kind | state] ... command [options]",
    options: &[],
    // Those of the command that it runs.
    rows: &[],
    args: &[Arg::CommandLine],
    description: "\
Runs a command on every task, or on those that the words before the command choose: by pid, by
task_struct address, by name (\\name if a command is called so) or 'regular expression', by kind
(kernel, user, gleader for leaders of user processes, active for those on a CPU) or by state. Tasks
of one of several kinds or states are chosen; names and pids add up.

One task whose data cannot be read costs that task; the others go on.",
    examples: &[
        Example { about: "The stack of every task.", line: "foreach bt", output: "" },
        Example {
            about: "Who blocks uninterruptibly, and where.",
            line: "foreach UN bt",
            output: "",
        },
        Example {
            about: "A member of all kernel threads.",
            line: "foreach kernel task -R comm",
            output: "",
        },
    ],
    run,
};

/// Commands that take a list of tasks and head each of them: they get all at once.
const MANY: &[&str] = &["bt", "files", "net", "ps", "sig", "task", "vm"];
/// Commands that are run once a task, after its heading.
const EACH: &[&str] = &["set", "vtop"];

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let position = parsed
        .args
        .iter()
        .position(|word| MANY.contains(&word.as_str()) || EACH.contains(&word.as_str()));
    let Some(position) = position else {
        return Err(parsed.wrong("needs a command: bt, files, net, ps, set, sig, task, vm, vtop"));
    };
    let (selection, line) = parsed.args.split_at(position);
    let (Some(name), words) = (line.first(), line.get(1..).unwrap_or_default()) else {
        return Err(parsed.wrong("needs a command"));
    };
    let Some(command) = session.commands.find(name) else {
        return Err(CommandError::failed(format!("{name}: not built yet; see `help`")));
    };
    let kernel = session.kernel()?;
    let chosen = choose(&kernel, selection)?;
    if chosen.is_empty() {
        return Ok(());
    }
    if MANY.contains(&name.as_str()) {
        // Which tasks is said before the command: `foreach bt -a` is habit, and all of them.
        let says_which = |word: &&String| name == "bt" && matches!(word.as_str(), "-a" | "-p");
        let words =
            words.iter().filter(|word| !says_which(word)).cloned().chain(tasks::as_words(chosen));
        let parsed = Parsed::new(command, words)?;
        return out.in_form(parsed.form, |out| (command.run)(session, &parsed, out));
    }
    let before = session.task;
    let mut last = Ok(());
    for (index, task) in chosen.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        out.line(Header::new(*task, &mut Faults::default()))?;
        session.task = Some(task.address);
        let parsed = Parsed::new(command, words.iter().cloned())?;
        match out.in_form(parsed.form, |out| (command.run)(session, &parsed, out)) {
            Ok(()) => {}
            Err(stop @ (CommandError::Interrupted | CommandError::BrokenPipe)) => {
                session.task = before;
                return Err(stop);
            }
            Err(error) => {
                out.line(format_args!("{name}: {error}"))?;
                last = Err(error);
            }
        }
    }
    session.task = before;
    last
}

/// What chooses tasks, apart from their names and numbers, and the commands that may follow.
#[cfg(feature = "desk")]
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    let words = KINDS.iter().chain(&STATES).chain(MANY).chain(EACH);
    words.copied().filter(|word| *word != "??")
}

const KINDS: [&str; 4] = ["kernel", "user", "gleader", "active"];
const STATES: [&str; 13] =
    ["RU", "IN", "UN", "ST", "ZO", "TR", "SW", "DE", "WA", "PA", "ID", "NE", "??"];

fn choose<'k>(kernel: &'k Kernel, words: &[String]) -> Result<Vec<Task<'k>>, CommandError> {
    let mut kinds = Vec::new();
    let mut states = Vec::new();
    let mut named = Vec::new();
    for word in words {
        match word.as_str() {
            kind if KINDS.contains(&kind) => kinds.push(kind),
            state if STATES.contains(&state) => states.push(state),
            other => named.push(other.to_owned()),
        }
    }
    let mut chosen =
        if named.is_empty() { kernel.tasks().tasks } else { tasks::select(kernel, &named)? };
    for kind in kinds {
        chosen.retain(|task| match kind {
            "kernel" => task.is_kernel_thread().unwrap_or(false) || task.pid() == Ok(0),
            "user" => !task.is_kernel_thread().unwrap_or(true) && task.pid() != Ok(0),
            // As crash: leaders of user processes.
            "gleader" => {
                task.tgid() == task.pid()
                    && !task.is_kernel_thread().unwrap_or(true)
                    && task.pid() != Ok(0)
            }
            _ => kernel.running_on(*task).is_some(),
        });
    }
    if !states.is_empty() {
        chosen.retain(|t| t.state().is_ok_and(|s| states.contains(&s.letters())));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_no_command() {
        assert!(crate::parsed::quoted_pattern("'bt'").is_some());
        assert!(!MANY.contains(&"'bt'"));
    }
}
