//! Naming a report: its kind, the guilty function, a title for it, and
//! whether the text can be trusted.

pub(crate) mod pattern;
pub(crate) mod rules;
mod sanitize;
pub(crate) mod skip;
pub(crate) mod stack;
mod types;

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::class::Class;
use crate::segment::Search;
use pattern::compile;
use rules::{HEADERS, Header, PLAIN, Rule, foreign};
pub(crate) use sanitize::sanitize;
pub use types::type_of;

/// A header with its patterns compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) header: &'static Header,
    except: Option<regex::RegexSet>,
    rules: LazyLock<Vec<CompiledRule>, Box<dyn FnOnce() -> Vec<CompiledRule> + Send>>,
}

#[derive(Debug)]
struct CompiledRule {
    rule: &'static Rule,
    title: Regex,
    whole: Option<Regex>,
}

static LINUX: LazyLock<Vec<Compiled>> =
    LazyLock::new(|| HEADERS.iter().copied().flatten().map(Compiled::new).collect());
static PLAIN_LINUX: LazyLock<Vec<Compiled>> =
    LazyLock::new(|| PLAIN.iter().map(Compiled::new).collect());
static FOREIGN: LazyLock<HashMap<&'static str, Vec<Compiled>>> = LazyLock::new(|| {
    foreign::SYSTEMS
        .iter()
        .map(|system| (system.name, system.headers.iter().map(Compiled::new).collect()))
        .collect()
});

impl Compiled {
    fn new(header: &'static Header) -> Compiled {
        let patterns = header.except.iter().map(|pattern| pattern::expand(pattern));
        Compiled {
            header,
            except: (!header.except.is_empty())
                .then(|| regex::RegexSet::new(patterns).ok())
                .flatten(),
            rules: LazyLock::new(Box::new(|| {
                header
                    .rules
                    .iter()
                    .map(|rule| CompiledRule {
                        rule,
                        title: compile(rule.title),
                        whole: rule.whole.map(compile),
                    })
                    .collect()
            })),
        }
    }

    fn starts(&self, line: &str) -> bool {
        line.contains(self.header.text)
            && !self.except.as_ref().is_some_and(|except| except.is_match(line))
    }
}

/// The header that the line starts a report with, if it does.
pub(crate) fn header_of(line: &str, search: Search) -> Option<&'static Compiled> {
    let find = |headers: &'static [Compiled]| headers.iter().find(|header| header.starts(line));
    if let Some(system) = search.system {
        return find(FOREIGN.get(system.name)?);
    }
    find(&LINUX).or_else(|| if search.all { find(&PLAIN_LINUX) } else { None })
}

/// Every header's text, for the search over raw bytes.
pub(crate) fn needles() -> impl Iterator<Item = &'static str> {
    HEADERS.iter().copied().flatten().chain(PLAIN).map(|header| header.text)
}

/// What a report is called, and why it may be in doubt.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) class: Class,
    /// The title in the well-known style.
    pub(crate) title: String,
    pub(crate) alt: Vec<String>,
    pub(crate) frame: Option<String>,
    /// Why the text is not to be trusted.
    pub(crate) corrupted: Option<&'static str>,
}

/// Name the report in `text`, whose first `head` bytes end where the next
/// report begins.
pub(crate) fn name(compiled: &Compiled, text: &str, head: usize) -> Naming {
    let region = text.get(..head).unwrap_or(text);
    let mut best: Option<(usize, Found)> = None;
    let mut earliest = usize::MAX;
    let mut matched = false;
    for CompiledRule { rule, title, whole } in compiled.rules.iter() {
        let Some(groups) = title.captures(region) else {
            continue;
        };
        let Some(mut place) = groups.get(0).map(|found| found.start()) else {
            continue;
        };
        if place > earliest || (place == earliest && best.is_some()) {
            continue;
        }
        if place < earliest {
            earliest = place;
            best = None;
        }
        matched = true;
        let groups = match whole {
            None => groups,
            Some(whole) => match whole.captures(region) {
                Some(groups) => {
                    place = groups.get(0).map_or(place, |found| found.start());
                    groups
                }
                None => continue,
            },
        };
        let groups: Vec<&str> =
            groups.iter().skip(1).map(|group| group.map_or("", |group| group.as_str())).collect();
        best = Some((earliest, fill(rule, &groups, region.get(place..).unwrap_or(""))));
    }
    let Some((_, found)) = best else {
        return raw(compiled, region, matched);
    };
    let Found { rule, title, alt, mut corrupted } = found;
    let title = sanitize(&title);
    let mut alt: Vec<String> = alt.iter().map(|title| sanitize(title)).collect();
    alt.sort();
    alt.dedup();
    alt.retain(|other| *other != title);
    if rule.corrupted {
        corrupted = Some("the report's head is lost");
    }
    let corrupted = corrupted.or_else(|| doubt(&title, text, rule.no_stack));
    Naming { class: rule.class, frame: frame_of(&title), title, alt, corrupted }
}

struct Found {
    rule: &'static Rule,
    title: String,
    alt: Vec<String>,
    corrupted: Option<&'static str>,
}

/// Fill a rule's templates.
fn fill(rule: &'static Rule, groups: &[&str], text: &str) -> Found {
    let mut corrupted = None;
    let names = match &rule.frame {
        None => vec![String::new()],
        Some(frame) => match stack::guilty(frame, text) {
            Some(function) => spellings(&function),
            None => {
                corrupted = Some("no function found");
                vec!["corrupted".to_owned()]
            }
        },
    };
    let origin = rule
        .origin
        .as_ref()
        .and_then(|frame| stack::guilty(frame, text))
        .and_then(|function| spellings(&function).into_iter().next());
    let write = |template: &str, function: &str| {
        let mut title = template.replace("{F}", function);
        if let Some(origin) = &origin {
            title = title.replace("{O}", origin);
        }
        for (index, group) in groups.iter().enumerate() {
            title = title.replace(&format!("{{{}}}", index + 1), group);
        }
        title
    };
    let title = write(rule.name, &names[0]);
    let mut alt = Vec::new();
    if corrupted.is_none() {
        for (index, function) in names.iter().enumerate() {
            if index > 0 {
                alt.push(write(rule.name, function));
            }
            for template in rule.alt {
                if template.contains("{O}") && origin.is_none() {
                    continue;
                }
                alt.push(write(template, function));
            }
        }
    }
    Found { rule, title, alt, corrupted }
}

/// No rule fits: the header line itself is the title.
fn raw(compiled: &Compiled, region: &str, matched: bool) -> Naming {
    let text = compiled.header.text;
    let line = region
        .find(text)
        .and_then(|at| region.get(at..))
        .and_then(|rest| rest.lines().next())
        .unwrap_or(text);
    let title = sanitize(line);
    let bare = title == text;
    let class = match text {
        "WARNING:" => Class::Warning,
        "Kernel BUG" => Class::KernelBug,
        "SYZFAIL:" | "SYZFATAL:" => Class::UserProgram,
        _ => Class::Unknown,
    };
    Naming {
        class,
        frame: None,
        title: if bare && matches!(text, "BUG:" | "WARNING:" | "INFO:") {
            format!("{text} corrupted")
        } else {
            title
        },
        alt: Vec::new(),
        corrupted: if matched {
            Some("the header's report does not follow")
        } else if bare && matches!(text, "BUG:" | "WARNING:" | "INFO:") {
            Some("nothing follows the header")
        } else {
            None
        },
    }
}

/// The function of a title: what follows the last ` in `.
fn frame_of(title: &str) -> Option<String> {
    let (_, frame) = title.rsplit_once(" in ")?;
    (frame != "corrupted").then(|| frame.to_owned())
}

/// A system call's entry has one name on each architecture and in each
/// version: all spellings, the shortest first.
fn spellings(function: &str) -> Vec<String> {
    const PREFIXES: &[&str] = &[
        "SYSC_",
        "SyS_",
        "sys_",
        "__x64_",
        "__ia32_",
        "__arm64_",
        "____sys_",
        "___sys_",
        "__sys_",
        "__se_",
        "__se_sys_",
        "__do_sys_",
        "compat_SYSC_",
        "compat_SyS_",
        "ksys_",
    ];
    let mut names: Vec<&str> = PREFIXES
        .iter()
        .filter_map(|prefix| function.strip_prefix(prefix))
        .filter(|rest| !rest.is_empty())
        .collect();
    names.push(function);
    names.sort_by_key(|name| name.len());
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}

/// How many lines after a stack's head are looked at for frames.
const NEAR: usize = 14;

/// Is the text truncated or mixed with another's?
fn doubt(title: &str, text: &str, no_stack: bool) -> Option<&'static str> {
    static TIME: LazyLock<Regex> = LazyLock::new(|| compile(r"\[ *[0-9]+\.[0-9]+\]"));
    if TIME.is_match(title) {
        return Some("another line's time stands in the title");
    }
    if text.contains("serialport: VM disconnected.") {
        return Some("the console was cut off");
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut stacks = 0;
    for (index, line) in lines.iter().enumerate() {
        if stack::is_injection(line) {
            return Some("a fault-injection stack is mixed in");
        }
        if !stack::starts_stack(line) {
            continue;
        }
        stacks += 1;
        let after = &lines[index + 1..];
        if after.len() < 2 {
            return Some("a stack is cut off");
        }
        let found = after
            .iter()
            .take(NEAR)
            .take_while(|line| !stack::starts_stack(line))
            .any(|line| stack::is_frame(line) || line.contains("(stack is not available)"));
        let riscv_registers = line.contains("badaddr:");
        if !found && !riscv_registers {
            return Some("a stack has no frames");
        }
    }
    (stacks == 0 && !no_stack).then_some("no stack")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_compile() {
        for header in HEADERS
            .iter()
            .copied()
            .flatten()
            .chain(PLAIN)
            .chain(foreign::SYSTEMS.iter().flat_map(|system| system.headers))
        {
            for except in header.except {
                pattern::check(except).unwrap();
            }
            for rule in header.rules {
                pattern::check(rule.title).unwrap();
                if let Some(whole) = rule.whole {
                    pattern::check(whole).unwrap();
                }
                for frame in [rule.frame, rule.origin].into_iter().flatten() {
                    for step in [frame.steps, frame.fallback, frame.third].concat() {
                        if let rules::Step::Line(line) = step {
                            pattern::check(line).unwrap();
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn spellings_of_a_system_call() {
        assert_eq!(spellings("__x64_sys_sendmmsg"), ["sys_sendmmsg", "__x64_sys_sendmmsg"]);
        assert_eq!(spellings("SyS_ioctl"), ["ioctl", "SyS_ioctl"]);
        assert_eq!(spellings("tun_chr_ioctl"), ["tun_chr_ioctl"]);
    }
}
