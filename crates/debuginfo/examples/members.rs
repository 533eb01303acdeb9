//! The members of a structure, from the types that a dump itself holds (BTF):
//! `cargo run -p necropsy-debuginfo --example members vmcore list_head`

use necropsy_dump::{Dump, OpenOptions};
use necropsy_machine::{Overrides, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(file), Some(tag)) = (args.next(), args.next()) else {
        return Err("usage: members DUMP STRUCT".into());
    };
    let dump = Dump::open(&[file.into()], OpenOptions::default())?;
    let target = Target::open(dump, &Overrides::default());
    let types = target.types();
    let id = types.composite(&tag).ok_or("no such structure")?;
    let composite = types.as_composite(id).ok_or("not a structure")?;
    println!("{tag}: {} bytes", composite.size);
    for member in &composite.members {
        let size = types.size_of(member.ty).unwrap_or(0);
        println!("{:6} {:4} {}", member.bit_offset / 8, size, types.name(member.name));
    }
    Ok(())
}
