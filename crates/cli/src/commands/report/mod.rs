//! What killed the machine, and what proves it, on one page: for a terminal, a ticket, a program, or
//! a browser.

mod drawn;
mod html;
mod markdown;
mod page;
mod rules;
mod short;
mod text;
mod written;

use std::path::Path;

use necropsy_diagnose::facts::Facts;
use necropsy_linux::Kernel;

use crate::{
    CommandError, Outcome, addresses,
    command::{Command, Example, Opt},
    parsed::Parsed,
    render::{Form, Output},
    rows::report::FactsRow,
    session::Session,
};

const MARKDOWN: Opt = Opt::flag("--markdown", "the page in Markdown");
const HTML: Opt = Opt::value("--html", "file", "write the page for a browser to this file");
const QUICK: Opt =
    Opt::flag("--quick", "the first page only: nothing that looks at all of memory or all tasks");
const MAX_BYTES: Opt =
    Opt::value("--max-bytes", "count", "the most important of it, in so many bytes");
const RULES: Opt = Opt::value("--rules", "dir", "known patterns of your own: a folder of *.json");

pub(crate) static COMMAND: Command = Command {
    names: &["report"],
    summary: "what killed the machine, and what proves it, on one page",
    synopsis: "[--markdown] [--html file] [--quick] [--max-bytes count] [--rules dir]",
    options: &[MARKDOWN, HTML, QUICK, MAX_BYTES, RULES],
    rows: &[FactsRow::TYPE],
    args: &[],
    description: "\
One page to read first and to send on. The verdict comes first: what killed the machine, how sure
that is (certain: memory or the log shows it; likely: one inference away; possible), what happened,
the evidence, each piece with the command that shows it, what it was not, what was looked at and
found in order, and what to do next. Then the facts: the machine, what the kernel said first, the
task that was running there and what it was doing, its stack, its registers with what each value is,
what every CPU was doing, taint and out-of-tree modules, tasks that have been blocked for long, and
the end of the log. What could not be read is said in its place.

A log in place of a dump is reported on, too, as far as text tells.

Known patterns are files of rules, which docs/rules.md describes: conditions on the class of the
verdict, functions, modules, releases, taint, hardware and words of the log, and what a match means.",
    examples: &[
        Example { about: "The page.", line: "report", output: "" },
        Example { about: "For a ticket.", line: "report --markdown", output: "" },
        Example { about: "For a serial line.", line: "report --max-bytes 2000", output: "" },
        Example { about: "The same for a program.", line: "report --json", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let limit = limit(parsed)?;
    let kernel = session.kernel()?;
    let quick = parsed.has(QUICK) || limit.is_some();
    let facts = Facts::gather_with(&kernel, quick);
    show(Some(&kernel), facts, parsed, limit, out)
}

/// The report of a text in place of a dump; `None` if the file is none.
pub(crate) fn on_text(file: &Path, words: &[String], out: &mut Output) -> Option<Outcome> {
    let facts = written::of(file)?;
    let parsed = match Parsed::new(&COMMAND, words.iter().cloned()) {
        Ok(parsed) => parsed,
        Err(error) => return Some(Err(error)),
    };
    let form = parsed.form.unwrap_or(Form::Text);
    Some(out.with_form(form, |out| show(None, facts, &parsed, limit(&parsed)?, out)))
}

/// In how many bytes the page has to be told, if that is said.
fn limit(parsed: &Parsed) -> Result<Option<usize>, CommandError> {
    let count = parsed.value(MAX_BYTES).map(addresses::count).transpose()?;
    Ok(count.map(|count| usize::try_from(count).unwrap_or(usize::MAX)))
}

fn show(
    kernel: Option<&Kernel>,
    mut facts: Facts,
    parsed: &Parsed,
    limit: Option<usize>,
    out: &mut Output,
) -> Outcome {
    let rules = match parsed.value(RULES) {
        Some(folder) => rules::read(folder.as_ref())?,
        None => Vec::new(),
    };
    facts.known = rules.into_iter().filter(|rule| rule.matches(&facts)).collect();
    let page = page::of(&facts, kernel.is_some(), parsed.has(QUICK) || limit.is_some());
    if let Some(file) = parsed.value(HTML) {
        let shown = html::render(kernel, &facts, &page);
        std::fs::write(file, shown)
            .map_err(|error| CommandError::failed(format!("{file}: {error}")))?;
        return out.line(format_args!("written: {file}"));
    }
    out.record(&FactsRow(&facts), |line| match limit {
        Some(limit) => short::write(&page, limit, line),
        None if parsed.has(MARKDOWN) => markdown::write(&page, line),
        None => text::write(&page, line),
    })
}
