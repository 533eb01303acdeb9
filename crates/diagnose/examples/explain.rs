//! Why the kernel of a dump died: `explain DUMP`.

use std::{error::Error, path::PathBuf};

use necropsy_diagnose::{Case, explain::explain};
use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{Overrides, Target};

/// What happened, and each value on the way back to where the bad one came from.
pub fn why(dump: PathBuf) -> Result<String, Box<dyn Error>> {
    let dump = Dump::open(&[dump], OpenOptions::default())?;
    let kernel = Kernel::new(Target::open(dump, &Overrides::default()));
    let case = Case::of_panic(&kernel)?.ok_or("nobody panicked")?;
    let explanation = explain(&case, None);
    let mut text = format!("{}\n", explanation.what);
    for step in &explanation.steps {
        let name = step.name.as_deref().unwrap_or(&step.place);
        let value = step.value.map_or("?".into(), |value| format!("{value:#x}"));
        text += &format!("{}{name} = {value} ({})\n", "  ".repeat(step.depth), step.known.name());
    }
    Ok(text)
}

#[allow(dead_code)]
fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", why(std::env::args_os().nth(1).ok_or("usage: explain DUMP")?.into())?);
    Ok(())
}
