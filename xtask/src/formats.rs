//! The table of everything that is opened or refused, made from the readers' own table.

use std::{fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use necropsy_dump::{Tested, formats, packings};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md")
}

/// Writes the table.
pub(crate) fn write() -> Result<()> {
    let path = path();
    fs::write(&path, text()?).with_context(|| path.display().to_string())
}

/// Fails unless the table is what the readers say.
pub(crate) fn check() -> Result<()> {
    let path = path();
    let found = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if found != text()? {
        bail!("docs/formats.md is out of date: run cargo xtask manual");
    }
    Ok(())
}

fn text() -> Result<String> {
    let mut text = String::from(
        "# Files\n\nMade from the table in `crates/dump/src/formats.rs` by `cargo xtask manual`. \
         Files are told apart by their content, whatever their names.\n\n## Opened\n\n\
         | Format | Made by | The reader was tried on |\n|---|---|---|\n",
    );
    for row in formats() {
        let Some(tested) = row.tested else { continue };
        let tested = match tested {
            Tested::Real => "dumps of real machines",
            Tested::Generated => "files of other makers' generators",
            Tested::Description => "files generated here from the format's description alone",
        };
        writeln!(text, "| {} | {} | {tested} |", row.name, cell(row.about))?;
    }
    writeln!(
        text,
        "| raw memory image | `FILE@0xADDRESS`: QEMU's `pmemsave`, a simulator's RAM file | dumps \
         of real machines |\n\n## Unpacked first\n\nOne dump inside is opened, several are listed. \
         What can be unpacked of a cut file is used. Files of parts that unpack alone (xz with several \
         blocks, as `xz -T` makes them, zstd with several frames, bgzf) are unpacked where they are \
         read. The unpacked copies are kept for {} days, {} GB of them at most: `necropsy cache`.\n\n| Packing | |\n|---|---|",
        necropsy_dump::UnpackCache::AGE.as_secs() / (24 * 3600),
        necropsy_dump::UnpackCache::LIMIT >> 30,
    )?;
    for (name, ending) in packings() {
        writeln!(text, "| {name} | `{ending}` |")?;
    }
    writeln!(text, "\n## Known, and refused\n\n| Kind | | What to do |\n|---|---|---|")?;
    for row in formats() {
        let Some(refusal) = row.refusal else { continue };
        writeln!(text, "| {} | {} | {} |", row.name, cell(row.about), cell(refusal))?;
    }
    Ok(text)
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}
