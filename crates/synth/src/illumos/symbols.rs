//! Symbol tables: of a module, and of the whole kernel as an ELF file.

/// A symbol.
#[derive(Debug, Clone)]
pub(super) struct Symbol {
    pub(super) name: String,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) is_function: bool,
}

/// Entries and strings of a table.
pub(super) fn table(symbols: &[Symbol]) -> (Vec<u8>, Vec<u8>) {
    let mut entries = vec![0; 24];
    let mut strings = vec![0];
    for symbol in symbols {
        entries.extend((strings.len() as u32).to_le_bytes());
        entries.push(1 << 4 | if symbol.is_function { 2 } else { 1 });
        entries.push(0);
        entries.extend(0xfff1u16.to_le_bytes());
        entries.extend(symbol.address.to_le_bytes());
        entries.extend(symbol.size.to_le_bytes());
        strings.extend(symbol.name.as_bytes());
        strings.push(0);
    }
    (entries, strings)
}

/// The image of `/dev/ksyms`: an ELF header, two program headers, four section headers, and the
/// tables behind them.
pub(super) fn ksyms(symbols: &[Symbol]) -> Vec<u8> {
    let (entries, strings) = table(symbols);
    let names = b"\0.symtab\0.strtab\0.shstrtab\0";
    let headers = 64 + 2 * 56;
    let names_at = headers + 4 * 64;
    let symbols_at = (names_at + names.len()).next_multiple_of(8);
    let strings_at = symbols_at + entries.len();
    let mut out = b"\x7fELF\x02\x01\x01\x06".to_vec();
    out.resize(64, 0);
    let mut number = |at: usize, value: u64, size: usize| {
        out[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    };
    for (at, value, size) in [
        (16, 2, 2),
        (18, 62, 2),
        (20, 1, 4),
        (32, 64, 8),
        (40, headers as u64, 8),
        (52, 64, 2),
        (54, 56, 2),
        (56, 2, 2),
        (58, 64, 2),
        (60, 4, 2),
        (62, 3, 2),
    ] {
        number(at, value, size);
    }
    out.resize(headers, 0);
    let sections: [(u32, u32, usize, usize, u32); 4] = [
        (0, 0, 0, 0, 0),
        (1, 2, symbols_at, entries.len(), 2),
        (9, 3, strings_at, strings.len(), 0),
        (17, 3, names_at, names.len(), 0),
    ];
    for (name, kind, offset, size, link) in sections {
        let mut header = vec![0; 64];
        header[0..4].copy_from_slice(&name.to_le_bytes());
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
        header[40..44].copy_from_slice(&link.to_le_bytes());
        header[56..64].copy_from_slice(&24u64.to_le_bytes());
        out.extend(header);
    }
    out.extend(names);
    out.resize(symbols_at, 0);
    out.extend(entries);
    out.extend(strings);
    out
}
