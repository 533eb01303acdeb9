//! The log of real dumps against what the machine wrote to its console.

use necropsy_synth::Needs;
use std::{collections::HashMap, env, fs, path::PathBuf};

use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{Target, layout::Overrides};

/// Every dump with a console log under `$NECROPSY_LAB/out`.
fn dumps() -> Vec<PathBuf> {
    let Some(lab) = env::var_os("NECROPSY_LAB") else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return Vec::new();
    };
    let entries = fs::read_dir(PathBuf::from(lab).join("out")).expect("the lab has out/");
    let mut dumps: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("vmcore").exists() && path.join("console.log").exists())
        .collect();
    dumps.sort();
    dumps
}

/// `[    1.234567] text` as (µs, text).
fn stamped(line: &str) -> Option<(u64, &str)> {
    let (time, text) = line.split_once('[')?.1.split_once(']')?;
    let (seconds, micros) = time.trim().split_once('.')?;
    let time = seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?;
    (micros.len() == 6).then_some((time, text.strip_prefix(' ').unwrap_or(text)))
}

fn the_log_holds_what_the_console_showed() {
    for dump in dumps() {
        let bytes = fs::read(dump.join("console.log")).expect("console.log can be read");
        let console = String::from_utf8_lossy(&bytes).replace('\r', "");
        // The capture kernel says "Linux version" again.
        let end = console.match_indices("] Linux version").nth(1).map_or(console.len(), |m| m.0);
        let console: Vec<_> = console[..end].lines().filter_map(stamped).collect();

        let opened = Dump::open(&[dump.join("vmcore")], OpenOptions::default()).expect("opens");
        let kernel = Kernel::new(Target::open(opened, &Overrides::default()));
        let log = kernel.log().expect("there is a log");
        assert_eq!(log.errors, [], "{}", dump.display());
        let mut lines: HashMap<(u64, &str), Vec<usize>> = HashMap::new();
        let logged = log.records.iter().flat_map(|record| {
            assert_eq!(record.fault, None, "{}", dump.display());
            let time = record.time_ns.expect("these kernels note the time") / 1000;
            record.text.split('\n').map(move |line| (time, line))
        });
        for (index, line) in logged.enumerate() {
            lines.entry(line).or_default().push(index);
        }
        // What no longer fits into the ring is on the console alone.
        let oldest = log.records.first().and_then(|record| record.time_ns).unwrap_or(0) / 1000;
        let overwritten = log.records.first().is_some_and(|record| record.seq > 0);
        let mut console = console.into_iter().filter(|(time, _)| *time >= oldest).peekable();
        // Some of the lines of that very microsecond may have gone, too.
        let first = console.clone().position(|line| lines.get(&line).is_some_and(|at| at[0] == 0));
        for _ in 0..first.filter(|_| overwritten).unwrap_or(0) {
            console.next();
        }
        let mut last = 0;
        let mut checked = 0;
        for line in console {
            let place = lines.get(&line).and_then(|at| at.iter().find(|at| **at >= last));
            let place = place.unwrap_or_else(|| {
                panic!(
                    "{}: {line:?} is on the console after line {last} of the log",
                    dump.display()
                )
            });
            last = *place;
            checked += 1;
        }
        assert!(checked > 100, "{}: only {checked} lines on the console", dump.display());
    }
}

necropsy_synth::data_tests! {
    the_log_holds_what_the_console_showed: [Needs::Lab("out")],
}
