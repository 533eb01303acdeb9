//! Locks, who waits for whom, and tasks by what they do.

use necropsy_rows::{Faults, Hex, row};

row! {
    /// Who holds a lock, or must complete something.
    #[derive(Debug, Clone)]
    pub struct HolderRow {
        /// Thread id.
        pub pid: Option<u64>,
        /// Its `task_struct`.
        pub task: Option<Hex>,
        /// Command name.
        pub comm: Option<String>,
        /// State in crash's two letters, or `gone`: there is no such task any more.
        pub state: Option<&'static str>,
        /// `known`: the lock names it. `inferred`: memory of its process does, a futex's word or what
        /// glibc keeps beside it. `hint`: the lock names who took it last, who may have given it back. `candidate`: see `candidates`. `not_recorded`: this kind of lock does not say.
        /// `free`: nobody holds it, it is being handed on.
        pub certainty: &'static str,
    }

    /// A task, as others refer to it.
    #[derive(Debug, Clone)]
    pub struct TaskRef {
        /// Thread id.
        pub pid: Option<u64>,
        /// Its `task_struct`.
        pub task: Hex,
        /// Command name.
        pub comm: Option<String>,
    }

    /// A task that waits for a lock.
    #[derive(Debug)]
    pub struct WaiterRow {
        /// Thread id.
        pub pid: Option<u64>,
        /// Its `task_struct`.
        pub task: Hex,
        /// Command name.
        pub comm: Option<String>,
        /// State in crash's two letters.
        pub state: Option<&'static str>,
        /// `read`, `write`, `exclusive`, `drain`: it keeps others out already, and waits for the readers
        /// that there are; or `event`: it waits for something to happen.
        pub mode: &'static str,
        /// How long ago it last got a CPU, which it gave up to wait.
        pub since_ns: Option<u64> [ns],
    }

    /// What tasks wait for.
    #[derive(Debug)]
    pub struct LockRow {
        /// Its address; of a bit, of the word that holds it.
        pub lock: Hex,
        /// `mutex`, `ww_mutex`, `rwsem`, `percpu_rwsem`, `semaphore`, `rt_mutex`, `rt_spinlock`,
        /// `spinlock`, `rwlock`, `futex` (an address in user space), `completion`, `bit`, `folio`,
        /// `swait_queue`, `wait_queue`.
        pub kind: &'static str [key "type"],
        /// The number of the bit, of `bit` and `folio`.
        pub bit: Option<u32> [maybe],
        /// The symbol or the object that it lies in.
        pub name: Option<String>,
        /// Who holds it.
        pub holder: HolderRow,
        /// Tasks on whose stacks its address lies and which do not wait for it, where its holder
        /// is not recorded.
        pub candidates: Vec<TaskRef>,
        /// Who waits, in the order of its queue.
        pub waiters: Vec<WaiterRow>,
        /// How it was found: `waiter` (the waiter on a task's stack is in a list whose head lies in
        /// the lock), `blocked_on`, `blocker` (members of `task_struct`), `stack_word`, `spinning` (a
        /// CPU's registers and the lock's queue), `user_registers`, `user_stack`.
        pub found_by: Option<&'static str>,
    }

    /// A task of a circle.
    #[derive(Debug)]
    pub struct StepRow {
        /// Thread id.
        pub pid: Option<u64>,
        /// Its `task_struct`.
        pub task: Hex,
        /// Command name.
        pub comm: Option<String>,
        /// The address of the lock that it waits for.
        pub waits_for: Hex,
        /// The kind of that lock.
        pub kind: &'static str [key "type"],
        /// The name of that lock.
        pub name: Option<String>,
        /// Thread id of the task that holds it: the next of the circle.
        pub held_by: Option<u64>,
    }

    /// Tasks that wait for each other: a deadlock.
    #[derive(Debug)]
    pub struct CycleRow {
        /// The tasks, each before the one that it waits for.
        pub cycle: Vec<StepRow>,
        /// `known`: every lock names its holder; `inferred`: glibc's mutexes do; `hint`: of some it is only
        /// who took them last.
        pub certainty: &'static str,
    }

    /// A task that waits for no lock, and holds others up.
    #[derive(Debug)]
    pub struct RootRow {
        /// The task.
        pub root: HolderRow,
        /// The addresses of what it holds and others wait for.
        pub holds: Vec<Hex>,
        /// How many tasks wait for it, directly or through others.
        pub waiting: usize,
    }

    /// Tasks with the same stack.
    #[derive(Debug)]
    pub struct SameStackRow {
        /// How many.
        pub count: usize,
        /// States in crash's two letters, each once.
        pub states: Vec<&'static str>,
        /// The tasks.
        pub tasks: Vec<TaskRef>,
        /// The functions on the stack, innermost first; with the module where it is not the kernel.
        pub stack: Vec<String>,
        /// Why there is none, or no more.
        pub ended: Option<String> [maybe],
    }

    /// Tasks that hang in the same place for the same thing.
    #[derive(Debug)]
    pub struct HangRow {
        /// How many.
        pub count: usize,
        /// How long the first of them has been waiting.
        pub longest_ns: Option<u64> [ns],
        /// The tasks, who waits longest first.
        pub tasks: Vec<WaiterRow>,
        /// The address of what they wait for, where that is a lock or the like.
        pub waits_for: Option<Hex>,
        /// Its kind.
        pub kind: Option<&'static str> [key "type"],
        /// Its name.
        pub name: Option<String>,
        /// Who holds it.
        pub holder: Option<HolderRow>,
        /// The functions on the holder's stack, innermost first.
        pub holder_stack: Vec<String>,
        /// They wait for each other, or for tasks that do: they can never go on.
        pub deadlock: bool,
        /// How well it is known that they wait for each other, or for those that do: `known`,
        /// `inferred`, `hint`, as in `locks`; `null`: they do not.
        pub deadlock_certainty: Option<&'static str>,
        /// The functions on their stack, innermost first.
        pub stack: Vec<String>,
    }

    /// What a CPU does.
    #[derive(Debug)]
    pub struct CpuActivityRow {
        /// Its number.
        pub cpu: u32,
        /// The task that it runs.
        pub task: Option<TaskRef>,
        /// `idle`, `user`, `task`, `softirq`, `hardirq`, `nmi`; `offline`.
        pub context: Option<&'static str>,
        /// The function that it was in before it was stopped.
        pub function: Option<String>,
        /// Where that was.
        pub pc: Option<Hex>,
        /// Interrupts were disabled there.
        pub irqs_off: Option<bool>,
        /// `preempt_count`.
        pub preempt_count: Option<Hex>,
        /// How long ago the task got the CPU.
        pub since_ns: Option<u64> [ns],
        /// Tasks that are runnable there and do not run.
        pub queued: Option<u64>,
        /// How many tasks wait for what its task holds, directly or through others.
        pub holds_up: usize,
        /// Why there are no registers of it.
        pub problem: Option<String> [maybe],
        /// What could not be read.
        pub faults: Faults [maybe],
    }
}
