//! What must be known of a capture as a whole before its rows can be read:
//! markup, framing, width, column, hosts, misread characters.

use super::column::Ballot;
use super::inner;
use super::markup::{self, Markup};
use super::ocr::{self, Mender};
use super::prefix::{self, Customs};
use super::rows::Row;
use super::structured::{self, Framing};
use super::syslog;
use super::wrap::{Ruler, Wrap};
use super::{calendar, kmsg};
use crate::Context;

/// Hosts whose names are kept in mind.
const MAX_HOSTS: usize = 64;

/// Rows of a large sample that are looked at: a run at its beginning, one in
/// its middle, one at its end.
const RUN: usize = 160;

/// Rows a judgement needs before it replaces an earlier one.
pub(super) const FEWEST_ROWS: usize = 4;

/// The form of a capture.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    pub(super) markup: Markup,
    pub(super) framing: Framing,
    pub(super) customs: Customs,
    pub(super) wrap: Option<Wrap>,
    /// Set when there are records of /dev/kmsg, whose keys may follow.
    has_records: bool,
    /// Set when the text was read from a picture.
    pub(super) mender: Option<Mender>,
}

impl Form {
    /// Judges a sample, some hundred KiB of rows.
    pub(super) fn of(sample: &[Row<'_>]) -> Form {
        let mut form = Form::default();
        let mut signs = markup::Signs::default();
        let runs = runs(sample);
        let looked_at = || runs.iter().copied().flatten();
        looked_at().for_each(|row| signs.count(&row.text));
        form.markup = signs.verdict();
        let mut rows: Vec<_> =
            looked_at().filter_map(|row| form.markup.take_off(row.text.clone())).collect();

        let mut signs = structured::Signs::default();
        rows.iter().for_each(|row| signs.count(row));
        form.framing = signs.verdict();
        if form.framing != Framing::Text {
            form.customs.stamped = true;
            form.customs.callers = rows.iter().any(|row| row.contains("\"caller\""));
            return form;
        }

        let mut signs = ocr::Signs::default();
        rows.iter().for_each(|row| signs.count(row));
        if signs.verdict() {
            for row in &mut rows {
                if let Some(mended) = ocr::mend_prefix(row) {
                    *row = mended.into();
                }
            }
            for row in sample {
                let (_, at) = prefix::strip(&row.text, &Customs::default());
                signs.learn_names(&row.text[at..]);
            }
            form.mender = Some(signs.mender());
        }

        form.customs.hosts = hosts(rows.iter().map(|row| &**row));
        form.customs.date_blanks = date_blanks(rows.iter().map(|row| &**row));
        let mut ballot = Ballot::default();
        for row in &rows {
            let (meta, at) = prefix::strip(row, &form.customs);
            match meta.context {
                // A grammar knows all that stands before the message.
                Context::None => ballot.count(&row[at..]),
                _ => ballot.known(),
            }
        }
        form.customs.column = ballot.winner();

        let mut ballot = inner::Ballot::default();
        for row in &rows {
            let (_, at) = prefix::strip(row, &form.customs);
            // the header of a record is known, and read apart
            if kmsg::header(&row[at..]).is_none() {
                ballot.count(&row[at..]);
            }
        }
        form.customs.inner = ballot.winner();

        for row in &rows {
            let (meta, at) = prefix::strip(row, &form.customs);
            let header = kmsg::header(&row[at..]);
            let caller = header.as_ref().and_then(|header| header.caller);
            form.has_records |= header.is_some();
            form.customs.stamped |= meta.context != Context::None || header.is_some();
            form.customs.callers |= meta.context.is_caller() || caller.is_some();
            let rest = meta.time_ns.and_then(|_| syslog::tag(&row[at..], |_| false));
            form.customs.host_follows_time |= rest.is_some_and(|tag| tag.host.is_some());
        }
        let mut ruler = Ruler::default();
        for row in &rows {
            ruler.measure(row, begins_record(row, &form));
        }
        form.wrap = ruler.width();
        form
    }
}

/// The parts of a sample that are looked at.
fn runs<'s, 'a>(sample: &'s [Row<'a>]) -> Vec<&'s [Row<'a>]> {
    if sample.len() <= 4 * RUN {
        return vec![sample];
    }
    let middle = sample.len() / 2;
    vec![&sample[..RUN], &sample[middle..middle + RUN], &sample[sample.len() - RUN..]]
}

/// Does a row begin with a prefix, so that it cannot be the rest of another?
pub(super) fn begins_record(row: &str, form: &Form) -> bool {
    let (meta, at) = prefix::strip(row, &form.customs);
    meta.recognised
        || (form.has_records && (kmsg::is_dictionary(row) || kmsg::header(&row[at..]).is_some()))
}

/// The hosts that have a line with the kernel's tag.
fn hosts<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for row in rows {
        if !row.contains("kernel") {
            continue;
        }
        let dated = super::printk::priority(row).map_or(row, |(_, at)| &row[at..]);
        let Some((_, at)) = calendar::date(dated) else { continue };
        let Some(tag) = dated.get(at..).and_then(|rest| syslog::tag(rest.trim_start(), |_| false))
        else {
            continue;
        };
        if let Some(host) = tag.host
            && hosts.len() < MAX_HOSTS
            && !hosts.iter().any(|known| known == host)
        {
            hosts.push(host.to_owned());
        }
    }
    hosts
}

/// Blanks that a collector always puts behind its date.
fn date_blanks<'a>(rows: impl Iterator<Item = &'a str>) -> usize {
    rows.filter_map(|row| {
        let (_, at) = calendar::date(row)?;
        let rest = row.get(at..).filter(|rest| !rest.trim().is_empty())?;
        Some(rest.len() - rest.trim_start_matches(' ').len())
    })
    .min()
    .unwrap_or(1)
}
