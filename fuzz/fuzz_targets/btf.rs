//! A BTF blob of vmlinux and, behind it, one of a module.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::{Kind, Types, find_btf, load_btf};

fuzz_target!(|data: &[u8]| {
    let types = Types::new(8);
    let Ok(base) = load_btf(&types, data, None) else { return };
    if let Some((at, length)) = find_btf(&[(0, data)]) {
        let rest = &data[(at + length) as usize..];
        let _ = load_btf(&types, rest, Some(&base));
    }
    for kind in [Kind::Struct, Kind::Union, Kind::Enum, Kind::Typedef, Kind::Function] {
        for (name, id) in types.names(kind).into_iter().take(64) {
            types.find(kind, name);
            types.size_of(id);
            types.declare(id, name);
            types.member(id, "a.b[1].c");
        }
    }
});
