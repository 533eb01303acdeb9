//! The forms of the report: what is written for a browser loads nothing, what is short is short, a log
//! alone is reported on, rules match.

mod common;

use std::{fs, path::Path};

use common::open;
use necropsy::{
    language::run_captured,
    render::{Capture, Form},
};

fn dump(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps").join(name)
}

fn text(name: &str, line: &str) -> String {
    let mut session = open(&[dump(name)]);
    session.settings.form = Form::Text;
    let capture = Capture::default();
    run_captured(&mut session, line, &capture);
    capture.take()
}

#[test]
fn a_page_for_a_browser_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["linux-7.2-null.kdump", "linux-6.12-shm.kdump", "linux-5.10-deadlock.kdump"] {
        let file = folder.path().join("page.html");
        text(name, &format!("report --html {}", file.display()));
        let page = fs::read_to_string(&file).unwrap();
        assert!(
            page.starts_with("<!doctype html>") && page.contains("class=\"verdict\""),
            "{name}"
        );
        for word in ["http:", "https:", "src=", "@import", "<link", "<script", "<iframe"] {
            assert!(!page.contains(word), "{name}: {word}");
        }
        // References within the page begin with #.
        let mut references = page.match_indices("url(").chain(page.match_indices("href="));
        assert!(references.all(|(at, _)| page[at..].starts_with("url(#")), "{name}");
        assert!(page.contains("default-src 'none'"), "{name}");
        assert!(page.contains("<svg class=\"bar\""), "{name}: where in memory it lies is drawn");
    }
    let deadlock = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(deadlock.contains("wait-for graph"), "who waits for whom is drawn");
}

#[test]
fn short_is_short() {
    let whole = text("linux-7.2-null.kdump", "report");
    assert!(whole.starts_with("VERDICT  null-pointer in "), "{whole}");
    for limit in [80, 500, 2000] {
        let page = text("linux-7.2-null.kdump", &format!("report --max-bytes {limit}"));
        assert!(page.len() <= limit && page.starts_with("VERDICT"), "{limit}: {page}");
    }
    let quick = text("linux-7.2-null.kdump", "report --quick");
    assert!(quick.len() < whole.len() && quick.starts_with("VERDICT"));
}

#[test]
fn markdown_has_headings_and_code() {
    let page = text("linux-7.2-null.kdump", "report --markdown");
    assert!(page.starts_with("# Verdict: null-pointer in "), "{page}");
    assert!(page.contains("\n## Evidence\n"), "{page}");
    assert_eq!(page.matches("```").count() % 2, 0, "{page}");
}

#[test]
fn rules_match_the_facts() {
    let folder = tempfile::tempdir().unwrap();
    let rules = r#"{"rules": [
        {"id": "T-1", "title": "a write to NULL", "when": {"class": ["null-*"], "release": ["7.2*"]}, "means": "it matches"},
        {"id": "T-2", "title": "no", "when": {"class": ["deadlock"]}, "means": "it does not"},
        {"id": "T-3", "title": "empty", "when": {}, "means": "nothing matches no conditions"}
    ]}"#;
    fs::write(folder.path().join("team.json"), rules).unwrap();
    let line = format!("report --rules {}", folder.path().display());
    let page = text("linux-7.2-null.kdump", &line);
    assert!(page.contains("T-1: a write to NULL"), "{page}");
    assert!(!page.contains("T-2") && !page.contains("T-3"), "{page}");
    fs::write(folder.path().join("wrong.json"), r#"{"rules": [{"id": "x", "wenn": {}}]}"#).unwrap();
    let mut session = open(&[dump("linux-7.2-null.kdump")]);
    session.settings.form = Form::Text;
    let capture = Capture::default();
    run_captured(&mut session, &line, &capture);
    let said = capture.take();
    assert!(!said.contains("VERDICT"), "a misspelt condition is an error: {said}");
}
