//! Finding the guilty function: running a rule's steps over a report.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use regex::Regex;

use super::pattern::compile;
use super::rules::{Frame, Pick, Step};
use super::skip;

static START: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"Call [Tt]race|Allocated:|Allocated by task [0-9]+:|Freed:|Freed by task [0-9]+:|(?:^ *|[^k] )backtrace(?: \(crc [0-9a-f]+\))?:|Backtrace:|Uninit was stored to memory at|status: [0-9a-f]{16} badaddr: [0-9a-f]{16} cause: [0-9a-f]{16}",
    )
});
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^[ \t]*(?:(?:@PC) ){0,2}\.?([a-zA-Z0-9_$]+)(?:\.[a-zA-Z0-9_.$]+)?\+")
});
static ARM_FRAME: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(?:@PC ?)?\(?([a-zA-Z_][a-zA-Z0-9_]*)(?:\.[a-zA-Z0-9_.]+)?(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?\)? from (?:@PC ?)?\(?([a-zA-Z_][a-zA-Z0-9_]*)(?:\.[a-zA-Z0-9_.]+)?\+",
    )
});
static ZIRCON_FRAME: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^ *bt#[0-9]+: (?:0x)?[0-9a-f]+ ([a-zA-Z_~][^ (]*)"));
/// A fault-injection message's own stack, mixed into the report.
static INJECTION: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(?:(?:@PC) )?should_fail(?:slab|_alloc_page|_usercopy|_futex|_bio|_ex)?(?:\.[a-z0-9.]+)?\+0x",
    )
});

/// Does a stack begin after this line?
pub(crate) fn starts_stack(line: &str) -> bool {
    START.is_match(line)
}

/// Is the line a frame of a stack?
pub(crate) fn is_frame(line: &str) -> bool {
    FRAME.is_match(line) || ARM_FRAME.is_match(line)
}

/// Is the line a frame of a fault-injection stack?
pub(crate) fn is_injection(line: &str) -> bool {
    INJECTION.is_match(line)
}

fn cached(pattern: &'static str) -> Regex {
    static CACHE: LazyLock<Mutex<HashMap<&'static str, Regex>>> = LazyLock::new(Mutex::default);
    let mut cache = match CACHE.lock() {
        Ok(cache) => cache,
        Err(poisoned) => poisoned.into_inner(),
    };
    cache.entry(pattern).or_insert_with(|| compile(pattern)).clone()
}

/// The guilty function of a report that begins with `text`, and other names
/// that the same one may go by.
pub(crate) fn guilty(frame: &Frame, text: &str) -> Option<Vec<String>> {
    [frame.steps, frame.fallback, frame.third]
        .into_iter()
        .filter(|steps| !steps.is_empty())
        .find_map(|steps| pick(frame, &collect(frame, steps, text)))
}

/// Run one list of steps: the functions found, generic ones left out.
fn collect(frame: &Frame, steps: &[Step], text: &str) -> Vec<String> {
    let mut lines = text.lines();
    let mut found = Vec::new();
    let mut push = |function: &str| {
        let generic = if frame.foreign {
            frame.skip.iter().any(|class| skip::in_class(function, class))
        } else {
            // a stall is named by what a dispatcher called, whatever else it is
            let turns = frame.pick == Pick::Stall
                && (skip::in_class(function, "dispatch")
                    || skip::in_class(function, "fault-dispatch"));
            !turns && skip::is_generic(function, frame.skip)
        };
        if !generic {
            found.push(demangle(function));
        }
    };
    let mut index = 0;
    'steps: while let Some(step) = steps.get(index) {
        index += 1;
        match step {
            Step::Line(pattern) => {
                let pattern = cached(pattern);
                for line in lines.by_ref() {
                    if is_injection(line) {
                        break 'steps;
                    }
                    if let Some(groups) = pattern.captures(line) {
                        groups.iter().skip(1).flatten().for_each(|group| push(group.as_str()));
                        break;
                    }
                }
            }
            Step::Stack | Step::Torn => {
                let next = match steps.get(index) {
                    Some(Step::Line(pattern)) => Some(cached(pattern)),
                    _ => None,
                };
                for line in lines.by_ref() {
                    if matches!(step, Step::Stack) && is_injection(line) {
                        break 'steps;
                    }
                    if starts_stack(line) {
                        continue 'steps;
                    }
                    if let Some(groups) = next.as_ref().and_then(|next| next.captures(line)) {
                        groups.iter().skip(1).flatten().for_each(|group| push(group.as_str()));
                        index += 1;
                        continue 'steps;
                    }
                    let groups = FRAME
                        .captures(line)
                        .or_else(|| ARM_FRAME.captures(line))
                        .or_else(|| ZIRCON_FRAME.captures(line));
                    if let Some(groups) = groups {
                        groups.iter().skip(1).flatten().for_each(|group| push(group.as_str()));
                    }
                }
            }
        }
    }
    found
}

fn pick(frame: &Frame, found: &[String]) -> Option<Vec<String>> {
    match frame.pick {
        Pick::First => found.first().cloned().map(|function| vec![function]),
        Pick::Stall => stalled(found),
        Pick::Hang => hung(found).map(|function| vec![function]),
    }
}

/// The function that the first dispatcher of the trace called.
fn stalled(found: &[String]) -> Option<Vec<String>> {
    let mut previous = None;
    for function in found {
        if skip::in_class(function, "gather") {
            // whichever of the family it is, the others are the same bug
            return Some(vec!["smp_call_function".to_owned(), function.clone()]);
        }
        if skip::in_class(function, "dispatch") {
            return previous.or(Some(function)).cloned().map(|function| vec![function]);
        }
        previous = Some(function);
    }
    // user space's own fault: no system call is further down
    let entry = found.iter().position(|function| skip::in_class(function, "fault-dispatch"))?;
    Some(vec![found[entry.saturating_sub(1)].clone()])
}

/// What a hung task waits in; waiters for the same thing get the same name.
fn hung(found: &[String]) -> Option<String> {
    if let Some(function) = found.iter().find(|function| function.contains("rtnl_lock")) {
        return Some(function.clone());
    }
    if found.iter().any(|function| {
        ["synchronize_rcu", "synchronize_srcu", "synchronize_net", "synchronize_sched"]
            .iter()
            .any(|name| function.contains(name))
    }) {
        return Some("synchronize_rcu".to_owned());
    }
    found.iter().find(|function| !skip::in_class(function, "hang")).cloned()
}

/// C++ and Rust names in their readable form, without Rust's hash.
pub(crate) fn demangle(function: &str) -> String {
    if function.starts_with("_R") || function.starts_with("_ZN") {
        return format!("{:#}", rustc_demangle::demangle(function));
    }
    function.to_owned()
}
