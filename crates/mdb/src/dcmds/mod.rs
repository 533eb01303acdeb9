//! Dcmds and walkers that need no certain kernel.

mod glue;
mod help;
mod memory;
mod names;
mod types;

use crate::Dcmd;

/// Macros that are dcmds under their old names.
pub const MACROS: &[(&str, &str)] = &[
    ("bufctl", "::bufctl"),
    ("bufctl_audit", "::bufctl -v"),
    ("cpu", "::cpuinfo -v"),
    ("cpun", "::cpuinfo -v"),
    ("cpus", "::walk cpu |::cpuinfo -v"),
    ("devinfo", "::print struct dev_info"),
    ("devinfo_brief", "::devinfo -s"),
    ("devinfo_major", "::devbindings -s"),
    ("devt", "::devt"),
    ("findthreads", "::walk thread |::thread"),
    ("mblk", "::mblk -v"),
    ("modctl.brief", "::modctl"),
    ("modules", "::modinfo"),
    ("mount", "::fsinfo"),
    ("msgbuf", "::msgbuf"),
    ("mutex", "::mutex"),
    ("panicbuf", "::panicinfo"),
    ("pid2proc", "::pid2proc |::print proc_t"),
    ("proc2u", "::print proc_t p_user"),
    ("procargs", "::print proc_t p_user.u_psargs"),
    ("queue", "::queue -v"),
    ("sema", "::print sema_impl_t"),
    ("stackregs", "::stackregs"),
    ("stacktrace", "::stackregs"),
    ("thread", "::print kthread_t"),
    ("threadlist", "::threadlist -v"),
    ("u", "::print user_t"),
    ("utsname", "utsname::print"),
];

/// All dcmds of this folder.
pub const ALL: &[Dcmd] = &[
    glue::ECHO,
    glue::EVAL,
    glue::GREP,
    glue::HEAD,
    glue::LOG,
    glue::MAP,
    glue::PROMPT,
    glue::QUIT,
    glue::SET,
    glue::TAIL,
    glue::TYPESET,
    glue::UNSET,
    glue::VARS,
    glue::WALK,
    help::DCMDS,
    help::FORMATS,
    help::HELP,
    help::MACROS,
    help::VERSION,
    help::WALKERS,
    help::WHICH,
    memory::DIS,
    memory::DUMP,
    memory::KGREP,
    memory::REGS,
    names::NM,
    names::NMADD,
    names::NMDEL,
    names::WHATTYPE,
    types::ARRAY,
    types::ENUM,
    types::LIST,
    types::OFFSETOF,
    types::PRINT,
    types::PRINTF,
    types::SIZEOF,
    types::TYPEDEF,
];
