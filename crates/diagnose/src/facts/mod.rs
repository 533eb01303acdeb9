//! The facts of a crash, as one page holds them: what the kernel said, who was running, where,
//! with what in its registers, and what the detectors found.

mod exhibit;
mod gather;
mod map;
mod setting;
mod subject;
mod system_call;
mod written;

use necropsy_lexicon::Symptom;
use necropsy_linux::task::State;
use serde::Serialize;

pub use exhibit::{Exhibit, Wait};
pub use map::{Mark, SlabMap, Slot};
pub use subject::{Gap, Subject};

use crate::{
    finding::Diagnosis,
    rules::Rule,
    serial::{self},
    value::Meaning,
};

/// Everything on the page.
#[derive(Debug, Default, Serialize)]
pub struct Facts {
    /// What follows from the facts.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// The machine, the kernel, the dump.
    pub machine: Machine,
    /// What the kernel said first.
    pub said: Option<Said>,
    /// The task that panicked.
    pub task: Option<Scene>,
    /// What happened, in a few plain lines.
    pub story: Vec<String>,
    /// Known patterns that the facts match.
    pub known: Vec<Rule>,
    /// What every CPU was doing.
    pub cpus: Vec<Cpu>,
    /// Taint of the kernel.
    pub taint: Vec<Taint>,
    /// Modules that taint it.
    pub modules: Vec<Module>,
    /// The module that was loaded last.
    pub last_loaded: Option<String>,
    /// The module that was unloaded last.
    pub last_unloaded: Option<String>,
    /// Tasks that have been blocked uninterruptibly for long, the longest first.
    pub blocked: Vec<Blocked>,
    /// How many those are, listed or not.
    pub blocked_in_all: usize,
    /// The end of the log.
    pub log: Vec<String>,
    /// What is worth drawing.
    #[serde(skip)]
    pub exhibits: Vec<Exhibit>,
    /// Who waits for whom, where a detector wanted to know.
    #[serde(skip)]
    pub waits: Vec<Wait>,
    /// Addresses that the verdict speaks of.
    #[serde(skip)]
    pub marks: Vec<Mark>,
    /// The slab of the damaged object.
    #[serde(skip)]
    pub slab: Option<SlabMap>,
    /// What could not be had, and why.
    pub missing: Vec<String>,
}

/// The machine, the kernel, the dump.
#[derive(Debug, Default, Serialize)]
pub struct Machine {
    /// `uname -r`.
    pub release: Option<String>,
    /// `uname -v`.
    pub version: Option<String>,
    /// `uname -n`.
    pub nodename: Option<String>,
    /// Vendor and product, as the firmware has them.
    pub hardware: Option<String>,
    /// When it died: `2026-11-21T00:07:31Z`.
    pub date: Option<String>,
    /// Since boot.
    pub uptime_ns: Option<u64>,
    /// CPUs present.
    pub cpus: usize,
    /// Memory of the machine.
    pub memory_bytes: Option<u64>,
    /// The dump's format.
    pub dump: String,
    /// What the dump lacks.
    pub dump_defects: Vec<String>,
    /// The text that panic() was called with.
    pub panic: Option<String>,
}

/// The first report of the log, as the oops decoder reads it.
#[derive(Debug, Serialize)]
pub struct Said {
    /// What it is called.
    pub title: String,
    /// What kind of trouble it tells of.
    pub class: Symptom,
    /// Its head.
    pub lines: Vec<String>,
    /// What the failing instruction did.
    pub cause: Option<String>,
    /// The titles of later reports.
    pub followed_by: Vec<String>,
}

/// A task with its stack and registers.
#[derive(Debug, Serialize)]
pub struct Scene {
    /// Which task.
    #[serde(flatten)]
    pub subject: Subject,
    /// Its state.
    #[serde(serialize_with = "subject::state")]
    pub state: Option<State>,
    /// The system call that it was in, with the first three arguments.
    pub system_call: Option<String>,
    /// For whom it ran what failed: `work item work_main`.
    pub ran: Option<String>,
    /// Its functions, innermost first.
    pub stack: Vec<String>,
    /// Why there are no more.
    pub stack_ended: Option<String>,
    /// The registers when the kernel was interrupted.
    pub registers: Vec<Register>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Gap>,
}

/// A register.
#[derive(Debug, Serialize)]
pub struct Register {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    #[serde(serialize_with = "serial::hex")]
    pub value: u64,
    /// What that is.
    pub meaning: Meaning,
}

/// What a CPU was doing.
#[derive(Debug, Serialize)]
pub struct Cpu {
    /// Its number.
    pub cpu: u32,
    /// The task that it ran.
    #[serde(flatten)]
    pub task: Option<Subject>,
    /// Its innermost functions, or why they are not known.
    pub doing: String,
    /// It called panic().
    pub panicked: bool,
}

/// A taint.
#[derive(Debug, Serialize)]
pub struct Taint {
    /// Its letter.
    pub letter: char,
    /// What it says.
    pub meaning: String,
}

/// A module that taints the kernel.
#[derive(Debug, Serialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Letters.
    pub taints: String,
    /// Its code stands on the stack of the task that panicked.
    pub on_stack: bool,
}

/// A task that waits.
#[derive(Debug, Serialize)]
pub struct Blocked {
    /// Which.
    #[serde(flatten)]
    pub subject: Subject,
    /// For how long.
    pub blocked_ns: u64,
    /// Where: its functions, innermost first.
    pub stack: Vec<String>,
}
