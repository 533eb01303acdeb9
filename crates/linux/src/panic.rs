//! What the kernel said when it died: the line that crash shows as PANIC.

use crate::{
    error::Error,
    printk::{Log, Record},
};

/// What the line that tells of the death contains. The first that occurs anywhere in the log
/// counts, so the order is one of weight, not of time. The order is crash's, whose answers people
/// know; the last ones are for logs in which crash finds nothing.
const MARKS: [&str; 21] = [
    "SysRq : Crash",
    "SysRq : Trigger a crash",
    "SysRq : Netdump",
    "Kernel panic: ",
    "Kernel panic - ",
    "Kernel BUG at",
    "kernel BUG at",
    "Unable to handle kernel paging request",
    "Unable to handle kernel NULL pointer dereference",
    "BUG: unable to handle kernel ",
    "general protection fault: ",
    "double fault: ",
    "divide error: ",
    "stack segment: ",
    "[Hardware Error]: ",
    "Bad mode in ",
    "Oops: ",
    "general protection fault, ",
    "sysrq: Trigger a crash",
    "BUG: ",
    "Oops",
];

impl Log {
    /// The line that says why the machine died; `None` when no line does.
    pub fn panic_line(&self) -> Option<&str> {
        self.find_panic().map(|(_, line)| line)
    }

    /// Why [`Log::panic_line`] may not be right: the line was not found where some cannot be read, or
    /// is of a record whose length is lost, and may end in what was there before.
    pub fn panic_doubt(&self) -> Option<&Error> {
        let measured = |record: &Record| record.time_ns.is_some();
        match self.find_panic() {
            Some((record, _)) if measured(record) => None,
            _ => self.errors.first(),
        }
    }

    fn find_panic(&self) -> Option<(&Record, &str)> {
        MARKS.iter().find_map(|mark| {
            self.records.iter().find_map(|record| {
                let line = record.text.lines().find(|line| line.contains(mark))?;
                Some((record, line.trim_end()))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Log {
        let record = |text: &&str| Record { text: (*text).into(), ..Record::default() };
        Log { records: lines.iter().map(record).collect(), errors: Vec::new() }
    }

    #[test]
    fn weight_before_time() {
        let said = log(&["BUG: kernel NULL pointer dereference", "Oops: 0002 [#1] SMP", "CR2: 0"]);
        assert_eq!(said.panic_line(), Some("Oops: 0002 [#1] SMP"));
        let said = log(&["Oops: 0002 [#1] SMP", "one\nKernel panic - not syncing: x \nthree"]);
        assert_eq!(said.panic_line(), Some("Kernel panic - not syncing: x"));
        let said = log(&["general protection fault, probably for non-canonical address 0x1: 0000"]);
        assert!(said.panic_line().is_some());
        assert_eq!(log(&["all is well"]).panic_line(), None);
    }
}
