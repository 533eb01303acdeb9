//! The one place that prints.
//!
//! A command yields rows: structs that serialise. [`Output`] renders each as text in crash's
//! layout or as one JSON object a line, and passes it on at once, so that a million rows need the
//! memory of one. A row's text is either columns ([`Column`], [`Output::row`]) or whatever a
//! closure writes ([`Output::record`]); its JSON is always the struct.
//!
//! ```
//! # use necropsy::render::{Column, Hex, Output};
//! #[derive(serde::Serialize)]
//! struct Module { name: String, base: Hex, size: u64 }
//!
//! const COLUMNS: &[Column<Module>] = &[
//!     Column::right("BASE", 16, |m, cell| cell.put(m.base)),
//!     Column::left("NAME", 12, |m, cell| cell.put(&m.name)),
//!     Column::right("SIZE", 8, |m, cell| cell.put(m.size)),
//! ];
//!
//! fn list(out: &mut Output) -> Result<(), necropsy::CommandError> {
//!     out.heading(COLUMNS)?;
//!     let row = Module { name: "loop".into(), base: Hex(0xffffffffc0000000), size: 40960 };
//!     out.row(COLUMNS, &row)
//! }
//! ```

mod faults;
mod sink;
mod table;
mod values;

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anstyle::Style;
use necropsy_dump::Fault;
use serde::Serialize;

pub use faults::{FaultRow, Faults, Tally};
pub use sink::{Capture, Sink};
pub use table::{Align, Cell, Column};
pub use values::{Hex, Size, or_fault};

use crate::{CommandError, error::Outcome};

/// Text or JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// crash's layout.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where a command's rows go.
pub struct Output {
    sink: Sink,
    form: Form,
    colour: bool,
    interrupted: Arc<AtomicBool>,
    tally: Tally,
    line: String,
}

impl Output {
    /// An output of `form` into `sink`; every row checks `interrupted`.
    pub fn new(sink: Sink, form: Form, interrupted: Arc<AtomicBool>) -> Self {
        let colour = form == Form::Text && sink.takes_colour();
        Output { sink, form, colour, interrupted, tally: Tally::default(), line: String::new() }
    }

    /// Whether rows are rendered as JSON. For commands whose *work* differs; rendering needs no
    /// such question.
    pub fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// One row. As text it is what `text` writes, line ends included.
    pub fn record<R: Serialize>(
        &mut self,
        row: &R,
        text: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result,
    ) -> Outcome {
        self.check_interrupt()?;
        self.line.clear();
        match self.form {
            Form::Json => {
                serde_json::to_writer(&mut self.sink, row).map_err(io::Error::from)?;
                self.sink.write_all(b"\n")?;
            }
            Form::Text => {
                text(&mut self.line).map_err(|_| CommandError::failed("a row cannot be shown"))?;
                self.sink.write_all(self.line.as_bytes())?;
            }
        }
        Ok(())
    }

    /// One row of a table.
    pub fn row<R: Serialize>(&mut self, columns: &[Column<R>], row: &R) -> Outcome {
        self.record(row, |line| table::write_row(line, columns, row))
    }

    /// One row of a table with a one-character mark in front, for which the heading leaves room.
    pub fn marked_row<R: Serialize>(
        &mut self,
        mark: &str,
        columns: &[Column<R>],
        row: &R,
    ) -> Outcome {
        self.record(row, |line| {
            line.write_str(mark)?;
            table::write_row(line, columns, row)
        })
    }

    /// The heading line of a table; nothing in JSON.
    pub fn heading<R>(&mut self, columns: &[Column<R>]) -> Outcome {
        let mut line = String::new();
        table::write_heading(&mut line, columns);
        self.title(&line)
    }

    /// The heading of a table whose rows are marked.
    pub fn marked_heading<R>(&mut self, columns: &[Column<R>]) -> Outcome {
        let mut line = String::from(" ");
        table::write_heading(&mut line, columns);
        self.title(&line)
    }

    /// A heading line in the terminal's bold; nothing in JSON.
    pub fn title(&mut self, text: &str) -> Outcome {
        let bold = if self.colour { Style::new().bold() } else { Style::new() };
        self.line(format_args!("{bold}{text}{bold:#}"))
    }

    /// A line which belongs to the text form only: a task header, a blank line, a legend.
    pub fn line(&mut self, text: impl fmt::Display) -> Outcome {
        self.check_interrupt()?;
        if self.form == Form::Text {
            writeln!(self.sink, "{text}")?;
        }
        Ok(())
    }

    /// Whether text is to have colours.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// Brings what is buffered to its reader now.
    pub(crate) fn flush(&mut self) -> Outcome {
        Ok(self.sink.flush()?)
    }

    /// Bytes as they are, in either form: user data on its way to a pipe or a file.
    pub fn raw(&mut self, bytes: &[u8]) -> Outcome {
        self.check_interrupt()?;
        Ok(self.sink.write_all(bytes)?)
    }

    /// Counts something that was left out because `what` could not be read. At the command's end
    /// one line tells how many, and why.
    pub fn skipped(&mut self, what: &str, fault: &Fault) {
        self.tally.add(what, fault);
    }

    /// What was left out so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Ctrl-C asked the command to stop. Rows check this themselves; long work between rows does
    /// it every so often.
    pub fn check_interrupt(&self) -> Outcome {
        if self.interrupted.load(Ordering::Relaxed) {
            Err(CommandError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Runs `work` with rows of `form`, for a command's own `--json`.
    pub(crate) fn with_form<T>(&mut self, form: Form, work: impl FnOnce(&mut Output) -> T) -> T {
        let (outer, colour) = (self.form, self.colour);
        self.form = form;
        self.colour = colour && form == Form::Text;
        let result = work(self);
        (self.form, self.colour) = (outer, colour);
        result
    }

    /// Takes the tally, leaving none.
    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Brings what is buffered to its reader, and waits for a pager or pipeline to end.
    pub fn finish(self) -> Outcome {
        Ok(self.sink.finish()?)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("form", &self.form).finish_non_exhaustive()
    }
}
