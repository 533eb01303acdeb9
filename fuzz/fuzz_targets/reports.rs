//! Any bytes: read, named, decoded, shown and serialised, at once and in pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_oops::{Options, Scanner, TitleStyle, render, reports};

fuzz_target!(|data: &[u8]| {
    for style in [TitleStyle::Plain, TitleStyle::Syzkaller] {
        let found = reports(data, &Options { style });
        for report in &found {
            let _ = serde_json::to_string(report);
        }
        let _ = render::page(&found, render::Show { colour: true, all: true });
    }
    let mut scanner = Scanner::new(Options::default());
    for piece in data.chunks(777) {
        scanner.push(piece);
    }
    scanner.finish();
});
