//! The manual of the commands and of their rows, and the README's list, made from the registry.

use std::{fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use necropsy::{command::Command, registry::COMMANDS};

/// The files that are made, and their text.
fn files() -> Result<[(PathBuf, String); 3]> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = root.join("README.md");
    let text = fs::read_to_string(&readme).with_context(|| readme.display().to_string())?;
    let docs = root.join("docs");
    Ok([
        (docs.join("commands.md"), manual()?),
        (docs.join("json.md"), rows()?),
        (readme, with_commands(text)?),
    ])
}

/// Writes the manual, and the list in the README.
pub(crate) fn write() -> Result<()> {
    for (path, text) in files()? {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Fails unless they are what the registry says.
pub(crate) fn check() -> Result<()> {
    for (path, text) in files()? {
        let found = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if found != text {
            bail!("{} is out of date: run cargo xtask manual", path.display());
        }
    }
    Ok(())
}

/// The README with its list of the commands that there are.
fn with_commands(readme: String) -> Result<String> {
    let mut there: Vec<_> = COMMANDS
        .iter()
        .flat_map(|command| command.names)
        .copied()
        .filter(|name| name.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .collect();
    there.sort_unstable();
    with_list(&readme, "<!-- commands -->", &there)
}

fn with_list(text: &str, begin: &str, words: &[&str]) -> Result<String> {
    let (before, rest) =
        text.split_once(begin).with_context(|| format!("README.md has no {begin}"))?;
    let (_, after) = rest.split_once("<!-- end -->").context("README.md has no <!-- end -->")?;
    Ok(format!("{before}{begin}`{}`<!-- end -->{after}", words.join(" ")))
}

/// What is in the rows of each command.
fn rows() -> Result<String> {
    let mut text = String::from(
        "# Rows\n\nMade from the declarations of the rows (`crates/cli/src/rows`) by `cargo xtask \
         manual`; `necropsy schema COMMAND` writes the same as a JSON schema.\n\n\
         With `--json` every command prints one JSON object a line. With `--csv` it prints one line \
         for each innermost element of a row, the outer columns repeated, below a line with the \
         columns' names (`frames.index`); plain values of a list are separated by `;`.\n\n\
         Fields of kind *hex* are strings (`\"0x…\"`), because JSON's numbers lose bits above 2⁵³. A \
         field is `null` where its value could not be read, or where there is none; `faults` then \
         lists the former: the `address` that could not be read, the `reason` (`excluded`, \
         `not_mapped`, …) and `what` was being read. Fields may be added; those that are there keep \
         their names and meaning.\n",
    );
    for command in COMMANDS.iter().filter(|command| !command.rows.is_empty()) {
        writeln!(text, "\n## {}", command.name())?;
        for row in command.rows {
            writeln!(text)?;
            necropsy_rows::document(row, &mut text)?;
        }
    }
    // One line end, and no more, ends the file.
    Ok(text.trim_end().to_owned() + "\n")
}

fn manual() -> Result<String> {
    let mut text = String::from(
        "# Commands\n\nMade from the registry by `cargo xtask manual`; `help NAME` at the prompt \
         shows the same.\n\n| Command | |\n|---|---|\n",
    );
    for command in COMMANDS.iter() {
        writeln!(text, "| `{}` | {} |", command.names.join("` `"), command.summary)?;
    }
    writeln!(text, "\n## A line\n\n```text\n{}```", necropsy::commands::LANGUAGE)?;
    for command in COMMANDS.iter() {
        page(&mut text, command)?;
    }
    Ok(text)
}

fn page(text: &mut String, command: &Command) -> Result<()> {
    let name = command.name();
    writeln!(text, "\n## {name}\n\n{}.\n\n```text", sentence(command.summary))?;
    for form in command.synopsis.split('\n') {
        writeln!(text, "{}", format!("{name} {form}").trim_end())?;
    }
    writeln!(text, "```\n\n{}", command.description)?;
    if !command.options.is_empty() {
        writeln!(text, "\n| Option | |\n|---|---|")?;
    }
    for opt in command.options {
        let flag = opt.display().replace('|', "\\|");
        writeln!(text, "| `{flag}` | {} |", opt.help.replace('|', "\\|"))?;
    }
    for example in command.examples {
        writeln!(text, "\n{}\n\n```text\nnecropsy> {}", example.about, example.line)?;
        if !example.output.is_empty() {
            writeln!(text, "{}", example.output)?;
        }
        writeln!(text, "```")?;
    }
    Ok(())
}

fn sentence(summary: &str) -> String {
    let mut letters = summary.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
