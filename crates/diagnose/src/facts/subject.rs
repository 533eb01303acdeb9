//! A task by what people know it by.

use necropsy_linux::{
    Error,
    task::{State, Task},
};
use serde::{Serialize, Serializer};

use crate::serial;

/// What could not be read.
#[derive(Debug, Clone, Serialize)]
pub struct Gap {
    /// First byte of it.
    #[serde(serialize_with = "serial::hex")]
    pub address: u64,
    /// Stable name of the reason: `excluded`, `not_mapped` …
    pub reason: &'static str,
    /// What it was: `task_struct.comm`.
    pub what: String,
}

/// The value, or `None` with what is missing noted in `gaps`. What the kernel lacks is no fault of
/// the dump and is noted nowhere.
pub(super) fn keep<T>(gaps: &mut Vec<Gap>, read: necropsy_linux::Result<T>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(Error::Fault(fault, member)) => {
            let (address, reason) = (fault.address, fault.reason.name());
            let what = member.map_or_else(|| "memory".to_owned(), |member| member.to_string());
            gaps.push(Gap { address, reason, what });
            None
        }
        Err(_) => None,
    }
}

/// A task by number, name and place.
#[derive(Debug, Clone, Serialize)]
pub struct Subject {
    /// Thread id.
    pub pid: Option<u64>,
    /// Its `task_struct`.
    #[serde(serialize_with = "serial::hex")]
    pub task: u64,
    /// The CPU it runs or last ran on.
    pub cpu: Option<u32>,
    /// Command name.
    pub comm: Option<String>,
}

impl Subject {
    pub(super) fn new(task: Task<'_>, gaps: &mut Vec<Gap>) -> Self {
        Subject {
            pid: keep(gaps, task.pid()),
            task: task.address,
            cpu: keep(gaps, task.cpu()),
            comm: keep(gaps, task.comm()),
        }
    }
}

pub(super) fn state<S: Serializer>(
    state: &Option<State>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match state {
        Some(state) => serializer.serialize_str(state.name()),
        None => serializer.serialize_none(),
    }
}
