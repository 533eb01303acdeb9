//! mdb's own command line, for a program that is called by the name `mdb`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use necropsy_mdb::illumos::REGISTRY;

use crate::Status;

use super::{open, run};

const USAGE: &str = "usage: mdb [-e COMMAND] [-k] [--json] NUMBER | [unix.N] vmcore.N | vmdump.N";

/// What the words ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    files: Vec<PathBuf>,
    commands: Vec<String>,
    json: bool,
}

fn parse(words: impl Iterator<Item = OsString>) -> Result<Words, String> {
    let mut out = Words::default();
    let mut words = words;
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let mut value = |what: &str| -> Result<String, String> {
            let next = words.next().map(|word| word.to_string_lossy().into_owned());
            next.ok_or_else(|| format!("option requires an argument -- {what}"))
        };
        match text.as_str() {
            "-e" => out.commands.push(value("e")?),
            "--json" => out.json = true,
            // What they ask for is so here, or does not change what a dump says.
            "-k" | "-F" | "-m" | "-M" | "-S" | "-y" | "-U" => {}
            "-o" => {
                let option = value("o")?;
                out.commands.push(format!("::set -o {option}"));
            }
            "-I" | "-L" | "-s" | "-V" | "-R" | "-P" | "-C" => {
                value(&text[1..])?;
            }
            "-w" => return Err("a dump cannot be written to".into()),
            "-p" | "-A" | "-K" | "-u" => {
                return Err(format!("{text}: dumps alone can be looked at"));
            }
            option if option.starts_with('-') && option.len() > 1 => {
                return Err(format!("illegal option -- {}", &option[1..]));
            }
            _ => out.files.push(word.into()),
        }
    }
    Ok(out)
}

/// The files behind a number: `unix.N` and `vmcore.N`, or `vmdump.N` where it was not expanded.
fn numbered(number: &str) -> Vec<PathBuf> {
    let there = |name: &str| Path::new(&format!("{name}.{number}")).exists();
    let file = |name: &str| PathBuf::from(format!("{name}.{number}"));
    match (there("vmcore"), there("unix"), there("vmdump")) {
        (true, true, _) => vec![file("unix"), file("vmcore")],
        (true, false, _) => vec![file("vmcore")],
        (false, _, true) => vec![file("vmdump")],
        _ => vec![file("unix"), file("vmcore")],
    }
}

/// Runs as mdb does.
pub fn run_mdb(words: impl Iterator<Item = OsString>) -> Status {
    let mut words = match parse(words) {
        Ok(words) => words,
        Err(error) => {
            complain!("mdb: {error}\n{USAGE}");
            return Status::Usage;
        }
    };
    if let [file] = &words.files[..]
        && let Some(number) = file.to_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
    {
        words.files = numbered(number);
    }
    if words.files.is_empty() {
        complain!("{USAGE}");
        return Status::Usage;
    }
    match open(&words.files) {
        Ok(system) => {
            let ends = words.commands.iter().any(|command| !command.starts_with("::set -o"));
            run(Arc::new(system), &REGISTRY, &words.commands, words.json, false, ends)
        }
        Err(error) => {
            complain!("mdb: {error}");
            Status::CannotOpen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Words, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_words_of_mdb() {
        let words = read("-k unix.0 vmcore.0 -e ::status").unwrap();
        assert_eq!(words.files.len(), 2);
        assert_eq!(words.commands, ["::status"]);
        assert!(read("-e").is_err());
        assert!(read("-p 12").is_err());
        assert!(read("-z").is_err());
    }
}
