//! A machine that ran out of memory: who has it. A cache, a caller of vmalloc or a process with a
//! large part of all memory is where to look for a leak.

use std::collections::HashMap;

use necropsy_lexicon::Symptom;

use crate::{
    cause::Cause,
    explain::code,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "memory-use", causes: &[Cause::MemoryLeak, Cause::OutOfMemory], detect };

/// A user of less than one part in so many of all memory is none to speak of.
const PART: u64 = 4;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    let out = matches!(
        inquiry.symptom(),
        Some(Symptom::OutOfMemory | Symptom::Allocation | Symptom::AllocationFailure)
    ) || inquiry.report.is_some_and(|report| {
        let said = ["ut of memory", "deadlocked on memory"];
        report.class == Symptom::Panic && said.iter().any(|words| report.title.contains(words))
    });
    if !out {
        return Vec::new();
    }
    let Ok(memory) = inquiry.kernel.memory_bytes() else { return Vec::new() };
    let found = [slab(inquiry, memory), vmalloc(inquiry, memory), process(inquiry, memory)];
    found.into_iter().flatten().take(1).collect()
}

fn megabytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn slab(inquiry: &Inquiry<'_>, memory: u64) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let (caches, _) = kernel.slab_caches().ok()?;
    let slabs = kernel.slabs().ok()?;
    let page = kernel.target().page_size();
    let used = |cache: &necropsy_linux::slub::Cache| {
        slabs.of(cache.address).iter().map(|slab| page << cache.order_of(slab.objects)).sum::<u64>()
    };
    let (bytes, cache) = caches.iter().map(|cache| (used(cache), cache)).max_by_key(|it| it.0)?;
    if bytes < memory / PART {
        return None;
    }
    let objects = slabs.of(cache.address).iter().map(|slab| slab.inuse).sum::<u64>();
    let name = cache.name.clone().unwrap_or_else(|| format!("at {:x}", cache.address));
    let function = inquiry.case.as_ref().and_then(|case| case.blamed());
    let by = function.as_ref().map_or(String::new(), |function| {
        format!("; memory ran out while {function} asked for more")
    });
    Some(Finding {
        class: Cause::MemoryLeak,
        statement: format!(
            "slab cache {name} has {} of {}: {objects} objects of {} bytes, which nobody gave \
             back{by}",
            megabytes(bytes),
            megabytes(memory),
            cache.object_size
        ),
        confidence: Confidence::Likely,
        evidence: vec![Evidence {
            what: format!("the cache {name}, with its slabs and objects"),
            address: Some(cache.address),
            value: None,
            command: format!("kmem -s {name}"),
        }],
        object: Some(Object { address: cache.address, cache: Some(name), member: None }),
        function,
        task: None,
    })
}

fn vmalloc(inquiry: &Inquiry<'_>, memory: u64) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let (areas, _) = kernel.vmalloc_areas().ok()?;
    let mut by_caller: HashMap<u64, (u64, u64)> = HashMap::new();
    for area in areas {
        if let (Some(caller), Some(pages)) = (area.caller, area.pages) {
            let sum = by_caller.entry(caller).or_default();
            *sum = (sum.0 + pages * kernel.target().page_size(), sum.1 + 1);
        }
    }
    let (caller, (bytes, count)) = by_caller.into_iter().max_by_key(|(_, (bytes, _))| *bytes)?;
    if bytes < memory / PART {
        return None;
    }
    let place = code::location(kernel, caller);
    let function = kernel.target().locate(caller).map(|at| at.symbol.name.to_owned());
    Some(Finding {
        class: Cause::MemoryLeak,
        statement: format!(
            "{place} has {} of {} in {count} areas of vmalloc, which nobody gave back",
            megabytes(bytes),
            megabytes(memory)
        ),
        confidence: Confidence::Likely,
        evidence: vec![Evidence {
            what: "who asked for the areas".into(),
            address: Some(caller),
            value: None,
            command: format!("sym {caller:x}"),
        }],
        object: None,
        function,
        task: None,
    })
}

fn process(inquiry: &Inquiry<'_>, memory: u64) -> Option<Finding> {
    let tasks = inquiry.kernel.tasks().tasks;
    let sized = tasks.iter().filter_map(|task| Some((task.rss_kb().ok()? << 10, task)));
    let (bytes, task) = sized.max_by_key(|(bytes, _)| *bytes)?;
    if bytes < memory / PART {
        return None;
    }
    let who = inquiry.who(task.address);
    Some(Finding {
        class: Cause::OutOfMemory,
        statement: format!("{who} has {} of {}", megabytes(bytes), megabytes(memory)),
        confidence: Confidence::Certain,
        evidence: vec![Evidence {
            what: format!("the memory of {who}"),
            address: Some(task.address),
            value: None,
            command: format!("ps {:x}", task.address),
        }],
        object: None,
        function: None,
        task: None,
    })
}
