//! The rows that commands yield, each declared once: what `--json`, `--csv`, `schema` and
//! `docs/json.md` have comes from here.
//!
//! Fields that many rows have in common mean the same everywhere: `task` is the address of a
//! `task_struct`, `pid` a thread's id, `faults` lists what could not be read, and a field is
//! `null` where its value is one of those, or where there is none.

pub mod bpf;
pub mod check;
pub mod code;
pub mod core;
pub mod device;
pub mod dump;
pub mod explain;
pub mod files;
pub mod ipc;
pub mod irq;
pub mod kmem;
pub mod locks;
pub mod log;
pub mod machine;
pub mod memory;
pub mod net;
pub mod oops;
pub mod report;
pub mod runq;
pub mod session;
pub mod stacks;
pub mod tasks;
pub mod timer;
pub mod trace;
pub mod types;
pub mod usage;
pub mod walks;
pub mod work;
