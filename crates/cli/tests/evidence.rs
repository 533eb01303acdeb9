//! What findings say is what commands show: the commands of their evidence are executed, and
//! address and value looked for in what they print.

mod common;

use std::path::Path;

use common::{open, rows};
use necropsy::{
    language::run_captured,
    render::{Capture, Form},
    session::Session,
};
use serde_json::Value;

fn text(session: &mut Session, line: &str) -> String {
    let capture = Capture::default();
    session.settings.form = Form::Text;
    run_captured(session, line, &capture);
    session.settings.form = Form::Json;
    capture.take()
}

/// Checks the evidence of a dump, and says which classes were found.
fn check(dump: &Path) -> Vec<String> {
    let mut session = open(&[dump.to_owned()]);
    let report = rows(&mut session, "report").remove(0);
    let findings = report["findings"].as_array().cloned().unwrap_or_default();
    for evidence in findings.iter().flat_map(|finding| finding["evidence"].as_array().unwrap()) {
        let command = evidence["command"].as_str().unwrap();
        let shown = text(&mut session, command);
        for field in ["address", "value"] {
            let Some(number) = evidence[field].as_str() else { continue };
            let digits = number.trim_start_matches("0x");
            let padded = format!("{digits:0>16}");
            assert!(
                shown.contains(&padded),
                "{}: {command}: no {number} in\n{shown}",
                dump.display()
            );
        }
    }
    let class = |finding: &Value| finding["class"].as_str().unwrap().to_owned();
    findings.iter().map(class).collect()
}

#[test]
fn evidence_is_what_commands_show() {
    let dumps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps");
    assert_eq!(check(&dumps.join("linux-7.2-null.kdump")), ["null-pointer"]);
    assert_eq!(check(&dumps.join("linux-5.10-deadlock.kdump")), ["deadlock", "hung-task"]);
    // The wrong id, where the dump has the pages of the segments' table.
    assert!(check(&dumps.join("linux-6.12-shm.kdump")).contains(&"warning".to_owned()));
}

#[test]
fn evidence_of_full_size_dumps_is_what_commands_show() {
    let Some(lab) = common::lab() else { return };
    for dump in common::dumps(&lab) {
        let name = common::name(&dump);
        let expected = match name.split('-').nth(1) {
            Some("null" | "crowd") => "null-pointer",
            Some("sysrq") => "sysrq",
            Some("bug") => "bug",
            Some("warn") => "warning",
            Some("div0") => "divide-error",
            Some("panic") => "panic-called",
            Some("overflow") => "out-of-bounds",
            Some("uaf") => "use-after-free",
            Some("deadlock") => "deadlock",
            Some("softlockup") => "soft-lockup",
            Some("shm") => "byte-corruption",
            _ => continue,
        };
        let found = check(&dump);
        assert_eq!(found.first().map(String::as_str), Some(expected), "{}", dump.display());
    }
}
