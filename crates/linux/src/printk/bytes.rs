//! The plain ring of text before 3.5 (kernel/printk.c): lines as they went to the console,
//! `<level>` and, with CONFIG_PRINTK_TIME, `[seconds]` in front of each.

use super::{Log, MAX_RING, Record};
use crate::{
    error::{Error, Result},
    kernel::Kernel,
    span::Span,
};

pub(super) fn read(kernel: &Kernel) -> Result<Log> {
    let (target, variables) = (kernel.target(), &kernel.shapes().log_variables);
    let pointer = target.read_pointer(variables.buffer.address()?)?;
    let size = u64::from(target.read_u32(variables.buffer_len.address()?)?);
    if !size.is_power_of_two() || size > MAX_RING {
        return Err(Error::corrupt(format!("a log of {size} bytes")));
    }
    // How many bytes were ever written. It was 64 bits wide before 2.6.25; the low half serves.
    let end = u64::from(target.read_u32(variables.end.address()?)?);
    let buffer = Span::read(target, pointer, size);
    let mut log = lines(buffer.sparse(), end);
    log.errors.extend(buffer.holes().iter().map(|hole| Error::from(hole.2)));
    Ok(log)
}

fn lines(ring: &[u8], end: u64) -> Log {
    let size = ring.len() as u64;
    let split = (end % size.max(1)) as usize;
    let older = if end < size { &[] } else { &ring[split..] };
    let text: Vec<u8> =
        older.iter().chain(&ring[..split]).copied().filter(|byte| *byte != 0).collect();
    let text = String::from_utf8_lossy(&text);
    let records = (0..).zip(text.lines()).map(|(seq, line)| record(seq, line)).collect();
    Log { records, errors: Vec::new() }
}

fn record(seq: u64, line: &str) -> Record {
    let priority = line
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest)));
    let (priority, rest) = match priority {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    };
    let (time_ns, text) = match time(rest) {
        Some((time, text)) => (Some(time), text),
        None => (None, rest),
    };
    Record {
        seq,
        time_ns,
        level: priority.map(|priority| priority & 7),
        facility: priority.unwrap_or(0) >> 3,
        text: text.to_owned(),
        ..Record::default()
    }
}

/// `[   12.345678] text`
fn time(line: &str) -> Option<(u64, &str)> {
    let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
    let (seconds, micros) = time.trim_start().split_once('.')?;
    if micros.len() != 6 {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    let micros: u64 = micros.parse().ok()?;
    Some((seconds.checked_mul(1_000_000_000)?.checked_add(micros * 1_000)?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_ring_that_has_gone_round() {
        let text = b"<6>[    1.500000] wrapped\n<0>no time\nplain";
        let mut ring = vec![0; 64];
        // The newest byte is at offset 9: what was written ends there.
        let end = 64 + 10u64;
        for (back, byte) in text.iter().rev().enumerate() {
            ring[((end as usize) - 1 - back) % 64] = *byte;
        }
        let log = lines(&ring, end);
        let [first, second, third] = &log.records[..] else { panic!("{log:?}") };
        assert_eq!((first.time_ns, first.level), (Some(1_500_000_000), Some(6)));
        assert_eq!(first.text, "wrapped");
        assert_eq!(
            (second.time_ns, second.level, second.text.as_str()),
            (None, Some(0), "no time")
        );
        assert_eq!((third.level, third.text.as_str()), (None, "plain"));
    }

    #[test]
    fn a_bracket_is_not_always_a_time() {
        assert_eq!(record(0, "[drm] Initialized").text, "[drm] Initialized");
        assert_eq!(record(0, "<7>[ab] <x>").text, "[ab] <x>");
        assert_eq!(record(0, "[99999999999999999999.000000] x").time_ns, None);
        assert_eq!(lines(&[], 5).records.len(), 0);
    }
}
