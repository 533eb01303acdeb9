//! Memory as words: the lines of `rd` and `struct -r`.

use std::fmt;

use necropsy_linux::Kernel;
use necropsy_machine::scope::Scope;

use crate::{
    Outcome,
    addresses::with_offset,
    memory::Memory,
    render::{Hex, Output},
    rows::memory::MemoryRow,
};

/// How words are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    Hex { text: bool },
    Signed,
    Unsigned,
    Symbols { caches: bool, addresses: bool, hex: bool },
}

/// The words of a dump.
pub(crate) struct Format {
    /// Bytes of a word.
    pub(crate) size: usize,
    pub(crate) show: Show,
    pub(crate) big_endian: bool,
}

/// `bytes` of memory as hexadecimal words, with characters.
pub(crate) fn dump(
    kernel: &Kernel,
    memory: &Memory<'_>,
    start: u64,
    bytes: u64,
    out: &mut Output,
) -> Outcome {
    // A structure whose size is no multiple of eight ends in smaller words.
    let size = [8, 4, 2].into_iter().find(|size| bytes.is_multiple_of(*size)).unwrap_or(1);
    let show = Show::Hex { text: true };
    let big_endian = kernel.target().big_endian();
    let format = Format { size: size as usize, show, big_endian };
    words(kernel, memory, start, bytes / size, &format, out)
}

/// `count` words of memory, sixteen bytes a line.
pub(crate) fn words(
    kernel: &Kernel,
    memory: &Memory<'_>,
    start: u64,
    count: u64,
    format: &Format,
    out: &mut Output,
) -> Outcome {
    let mut left = count.saturating_mul(format.size as u64);
    let mut address = start;
    while left > 0 {
        let len = left.min(16) as usize;
        let (mut bytes, fault) = memory.read_most(address, len);
        bytes.truncate(bytes.len() - bytes.len() % format.size);
        if !bytes.is_empty() {
            line(kernel, address, &bytes, format, out)?;
        }
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        left -= len as u64;
        address = address.wrapping_add(len as u64);
    }
    Ok(())
}

fn line(kernel: &Kernel, address: u64, bytes: &[u8], format: &Format, out: &mut Output) -> Outcome {
    let word = |chunk: &[u8]| {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if format.big_endian {
            chunk.iter().fold(0, fold)
        } else {
            chunk.iter().rev().fold(0, fold)
        }
    };
    let values: Vec<Hex> = bytes.chunks_exact(format.size).map(|c| Hex(word(c))).collect();
    let symbols = match format.show {
        Show::Symbols { caches, addresses, hex } => {
            values.iter().map(|v| name_of(kernel, v.0, caches, addresses, hex)).collect()
        }
        _ => Vec::new(),
    };
    let text = matches!(format.show, Show::Hex { text: true }).then(|| printable(bytes));
    let row = MemoryRow { address: Hex(address), values, symbols, text };
    out.record(&row, |line| write_line(line, &row, format))
}

fn write_line(line: &mut dyn fmt::Write, row: &MemoryRow, format: &Format) -> fmt::Result {
    write!(line, "{:>16x}:  ", row.address.0)?;
    let bits = format.size * 8;
    for (index, value) in row.values.iter().enumerate() {
        let value = value.0;
        let signed = (value << (64 - bits)).cast_signed() >> (64 - bits);
        match (format.show, format.size) {
            (Show::Signed, 8) => write!(line, "{signed:>19} ")?,
            (Show::Unsigned, 8) => write!(line, "{value:>20} ")?,
            (Show::Signed, size) => write!(line, "{signed:>width$} ", width = DECIMAL[size])?,
            (Show::Unsigned, size) => write!(line, "{value:>width$} ", width = DECIMAL[size])?,
            (_, size) => match row.symbols.get(index).and_then(Option::as_ref) {
                Some(name) => write!(line, "{name:<16} ")?,
                None => write!(line, "{value:0width$x} ", width = size * 2)?,
            },
        }
    }
    if let Some(text) = &row.text {
        let missing = 16 / format.size - row.values.len().min(16 / format.size);
        write!(line, "{:pad$}  {text}", "", pad = missing * (format.size * 2 + 1))?;
    }
    line.write_char('\n')
}

/// Widths of decimal words, by their size in bytes; those of eight depend on the sign.
const DECIMAL: [usize; 5] = [0, 3, 5, 0, 12];

fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| if (0x20..0x7f).contains(&b) { char::from(b) } else { '.' }).collect()
}

/// `symbol+offset`, or `[cache]` for an address within a slab object.
fn name_of(
    kernel: &Kernel,
    value: u64,
    caches: bool,
    addresses: bool,
    hex: bool,
) -> Option<String> {
    if let Some((name, offset)) = kernel.symbolize(value) {
        return Some(with_offset(&name, offset, hex));
    }
    if !caches {
        return None;
    }
    let cache = kernel.slab_cache_of(value).ok().flatten()?;
    Some(if addresses { format!("[{value:x}:{cache}]") } else { format!("[{cache}]") })
}

/// Bytes in the largest unit that fits, what is over left out: `32 TB`.
pub(crate) fn whole_size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TB"), (30, "GB"), (20, "MB"), (10, "KB")];
    let fits = UNITS.iter().find(|(shift, _)| bytes >> shift >= 1);
    fits.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[u64], format: &Format, text: Option<&str>) -> String {
        let row = MemoryRow {
            address: Hex(0xffff_ffff_83b5_29e0),
            values: values.iter().map(|v| Hex(*v)).collect(),
            symbols: Vec::new(),
            text: text.map(str::to_owned),
        };
        let mut line = String::new();
        write_line(&mut line, &row, format).unwrap();
        line
    }

    #[test]
    fn columns_are_as_wide_as_in_crash() {
        let format = |size, show| Format { size, show, big_endian: false };
        let hex = Show::Hex { text: true };
        assert_eq!(
            shown(&[0x6576_2078_756e_694c], &format(8, hex), Some("Linux ve")),
            "ffffffff83b529e0:  65762078756e694c                    Linux ve\n"
        );
        assert_eq!(
            shown(&[0x694c, 0x756e], &format(2, hex), Some("Linu")),
            "ffffffff83b529e0:  694c 756e                                 Linu\n"
        );
        assert_eq!(
            shown(&[u64::from(u32::MAX), 5], &format(4, Show::Signed), None),
            "ffffffff83b529e0:            -1            5 \n"
        );
        assert_eq!(
            shown(&[7_311_066_746_820_913_484], &format(8, Show::Unsigned), None),
            "ffffffff83b529e0:   7311066746820913484 \n"
        );
    }
}
