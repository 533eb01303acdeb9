//! The facts of real dumps against what the machines wrote to their consoles.

use necropsy_synth::Needs;
use std::{env, fs, path::PathBuf};

use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{Target, layout::Overrides};

/// Every dump with a console log under `$NECROPSY_LAB/out`, and that log.
fn dumps() -> Vec<(String, Kernel, String)> {
    let Some(lab) = env::var_os("NECROPSY_LAB") else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return Vec::new();
    };
    let entries = fs::read_dir(PathBuf::from(lab).join("out")).expect("the lab has out/");
    let mut found = Vec::new();
    for entry in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let Ok(console) = fs::read(entry.join("console.log")) else { continue };
        let Ok(dump) = Dump::open(&[entry.join("vmcore")], OpenOptions::default()) else {
            continue;
        };
        let kernel = Kernel::new(Target::open(dump, &Overrides::default()));
        let console = String::from_utf8_lossy(&console).replace('\r', "");
        found.push((entry.display().to_string(), kernel, console));
    }
    found
}

fn facts_agree_with_the_console() {
    for (name, kernel, console) in dumps() {
        let uts = kernel.uts().expect("uts");
        assert!(console.contains(&format!("] Linux version {} ", uts.release)), "{name}: {uts:?}");
        assert!(console.contains(&uts.version) && uts.machine == "x86_64", "{name}: {uts:?}");
        let line = kernel.command_line().expect("command line");
        assert!(console.contains(&format!("] Command line: {line}")), "{name}: {line}");

        // The clocks stop at the last tick before the death; the log ends right after it.
        let log = kernel.log().expect("log");
        let last = log.records.last().and_then(|record| record.time_ns).expect("a last message");
        let clocks = kernel.clocks().expect("clocks");
        assert_eq!(clocks.boot_ns, clocks.monotonic_ns, "{name}: it never slept");
        // Printing the trace buffer takes its time.
        let slack = if console.contains("Dumping ftrace buffer") { 20 } else { 2 } * 1_000_000_000;
        assert!(clocks.boot_ns.abs_diff(last) < slack, "{name}: {clocks:?}, log {last}");
        let noted = kernel.target().vmcoreinfo().and_then(|i| i.get("CRASHTIME")?.parse().ok());
        let noted: u64 = noted.expect("CRASHTIME");
        assert!(kernel.crash_time().expect("date").abs_diff(noted) < 2, "{name}: {noted}");

        let counts = kernel.cpu_counts();
        let brought = console.lines().find_map(|line| line.split("Brought up 1 node, ").nth(1));
        let brought = brought.and_then(|rest| rest.split(' ').next()?.parse().ok());
        assert_eq!(Some(counts.online), brought, "{name}: {counts:?}");
        let mhz = console.lines().find_map(|line| {
            line.split("tsc: Detected ").nth(1)?.split('.').next()?.parse::<u32>().ok()
        });
        let khz = kernel.cpu_khz().expect("cpu_khz");
        assert!(mhz.is_some_and(|mhz| mhz.abs_diff(khz / 1000) <= 1), "{name}: {khz} kHz");
        // "Memory: 281148K/523764K available": the second is the pages handed to the kernel.
        let memory = kernel.memory_bytes().expect("memory");
        let total = console.lines().find_map(|line| {
            let figures = line.split("] Memory: ").nth(1)?;
            figures.split('/').nth(1)?.split('K').next()?.parse::<u64>().ok()
        });
        assert_eq!(Some(memory / 1024), total, "{name}");
    }
}

fn the_panic_line_and_the_taints_are_the_consoles() {
    for (name, kernel, console) in dumps() {
        let log = kernel.log().expect("log");
        // The dump of the trace buffer that follows this oops overwrites what came before it.
        if log.panic_line().is_none() && name.ends_with("-div0") {
            continue;
        }
        let line = log.panic_line().unwrap_or_else(|| panic!("{name}: no panic line"));
        assert!(console.contains(line), "{name}: {line}");
        let expected = match name.rsplit('-').next() {
            Some("null") => "0002 [#1]",
            Some("uaf") => "[#1]",
            Some("bug") => "kernel BUG at",
            Some("div0") => "divide error: 0000 [#1]",
            Some("shm") => "Kernel panic - not syncing: kernel: panic_on_warn set",
            Some("sysrq") => "Kernel panic - not syncing: sysrq triggered crash",
            Some("deadlock") => "Kernel panic - not syncing: hung_task: blocked tasks",
            Some("softlockup") => "Kernel panic - not syncing: softlockup: hung tasks",
            Some("overflow") => "Kernel panic - not syncing: crashme: object overrun at",
            _ => "",
        };
        assert!(line.contains(expected), "{name}: {line}");
        let mask = kernel.tainted_mask().expect("tainted_mask");
        let letters: String = kernel.taints(mask).iter().map(|taint| taint.letter).collect();
        assert!(letters.contains("OE"), "{name}: {letters}");
    }
}

fn the_system_call_table_begins_with_read_and_write() {
    for (name, kernel, _) in dumps() {
        let calls = kernel.system_calls().expect("sys_call_table");
        let names: Vec<_> = calls.iter().take(4).filter_map(|call| call.name.as_deref()).collect();
        let expected = ["__x64_sys_read", "__x64_sys_write", "__x64_sys_open", "__x64_sys_close"];
        assert_eq!(names, expected, "{name}");
        assert!((400..600).contains(&calls.len()), "{name}: {} calls", calls.len());
        let vendor = kernel.dmi().expect("dmi");
        assert!(
            vendor.contains(&("DMI_SYS_VENDOR".into(), Some("QEMU".into()))),
            "{name}: {vendor:?}"
        );
    }
}

necropsy_synth::data_tests! {
    facts_agree_with_the_console: [Needs::Lab("out")],
    the_panic_line_and_the_taints_are_the_consoles: [Needs::Lab("out")],
    the_system_call_table_begins_with_read_and_write: [Needs::Lab("out")],
}
