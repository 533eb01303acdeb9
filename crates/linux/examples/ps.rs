//! The tasks of a dump: `cargo run -p necropsy-linux --example ps vmcore`

use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{Overrides, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("usage: ps DUMP")?;
    let dump = Dump::open(&[file.into()], OpenOptions::default())?;
    let kernel = Kernel::new(Target::open(dump, &Overrides::default()));
    let found = kernel.tasks();
    for task in &found.tasks {
        // What cannot be read costs one value, not the line.
        let pid = task.pid().map_or_else(|fault| format!("({fault})"), |pid| pid.to_string());
        let comm = task.comm().unwrap_or_else(|fault| format!("({fault})"));
        let state = task.state().map_or("??", |state| state.letters());
        println!("{pid:>6}  {:016x}  {state}  {comm}", task.address);
    }
    for error in &found.errors {
        println!("{error}");
    }
    Ok(())
}
