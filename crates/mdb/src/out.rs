//! Where output goes: to a sink, or into a pipe.

use std::{fs::File, io::Write as _, sync::Arc};

use serde_json::Value;

use crate::{Failure, Outcome};

/// Where text ends up; an empty one asks for what was written to be shown. False once nobody reads it any more.
pub type Sink = Box<dyn FnMut(&str) -> bool + Send>;

/// Variables that walks set (`::walk NAME VARIABLE`), with the element that each is at.
pub(crate) type Steps = Arc<[(String, u64)]>;

/// What a dcmd's output is kept in until the next element of a pipeline takes it.
#[derive(Debug, Default)]
pub(crate) struct Piped {
    pub(crate) text: String,
    pub(crate) values: Vec<u64>,
    /// From which value on walks are where.
    pub(crate) steps: Vec<(usize, Steps)>,
}

pub(crate) struct Out {
    sink: Sink,
    /// Output that is taken by somebody else, the innermost last.
    pipes: Vec<Piped>,
    pub(crate) json: bool,
    /// A file that everything is written to, too.
    pub(crate) log: Option<File>,
    /// Whether a row was written since the statement began.
    pub(crate) rows: bool,
    /// Where the walks of this pipeline are that set a variable.
    pub(crate) steps: Steps,
}

impl Out {
    pub(crate) fn new(sink: Sink) -> Out {
        Out { sink, pipes: Vec::new(), json: false, log: None, rows: false, steps: Arc::default() }
    }

    pub(crate) fn begin_pipe(&mut self) {
        self.pipes.push(Piped::default());
    }

    pub(crate) fn end_pipe(&mut self) -> Piped {
        self.pipes.pop().unwrap_or_default()
    }

    pub(crate) fn is_piped(&self) -> bool {
        !self.pipes.is_empty()
    }

    /// Text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Outcome {
        if let Some(pipe) = self.pipes.last_mut() {
            pipe.text.push_str(text);
            return Ok(());
        }
        self.note(text);
        if text.is_empty() || (self.sink)(text) { Ok(()) } else { Err(Failure::Closed) }
    }

    /// Text for the log alone, if one is kept; a disk that is full ends it.
    pub(crate) fn note(&mut self, text: &str) {
        if self.log.as_mut().is_some_and(|log| log.write_all(text.as_bytes()).is_err()) {
            self.log = None;
        }
    }

    /// Shows what was written: an empty text asks the sink for it.
    pub(crate) fn flush(&mut self) -> Outcome {
        if (self.sink)("") { Ok(()) } else { Err(Failure::Closed) }
    }

    /// A line; in JSON, text that no row stands for becomes one.
    pub(crate) fn line(&mut self, line: &str) -> Outcome {
        if self.json && !self.is_piped() {
            return self.object(serde_json::json!({ "text": line }));
        }
        self.text(line)?;
        self.text("\n")
    }

    /// A heading: no row.
    pub(crate) fn heading(&mut self, line: &str) -> Outcome {
        if self.json && !self.is_piped() {
            return Ok(());
        }
        self.text(line.trim_end_matches('\n'))?;
        self.text("\n")
    }

    /// A row: its lines, or its object.
    pub(crate) fn row(&mut self, lines: &str, object: Value) -> Outcome {
        if self.json && !self.is_piped() {
            return self.object(object);
        }
        self.text(lines)?;
        self.text("\n")
    }

    fn object(&mut self, object: Value) -> Outcome {
        self.rows = true;
        self.text(&format!("{object}\n"))
    }

    /// A value for the next element of a pipeline.
    pub(crate) fn value(&mut self, value: u64) {
        if let Some(pipe) = self.pipes.last_mut() {
            let is_known = match pipe.steps.last() {
                Some((_, last)) => Arc::ptr_eq(last, &self.steps),
                None => self.steps.is_empty(),
            };
            if !is_known {
                pipe.steps.push((pipe.values.len(), self.steps.clone()));
            }
            pipe.values.push(value);
        }
    }

    /// A walk that sets a variable is at an element.
    pub(crate) fn step(&mut self, variable: &str, value: u64) {
        let others = self.steps.iter().filter(|(name, _)| name != variable).cloned();
        self.steps = others.chain([(variable.to_owned(), value)]).collect();
    }
}
