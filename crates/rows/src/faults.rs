//! Faults in rows, and the count of what a command left out.

use std::fmt;

use necropsy_dump::Fault;
use serde::Serialize;

use crate::Hex;

crate::row! {
    /// Something that could not be read.
    #[derive(Debug, Clone)]
    pub struct FaultRow {
        /// First byte that could not be read.
        pub address: Hex,
        /// Stable name of the reason: `excluded`, `not_mapped`, …
        pub reason: &'static str,
        /// What was being read: `task_struct.comm`.
        pub what: String,
    }
}

/// A row's faults; declare the field `[maybe]`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Faults(Vec<FaultRow>);

impl Faults {
    /// Whether everything could be read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a fault met while reading `what`.
    pub fn push(&mut self, what: impl Into<String>, fault: &Fault) {
        let (address, reason) = (Hex(fault.address), fault.reason.name());
        self.0.push(FaultRow { address, reason, what: what.into() });
    }

    /// The value of `read`, or `None` with its fault noted under `what`.
    pub fn take<T>(&mut self, what: &str, read: Result<T, Fault>) -> Option<T> {
        read.map_err(|fault| self.push(what, &fault)).ok()
    }

    /// The value, or `None` with its fault noted under the name of what it hides. An error that is
    /// no fault of the dump, such as a member that the kernel does not have, is noted nowhere.
    pub fn keep<T>(&mut self, read: Result<T, impl Unread>) -> Option<T> {
        let error = match read {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        if let Some((fault, what)) = error.fault() {
            self.push(what, &fault);
        }
        None
    }

    /// As [`Faults::keep`], noted under `what`.
    pub fn keep_as<T>(&mut self, what: &str, read: Result<T, impl Unread>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                if let Some((fault, _)) = error.fault() {
                    self.push(what, &fault);
                }
                None
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, FaultRow> {
        self.0.iter()
    }
}

/// An error that may be a fault of the dump.
pub trait Unread {
    /// The fault, and the name of what it hides: `task_struct.comm`.
    fn fault(&self) -> Option<(Fault, String)>;
}

/// How many things a command left out, by what and why.
#[derive(Debug, Default)]
pub struct Tally {
    /// A handful of kinds at most, so a list serves.
    kinds: Vec<(String, &'static str, u64)>,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, what: &str, fault: &Fault) {
        self.count(what, fault.reason.name());
    }

    /// Counts what a row could not tell.
    pub fn add_row(&mut self, fault: &FaultRow) {
        self.count(&fault.what, fault.reason);
    }

    fn count(&mut self, what: &str, reason: &'static str) {
        match self.kinds.iter_mut().find(|(w, r, _)| w == what && *r == reason) {
            Some((_, _, count)) => *count += 1,
            None => self.kinds.push((what.to_owned(), reason, 1)),
        }
    }

    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// What was left out, the stable name of the reason, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'static str, u64)> {
        self.kinds.iter().map(|(what, reason, count)| (what.as_str(), *reason, *count))
    }
}

/// `12 × task_struct.mm (excluded), 1 × file (not mapped)`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (what, reason, count)) in self.kinds.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            // In words: the names of reasons are for programs.
            write!(f, "{comma}{count} × {what} ({})", reason.replace('_', " "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use necropsy_dump::Reason;

    use super::*;

    #[test]
    fn tally_counts_by_kind() {
        let mut tally = Tally::default();
        for address in [0x1000, 0x2000] {
            tally.add("mm", &Fault::kernel(address, Reason::Excluded));
        }
        tally.add("mm", &Fault::kernel(0, Reason::BadAddress));
        assert_eq!(tally.to_string(), "2 × mm (excluded), 1 × mm (bad address)");
    }

    #[test]
    fn rows_name_address_reason_and_what() {
        let mut faults = Faults::default();
        assert_eq!(faults.take::<u8>("comm", Err(Fault::kernel(0x10, Reason::Corrupt))), None);
        assert_eq!(faults.take("pid", Ok(5)), Some(5));
        assert_eq!(
            serde_json::to_string(&faults).unwrap(),
            r#"[{"address":"0x10","reason":"corrupt","what":"comm"}]"#
        );
    }
}
