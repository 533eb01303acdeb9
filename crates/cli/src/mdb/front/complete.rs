//! Completion at the mdb prompt: dcmds, walkers, types, members and symbols.

use std::sync::Arc;

use necropsy_debuginfo::{Kind, Type};
use necropsy_mdb::{Mdb, System};
use reedline::{CompletionResult, Span, Suggestion};

/// More candidates than this help nobody.
const LIMIT: usize = 200;

/// What a word may become, and what that is.
type Candidates = Vec<(String, Option<&'static str>)>;

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
    fn candidates(&self, line: &str) -> (usize, Candidates) {
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
        if let Some(typed) = behind_type_taker(before) {
            return self.typed(start, &typed, word);
        }
        if word.is_empty() {
            return (start, Vec::new());
        }
        let symbols = self.system.symbols(None);
        let found = symbols.into_iter().filter(|symbol| symbol.name.starts_with(word));
        (start, found.map(|symbol| (symbol.name, None)).collect())
    }
}

impl Completer {
    /// A type, or a member of the one that was typed.
    fn typed(&self, start: usize, typed: &[&str], word: &str) -> (usize, Candidates) {
        let types = self.system.types();
        let plain = |names: Vec<&str>, prefix: &str| -> Candidates {
            let found = names.into_iter().filter(|name| name.starts_with(prefix));
            found.map(|name| (name.to_owned(), None)).collect()
        };
        let names = |kind| types.names(kind).into_iter().map(|(name, _)| name).collect();
        let kind = match typed {
            [] => Kind::Typedef,
            ["struct"] => Kind::Struct,
            ["union"] => Kind::Union,
            ["enum"] => Kind::Enum,
            [keyword @ ("struct" | "union" | "enum"), tag, ..] => {
                return self.members(start, &format!("{keyword} {tag}"), word);
            }
            [name, ..] => return self.members(start, name, word),
        };
        (start, plain(names(kind), word))
    }

    /// Members: behind the last `.` or `->` those of what is there.
    fn members(&self, start: usize, ty: &str, word: &str) -> (usize, Candidates) {
        let types = self.system.types();
        let Some(mut ty) = self.system.type_named(ty) else { return (start, Vec::new()) };
        let inner = word.rfind(['.', '>']).map_or(0, |at| at + 1);
        let path = word[..inner].trim_end_matches(['.', '>', '-']).replace("->", ".");
        let target = |ty| match *types.get(types.strip(ty)) {
            Type::Pointer(target) => target,
            _ => ty,
        };
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let name = name.split('[').next().unwrap_or(name);
            let Some(member) = types.member(self.system.complete(target(ty)), name) else {
                return (start, Vec::new());
            };
            ty = member.ty;
        }
        let composite = types.as_composite(self.system.complete(target(ty)));
        let members = composite.map_or(&[][..], |composite| &composite.members);
        let names = members.iter().map(|member| types.name(member.name));
        let found = names.filter(|name| !name.is_empty() && name.starts_with(&word[inner..]));
        (start + inner, found.map(|name| (name.to_owned(), None)).collect())
    }
}

/// What was typed behind a dcmd that takes a type, options left away.
fn behind_type_taker(line: &str) -> Option<Vec<&str>> {
    const TAKERS: [&str; 6] =
        ["::print", "::sizeof", "::offsetof", "::array", "::list", "::typedef"];
    let element = line.rsplit(['|', ';']).next()?;
    let mut words = element.split_whitespace();
    words.find(|word| TAKERS.iter().any(|taker| word.ends_with(taker)))?;
    Some(words.filter(|word| !word.starts_with('-')).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_members_are_wanted_behind_dcmds_that_take_them() {
        assert_eq!(behind_type_taker("p0::print"), Some(vec![]));
        assert_eq!(behind_type_taker("p0::print -t proc_t"), Some(vec!["proc_t"]));
        assert_eq!(
            behind_type_taker("::walk thread | ::print struct _kthread"),
            Some(vec!["struct", "_kthread"])
        );
        assert_eq!(behind_type_taker("p0::print proc_t | ::ps"), None);
        assert_eq!(behind_type_taker("::walk"), None);
    }
}
