//! Putting the records of /dev/kmsg and extended netconsole in order: by
//! sequence, with fragments joined, one stream a host and boot.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::kmsg::{self, Header};
use super::prefix::Meta;
use super::rows::Row;
use crate::Context;

/// Records held back while earlier ones may still come.
const MAX_HELD: usize = 8192;

/// Bytes held back.
const MAX_HELD_BYTES: usize = 8 << 20;

/// Streams told apart; further ones share the last.
const MAX_STREAMS: usize = 64;

/// Sequence numbers further apart than this belong to different boots.
const MAX_GAP: u64 = 8192;

/// Largest record put together from fragments, in bytes.
const MAX_FRAGMENTED: usize = 64 * 1024;

/// A record with its text whole and its escapes undone.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) meta: Meta,
    pub(super) text: String,
    pub(super) number: usize,
    pub(super) offset: u64,
    /// Number of the stream, from 0.
    pub(super) stream: usize,
    flag: char,
}

#[derive(Debug)]
struct Held {
    time_us: u64,
    record: Record,
    /// Pieces by their offset in a body of the given size, in bytes.
    fragments: Option<(BTreeMap<usize, String>, usize)>,
}

/// One boot of one host.
#[derive(Debug, Default)]
struct Stream {
    origin: Option<String>,
    release: Option<String>,
    held: BTreeMap<u64, Held>,
    /// Sequence and time of the last record given out.
    last: Option<(u64, u64)>,
}

/// Holds records back until their order is certain.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    streams: Vec<Stream>,
    held: usize,
    held_bytes: usize,
    /// Did a record carry `+`? Then `c` begins a line, else it goes on.
    plus_seen: bool,
}

impl Reassembly {
    /// Takes one record; gives out those whose turn has come.
    pub(super) fn push(
        &mut self,
        row: &Row<'_>,
        at: usize,
        header: &Header<'_>,
        meta: &Meta,
        out: &mut VecDeque<Record>,
    ) {
        let body = &row.text[at + header.body..];
        self.plus_seen |= header.flag == '+';
        // Fragments of one datagram after the other, with no line end between.
        let next = header.fragment.and_then(|_| glued_fragment(body, header));
        let (own, rest) = body.split_at(next.unwrap_or(body.len()));
        let stream = self.stream_of(header, meta);
        self.hold(stream, row, header, meta, own);
        if next.is_some()
            && let Some(following) = kmsg::header(rest)
        {
            let glued = Row { text: rest.into(), number: row.number, offset: row.offset };
            self.push(&glued, 0, &following, meta, out);
        }
        if self.held > MAX_HELD || self.held_bytes > MAX_HELD_BYTES {
            // By the half, so that continued lines come out together.
            while (self.held > MAX_HELD / 2 || self.held_bytes > MAX_HELD_BYTES / 2)
                && self.release_one(out)
            {}
        }
    }

    fn hold(&mut self, stream: usize, row: &Row<'_>, header: &Header<'_>, meta: &Meta, body: &str) {
        let held = &mut self.streams[stream].held;
        if let Some((at, total)) = header.fragment
            && let Some(Held { fragments: Some((pieces, size)), .. }) =
                held.get_mut(&header.sequence)
        {
            if *size == total && pieces.len() < MAX_FRAGMENTED / 64 && at <= MAX_FRAGMENTED {
                self.held_bytes += body.len();
                pieces.insert(at, body.to_owned());
            }
            return;
        }
        let mut meta = meta.clone();
        meta.time_ns = header.time_us.checked_mul(1000);
        meta.level = Some((header.priority & 7) as u8);
        meta.context = header.caller.unwrap_or(Context::Console);
        let fragments = header
            .fragment
            .filter(|(at, total)| *total <= MAX_FRAGMENTED && *at <= *total)
            .map(|(at, total)| (BTreeMap::from([(at, body.to_owned())]), total));
        let record = Record {
            meta,
            text: match fragments {
                Some(_) => String::new(),
                None => body.to_owned(),
            },
            number: row.number,
            offset: row.offset,
            stream,
            flag: header.flag,
        };
        self.held_bytes += body.len();
        let one = Held { time_us: header.time_us, record, fragments };
        if held.insert(header.sequence, one).is_none() {
            self.held += 1;
        }
    }

    /// The stream in which a record fits: sequence and time must grow together.
    fn stream_of(&mut self, header: &Header<'_>, meta: &Meta) -> usize {
        let same = |stream: &Stream| {
            stream.origin == meta.origin && stream.release.as_deref() == header.release
        };
        let best = (0..self.streams.len())
            .filter(|&at| same(&self.streams[at]))
            .filter_map(|at| Some((self.streams[at].distance(header)?, at)))
            .min();
        if let Some((_, at)) = best {
            return at;
        }
        if self.streams.len() < MAX_STREAMS {
            self.streams.push(Stream {
                origin: meta.origin.clone(),
                release: header.release.map(str::to_owned),
                ..Stream::default()
            });
        }
        self.streams.len() - 1
    }

    /// Gives out the earliest record of the fullest stream.
    fn release_one(&mut self, out: &mut VecDeque<Record>) -> bool {
        let Some(stream) = self.streams.iter_mut().max_by_key(|s| s.held.len()) else {
            return false;
        };
        let Some((sequence, mut held)) = stream.held.pop_first() else {
            return false;
        };
        stream.last = Some((sequence, held.time_us));
        self.held -= 1;
        if let Some((pieces, _)) = held.fragments.take() {
            self.held_bytes =
                self.held_bytes.saturating_sub(pieces.values().map(String::len).sum());
            held.record.text = pieces.into_values().collect();
        } else {
            self.held_bytes = self.held_bytes.saturating_sub(held.record.text.len());
        }
        held.record.text = kmsg::unescape(&held.record.text).into_owned();
        out.push_back(held.record);
        true
    }

    /// Gives out all that is held, stream by stream.
    pub(super) fn flush(&mut self, out: &mut VecDeque<Record>) {
        while self.release_one(out) {}
        self.held_bytes = 0;
    }

    /// Joins the pieces of continued lines (flags `c` and `+`), caller by
    /// caller; what remains is one record a line.
    pub(super) fn join_continued(&self, records: VecDeque<Record>) -> Vec<Record> {
        let mut out: Vec<Record> = Vec::with_capacity(records.len());
        let mut last: HashMap<(usize, Context), usize> = HashMap::new();
        for record in records {
            let key = (record.stream, record.meta.context);
            let goes_on = record.flag == '+' || (record.flag == 'c' && !self.plus_seen);
            match last.get(&key) {
                Some(&at) if goes_on && out[at].text.len() + record.text.len() < MAX_FRAGMENTED => {
                    out[at].text.push_str(&record.text);
                }
                _ => {
                    last.insert(key, out.len());
                    out.push(record);
                }
            }
        }
        out
    }
}

impl Stream {
    /// How far in time a record is from its neighbours in this stream, in µs;
    /// None where it cannot belong.
    fn distance(&self, header: &Header<'_>) -> Option<u64> {
        let (sequence, time) = (header.sequence, header.time_us);
        if let Some(same) = self.held.get(&sequence) {
            // A datagram may arrive twice.
            return (same.time_us == time && header.fragment.is_some() == same.fragments.is_some())
                .then_some(0);
        }
        let held_before = self.held.range(..sequence).next_back().map(|(s, h)| (*s, h.time_us));
        let before = held_before.or(self.last.filter(|(s, _)| *s < sequence));
        let after = self.held.range(sequence..).next().map(|(s, h)| (*s, h.time_us));
        if self.last.is_some_and(|(s, _)| s >= sequence) {
            return None;
        }
        let fits = |near: Option<(u64, u64)>, grows: bool| match near {
            None => Some(u64::MAX),
            Some((s, t)) => {
                let in_order = if grows { t <= time } else { t >= time };
                (in_order && s.abs_diff(sequence) <= MAX_GAP).then(|| t.abs_diff(time))
            }
        };
        Some(fits(before, true)?.min(fits(after, false)?))
    }
}

/// Where the next fragment of the same record begins inside a body.
fn glued_fragment(body: &str, header: &Header<'_>) -> Option<usize> {
    let mut needle = format!("{},{},{},", header.priority, header.sequence, header.time_us);
    if let Some(release) = header.release {
        needle = format!("{release},{needle}");
    }
    memchr::memmem::find(body.as_bytes(), needle.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(rows: &[&str]) -> Vec<(usize, String)> {
        let mut reassembly = Reassembly::default();
        let mut out = VecDeque::new();
        for (index, text) in rows.iter().enumerate() {
            let row = Row { text: (*text).into(), number: index + 1, offset: 0 };
            let header = kmsg::header(text).unwrap();
            reassembly.push(&row, 0, &header, &Meta::default(), &mut out);
        }
        reassembly.flush(&mut out);
        reassembly.join_continued(out).into_iter().map(|r| (r.stream, r.text)).collect()
    }

    #[test]
    fn sequence_decides() {
        assert_eq!(
            order(&["4,3,30,-;c", "4,1,10,-;a", "4,2,10,-;b"]),
            [(0, "a".into()), (0, "b".into()), (0, "c".into())]
        );
    }

    #[test]
    fn fragments_are_joined() {
        assert_eq!(
            order(&[
                "6.9.0,4,7,70,-,ncfrag=6/11;world",
                "6.9.0,4,8,80,-;next",
                "6.9.0,4,7,70,-,ncfrag=0/11;hello\\x20"
            ]),
            [(0, "hello world".into()), (0, "next".into())]
        );
        assert_eq!(
            order(&["4,7,70,-,ncfrag=0/11;hello 4,7,70,-,ncfrag=6/11;world"]),
            [(0, "hello world".into())]
        );
    }

    #[test]
    fn two_boots_are_two_streams() {
        let rows = ["4,1,10,-;a1", "4,2,20,-;a2", "4,1,5,-;b1", "4,2,6,-;b2", "4,3,30,-;a3"];
        let mut got = order(&rows);
        got.sort();
        assert_eq!(
            got,
            [
                (0, "a1".into()),
                (0, "a2".into()),
                (0, "a3".into()),
                (1, "b1".into()),
                (1, "b2".into())
            ]
        );
    }

    #[test]
    fn continued_lines_of_both_ages() {
        assert_eq!(
            order(&["4,1,10,-,caller=T1;a", "4,2,10,-,caller=T2;x", "4,3,10,c,caller=T1;b"]),
            [(0, "ab".into()), (0, "x".into())]
        );
        assert_eq!(
            order(&["4,1,10,-;a", "4,2,10,c;b", "4,3,10,+;c"]),
            [(0, "a".into()), (0, "bc".into())]
        );
    }
}
