//! Reports as kernels of many ages and architectures print them: our own
//! texts, each with the title in the well-known style that it must get.
//!
//! A case begins with `#### TITLE`, followed by `#: alt TITLE` and
//! `#: corrupted` lines; `#### -` is a log without a report.

use std::collections::BTreeSet;

use necropsy_oops::{Options, TitleStyle, reports};

struct Case {
    title: String,
    alt: BTreeSet<String>,
    corrupted: bool,
    log: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("#### ") {
            cases.push(Case {
                title: title.to_owned(),
                alt: BTreeSet::new(),
                corrupted: false,
                log: String::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        match line.strip_prefix("#: ") {
            Some("corrupted") => case.corrupted = true,
            Some(label) => {
                case.alt.insert(label.strip_prefix("alt ").unwrap_or(label).to_owned());
            }
            None => {
                case.log.push_str(line);
                case.log.push('\n');
            }
        }
    }
    cases
}

fn check(text: &str) {
    let mut wrong = String::new();
    for case in cases(text) {
        let options = Options { style: TitleStyle::Syzkaller };
        let found = reports(case.log.as_bytes(), &options);
        let Some(first) = found.first() else {
            if case.title != "-" {
                wrong.push_str(&format!("\n{}: nothing found", case.title));
            }
            continue;
        };
        let alt: BTreeSet<String> = first.alt_titles.iter().cloned().collect();
        if first.title != case.title || alt != case.alt || first.corrupted != case.corrupted {
            wrong.push_str(&format!(
                "\n{} {:?} {}\n  found {} {alt:?} {:?}",
                case.title, case.alt, case.corrupted, first.title, first.corrupted_why
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn faults() {
    check(include_str!("cases/faults.txt"));
}

#[test]
fn sanitizers() {
    check(include_str!("cases/sanitizers.txt"));
}

#[test]
fn warnings() {
    check(include_str!("cases/warnings.txt"));
}

#[test]
fn locks() {
    check(include_str!("cases/locks.txt"));
}

#[test]
fn hangs() {
    check(include_str!("cases/hangs.txt"));
}

#[test]
fn panics() {
    check(include_str!("cases/panics.txt"));
}

#[test]
fn other_systems() {
    check(include_str!("cases/other_systems.txt"));
}

/// Functions that real stacks have between the guilty one and the report, and
/// functions that only look like them.
#[test]
fn blame() {
    let title = |function: &str| {
        let log = format!(
            "WARNING: CPU: 1 PID: 9 at a/b.c:1 {function}+0x1/0x2\nRIP: 0010:{function}+0x1/0x2\nCall Trace:\n caller+0x1/0x2\n do_syscall_64+0x1/0x2\n"
        );
        let found = reports(log.as_bytes(), &Options { style: TitleStyle::Syzkaller });
        found.into_iter().next().and_then(|report| report.frame).unwrap_or_default()
    };
    let passed_over = include_str!("cases/generic.txt").split_whitespace();
    let blamed = include_str!("cases/guilty.txt").split_whitespace();
    let wrong: Vec<String> = passed_over
        .filter(|function| title(function) != "caller")
        .map(|function| format!("{function} is not to blame"))
        .chain(
            blamed
                .filter(|function| title(function) != **function)
                .map(|function| format!("{function} is to blame")),
        )
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
