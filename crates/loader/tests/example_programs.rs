//! The example programs do what they say.

use necropsy_synth::{repository_dump, run_example};

#[test]
fn panic_stack() {
    let args = vec![repository_dump("linux-6.12-shm.kdump")];
    let said = run_example("panic_stack", args);
    for part in ["shm-victim (pid ", " __shm_close+0x", " exit_mmap+0x", "Complete"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
