//! Taint flags (`kernel/panic.c`).

use crate::report::Taint;

const FLAGS: &[(char, Option<u8>, &str)] = &[
    ('P', Some(0), "proprietary module loaded"),
    ('F', Some(1), "module loaded by force"),
    ('S', Some(2), "processor out of specification"),
    ('R', Some(3), "module unloaded by force"),
    ('M', Some(4), "machine check happened"),
    ('B', Some(5), "bad page found"),
    ('U', Some(6), "set by the user"),
    ('D', Some(7), "kernel died before (oops or BUG)"),
    ('A', Some(8), "ACPI table overridden"),
    ('W', Some(9), "warning issued before"),
    ('C', Some(10), "staging driver loaded"),
    ('I', Some(11), "firmware bug worked around"),
    ('O', Some(12), "out-of-tree module loaded"),
    ('E', Some(13), "unsigned module loaded"),
    ('L', Some(14), "soft lockup happened"),
    ('K', Some(15), "kernel live-patched"),
    ('X', Some(16), "auxiliary taint of the distribution"),
    ('T', Some(17), "structure layout randomised"),
    ('N', Some(18), "test run in the kernel"),
    ('J', Some(19), "firmware control used (fwctl)"),
    ('H', None, "hardware or distribution flag"),
];

/// The flag behind a letter; none for `G`, which says that `P` is clear.
pub(crate) fn flag(letter: char) -> Option<Taint> {
    if letter == 'G' {
        return None;
    }
    let known = FLAGS.iter().find(|(known, ..)| *known == letter);
    Some(match known {
        Some((letter, bit, meaning)) => Taint { letter: *letter, bit: *bit, meaning },
        None => Taint { letter, bit: None, meaning: "flag of a distribution" },
    })
}

/// All flags of a `Tainted:` text.
pub(crate) fn flags(text: &str) -> Vec<Taint> {
    // i386 before 2.6.28 has `VLI` behind the flags: code lines may be of any length
    let text = text.trim_end();
    let text = text.strip_suffix("VLI").unwrap_or(text);
    text.chars().filter(char::is_ascii_uppercase).filter_map(flag).collect()
}
