//! Reads a physical address, or says why that is not to be had:
//! `cargo run -p necropsy-dump --example why_not vmcore 1000`

use necropsy_dump::{Dump, OpenOptions, PhysicalMemory};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: why_not DUMP ADDRESS...")?;
    let dump = Dump::open(&[file.into()], OpenOptions::default())?;
    for text in args {
        let address = u64::from_str_radix(text.trim_start_matches("0x"), 16)?;
        let mut bytes = [0; 16];
        match dump.read(address, &mut bytes) {
            Ok(()) => println!("{address:x}: {bytes:02x?}"),
            Err(fault) => println!("{address:x}: {fault}"),
        }
    }
    Ok(())
}
