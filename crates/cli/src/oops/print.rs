//! Reports on a page or as JSON.

use necropsy_oops::{
    Report, Symbolizer,
    render::{Page, Show},
};

use crate::{Outcome, render::Output, rows::oops::ReportRow};

/// Prints the reports of one text after another.
pub(crate) struct Printer<'a> {
    out: &'a mut Output,
    show: Show,
    page: Page,
    /// Who has symbols, if anybody.
    pub(crate) symbols: Option<&'a dyn Symbolizer>,
    source: Option<String>,
    notes: Vec<String>,
    /// Texts begun, and reports of all of them.
    sources: usize,
    count: usize,
    /// Nothing of this text has been printed yet.
    fresh: bool,
    /// Texts that had no report.
    silent: usize,
}

impl<'a> Printer<'a> {
    /// Prints into `out`; with `all`, every report in full, with every register and doubtful frame.
    pub(crate) fn new(out: &'a mut Output, all: bool) -> Self {
        let show = Show { colour: out.colour(), all };
        Printer {
            out,
            show,
            page: Page::new(show),
            symbols: None,
            source: None,
            notes: Vec::new(),
            sources: 0,
            count: 0,
            fresh: true,
            silent: 0,
        }
    }

    /// What comes now is of another text.
    pub(super) fn begin(&mut self, source: Option<String>, notes: Vec<String>) {
        self.silent += usize::from(self.sources > 0 && self.fresh);
        self.source = source;
        self.notes = notes;
        self.sources += 1;
        self.page = Page::new(self.show);
        self.fresh = true;
    }

    /// Reports printed so far.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many of the texts so far had no report, and how many there were.
    pub(super) fn silent(&self) -> (usize, usize) {
        (self.silent + usize::from(self.sources > 0 && self.fresh), self.sources)
    }

    /// Prints one.
    pub(crate) fn report(&mut self, mut report: Report) -> Outcome {
        report.index = self.count;
        if let Some(symbols) = self.symbols {
            report.symbolize(symbols);
        }
        if std::mem::take(&mut self.fresh) {
            self.heading()?;
        }
        self.count += 1;
        let row = ReportRow { source: self.source.as_deref(), notes: &self.notes, report: &report };
        let page = &mut self.page;
        self.out.record(&row, |text| text.write_str(&page.add(&report)))
    }

    /// Says which text it is, if there are several, and what was noticed while opening it.
    fn heading(&mut self) -> Outcome {
        if self.count > 0 {
            self.out.line("")?;
        }
        if let Some(source) = self.source.as_ref().filter(|_| self.sources > 1) {
            self.out.title(&format!("==> {source} <=="))?;
        }
        for note in &self.notes {
            self.out.line(note)?;
        }
        Ok(())
    }

    /// Brings what was printed to its reader now.
    pub(super) fn flush(&mut self) -> Outcome {
        self.out.flush()
    }
}
