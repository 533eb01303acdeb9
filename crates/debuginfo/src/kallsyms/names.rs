//! The compressed names of kallsyms.

use std::ops::Range;

use memchr::memchr;

use super::{KallsymsError, KallsymsTables, read};
use crate::bytes::{Bytes, byte, u16_le, u32_le};

/// Longest token table that is read: 256 tokens in, in practice, a kilobyte. Its index has 16 bits.
const MAX_TOKEN_TABLE: usize = 1 << 16;

/// How much of the names is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Bytes of names that are read at most for one symbol on average; in practice it is 11.
const MAX_NAME_AVERAGE: usize = 256;

/// Longest decoded name, in bytes (`KSYM_NAME_LEN` is 512).
const MAX_NAME: usize = 4096;

/// The 256 strings that names are made of.
pub(super) struct Tokens {
    text: Vec<Box<[u8]>>,
}

impl Tokens {
    pub(super) fn read(mem: &dyn Bytes, tables: &KallsymsTables) -> Result<Tokens, KallsymsError> {
        let index = read(mem, "kallsyms_token_index", tables.token_index, 512, 2)?;
        let last = u16_le(&index, 510).ok_or(KallsymsError::Tokens)?;
        let base = tables.token_table;
        let mut table = read(mem, "kallsyms_token_table", base, usize::from(last), 1)?;
        // The last token ends at its NUL; it is short, and it may lie before a missing page.
        let mut next = [0];
        loop {
            let at = base.wrapping_add(table.len() as u64);
            if !mem.read(at, &mut next) {
                return Err(KallsymsError::Unreadable {
                    what: "kallsyms_token_table",
                    address: at,
                });
            }
            table.push(next[0]);
            if next[0] == 0 {
                break;
            }
            if table.len() > MAX_TOKEN_TABLE {
                return Err(KallsymsError::Tokens);
            }
        }
        Tokens::parse(&table, &index).ok_or(KallsymsError::Tokens)
    }

    fn parse(table: &[u8], index: &[u8]) -> Option<Tokens> {
        let token = |number: usize| {
            let rest = table.get(usize::from(u16_le(index, number * 2)?)..)?;
            let text = rest.get(..memchr(0, rest)?)?;
            // Names are shown and searched as text: what is not printable ASCII is damage.
            Some(text.iter().map(|&b| if b.is_ascii_graphic() { b } else { b'?' }).collect())
        };
        Some(Tokens { text: (0..256).map(token).collect::<Option<_>>()? })
    }
}

/// One decoded name.
pub(super) struct Span {
    /// Byte offset in the text.
    pub(super) start: u32,
    pub(super) length: u16,
    /// nm's letter.
    pub(super) kind: u8,
}

/// All decoded names, in the order of the table.
pub(super) struct Names {
    pub(super) text: String,
    /// One for each symbol; of no length where the name is missing.
    pub(super) spans: Vec<Span>,
    /// Virtual address of the first missing page of them.
    pub(super) missing: Option<u64>,
}

impl Names {
    /// The first symbol of that name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.spans.iter().position(|span| {
            let start = span.start as usize;
            usize::from(span.length) == name.len()
                && self.text.get(start..start + name.len()) == Some(name)
        })
    }
}

/// Where the names end and whether they can be meant: found by walking the lengths alone.
struct Walk {
    /// Bytes of the table.
    end: usize,
    /// A length had bit 7 set, so that the two readings differ.
    ambiguous: bool,
    /// Offsets of every 256th name.
    markers: Vec<u32>,
    /// Names that lie in missing pages, and where the table goes on.
    jumps: Vec<Jump>,
}

/// Names from `from` up to `to` are lost; that of number `to` is at byte `at`.
#[derive(Debug, Clone, Copy)]
struct Jump {
    from: u32,
    to: u32,
    at: usize,
}

/// Length and start of the tokens of the name at `at`. Since Linux 6.1 a length from 128 on takes
/// two bytes, low seven bits first.
fn tokens_at(data: &[u8], at: usize, two_bytes: bool) -> Option<(usize, usize)> {
    let first = usize::from(byte(data, at)?);
    if two_bytes && first & 0x80 != 0 {
        Some(((first & 0x7f) | usize::from(byte(data, at + 1)?) << 7, at + 2))
    } else {
        Some((first, at + 1))
    }
}

fn walk(data: &mut Data<'_>, count: u32, two_bytes: bool) -> Result<Walk, u32> {
    let mut walk = Walk { end: 0, ambiguous: false, markers: Vec::new(), jumps: Vec::new() };
    let mut number = 0;
    while number < count {
        if data.bytes.len() < walk.end + MAX_NAME {
            data.more();
        }
        let name = tokens_at(&data.bytes, walk.end, two_bytes);
        let end = name.map_or(walk.end + 1, |(length, start)| start + length);
        // The length itself may lie in the hole, and is no length then.
        if let Some(hole) = data.hole_between(walk.end, end) {
            let jump = data.behind(hole, number, count).ok_or(number)?;
            while walk.markers.len() <= (jump.to.saturating_sub(1) >> 8) as usize {
                walk.markers.push(data.marker(walk.markers.len()).ok_or(number)?);
            }
            walk.jumps.push(jump);
            (number, walk.end) = (jump.to, jump.at);
            continue;
        }
        if number & 0xff == 0 && walk.markers.len() == (number >> 8) as usize {
            walk.markers.push(u32::try_from(walk.end).map_err(|_| number)?);
        }
        let (length, start) = name.ok_or(number)?;
        walk.ambiguous |= byte(&data.bytes, walk.end).is_some_and(|b| b & 0x80 != 0);
        walk.end = start + length;
        if length == 0 || length > MAX_NAME || walk.end > data.bytes.len() {
            return Err(number);
        }
        number += 1;
    }
    Ok(walk)
}

/// The table as far as it was read.
struct Data<'a> {
    mem: &'a dyn Bytes,
    base: u64,
    bytes: Vec<u8>,
    limit: usize,
    ended: bool,
    /// Missing pages that were read over, in bytes of the table.
    holes: Vec<Range<usize>>,
    /// The offsets of every 256th name as the kernel has them, where they are known: they lead over
    /// missing pages.
    table: Option<Vec<u8>>,
}

impl Data<'_> {
    /// Reads on, by pages where a chunk cannot be had, up to the first missing one.
    fn more(&mut self) {
        if self.ended || self.bytes.len() >= self.limit {
            return;
        }
        let from = self.bytes.len();
        let at = self.base.wrapping_add(from as u64);
        self.bytes.resize(from + CHUNK, 0);
        if self.mem.read(at, &mut self.bytes[from..]) {
            return;
        }
        let mut good = from;
        while good < from + CHUNK {
            let at = self.base.wrapping_add(good as u64);
            let end = good + (4096 - (at % 4096) as usize).min(from + CHUNK - good);
            if !self.mem.read(at, &mut self.bytes[good..end]) {
                // Beyond the last marker there is nothing to go on with.
                if self.table.is_none() || good as u64 > self.last_marker() {
                    self.ended = true;
                    break;
                }
                self.bytes[good..end].fill(0);
                match self.holes.last_mut() {
                    Some(hole) if hole.end == good => hole.end = end,
                    _ => self.holes.push(good..end),
                }
            }
            good = end;
        }
        self.bytes.truncate(good);
    }

    fn marker(&self, index: usize) -> Option<u32> {
        u32_le(self.table.as_ref()?, index * 4)
    }

    fn last_marker(&self) -> u64 {
        let count = self.table.as_ref().map_or(0, |table| table.len() / 4);
        count.checked_sub(1).and_then(|last| self.marker(last)).map_or(0, u64::from)
    }

    /// The hole that has a byte of `start..end`.
    fn hole_between(&self, start: usize, end: usize) -> Option<Range<usize>> {
        self.holes.iter().find(|hole| hole.start < end && hole.end > start).cloned()
    }

    /// Where the names go on behind a hole: at the next marker, else not at all.
    fn behind(&self, hole: Range<usize>, number: u32, count: u32) -> Option<Jump> {
        let markers = self.table.as_ref()?.len() / 4;
        let next = (number as usize / 256 + 1..markers)
            .find(|&index| self.marker(index).is_some_and(|at| at as usize >= hole.end));
        match next {
            Some(index) => {
                let (to, at) = (u32::try_from(index).ok()? * 256, self.marker(index)? as usize);
                Some(Jump { from: number, to: to.min(count), at })
            }
            None => Some(Jump { from: number, to: count, at: hole.end }),
        }
    }

    /// Whether the words after byte `end` are the markers of such a walk: the table follows the
    /// names, aligned to 4 or 8 bytes.
    fn followed_by_markers(&mut self, walk: &Walk, known: Option<u64>) -> bool {
        let mut starts = Vec::with_capacity(2);
        match known {
            Some(markers) => starts.push(markers),
            None => {
                let end = self.base.wrapping_add(walk.end as u64);
                starts.extend([end.next_multiple_of(4), end.next_multiple_of(8)]);
            }
        }
        starts.into_iter().any(|start| {
            let mut words = vec![0; walk.markers.len() * 4];
            self.mem.read_words(start, &mut words, 4)
                && walk.markers.iter().enumerate().all(|(i, &m)| u32_le(&words, i * 4) == Some(m))
        })
    }
}

/// Decodes `count` names. Which of the two encodings of lengths is meant is not announced: that
/// whose 256th names lie where the markers say.
pub(super) fn decode(
    mem: &dyn Bytes,
    tables: &KallsymsTables,
    tokens: &Tokens,
    count: u32,
) -> Result<Names, KallsymsError> {
    let limit = (count as usize).saturating_mul(MAX_NAME_AVERAGE);
    let table = markers(mem, tables, count);
    let (bytes, holes) = (Vec::new(), Vec::new());
    let mut data = Data { mem, base: tables.names, bytes, limit, ended: false, holes, table };
    let two = walk(&mut data, count, true);
    let (two_bytes, jumps) = match two {
        Ok(walk) if !walk.ambiguous || data.followed_by_markers(&walk, tables.markers) => {
            (true, walk.jumps)
        }
        two => match (two, walk(&mut data, count, false)) {
            (Err(_), Ok(one)) => (false, one.jumps),
            (Ok(_), Ok(one)) if data.followed_by_markers(&one, tables.markers) => {
                (false, one.jumps)
            }
            (Ok(two), _) => (true, two.jumps),
            (Err(_), Err(number)) => return Err(KallsymsError::Names(number)),
        },
    };
    if data.bytes.is_empty() {
        return Err(KallsymsError::Unreadable { what: "kallsyms_names", address: tables.names });
    }
    let (text, spans) =
        expand(&data.bytes, tokens, count, two_bytes, &jumps).ok_or(KallsymsError::Names(0))?;
    let missing = data.holes.first().map(|hole| tables.names.wrapping_add(hole.start as u64));
    Ok(Names { text, spans, missing })
}

/// The kernel's own offsets of every 256th name. The table lies before that of the tokens, aligned
/// to 8 bytes, where nobody says where it is.
fn markers(mem: &dyn Bytes, tables: &KallsymsTables, count: u32) -> Option<Vec<u8>> {
    let size = (count as usize).div_ceil(256) * 4;
    let before = tables.token_table.wrapping_sub(size.next_multiple_of(8) as u64);
    let mut words = vec![0; size];
    let at = tables.markers.unwrap_or(before);
    let is_read = mem.read_words(at, &mut words, 4);
    let ascends = |words: &[u8]| {
        let all = (0..words.len() / 4).filter_map(|index| u32_le(words, index * 4));
        u32_le(words, 0) == Some(0) && all.clone().zip(all.skip(1)).all(|(a, b)| a < b)
    };
    (is_read && ascends(&words)).then_some(words)
}

fn expand(
    data: &[u8],
    tokens: &Tokens,
    count: u32,
    two_bytes: bool,
    jumps: &[Jump],
) -> Option<(String, Vec<Span>)> {
    let mut text = Vec::with_capacity(count as usize * 24);
    let mut spans = Vec::with_capacity(count as usize);
    let mut at = 0;
    let mut jumps = jumps.iter().peekable();
    let mut number = 0;
    while number < count {
        if let Some(jump) = jumps.next_if(|jump| jump.from == number) {
            let lost = (jump.to - jump.from) as usize;
            spans.extend(
                std::iter::repeat_with(|| Span { start: 0, length: 0, kind: b'?' }).take(lost),
            );
            (number, at) = (jump.to, jump.at);
            continue;
        }
        number += 1;
        let (length, start) = tokens_at(data, at, two_bytes)?;
        at = start + length;
        let from = text.len();
        for &token in data.get(start..at)? {
            text.extend_from_slice(&tokens.text[usize::from(token)]);
        }
        text.truncate(from + MAX_NAME.min(text.len() - from));
        // The first character is the kind, the rest the name.
        let kind = text.get(from).copied().unwrap_or(b'?');
        spans.push(Span {
            start: u32::try_from(from + 1).ok()?,
            length: u16::try_from((text.len() - from).saturating_sub(1)).ok()?,
            kind,
        });
    }
    Some((String::from_utf8(text).ok()?, spans))
}
