//! Tasks.

use necropsy_rows::{Any, Faults, Hex, row};

row! {
    /// What heads whatever is said of a task.
    #[derive(Debug, Clone)]
    pub struct Header {
        /// Thread id.
        pub pid: Option<u64>,
        /// Its `task_struct`.
        pub task: Hex,
        /// The CPU it runs or last ran on.
        pub cpu: Option<u32>,
        /// Command name.
        pub comm: Option<String>,
    }

    /// The task that commands look at.
    #[derive(Debug)]
    pub struct Context {
        /// Thread id.
        pub pid: Option<u64>,
        /// Command name.
        pub comm: Option<String>,
        /// Its `task_struct`.
        pub task: Hex,
        /// The CPU it runs or last ran on.
        pub cpu: Option<u32>,
        /// State: `TASK_RUNNING`.
        pub state: Option<&'static str>,
        /// It called panic.
        pub panic: bool,
        /// It runs on a CPU.
        pub active: bool,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A task, as `ps` lists it.
    #[derive(Debug)]
    pub struct TaskRow {
        /// Thread id.
        pub pid: Option<u64>,
        /// Thread group id: what user space calls a process's id.
        pub tgid: Option<u64>,
        /// Thread group id of the parent.
        pub ppid: Option<u64>,
        /// The CPU it runs or last ran on.
        pub cpu: Option<u32>,
        /// Its `task_struct`.
        pub task: Hex,
        /// Kernel stack pointer of when it was switched out (`-s`).
        pub kernel_sp: Option<Hex> [maybe],
        /// State in crash's two letters: RU, IN, UN, ZO, ST, TR, DE, ID, PA, NE, WA.
        pub state: Option<&'static str>,
        /// It runs on a CPU.
        pub active: bool,
        /// Resident memory as a share of all, with one decimal.
        pub mem_percent: Option<f64> [percent],
        /// Size of its address space.
        pub vsz_kb: Option<u64> [KiB],
        /// Resident memory.
        pub rss_kb: Option<u64> [KiB],
        /// Command name.
        pub comm: Option<String>,
        /// It has no user space.
        pub kernel_thread: bool,
        /// Scheduling policy (`-Y`): NORMAL, FIFO, RR, BATCH, IDLE, DEADLINE.
        pub policy: Option<&'static str> [maybe],
        /// The kernel's priority (`-Y`): 0 to 99 real time, 100 to 139 the others.
        pub priority: Option<i64> [maybe],
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// How many tasks are in a state (`ps -S`).
    #[derive(Debug)]
    pub struct StateRow {
        /// The state in crash's two letters.
        pub state: &'static str,
        /// How many.
        pub tasks: usize,
    }

    /// When a task last got a CPU (`ps -l` and `-m`).
    #[derive(Debug)]
    pub struct LastRunRow {
        /// The task.
        pub header: Header [flat],
        /// State in crash's two letters.
        pub state: Option<&'static str>,
        /// When it did, by the clock of its run queue.
        pub last_run_ns: Option<u64> [ns],
        /// Time since then.
        pub ago_ns: Option<u64> [ns],
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A task among its family (`ps -p`, `-c`, `-g`).
    #[derive(Debug)]
    pub struct RelativeRow {
        /// The task.
        pub header: Header [flat],
        /// What it is: `self`, `ancestor`, `child`, `leader` or `thread`.
        pub relation: &'static str,
        /// Of which task: its thread id, or the id of the thread group.
        pub of: Option<u64>,
        /// How far to the right it stands.
        pub depth: usize,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A task's times (`ps -t`).
    #[derive(Debug)]
    pub struct TimesRow {
        /// The task.
        pub header: Header [flat],
        /// Time since it was started.
        pub run_time_ns: Option<u64> [ns],
        /// When it was started, since boot.
        pub start_time_ns: Option<u64> [ns],
        /// Processor time in user space.
        pub utime_ns: Option<u64> [ns],
        /// Processor time in the kernel.
        pub stime_ns: Option<u64> [ns],
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// What a task was started with (`ps -a`).
    #[derive(Debug)]
    pub struct ArgumentsRow {
        /// The task.
        pub header: Header [flat],
        /// Its arguments.
        pub arguments: Vec<String>,
        /// Its environment: `NAME=value`.
        pub environment: Vec<String>,
        /// It has no user space.
        pub kernel_thread: bool,
        /// What could not be read.
        pub faults: Faults,
    }

    /// A resource limit.
    #[derive(Debug)]
    pub struct LimitRow {
        /// Its name without RLIMIT_ (include/uapi/asm-generic/resource.h).
        pub limit: &'static str,
        /// The soft limit; `null` is unlimited.
        pub current: Option<u64>,
        /// The hard limit; `null` is unlimited.
        pub maximum: Option<u64>,
    }

    /// A task's resource limits (`ps -r`).
    #[derive(Debug)]
    pub struct LimitsRow {
        /// The task.
        pub header: Header [flat],
        /// The limits.
        pub limits: Vec<LimitRow>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A task's structures.
    #[derive(Debug)]
    pub struct StructuresRow {
        /// The task.
        pub header: Header [flat],
        /// Members by name, or the whole `task_struct` and `thread_info`.
        pub values: Any,
        /// What could not be read.
        pub faults: Faults [maybe],
    }
}
