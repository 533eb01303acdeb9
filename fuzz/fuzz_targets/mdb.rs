//! Lines of the mdb language, on a kernel without anything in it.
#![no_main]

use std::{path::Path, sync::{Arc, atomic::AtomicBool}};

use libfuzzer_sys::fuzz_target;
use necropsy_dump::{OpenOptions, illumos::IllumosDump};
use necropsy_illumos::Kernel;
use necropsy_mdb::{Mdb, illumos::{IllumosSystem, REGISTRY}};

/// The header of a vmcore that holds nothing.
fn empty() -> Vec<u8> {
    let mut bytes = vec![0; 8192];
    bytes[0..4].copy_from_slice(&0xdefe_c8edu32.to_le_bytes());
    bytes[4..8].copy_from_slice(&10u32.to_le_bytes());
    bytes[8..12].copy_from_slice(&0x10002u32.to_le_bytes());
    bytes[12..16].copy_from_slice(&64u32.to_le_bytes());
    bytes[1816..1824].copy_from_slice(&4096u64.to_le_bytes());
    bytes
}

fuzz_target!(|line: &str| {
    let dump = IllumosDump::from_bytes(Path::new("vmcore.0"), empty(), &OpenOptions::default());
    let Ok(dump) = dump else { return };
    let system = IllumosSystem::new(Arc::new(Kernel::new(Arc::new(dump))), "vmcore.0".into());
    let mut mdb = Mdb::new(
        Arc::new(system),
        &REGISTRY,
        Box::new(|_| true),
        Box::new(|_| ()),
        Arc::new(AtomicBool::new(false)),
    );
    mdb.confine();
    let _ = mdb.run_line(line);
});
