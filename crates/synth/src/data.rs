//! A harness for tests that need what is not in the repository: full-size dumps, corpora, another
//! debugger. Where that is missing they are reported as *ignored*, not as passed.

use std::{env, path::PathBuf, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

/// What a test needs.
#[derive(Debug, Clone, Copy)]
pub enum Needs {
    /// This file or folder below the directory of full-size dumps that `NECROPSY_LAB` names.
    Lab(&'static str),
    /// This file or folder of the corpora: in the directory that `NECROPSY_CORPORA` names, or in
    /// `shared/corpora` beside the work tree.
    Corpora(&'static str),
    /// An environment variable that says how to run something.
    Variable(&'static str),
}

impl Needs {
    /// What is missing, in a few words.
    fn missing(self) -> Option<String> {
        let below = |folder: Option<PathBuf>, variable: &str, path: &str| match folder {
            None => Some(format!("set {variable}")),
            Some(folder) if folder.join(path).exists() => None,
            Some(_) => Some(format!("no {path} in {variable}")),
        };
        match self {
            Needs::Lab(path) => below(directory("NECROPSY_LAB"), "NECROPSY_LAB", path),
            Needs::Corpora(path) => {
                let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora");
                let folder = directory("NECROPSY_CORPORA").unwrap_or_else(|| beside.into());
                below(Some(folder), "NECROPSY_CORPORA", path)
            }
            Needs::Variable(name) => env::var_os(name).is_none().then(|| format!("set {name}")),
        }
    }
}

fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}

/// A test, and what it needs.
#[derive(Debug, Clone, Copy)]
pub struct DataTest {
    /// Its name.
    pub name: &'static str,
    /// Panics if it fails.
    pub run: fn(),
    /// All of these.
    pub needs: &'static [Needs],
}

/// Runs the tests that can be run: the body of `main`.
pub fn run_data_tests(tests: &[DataTest]) -> ExitCode {
    let trials = tests.iter().map(|test| {
        let missing = test.needs.iter().find_map(|need| need.missing());
        let run = test.run;
        let trial = Trial::test(test.name, move || {
            run();
            Ok(())
        });
        match missing {
            Some(missing) => trial.with_kind(missing).with_ignored_flag(true),
            None => trial,
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// The `main` of a test file without a harness of its own: which tests there are, and what each
/// needs.
///
/// ```ignore
/// data_tests! {
///     always: [],
///     on_a_full_size_dump: [Needs::Lab("out/k612-null/vmcore")],
/// }
/// ```
#[macro_export]
macro_rules! data_tests {
    ($($test:ident: [$($need:expr),*]),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::run_data_tests(&[$($crate::DataTest {
                name: stringify!($test),
                run: $test,
                needs: &[$($need),*],
            }),+])
        }
    };
}
