//! Files of rules: docs/rules.md.

use std::{fs, path::Path};

use necropsy_diagnose::rules::{Rule, RuleFile};

use crate::CommandError;

/// A file of rules is text that people write, in bytes.
const LARGEST: u64 = 16 << 20;

/// All rules of the `*.json` in a folder, in the order of their names.
pub(super) fn read(folder: &Path) -> Result<Vec<Rule>, CommandError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        CommandError::failed(format!("{}: {error}", path.display()))
    };
    let entries = fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut rules = Vec::new();
    for file in &files {
        let size = fs::metadata(file).map_err(|error| failed(file, &error))?.len();
        if size > LARGEST {
            return Err(failed(file, &"too large for a file of rules"));
        }
        let text = fs::read_to_string(file).map_err(|error| failed(file, &error))?;
        let read: RuleFile = serde_json::from_str(&text).map_err(|error| failed(file, &error))?;
        rules.extend(read.rules);
    }
    Ok(rules)
}
