//! Known patterns: rules that a team keeps beside its runbooks, as data. `docs/rules.md` tells the
//! format of the files; here is what a rule holds and when it matches.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;

/// A file of rules.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A known pattern.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the team calls it: a ticket, a bug number.
    pub id: String,
    /// In a few words.
    pub title: String,
    /// When it is the case.
    #[serde(skip_serializing)]
    pub when: Conditions,
    /// What it means.
    pub means: String,
    /// What to do.
    pub action: Option<String>,
    /// Where more is written.
    pub link: Option<String>,
    /// The first release that has the fault.
    pub since: Option<String>,
    /// The first release that has it no more.
    pub fixed_in: Option<String>,
}

/// Conditions on the facts. Those that are given must all hold; of a list, one. A pattern may have
/// `*` for any text.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Class of the verdict.
    pub class: Vec<String>,
    /// How it showed.
    pub symptom: Vec<String>,
    /// The guilty function, or one on the stack of the task that panicked.
    pub function: Vec<String>,
    /// An out-of-tree module.
    pub module: Vec<String>,
    /// `uname -r`.
    pub release: Vec<String>,
    /// Letters that the taint must have, all of them.
    pub taint: String,
    /// Vendor and product.
    pub hardware: Vec<String>,
    /// A line of the kernel's report, or of the end of its log.
    pub log: Vec<String>,
}

impl Conditions {
    fn is_empty(&self) -> bool {
        let lists = [&self.class, &self.symptom, &self.function, &self.module, &self.release];
        lists.iter().all(|list| list.is_empty())
            && self.taint.is_empty()
            && self.hardware.is_empty()
            && self.log.is_empty()
    }
}

impl Rule {
    /// Whether the facts are those of this rule. A rule without conditions matches nothing.
    pub fn matches(&self, facts: &Facts) -> bool {
        let when = &self.when;
        let verdict = facts.diagnosis.verdict.as_ref();
        let any = |patterns: &[String], texts: &[&str]| {
            patterns.is_empty()
                || patterns.iter().any(|pattern| texts.iter().any(|text| fits(pattern, text)))
        };
        let class = verdict.map(|verdict| verdict.class.name());
        let symptom = facts.diagnosis.symptom.map(|symptom| symptom.name());
        let stack = facts.task.iter().flat_map(|task| &task.stack);
        let stack = stack.map(|frame| frame.split('+').next().unwrap_or(frame));
        let function = verdict.and_then(|verdict| verdict.function.as_deref());
        let functions: Vec<&str> = function.into_iter().chain(stack).collect();
        let modules: Vec<&str> = facts.modules.iter().map(|module| module.name.as_str()).collect();
        let said = facts.said.iter().flat_map(|said| &said.lines);
        let log: Vec<&str> = said.chain(&facts.log).map(String::as_str).collect();
        let taint: String = facts.taint.iter().map(|taint| taint.letter).collect();
        let machine = &facts.machine;
        !when.is_empty()
            && any(&when.class, class.as_slice())
            && any(&when.symptom, symptom.as_slice())
            && any(&when.function, &functions)
            && any(&when.module, &modules)
            && any(&when.release, machine.release.as_deref().as_slice())
            && any(&when.hardware, machine.hardware.as_deref().as_slice())
            && any(&when.log, &log)
            && when.taint.chars().all(|letter| taint.contains(letter))
    }
}

/// Whether a text is what a pattern with `*` describes.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(mut part) = parts.next() else { return rest.is_empty() };
    for next in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        part = next;
    }
    rest.ends_with(part)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        assert!(fits("6.12*", "6.12.117"));
        assert!(fits("*lock*slow*", "native_queued_spin_lock_slowpath"));
        assert!(fits("exact", "exact"));
        assert!(!fits("exact", "exactly"));
        assert!(!fits("a*a", "a"));
        assert!(fits("*", ""));
    }
}
