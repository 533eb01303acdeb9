//! The lockless ring since 5.10 (kernel/printk/printk_ringbuffer.h): descriptors and infos in
//! two arrays that run in step, text in a third.
//!
//! Every descriptor knows its own id and state, and holds a record if and only if it is committed
//! or finalized: the ring's head and tail are not needed to find the records. They only tell
//! which are missing, so damage to them loses nothing.

use super::{Caller, LOG_CONT, Log, MAX_RING, Record, level_and_flags, offset, size, text_of};
use crate::{
    error::{Error, Result},
    kernel::Kernel,
    shapes::{Field, Shapes},
    span::{Numbers, Span},
};

/// Most descriptors that are believed, as a power of two: a ring of `MAX_RING` has 2^23.
const MAX_COUNT_BITS: u32 = 23;

const RESERVED: u64 = 0;
const COMMITTED: u64 = 1;
const FINALIZED: u64 = 2;

/// `begin` and `next` of a block without text because it is empty, and because there was no room.
const NO_LPOS: u64 = 3;

/// Sizes and offsets in bytes.
#[derive(Debug, Clone)]
struct Layout {
    numbers: Numbers,
    desc: usize,
    state: usize,
    begin: usize,
    next: usize,
    info: usize,
    seq: usize,
    time: usize,
    text_len: usize,
    /// Followed by a byte with five bits of flags and three of level.
    facility: usize,
    caller: Option<usize>,
    subsystem: Option<(usize, usize)>,
    device: Option<(usize, usize)>,
}

impl Layout {
    /// Size of the id in front of each text block.
    fn word(&self) -> usize {
        self.numbers.word_size()
    }

    /// The position before another: positions count bytes, and begin again at the end of a word.
    fn before(&self, position: u64) -> u64 {
        position.wrapping_sub(1) & (u64::MAX >> (64 - self.word() * 8))
    }

    /// Bits of an id: the two topmost of its word are the state.
    fn id_bits(&self) -> usize {
        self.word() * 8 - 2
    }

    fn id_mask(&self) -> u64 {
        u64::MAX >> (64 - self.id_bits())
    }

    /// The signed number that an id stands for: they begin below zero and count up.
    fn signed(&self, id: u64) -> i64 {
        let unused = 64 - self.id_bits();
        (id << unused) as i64 >> unused
    }

    /// That of a word if it can be an id. Text never looks like that.
    fn id_like(&self, bytes: &[u8], at: usize) -> Option<i64> {
        let word = self.word_at(bytes, at);
        let id = self.signed(word);
        let limit = 1 << (self.id_bits() / 2 + 1);
        (word >> self.id_bits() == 0 && id.unsigned_abs() < limit).then_some(id)
    }

    fn word_at(&self, bytes: &[u8], at: usize) -> u64 {
        self.numbers.number(bytes, at, self.word())
    }

    fn find(shapes: &Shapes, numbers: Numbers) -> Result<Layout> {
        let (desc, info) = (&shapes.prb_desc, &shapes.printk_info);
        let position = offset(&desc.position)?;
        let text_len = offset(&info.text_len)?;
        let device = offset(&info.device).ok();
        let name = |member: &Field, length: usize| Some((device? + offset(member).ok()?, length));
        Ok(Layout {
            numbers,
            desc: size(&desc.structure)?,
            state: offset(&desc.state)?,
            begin: position + offset(&shapes.prb_data_blk_lpos.begin)?,
            next: position + offset(&shapes.prb_data_blk_lpos.next)?,
            info: size(&info.structure)?,
            seq: offset(&info.seq)?,
            time: offset(&info.time)?,
            text_len,
            // VMCOREINFO does not name it; it has always followed text_len.
            facility: offset(&info.facility).unwrap_or(text_len + 2),
            caller: offset(&info.caller).ok(),
            // PRINTK_INFO_SUBSYSTEM_LEN and PRINTK_INFO_DEVICE_LEN, include/linux/dev_printk.h
            subsystem: name(&shapes.dev_printk_info.subsystem, 16),
            device: name(&shapes.dev_printk_info.device, 48),
        })
    }
}

struct Ring {
    layout: Layout,
    /// Number of descriptors, as a power of two.
    bits: u32,
    head: u64,
    tail: u64,
    descs: Span,
    infos: Span,
    text: Span,
}

pub(super) fn read(kernel: &Kernel) -> Result<Log> {
    let (target, variables) = (kernel.target(), &kernel.shapes().log_variables);
    // The pointer names the ring in use; the static one has what was said before it was switched.
    let from_pointer = variables.log.address().and_then(|at| Ok(target.read_pointer(at)?));
    let ring = from_pointer.and_then(|at| Ring::read(kernel, at));
    match ring {
        Ok(ring) => Ok(ring.log()),
        Err(error) => {
            let early = variables.first_ring.address().and_then(|at| Ring::read(kernel, at));
            let mut log = early.map_err(|_| error.clone())?.log();
            log.errors.insert(0, error);
            Ok(log)
        }
    }
}

impl Ring {
    fn read(kernel: &Kernel, at: u64) -> Result<Ring> {
        let (target, shapes) = (kernel.target(), kernel.shapes());
        let layout = Layout::find(shapes, Numbers::of(target))?;
        let word = layout.word();
        let prb = target.read_bytes(at, size(&shapes.prb.structure)? as u64)?;
        let desc_ring = offset(&shapes.prb.desc_ring)?;
        let data_ring = offset(&shapes.prb.text_data_ring)?;
        let descs = &shapes.prb_desc_ring;
        let desc = |member: &Field, size: usize| -> Result<u64> {
            Ok(layout.numbers.number(&prb, desc_ring + offset(member)?, size))
        };
        let data = |member: &Field, size: usize| -> Result<u64> {
            Ok(layout.numbers.number(&prb, data_ring + offset(member)?, size))
        };
        let bits = desc(&descs.count_bits, 4)? as u32;
        let size_bits = data(&shapes.prb_data_ring.size_bits, 4)? as u32;
        if !(1..=MAX_COUNT_BITS).contains(&bits)
            || !(4..64).contains(&size_bits)
            || 1 << size_bits > MAX_RING
            || layout.desc < layout.next.max(layout.begin).max(layout.state) + word
        {
            return Err(Error::corrupt(format!(
                "log at {at:x}: 2^{bits} records in 2^{size_bits} bytes of text"
            )));
        }
        Ok(Ring {
            bits,
            head: desc(&descs.head_id, word)? & layout.id_mask(),
            tail: desc(&descs.tail_id, word)? & layout.id_mask(),
            descs: Span::read(target, desc(&descs.descs, word)?, (layout.desc as u64) << bits),
            infos: Span::read(target, desc(&descs.infos, word)?, (layout.info as u64) << bits),
            text: Span::read(target, data(&shapes.prb_data_ring.data, word)?, 1 << size_bits),
            layout,
        })
    }

    fn count(&self) -> u64 {
        1 << self.bits
    }

    fn log(&self) -> Log {
        let mut log = Log::default();
        for (what, span) in
            [("descriptors", &self.descs), ("infos", &self.infos), ("text", &self.text)]
        {
            if let Some((_, _, fault)) = span.holes().first() {
                let bytes: usize = span.holes().iter().map(|(start, end, _)| end - start).sum();
                let all = span.len();
                log.errors.push(Error::from(*fault));
                log.errors.push(Error::corrupt(format!(
                    "the log lacks {bytes} of {all} bytes of its {what}"
                )));
            }
        }
        for index in 0..self.count() {
            match self.record(index) {
                Ok(Some(record)) => log.records.push(record),
                Ok(None) => {}
                Err(error) => log.errors.push(error),
            }
        }
        log.records.sort_by_key(|record| record.seq);
        self.check_range(&mut log.errors);
        if log.records.is_empty() {
            log.records = self.raw();
        }
        log
    }

    /// Compares what the descriptors say with the ring's head and tail.
    fn check_range(&self, errors: &mut Vec<Error>) {
        let (head, tail) = (self.head, self.tail);
        let length = head.wrapping_sub(tail) & self.layout.id_mask();
        if length >= self.count() {
            errors.push(Error::corrupt(format!(
                "the log's head {head:x} and tail {tail:x} are not one ring apart"
            )));
            return;
        }
        let mask = self.layout.id_mask();
        let missing = (0..=length)
            .filter(|step| {
                let id = tail.wrapping_add(*step) & mask;
                let desc = self.desc(id % self.count());
                desc.is_ok_and(|desc| self.layout.word_at(desc, self.layout.state) & mask != id)
            })
            .count();
        if missing > 0 {
            errors.push(Error::corrupt(format!("{missing} messages of the log are overwritten")));
        }
    }

    fn desc(&self, index: u64) -> Result<&[u8]> {
        let at = index as usize * self.layout.desc;
        let desc = self.descs.get(at, self.layout.desc)?;
        desc.ok_or_else(|| Error::corrupt("descriptor beyond the log's end"))
    }

    /// The record of a descriptor; `None` when it holds none.
    fn record(&self, index: u64) -> Result<Option<Record>> {
        let layout = &self.layout;
        // Holes are reported once, as a whole.
        let Ok(desc) = self.desc(index) else { return Ok(None) };
        let state_var = layout.word_at(desc, layout.state);
        let (id, state) = (state_var & layout.id_mask(), state_var >> layout.id_bits());
        if state == RESERVED && id == self.head {
            // Being written when the machine stopped.
            return Ok(None);
        }
        if !matches!(state, COMMITTED | FINALIZED) {
            return Ok(None);
        }
        if id % self.count() != index {
            return Err(Error::corrupt(format!("log descriptor {index} says that it is {id:x}")));
        }
        let begin = layout.word_at(desc, layout.begin);
        let next = layout.word_at(desc, layout.next);
        let Ok(Some(info)) = self.infos.get(index as usize * layout.info, layout.info) else {
            // A text without its time still says something; the id keeps it in its place.
            let text = self.block(id, begin, next)?;
            let order = layout.signed(id).wrapping_add(self.count() as i64);
            let seq = order.max(0) as u64;
            return Ok(unmeasured(text).map(|text| Record { seq, text, ..Record::default() }));
        };
        let number = |at, size| layout.numbers.number(info, at, size);
        let seq = number(layout.seq, 8);
        if seq % self.count() != index {
            return Err(Error::corrupt(format!("log descriptor {index} has message {seq}")));
        }
        let control = number(layout.facility + 1, 1) as u8;
        let (level, flags) = level_and_flags(layout.numbers, control);
        let name = |place: Option<(usize, usize)>| {
            place.and_then(|(at, length)| text_of(info.get(at..at.checked_add(length)?)?))
        };
        let mut record = Record {
            seq,
            time_ns: Some(number(layout.time, 8)),
            level: Some(level),
            facility: number(layout.facility, 1) as u8,
            caller: layout.caller.map(|at| Caller::from_id(number(at, 4) as u32)),
            continuation: flags & LOG_CONT != 0,
            subsystem: name(layout.subsystem),
            device: name(layout.device),
            ..Record::default()
        };
        match self.block(id, begin, next) {
            Ok(text) => {
                let length = number(layout.text_len, 2) as usize;
                let text = text.get(..length).unwrap_or(text);
                record.text = String::from_utf8_lossy(text).into_owned();
            }
            Err(error) => record.fault = Some(error),
        }
        Ok(Some(record))
    }

    /// The text block between two logical positions, without its id.
    fn block(&self, id: u64, begin: u64, next: u64) -> Result<&[u8]> {
        if begin & 1 == 1 && next & 1 == 1 {
            return if begin == NO_LPOS {
                Ok(&[])
            } else {
                Err(Error::absent("text of this message: the log had no room"))
            };
        }
        let word = self.layout.word();
        let size = self.text.len() as u64;
        let at = begin % size;
        // A block that does not fit before the end lies at offset 0, its id included. One that
        // ends exactly at the end does fit: `next` is then the first position of the next round.
        let start = if begin / size == self.layout.before(next) / size { at } else { 0 };
        let end = match next % size {
            0 => size,
            end => end,
        };
        let wrong =
            || Error::corrupt(format!("text of log record {id:x} from {begin:x} to {next:x}"));
        let length = end.checked_sub(start).filter(|l| *l >= word as u64).ok_or_else(wrong)?;
        let bytes = self.text.get(start as usize, length as usize)?.ok_or_else(wrong)?;
        if self.layout.word_at(bytes, 0) != id {
            return Err(Error::corrupt(format!(
                "text of log record {id:x} was overwritten at offset {start:x}"
            )));
        }
        Ok(&bytes[word..])
    }

    /// The text ring alone, when no descriptor leads into it: every block that begins with
    /// something like an id. Time and level are lost.
    fn raw(&self) -> Vec<Record> {
        let (words, word) = (self.text.sparse(), self.layout.word());
        let mut found: Vec<(i64, String)> = Vec::new();
        let mut at = 0;
        while at + word < words.len() {
            let id = self.layout.id_like(words, at);
            let start = at + word;
            at = start;
            let Some(id) = id else { continue };
            while at + word <= words.len() && self.layout.id_like(words, at).is_none() {
                at += word;
            }
            if let Some(text) = unmeasured(&words[start..at]) {
                found.push((id, text));
            }
        }
        found.sort_by_key(|(id, _)| *id);
        (0..).zip(found).map(|(seq, (_, text))| Record { seq, text, ..Record::default() }).collect()
    }
}

/// The text of a block whose length is lost: what is behind it in its last word may be anything. The
/// kernel takes a message's level, two bytes, from its front by moving the rest there: its last two
/// bytes then stand twice before the end of the line.
fn unmeasured(block: &[u8]) -> Option<String> {
    let valid = block.utf8_chunks().next()?.valid();
    let end = valid.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n'));
    let text = &valid[..end.unwrap_or(valid.len())];
    let moved = text.strip_suffix('\n').and_then(|line| {
        let (once, again) = line.split_at_checked(line.len().checked_sub(2)?)?;
        once.ends_with(again).then_some(once)
    });
    let text = moved.unwrap_or(text);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
