//! The report of a text alone: a console's log in place of a dump.

use std::{fs::File, io::Read, path::Path};

use necropsy_diagnose::facts::Facts;
use necropsy_oops::{Options, reports};

/// A log is read as far as this, in bytes: more than any console keeps.
const LARGEST: u64 = 256 << 20;
/// So much of a file tells whether it is text.
const HEAD: u64 = 4096;

/// What a file of text tells; `None` if it is none, or neither tells of trouble nor is a kernel's
/// log.
pub(super) fn of(path: &Path) -> Option<Facts> {
    let mut file = File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut bytes).ok()?;
    if bytes.is_empty() || bytes.contains(&0) {
        return None;
    }
    let log = bytes.split(|byte| *byte == b'\n').any(is_stamped);
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    let found = reports(&bytes, &Options::default());
    (log || !found.is_empty()).then(|| Facts::of_text(&found))
}

/// Whether a line has the kernel's time stamp: `[    3.159177] …`.
fn is_stamped(line: &[u8]) -> bool {
    let Some((stamp, _)) = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.trim_start().strip_prefix('[')?.split_once(']'))
    else {
        return false;
    };
    let seconds = stamp.trim_start().split_once('.');
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    seconds.is_some_and(|(whole, part)| number(whole) && part.len() == 6 && number(part))
}

#[cfg(test)]
mod tests {
    use super::is_stamped;

    #[test]
    fn stamps() {
        assert!(is_stamped(b"[    3.159177] CR2: ffff8e98ca801000"));
        assert!(is_stamped(b"[12345.159177] x"));
        assert!(!is_stamped(b"[note] 3.1"));
        assert!(!is_stamped(b"root:x:0:0:root:/root:/bin/bash"));
    }
}
