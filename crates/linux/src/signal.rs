//! Signals (include/linux/sched/signal.h): what tasks do about them, block, and have pending.

use crate::{
    error::{Error, Result},
    list::list,
    task::Task,
};

/// Names of signals by number, from 1 on (include/uapi/asm-generic/signal.h). Those that follow
/// are real-time signals.
pub const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT/SIGIOT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD/SIGCLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO/SIGPOLL",
    "SIGPWR",
    "SIGSYS/SIGUNUSED",
];
/// The last signal of the machines that we know.
pub const LAST: u64 = 64;
/// More signals than a task can have queued in any dump that is whole.
const MAX_QUEUED: usize = 100_000;

/// The name of a signal: `SIGKILL`, `SIGRTMIN+2`, `SIGRTMAX-1`.
pub fn name(signal: u64) -> Option<String> {
    const MIN: u64 = 32;
    // As crash: the lower half is counted from the first, the upper from the last.
    match signal {
        1..MIN => NAMES.get(signal as usize - 1).map(|name| (*name).to_owned()),
        MIN => Some("SIGRTMIN".to_owned()),
        33..=48 => Some(format!("SIGRTMIN+{}", signal - MIN)),
        49..LAST => Some(format!("SIGRTMAX-{}", LAST - signal)),
        LAST => Some("SIGRTMAX".to_owned()),
        _ => None,
    }
}

/// The signals of a set, ascending.
pub fn members(set: u64) -> impl Iterator<Item = u64> {
    (1..=LAST).filter(move |signal| set >> (signal - 1) & 1 == 1)
}

/// Flags of actions (include/uapi/asm-generic/signal.h).
pub const ACTION_FLAGS: [(u64, &str); 8] = [
    (0x0400_0000, "SA_RESTORER"),
    (0x1, "SA_NOCLDSTOP"),
    (0x2, "SA_NOCLDWAIT"),
    (0x4, "SA_SIGINFO"),
    (0x0800_0000, "SA_ONSTACK"),
    (0x1000_0000, "SA_RESTART"),
    (0x4000_0000, "SA_NODEFER"),
    (0x8000_0000, "SA_RESETHAND"),
];

/// What a process does about a signal (`struct k_sigaction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Which.
    pub signal: u64,
    /// Virtual address of it.
    pub address: u64,
    /// 0: what the kernel does by default; 1: nothing; else a function of the process.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// What is blocked meanwhile.
    pub mask: u64,
}

/// Signals on their way (`struct sigpending`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub set: u64,
    /// Those with information: the signal, and the virtual address of the information.
    pub queue: Vec<(u64, u64)>,
    /// What could not be read of the queue.
    pub errors: Vec<Error>,
}

impl Task<'_> {
    /// What its process does about each signal, and what could not be read.
    ///
    /// # Errors
    /// A fault; [`Error::Absent`] for a task that is exiting.
    pub fn signal_actions(&self) -> Result<(Vec<Action>, Vec<Error>)> {
        let (target, shapes) = (self.kernel().target(), self.kernel().shapes());
        let handlers = self.get(&shapes.task_signals.handlers)?;
        if handlers == 0 {
            return Err(Error::absent("signal handlers: the task is exiting"));
        }
        let actions = shapes.sighand.at(target, handlers).address_of(|s| &s.actions)?;
        let size = shapes.sigaction.sizeof()?;
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let action = |signal: u64| -> Result<Action> {
            let action = shapes.sigaction.at(target, actions.wrapping_add((signal - 1) * size));
            Ok(Action {
                signal,
                address: action.address,
                handler: action.handler()?,
                flags: action.flags()?,
                mask: action.mask()?,
            })
        };
        for signal in 1..=LAST {
            match action(signal) {
                Ok(action) => found.push(action),
                Err(error) => errors.push(error),
            }
        }
        Ok((found, errors))
    }

    /// The signals that it blocks.
    ///
    /// # Errors
    /// A fault.
    pub fn blocked_signals(&self) -> Result<u64> {
        self.get(&self.kernel().shapes().task_signals.blocked)
    }

    /// What waits for this thread.
    ///
    /// # Errors
    /// A fault.
    pub fn pending_signals(&self) -> Result<Pending> {
        self.pending(self.kernel().shapes().task_signals.pending.address(self.address)?)
    }

    /// What waits for any thread of its process.
    ///
    /// # Errors
    /// A fault.
    pub fn shared_pending_signals(&self) -> Result<Pending> {
        let signal = self.get(&self.kernel().shapes().task_signals.signal)?;
        self.pending(self.kernel().shapes().process_signals.pending.address(signal)?)
    }

    fn pending(&self, at: u64) -> Result<Pending> {
        let (target, shapes) = (self.kernel().target(), self.kernel().shapes());
        let pending = shapes.sigpending.at(target, at);
        let set = pending.set()?;
        let (mut queue, mut errors) = (Vec::new(), Vec::new());
        let link = shapes.sigqueue.list.offset()?;
        for entry in list(target, pending.address_of(|s| &s.list)?).take(MAX_QUEUED) {
            let entry = entry.and_then(|entry| {
                let entry = shapes.sigqueue.at(target, entry.wrapping_sub(link));
                Ok((entry.number()?, entry.address_of(|s| &s.info)?))
            });
            match entry {
                Ok(entry) => queue.push(entry),
                Err(error) => errors.push(error),
            }
        }
        Ok(Pending { set, queue, errors })
    }
}
