//! What a value is, told from its bits alone: a pattern that the kernel writes on purpose, an
//! error number as a pointer, text, another value with one bit flipped.

use std::fmt;

/// A pattern that the kernel or its allocators write into memory that nobody should use.
#[derive(Debug, PartialEq, Eq)]
pub struct Poison {
    /// The pattern, as wide as a pointer of 64 bits unless it is a magic number of 32.
    pub value: u64,
    /// Its name in the kernel.
    pub name: &'static str,
    /// What it says of the memory that it was found in, with its name.
    pub words: &'static str,
    /// Which kind of memory holds it.
    pub kind: PoisonKind,
}

/// What a poison pattern says of the memory that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoisonKind {
    /// It was freed.
    Freed,
    /// It was handed out and never written.
    NeverWritten,
    /// It lies around an object, and is nobody's.
    RedZone,
    /// An entry that was deleted from its list.
    Deleted,
    /// A magic number of something that is alive.
    Magic,
    /// A pattern without a certain meaning.
    Pattern,
}

macro_rules! poisons {
    ($($value:literal $kind:ident $name:literal: $words:literal;)*) => {
        &[$(Poison { value: $value, name: $name, words: $words, kind: PoisonKind::$kind },)*]
    };
}

/// Patterns of 64-bit kernels (include/linux/poison.h, include/linux/spinlock_types.h,
/// include/uapi/linux/magic.h).
pub static POISONS: &[Poison] = poisons! {
    0x6b6b_6b6b_6b6b_6b6b Freed "POISON_FREE": "freed slab object (POISON_FREE)";
    0x6b6b_6b6b_6b6b_6ba5 Freed "POISON_END": "end of a freed slab object (POISON_END)";
    0xa56b_6b6b_6b6b_6b6b Freed "POISON_END": "end of a freed slab object (POISON_END)";
    0x5a5a_5a5a_5a5a_5a5a NeverWritten "POISON_INUSE": "slab memory never written (POISON_INUSE)";
    0xa5a5_a5a5_a5a5_a5a5 Freed "POISON_END": "end marker of slab poison (POISON_END)";
    0xbbbb_bbbb_bbbb_bbbb RedZone "SLUB_RED_INACTIVE": "slab red zone, inactive (SLUB_RED_INACTIVE)";
    0xcccc_cccc_cccc_cccc RedZone "SLUB_RED_ACTIVE": "slab red zone, active, or freed init memory";
    0xaaaa_aaaa_aaaa_aaaa Freed "PAGE_POISON": "freed page (PAGE_POISON)";
    0xfefe_fefe_fefe_fefe NeverWritten "0xfe": "stack or memory filled by the compiler";
    0xdead_0000_0000_0100 Deleted "LIST_POISON1": "LIST_POISON1: next pointer of a deleted list entry";
    0xdead_0000_0000_0122 Deleted "LIST_POISON2": "LIST_POISON2: prev pointer of a deleted list entry";
    0xdead_0000_0000_0200 Deleted "LIST_POISON2": "LIST_POISON2 of kernels before 4.9";
    0xdead_4ead Magic "SPINLOCK_MAGIC": "SPINLOCK_MAGIC";
    0xdead_4eac Magic "lock magic": "mutex or lock magic";
    0x57ac_6e9d Magic "STACK_END_MAGIC": "STACK_END_MAGIC";
    0x5555_5555_5555_5555 Pattern "0x55": "bit pattern 0101…";
};

/// Patterns of 32-bit kernels, whose list poison has no offset (CONFIG_ILLEGAL_POINTER_VALUE).
pub static POISONS_32: &[Poison] = poisons! {
    0x6b6b_6b6b Freed "POISON_FREE": "freed slab object (POISON_FREE)";
    0x5a5a_5a5a NeverWritten "POISON_INUSE": "slab memory never written (POISON_INUSE)";
    0x0000_0100 Deleted "LIST_POISON1": "LIST_POISON1: next pointer of a deleted list entry";
    0x0000_0122 Deleted "LIST_POISON2": "LIST_POISON2: prev pointer of a deleted list entry";
    0x0000_0200 Deleted "LIST_POISON2": "LIST_POISON2 of kernels before 4.9";
    0xdead_4ead Magic "SPINLOCK_MAGIC": "SPINLOCK_MAGIC";
};

fn table(wide: bool) -> &'static [Poison] {
    if wide { POISONS } else { POISONS_32 }
}

/// The pattern that a value is; `wide`: of a kernel with pointers of 64 bits.
pub fn poison(value: u64, wide: bool) -> Option<&'static Poison> {
    table(wide).iter().find(|poison| poison.value == value)
}

/// How far from a pattern a value is still taken for a member's address, in bytes.
const NEAR: u64 = 0x1000;

/// A pattern that a value is, or lies near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearPoison {
    /// The pattern.
    pub poison: &'static Poison,
    /// By how much the value is above it, in bytes.
    pub by: i64,
}

/// The pattern that a value is or lies near: a member's address, made of a pointer that was such a
/// pattern. Nearness counts for pointers of 64 bits only, where it is no accident.
pub fn near_poison(value: u64, wide: bool) -> Option<NearPoison> {
    if let Some(poison) = poison(value, wide) {
        return Some(NearPoison { poison, by: 0 });
    }
    let near = |poison: &&Poison| {
        wide && poison.value > u64::from(u32::MAX) && value.abs_diff(poison.value) < NEAR
    };
    let poison = POISONS.iter().find(near)?;
    Some(NearPoison { poison, by: value.wrapping_sub(poison.value) as i64 })
}

impl fmt::Display for NearPoison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.poison.words)?;
        match self.by {
            0 => Ok(()),
            1.. => write!(f, " + {:#x}", self.by),
            _ => write!(f, " - {:#x}", self.by.unsigned_abs()),
        }
    }
}

/// The largest error number that a pointer can stand for (include/linux/err.h).
pub const MAX_ERRNO: u64 = 4095;

/// Error numbers by name (include/uapi/asm-generic/errno*.h, include/linux/errno.h).
const ERRNO: &str = include_str!("errno.txt");

/// The name of an error number: `EINVAL` of 22.
pub fn errno(number: u64) -> Option<&'static str> {
    ERRNO.lines().find_map(|line| {
        let (value, name) = line.split_once(' ')?;
        (value.parse() == Ok(number)).then_some(name)
    })
}

/// The error number that a pointer stands for (ERR_PTR): 22 of `-22`. `wide`: of 64 bits.
pub fn error_number(value: u64, wide: bool) -> Option<u64> {
    let top = if wide { u64::MAX } else { u32::MAX.into() };
    (value <= top && value > top - MAX_ERRNO).then(|| top - value + 1)
}

/// The bytes of a value up to its last one that is not 0, the first in memory first, if all of
/// them are printable.
pub fn printable(value: u64, size: usize) -> Option<String> {
    let bytes = value.to_le_bytes();
    let bytes = bytes.get(..size.min(8))?;
    let used = bytes.iter().rposition(|byte| *byte != 0)? + 1;
    let text = bytes.get(..used)?;
    let printable = text.iter().all(|byte| (0x20..0x7f).contains(byte));
    printable.then(|| text.iter().map(|byte| char::from(*byte)).collect())
}

/// The bit that two values differ by, if it is only one.
pub fn flipped_bit(value: u64, other: u64) -> Option<u32> {
    let differ = value ^ other;
    differ.is_power_of_two().then(|| differ.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_and_what_lies_near_them() {
        assert_eq!(poison(0xdead_0000_0000_0100, true).map(|p| p.name), Some("LIST_POISON1"));
        assert_eq!(poison(0x100, true), None);
        assert_eq!(poison(0x100, false).map(|p| p.kind), Some(PoisonKind::Deleted));
        let near = |value| near_poison(value, true).map(|near| near.to_string());
        let freed = "freed slab object (POISON_FREE)";
        assert_eq!(near(0x6b6b_6b6b_6b6b_6b6b).as_deref(), Some(freed));
        assert_eq!(near(0x6b6b_6b6b_6b6b_6b7b), Some(format!("{freed} + 0x10")));
        assert_eq!(near(0xdead_4ead + 8), None);
        assert_eq!(near_poison(0x6b6b_6b7b, false), None);
    }

    #[test]
    fn error_pointers() {
        assert_eq!(error_number(-22i64 as u64, true).and_then(errno), Some("EINVAL"));
        assert_eq!(error_number(u64::MAX, true), Some(1));
        assert_eq!(error_number((-4095i64) as u64, true), Some(4095));
        assert_eq!(error_number((-4096i64) as u64, true), None);
        assert_eq!(error_number(0xffff_fff4, false), Some(12));
        assert_eq!(error_number(u64::MAX, false), None);
    }

    #[test]
    fn text_and_bits() {
        assert_eq!(printable(0x006f_6c6c_6568, 8).as_deref(), Some("hello"));
        assert_eq!(printable(0x006f_006c_6568, 8), None);
        assert_eq!(printable(0, 8), None);
        assert_eq!(flipped_bit(0x2f, 0x0f), Some(5));
        assert_eq!(flipped_bit(0x2f, 0x5c), None);
        assert_eq!(flipped_bit(7, 7), None);
    }
}
