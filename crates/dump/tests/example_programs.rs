//! The example programs do what they say.

use necropsy_dump::{Dump, OpenOptions, PhysicalMemory};
use necropsy_synth::{repository_dump, run_example};

#[test]
fn why_not() {
    let file = repository_dump("linux-6.12-shm.kdump");
    let dump = Dump::open(std::slice::from_ref(&file), OpenOptions::default()).unwrap();
    let (first, _) = dump.stored_run(0).unwrap();
    let there = format!("{:x}", first * dump.page_size());
    let said = run_example("why_not", [file, (&there).into(), "fffffff000".into()]);
    for part in [format!("{there}: ["), "fffffff000: not saved in the dump".to_owned()] {
        assert!(said.contains(&part), "{part} is not in\n{said}");
    }
}
