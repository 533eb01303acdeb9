//! Which tasks a command means, and the line that heads each of them.

use std::{collections::HashSet, fmt};

use necropsy_diagnose::facts::Subject;
use necropsy_linux::{Kernel, task::Task};
use regex::Regex;

pub use crate::rows::tasks::Header;
use crate::{
    CommandError, parsed,
    render::{Faults, Hex},
    session::Session,
};

/// As many words are looked up one by one.
const FEW: usize = 8;

/// Tasks by pid (decimal), `task_struct` address (hexadecimal), command name or `'regex'`.
///
/// # Errors
/// A word that fits no task; the error names it.
pub fn select<'k>(kernel: &'k Kernel, words: &[String]) -> Result<Vec<Task<'k>>, CommandError> {
    let mut chosen = Vec::new();
    let mut all: Option<Vec<Task<'k>>> = None;
    // Looking a task up costs a walk of the table of pids: a long list (`foreach` makes one of
    // all tasks) is held against all tasks at once.
    let known: HashSet<u64> = if words.len() > FEW {
        let tasks = all.insert(kernel.tasks().tasks);
        tasks.iter().map(|task| task.address).collect()
    } else {
        HashSet::new()
    };
    for word in words {
        // Where the kernel maps all memory from 0 on, tasks have addresses as small as numbers.
        let small = crate::numbers::parse_hex(word).filter(|at| *at <= u64::from(u32::MAX));
        let is_task = |at: u64| known.contains(&at) || kernel.is_task(at);
        if let Some(address) = small.filter(|at| word.starts_with("0x") && is_task(*at)) {
            chosen.push(kernel.task_at(address));
            continue;
        }
        // Decimal where it can be, as crash; then hexadecimal.
        let decimal = word.parse::<u64>().ok();
        let hexadecimal = crate::numbers::parse_hex(word).filter(|n| *n <= u64::from(u32::MAX));
        let exists = |pid: &u64| *pid == 0 || matches!(kernel.task_by_pid(*pid), Ok(Some(_)));
        if let Some(pid) = decimal.into_iter().chain(hexadecimal).find(exists) {
            if pid == 0 {
                for cpu in kernel.online_cpus() {
                    chosen.extend(kernel.idle_task(cpu));
                }
                continue;
            }
            if let Some(task) = kernel.task_by_pid(pid)? {
                chosen.push(task);
                continue;
            }
        }
        if let Some(address) = small.filter(|at| is_task(*at)) {
            chosen.push(kernel.task_at(address));
            continue;
        }
        if let Some(address) = crate::numbers::parse_hex(word).filter(|a| *a > u64::from(u32::MAX))
        {
            if known.contains(&address) || kernel.is_task(address) {
                chosen.push(kernel.task_at(address));
                continue;
            }
            return Err(CommandError::failed(format!("{word}: no task_struct at this address")));
        }
        let tasks = all.get_or_insert_with(|| kernel.tasks().tasks);
        let before = chosen.len();
        match parsed::quoted_pattern(word) {
            Some(pattern) => {
                let regex = Regex::new(pattern)
                    .map_err(|error| CommandError::usage(format!("{word}: {error}")))?;
                chosen.extend(tasks.iter().filter(|t| t.comm().is_ok_and(|c| regex.is_match(&c))));
            }
            None => {
                let name = word.trim_start_matches('\\');
                // The kernel keeps 15 bytes of a name; a longer one was typed from memory.
                let name = name.get(..15).unwrap_or(name);
                chosen.extend(tasks.iter().filter(|t| t.comm().is_ok_and(|c| c == name)));
            }
        }
        if chosen.len() == before {
            return Err(CommandError::failed(format!("invalid task or pid value: {word}")));
        }
    }
    Ok(chosen)
}

/// As [`select`]; without words, the session's task.
///
/// # Errors
/// As [`select`].
pub fn select_or_context<'k>(
    session: &Session,
    kernel: &'k Kernel,
    words: &[String],
) -> Result<Vec<Task<'k>>, CommandError> {
    if words.is_empty() { Ok(vec![session.context(kernel)?]) } else { select(kernel, words) }
}

impl Header {
    /// Of a task; what cannot be read goes into `faults`.
    pub fn new(task: Task<'_>, faults: &mut Faults) -> Self {
        Header {
            pid: faults.keep(task.pid()),
            task: Hex(task.address),
            cpu: faults.keep(task.cpu()),
            comm: faults.keep(task.comm()),
        }
    }
}

impl From<&Subject> for Header {
    fn from(subject: &Subject) -> Self {
        let Subject { pid, task, cpu, comm } = subject.clone();
        Header { pid, task: Hex(task), cpu, comm }
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "?".to_owned();
        write!(
            f,
            "PID: {:<8} TASK: {:016x}  CPU: {:<4} COMMAND: \"{}\"",
            self.pid.map_or_else(unknown, |p| p.to_string()),
            self.task.0,
            self.cpu.map_or_else(unknown, |c| c.to_string()),
            self.comm.clone().unwrap_or_else(unknown),
        )
    }
}

/// The addresses of tasks as words of a command line.
pub fn as_words<'k>(tasks: impl IntoIterator<Item = Task<'k>>) -> Vec<String> {
    let word = |address: u64| match u32::try_from(address) {
        Ok(small) => format!("{small:#x}"),
        Err(_) => format!("{address:x}"),
    };
    tasks.into_iter().map(|task| word(task.address)).collect()
}
