//! The machine that turns rows into lines, and its two ways in.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::kmsg;
use super::learn::{self, Form};
use super::netconsole::Reassembly;
use super::ocr;
use super::prefix::{self, Meta};
use super::rest;
use super::rows::{Row, Rows, terminal_text};
use super::session::Session;
use super::structured::{Fields, Framing};
use super::syslog;
use super::wrap::Broken;
use crate::{Line, LineKind};

/// The form of a capture is judged anew every so many bytes.
const WINDOW: usize = 512 * 1024;

/// Earlier bytes that are judged together with a short new piece.
const CONTEXT: usize = 64 * 1024;

/// A line that is longer, in bytes, is not joined to by its grammar.
const MAX_JOINED: usize = 8192;

/// Origins told apart; lines of further ones carry none.
const MAX_ORIGINS: usize = 256;

/// The lines of a capture, prefixes taken off.
///
/// Broken rows are rejoined, records that came out of order are put in order,
/// and what was misread is repaired where the grammar says what must stand
/// there. Any input is accepted; memory is bounded by some MiB.
pub fn lines(input: &[u8]) -> Lines<'_> {
    Lines::new(input)
}

/// Iterator over the lines of a capture, made by [`lines`].
#[derive(Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
    offset: u64,
    machine: Normaliser<'a>,
    ended: bool,
}

impl<'a> Lines<'a> {
    fn new(input: &'a [u8]) -> Self {
        Lines { rest: input, number: 1, offset: 0, machine: Normaliser::default(), ended: false }
    }

    /// The same lines, counted as if the input began at line `number` (from 1)
    /// and byte `offset` of a larger one.
    pub fn starting_at(mut self, number: usize, offset: u64) -> Self {
        self.number = number;
        self.offset = offset;
        self
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            if let Some(line) = self.machine.out.pop_front() {
                return Some(line);
            }
            if self.rest.is_empty() {
                if std::mem::replace(&mut self.ended, true) {
                    return None;
                }
                self.machine.flush();
                continue;
            }
            let (window, rest) = self.rest.split_at(window_length(self.rest));
            self.rest = rest;
            let mut rows = Rows::new(window, self.number, self.offset);
            let sample: Vec<Row<'a>> = rows.by_ref().collect();
            (self.number, self.offset) = (rows.number, rows.offset);
            self.machine.judge(&sample);
            sample.into_iter().for_each(|row| self.machine.row(row));
        }
    }
}

/// Bytes of the next window: it ends at a line end if there is one.
fn window_length(input: &[u8]) -> usize {
    if input.len() <= WINDOW {
        return input.len();
    }
    memchr::memrchr(b'\n', &input[..WINDOW]).map_or(WINDOW, |at| at + 1)
}

/// A capture that comes in chunks.
///
/// ```
/// use necropsy_oops::channel::Feed;
/// let mut feed = Feed::default();
/// let mut lines = Vec::new();
/// feed.push(b"[    1.000000][   T7] BUG: unable to han", &mut lines);
/// feed.push(b"dle page fault\n", &mut lines);
/// feed.finish(&mut lines);
/// assert_eq!(lines[0].text, "BUG: unable to handle page fault");
/// ```
#[derive(Debug, Default)]
pub struct Feed {
    buffer: Vec<u8>,
    /// Bytes already read, kept to judge the form of what follows.
    context: Vec<u8>,
    number: usize,
    offset: u64,
    machine: Normaliser<'static>,
}

impl Feed {
    /// Takes a chunk; lines that are settled are appended to `out`. They may
    /// lag behind by 512 KiB: [`Feed::flush`] brings them out.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<Line<'static>>) {
        for piece in chunk.chunks(WINDOW) {
            self.buffer.extend_from_slice(piece);
            while self.buffer.len() >= WINDOW {
                self.read(window_length(&self.buffer));
            }
            out.extend(self.machine.out.drain(..));
        }
    }

    /// Brings out the lines that are complete so far: to be called when a
    /// source falls silent.
    pub fn flush(&mut self, out: &mut Vec<Line<'static>>) {
        if let Some(end) = memchr::memrchr(b'\n', &self.buffer) {
            self.read(end + 1);
        }
        self.machine.flush();
        out.extend(self.machine.out.drain(..));
    }

    /// Brings out all lines, the last one even without line end.
    pub fn finish(&mut self, out: &mut Vec<Line<'static>>) {
        self.read(self.buffer.len());
        self.machine.flush();
        out.extend(self.machine.out.drain(..));
    }

    /// Passes over a chunk of whole lines without reading it, as for text in
    /// which a search has found nothing: only lines and bytes are counted.
    pub fn pass_over(&mut self, chunk: &[u8], out: &mut Vec<Line<'static>>) {
        self.finish(out);
        self.number += memchr::memchr_iter(b'\n', chunk).count();
        self.offset += chunk.len() as u64;
        let tail = chunk.len().saturating_sub(CONTEXT);
        self.context = chunk[tail..].to_vec();
    }

    fn read(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let piece: Vec<u8> = self.buffer.drain(..length).collect();
        let mut rows = Rows::new(&piece, self.number + 1, self.offset);
        let new: Vec<Row<'static>> = rows.by_ref().map(Row::into_owned).collect();
        (self.number, self.offset) = (rows.number - 1, rows.offset);
        let mut sample: Vec<Row<'_>> = Rows::new(&self.context, 1, 0).collect();
        sample.extend(new.iter().cloned());
        self.machine.judge(&sample);
        drop(sample);
        new.into_iter().for_each(|row| self.machine.row(row));
        self.context.extend_from_slice(&piece);
        let surplus = self.context.len().saturating_sub(CONTEXT);
        self.context.drain(..surplus);
    }
}

/// Rows in, lines out.
#[derive(Debug, Default)]
struct Normaliser<'a> {
    form: Form,
    /// A row that may go on.
    broken: Option<Broken<'a>>,
    fields: Fields,
    reassembly: Reassembly,
    /// Was the last row a record of /dev/kmsg, so that its keys may follow?
    after_record: bool,
    /// What the last prefix said and how wide it was, in bytes.
    last: Option<(Meta, usize)>,
    origins: Vec<String>,
    session: Session<'a>,
    out: VecDeque<Line<'a>>,
}

impl<'a> Normaliser<'a> {
    /// Learns the form of the rows to come.
    fn judge(&mut self, sample: &[Row<'_>]) {
        if sample.len() >= learn::FEWEST_ROWS || self.out.is_empty() {
            let hosts = std::mem::take(&mut self.form.customs.hosts);
            self.form = Form::of(sample);
            for host in hosts {
                if !self.form.customs.hosts.contains(&host)
                    && self.form.customs.hosts.len() < MAX_ORIGINS
                {
                    self.form.customs.hosts.push(host);
                }
            }
        }
    }

    fn row(&mut self, mut row: Row<'a>) {
        let Some(text) = self.form.markup.take_off(row.text) else {
            return;
        };
        row.text = text;
        if syslog::is_broadcast(&row.text) {
            return;
        }
        let text = self.form.framing == Framing::Text;
        if let Some(lines) = text.then(|| literal_lines(&row.text)).flatten() {
            let Row { number, offset, .. } = row;
            for text in lines {
                self.whole_row(Row { text: Cow::Owned(text), number, offset });
            }
            return;
        }
        self.whole_row(row);
    }

    fn whole_row(&mut self, mut row: Row<'a>) {
        if self.form.mender.is_some()
            && let Some(mended) = ocr::mend_prefix(&row.text)
        {
            row.text = Cow::Owned(mended);
        }
        let cut = rest::cut_of(&row.text);
        if cut.is_none() && self.form.wrap.is_none() && self.broken.is_none() {
            self.record(row);
            return;
        }
        let starts = learn::begins_record(&row.text, &self.form);
        if let Some(broken) = &mut self.broken {
            if let Some(wrap) = self.form.wrap
                && wrap.continues(broken, &row.text, starts)
            {
                wrap.join(broken, &row.text);
                return;
            }
            if let Some(cut) = rest::cut_of(&broken.row.text)
                && !starts
                && broken.row.text.len() < MAX_JOINED
                && rest::join(broken.row.text.to_mut(), cut, &row.text)
            {
                return;
            }
        }
        self.end_broken();
        self.broken = Some(Broken::new(row, starts));
    }

    fn end_broken(&mut self) {
        if let Some(broken) = self.broken.take() {
            self.record(broken.row);
        }
    }

    fn flush(&mut self) {
        self.end_broken();
        if let Some(record) = self.fields.finish() {
            self.message(record.meta, record.text.into(), record.number, record.offset);
        }
        let mut records = VecDeque::new();
        self.reassembly.flush(&mut records);
        self.records(records);
        self.session.flush(&mut self.out);
    }

    /// A whole row.
    fn record(&mut self, row: Row<'a>) {
        if self.form.framing != Framing::Text {
            if let Some(record) = self.fields.push(&row, self.form.framing) {
                let (inner, at) = prefix::strip(&record.text, &self.form.customs);
                let meta = outer(record.meta, inner);
                self.message(
                    meta,
                    record.text[at..].to_owned().into(),
                    record.number,
                    record.offset,
                );
            }
            return;
        }
        if self.after_record && kmsg::is_dictionary(&row.text) {
            return;
        }
        let row = self.without_mark(row);
        let (meta, at) = prefix::strip(&row.text, &self.form.customs);
        if let Some(header) = kmsg::header(&row.text[at..]) {
            let mut records = VecDeque::new();
            self.reassembly.push(&row, at, &header, &meta, &mut records);
            self.after_record = true;
            self.records(records);
            return;
        }
        self.after_record = false;
        let Row { text, number, offset } = row;
        if !meta.recognised
            && let Some((meta, width)) =
                self.last.as_ref().filter(|(_, width)| is_padding(&text, *width))
        {
            // The further lines of a message are indented under the first.
            let (meta, width) = (meta.clone(), *width);
            self.message(meta, cut(text, width), number, offset);
            return;
        }
        if meta.recognised {
            self.last = Some((meta.clone(), at));
        }
        self.message(meta, cut(text, at), number, offset);
    }

    /// Takes `** N printk messages dropped **` off the front of a row.
    fn without_mark(&mut self, row: Row<'a>) -> Row<'a> {
        const END: &str = "printk messages dropped **";
        if !row.text.starts_with("** ") {
            return row;
        }
        let Some(end) = row.text.find(END).map(|at| at + END.len()).filter(|end| *end < 64) else {
            return row;
        };
        if row.text[end..].trim().is_empty() {
            return row;
        }
        let mark = Meta { kind: LineKind::Mark, ..Meta::default() };
        self.message(mark, row.text[..end].to_owned().into(), row.number, row.offset);
        let blank = usize::from(row.text[end..].starts_with(' '));
        Row { text: cut(row.text, end + blank), ..row }
    }

    fn records(&mut self, records: VecDeque<super::netconsole::Record>) {
        if records.is_empty() {
            return;
        }
        for mut record in self.reassembly.join_continued(records) {
            let origin = record.meta.origin.take().unwrap_or_default();
            record.meta.origin = Some(format!("{origin} {}", record.stream));
            self.message(record.meta, record.text.into(), record.number, record.offset);
        }
    }

    /// A message of one or more lines.
    fn message(&mut self, meta: Meta, text: Cow<'a, str>, number: usize, offset: u64) {
        let text = match syslog::unescape(&text) {
            Some(plain) => Cow::Owned(plain),
            None => text,
        };
        // Escapes can bring control characters back.
        let text = match text {
            Cow::Owned(text) if !text.contains('\n') => terminal_text(Cow::Owned(text)),
            text => text,
        };
        let source = meta.origin.as_deref().and_then(|origin| self.source(origin));
        let line = Line {
            text: Cow::Borrowed(""),
            number,
            offset,
            time_ns: meta.time_ns,
            level: meta.level,
            context: meta.context,
            source,
            kind: meta.kind,
        };
        if !text.contains('\n') {
            self.give(Line { text, ..line });
            return;
        }
        for part in text.trim_end_matches('\n').split('\n') {
            self.give(Line { text: Cow::Owned(part.to_owned()), ..line });
        }
    }

    fn give(&mut self, mut line: Line<'a>) {
        if let Some(mender) = &self.form.mender {
            line.text = Cow::Owned(mender.mend(&line.text));
        }
        self.session.push(line, &self.form.customs, &mut self.out);
    }

    fn source(&mut self, origin: &str) -> Option<u32> {
        let known = self.origins.iter().position(|name| name == origin);
        if known.is_none() && self.origins.len() < MAX_ORIGINS {
            self.origins.push(origin.to_owned());
        }
        let index = known.unwrap_or(self.origins.len() - 1);
        (self.origins.get(index)? == origin).then_some(index as u32)
    }
}

/// Line ends of one row that have to be spelled out before it is believed to be many.
const FEWEST_ENDS: usize = 3;

/// What a row that is many begins some of its lines with.
const SIGNS: [&str; 8] =
    ["Call Trace:", "Call trace:", "CPU: ", "RIP: ", "Oops", "BUG: ", "pc : ", "Krnl "];

/// The lines of a row in which somebody's program has written line ends as `\n`, or the kernel's
/// own `\x0a` as it read it.
fn literal_lines(text: &str) -> Option<Vec<String>> {
    memchr::memchr(b'\\', text.as_bytes())?;
    let ends =
        |end: &str| memchr::memmem::find_iter(text.as_bytes(), end).take(FEWEST_ENDS).count();
    let marked = |lines: &[String]| {
        lines.iter().filter(|line| SIGNS.iter().any(|sign| line.contains(sign))).count()
    };
    let record = [",-;", ",-,", ",c;", ",+;"].iter().any(|flag| text.contains(flag));
    if ends("\\x0a") > 0 && !record {
        let plain = kmsg::unescape(text);
        let lines: Vec<String> = plain.split('\n').map(str::to_owned).collect();
        return (marked(&lines) >= 1).then_some(lines);
    }
    if ends("\\n") < FEWEST_ENDS {
        return None;
    }
    // one of them begins like a message of a crash: a format or a path does not
    let text = text.trim().trim_matches(['"', '\'', ',']);
    let lines = text.split("\\n").map(|line| line.trim_end_matches("\\r").replace("\\t", "\t"));
    let lines: Vec<String> = lines.collect();
    (marked(&lines) >= 2).then_some(lines)
}

/// Is the row indented by at least the width of the prefix before it?
fn is_padding(text: &str, width: usize) -> bool {
    width >= 10 && text.len() > width && text.as_bytes()[..width].iter().all(|&b| b == b' ')
}

/// A text without its first `at` bytes.
fn cut(text: Cow<'_, str>, at: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[at..]),
        Cow::Owned(mut text) => {
            text.drain(..at);
            Cow::Owned(text)
        }
    }
}

/// What the fields of a record said, with what the prefix inside adds.
fn outer(fields: Meta, inner: Meta) -> Meta {
    Meta {
        time_ns: inner.time_ns.or(fields.time_ns),
        level: fields.level.or(inner.level),
        context: match fields.context.is_caller() || inner.context == crate::Context::None {
            true => fields.context,
            false => inner.context,
        },
        ..fields
    }
}
