//! The manual of the commands, made from the registry.

use std::{fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use necropsy::registry::{COMMANDS, Command};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md")
}

/// Writes the manual.
pub(crate) fn write() -> Result<()> {
    let path = path();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text()?).with_context(|| path.display().to_string())
}

/// Fails unless the manual is what the registry says.
pub(crate) fn check() -> Result<()> {
    let path = path();
    let found = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if found != text()? {
        bail!("docs/commands.md is out of date: run cargo xtask manual");
    }
    Ok(())
}

fn text() -> Result<String> {
    let mut text = String::from(
        "# Commands\n\nMade from the registry by `cargo xtask manual`; `help NAME` at the prompt \
         shows the same.\n\n| Command | |\n|---|---|\n",
    );
    for command in COMMANDS {
        writeln!(text, "| `{}` | {} |", command.names.join("` `"), command.summary)?;
    }
    writeln!(text, "\n## A line\n\n```text\n{}```", necropsy::commands::LANGUAGE)?;
    for command in COMMANDS {
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
