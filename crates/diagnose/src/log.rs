//! The log of a dump as the oops decoder takes it.

use std::borrow::Cow;

use necropsy_linux::printk::{Caller, Log};
use necropsy_oops::{Context, Line};

/// Every line of the log, with its time and caller.
pub fn lines(log: &Log) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for record in &log.records {
        let context = match record.caller {
            Some(Caller::Task(pid)) => Context::Task(pid),
            Some(Caller::Cpu(cpu)) => Context::Cpu(cpu),
            None => Context::Console,
        };
        for text in record.text.lines() {
            lines.push(Line {
                text: Cow::Owned(text.to_owned()),
                number: lines.len() + 1,
                time_ns: record.time_ns,
                level: record.level,
                context,
                ..Line::default()
            });
        }
    }
    lines
}
