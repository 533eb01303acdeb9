//! The facts of a crash on one page.

use necropsy_diagnose::facts::Facts;
use necropsy_rows::{
    Kind::{Count, Faults, Flag, Hex, List, Null, Row as One, Text},
    Row, RowType, described, put_fields,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The page as a row.
#[derive(Debug)]
pub struct FactsRow<'a>(pub(crate) &'a Facts);

impl FactsRow<'_> {
    /// The declaration.
    pub const TYPE: &'static RowType = &FACTS;
}

impl Serialize for FactsRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Row for FactsRow<'_> {
    const TYPE: &'static RowType = &FACTS;

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        put_fields(self.0, map)
    }
}

described! {
    /// The facts of a crash on one page.
    pub static FACTS {
        /// What killed the machine: the finding that explains the others.
        "verdict": Null(&One(|| &VERDICT)),
        /// How it showed: the class of the first report in the log, as `oops` has it.
        "symptom": Null(&Text),
        /// What is wrong.
        "findings": List(&One(|| &FINDING)),
        /// What it was not.
        "rejected": List(&One(|| &REJECTED)),
        /// What was looked at and is in order.
        "checked": List(&Text),
        /// What to do next.
        "next": List(&Text),
        /// The machine.
        "machine": One(|| &MACHINE),
        /// What the kernel said first.
        "said": Null(&One(|| &SAID)),
        /// The task that panicked.
        "task": Null(&One(|| &SCENE)),
        /// What happened, in a few plain lines.
        "story": List(&Text),
        /// Known patterns that the facts match.
        "known": List(&One(|| &KNOWN)),
        /// What each CPU was doing.
        "cpus": List(&One(|| &CPU)),
        /// Taints of the kernel.
        "taint": List(&One(|| &TAINT)),
        /// Modules that taint it.
        "modules": List(&One(|| &MODULE)),
        /// The module that was loaded last.
        "last_loaded": Null(&Text),
        /// The module that was unloaded last.
        "last_unloaded": Null(&Text),
        /// Tasks that have been blocked for long, longest first.
        "blocked": List(&One(|| &BLOCKED)),
        /// How many tasks are blocked uninterruptibly.
        "blocked_in_all": Count,
        /// The end of the log.
        "log": List(&Text),
        /// What could not be had, and why.
        "missing": List(&Text),
    }

    /// What killed the machine.
    static VERDICT {
        /// The cause: `use-after-free`, `deadlock`, …
        "class": Text,
        /// In a few words.
        "title": Text,
        /// In a sentence or two.
        "statement": Text,
        /// How sure it is: `certain`, `likely` or `possible`.
        "confidence": Text,
        /// The function that is to blame.
        "function": Null(&Text),
        /// The function that whoever blames the innermost frame would name.
        "naive_function": Null(&Text),
        /// The object that is damaged.
        "object": Null(&One(|| &OBJECT)),
        /// Who damaged it.
        "culprit": Null(&Text),
        /// The task to look at, where it is not the one that panicked: its `task_struct`.
        "task": Null(&Hex),
    }

    /// An object that is damaged.
    static OBJECT {
        /// First byte.
        "address": Hex,
        /// Its slab cache.
        "cache": Null(&Text),
        /// The member that is wrong.
        "member": Null(&Text),
    }

    /// Something that is wrong, with what proves it.
    static FINDING {
        /// The cause: `null-pointer`, `sysrq`, …
        "class": Text,
        /// In a sentence.
        "statement": Text,
        /// How sure it is: `certain`, `likely` or `possible`.
        "confidence": Text,
        /// What proves it.
        "evidence": List(&One(|| &EVIDENCE)),
    }

    /// Something that is seen in the dump.
    static EVIDENCE {
        /// What it is.
        "what": Text,
        /// Where it lies, if it does somewhere.
        "address": Null(&Hex),
        /// What is there.
        "value": Null(&Hex),
        /// The command in whose output address and value are to be found.
        "command": Text,
    }

    /// A cause that was thought of, and that the dump contradicts.
    static REJECTED {
        /// The cause.
        "hypothesis": Text,
        /// What contradicts it.
        "because": Text,
    }

    /// The machine.
    static MACHINE {
        /// Kernel release.
        "release": Null(&Text),
        /// Kernel version.
        "version": Null(&Text),
        /// Host name.
        "nodename": Null(&Text),
        /// Hardware name.
        "hardware": Null(&Text),
        /// When it died, in UTC.
        "date": Null(&Text),
        /// How long it had been up.
        "uptime_ns": Null(&Count) => ns,
        /// CPUs.
        "cpus": Count,
        /// Memory that the kernel had.
        "memory_bytes": Null(&Count) => bytes,
        /// The dump's files and format.
        "dump": Text,
        /// What the dump lacks.
        "dump_defects": List(&Text),
        /// The line of the log that says why it died.
        "panic": Null(&Text),
    }

    /// What the kernel said first.
    static SAID {
        /// The report's title.
        "title": Text,
        /// The kind of trouble.
        "class": Text,
        /// The lines that matter.
        "lines": List(&Text),
        /// What the trapping instruction was about to do.
        "cause": Null(&Text),
        /// Titles of the reports that followed.
        "followed_by": List(&Text),
    }

    /// The task that panicked.
    static SCENE {
        /// Thread id.
        "pid": Null(&Count),
        /// Its `task_struct`.
        "task": Hex,
        /// Its CPU.
        "cpu": Null(&Count),
        /// Command name.
        "comm": Null(&Text),
        /// State.
        "state": Null(&Text),
        /// The system call it was in.
        "system_call": Null(&Text),
        /// For whom it ran what failed: `work item work_main`.
        "ran": Null(&Text),
        /// Its stack, innermost function first.
        "stack": List(&Text),
        /// Why the stack ends where it does.
        "stack_ended": Null(&Text),
        /// Its registers when the kernel was interrupted.
        "registers": List(&One(|| &REGISTER)),
        /// What could not be read.
        "faults": Faults => maybe,
    }

    /// A register.
    static REGISTER {
        /// Its name.
        "name": Text,
        /// Its value.
        "value": Hex,
        /// What the value is.
        "meaning": Text,
    }

    /// A CPU.
    static CPU {
        /// Its number.
        "cpu": Count,
        /// Thread id of the task that ran.
        "pid": Null(&Count) => maybe,
        /// Its `task_struct`.
        "task": Hex => maybe,
        /// Its command name.
        "comm": Null(&Text) => maybe,
        /// What it was doing.
        "doing": Text,
        /// It called panic.
        "panicked": Flag,
    }

    /// A taint.
    static TAINT {
        /// Its letter.
        "letter": Text,
        /// What it says.
        "meaning": Text,
    }

    /// A module.
    static MODULE {
        /// Its name.
        "name": Text,
        /// The letters of its taints.
        "taints": Text,
        /// Its code stands on the stack of the task that panicked.
        "on_stack": Flag,
    }

    /// A known pattern.
    static KNOWN {
        /// What the team calls it.
        "id": Text,
        /// In a few words.
        "title": Text,
        /// What it means.
        "means": Text,
        /// What to do.
        "action": Null(&Text),
        /// Where more is written.
        "link": Null(&Text),
        /// The first release that has the fault.
        "since": Null(&Text),
        /// The first release that has it no more.
        "fixed_in": Null(&Text),
    }

    /// A task that is blocked.
    static BLOCKED {
        /// Thread id.
        "pid": Null(&Count),
        /// Its `task_struct`.
        "task": Hex,
        /// The CPU it last ran on.
        "cpu": Null(&Count),
        /// Command name.
        "comm": Null(&Text),
        /// For how long.
        "blocked_ns": Count => ns,
        /// Its stack, innermost function first.
        "stack": List(&Text),
    }
}
