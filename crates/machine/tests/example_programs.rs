//! The example programs do what they say.

use necropsy_synth::{repository_dump, run_example};

#[test]
fn translate() {
    let mut args = vec![repository_dump("linux-6.12-shm.kdump")];
    args.extend(["init_task", "ffffffffff000000"].map(Into::into));
    let said = run_example("translate", args);
    for part in ["level 4: entry at", " is physical ", "not mapped"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
