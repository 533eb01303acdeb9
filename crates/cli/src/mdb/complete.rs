//! Completion at the mdb prompt: dcmds, walkers, types and symbols.

use std::sync::Arc;

use necropsy_debuginfo::Kind;
use necropsy_mdb::{Mdb, System};
use reedline::{CompletionResult, Span, Suggestion};

/// More candidates than this help nobody.
const LIMIT: usize = 200;

pub(super) struct Completer {
    system: Arc<dyn System>,
    dcmds: Vec<(&'static str, &'static str)>,
    walkers: Vec<(&'static str, &'static str)>,
}

impl Completer {
    pub(super) fn new(mdb: &Mdb) -> Self {
        let dcmds = mdb.dcmds().flat_map(|dcmd| {
            dcmd.names.iter().map(|name| (*name, dcmd.summary)).filter(|(name, _)| name.len() > 2)
        });
        Completer {
            system: mdb.system().clone(),
            dcmds: dcmds.collect(),
            walkers: mdb.walkers().map(|walker| (walker.name, walker.summary)).collect(),
        }
    }

    /// Where the word begins, and what it may become.
    fn candidates(&self, line: &str) -> (usize, Vec<(String, Option<&'static str>)>) {
        let start = line.rfind([' ', '\t', '|', ';']).map_or(0, |at| at + 1);
        let word = &line[start..];
        let named = |list: &[(&'static str, &'static str)], prefix: &str| -> Vec<_> {
            let found = list.iter().filter(|(name, _)| name.starts_with(prefix));
            found.map(|(name, help)| ((*name).to_owned(), Some(*help))).collect()
        };
        if let Some(at) = word.rfind("::") {
            return (start + at + 2, named(&self.dcmds, &word[at + 2..]));
        }
        let before = line[..start].trim_end();
        if before.ends_with("::walk") {
            return (start, named(&self.walkers, word));
        }
        if before.ends_with("::help") {
            return (start, named(&self.dcmds, word));
        }
        let wants_type = ["::print", "::sizeof", "::offsetof", "::array", "::list"]
            .iter()
            .any(|dcmd| before.ends_with(dcmd));
        if wants_type {
            let names = self.system.types().names(Kind::Typedef);
            let found = names.into_iter().filter(|(name, _)| name.starts_with(word));
            return (start, found.map(|(name, _)| (name.to_owned(), None)).collect());
        }
        if word.is_empty() {
            return (start, Vec::new());
        }
        let symbols = self.system.symbols(None);
        let found = symbols.into_iter().filter(|symbol| symbol.name.starts_with(word));
        (start, found.map(|symbol| (symbol.name, None)).collect())
    }
}

impl reedline::Completer for Completer {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let Some(line) = line.get(..pos) else { return CompletionResult::fresh(Vec::new()) };
        let (start, mut found) = self.candidates(line);
        found.sort();
        found.dedup();
        found.truncate(LIMIT);
        let suggestions: Vec<_> = found
            .into_iter()
            .map(|(value, help)| Suggestion {
                value,
                description: help.map(str::to_owned),
                span: Span::new(start, pos),
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}
