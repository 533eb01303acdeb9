//! The example programs do what they say.

use necropsy_synth::run_example;

#[test]
fn disassemble() {
    let said = run_example("disassemble", "48 8b 47 20 0f 0b".split(' '));
    for part in ["mov    0x20(%rdi),%rax", "ud2"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
}
