//! Finding the tables in a kernel's read-only data when nothing says where they are: Linux before
//! 6.0 does not export their addresses, and a dump may come without VMCOREINFO.
//!
//! The order of the tables in memory, each aligned to 8 bytes (4 for some since 6.x):
//! - until 6.3: offsets, relative_base (or addresses), num_syms, names, markers,
//!   (6.2: seqs_of_names,) token_table, token_index;
//! - later: num_syms, names, markers, token_table, token_index, offsets, relative_base (until
//!   6.19), seqs_of_names.
//!
//! The token table is unmistakable, since the characters that symbols are made of are tokens of
//! themselves; the others are found from there.

use memchr::memmem;

use super::{Addresses, Encoding, KallsymsTables, MAX_SYMBOLS};
use crate::bytes::{byte, u16_le, u32_le, u64_le};

/// Tokens `0` to `9`, which every kernel has at these numbers.
const DIGITS: &[u8] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";

/// Names between two markers.
const PER_MARKER: u32 = 256;

/// Most bytes between two markers: 256 names of the greatest length.
const MAX_STRIDE: u32 = PER_MARKER * 514;

/// Places that look like markers and are followed up.
const MAX_CANDIDATES: usize = 16;

/// No symbol is further from the tables than that, in bytes: offsets have 32 bits.
const KERNEL_SPAN: u64 = 1 << 31;

/// Searches pieces of the kernel's read-only data, each with its virtual address, for the tables
/// of kallsyms. They must lie within one piece.
pub fn find_kallsyms(region: &[(u64, &[u8])]) -> Option<KallsymsTables> {
    region.iter().find_map(|&(address, data)| {
        // From here on positions are aligned as addresses are.
        let skip = address.wrapping_neg() % 8;
        let (address, data) = (address.wrapping_add(skip), data.get(skip as usize..)?);
        memmem::find_iter(data, DIGITS).find_map(|digits| find_around(address, data, digits))
    })
}

fn align(at: usize, to: usize) -> usize {
    at.next_multiple_of(to)
}

fn find_around(address: u64, data: &[u8], digits: usize) -> Option<KallsymsTables> {
    let (token_table, token_index) = find_tokens(data, digits)?;
    let va = |at: usize| address.wrapping_add(at as u64);
    let (markers, num_syms, names) = find_markers(data, token_table)
        .take(MAX_CANDIDATES)
        .find_map(|at| find_names(data, at, token_table).map(|(num, names)| (at, num, names)))?;
    let count = u32_le(data, num_syms)? as usize;
    let mut tables = KallsymsTables {
        names: va(names),
        num_syms: va(num_syms),
        token_table: va(token_table),
        token_index: va(token_index),
        markers: Some(va(markers)),
        ..KallsymsTables::default()
    };
    let places = addresses_before(num_syms, count)
        .into_iter()
        .chain(addresses_after(token_index, count))
        .flatten();
    let best = places
        .filter_map(|place| Some((place.disorder(address, data, count)?, place)))
        .min_by_key(|(disorder, _)| *disorder)
        .filter(|(disorder, _)| *disorder <= count / 8)?;
    match best.1 {
        Place::Offsets { offsets, relative_base } => {
            tables.offsets = Some(va(offsets));
            tables.relative_base = relative_base.map(va);
        }
        Place::Addresses(addresses) => tables.addresses = Some(va(addresses)),
    }
    Some(tables)
}

/// The starts of token table and index around the digits: the index, 256 ascending 16-bit
/// offsets, follows the table and must say what the table holds.
fn find_tokens(data: &[u8], digits: usize) -> Option<(usize, usize)> {
    let mut end = digits;
    for _ in usize::from(b'0')..256 {
        end += memchr::memchr(0, data.get(end..end.checked_add(1024)?.min(data.len()))?)? + 1;
    }
    [2, 4, 8].into_iter().map(|to| align(end, to)).find_map(|index| {
        let offset = |number: usize| u16_le(data, index + number * 2).map(usize::from);
        let table = digits.checked_sub(offset(b'0'.into())?)?;
        let mut at = table;
        for number in 0..256 {
            if offset(number)? != at - table {
                return None;
            }
            at += memchr::memchr(0, data.get(at..end)?)? + 1;
        }
        Some((table, index))
    })
}

/// Where the markers before `before` may start, the nearest first: at zero words that ascending
/// words with plausible distances follow.
fn find_markers(data: &[u8], before: usize) -> impl Iterator<Item = usize> {
    let nearest = before / 4 * 4;
    let lowest = nearest.saturating_sub(MAX_SYMBOLS as usize * 4);
    (lowest..nearest)
        .step_by(4)
        .rev()
        .filter(move |&at| u32_le(data, at) == Some(0) && marker_run(data, at, before) >= 4)
}

/// How many words from `at` on look like markers.
fn marker_run(data: &[u8], at: usize, before: usize) -> u32 {
    let mut run = 1;
    let mut last = 0;
    for at in (at + 4..before.saturating_sub(3)).step_by(4) {
        match u32_le(data, at) {
            Some(word) if word > last && (PER_MARKER * 2..=MAX_STRIDE).contains(&(word - last)) => {
                last = word;
                run += 1;
            }
            _ => break,
        }
    }
    run
}

/// Positions of the number of symbols and of the names, which end before the markers: the place
/// from which 256 names lead to the second marker, with a fitting number right before it.
fn find_names(data: &[u8], markers: usize, before: usize) -> Option<(usize, usize)> {
    let run = marker_run(data, markers, before);
    let second = u32_le(data, markers + 4)? as usize;
    // What follows the markers may look like one more.
    for run in [run, run - 1] {
        let last = u32_le(data, markers + (run as usize - 1) * 4)? as usize;
        let highest = markers.checked_sub(last)? / 4 * 4;
        let lowest = highest.saturating_sub(MAX_STRIDE as usize);
        let found = (lowest..highest + 1).step_by(4).rev().find_map(|names| {
            let num_syms =
                [8, 4].into_iter().filter_map(|back| names.checked_sub(back)).find(|&at| {
                    u32_le(data, at)
                        .is_some_and(|n| n <= MAX_SYMBOLS && n.div_ceil(PER_MARKER) == run)
                })?;
            let walked = |two_bytes| skip_names(data, names, two_bytes) == Some(names + second);
            (walked(true) || walked(false)).then_some((num_syms, names))
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Where the 256 names at `at` end.
fn skip_names(data: &[u8], mut at: usize, two_bytes: bool) -> Option<usize> {
    for _ in 0..PER_MARKER {
        let first = usize::from(byte(data, at)?);
        at += if two_bytes && first & 0x80 != 0 {
            2 + (first & 0x7f | usize::from(byte(data, at + 1)?) << 7)
        } else {
            1 + first
        };
    }
    Some(at)
}

/// Where addresses may be stored, as positions in the data.
enum Place {
    Offsets { offsets: usize, relative_base: Option<usize> },
    Addresses(usize),
}

impl Place {
    /// How badly the table is sorted in the best encoding; `None` if it is not within the data.
    fn disorder(&self, address: u64, data: &[u8], count: usize) -> Option<usize> {
        let (at, width, base, encodings): (_, _, _, &[Encoding]) = match *self {
            Place::Addresses(at) => (at, 8, 0, &[Encoding::Absolute]),
            Place::Offsets { offsets, relative_base: Some(at) } => {
                let base = u64_le(data, at).filter(|&base| address.abs_diff(base) < KERNEL_SPAN)?;
                (offsets, 4, base, &[Encoding::AbsolutePercpu, Encoding::BaseRelative])
            }
            Place::Offsets { offsets, relative_base: None } => {
                (offsets, 4, 0, &[Encoding::PlaceRelative])
            }
        };
        let raw = data.get(at..at.checked_add(count.checked_mul(width)?)?)?.to_vec();
        let table = address.wrapping_add(at as u64);
        let addresses = Addresses { raw, holes: Vec::new(), width, table, relative_base: base };
        encodings.iter().map(|&encoding| addresses.disorder(encoding, count)).min()
    }
}

fn addresses_before(num_syms: usize, count: usize) -> [Option<Place>; 2] {
    let offsets = num_syms.checked_sub(8).and_then(|relative_base| {
        let offsets = relative_base.checked_sub(count * 4)? / 8 * 8;
        Some(Place::Offsets { offsets, relative_base: Some(relative_base) })
    });
    [offsets, num_syms.checked_sub(count * 8).map(Place::Addresses)]
}

fn addresses_after(token_index: usize, count: usize) -> [Option<Place>; 2] {
    let offsets = align(token_index + 512, 4);
    let relative_base = Some(align(offsets + count * 4, 8));
    [
        Some(Place::Offsets { offsets, relative_base }),
        Some(Place::Offsets { offsets, relative_base: None }),
    ]
}
