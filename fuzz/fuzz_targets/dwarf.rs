//! A file with debug information: everything that is asked of it, at the addresses that it names.
//! Seeds: a module with debug information (`cp crashme.ko fuzz/corpus/dwarf/`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::{
    Kind, Types,
    dwarf::{DebugFile, Dwarf, Frame},
};

/// A frame of which everything is known, so that expressions are carried out.
struct Everything;

impl Frame for Everything {
    fn register(&self, number: u16) -> Option<u64> {
        Some(u64::from(number) << 12)
    }
    fn cfa(&self) -> Option<u64> {
        Some(0xffff_8000_0000_1000)
    }
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        buf.fill(address as u8);
        true
    }
    fn bias(&self) -> u64 {
        0
    }
    fn entry_register(&self, number: u16) -> Option<u64> {
        self.register(number)
    }
    fn entry_parameter(&self, argument: u32) -> Option<u64> {
        Some(argument.into())
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(file) = DebugFile::open(Box::new(data.to_vec())) else { return };
    let Ok(dwarf) = Dwarf::open(file, None) else { return };
    let types = Types::new(8);
    let symbols: Vec<u64> = dwarf.file().symbols().iter().map(|symbol| symbol.address).collect();
    for address in symbols.into_iter().take(16).flat_map(|at| [at, at.wrapping_add(9)]) {
        let _ = (dwarf.cfi_at(address), dwarf.line_at(address), dwarf.callee(address, &Everything));
        let _ = dwarf.call_argument(address, 5, &Everything);
        for frame in dwarf.frames_at(address).iter() {
            let _ = dwarf.locals(&types, &frame.scope, address, &Everything);
        }
    }
    for kind in [Kind::Struct, Kind::Union, Kind::Enum, Kind::Typedef] {
        for (_, entry) in dwarf.names(kind).into_iter().take(16) {
            if let Some(id) = dwarf.type_at(&types, entry) {
                types.size_of(id);
            }
        }
    }
});
