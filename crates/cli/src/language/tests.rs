use std::{fs, sync::Arc};

use super::*;
use crate::{
    Status,
    aliases::Origin,
    names::Names,
    render::{Capture, Form},
};

struct Kernel;
impl Names for Kernel {
    fn symbol(&self, name: &str) -> Option<u64> {
        matches!(name, "jiffies" | "files").then_some(0x1000)
    }
}

fn session() -> Session {
    let mut session = Session::new();
    session.names = Arc::new(Kernel);
    session
}

fn run(session: &mut Session, text: &str) -> String {
    let capture = Capture::default();
    run_captured(session, text, &capture);
    capture.take()
}

/// The output of `line > file` as the file then holds it.
fn redirected(session: &mut Session, line: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out");
    run_line(session, &line.replace("OUT", &file.display().to_string()));
    fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn output_goes_to_files_and_pipes() {
    let mut session = session();
    let first = |text: String| text.lines().next().unwrap_or("").to_owned();
    assert_eq!(first(redirected(&mut session, "eval 16 > OUT")), "hexadecimal: 10");
    assert_eq!(redirected(&mut session, "eval 16 | grep octal > OUT").trim(), "octal: 20");
    assert_eq!(session.status(), Status::Done);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut session = session();
    for _ in 0..50 {
        run_line(&mut session, "ascii | true");
    }
    assert_eq!(session.status(), Status::Done);
}

#[test]
fn arguments_come_from_a_file() {
    let mut session = session();
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    fs::write(&list, "41\n# a comment\n\nzz\n42\n").unwrap();
    let list = list.display();
    let out = redirected(&mut session, &format!("ascii < {list} > OUT"));
    assert_eq!(out.lines().map(|line| &line[14..18]).collect::<Vec<_>>(), ["41: ", "42: "]);
    assert_ne!(session.status(), Status::Done, "zz is no number");
    let out = redirected(&mut session, &format!("eval (1 + < {list}) > OUT"));
    assert!(out.contains("decimal: 42") && out.contains("decimal: 43"), "{out}");
}

#[test]
fn files_of_commands() {
    let mut session = session();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("commands");
    fs::write(&file, format!("// comment\nalias two eval 2\n< {}\n", file.display())).unwrap();
    run_line(&mut session, &format!("< {}", file.display()));
    assert!(session.aliases.get("two").is_some());
    assert_eq!(session.status(), Status::Failed, "a file that reads itself must end");
}

#[test]
fn aliases_expand_once_each() {
    let mut session = session();
    session.aliases.set(Origin::Runtime, "sixteen", "eval 16");
    session.aliases.set(Origin::Runtime, "eval", "eval -b");
    assert!(run(&mut session, "sixteen").contains("bits set: 4"));
    assert!(!run(&mut session, r"\eval 16").contains("bits set"));
}

#[test]
fn unknown_words() {
    let mut session = session();
    assert!(run(&mut session, "evla 1").contains("did you mean eval?"));
    assert_eq!(session.status(), Status::Usage);
    assert!(run(&mut session, r"\nosuch").contains("command not found"));
    assert!(
        run(&mut session, "eval --bogus 1").starts_with("eval: unknown option --bogus; usage:")
    );
    assert!(run(&mut session, "repeat -1 ps").contains("live system"));
    assert!(run(&mut session, "gdb info registers").contains("no gdb inside"));
}

#[test]
fn json_for_one_command_or_all() {
    let mut session = session();
    let row: serde_json::Value =
        serde_json::from_str(&run(&mut session, "eval 16 --json")).unwrap();
    assert_eq!(row["hexadecimal"], "0x10");
    session.settings.form = Form::Json;
    assert!(run(&mut session, "ascii 41").starts_with('{'));
}

#[test]
fn errors_go_where_they_are_sent() {
    let mut session = session();
    run_line(&mut session, "set error redirect");
    assert!(redirected(&mut session, "eval zz > OUT").starts_with("eval: zz: neither"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("errors");
    run_line(&mut session, &format!("set error {}", file.display()));
    run_line(&mut session, "eval zz");
    run_line(&mut session, "nosuch");
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 2);
}

#[test]
fn shell_lines() {
    let mut session = session();
    run_line(&mut session, "!true");
    run_line(&mut session, "pwd > /dev/null");
    assert_eq!(session.status(), Status::Done);
    run_line(&mut session, "!exit 3");
    assert_eq!(session.status(), Status::Failed);
}

#[test]
fn damaged_lines_do_no_harm() {
    let mut session = session();
    let alphabet = ["eval", " ", "(", ")", "'", "\"", "[", "-", "\\", "*", "é", "1", ".", "alias"];
    let mut state = 1u64;
    for _ in 0..3000 {
        let mut line = String::new();
        for _ in 0..8 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            line.push_str(alphabet[(state >> 40) as usize % alphabet.len()]);
        }
        run(&mut session, &line);
    }
}
