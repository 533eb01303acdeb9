//! dcmds and walkers of illumos kernels.

mod cpu;
mod files;
mod kmem;
mod locks;
mod log;
mod modules;
mod panic;
mod process;
mod report;
mod stack;
mod stacks;
mod system;
mod thread;
mod verdict;
mod vmem;
mod walkers;
mod whatis;
mod zone;

use std::sync::Arc;

use necropsy_illumos::Kernel;

use crate::{Dcmd, Failure, Mdb, Outcome, Registry, dcmds};

pub use system::IllumosSystem;

/// The kernel that a session looks at.
pub(crate) fn kernel(mdb: &Mdb) -> Outcome<Arc<Kernel>> {
    match mdb.system.as_any().downcast_ref::<IllumosSystem>() {
        Some(system) => Ok(system.kernel().clone()),
        None => Err(Failure::Text("this needs the dump of an illumos kernel".into())),
    }
}

/// What a session with an illumos kernel has by name.
pub static REGISTRY: Registry =
    Registry { dcmds: &[ALL, dcmds::ALL], walkers: walkers::ALL, macros: dcmds::MACROS };

/// All dcmds of this folder.
const ALL: &[Dcmd] = &[
    cpu::CPUINFO,
    files::PFILES,
    files::PRTCONF,
    files::VNODE2PATH,
    kmem::ALLOCDBY,
    kmem::BUFCTL,
    kmem::FINDLEAKS,
    kmem::FREEDBY,
    kmem::KMALOG,
    kmem::KMASTAT,
    kmem::KMAUSERS,
    kmem::KMEM_CACHE,
    kmem::KMEM_LOG,
    kmem::KMEM_SLABS,
    kmem::KMEM_VERIFY,
    locks::MUTEX,
    locks::RWLOCK,
    locks::WCHANINFO,
    log::MSGBUF,
    modules::CTFINFO,
    modules::MODCTL,
    modules::MODINFO,
    modules::OBJECTS,
    panic::PANICINFO,
    panic::SELF_CHECK,
    panic::STATUS,
    process::PGREP,
    process::PID2PROC,
    process::PS,
    process::PTREE,
    report::REPORT,
    stack::FINDSTACK,
    stack::STACK,
    stack::STACK_FRAMES,
    stacks::STACKS,
    thread::TASKQ,
    thread::THREAD,
    thread::THREADLIST,
    thread::WHATTHREAD,
    vmem::VMEM,
    vmem::VMEM_SEG,
    vmem::VTOP,
    whatis::WHATIS,
    zone::ZONE,
];
