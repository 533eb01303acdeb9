//! ELF files of kernels and modules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::Elf;

fuzz_target!(|data: &[u8]| {
    let Ok(elf) = Elf::parse(data) else { return };
    elf.build_id();
    elf.sections().for_each(drop);
    let symbols = elf.symbols_placed(|name| name.starts_with('.').then_some(u64::MAX / 2));
    symbols.iter().for_each(|symbol| assert!(!symbol.name.is_empty()));
});
