use necropsy_dump::{Fault, Reason};

use super::*;

const ID_MASK: u64 = u64::MAX >> 2;
const WORD: usize = 8;

/// A ring of 8 records and 256 bytes of text, written as the kernel's writers would.
struct Writer {
    ring: Ring,
    descs: Vec<u8>,
    infos: Vec<u8>,
    text: Vec<u8>,
    id: u64,
    lpos: u64,
}

const COUNT: u64 = 8;
const TEXT: u64 = 256;
const DESC: usize = 24;
const INFO: usize = 88;

impl Writer {
    fn new() -> Writer {
        let layout = Layout {
            numbers: Numbers::default(),
            desc: DESC,
            state: 0,
            begin: 8,
            next: 16,
            info: INFO,
            seq: 0,
            time: 8,
            text_len: 16,
            facility: 18,
            caller: Some(20),
            subsystem: Some((24, 16)),
            device: Some((40, 48)),
        };
        let first = 0u64.wrapping_sub(COUNT) & ID_MASK;
        let empty = Span::of(Vec::new());
        let ring = Ring {
            layout,
            bits: 3,
            head: first,
            tail: first,
            descs: empty.clone(),
            infos: empty.clone(),
            text: empty,
        };
        let mut descs = vec![0; DESC * COUNT as usize];
        for desc in descs.chunks_exact_mut(DESC) {
            desc[..8].copy_from_slice(&(3u64 << 62).to_le_bytes());
        }
        Writer {
            ring,
            descs,
            infos: vec![0; INFO * COUNT as usize],
            text: vec![0xee; TEXT as usize],
            id: first,
            lpos: 0u64.wrapping_sub(TEXT),
        }
    }

    /// A position is given instead of text for records without a block.
    fn put(&mut self, seq: u64, text: Result<&str, u64>, exact_fit_stays: bool) {
        let index = (self.id % COUNT) as usize;
        let (begin, next) = match text {
            Err(lpos) => (lpos, lpos),
            Ok(text) => {
                let size = (WORD + text.len()).next_multiple_of(WORD) as u64;
                let begin = self.lpos;
                let mut next = begin.wrapping_add(size);
                let last = if exact_fit_stays { next.wrapping_sub(1) } else { next };
                let mut at = begin % TEXT;
                if begin / TEXT != last / TEXT {
                    next = next / TEXT * TEXT + size;
                    at = 0;
                }
                let at = at as usize;
                self.text[at..at + WORD].copy_from_slice(&self.id.to_le_bytes());
                self.text[at + WORD..at + WORD + text.len()].copy_from_slice(text.as_bytes());
                self.lpos = next;
                (begin, next)
            }
        };
        let desc = &mut self.descs[index * DESC..][..DESC];
        desc[..8].copy_from_slice(&(FINALIZED << 62 | self.id).to_le_bytes());
        desc[8..16].copy_from_slice(&begin.to_le_bytes());
        desc[16..].copy_from_slice(&next.to_le_bytes());
        let info = &mut self.infos[index * INFO..][..INFO];
        info.fill(0);
        info[..8].copy_from_slice(&seq.to_le_bytes());
        info[8..16].copy_from_slice(&(seq * 1_000).to_le_bytes());
        let length = text.map_or(0, str::len) as u16;
        info[16..18].copy_from_slice(&length.to_le_bytes());
        info[18] = 3;
        info[19] = 4 << 5 | LOG_CONT;
        info[20..24].copy_from_slice(&(1u32 << 31 | 5).to_le_bytes());
        info[24..27].copy_from_slice(b"pci");
        self.ring.head = self.id;
        self.id = self.id.wrapping_add(1) & ID_MASK;
    }

    /// Gives up all records before the last `keep`.
    fn keep(&mut self, keep: u64) {
        self.ring.tail = self.ring.head.wrapping_sub(keep - 1) & ID_MASK;
        for desc in self.descs.chunks_exact_mut(DESC) {
            let state = Numbers::default().number(desc, 0, 8);
            let age = self.ring.head.wrapping_sub(state & ID_MASK) & ID_MASK;
            if age >= keep {
                desc[..8].copy_from_slice(&(3 << 62 | state & ID_MASK).to_le_bytes());
            }
        }
    }

    fn finish(self) -> Ring {
        let descs = Span::of(self.descs);
        Ring { descs, infos: Span::of(self.infos), text: Span::of(self.text), ..self.ring }
    }
}

fn texts(log: &Log) -> Vec<&str> {
    log.records.iter().map(|record| record.text.as_str()).collect()
}

#[test]
fn a_record_has_all_its_parts() {
    let mut writer = Writer::new();
    writer.put(0, Ok("hello"), true);
    let log = writer.finish().log();
    let expected = Record {
        seq: 0,
        time_ns: Some(0),
        level: Some(4),
        facility: 3,
        caller: Some(Caller::Cpu(5)),
        continuation: true,
        text: "hello".into(),
        subsystem: Some("pci".into()),
        device: None,
        fault: None,
    };
    assert_eq!(log.records, [expected]);
    assert_eq!(log.errors, []);
}

#[test]
fn a_block_that_wraps_has_its_id_at_the_beginning() {
    let mut writer = Writer::new();
    for seq in 0..3 {
        writer.put(seq, Ok(&"x".repeat(72)), true);
    }
    writer.put(3, Ok("wrapped to the beginning"), true);
    writer.keep(2);
    let log = writer.finish().log();
    assert_eq!(texts(&log), [&"x".repeat(72), "wrapped to the beginning"]);
    assert_eq!(log.errors, []);
}

/// Kernels differ in what they do with a block that fits exactly: the newer leave it where it is,
/// the older ones move it to the beginning.
#[test]
fn a_block_that_ends_at_the_rings_end() {
    for stays in [true, false] {
        let mut writer = Writer::new();
        writer.put(0, Ok(&"a".repeat(120)), stays);
        writer.put(1, Ok(&"b".repeat(120)), stays);
        writer.keep(if stays { 2 } else { 1 });
        let log = writer.finish().log();
        let last = log.records.last().map(|record| record.text.as_str());
        assert_eq!(last, Some(&*"b".repeat(120)), "stays: {stays}");
        assert_eq!(log.errors, [], "stays: {stays}");
    }
}

/// Positions begin one ring below zero: the first block that ends at the ring's end ends at zero.
#[test]
fn positions_of_four_bytes() {
    let Writer { ring, mut infos, mut text, .. } = Writer::new();
    let numbers = Numbers::narrow();
    let layout = Layout { numbers, desc: 12, begin: 4, next: 8, ..ring.layout };
    let id = 0x3fff_fff8;
    let words = [2 << 30 | id, 0xffff_fff0, 0u32];
    let mut descs: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    descs.resize(12 * COUNT as usize, 0);
    infos[16] = 9;
    text[0xf0..0xf4].copy_from_slice(&id.to_le_bytes());
    text[0xf4..0xfd].copy_from_slice(b"last text");
    let (head, tail) = (id.into(), id.into());
    let (descs, infos, text) = (Span::of(descs), Span::of(infos), Span::of(text));
    let log = Ring { layout, head, tail, descs, infos, text, ..ring }.log();
    assert_eq!((texts(&log), log.errors.len()), (vec!["last text"], 0));
    assert_eq!(log.records[0].fault, None);
}

#[test]
fn records_without_text() {
    let mut writer = Writer::new();
    writer.put(0, Err(NO_LPOS), true);
    writer.put(1, Err(1), true);
    let log = writer.finish().log();
    assert_eq!((log.records[0].text.as_str(), &log.records[0].fault), ("", &None));
    assert!(matches!(log.records[1].fault, Some(Error::Absent { .. })));
}

#[test]
fn a_text_length_beyond_the_block_is_cut() {
    let mut writer = Writer::new();
    writer.put(0, Ok("12345678"), true);
    writer.infos[16..18].copy_from_slice(&500u16.to_le_bytes());
    assert_eq!(texts(&writer.finish().log()), ["12345678"]);
}

#[test]
fn head_and_tail_are_not_trusted() {
    let mut writer = Writer::new();
    for seq in 0..11 {
        writer.put(seq, Ok(&format!("message {seq}")), true);
    }
    writer.keep(8);
    let (head, tail) = (writer.ring.head, writer.ring.tail);
    for (head, tail) in [(head, tail), (0, 77), (u64::MAX, 0), (tail, head)] {
        writer.ring.head = head;
        writer.ring.tail = tail;
        let ring = Ring {
            descs: Span::of(writer.descs.clone()),
            infos: Span::of(writer.infos.clone()),
            text: Span::of(writer.text.clone()),
            layout: writer.ring.layout.clone(),
            ..writer.ring
        };
        let log = ring.log();
        let expected: Vec<_> = (3..11).map(|seq| format!("message {seq}")).collect();
        assert_eq!(texts(&log), expected);
    }
}

#[test]
fn damage_costs_one_record() {
    let mut writer = Writer::new();
    for seq in 0..4 {
        writer.put(seq, Ok(&format!("message {seq}")), true);
    }
    // The id of the second text block, the sequence number of the third.
    writer.text[24] ^= 0x55;
    writer.infos[2 * INFO] = 9;
    let mut ring = writer.finish();
    let log = ring.log();
    assert_eq!(texts(&log), ["message 0", "", "message 3"]);
    assert!(matches!(log.records[1].fault, Some(Error::Corrupt { .. })));
    assert_eq!(log.errors.len(), 1);
    // Infos that are not in the dump: the text stays, in its order.
    ring.infos.punch(0, INFO * COUNT as usize, Fault::kernel(0, Reason::Excluded));
    let log = ring.log();
    assert_eq!(texts(&log), ["message 0", "message 2", "message 3"]);
    assert!(log.records.iter().all(|record| record.time_ns.is_none()));
}

#[test]
fn text_alone_is_found_without_descriptors() {
    let mut writer = Writer::new();
    for seq in 0..3 {
        writer.put(seq, Ok(&format!("message number {seq}")), true);
    }
    let mut ring = writer.finish();
    ring.descs.punch(0, DESC * COUNT as usize, Fault::kernel(0, Reason::Excluded));
    let log = ring.log();
    assert_eq!(texts(&log), ["message number 0", "message number 1", "message number 2"]);
    assert!(!log.errors.is_empty());
}
