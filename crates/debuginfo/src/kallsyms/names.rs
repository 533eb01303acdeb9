//! The compressed names of kallsyms.

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
        let index = read(mem, "kallsyms_token_index", tables.token_index, 512)?;
        let last = u16_le(&index, 510).ok_or(KallsymsError::Tokens)?;
        let base = tables.token_table;
        let mut table = read(mem, "kallsyms_token_table", base, usize::from(last))?;
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
    pub(super) spans: Vec<Span>,
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
    let mut walk = Walk { end: 0, ambiguous: false, markers: Vec::new() };
    for number in 0..count {
        if number & 0xff == 0 {
            walk.markers.push(u32::try_from(walk.end).map_err(|_| number)?);
        }
        if data.bytes.len() < walk.end + MAX_NAME {
            data.more();
        }
        let (length, start) = tokens_at(&data.bytes, walk.end, two_bytes).ok_or(number)?;
        walk.ambiguous |= byte(&data.bytes, walk.end).is_some_and(|b| b & 0x80 != 0);
        walk.end = start + length;
        if length == 0 || length > MAX_NAME || walk.end > data.bytes.len() {
            return Err(number);
        }
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
            let step = (4096 - (at % 4096) as usize).min(from + CHUNK - good);
            if !self.mem.read(at, &mut self.bytes[good..good + step]) {
                self.ended = true;
                break;
            }
            good += step;
        }
        self.bytes.truncate(good);
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
            self.mem.read(start, &mut words)
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
    let mut data = Data { mem, base: tables.names, bytes: Vec::new(), limit, ended: false };
    let two = walk(&mut data, count, true);
    let two_bytes = match &two {
        Ok(walk) if !walk.ambiguous || data.followed_by_markers(walk, tables.markers) => true,
        two => match walk(&mut data, count, false) {
            Ok(one) if two.is_err() || data.followed_by_markers(&one, tables.markers) => false,
            Ok(_) => true,
            Err(number) if two.is_err() => return Err(KallsymsError::Names(number)),
            Err(_) => true,
        },
    };
    if data.bytes.is_empty() {
        return Err(KallsymsError::Unreadable { what: "kallsyms_names", address: tables.names });
    }
    expand(&data.bytes, tokens, count, two_bytes).ok_or(KallsymsError::Names(0))
}

fn expand(data: &[u8], tokens: &Tokens, count: u32, two_bytes: bool) -> Option<Names> {
    let mut text = Vec::with_capacity(count as usize * 24);
    let mut spans = Vec::with_capacity(count as usize);
    let mut at = 0;
    for _ in 0..count {
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
    Some(Names { text: String::from_utf8(text).ok()?, spans })
}
