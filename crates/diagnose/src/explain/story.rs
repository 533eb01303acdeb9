//! An explanation in a few plain lines: what was done, with which value, where that came from, what is
//! odd about it. The tree of steps stands behind it.

use necropsy_linux::Kernel;

use super::{
    explanation::{Explanation, Happened, Known, Likelihood, Look, Note, Step, StepNote},
    words,
};
use crate::place::Place;

/// Lines that a first reader wants to read.
const MOST_LINES: usize = 8;
/// Places that a value was handed through, of which each is told.
const MOST_HANDS: usize = 3;

/// The story of an explanation.
pub(super) fn tell(kernel: &Kernel, explanation: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    let at = explanation.instruction.as_ref();
    match (&explanation.what, at) {
        (Happened::Access(access), Some(at)) => {
            lines.push(format!("{} ({}): {}", at.location, at.text, lower(&access.to_string())));
        }
        (Happened::Trap { .. }, Some(at)) => {
            lines.push(format!("{}: {}", at.location, lower(&explanation.what.to_string())));
        }
        (Happened::Division, Some(at)) => lines.push(format!(
            "{} ({}): {}",
            at.location,
            at.text,
            lower(&explanation.what.to_string())
        )),
        (what, _) => lines.push(what.to_string()),
    }
    let possible = explanation
        .ways
        .iter()
        .filter(|way| !matches!(way.verdict, Likelihood::Contradicted | Likelihood::Unlikely));
    let possible: Vec<_> = possible.filter_map(|way| way.condition.as_ref()).collect();
    match possible.as_slice() {
        [] => {}
        [only] => lines.push(format!("It came there because {only}.")),
        several => {
            let all: Vec<String> = several.iter().map(ToString::to_string).collect();
            lines.push(format!("It came there because one of these held: {}.", all.join("; or ")));
        }
    }
    lines.extend(hands(kernel, &explanation.steps));
    // The arguments themselves stand below.
    let notes = explanation.notes.iter().filter(|note| !matches!(note, Note::ArgumentsOf { .. }));
    lines.extend(notes.map(|note| sentence(&note.to_string())));
    lines.retain(|line| line.chars().any(char::is_alphanumeric));
    lines.truncate(MOST_LINES);
    lines
}

/// The values from the failure outwards, as long as each was made of the one after it.
fn hands(kernel: &Kernel, steps: &[Step]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut depth = None;
    for step in steps {
        if lines.len() >= MOST_HANDS || depth.is_some_and(|depth| step.depth <= depth) {
            break;
        }
        if matches!(step.note, Some(StepNote::OtherValue)) {
            break;
        }
        depth = Some(step.depth);
        // A small number beside a pointer is its offset.
        if step.value.is_some_and(|value| value < 0x1000) && lines.is_empty() && steps.len() > 1 {
            depth = None;
            continue;
        }
        let Some(value) = step.value else {
            if lines.is_empty() {
                continue;
            }
            break;
        };
        // That a pointer is one into a frame is said of the value itself.
        if step.name.as_deref() == Some(words::OWN_FRAME) {
            break;
        }
        let name = step.name.clone().unwrap_or_else(|| match step.place.as_str() {
            "divisor" => "The divisor".to_owned(),
            place if place.bytes().all(|byte| byte.is_ascii_alphanumeric()) => format!("%{place}"),
            place => place.to_owned(),
        });
        let told = lines.iter().any(|line: &String| line.starts_with(&format!("{name} is ")));
        let is = if told { "had been" } else { "is" };
        let shown = match value {
            0..10 => value.to_string(),
            10..0x10000 => format!("{value:#x}"),
            _ => format!("{value:016x}"),
        };
        let looks: Vec<String> = step
            .looks
            .iter()
            .filter(|look| !matches!(look, Look::Unsigned(_)))
            .map(ToString::to_string)
            .collect();
        let looks =
            if looks.is_empty() { String::new() } else { format!(" ({})", looks.join(", ")) };
        let from = step.read_from.map_or(String::new(), |from| match Place::of(kernel, from) {
            Some(place) => {
                format!(", read at {from:x}, {:#x} into {}", place.offset, place.words())
            }
            None => format!(", read at {from:x}"),
        });
        let now = match (step.memory_agrees, step.memory_now) {
            (Some(true), _) => "; memory still says so".to_owned(),
            (_, Some(now)) => format!("; memory now says {now:#x}: it was changed since"),
            _ if step.known == Known::Recomputed => "; so memory says now".to_owned(),
            _ => String::new(),
        };
        lines.push(format!("{name} {is} {shown}{looks}{from}{now}."));
    }
    lines
}

/// A sentence as the rest of another.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// The rest of a sentence as one of its own.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let end = if text.ends_with('.') { "" } else { "." };
    // A name or an address stays as it is.
    let word = text.split(' ').next().unwrap_or_default();
    match chars.next() {
        Some(first) if word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
            first.to_uppercase().chain(chars).chain(end.chars()).collect()
        }
        _ => format!("{text}{end}"),
    }
}
