//! Memory: what an address is, and who has how much.

mod identify;
mod pages;
mod slabs;
mod totals;
mod vmalloc;
mod zones;

use crate::rows::kmem::{
    AreaRow, CacheRow, CounterRow, FreeListRow, HugePagesRow, IdentityRow, MemoryBlockRow, NodeRow,
    OffsetRow, PageFlagRow, PageMembersRow, PageRow, SectionRow, SlabRow, UsageRow, ZoneRow,
};
use crate::{
    Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::Output,
    session::Session,
};

const CACHES: Opt = Opt::flag("-s", "slab caches: all, or those that are named");
const OBJECTS: Opt = Opt::value("-S", "=cpus", "with the slabs and objects of each; of some CPUs");
const IGNORE: Opt = Opt::value("-I", "caches", "with -s or -S, leave these out: a,b");
const AREAS: Opt = Opt::flag("-v", "areas of vmalloc");
const OFFSETS: Opt = Opt::flag("-o", "the offset of each CPU's per-CPU memory");
const ROOTS: Opt =
    Opt::flag("-r", "caches with those of each control group, which kernels had until 5.8");
const USAGE: Opt = Opt::flag("-i", "memory as a whole: how much is free, cached, promised");
const COUNTERS: Opt = Opt::flag("-V", "the kernel's counters: vm_stat and events");
const ZONES: Opt = Opt::flag("-z", "zones with their counters");
const NODES: Opt = Opt::flag("-n", "memory nodes, zones and sections");
const HUGE: Opt = Opt::flag("-h", "huge pages");
const FREE: Opt = Opt::flag("-f", "free lists of the page allocator");
const FREE_RUNS: Opt = Opt::flag("-F", "as -f, with the struct page of each free run");
const PAGES: Opt = Opt::flag("-p", "every page frame, or those that addresses lie in");
const MEMBERS: Opt =
    Opt::value("-m", "members", "of every page frame, these members: flags,_refcount");
const FLAGS: Opt = Opt::flag("-g", "names of page flags: all, or those of a value");
const CACHED: Opt = Opt::flag("-c", "every page frame that holds a page of a file");
const CACHED_TOO: Opt = Opt::flag("-C", "accepted for -c");
const PHYSICAL: Opt = Opt::flag("-P", "the addresses are physical");

pub(crate) static COMMAND: Command = Command {
    names: &["kmem"],
    summary: "what an address is; who has how much: slab caches, zones, page frames, areas of vmalloc",
    synopsis: "[-P] address ...\n-s [cache ...] [-I caches]\n-S[=cpus] [cache ...] [-I caches]\n-i | -V | -z | -n | -h | -f | -F\n[-p | -c | -C | -m members] [-P] [address ...]\n-g [flags]\n-v | -o | -r",
    options: &[
        CACHES, OBJECTS, IGNORE, USAGE, COUNTERS, ZONES, NODES, HUGE, FREE, FREE_RUNS, PAGES,
        CACHED, CACHED_TOO, MEMBERS, FLAGS, AREAS, OFFSETS, ROOTS, PHYSICAL,
    ],
    rows: &[
        IdentityRow::TYPE,
        CacheRow::TYPE,
        SlabRow::TYPE,
        UsageRow::TYPE,
        CounterRow::TYPE,
        ZoneRow::TYPE,
        NodeRow::TYPE,
        SectionRow::TYPE,
        MemoryBlockRow::TYPE,
        HugePagesRow::TYPE,
        FreeListRow::TYPE,
        PageRow::TYPE,
        PageMembersRow::TYPE,
        PageFlagRow::TYPE,
        AreaRow::TYPE,
        OffsetRow::TYPE,
    ],
    args: &[Arg::Symbol],
    description: "\
Tells what lies at an address: an object of a slab cache and whether it is in use, a symbol, a
stack and whose, per-CPU memory, an area of vmalloc; and what the kernel knows of its page frame.
An address too small for a kernel's is taken as physical, as with -P.

With -s, every slab cache with the objects that are in use, counted one by one: objects on free
lists of CPUs and in sheaves are free. A cache is given by name or by the address of its
kmem_cache. All slabs are found by a pass over the kernel's descriptions of page frames, because
full slabs are on no list.

With -S, every slab and every object too: those in use in brackets.

Counters are shown as the kernel has them; what CPUs have counted and not yet added is left out, as
in /proc. With -f, free frames are counted on their lists instead.",
    examples: &[
        Example { about: "What this is.", line: "kmem init_task", output: "" },
        Example { about: "Caches.", line: "kmem -s", output: "" },
        Example { about: "One cache with its objects.", line: "kmem -S task_struct", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    match parsed.one_of(&[
        CACHES, OBJECTS, AREAS, OFFSETS, USAGE, COUNTERS, ZONES, NODES, HUGE, FREE, FREE_RUNS,
        PAGES, CACHED, CACHED_TOO, MEMBERS, FLAGS, ROOTS,
    ])? {
        Some(USAGE) => totals::usage(&kernel, out),
        Some(COUNTERS) => totals::counters(&kernel, out),
        Some(ZONES) => zones::zones(&kernel, out),
        Some(NODES) => zones::nodes(&kernel, out),
        Some(HUGE) => totals::huge(&kernel, out),
        Some(FREE) => zones::free(&kernel, false, out),
        Some(FREE_RUNS) => zones::free(&kernel, true, out),
        Some(chosen @ (PAGES | CACHED | CACHED_TOO | MEMBERS)) => {
            let frames = pages::frames(session, &kernel, parsed)?;
            match parsed.value(MEMBERS) {
                Some(members) => pages::members(&kernel, members, frames, out),
                None => pages::all(&kernel, chosen != PAGES, frames, out),
            }
        }
        Some(FLAGS) => pages::flags(&kernel, parsed, out),
        Some(ROOTS) => slabs::roots(&kernel, parsed, out),
        Some(AREAS) => vmalloc::areas(&kernel, out),
        Some(OFFSETS) => vmalloc::offsets(&kernel, out),
        Some(_) => slabs::show(&kernel, parsed, out),
        None => {
            parsed.need(0, "an address, or an option")?;
            for word in &parsed.args {
                let address = session.address(word)?;
                identify::show(&kernel, address, parsed.has(PHYSICAL), out)?;
            }
            Ok(())
        }
    }
}
