//! A free object that was written to: the pointer of SLUB's free list in it is no pointer any
//! more, and the next allocation from the cache dies of it.

use crate::{
    cause::Cause,
    explain::Note,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
    place::Place,
};

pub(super) static DETECTOR: Detector =
    Detector { name: "freed", causes: &[Cause::UseAfterFree], detect };

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let over = explanation.notes.iter().find_map(|note| match note {
        Note::Overwritten(over) => Some(over),
        _ => None,
    })?;
    let cache = over.cache.as_deref().unwrap_or("whose name cannot be read");
    let byte = char::from(over.byte);
    let shown = if byte.is_ascii_graphic() { format!(" ({byte:?})") } else { String::new() };
    // That the object was free then is told by the list alone.
    let in_use = || Place::of(inquiry.kernel, over.object)?.allocated;
    let since = match &over.now {
        Ok(now) if *now == over.stored => "",
        Ok(_) if in_use() == Some(true) => "; it was handed out again since",
        Ok(_) => "; memory has another word there now",
        Err(_) => "; what is there now cannot be read",
    };
    let statement = format!(
        "a free object of slab cache {cache}, {:x}, was written over with {:#04x}{shown} bytes: its \
         free-list pointer was made of them, and the allocator took it for the next object{since}",
        over.object, over.byte
    );
    let mut evidence = vec![Evidence {
        what: format!(
            "the pointer that the allocator followed; unmangled, the word behind it is {:x}",
            over.stored
        ),
        address: None,
        value: Some(over.pointer),
        command: "explain".into(),
    }];
    if over.now == Ok(over.stored) {
        evidence.push(Evidence {
            what: "the word in the free object, as memory still has it".into(),
            address: Some(over.address),
            value: Some(over.stored),
            command: format!("rd {:x}", over.address),
        });
    }
    Some(Finding {
        class: Cause::UseAfterFree,
        statement,
        // That 64 bits come out right proves the overwriting; that its writer still held the
        // object is the likely way to that, an overflow of a neighbour is another.
        confidence: Confidence::Likely,
        evidence,
        object: Some(Object {
            address: over.object,
            cache: over.cache.clone(),
            member: Some("free-list pointer".into()),
        }),
        function: None,
        task: None,
    })
}
