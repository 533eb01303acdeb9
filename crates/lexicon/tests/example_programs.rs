//! The example programs do what they say.

use necropsy_synth::run_example;

#[test]
fn machines() {
    let said = run_example("machines", ["62", "183", "9999"]);
    for part in ["62: x86_64, pointers of 8 bytes", "183: aarch64", "9999: not known"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
