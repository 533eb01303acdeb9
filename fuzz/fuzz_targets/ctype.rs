//! C type names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_debuginfo::{Types, parse_type};

fuzz_target!(|text: &str| {
    let types = Types::new(8);
    if let Some(id) = parse_type(&types, text) {
        types.display(id);
        types.size_of(id);
    }
});
