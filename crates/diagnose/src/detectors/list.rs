//! A list that is broken: by the kernel's own check (CONFIG_DEBUG_LIST, lib/list_debug.c), or because
//! the pointer that was followed is a link of a list.

use necropsy_lexicon::{
    Symptom,
    value::{self, PoisonKind},
};

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
    suspect::Suspect,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "list", causes: &[Cause::ListCorruption, Cause::BitFlip], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    by_check(inquiry).or_else(|| by_link(inquiry)).into_iter().collect()
}

/// What a bad link looks like.
fn look(value: u64) -> String {
    if let Some(poison) = value::near_poison(value, true) {
        return format!(" ({poison})");
    }
    match value::printable(value, 8) {
        Some(text) if text.len() >= 4 => format!(" (text {text:?})"),
        _ => String::new(),
    }
}

/// Functions whose arguments are list entries: the entry is the first, or the new one.
const CHECKS: [&str; 2] = ["__list_del_entry_valid", "__list_add_valid"];

fn by_check(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let case = inquiry.case.as_ref()?;
    let check = (0..case.trace().frames.len()).take(24).find(|number| {
        let name = case.function(*number).unwrap_or_default();
        CHECKS.iter().any(|check| name.starts_with(check))
            && inquiry.kernel.image_name(case.trace().frames[*number].pc).is_none()
    });
    let report = inquiry.report;
    let said = report
        .filter(|report| report.class == Symptom::ListCorruption)
        .and_then(|report| {
            let mut lines = report.text.iter().chain(&report.said);
            lines.find(|line| line.contains("corruption")).or(Some(&report.title)).cloned()
        })
        // An older line of the log is another matter.
        .or_else(|| {
            check.and_then(|_| inquiry.said_before(&["list_del corruption", "list_add corruption"]))
        });
    let number = match (check, &said) {
        (Some(number), _) => number,
        (None, Some(_)) => case.failed()?,
        _ => return None,
    };
    let function = case.blamed_name(number);
    let wrong = report.and_then(|report| report.pointers.iter().find(|it| it.found.is_some()));
    let suspect = Suspect::of(inquiry);
    let mut evidence = Vec::new();
    let mut what = String::new();
    if let Some(said) = &said {
        what = format!(": {}", said.trim());
        evidence.push(Evidence::shown(format!("the kernel's own check: {:?}", said.trim()), "log"));
    }
    let found = wrong.and_then(|wrong| wrong.found).or(suspect.as_ref().map(|it| it.value));
    let home = suspect
        .as_ref()
        .and_then(|suspect| suspect.home)
        .or_else(|| entry_with(inquiry, number, found?));
    if let Some(home) = home {
        let now = inquiry.kernel.target().read_u64(home).ok();
        evidence.push(Evidence {
            what: format!("the link that is wrong{}", look(now.unwrap_or_default())),
            address: Some(home),
            value: now,
            command: format!("rd {home:x} 2"),
        });
    }
    if said.is_none() {
        let value = found?;
        what = format!(": the link {value:016x}{} leads nowhere", look(value));
    }
    let place = home.and_then(|home| Place::of(inquiry.kernel, home));
    let of = place.as_ref().map_or(String::new(), |place| format!(", in {}", place.words()));
    evidence.extend(place.as_ref().map(|place| inquiry.state_of(place)));
    if evidence.is_empty() {
        evidence.push(Evidence::shown("the check of the list, on the stack", "bt"));
    }
    Some(Finding {
        class: Cause::ListCorruption,
        statement: format!("a list is broken{what}{of}"),
        confidence: if said.is_some() { Confidence::Certain } else { Confidence::Likely },
        evidence,
        object: place.map(|place| place.object(Some("list_head".into()))),
        function,
        task: None,
    })
}

/// The link of an entry in the registers of a frame that holds a value.
fn entry_with(inquiry: &Inquiry<'_>, number: usize, value: u64) -> Option<u64> {
    let frame = inquiry.case.as_ref()?.trace().frames.get(number)?;
    let mut links = frame.regs.iter().flat_map(|(_, held)| [held, held.wrapping_add(8)]);
    links.find(|at| at % 8 == 0 && inquiry.kernel.target().read_u64(*at) == Ok(value))
}

/// A pointer that was followed and is a link.
fn by_link(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let suspect = Suspect::of(inquiry)?;
    let name = suspect.name.as_deref().unwrap_or_default();
    let deleted = value::near_poison(suspect.value, true)
        .is_some_and(|near| near.poison.kind == PoisonKind::Deleted);
    let is_link = deleted
        || suspect.r#type.as_deref() == Some("struct list_head *")
        || [".next", "->next", ".prev", "->prev"].iter().any(|end| name.ends_with(end));
    if !is_link {
        return None;
    }
    let bad = suspect.value;
    let mut evidence = vec![Evidence {
        what: format!("the link that was followed{}", look(bad)),
        address: None,
        value: Some(bad),
        command: "explain".into(),
    }];
    if let Some(home) = suspect.home {
        evidence.push(Evidence {
            what: "where it stands".into(),
            address: Some(home),
            value: Some(bad),
            command: format!("rd {home:x}"),
        });
    }
    let place = suspect.home.and_then(|home| Place::of(inquiry.kernel, home));
    let of = place.as_ref().map_or(String::new(), |place| format!(", in {}", place.words()));
    Some(Finding {
        class: Cause::ListCorruption,
        statement: match deleted {
            true => format!(
                "an entry was used that had been deleted from its list: its link is {bad:016x}{}{of}",
                look(bad)
            ),
            false => {
                format!("a list is broken: the link {bad:016x}{} leads nowhere{of}", look(bad))
            }
        },
        confidence: Confidence::Likely,
        evidence,
        object: place.map(|place| place.object(Some("list_head".into()))),
        function: None,
        task: None,
    })
}
