//! The exception table: instructions that may fault, and where the kernel goes on if they do
//! (asm/extable.h; sorted by address of the instruction).

use necropsy_dump::Read;

use super::source::Fixup;
use crate::Target;

/// More entries than any kernel has.
const MAX_ENTRIES: u64 = 1 << 17;

/// The most entries that are looked at for one function.
const MAX_FOUND: usize = 1024;

/// The entries of vmlinux for code from `start` to `end`. Modules keep tables of their own, which
/// only those who know `struct module` find. Where the table cannot be read, a function has ways that are
/// not known.
pub(super) fn within(target: &Target, start: u64, end: u64) -> Read<Vec<Fixup>> {
    let mut found = Vec::new();
    let (Some(first), Some(last)) =
        (target.address_of("__start___ex_table"), target.address_of("__stop___ex_table"))
    else {
        return Ok(found);
    };
    // 12 bytes since 4.6, 8 before: two or three 32-bit words, the first ones relative to
    // themselves.
    let size = target
        .struct_size("exception_table_entry")
        .filter(|size| matches!(size, 8 | 12))
        .unwrap_or(12);
    let count = last.saturating_sub(first) / size;
    if count == 0 || count > MAX_ENTRIES {
        return Ok(found);
    }
    let relative = |at: u64| {
        let offset = target.read_u32(at)? as i32;
        Ok(at.wrapping_add_signed(offset.into()))
    };
    let instruction = |index: u64| relative(first + index * size);
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        match instruction(middle)? {
            at if at < start => low = middle + 1,
            _ => high = middle,
        }
    }
    for index in (low..count).take(MAX_FOUND) {
        let entry = first + index * size;
        let at = relative(entry)?;
        if !(start..end).contains(&at) {
            break;
        }
        let to = relative(entry + 4)?;
        let data = if size == 12 { target.read_u32(entry + 8)? } else { 0 };
        found.push(Fixup { at, to, register: target.architecture().fixup_register(data) });
    }
    Ok(found)
}
