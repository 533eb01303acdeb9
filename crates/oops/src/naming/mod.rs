//! Naming a report: its kind, the guilty function, a title for it, and
//! whether the text can be trusted.

pub(crate) mod guilty;
pub(crate) mod pattern;
pub(crate) mod rules;
mod sanitize;
pub(crate) mod skip;
pub(crate) mod stack;
mod types;

use std::collections::HashMap;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use crate::search::Search;
use necropsy_lexicon::Symptom;
use pattern::compile;
use rules::{HEADERS, Header, PLAIN, Rule, foreign};
pub(crate) use sanitize::sanitize;
pub use types::type_of;

/// Why a report without its head is not to be trusted.
pub(crate) const HEAD_LOST: &str = "the report's head is lost";

/// A header with its patterns compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) header: &'static Header,
    except: Option<regex::RegexSet>,
    only: Option<Regex>,
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
/// What stands without a header: its head is lost.
static FRAGMENT: LazyLock<Compiled> = LazyLock::new(|| Compiled::new(&rules::FRAGMENT));
static FOREIGN: LazyLock<HashMap<&'static str, Vec<Compiled>>> = LazyLock::new(|| {
    foreign::SYSTEMS
        .iter()
        .map(|system| (system.name, system.headers.iter().map(Compiled::new).collect()))
        .collect()
});

/// The headers' words, in one automaton.
static LINUX_WORDS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(LINUX.iter().map(|header| header.header.text)).ok());
static ALL_WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let all = LINUX.iter().chain(PLAIN_LINUX.iter());
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .build(all.map(|header| header.header.text))
        .ok()
});

impl Compiled {
    fn new(header: &'static Header) -> Compiled {
        let patterns = header.except.iter().map(|pattern| pattern::expand(pattern));
        Compiled {
            header,
            only: header.only.map(compile),
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
            && self.only.as_ref().is_none_or(|only| only.is_match(line))
            && !self.except.as_ref().is_some_and(|except| except.is_match(line))
    }

    /// Does it start reports of user programs, which plain titles pass over?
    fn of_programs(&self) -> bool {
        self.header.rules.iter().all(|rule| rule.class == Symptom::UserProgram)
    }
}

/// The header that the line starts a report with, if it does.
pub(crate) fn header_of(line: &str, search: Search) -> Option<&'static Compiled> {
    // asked of every line: most have none of the words
    let words = if search.all { &ALL_WORDS } else { &LINUX_WORDS };
    if search.system.is_none() && !words.as_ref().is_none_or(|words| words.is_match(line)) {
        return None;
    }
    let find = |headers: &'static [Compiled]| headers.iter().find(|header| header.starts(line));
    if let Some(system) = search.system {
        return find(FOREIGN.get(system.name)?);
    }
    if !search.all {
        return find(&LINUX);
    }
    if rules::goes_on(line) {
        return None;
    }
    // at one place the kinds that only plain titles know may be the better answer
    let known = find(&LINUX).filter(|header| !header.of_programs());
    known.filter(|header| !header.header.narrow).or_else(|| find(&PLAIN_LINUX)).or(known)
}

/// The rules of a report whose header is lost.
pub(crate) fn fragment() -> &'static Compiled {
    &FRAGMENT
}

/// Every header's text, for the search over raw bytes.
pub(crate) fn needles() -> impl Iterator<Item = &'static str> {
    HEADERS.iter().copied().flatten().chain(PLAIN).map(|header| header.text)
}

/// What a report is called, and why it may be in doubt.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    pub(crate) class: Symptom,
    /// The title in the well-known style.
    pub(crate) title: String,
    pub(crate) alt: Vec<String>,
    pub(crate) frame: Option<String>,
    /// The title as the kernel's words make it, `{F}` in place of the function.
    pub(crate) printed: String,
    /// The function, as printed.
    pub(crate) function: Option<String>,
    /// No function is to blame.
    pub(crate) nobody: bool,
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
    let Found { rule, title, alt, printed, function, mut corrupted } = found;
    let title = sanitize(&title);
    let mut alt: Vec<String> = alt.iter().map(|title| sanitize(title)).collect();
    alt.sort();
    alt.dedup();
    alt.retain(|other| *other != title);
    if rule.corrupted {
        corrupted = Some(HEAD_LOST);
    }
    let corrupted = corrupted.or_else(|| doubt(&title, text, rule));
    let frame = frame_of(&title);
    let function = function.or_else(|| {
        let (_, name) = printed.rsplit_once(" in ").filter(|_| rule.frame.is_none())?;
        Some(name.to_owned()).filter(|name| !name.contains(' '))
    });
    let nobody = rule.nobody;
    Naming { class: rule.class, frame, title, alt, printed, function, nobody, corrupted }
}

struct Found {
    rule: &'static Rule,
    title: String,
    alt: Vec<String>,
    printed: String,
    function: Option<String>,
    corrupted: Option<&'static str>,
}

/// Fill a rule's templates.
fn fill(rule: &'static Rule, groups: &[&str], text: &str) -> Found {
    let mut corrupted = None;
    let names = match &rule.frame {
        None => vec![String::new()],
        Some(frame) => match stack::guilty(frame, text) {
            Some(names) => names.iter().flat_map(|name| spellings(name)).collect(),
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
        .and_then(|names| spellings(names.first()?).into_iter().next());
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
    let printed = write(rule.name, "{F}").trim().to_owned();
    let function = (rule.frame.is_some() && corrupted.is_none()).then(|| names[0].clone());
    let mut alt = Vec::new();
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
    Found { rule, title, alt, printed, function, corrupted }
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
        "WARNING:" => Symptom::Warning,
        "Kernel BUG" => Symptom::KernelBug,
        "BUG kmalloc-" => Symptom::Slab,
        "SYZFAIL:" | "SYZFATAL:" => Symptom::UserProgram,
        _ => Symptom::Unknown,
    };
    Naming {
        nobody: false,
        class,
        frame: None,
        printed: line.trim().to_owned(),
        function: None,
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
fn doubt(title: &str, text: &str, rule: &Rule) -> Option<&'static str> {
    static TIME: LazyLock<Regex> = LazyLock::new(|| compile(r"\[ *[0-9]+\.[0-9]+\]"));
    if TIME.is_match(title) {
        return Some("another line's time stands in the title");
    }
    if text.contains("serialport: VM disconnected.") {
        return Some("the console was cut off");
    }
    // what a report of uninitialised memory ends with must not come after another report's head
    if rule.class == Symptom::Kmsan
        && let Some(other) = text.find("------------[ cut here ]")
        && text.find("Uninit was created at").is_some_and(|origin| origin > other)
    {
        return Some("another report is mixed in");
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut stacks = 0;
    // an interrupt may have come while such a stack was being printed: then it is below
    let mut interrupted = false;
    for (index, line) in lines.iter().enumerate() {
        if stack::is_injection(line) && !(stacks > 0 && interrupted) {
            return Some("a fault-injection stack is mixed in");
        }
        interrupted |= line.starts_with("RIP: 0010:");
        if !stack::starts_stack(line) {
            continue;
        }
        stacks += 1;
        interrupted = false;
        if rule.any_stack {
            continue;
        }
        let after = &lines[index + 1..];
        if after.len() < 2 {
            return Some("a stack is cut off");
        }
        let found =
            after.iter().take(NEAR).take_while(|line| !stack::starts_stack(line)).any(|line| {
                stack::is_frame(line)
                    || line.contains("(stack is not available)")
                    || line.contains("<Same stack as pid ")
            });
        let riscv_registers = line.contains("badaddr:");
        if !found && !riscv_registers {
            return Some("a stack has no frames");
        }
    }
    (stacks == 0 && !rule.no_stack).then_some("no stack")
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
