//! The seam between the capture channels and everything that reads kernel
//! text: one record of the kernel log, stripped of what the channel added.

use std::borrow::Cow;

use serde::Serialize;

/// Who printed a record (`CONFIG_PRINTK_CALLER`, `kernel/printk/printk.c`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// A task, by its thread id (`[ T123]`).
    Task(u32),
    /// A processor outside of a task (`[ C4]`).
    Cpu(u32),
    /// The line carries a log prefix, but the prefix names no caller.
    Console,
    /// The line carries no log prefix at all.
    #[default]
    None,
}

impl Context {
    /// Is this a caller that can be told apart from others?
    pub fn is_caller(self) -> bool {
        matches!(self, Context::Task(_) | Context::Cpu(_))
    }
}

/// What a line is, as far as the channel can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Kernel text, or text of unknown origin on the same console.
    #[default]
    Kernel,
    /// A line that a syslog or journal says another program wrote.
    User,
    /// Inside a `Dumping ftrace buffer:` block: not part of a call trace.
    Ftrace,
    /// Inside a kdb session: not part of the report it interrupts.
    Kdb,
    /// A mark of the log itself: messages dropped, a gap.
    Mark,
}

/// One record of kernel text, its prefix taken off.
#[derive(Clone, Debug, Default)]
pub struct Line<'a> {
    /// The message, as lossy UTF-8, without line end.
    pub text: Cow<'a, str>,
    /// Number of the line in the input, from 1.
    pub number: usize,
    /// Offset of the line's first byte in the input, in bytes.
    pub offset: u64,
    /// Time of the record since boot (or since the epoch where the channel
    /// only knows the wall clock), in ns.
    pub time_ns: Option<u64>,
    /// Syslog level, 0 (emergency) to 7 (debug).
    pub level: Option<u8>,
    /// Who printed it.
    pub context: Context,
    /// Which host or stream it belongs to when the input mixes several.
    pub source: Option<u32>,
    /// Kernel text, or something to keep out of reports.
    pub kind: LineKind,
}

impl Line<'_> {
    /// The same line, owning its text.
    pub fn into_owned(self) -> Line<'static> {
        Line {
            text: Cow::Owned(self.text.into_owned()),
            number: self.number,
            offset: self.offset,
            time_ns: self.time_ns,
            level: self.level,
            context: self.context,
            source: self.source,
            kind: self.kind,
        }
    }
}
