//! The one place that prints.
//!
//! A command yields rows (`rows/`, declared with [`necropsy_rows::row!`]). [`Output`] renders each
//! as text in crash's layout, as one JSON object a line or as CSV, and passes it on at once, so
//! that a million rows need the memory of one. A row's text is either the columns of its
//! declaration ([`Output::row`]) or whatever a closure writes ([`Output::record`]).

mod sink;

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
use necropsy_rows::{Csv, Row, write_heading, write_row};

pub use necropsy_rows::{Cell, Column, FaultRow, Faults, Hex, Size, Tally, or_fault};

use crate::{CommandError, error::Outcome};
pub use sink::{Capture, Sink};

/// How rows are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// crash's layout.
    Text,
    /// One JSON object a line.
    Json,
    /// Comma-separated values.
    Csv,
}

impl Form {
    /// The form that flags ask for.
    pub fn of(json: bool, csv: bool) -> Option<Form> {
        match (json, csv) {
            (true, _) => Some(Form::Json),
            (_, true) => Some(Form::Csv),
            _ => None,
        }
    }
}

/// Where a command's rows go.
pub struct Output {
    sink: Sink,
    form: Form,
    colour: bool,
    interrupted: Arc<AtomicBool>,
    tally: Tally,
    line: String,
    csv: Csv,
}

impl Output {
    /// An output of `form` into `sink`; every row checks `interrupted`.
    pub fn new(sink: Sink, form: Form, interrupted: Arc<AtomicBool>) -> Self {
        let colour = form == Form::Text && sink.takes_colour();
        let (tally, csv) = (Tally::default(), Csv::default());
        Output { sink, form, colour, interrupted, tally, line: String::new(), csv }
    }

    /// Whether rows are rendered for people. For commands whose *work* differs; rendering needs no
    /// such question.
    pub fn is_text(&self) -> bool {
        self.form == Form::Text
    }

    /// One row. As text it is what `text` writes, line ends included.
    pub fn record<R: Row>(
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
            Form::Csv => self.csv.write(row, &mut self.sink)?,
            Form::Text => {
                text(&mut self.line).map_err(|_| CommandError::failed("a row cannot be shown"))?;
                self.sink.write_all(self.line.as_bytes())?;
            }
        }
        Ok(())
    }

    /// One row of a table.
    /// Cells have no room for reasons: what they lack is counted, and told at the command's end.
    pub fn row<R: Row>(&mut self, columns: &[Column<R>], row: &R) -> Outcome {
        self.count_faults(row);
        self.record(row, |line| write_row(line, columns, row))
    }

    fn count_faults<R: Row>(&mut self, row: &R) {
        if self.form == Form::Text {
            row.each_fault(&mut |fault| self.tally.add_row(fault));
        }
    }

    /// One row of a table with a one-character mark in front, for which the heading leaves room.
    pub fn marked_row<R: Row>(&mut self, mark: &str, columns: &[Column<R>], row: &R) -> Outcome {
        self.count_faults(row);
        self.record(row, |line| {
            line.write_str(mark)?;
            write_row(line, columns, row)
        })
    }

    /// The heading line of a table; nothing in JSON.
    pub fn heading<R>(&mut self, columns: &[Column<R>]) -> Outcome {
        let mut line = String::new();
        write_heading(&mut line, columns);
        self.title(&line)
    }

    /// The heading of a table whose rows are marked.
    pub fn marked_heading<R>(&mut self, columns: &[Column<R>]) -> Outcome {
        let mut line = String::from(" ");
        write_heading(&mut line, columns);
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
        // Each command names the columns of its own rows.
        self.csv.restart();
        self.colour = colour && form == Form::Text;
        let result = work(self);
        (self.form, self.colour) = (outer, colour);
        result
    }

    /// Runs `work` with rows of the form that a command within a command was given, if it was.
    pub(crate) fn in_form<T>(
        &mut self,
        form: Option<Form>,
        work: impl FnOnce(&mut Output) -> T,
    ) -> T {
        match form {
            Some(form) => self.with_form(form, work),
            None => work(self),
        }
    }

    /// Tells something beside the output: on standard error.
    pub(crate) fn note(&self, text: &str) {
        self.sink.note(text);
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
