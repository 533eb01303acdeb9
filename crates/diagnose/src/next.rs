//! What to do next, and what to have at hand the next time: only what this kernel has built in.

use necropsy_linux::Kernel;

use crate::{cause::Cause, finding::Verdict};

/// A facility of the kernel: the symbols that it has only with it, and the advice.
struct Facility {
    symbols: &'static [&'static str],
    advice: &'static str,
}

const SLUB_DEBUG: Facility = Facility {
    symbols: &["slub_debug", "slub_debug_string", "slub_debug_enabled", "validate_slab_cache"],
    advice: "boot with slub_debug=FZPU{cache}: the allocator then names who allocated and who freed \
             the object, and checks its edges and its poison when it is allocated and freed",
};
const KFENCE: Facility = Facility {
    symbols: &["__kfence_pool"],
    advice: "boot with kfence.sample_interval=1 (KFENCE is built in): it catches such an access in \
             the act, at little cost",
};
const INIT_ON_FREE: Facility = Facility {
    symbols: &["init_on_free"],
    advice: "boot with init_on_free=1: what is used after it was freed then reads as zero",
};
const HUNG_BACKTRACE: Facility = Facility {
    symbols: &["sysctl_hung_task_all_cpu_backtrace"],
    advice: "set kernel.hung_task_all_cpu_backtrace=1",
};
const HUNG_PANIC: Facility =
    Facility { symbols: &["sysctl_hung_task_panic"], advice: "set kernel.hung_task_panic=1" };
const LOCKUP_BACKTRACE: Facility = Facility {
    symbols: &["sysctl_softlockup_all_cpu_backtrace"],
    advice: "set kernel.softlockup_all_cpu_backtrace=1",
};
const PAGE_OWNER: Facility = Facility {
    symbols: &["page_owner_inited"],
    advice: "boot with page_owner=on: every page then names who allocated it",
};
const KMEMLEAK: Facility = Facility {
    symbols: &["kmemleak_scan", "kmemleak_alloc"],
    advice: "boot with kmemleak=on: what nobody points to any more is then listed",
};

/// Steps for a verdict.
pub(crate) fn steps(kernel: &Kernel, verdict: Option<&Verdict>) -> Vec<String> {
    let Some(verdict) = verdict else {
        let mut steps =
            vec!["read the log's end and the stacks of all CPUs: log, bt -a".to_owned()];
        if kernel.target().dump().completeness().is_damaged() {
            steps.push(
                "the dump lacks a part: the log that kdump saves beside it (vmcore-dmesg.txt) tells \
                 more; report reads it, too"
                    .into(),
            );
        }
        return steps;
    };
    let cache = verdict.object.as_ref().and_then(|object| object.cache.as_deref());
    let owners_kept = cache.is_some_and(|cache| keeps_owners(kernel, cache));
    let which = cache.map_or(String::new(), |cache| format!(",{cache}"));
    let has = |facility: &Facility| {
        facility.symbols.iter().any(|symbol| {
            let at = kernel.target().address_of(symbol);
            // What is set already need not be advised.
            let set = |at| kernel.target().read_u32(at).is_ok_and(|value| value != 0);
            at.is_some_and(|at| !(symbol.starts_with("sysctl_") && set(at)))
        })
    };
    let advise = |facilities: &[Facility]| {
        // What speaks of the cache is there already where the cache keeps owners.
        let set = |of: &Facility| of.advice.contains("{cache}") && owners_kept;
        let built_in = facilities.iter().filter(|facility| has(facility) && !set(facility));
        built_in.map(|facility| facility.advice.replace("{cache}", &which)).collect::<Vec<_>>()
    };
    let mut next = Vec::new();
    if let Some(object) = &verdict.object {
        next.push(format!("who else points there: search {:x}", object.address));
    }
    match verdict.class {
        Cause::UseAfterFree | Cause::DoubleFree => {
            next.extend(advise(&[SLUB_DEBUG, KFENCE, INIT_ON_FREE]));
        }
        Cause::OutOfBounds | Cause::SlabCorruption | Cause::Uninitialised => {
            next.extend(advise(&[SLUB_DEBUG, KFENCE]));
        }
        Cause::ListCorruption => next.extend(advise(&[SLUB_DEBUG, KFENCE])),
        Cause::BitFlip => next.push(
            "test the machine's memory (memtest, EDAC counters): one flipped bit is how bad RAM \
             looks, and seldom how a bug does"
                .into(),
        ),
        Cause::CodeCorruption => {
            next.push("test the machine's memory: nothing writes to code but the kernel".into());
        }
        Cause::Deadlock | Cause::HungTask => {
            next.push("see what blocked tasks wait for, and who holds it: locks, hang".into());
            next.extend(advise(&[HUNG_BACKTRACE, HUNG_PANIC]));
        }
        Cause::SoftLockup | Cause::HardLockup | Cause::RcuStall => {
            next.push("see what every CPU does: cpus, bt -a".into());
            next.extend(advise(&[LOCKUP_BACKTRACE]));
        }
        Cause::OutOfMemory | Cause::MemoryLeak => {
            next.push("see who has the memory: kmem -s, ps".into());
            next.extend(advise(&[KMEMLEAK, PAGE_OWNER]));
        }
        Cause::StackOverflow => next.push("see every frame, and how large each is: bt -f".into()),
        Cause::StackCorruption => next.push("see what is written over the frame: bt -f".into()),
        Cause::Bug | Cause::Warning | Cause::NullPointer | Cause::BadPointer => {
            next.push("follow the values further: explain, and explain N for a frame of bt".into());
        }
        _ => {}
    }
    if let Some(culprit) = &verdict.culprit {
        next.push(format!("ask for the source of {culprit}"));
    }
    next
}

/// Whether the slab cache notes already who allocated and who freed its objects.
fn keeps_owners(kernel: &Kernel, cache: &str) -> bool {
    let caches = kernel.slab_caches().map(|(caches, _)| caches).unwrap_or_default();
    let of = caches.iter().find(|of| of.name.as_deref() == Some(cache));
    of.and_then(|of| kernel.slab_guards(of)).is_some_and(|guards| guards.tracks.is_some())
}
