//! What follows from the facts, and what proves it.

use necropsy_lexicon::Symptom;
use serde::Serialize;

use crate::{
    cause::Cause,
    explain::Listed,
    serial::{self, named},
};

named! {
    /// How sure a finding is.
    pub enum Confidence {
        /// Memory, registers or the log show it.
        Certain = "certain",
        /// One inference away from that.
        Likely = "likely",
        /// It would explain what is seen.
        Possible = "possible",
    }
}

impl Evidence {
    /// The instruction that control is at.
    pub(crate) fn instruction(at: &Listed) -> Evidence {
        Evidence {
            what: format!("the instruction, {}", at.text),
            address: Some(at.address),
            value: None,
            command: format!("dis {:x} 1", at.address),
        }
    }

    /// What a command shows as text.
    pub(crate) fn shown(what: impl Into<String>, command: impl Into<String>) -> Evidence {
        Evidence { what: what.into(), address: None, value: None, command: command.into() }
    }
}

impl Finding {
    /// A finding of no object in particular.
    pub(crate) fn new(
        class: Cause,
        confidence: Confidence,
        statement: String,
        evidence: Vec<Evidence>,
    ) -> Finding {
        Finding { class, statement, confidence, evidence, object: None, function: None, task: None }
    }
}

/// Something that is seen in the dump, and the command that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// What it is.
    pub what: String,
    /// Where it lies, if it does somewhere.
    #[serde(serialize_with = "serial::maybe_hex")]
    pub address: Option<u64>,
    /// What is there.
    #[serde(serialize_with = "serial::maybe_hex")]
    pub value: Option<u64>,
    /// The command in whose output address and value are to be found.
    pub command: String,
}

/// Something that is wrong, with what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of cause it is.
    pub class: Cause,
    /// In a sentence.
    pub statement: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// The object that it speaks of, for the verdict.
    #[serde(skip)]
    pub object: Option<Object>,
    /// The function that it blames, for the verdict; none where the stack or the log tells.
    #[serde(skip)]
    pub function: Option<String>,
    /// The task to look at, where it is not the one that panicked.
    #[serde(skip)]
    pub task: Option<u64>,
}

/// The object that a verdict speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Object {
    /// First byte.
    #[serde(serialize_with = "serial::hex")]
    pub address: u64,
    /// Its slab cache.
    pub cache: Option<String>,
    /// The member that is wrong.
    pub member: Option<String>,
}

/// What killed the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The cause.
    pub class: Cause,
    /// In a few words.
    pub title: String,
    /// In a sentence or two.
    pub statement: String,
    /// How sure it is.
    pub confidence: Confidence,
    /// The function that is to blame.
    pub function: Option<String>,
    /// The function that whoever blames the innermost frame would name.
    pub naive_function: Option<String>,
    /// The object that is damaged.
    pub object: Option<Object>,
    /// Who damaged it.
    pub culprit: Option<String>,
    /// The task to look at, where it is not the one that panicked: its `task_struct`.
    #[serde(serialize_with = "serial::maybe_hex")]
    pub task: Option<u64>,
}

/// A cause that was thought of, and that the dump contradicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The cause.
    pub hypothesis: Cause,
    /// What contradicts it.
    pub because: String,
}

/// All that follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// What killed the machine.
    pub verdict: Option<Verdict>,
    /// How it showed: what the kernel's log tells of first.
    pub symptom: Option<Symptom>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What it was not.
    pub rejected: Vec<Rejected>,
    /// What was looked at and is in order.
    pub checked: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
}
