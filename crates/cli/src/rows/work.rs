//! Work queues, RCU, requests to devices, control groups: what is under way.

use necropsy_rows::{Faults, Hex, Perhaps, row};

use super::locks::TaskRef;

row! {
    /// A pool of workers.
    #[derive(Debug)]
    pub struct PoolRow {
        /// Its number.
        pub pool: i64 => "POOL" right 4,
        /// Its `struct worker_pool`.
        pub worker_pool: Hex => "WORKER_POOL" left 16,
        /// The CPU that it is bound to; `null`: none.
        pub cpu: Perhaps<i64> => "CPU" right 4,
        /// Its workers.
        pub workers: u64 => "WORKERS" right 7,
        /// How many of them have nothing to do.
        pub idle: u64 => "IDLE" right 5,
        /// Pieces of work that wait for a worker.
        pub pending: u64 => "PENDING" right 7,
        /// How long ago it last made progress, where work waits.
        pub stalled_ns: Option<u64> [ns],
    }

    /// A piece of work.
    #[derive(Debug)]
    pub struct WorkRow {
        /// `running`; `taken`: by a worker that does another one first; `pending`; `inactive`: its queue
        /// has as much in its pools as it may have; `delayed`: a timer is to queue it.
        pub state: &'static str,
        /// Its `struct work_struct`.
        pub work: Hex,
        /// Its function.
        pub function: String,
        /// The queue that it is in.
        pub workqueue: Option<String>,
        /// The number of its pool.
        pub pool: Option<i64>,
        /// The worker that does it, or has taken it.
        pub worker: Option<TaskRef>,
        /// How long the worker has been at it, where the kernel notes that; else how long ago it got a
        /// CPU.
        pub since_ns: Option<u64> [ns],
        /// When the timer will queue it; negative: it is late.
        pub due_ns: Option<i64> [ns],
        /// Tasks that wait until it is done.
        pub flushed_by: Vec<TaskRef>,
    }

    /// A grace period of RCU.
    #[derive(Debug)]
    pub struct RcuRow {
        /// Its number (`gp_seq`); the lowest two bits tell how far it is, 0: none is under way.
        pub grace_period: Hex,
        /// Whether one is under way.
        pub under_way: bool,
        /// How long ago it began.
        pub since_ns: Option<u64> [ns],
        /// How long ago its thread last did something.
        pub active_ns: Option<u64> [ns],
        /// The thread that drives it.
        pub thread: Option<TaskRef>,
        /// CPUs that hold it up.
        pub cpus: Vec<u32>,
        /// Readers that hold it up, though they do not run.
        pub readers: Vec<TaskRef>,
        /// CPUs that hold the expedited one up.
        pub expedited_cpus: Vec<u32>,
        /// Readers that hold the expedited one up.
        pub expedited_readers: Vec<TaskRef>,
        /// Tasks that wait for the end of a grace period.
        pub waiting: Vec<TaskRef>,
    }

    /// What a CPU has of RCU.
    #[derive(Debug)]
    pub struct RcuCpuRow {
        /// Its number.
        pub cpu: u32 => "CPU" right 3,
        /// The grace period that it has seen.
        pub grace_period: Hex => "GP_SEQ" left 10,
        /// Callbacks that wait.
        pub callbacks: Option<u64> => "CALLBACKS" right 9,
        /// RCU waits for it.
        pub holds_up: bool,
        /// The task that it runs.
        pub running: Option<TaskRef>,
    }

    /// A request to a block device.
    #[derive(Debug)]
    pub struct RequestRow {
        /// The disk.
        pub device: String => "DEVICE" left 10,
        /// Its `struct request`.
        pub request: Hex => "REQUEST" left 16,
        /// `read`, `write`, `flush` and others.
        pub operation: String => "OP" left 8,
        /// The first sector, of 512 bytes.
        pub sector: u64 => "SECTOR" right 12,
        /// Bytes that are left of it.
        pub size: u64 [bytes] => "BYTES" right 9,
        /// `waiting`: not yet given to the driver; `in_flight`; `complete`.
        pub state: Option<&'static str> => "STATE" left 9,
        /// How long ago it was made.
        pub age_ns: Option<u64> [ns],
        /// How long ago it was given to the driver.
        pub sent_ns: Option<u64> [ns],
        /// The number of the queue of the hardware.
        pub queue: u32,
        /// Tasks that wait for it, as far as that can be told: by a completion of theirs, or a page that
        /// it moves.
        pub waiting: Vec<TaskRef>,
    }

    /// A disk without a request under way.
    #[derive(Debug)]
    pub struct DiskRow {
        /// Its name.
        pub device: String,
        /// Its `struct gendisk`.
        pub gendisk: Hex,
        /// Its `struct request_queue`.
        pub request_queue: Hex,
        /// Requests that are under way; `null` where they cannot be told.
        pub requests: Option<usize>,
        /// Why they cannot be told.
        pub problem: Option<String> [maybe],
    }

    /// A control group.
    #[derive(Debug)]
    pub struct CgroupRow {
        /// Its `struct cgroup`.
        pub cgroup: Hex => "CGROUP" left 16,
        /// Tasks that are in it, and not below it.
        pub tasks: Option<u64> => "TASKS" right 6,
        /// What it has in memory, with all below it; `null` where that is not counted: of the one at the
        /// top of a tree, and of those without a controller for it.
        pub memory_kb: Perhaps<u64> [KiB] => "MEM KB" right 10,
        /// The most that it may have; `null`: as much as there is.
        pub max_kb: Perhaps<u64> [KiB] => "MAX KB" right 10,
        /// Above that it is slowed down; `null` likewise.
        pub high_kb: Perhaps<u64> [KiB] => "HIGH KB" right 10,
        /// The most that it ever had.
        pub peak_kb: Perhaps<u64> [KiB] => "PEAK KB" right 10,
        /// How often it met its limit.
        pub failures: Perhaps<u64> => "FAILED" right 7,
        /// Swap that it uses.
        pub swap_kb: Option<u64> [KiB],
        /// Tasks in it and below, as its controller counts.
        pub pids: Option<u64>,
        /// How many there may be; `null`: as many as there can.
        pub pids_max: Perhaps<u64>,
        /// Share of the last ten seconds in which some of its tasks waited for memory.
        pub memory_some: Perhaps<f64> [percent] => "PSI%" right 6,
        /// In which all did.
        pub memory_full: Option<f64> [percent],
        /// In which some waited for I/O.
        pub io_some: Option<f64> [percent],
        /// In which all did.
        pub io_full: Option<f64> [percent],
        /// In which some waited for a CPU.
        pub cpu_some: Option<f64> [percent],
        /// The tree that it is in: empty for the unified one, else its name or its controllers.
        pub tree: String => "TREE" left 8,
        /// Its path in that.
        pub path: String => "PATH" left 1,
        /// What could not be read.
        pub faults: Faults [maybe],
    }
}
