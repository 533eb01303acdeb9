//! The example programs do what they say.

use necropsy_synth::{repository_dump, run_example};

#[test]
fn members() {
    let mut args = vec![repository_dump("linux-6.12-shm.kdump")];
    args.extend(["list_head"].map(Into::into));
    let said = run_example("members", args);
    for part in ["list_head: 16 bytes", "     8    8 prev"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
