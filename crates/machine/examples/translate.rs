//! Translates a kernel's symbol or virtual address, by every entry of the page tables:
//! `cargo run -p necropsy-machine --example translate vmcore init_task`

use necropsy_dump::{Dump, OpenOptions};
use necropsy_machine::{Overrides, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("usage: translate DUMP (SYMBOL | ADDRESS)...")?;
    let target =
        Target::open(Dump::open(&[file.into()], OpenOptions::default())?, &Overrides::default());
    let layout = target.layout().ok_or("no kernel was recognised")?;
    for text in args {
        let address = match target.address_of(&text) {
            Some(address) => address,
            None => u64::from_str_radix(text.trim_start_matches("0x"), 16)?,
        };
        let walk = target.walk(layout.root, address);
        for step in walk.steps() {
            println!("  level {}: entry at {:x} is {:x}", step.level, step.entry, step.value);
        }
        match target.translate(address) {
            Ok(physical) => println!("{address:x} is physical {physical:x}"),
            Err(fault) => println!("{fault}"),
        }
    }
    Ok(())
}
