//! Walkers.

use necropsy_illumos::{
    kmem::{Cache, KMF_HASH},
    list::Walk,
    shapes::Field,
};

use crate::{Mdb, Outcome, Walker, failure::fail};

use super::kernel;

type Elements = Outcome<Vec<u64>>;

fn needs(start: Option<u64>) -> Outcome<u64> {
    match start {
        Some(at) => Ok(at),
        None => fail("this walk needs an address: ADDRESS::walk NAME"),
    }
}

pub(super) const ALL: &[Walker] = &[
    Walker {
        name: "allocdby",
        summary: "given a thread, walk its allocated bufctls",
        walk: allocdby,
    },
    Walker { name: "allthreads", summary: "walk the list of all threads", walk: threads },
    Walker {
        name: "avl",
        summary: "given any avl_tree_t *, forward walk all entries in tree",
        walk: avl,
    },
    Walker { name: "b_cont", summary: "walk mblk_t list using b_cont", walk: b_cont },
    Walker { name: "b_next", summary: "walk mblk_t list using b_next", walk: b_next },
    Walker { name: "blocked", summary: "walk threads blocked on a given sobj", walk: blocked },
    Walker { name: "bufctl", summary: "walk a kmem cache's bufctls", walk: bufctl },
    Walker { name: "cpu", summary: "walk cpu structures", walk: cpu },
    Walker { name: "devinfo", summary: "walk the tree of devices", walk: devinfo },
    Walker { name: "file", summary: "given a proc_t pointer, walk its open files", walk: file },
    Walker { name: "freectl", summary: "walk a kmem cache's free bufctls", walk: freectl },
    Walker { name: "freedby", summary: "given a thread, walk its freed bufctls", walk: freedby },
    Walker { name: "freemem", summary: "walk a kmem cache's free memory", walk: freemem },
    Walker { name: "kmem", summary: "walk a kmem cache", walk: kmem },
    Walker { name: "kmem_cache", summary: "walk list of kmem caches", walk: kmem_cache },
    Walker { name: "kmem_log", summary: "walk the kmem transaction log", walk: kmem_log },
    Walker { name: "kmem_slab", summary: "given a kmem cache, walk its slabs", walk: kmem_slab },
    Walker { name: "list", summary: "walk a linked list", walk: list },
    Walker { name: "modctl", summary: "list of modctl structures", walk: modctl },
    Walker { name: "qnext", summary: "walk queue_t list using q_next", walk: qnext },
    Walker { name: "proc", summary: "list of process structures", walk: proc },
    Walker { name: "ancestors", summary: "walk the parents of a process", walk: ancestors },
    Walker { name: "seg", summary: "given an as, list of segments", walk: seg },
    Walker { name: "sobj_wchan", summary: "walk all objects that threads wait for", walk: wchan },
    Walker { name: "spa", summary: "walk all spa_t entries in the namespace", walk: spa },
    Walker { name: "taskq_cache", summary: "walk the taskq_cache cache", walk: taskq },
    Walker { name: "thread", summary: "global or per-process kthread_t structures", walk: threads },
    Walker { name: "vfs", summary: "walk file systems that are mounted", walk: vfs },
    Walker {
        name: "vmem",
        summary: "walk vmem structures in pre-fix, depth-first order",
        walk: vmem,
    },
    Walker {
        name: "vmem_alloc",
        summary: "given a vmem_t, walk its allocated vmem_segs",
        walk: vmem_alloc,
    },
    Walker {
        name: "vmem_free",
        summary: "given a vmem_t, walk its free vmem_segs",
        walk: vmem_free,
    },
    Walker {
        name: "vmem_seg",
        summary: "given a vmem_t, walk all of its vmem_segs",
        walk: vmem_seg,
    },
    Walker { name: "wchan", summary: "walk all objects that threads wait for", walk: wchan },
    Walker { name: "zone", summary: "walk a list of kernel zones", walk: zone },
];

fn noted(mdb: &mut Mdb, walk: Walk) -> Elements {
    Ok(mdb.noted(walk))
}

fn proc(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let walk = start.map_or_else(|| kernel.processes(), |at| kernel.descendants(at));
    noted(mdb, walk)
}

fn ancestors(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let shape = &kernel.shapes().proc;
    let walk = Walk::follow(needs(start)?, |_| false, |at| shape.parent.get(&kernel, at));
    noted(mdb, walk)
}

fn threads(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let walk = start.map_or_else(|| kernel.threads(), |at| kernel.threads_of(at));
    noted(mdb, walk)
}

fn cpu(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    let walk = kernel(mdb)?.cpu_list();
    noted(mdb, walk)
}

fn modctl(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    Ok(kernel(mdb)?.modules().iter().map(|module| module.modctl).collect())
}

fn zone(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    let walk = kernel(mdb)?.zones();
    noted(mdb, walk)
}

fn list(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let walk = kernel(mdb)?.list(needs(start)?);
    noted(mdb, walk)
}

fn avl(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let walk = kernel(mdb)?.avl(needs(start)?);
    noted(mdb, walk)
}

fn kmem_cache(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    let walk = kernel(mdb)?.kmem_caches();
    noted(mdb, walk)
}

/// The cache at an address, or all of them.
fn caches(mdb: &mut Mdb, start: Option<u64>) -> Outcome<Vec<Cache>> {
    let kernel = kernel(mdb)?;
    match start {
        Some(at) => Ok(vec![kernel.kmem_cache(at)?]),
        None => {
            let walk = kernel.kmem_caches();
            let all = mdb.noted(walk);
            Ok(all.into_iter().filter_map(|at| kernel.kmem_cache(at).ok()).collect())
        }
    }
}

fn buffers(
    mdb: &mut Mdb,
    start: Option<u64>,
    pick: impl Fn(&necropsy_illumos::kmem::Buffers, &Cache) -> Vec<u64>,
) -> Elements {
    let kernel = kernel(mdb)?;
    let mut all = Vec::new();
    for cache in caches(mdb, start)? {
        mdb.check()?;
        let buffers = kernel.kmem_buffers(&cache);
        if let Some(problem) = &buffers.problem {
            mdb.warn(&format!("{}: {problem}", cache.name));
        }
        all.extend(pick(&buffers, &cache));
    }
    Ok(all)
}

fn kmem(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    buffers(mdb, start, |found, _| found.allocated.iter().map(|&(buffer, _)| buffer).collect())
}

fn freemem(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    buffers(mdb, start, |found, _| found.free.iter().map(|&(buffer, _)| buffer).collect())
}

fn bufctl(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    buffers(mdb, start, |found, cache| match cache.flags & KMF_HASH {
        0 => Vec::new(),
        _ => found.allocated.iter().map(|&(_, bufctl)| bufctl).collect(),
    })
}

fn freectl(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    buffers(mdb, start, |found, cache| match cache.flags & KMF_HASH {
        0 => Vec::new(),
        _ => found.free.iter().map(|&(_, bufctl)| bufctl).filter(|&at| at != 0).collect(),
    })
}

fn by_thread(mdb: &mut Mdb, thread: u64, allocated: bool) -> Elements {
    let kernel = kernel(mdb)?;
    let mut found = Vec::new();
    for cache in caches(mdb, None)? {
        if cache.flags & necropsy_illumos::kmem::KMF_AUDIT == 0 {
            continue;
        }
        mdb.check()?;
        let buffers = kernel.kmem_buffers(&cache);
        let list = if allocated { buffers.allocated } else { buffers.free };
        for (_, bufctl) in list {
            let record = kernel.audit_record(bufctl);
            found.extend(record.ok().filter(|record| record.thread == thread));
        }
    }
    found.sort_by_key(|record| std::cmp::Reverse(record.timestamp));
    Ok(found.into_iter().map(|record| record.address).collect())
}

fn allocdby(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    by_thread(mdb, needs(start)?, true)
}

fn freedby(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    by_thread(mdb, needs(start)?, false)
}

fn kmem_log(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let log = match start {
        Some(at) => at,
        None => kernel.pointer("kmem_transaction_log")?,
    };
    Ok(kernel.kmem_log(log)?.into_iter().map(|record| record.address).collect())
}

fn kmem_slab(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let cache = kernel.kmem_cache(needs(start)?)?;
    let (complete, partial, problem) = kernel.slabs(&cache);
    if let Some(problem) = problem {
        mdb.warn(&problem.to_string());
    }
    Ok(complete.iter().chain(&partial).map(|place| place.slab).collect())
}

/// The buffers of a cache that is known by name.
fn of_cache(mdb: &mut Mdb, name: &str) -> Elements {
    let found = caches(mdb, None)?.into_iter().find(|cache| cache.name == name);
    match found {
        Some(cache) => kmem(mdb, Some(cache.address)),
        None => fail(format!("no cache {name}")),
    }
}

fn taskq(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    of_cache(mdb, "taskq_cache")
}

fn vmem(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    let (order, walk) = kernel(mdb)?.arenas();
    mdb.noted(walk);
    Ok(order.into_iter().map(|(arena, _)| arena).collect())
}

fn segments(mdb: &mut Mdb, start: Option<u64>, kind: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let walk = kernel.arena_segments(needs(start)?);
    let all = mdb.noted(walk);
    let shape = &kernel.shapes().vmem_seg;
    Ok(all
        .into_iter()
        .filter(|&at| kind.is_none_or(|kind| shape.kind.get(&kernel, at).is_ok_and(|k| k == kind)))
        .collect())
}

fn vmem_seg(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    segments(mdb, start, None)
}

fn vmem_alloc(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    segments(mdb, start, Some(1))
}

fn vmem_free(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    segments(mdb, start, Some(2))
}

fn seg(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let kernel = kernel(mdb)?;
    let tree = kernel.shapes().aspace.segtree.at(needs(start)?)?;
    let walk = kernel.avl(tree);
    noted(mdb, walk)
}

fn wchan(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    Ok(kernel(mdb)?.wait_channels().into_iter().map(|(object, ..)| object).collect())
}

fn blocked(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    Ok(kernel(mdb)?.waiters(needs(start)?))
}

/// Open files: `struct file *` of each entry in use.
fn file(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let files = kernel(mdb)?.open_files(needs(start)?)?;
    Ok(files.into_iter().map(|open| open.file).collect())
}

fn devinfo(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    let (_, walk) = kernel(mdb)?.devices();
    noted(mdb, walk)
}

/// Follows one link of structures from an address on.
fn chain(mdb: &mut Mdb, start: Option<u64>, link: Field) -> Elements {
    let kernel = kernel(mdb)?;
    let walk = Walk::follow(needs(start)?, |_| false, |at| link.get(&kernel, at));
    noted(mdb, walk)
}

fn b_next(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let link = kernel(mdb)?.shapes().mblk.next;
    chain(mdb, start, link)
}

fn b_cont(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let link = kernel(mdb)?.shapes().mblk.cont;
    chain(mdb, start, link)
}

fn qnext(mdb: &mut Mdb, start: Option<u64>) -> Elements {
    let link = kernel(mdb)?.shapes().queue.next;
    chain(mdb, start, link)
}

fn vfs(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    super::files::mounts(mdb)
}

fn spa(mdb: &mut Mdb, _: Option<u64>) -> Elements {
    super::zfs::pools(mdb)
}
