//! Run queues.

use necropsy_rows::{Hex, row};

row! {
    /// A task on a run queue.
    #[derive(Debug)]
    pub struct QueuedTask {
        /// Thread id.
        pub pid: Option<u64>,
        /// Its `task_struct`.
        pub task: Hex,
        /// Command name.
        pub comm: Option<String>,
    }

    /// A task that waits for its CPU.
    #[derive(Debug)]
    pub struct WaitingRow {
        /// Scheduling class: `stop`, `deadline`, `rt` or `fair`.
        pub class: &'static str,
        /// Priority: 0 to 99 real time, 100 to 139 the others.
        pub prio: Option<u64>,
        /// It sleeps already and stays queued to pay its debt of time (since 6.12).
        pub delayed: bool,
        /// The task.
        pub task: QueuedTask [flat],
    }

    /// The run queue of a CPU.
    #[derive(Debug)]
    pub struct QueueRow {
        /// The CPU.
        pub cpu: u32,
        /// Its `struct rq`.
        pub runqueue: Hex,
        /// The task that runs.
        pub current: Option<QueuedTask>,
        /// Those that wait, in the order in which they would run.
        pub waiting: Vec<WaitingRow>,
    }

    /// The clock of a run queue (`-t` and `-m`).
    #[derive(Debug)]
    pub struct ClockRow {
        /// The CPU.
        pub cpu: u32,
        /// The queue's clock.
        pub clock_ns: Option<u64> [ns],
        /// When the running task got the CPU.
        pub last_run_ns: Option<u64> [ns],
        /// For how long it has had it.
        pub ran_ns: Option<u64> [ns],
        /// The running task.
        pub task: Option<QueuedTask> [flat],
    }

    /// How far a run queue's clock lags behind the latest (`-T`).
    #[derive(Debug)]
    pub struct LagRow {
        /// The CPU.
        pub cpu: u32,
        /// The difference.
        pub lag_ns: u64 [ns],
    }

    /// A task group on a run queue (`-g`); its tasks and groups follow, one deeper.
    #[derive(Debug)]
    pub struct GroupRow {
        /// The CPU.
        pub cpu: u32,
        /// How deep the group lies below the root.
        pub depth: usize,
        /// Its `struct task_group`.
        pub task_group: Option<Hex>,
        /// Name of its control group.
        pub name: Option<String>,
        /// Its queue: `struct cfs_rq` or `struct rt_rq`.
        pub queue: Hex,
        /// Scheduling class: `rt` or `fair`.
        pub class: &'static str,
        /// It used up its share and has to wait.
        pub throttled: bool,
    }

    /// A task whose own flag says that it is on a run queue (`-d`).
    #[derive(Debug)]
    pub struct FlaggedRow {
        /// The CPU.
        pub cpu: u32,
        /// Priority: 0 to 99 real time, 100 to 139 the others.
        pub prio: Option<i64>,
        /// The task.
        pub task: QueuedTask [flat],
    }

    /// A task in a task group (`-g`).
    #[derive(Debug)]
    pub struct MemberRow {
        /// The CPU.
        pub cpu: u32,
        /// How deep it lies below the root.
        pub depth: usize,
        /// Priority: 0 to 99 real time, 100 to 139 the others.
        pub prio: Option<u64>,
        /// It has the CPU.
        pub current: bool,
        /// It sleeps already and stays queued to pay its debt of time (since 6.12).
        pub delayed: bool,
        /// The task.
        pub task: QueuedTask [flat],
    }
}
