//! kallsyms: the kernel's own symbol table, in its read-only data.
//!
//! Made by `scripts/kallsyms.c`, read by `kernel/kallsyms.c`. Names are compressed: a length, then
//! that many tokens, each an index into a table of 256 strings; the first decoded character is
//! nm's letter. Addresses are stored in one of four ways ([`Encoding`]), none of which is announced.

mod find;
mod names;

use std::ops::Range;

use crate::{
    bytes::{Bytes, u32_le, u64_le},
    symbols::{Symbols, SymbolsBuilder},
};

pub use find::find_kallsyms;

/// Where the tables lie: virtual addresses, as VMCOREINFO's `SYMBOL(kallsyms_…)` lines or
/// [`find_kallsyms`] give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KallsymsTables {
    /// `kallsyms_names`
    pub names: u64,
    /// `kallsyms_num_syms`
    pub num_syms: u64,
    /// `kallsyms_token_table`
    pub token_table: u64,
    /// `kallsyms_token_index`
    pub token_index: u64,
    /// `kallsyms_offsets`, unless there is `kallsyms_addresses`.
    pub offsets: Option<u64>,
    /// `kallsyms_addresses`
    pub addresses: Option<u64>,
    /// `kallsyms_relative_base`; Linux 7.0 has none.
    pub relative_base: Option<u64>,
    /// `kallsyms_markers`: the offset of every 256th name. VMCOREINFO does not tell; the names
    /// end right before it.
    pub markers: Option<u64>,
}

/// Why there are no symbols.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KallsymsError {
    /// A table is not in the dump, or not mapped.
    #[error("{what} cannot be read at {address:#x}")]
    Unreadable {
        /// Name of the table.
        what: &'static str,
        /// Virtual address.
        address: u64,
    },
    /// No kernel has that many symbols, or none.
    #[error("kallsyms_num_syms is {0}")]
    Count(u32),
    /// The token table does not hold 256 strings where the index says.
    #[error("kallsyms_token_table does not fit its index")]
    Tokens,
    /// The names do not end before the tables that follow them.
    #[error("kallsyms_names is damaged at name {0}")]
    Names(u32),
    /// Neither the order of the addresses nor a known one fits an encoding.
    #[error("the encoding of kallsyms addresses is unknown")]
    Encoding,
}

/// More symbols than any kernel has; 7.2 of Debian has 187,000.
const MAX_SYMBOLS: u32 = 4 << 20;

/// How the address of symbol `i` is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// `kallsyms_addresses[i]`: kernels before 4.6, and until 6.10 an option.
    Absolute,
    /// `relative_base + offsets[i]`: since 4.6.
    BaseRelative,
    /// `offsets[i]` if not negative (per-CPU), else `relative_base - 1 - offsets[i]`: x86_64 with
    /// SMP from 4.6 to 6.14.
    AbsolutePercpu,
    /// Address of `offsets[i]`, plus it: since 7.0.
    PlaceRelative,
}

/// The words that addresses are made of.
struct Addresses {
    raw: Vec<u8>,
    /// Bytes of it that are not there.
    holes: Vec<Range<usize>>,
    /// Bytes of one.
    width: usize,
    /// Virtual address of the table.
    table: u64,
    relative_base: u64,
}

impl Addresses {
    fn get(&self, encoding: Encoding, index: usize) -> u64 {
        if encoding == Encoding::Absolute {
            return match self.width {
                4 => u32_le(&self.raw, index * 4).unwrap_or(0).into(),
                _ => u64_le(&self.raw, index * 8).unwrap_or(0),
            };
        }
        let offset = u32_le(&self.raw, index * 4).unwrap_or(0);
        let signed = i64::from(offset.cast_signed());
        match encoding {
            Encoding::PlaceRelative => {
                self.table.wrapping_add(index as u64 * 4).wrapping_add_signed(signed)
            }
            Encoding::AbsolutePercpu if signed < 0 => {
                self.relative_base.wrapping_sub(1).wrapping_sub(signed.cast_unsigned())
            }
            Encoding::AbsolutePercpu => offset.into(),
            Encoding::BaseRelative | Encoding::Absolute => {
                self.relative_base.wrapping_add(offset.into())
            }
        }
    }

    /// Whether the word of that symbol is there.
    fn is_there(&self, index: usize) -> bool {
        let (start, end) = (index * self.width, (index + 1) * self.width);
        !self.holes.iter().any(|hole| hole.start < end && hole.end > start)
    }

    /// How often an address is lower than the one before: the table is sorted by address.
    fn disorder(&self, encoding: Encoding, count: usize) -> usize {
        let addresses = (0..count).map(|index| self.get(encoding, index));
        addresses.clone().zip(addresses.skip(1)).filter(|(a, b)| b < a).count()
    }
}

/// Memory of which pages may be missing: they read as zeros; and which they are.
fn read_with_holes(
    mem: &dyn Bytes,
    address: u64,
    len: usize,
    width: usize,
) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut bytes = vec![0; len];
    let mut holes: Vec<Range<usize>> = Vec::new();
    if mem.read_words(address, &mut bytes, width) {
        return (bytes, holes);
    }
    let mut at = 0;
    while at < len {
        let here = address.wrapping_add(at as u64);
        let end = at + (4096 - (here % 4096) as usize).min(len - at);
        if !mem.read_words(here, &mut bytes[at..end], width) {
            bytes[at..end].fill(0);
            match holes.last_mut() {
                Some(hole) if hole.end == at => hole.end = end,
                _ => holes.push(at..end),
            }
        }
        at = end;
    }
    (bytes, holes)
}

fn read(
    mem: &dyn Bytes,
    what: &'static str,
    address: u64,
    len: usize,
    width: usize,
) -> Result<Vec<u8>, KallsymsError> {
    let mut buf = vec![0; len];
    if mem.read_words(address, &mut buf, width) {
        Ok(buf)
    } else {
        Err(KallsymsError::Unreadable { what, address })
    }
}

/// Decodes the tables. `check` holds symbols whose addresses are known from elsewhere (`_stext`
/// of VMCOREINFO): they confirm the encoding, and should all of them lie off by one and the same
/// number of pages, the table has not been relocated (KASLR) and is moved by it.
///
/// # Errors
/// When a table cannot be read or is damaged so that no name can be trusted.
pub fn load_kallsyms(
    mem: &dyn Bytes,
    tables: &KallsymsTables,
    check: &[(&str, u64)],
) -> Result<Symbols, KallsymsError> {
    let count = read(mem, "kallsyms_num_syms", tables.num_syms, 4, 4)?;
    let count = u32_le(&count, 0).unwrap_or(0);
    if count == 0 || count > MAX_SYMBOLS {
        return Err(KallsymsError::Count(count));
    }
    let tokens = names::Tokens::read(mem, tables)?;
    let names = names::decode(mem, tables, &tokens, count)?;
    let addresses = read_addresses(mem, tables, count)?;
    let (encoding, shift) = choose(&addresses, &names, tables, check)?;
    let percpu =
        |address| encoding == Encoding::AbsolutePercpu && address < u64::from(u32::MAX / 2);
    let mut symbols = Vec::with_capacity(names.spans.len());
    let mut last = None;
    for (index, span) in names.spans.iter().enumerate() {
        if addresses.is_there(index) {
            let address = addresses.get(encoding, index);
            let shift = if percpu(address) { 0 } else { shift };
            let address = address.wrapping_add(shift);
            symbols.push((address, span.start, span.length, span.kind));
            last = Some(address);
        } else if let Some(last) = last.take() {
            // Others lie above it, nobody knows where: what is beyond its first byte is not its.
            symbols.push((last.saturating_add(1), 0, 0, b'?'));
        }
    }
    let missing = names.missing.or_else(|| {
        addresses.holes.first().map(|hole| addresses.table.wrapping_add(hole.start as u64))
    });
    Ok(SymbolsBuilder::from_blob(names.text, symbols.into_iter(), missing).finish())
}

fn read_addresses(
    mem: &dyn Bytes,
    tables: &KallsymsTables,
    count: u32,
) -> Result<Addresses, KallsymsError> {
    let pointer = mem.pointer_size().clamp(1, 8);
    let relative_base = match tables.relative_base {
        Some(address) => {
            let mut word = read(mem, "kallsyms_relative_base", address, pointer, pointer)?;
            word.resize(8, 0);
            u64_le(&word, 0).unwrap_or(0)
        }
        None => 0,
    };
    let (what, table, width) = match (tables.offsets, tables.addresses) {
        (Some(table), _) => ("kallsyms_offsets", table, 4),
        (None, Some(table)) => ("kallsyms_addresses", table, pointer),
        (None, None) => return Err(KallsymsError::Encoding),
    };
    let (raw, holes) = read_with_holes(mem, table, count as usize * width, width);
    if holes.iter().map(|hole| hole.len()).sum::<usize>() * 2 > raw.len() {
        return Err(KallsymsError::Unreadable { what, address: table });
    }
    Ok(Addresses { raw, holes, width, table, relative_base })
}

/// Of the encodings that these tables allow, that which the checks or, without them, the order of
/// the addresses speak for; and how far everything is to be moved.
fn choose(
    addresses: &Addresses,
    names: &names::Names,
    tables: &KallsymsTables,
    check: &[(&str, u64)],
) -> Result<(Encoding, u64), KallsymsError> {
    let allowed: &[Encoding] = if tables.offsets.is_none() {
        &[Encoding::Absolute]
    } else if tables.relative_base.is_some() {
        &[Encoding::BaseRelative, Encoding::AbsolutePercpu, Encoding::PlaceRelative]
    } else {
        &[Encoding::PlaceRelative]
    };
    let known: Vec<(usize, u64)> =
        check.iter().filter_map(|&(name, is)| Some((names.position(name)?, is))).collect();
    let disorder = |&encoding: &Encoding| addresses.disorder(encoding, names.spans.len());
    let fits = |&encoding: &Encoding| {
        !known.is_empty() && known.iter().all(|&(i, is)| addresses.get(encoding, i) == is)
    };
    // Ascending positive offsets are in order in any encoding, and base relative is what has them:
    // among equals the first is meant.
    let fitting = allowed.iter().copied().filter(fits).min_by_key(disorder);
    if let Some(encoding) = fitting {
        return Ok((encoding, 0));
    }
    let encoding = allowed.iter().copied().min_by_key(disorder).ok_or(KallsymsError::Encoding)?;
    if disorder(&encoding) > names.spans.len() / 8 {
        return Err(KallsymsError::Encoding);
    }
    let mut moves = known.iter().map(|&(i, is)| is.wrapping_sub(addresses.get(encoding, i)));
    let Some(shift) = moves.next() else { return Ok((encoding, 0)) };
    if shift % 4096 == 0 && moves.all(|other| other == shift) {
        Ok((encoding, shift))
    } else {
        Err(KallsymsError::Encoding)
    }
}
