//! What arm64 code looks like, as far as the unwinder needs to know it.

use crate::Target;

fn instruction(target: &Target, address: u64) -> Option<u32> {
    // Instructions are little-endian on any kernel.
    target.read_array(address).ok().map(u32::from_le_bytes)
}

/// Bytes from an instruction to where it branches, by a field of `bits` bits from bit `at` on.
fn distance(word: u32, at: u32, bits: u32) -> i64 {
    let field = i64::from(word >> at) << (64 - bits);
    field >> (64 - bits) << 2
}

/// Where the `bl` before `pc` leads, if there is one.
pub(super) fn direct_call(target: &Target, pc: u64) -> Option<u64> {
    if !target.is_text(pc) {
        return None;
    }
    let at = pc.wrapping_sub(4);
    let word = instruction(target, at)?;
    (word >> 26 == 0b10_0101).then(|| at.wrapping_add_signed(distance(word, 0, 26)))
}

/// Whether the instruction before `pc` could be a call: `bl`, `blr`, or `blr` with authentication.
pub(super) fn follows_call(target: &Target, pc: u64) -> bool {
    let pc = target.architecture().code_address(target.layout(), pc);
    if !pc.is_multiple_of(4) || !target.is_text(pc) {
        return false;
    }
    let Some(word) = instruction(target, pc.wrapping_sub(4)) else { return false };
    word >> 26 == 0b10_0101 || word & 0xfeff_f000 == 0xd63f_0000
}

/// The most instructions of a function that are looked at.
const LONGEST: usize = 1 << 16;

/// What an instruction does to the frame record that x29 leads to.
fn record(word: u32, own: bool) -> bool {
    // `mov x29, sp` or `add x29, sp, #n`: x29 leads to the function's own.
    if word & 0xff80_03ff == 0x9100_03fd {
        return true;
    }
    // `ldp x29, x30, …`: to the caller's again.
    let pair = word & 0x7fff;
    if matches!(word & 0xffc0_0000, 0xa8c0_0000 | 0xa940_0000)
        && pair & 0x1f == 29
        && pair >> 10 == 30
    {
        return false;
    }
    own
}

/// Whether x29 leads to the frame record of the function at `pc`, and not to its caller's: the way
/// from the function's first instruction is followed through all branches. `None` when no way is
/// found.
pub(super) fn has_record(target: &Target, pc: u64) -> Option<bool> {
    let start = target.locate(pc)?.symbol.address;
    let count = usize::try_from(pc.wrapping_sub(start) / 4).ok().filter(|n| *n < LONGEST)?;
    if count == 0 {
        return Some(false);
    }
    // A branch forward may come back from behind `pc`: as much again is looked at.
    let length = (count * 2 + 64).min(LONGEST);
    let mut bytes = vec![0; length * 4];
    while !bytes.is_empty() && target.read(start, &mut bytes).is_err() {
        bytes.truncate((bytes.len() / 2) & !3);
    }
    let words: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect();
    let mut seen = vec![[false; 2]; words.len()];
    let mut work = vec![(0usize, false)];
    while let Some((mut at, mut own)) = work.pop() {
        while let Some(word) = words.get(at).copied() {
            if std::mem::replace(&mut seen[at][usize::from(own)], true) {
                break;
            }
            if at == count {
                break;
            }
            let to = |bytes: i64| usize::try_from(at as i64 + (bytes >> 2)).ok();
            own = record(word, own);
            if word >> 26 == 0b00_0101 {
                match to(distance(word, 0, 26)) {
                    Some(next) => at = next,
                    None => break,
                }
                continue;
            }
            let conditional =
                if word & 0xff00_0000 == 0x5400_0000 || word & 0x7e00_0000 == 0x3400_0000 {
                    Some(distance(word, 5, 19))
                } else if word & 0x7e00_0000 == 0x3600_0000 {
                    Some(distance(word, 5, 14))
                } else {
                    None
                };
            if let Some(next) = conditional.and_then(to) {
                work.push((next, own));
            }
            // `br`, `ret`, `eret`, `brk`, `udf`: it does not go on behind.
            let ends = word & 0xfe9f_f000 == 0xd61f_0000 && word & 0x0060_0000 != 0x0020_0000
                || word & 0xfffe_0000 == 0xd69e_0000
                || word & 0xffe0_001f == 0xd420_0000
                || word >> 16 == 0;
            if ends {
                break;
            }
            at += 1;
        }
    }
    match *seen.get(count)? {
        [false, false] => {
            // Reached by a table of jumps only: as the code stands there.
            Some(words[..count].iter().fold(false, |own, word| record(*word, own)))
        }
        [_, own] => Some(own),
    }
}
