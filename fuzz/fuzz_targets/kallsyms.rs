//! Kernel read-only data: tables searched in it, and tables that the input points to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::{Bytes, KallsymsTables, find_kallsyms, load_kallsyms};

const BASE: u64 = 0xffff_ffff_8200_0000;

struct Piece<'a>(&'a [u8]);

impl Bytes for Piece<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let start = address.wrapping_sub(BASE) as usize;
        let found = start.checked_add(buf.len()).and_then(|end| self.0.get(start..end));
        found.map(|bytes| buf.copy_from_slice(bytes)).is_some()
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((head, data)) = data.split_first_chunk::<16>() else { return };
    let at = |i: usize| BASE + u64::from(u16::from_le_bytes([head[2 * i], head[2 * i + 1]]));
    let pointed = KallsymsTables {
        num_syms: at(0),
        names: at(1),
        token_table: at(2),
        token_index: at(3),
        offsets: (at(4) % 2 == 0).then_some(at(4)),
        addresses: Some(at(5)),
        relative_base: (at(6) % 2 == 0).then_some(at(6)),
        markers: (at(7) % 2 == 0).then_some(at(7)),
    };
    for tables in [Some(pointed), find_kallsyms(&[(BASE, data)])].into_iter().flatten() {
        if let Ok(symbols) = load_kallsyms(&Piece(data), &tables, &[("_stext", BASE)]) {
            symbols.lookup(BASE);
            symbols.by_name("_stext");
            symbols.iter().for_each(|symbol| assert!(!symbol.name.is_empty()));
        }
    }
});
