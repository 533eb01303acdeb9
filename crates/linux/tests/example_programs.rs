//! The example programs do what they say.

use necropsy_synth::{repository_dump, run_example};

#[test]
fn ps() {
    let args = vec![repository_dump("linux-6.12-shm.kdump")];
    let said = run_example("ps", args);
    for part in ["  RU  shm-victim", "  IN  init", "swapper/0"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
