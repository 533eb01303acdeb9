//! Console logs of guests that were crashed on purpose.

use necropsy_synth::Needs;
use std::path::{Path, PathBuf};

use necropsy_oops::{Options, Report, Symptom, reports};

fn logs() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("NECROPSY_LAB")?).join("out");
    path.is_dir().then_some(path)
}

fn read(path: &Path) -> Option<Vec<Report>> {
    let log = std::fs::read(path.join("console.log")).ok()?;
    Some(reports(&log, &Options::default()))
}

fn every_log_names_its_scenario() {
    let Some(path) = logs() else {
        eprintln!("SKIPPED: set NECROPSY_LAB");
        return;
    };
    let mut seen = 0;
    for kernel in ["k510", "k612", "k72"] {
        for (scenario, classes, functions) in [
            ("null", &[Symptom::NullPointer][..], &["crashme_run"][..]),
            ("div0", &[Symptom::DivideError], &["crashme_run"]),
            ("bug", &[Symptom::KernelBug], &["crashme_run"]),
            // the module sees that its object was overrun, and panics
            ("overflow", &[Symptom::Panic], &["crashme_run"]),
            ("shm", &[Symptom::Warning, Symptom::KernelBug], &["__shm_close", "shm_close"]),
            (
                "uaf",
                &[Symptom::GeneralProtection, Symptom::PageFault, Symptom::NullPointer],
                &["crashme_run", "crashme_init"],
            ),
            (
                "deadlock",
                &[Symptom::HungTask],
                &["crashme_sleeper", "crashme_ab", "crashme_ba", "crashme_run"],
            ),
            ("softlockup", &[Symptom::SoftLockup], &["crashme_run"]),
            ("sysrq", &[Symptom::SysRq], &["sysrq_handle_crash"]),
        ] {
            let Some(found) = read(&path.join(format!("{kernel}-{scenario}"))) else { continue };
            seen += 1;
            let first = found.first().unwrap_or_else(|| panic!("{kernel}-{scenario}: nothing"));
            assert!(
                classes.contains(&first.class),
                "{kernel}-{scenario}: {:?} {}",
                first.class,
                first.title
            );
            let frame = first.frame.as_deref().unwrap_or("");
            assert!(functions.contains(&frame), "{kernel}-{scenario}: {}", first.title);
            assert!(!first.corrupted, "{kernel}-{scenario}: {:?}", first.corrupted_why);
            assert!(first.release.is_some() && first.comm.is_some(), "{kernel}-{scenario}");
            for frame in &first.trace {
                assert!(!frame.function.contains('|'), "ftrace in the trace: {}", frame.function);
            }
        }
    }
    if seen == 0 {
        eprintln!("SKIPPED: no console logs under NECROPSY_LAB");
    }
}

necropsy_synth::data_tests! {
    every_log_names_its_scenario: [Needs::Lab("out")],
}
