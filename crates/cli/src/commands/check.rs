//! Integrity: what in memory contradicts itself.

use necropsy_linux::check::{self, AREAS, Area, Finding, Report};

use crate::rows::check::{CheckAreaRow, CheckedCountRow, CheckedRow, DamageRow, UncheckedRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

const AREAS_LISTED: Opt = Opt::flag("-l", "the areas, and what is checked in each");

pub(crate) static COMMAND: Command = Command {
    names: &["check"],
    summary: "what in memory contradicts itself",
    synopsis: "[area ...] [address ...]\n-l",
    options: &[AREAS_LISTED],
    rows: &[DamageRow::TYPE, CheckedRow::TYPE, CheckAreaRow::TYPE],
    args: &[Arg::Text("area")],
    description: "\
Checks everything that has redundancy, or the areas that are named, and shows each contradiction: in
which object, where, what should be there and what is, and in what way the two differ. With
addresses, only findings about objects that one of them lies in. The last row tells what was checked
and what the dump does not hold. The exit code is 5 when something was found.

A finding is `certain` when no kernel leaves memory so even for a moment, `likely` when more than one
thing would have to be in the middle of a change at once, `possible` when one may have been.",
    examples: &[
        Example { about: "All tasks.", line: "check task", output: "" },
        Example { about: "All slabs.", line: "check slab", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has(AREAS_LISTED) {
        for area in AREAS {
            let row = CheckAreaRow { area: area.name, about: area.about };
            out.record(&row, |line| writeln!(line, "{:<8} {}", row.area, row.about))?;
        }
        return Ok(());
    }
    let kernel = session.kernel()?;
    let (mut areas, mut addresses): (Vec<&'static Area>, Vec<u64>) = (Vec::new(), Vec::new());
    for word in &parsed.args {
        match check::area(word) {
            Some(area) => areas.push(area),
            None => addresses.push(session.address(word).map_err(|_| no_area(word))?),
        }
    }
    let mut report = check::run(&kernel, &areas, &session.interrupted);
    if !addresses.is_empty() {
        let objects: Vec<(u64, u64)> = addresses.iter().map(|at| object(&kernel, *at)).collect();
        let near = |at: u64| objects.iter().any(|(start, end)| (*start..*end).contains(&at));
        report.findings.retain(|found| near(found.address) || found.start.is_some_and(near));
    }
    for finding in &report.findings {
        let row = damage_row(finding);
        out.record(&row, |line| damage_text(&row, line))?;
    }
    let row = checked_row(&report);
    out.record(&row, |line| checked_text(&row, line))?;
    match report.findings.len() {
        0 => Ok(()),
        count => Err(CommandError::Damage(count)),
    }
}

fn no_area(word: &str) -> CommandError {
    let names: Vec<&str> = AREAS.iter().map(|area| area.name).collect();
    CommandError::usage(format!("{word}: no address, and no area; those are {}", names.join(", ")))
}

/// The object that an address lies in, or the word there.
fn object(kernel: &necropsy_linux::Kernel, address: u64) -> (u64, u64) {
    let found = kernel.slab_object(address).ok().flatten();
    let slab = found.and_then(|found| Some((found.address?, found.cache.stride)));
    slab.map_or((address & !7, (address & !7).saturating_add(8)), |(start, size)| {
        (start, start.saturating_add(size))
    })
}

pub(crate) fn damage_row(finding: &Finding) -> DamageRow {
    DamageRow {
        area: finding.area,
        check: finding.check,
        class: finding.class.word(),
        statement: finding.statement.clone(),
        object: finding.object.clone(),
        object_address: finding.start.map(Hex),
        address: Hex(finding.address),
        expected: finding.expected.map(Hex),
        found: finding.found.map(Hex),
        difference: finding.difference.as_ref().map(ToString::to_string),
        neighbours: finding.neighbours.clone(),
        confidence: finding.confidence.word(),
    }
}

fn damage_text(row: &DamageRow, line: &mut dyn std::fmt::Write) -> std::fmt::Result {
    let DamageRow { area, check, object, address, statement, .. } = row;
    write!(line, "{area} {check}: {object}: {statement}\n    at {:x}", address.0)?;
    match (row.expected, row.found) {
        (Some(expected), Some(found)) => write!(line, ": {expected} expected, {found} found")?,
        (None, Some(found)) => write!(line, ": {found} found")?,
        _ => {}
    }
    if let Some(difference) = &row.difference {
        write!(line, " ({difference})")?;
    }
    if let Some(neighbours) = &row.neighbours {
        write!(line, "; {neighbours}")?;
    }
    writeln!(line, "; {}", row.confidence)
}

fn checked_row(report: &Report) -> CheckedRow {
    let counts = report.checked.iter();
    let unread = report.unread.iter().filter(|unread| unread.count > 0);
    CheckedRow {
        findings: report.findings.len(),
        checked: counts
            .map(|done| CheckedCountRow { area: done.area, what: done.what, count: done.count })
            .collect(),
        unchecked: unread
            .map(|left| UncheckedRow {
                area: left.area,
                what: left.what,
                count: left.count,
                why: left.why.as_ref().map(ToString::to_string),
            })
            .collect(),
        complete: !report.stopped,
    }
}

fn checked_text(row: &CheckedRow, line: &mut dyn std::fmt::Write) -> std::fmt::Result {
    let mut area = "";
    for done in &row.checked {
        let CheckedCountRow { what, count, .. } = done;
        match done.area {
            same if same == area => write!(line, ", {count} {what}")?,
            next => {
                let end = if area.is_empty() { "" } else { "\n" };
                write!(line, "{end}{next}: {count} {what}")?;
                area = next;
            }
        }
    }
    if !area.is_empty() {
        writeln!(line)?;
    }
    for left in &row.unchecked {
        write!(line, "{}: {} {} could not be checked", left.area, left.count, left.what)?;
        match &left.why {
            Some(why) => writeln!(line, ": {why}")?,
            None => writeln!(line, ": the dump does not hold them")?,
        }
    }
    let end = if row.complete { "" } else { "; interrupted" };
    writeln!(line, "{} findings{end}", row.findings)
}
