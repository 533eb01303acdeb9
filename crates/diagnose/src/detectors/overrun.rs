//! A bad value that is part of a longer run of one byte: where the run begins in another object, that
//! object was written beyond its end.

use crate::{
    cause::Cause,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::{Place, Run},
    suspect::Suspect,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "overrun", causes: &[Cause::OutOfBounds], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let suspect = Suspect::of(inquiry)?;
    // Where the code does not tell, memory may: the value is everywhere in its own run.
    let home = suspect.home?;
    let run = Run::around(kernel, home)?;
    let victim = Place::of(kernel, home)?;
    let first = Place::of(kernel, run.start)?;
    // It came over the edge from the object before; one that holds nothing else was overwritten as
    // a whole, which is another story.
    if first.start == victim.start || first.offset == 0 || run.end - run.start < 9 {
        return None;
    }
    let into = run.end.saturating_sub(victim.start).min(victim.cache.stride);
    let mut evidence = vec![
        Evidence {
            what: "the value that was used, and where it was read".into(),
            address: Some(home),
            value: Some(suspect.value),
            command: format!("rd {home:x}"),
        },
        Evidence {
            what: format!("the run that it belongs to, from inside {}", first.words()),
            address: Some(run.start & !7),
            value: None,
            command: format!(
                "rd {:x} {}",
                run.start & !7,
                ((run.end - (run.start & !7)) / 8).min(64)
            ),
        },
    ];
    evidence.push(inquiry.state_of(&first));
    let name = suspect.name.as_deref().map_or(String::new(), |name| format!(", {name}"));
    Some(Finding {
        class: Cause::OutOfBounds,
        statement: format!(
            "{} was written past its end: {} run over into {:x}, the object behind it ({into} bytes \
             of it{name}), whose value was then used",
            first.words(),
            run.words(),
            victim.start
        ),
        confidence: Confidence::Likely,
        evidence,
        object: Some(first.object(None)),
        function: None,
        task: None,
    })
}
