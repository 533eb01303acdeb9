//! In place of an HTTP client, where none was asked for.

use std::path::{Path, PathBuf};

use super::Options;

/// Servers that cannot be asked.
#[derive(Debug)]
pub(super) struct Servers {
    given: bool,
}

/// Nothing, and why.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) path: Option<PathBuf>,
    pub(super) problems: Vec<String>,
}

impl Servers {
    pub(super) fn new(options: &Options) -> Self {
        Servers { given: !options.debuginfod_urls.is_empty() }
    }

    pub(super) fn fetch(
        &self,
        _build_id: &str,
        _fits: &dyn Fn(&Path) -> Result<(), String>,
    ) -> Fetched {
        let mut fetched = Fetched::default();
        if self.given {
            let line = "debuginfod: built without the feature that asks servers";
            fetched.problems.push(line.to_owned());
        }
        fetched
    }
}
