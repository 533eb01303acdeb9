//! What a register's value is, in words.

use necropsy_linux::{Kernel, task::Task};

/// Patterns that the kernel writes on purpose (include/linux/poison.h).
const POISONS: [(u64, &str); 7] = [
    (0x6b6b_6b6b_6b6b_6b6b, "freed slab object (POISON_FREE)"),
    (0x5a5a_5a5a_5a5a_5a5a, "slab memory never written (POISON_INUSE)"),
    (0xa5a5_a5a5_a5a5_a5a5, "end of a poisoned object (POISON_END)"),
    (0xdead_0000_0000_0100, "LIST_POISON1: next of a deleted list entry"),
    (0xdead_0000_0000_0122, "LIST_POISON2: prev of a deleted list entry"),
    (0xdead_4ead, "SPINLOCK_MAGIC"),
    (0x57ac_6e9d, "STACK_END_MAGIC"),
];

/// What a value is; empty for a plain number.
pub(crate) fn of(kernel: &Kernel, task: Task<'_>, value: u64) -> String {
    if value == 0 {
        return "NULL".into();
    }
    if let Some((_, text)) = POISONS.iter().find(|(pattern, _)| *pattern == value) {
        return (*text).into();
    }
    const MAX_ERRNO: u64 = 4095;
    if value >= MAX_ERRNO.wrapping_neg() {
        let number = value.wrapping_neg();
        return match necropsy_oops::errno(number) {
            Some(name) => format!("-{number} ({name})"),
            None => format!("-{number}"),
        };
    }
    if let Some(identity) = kernel.identify(value, &[task]) {
        return identity.to_string();
    }
    if let Some(text) = ascii(value) {
        return format!("text {text:?}");
    }
    match value {
        0..4096 => String::new(),
        0x1_0000..0x8000_0000_0000 if value > 0xffff_ffff => "user address".into(),
        0x0000_8000_0000_0000..0xffff_8000_0000_0000 => "not a canonical address".into(),
        _ => String::new(),
    }
}

/// Eight printable characters, the first in the lowest byte.
fn ascii(value: u64) -> Option<String> {
    let bytes = value.to_le_bytes();
    let text = bytes.iter().rposition(|&b| b != 0).map(|last| &bytes[..=last])?;
    let printable = text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    (printable && text.len() >= 5).then(|| text.iter().map(|&b| char::from(b)).collect())
}
