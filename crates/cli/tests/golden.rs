//! Golden tests: commands × dumps.
//!
//! Every dump in `tests/dumps` meets every file of lines in `tests/commands` (one file a command)
//! and every example of the registry: one case for each pair. What a case printed is kept in
//! `tests/golden/DUMP/COMMAND.txt`. A new dump in the folder gets every command's case, and a
//! changed output shows on all dumps at once.
//!
//! Where there is debug information of a dump (`tests/debug/DUMP`), the lines of
//! `tests/commands-debug` run with it: what they printed is in `tests/golden/DUMP+debug`.
//!
//! The lines of each case run once more for their rows, which are held against the JSON schemas.
//!
//! `NECROPSY_ACCEPT=1 cargo test -p necropsy --test golden` accepts what is printed now; read the
//! difference before committing it.

mod schema;

use std::{
    env,
    fmt::Write,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use libtest_mimic::{Arguments, Failed, Trial};
use necropsy::{
    language::run_captured, opening::Request, registry::COMMANDS, render::Capture, session::Session,
};

/// Commands whose output is not the dump's doing.
const NO_DUMP_NEEDED: &[&str] = &["alias", "ascii", "eval", "h", "help", "q", "repeat", "schema"];

fn main() {
    // Outputs hold local times and the names of dumps: the same on every machine.
    let cache = env!("CARGO_TARGET_TMPDIR");
    if env::var_os("TZ").is_none_or(|zone| zone != "UTC")
        || env::var_os("XDG_CACHE_HOME").is_none_or(|folder| folder != cache)
    {
        let error = env::current_exe().map(|own| {
            let mut again = Command::new(own);
            again.args(env::args_os().skip(1)).env("TZ", "UTC");
            // Nor do they depend on what this machine has of other kernels.
            again.env("XDG_CACHE_HOME", cache).env_remove("DEBUGINFOD_URLS").exec()
        });
        panic!("cannot start again with TZ=UTC: {error:?}");
    }
    if let Err(error) = env::set_current_dir(env!("CARGO_MANIFEST_DIR")) {
        panic!("{}: {error}", env!("CARGO_MANIFEST_DIR"));
    }
    let arguments = Arguments::from_args();
    let root = Path::new("tests");
    let dumps = files(&root.join("dumps"), "kdump");
    if dumps.is_empty() {
        eprintln!("golden: no dump in tests/dumps: no cases");
    }
    let mut trials = Vec::new();
    for dump in dumps {
        let symbols = root.join("debug").join(stem(&dump));
        if symbols.is_dir() {
            for (command, lines) in lines_of(&root.join("commands-debug")) {
                let folder = format!("{}+debug", stem(&dump));
                let golden = root.join("golden").join(&folder).join(format!("{command}.txt"));
                let request = Request {
                    files: vec![dump.clone()],
                    symbols: vec![symbols.clone()],
                    ..Request::default()
                };
                trials.push(Trial::test(format!("{folder}::{command}"), move || {
                    let mut session = request.session().map_err(|error| error.to_string())?;
                    compare(&golden, &print(&mut session, &lines))?;
                    schema::hold(&mut session, &lines)
                }));
            }
        }
        // Opened once, by the first case that runs; each case has a session of its own.
        let kernel = Arc::new(OnceLock::new());
        for (command, lines) in cases(&root.join("commands")) {
            let golden = root.join("golden").join(stem(&dump)).join(format!("{command}.txt"));
            let name = format!("{}::{command}", stem(&dump));
            let (dump, kernel) = (dump.clone(), kernel.clone());
            let session = move || -> Result<Session, Failed> {
                let opened = kernel.get_or_init(|| {
                    Request { files: vec![dump], no_debuginfo: true, ..Request::default() }
                        .open()
                        .map_err(|error| error.to_string())
                });
                Ok(Session::on(opened.as_ref().map_err(Failed::from)?.clone()))
            };
            let (again, same) = (session.clone(), lines.clone());
            trials.push(Trial::test(format!("{name}::rows"), move || {
                schema::hold(&mut again()?, &same)
            }));
            trials
                .push(Trial::test(name, move || compare(&golden, &print(&mut session()?, &lines))));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The lines of each command: its file in `commands`, then its examples.
fn cases(folder: &Path) -> Vec<(String, Vec<String>)> {
    let mut cases = lines_of(folder);
    for command in COMMANDS.iter().filter(|c| !NO_DUMP_NEEDED.contains(&c.name())) {
        // `*` makes no file name.
        let name = command.name().replace('*', "star");
        let examples = command.examples.iter().map(|example| example.line.to_owned());
        match cases.iter_mut().find(|(case, _)| *case == name) {
            Some((_, lines)) => {
                for line in examples {
                    if !lines.contains(&line) {
                        lines.push(line);
                    }
                }
            }
            None => cases.push((name, examples.collect())),
        }
    }
    cases.retain(|(_, lines)| !lines.is_empty());
    cases
}

/// The files of a folder, by name, with their lines.
fn lines_of(folder: &Path) -> Vec<(String, Vec<String>)> {
    let lines = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        (stem(&file), lines.map(str::to_owned).collect())
    };
    files(folder, "txt").into_iter().map(lines).collect()
}

fn print(session: &mut Session, lines: &[String]) -> String {
    let capture = Capture::default();
    let mut text = String::new();
    for line in lines {
        run_captured(session, line, &capture);
        let _ = writeln!(text, "necropsy> {line}\n{}", capture.take());
    }
    text
}

/// What was printed is part of every clone: of whom and where it was made is nobody's business.
fn tells_of_builder(printed: &str) -> Option<&str> {
    printed.lines().find(|line| line.contains("/root/") || line.contains("/home/"))
}

fn compare(golden: &Path, printed: &str) -> Result<(), Failed> {
    if let Some(line) = tells_of_builder(printed) {
        return Err(format!("a folder of the builder's: {line}").into());
    }
    if std::env::var_os("NECROPSY_ACCEPT").is_some_and(|value| value == "1") {
        if let Some(folder) = golden.parent() {
            fs::create_dir_all(folder)?;
        }
        return Ok(fs::write(golden, printed)?);
    }
    let expected = fs::read_to_string(golden)
        .map_err(|error| format!("{}: {error}; accept with NECROPSY_ACCEPT=1", golden.display()))?;
    if expected == printed {
        return Ok(());
    }
    Err(difference(golden, &expected, printed).into())
}

/// The first lines that differ, which is where to look.
fn difference(golden: &Path, expected: &str, printed: &str) -> String {
    let mut text = format!("{} differs:\n", golden.display());
    let (mut expected, mut printed) = (expected.lines(), printed.lines());
    let mut shown = 0;
    for number in 1.. {
        let (old, new) = (expected.next(), printed.next());
        if (old, new) == (None, None) || shown == 20 {
            break;
        }
        if old != new {
            let _ = writeln!(text, "{number}: - {}", old.unwrap_or("(end)"));
            let _ = writeln!(text, "{number}: + {}", new.unwrap_or("(end)"));
            shown += 1;
        }
    }
    text
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = list.map(|entry| entry.path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
