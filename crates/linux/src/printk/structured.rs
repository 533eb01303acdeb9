//! The ring of variable-length records, 3.5 to 5.9 (kernel/printk/printk.c): a header with its
//! length, the text, then a dictionary of `KEY=value` with NULs between.

use super::{Caller, LOG_CONT, Log, MAX_RING, Record, level_and_flags, offset, size};
use crate::{
    error::{Error, Result},
    kernel::Kernel,
    shape::Variable,
    shapes::PrintkLog,
    span::{Numbers, Span},
};

/// Sizes and offsets in bytes.
#[derive(Debug, Clone)]
struct Layout {
    numbers: Numbers,
    header: usize,
    time: usize,
    len: usize,
    text_len: usize,
    dict_len: usize,
    /// Facility and level in one 16-bit number (3.5), or facility, then a byte with five bits of
    /// flags and three of level.
    control: usize,
    level16: bool,
    caller: Option<usize>,
}

impl Layout {
    fn find(shape: &PrintkLog, numbers: Numbers) -> Result<Layout> {
        let dict_len = offset(&shape.dict_len)?;
        Ok(Layout {
            numbers,
            header: size(&shape.structure)?,
            time: offset(&shape.time)?,
            len: offset(&shape.len)?,
            text_len: offset(&shape.text_len)?,
            dict_len,
            // VMCOREINFO does not name it; it has always followed dict_len.
            control: dict_len + 2,
            level16: shape.level.exists() && !shape.facility.exists(),
            caller: offset(&shape.caller).ok(),
        })
    }
}

pub(super) fn read(kernel: &Kernel) -> Result<Log> {
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let variables = &shapes.log_variables;
    let layout = Layout::find(&shapes.printk_log, Numbers::of(target))?;
    let pointer = target.read_pointer(variables.buffer.address()?)?;
    let size = u64::from(target.read_u32(variables.buffer_len.address()?)?);
    if size == 0 || size > MAX_RING {
        return Err(Error::corrupt(format!("a log of {size} bytes")));
    }
    let index = |at: &Variable| Ok::<_, Error>(target.read_u32(at.address()?)? as usize);
    let seq = variables.first_seq.address().and_then(|at| Ok(target.read_u64(at)?));
    let buffer = Span::read(target, pointer, size);
    let (first, next) = (index(&variables.first_index)?, index(&variables.next_index)?);
    Ok(walk(&layout, &buffer, first, next, seq.unwrap_or_default()))
}

fn walk(layout: &Layout, buffer: &Span, first: usize, next: usize, first_seq: u64) -> Log {
    let mut log = Log::default();
    let mut at = first;
    let mut seq = first_seq;
    let mut wrapped = false;
    let length = |header: &[u8]| layout.numbers.number(header, layout.len, 2) as usize;
    while at != next {
        // A record of length 0, or no room for a header, says: go on at the beginning.
        let header = match buffer.get(at, layout.header) {
            Ok(Some(header)) if length(header) > 0 => header,
            Ok(_) if !wrapped => {
                wrapped = true;
                at = 0;
                continue;
            }
            Ok(_) => {
                log.errors.push(Error::corrupt(format!("the log runs past its end at {at:x}")));
                break;
            }
            Err(fault) => {
                log.errors.push(fault.into());
                break;
            }
        };
        let length = length(header);
        if length < layout.header || (wrapped && at >= first) {
            log.errors.push(Error::corrupt(format!("log record of {length} bytes at {at:x}")));
            break;
        }
        log.records.push(record(layout, buffer, at, header, seq));
        at += length;
        seq = seq.wrapping_add(1);
    }
    log
}

fn record(layout: &Layout, buffer: &Span, at: usize, header: &[u8], seq: u64) -> Record {
    let number = |at, size| layout.numbers.number(header, at, size);
    let (level, facility, flags) = if layout.level16 {
        let control = number(layout.control, 2) as u16;
        (control as u8 & 7, (control >> 3) as u8, 0)
    } else {
        let (level, flags) = level_and_flags(layout.numbers, number(layout.control + 1, 1) as u8);
        (level, number(layout.control, 1) as u8, flags)
    };
    let mut record = Record {
        seq,
        time_ns: Some(number(layout.time, 8)),
        level: Some(level),
        facility,
        caller: layout.caller.map(|at| Caller::from_id(number(at, 4) as u32)),
        continuation: flags & LOG_CONT != 0,
        ..Record::default()
    };
    let room = (number(layout.len, 2) as usize).saturating_sub(layout.header);
    let text_len = (number(layout.text_len, 2) as usize).min(room);
    let dict_len = (number(layout.dict_len, 2) as usize).min(room - text_len);
    match buffer.get(at + layout.header, text_len + dict_len) {
        Ok(Some(bytes)) => {
            let (text, dict) = bytes.split_at(text_len);
            record.text = String::from_utf8_lossy(text).into_owned();
            for entry in dict.split(|&byte| byte == 0) {
                let entry = String::from_utf8_lossy(entry);
                match entry.split_once('=') {
                    Some(("SUBSYSTEM", value)) => record.subsystem = Some(value.into()),
                    Some(("DEVICE", value)) => record.device = Some(value.into()),
                    _ => {}
                }
            }
        }
        Ok(None) => record.fault = Some(Error::corrupt(format!("log record at {at:x} is cut"))),
        Err(fault) => record.fault = Some(fault.into()),
    }
    record
}

#[cfg(test)]
mod tests {
    use necropsy_dump::{Fault, Reason};

    use super::*;

    fn layout() -> Layout {
        Layout {
            numbers: Numbers::default(),
            header: 16,
            time: 0,
            len: 8,
            text_len: 10,
            dict_len: 12,
            control: 14,
            level16: false,
            caller: None,
        }
    }

    fn entry(time: u64, level: u8, text: &str, dict: &str) -> Vec<u8> {
        let mut bytes = time.to_le_bytes().to_vec();
        let length = (16 + text.len() + dict.len()).next_multiple_of(8);
        for number in [length, text.len(), dict.len()] {
            bytes.extend((number as u16).to_le_bytes());
        }
        bytes.extend([0, level << 5]);
        bytes.extend(text.bytes());
        bytes.extend(dict.bytes());
        bytes.resize(length, 0xee);
        bytes
    }

    fn texts(log: &Log) -> Vec<&str> {
        log.records.iter().map(|record| record.text.as_str()).collect()
    }

    #[test]
    fn records_and_dictionary() {
        let mut bytes = entry(1_000, 6, "one", "SUBSYSTEM=pci\0DEVICE=+pci:0000:00:01.0");
        bytes.extend(entry(2_000, 3, "two\nlines", ""));
        let end = bytes.len();
        bytes.resize(256, 0);
        let log = walk(&layout(), &Span::of(bytes), 0, end, 7);
        assert_eq!(texts(&log), ["one", "two\nlines"]);
        assert_eq!(log.records[0].subsystem.as_deref(), Some("pci"));
        assert_eq!(log.records[0].device.as_deref(), Some("+pci:0000:00:01.0"));
        assert_eq!((log.records[1].seq, log.records[1].level), (8, Some(3)));
        assert_eq!(log.records[1].time_ns, Some(2_000));
        assert!(log.errors.is_empty());
    }

    #[test]
    fn goes_on_at_the_beginning_after_a_record_of_length_0() {
        let newest = entry(3, 6, "newest", "");
        let mut bytes = newest.clone();
        bytes.resize(64, 0xff);
        bytes.extend(entry(1, 6, "oldest", ""));
        bytes.extend([0; 16]);
        let log = walk(&layout(), &Span::of(bytes), 64, newest.len(), 0);
        assert_eq!(texts(&log), ["oldest", "newest"]);
        assert!(log.errors.is_empty());
    }

    #[test]
    fn ends_on_damage() {
        let mut bytes = entry(1, 6, "good", "");
        let second = bytes.len();
        bytes.extend(entry(2, 6, "bad", ""));
        bytes[second + 8] = 3;
        bytes.resize(128, 0);
        let log = walk(&layout(), &Span::of(bytes.clone()), 0, 4096, 0);
        assert_eq!(texts(&log), ["good"]);
        assert_eq!(log.errors.len(), 1);
        // Zeros to the end and an index that is never met: once around, then it is over.
        bytes[second..].fill(0);
        let log = walk(&layout(), &Span::of(bytes.clone()), 0, 99, 0);
        assert_eq!(log.errors.len(), 1);
        let mut holed = Span::of(bytes);
        holed.punch(second, 128, Fault::kernel(0, Reason::Excluded));
        let log = walk(&layout(), &holed, 0, 99, 0);
        assert_eq!(texts(&log), ["good"]);
        assert!(matches!(log.errors[..], [Error::Fault(..)]));
    }
}
