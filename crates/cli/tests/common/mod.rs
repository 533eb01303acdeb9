//! What the tests on full-size dumps share.
#![allow(dead_code)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use necropsy::{
    language::run_captured,
    opening::Request,
    render::{Capture, Form},
    session::Session,
};
use serde_json::Value;

pub(crate) fn lab() -> Option<PathBuf> {
    let lab = env::var_os("NECROPSY_LAB").map(PathBuf::from);
    if lab.is_none() {
        eprintln!("SKIPPED: no NECROPSY_LAB");
    }
    lab
}

/// Every dump under `out` with a raw vmcore, but those too large for a test.
pub(crate) fn dumps(lab: &Path) -> Vec<PathBuf> {
    const TOO_LARGE: u64 = 2 << 30;
    let folders = fs::read_dir(lab.join("out")).into_iter().flatten().flatten();
    let dumps = folders.map(|folder| folder.path().join("vmcore"));
    let mut dumps: Vec<_> = dumps
        .filter(|dump| fs::metadata(dump).is_ok_and(|file| file.len() < TOO_LARGE))
        .filter(|dump| dump.with_file_name("console.log").exists())
        .collect();
    dumps.sort();
    assert!(!dumps.is_empty(), "no dump under {}", lab.display());
    dumps
}

/// `k612-null`
pub(crate) fn name(dump: &Path) -> String {
    dump.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

pub(crate) fn open(files: &[PathBuf]) -> Session {
    let request = Request { files: files.to_vec(), ..Request::default() };
    let mut session = Session::on(request.open().unwrap());
    session.settings.form = Form::Json;
    session
}

/// The rows that a line answers with.
pub(crate) fn rows(session: &mut Session, line: &str) -> Vec<Value> {
    let capture = Capture::default();
    run_captured(session, line, &capture);
    let text = capture.take();
    // What `check` ends with is no row.
    let lines = text.lines().filter(|line| !line.starts_with("check: "));
    let row = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    lines.map(row).collect()
}

/// With the debug information of its kernel, and of the lab's module. None without them.
pub(crate) fn open_with_debug(lab: &Path, dump: &Path) -> Option<Session> {
    let name = name(dump);
    let kernel = name.split('-').next().unwrap_or_default();
    let vmlinux = lab.join(kernel).join("vmlinux");
    if !vmlinux.exists() {
        eprintln!("SKIPPED: {name}: no {}", vmlinux.display());
        return None;
    }
    let request = Request {
        files: vec![dump.to_owned()],
        symbols: vec![vmlinux, lab.join(format!("mod-{kernel}"))],
        ..Request::default()
    };
    let mut session = request.session().unwrap();
    session.settings.form = Form::Json;
    Some(session)
}

/// What drgn answers to a script: one JSON object a line. `None` without drgn.
pub(crate) fn drgn(lab: &Path, dump: &Path, script: &str) -> Option<Vec<Value>> {
    let Ok(template) = env::var("NECROPSY_DRGN") else {
        eprintln!("SKIPPED: no NECROPSY_DRGN (drgn -c {{dump}} -s {{vmlinux}} -q {{script}})");
        return None;
    };
    let kernel = name(dump);
    let kernel = kernel.split('-').next().unwrap_or_default();
    let vmlinux = lab.join(kernel).join("vmlinux").canonicalize().unwrap();
    let folder = tempfile::tempdir_in(lab).unwrap();
    let file = folder.path().join("tasks.py");
    fs::write(&file, script).unwrap();
    let words = template.split_whitespace().map(|word| {
        word.replace("{dump}", &dump.display().to_string())
            .replace("{vmlinux}", &vmlinux.display().to_string())
            .replace("{script}", &file.display().to_string())
    });
    let words: Vec<_> = words.collect();
    let output = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// `"0x…"` as a number.
pub(crate) fn address(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}
