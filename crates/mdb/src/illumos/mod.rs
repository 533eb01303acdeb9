//! dcmds and walkers of illumos kernels.

mod accounts;
mod cpu;
mod devices;
mod files;
mod kmem;
mod locks;
mod log;
mod memstat;
mod modules;
mod panic;
mod process;
mod report;
mod stack;
mod stacks;
mod streams;
mod system;
mod thread;
mod verdict;
mod vmem;
mod walkers;
mod whatis;
mod zfs;
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
    accounts::CRED,
    accounts::PROJECT,
    accounts::TASK,
    accounts::ZID2ZONE,
    cpu::CPUINFO,
    devices::DEVBINDINGS,
    devices::DEVINFO,
    devices::DEVT,
    devices::PRTCONF,
    files::FD,
    files::FSINFO,
    files::PFILES,
    files::VNODE2PATH,
    files::WHEREOPEN,
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
    locks::FINDLOCKS,
    locks::MUTEX,
    locks::RWLOCK,
    locks::SOBJ2TS,
    locks::TURNSTILE,
    locks::WCHANINFO,
    log::MSGBUF,
    memstat::MEMSTAT,
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
    streams::MBLK,
    streams::QUEUE,
    thread::TASKQ,
    thread::THREAD,
    thread::THREADLIST,
    thread::WHATTHREAD,
    vmem::PMAP,
    vmem::SEG,
    vmem::VMEM,
    vmem::VMEM_SEG,
    vmem::VTOP,
    whatis::WHATIS,
    zfs::SPA,
    zfs::ZFS_DBGMSG,
    zone::ZONE,
];
