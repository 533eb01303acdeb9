//! The example programs do what they say.

use necropsy_synth::run_example;

#[test]
fn directory() {
    let said = run_example("directory", [env!("CARGO_MANIFEST_DIR")]);
    assert!(said.starts_with("name,size\r\n") && said.contains("\r\nCargo.toml,"), "{said}");
    let said = run_example("directory", [env!("CARGO_MANIFEST_DIR"), "--schema"]);
    assert!(said.contains("\"unit\": \"bytes\""), "{said}");
}
