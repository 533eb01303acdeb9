//! A CTF container, alone and as the child of another, and a symbol table for it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::{Ctf, ElfSymbols, Kind, Types};

fuzz_target!(|data: &[u8]| {
    let (first, second) = data.split_at(data.len() / 2);
    let types = Types::new(8);
    let parent = Ctf::load(&types, first, second, None).ok();
    let child = Ctf::load(&types, second, first, parent.as_ref()).ok();
    let symbols = ElfSymbols::new(first, second);
    for ctf in [parent, child].into_iter().flatten() {
        ctf.symbol_types(&types, &symbols);
    }
    for kind in [Kind::Struct, Kind::Union, Kind::Enum, Kind::Typedef] {
        for (name, id) in types.names(kind).into_iter().take(64) {
            types.find(kind, name);
            types.size_of(id);
            types.declare(id, name);
            types.member(id, "a.b[1].c");
        }
    }
    symbols.lookup(0xffff_ffff_fb80_0000);
    ElfSymbols::from_elf(data);
});
