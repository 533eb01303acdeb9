//! The example and the detectors, on the dumps in the repository.

use std::path::{Path, PathBuf};

use necropsy_diagnose::{Cause, Confidence, facts::Facts};
use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{Overrides, Target};

#[allow(missing_docs, unreachable_pub)]
#[path = "../examples/explain.rs"]
mod explain;

fn dump(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/dumps").join(name)
}

fn facts(name: &str) -> Facts {
    let dump = Dump::open(&[dump(name)], OpenOptions::default()).expect("the dump opens");
    Facts::gather(&Kernel::new(Target::open(dump, &Overrides::default())))
}

#[test]
fn the_example_follows_the_bad_value_to_its_member() {
    let text = explain::why(dump("linux-6.12-shm.kdump")).expect("it explains");
    assert!(text.starts_with("A WARN: a condition that the code checks for.\n"), "{text}");
    assert!(text.contains("sfd->id = 0x5c"), "{text}");
}

#[test]
fn a_write_to_null_is_found_with_its_instruction() {
    let facts = facts("linux-7.2-null.kdump");
    let [finding] = facts.diagnosis.findings.as_slice() else {
        panic!("{:?}", facts.diagnosis.findings)
    };
    assert_eq!(finding.class, Cause::NullPointer);
    assert_eq!(finding.confidence, Confidence::Certain);
    assert_eq!(finding.statement, "crashme_run+0x3f writes to memory at NULL");
    assert!(finding.evidence.iter().any(|evidence| evidence.value == Some(0)));
    assert!(finding.class.may_show_as(facts.said.expect("the log tells of it").class));
}

#[test]
fn a_changed_byte_and_a_deadlock_are_no_null_pointers() {
    let of = |name: &str| -> Vec<_> {
        facts(name).diagnosis.findings.iter().map(|finding| finding.class.name()).collect()
    };
    assert_eq!(of("linux-6.12-shm.kdump"), ["byte-corruption", "warning"]);
    assert_eq!(of("linux-5.10-deadlock.kdump"), ["deadlock", "hung-task"]);
}

#[test]
fn a_frame_that_is_not_there_is_said() {
    let dump = Dump::open(&[dump("linux-7.2-null.kdump")], OpenOptions::default()).expect("opens");
    let kernel = Kernel::new(Target::open(dump, &Overrides::default()));
    let case =
        necropsy_diagnose::Case::of_panic(&kernel).expect("it has a trace").expect("one did");
    let explanation = necropsy_diagnose::explain::explain(&case, Some(usize::MAX));
    assert_eq!(explanation.what.to_string(), "The trace has no such frame.");
}
