//! Tasks (include/linux/sched.h): where they are found, and what they are.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rayon::prelude::*;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    list::list,
    shapes::{Form, PageKinds},
    span::Numbers,
    xarray,
};

/// A task, by the address of its `task_struct`. Every value is read when asked for.
#[derive(Clone, Copy)]
pub struct Task<'k> {
    kernel: &'k Kernel,
    /// Virtual address of the `task_struct`.
    pub address: u64,
}

impl std::fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Task({:x})", self.address)
    }
}

/// What a task is doing, in the letters of `ps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum State {
    Running,
    Interruptible,
    Uninterruptible,
    Stopped,
    Traced,
    Dead,
    Zombie,
    WakeKill,
    Waking,
    Parked,
    Idle,
    New,
    Unknown,
}

impl State {
    /// Two letters, as crash prints them.
    pub fn letters(self) -> &'static str {
        match self {
            State::Running => "RU",
            State::Interruptible => "IN",
            State::Uninterruptible => "UN",
            State::Stopped => "ST",
            State::Traced => "TR",
            State::Dead => "DE",
            State::Zombie => "ZO",
            State::WakeKill => "SW",
            State::Waking => "WA",
            State::Parked => "PA",
            State::Idle => "ID",
            State::New => "NE",
            State::Unknown => "??",
        }
    }

    /// The kernel's name for it, as crash spells it.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "TASK_RUNNING",
            State::Interruptible => "TASK_INTERRUPTIBLE",
            State::Uninterruptible => "TASK_UNINTERRUPTIBLE",
            State::Stopped => "TASK_STOPPED",
            State::Traced => "TASK_TRACED",
            State::Dead => "TASK_DEAD",
            State::Zombie => "EXIT_ZOMBIE",
            State::WakeKill => "TASK_WAKEKILL",
            State::Waking => "TASK_WAKING",
            State::Parked => "TASK_PARKED",
            State::Idle => "TASK_IDLE",
            State::New => "TASK_NEW",
            State::Unknown => "(unknown)",
        }
    }

    /// From `task_struct.__state` and `.exit_state` (TASK_*, EXIT_* since 4.14).
    fn from_bits(state: u64, exit_state: u64) -> State {
        const EXIT_DEAD: u64 = 0x10;
        const EXIT_ZOMBIE: u64 = 0x20;
        if exit_state & EXIT_ZOMBIE != 0 {
            return State::Zombie;
        }
        if exit_state & EXIT_DEAD != 0 {
            return State::Dead;
        }
        const UNINTERRUPTIBLE: u64 = 0x2;
        const NOLOAD: u64 = 0x400;
        match state & 0xffff {
            0 => State::Running,
            s if s & 0x80 != 0 => State::Dead,
            s if s & 0x40 != 0 => State::Parked,
            s if s & 0x800 != 0 => State::New,
            s if s & 0x200 != 0 => State::Waking,
            s if s & 0x8 != 0 => State::Traced,
            s if s & 0x4 != 0 => State::Stopped,
            s if s & UNINTERRUPTIBLE != 0 && s & NOLOAD != 0 => State::Idle,
            s if s & UNINTERRUPTIBLE != 0 => State::Uninterruptible,
            s if s & 0x1 != 0 => State::Interruptible,
            // PREEMPT_RT waits for a sleeping spinlock in a state of its own.
            s if s & 0x1000 != 0 => State::Uninterruptible,
            s if s & 0x100 != 0 => State::WakeKill,
            _ => State::Unknown,
        }
    }
}

/// `PF_KTHREAD`.
const PF_KTHREAD: u64 = 0x0020_0000;

impl<'k> Task<'k> {
    /// The kernel it belongs to.
    pub fn kernel(&self) -> &'k Kernel {
        self.kernel
    }

    fn shape(&self) -> &'k crate::shapes::Task {
        &self.kernel.shapes().task
    }

    /// The value of a member.
    ///
    /// # Errors
    /// A fault, or the member is missing.
    pub fn get(&self, field: &crate::shapes::Field) -> Result<u64> {
        field.read(self.kernel.target(), self.address)
    }

    /// Thread id.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn pid(&self) -> Result<u64> {
        self.get(&self.shape().pid)
    }

    /// Process id.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn tgid(&self) -> Result<u64> {
        self.get(&self.shape().tgid)
    }

    /// The command name; bytes that are not printable are escaped.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn comm(&self) -> Result<String> {
        let text = self.shape().comm.text(self.kernel.target(), self.address)?;
        Ok(text
            .chars()
            .flat_map(|c| {
                let escape = c.is_control();
                let plain = (!escape).then_some(c);
                plain.into_iter().chain(escape.then(|| c.escape_default()).into_iter().flatten())
            })
            .collect())
    }

    /// What it is doing.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn state(&self) -> Result<State> {
        let state = self.get(&self.shape().state)?;
        let exit_state = self.get(&self.shape().exit_state)?;
        Ok(State::from_bits(state, exit_state))
    }

    /// The CPU it runs or last ran on.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn cpu(&self) -> Result<u32> {
        Ok(self.get(&self.shape().cpu)? as u32)
    }

    /// Its parent's pid, as crash's PPID: of `parent`, a tracer included.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn ppid(&self) -> Result<u64> {
        self.parent()?.pid()
    }

    /// Its parent.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn parent(&self) -> Result<Task<'k>> {
        Ok(Task { kernel: self.kernel, address: self.get(&self.shape().parent)? })
    }

    /// The leader of its thread group.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn group_leader(&self) -> Result<Task<'k>> {
        Ok(Task { kernel: self.kernel, address: self.get(&self.shape().group_leader)? })
    }

    /// Its `mm_struct`, `None` for a kernel thread.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn mm(&self) -> Result<Option<u64>> {
        Ok(Some(self.get(&self.shape().mm)?).filter(|&mm| mm != 0))
    }

    /// Whether it is a kernel thread.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn is_kernel_thread(&self) -> Result<bool> {
        Ok(self.get(&self.shape().flags)? & PF_KTHREAD != 0)
    }

    /// Lowest address of its kernel stack.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn stack(&self) -> Result<u64> {
        self.get(&self.shape().stack)
    }

    /// Virtual size in kilobytes; 0 without an address space.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn vsz_kb(&self) -> Result<u64> {
        let Some(mm) = self.mm()? else { return Ok(0) };
        let pages = self.kernel.shapes().mm.total_vm.read(self.kernel.target(), mm)?;
        Ok(pages.wrapping_mul(4))
    }

    /// Resident memory in kilobytes; 0 without an address space.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn rss_kb(&self) -> Result<u64> {
        let Some(mm) = self.mm()? else { return Ok(0) };
        let shapes = self.kernel.shapes();
        let counters = &shapes.mm.rss;
        let first = counters.address(mm)?;
        let mut pages = self.cached_rss()?;
        for kind in shapes.page_kinds.resident()? {
            let count = if counters.form() == Some(Form::Array) {
                let at = first.wrapping_add(kind.wrapping_mul(shapes.percpu_counter.sizeof()?));
                self.kernel.percpu_counter(at)?
            } else {
                let word = u64::from(self.kernel.target().pointer_size());
                let at = first.wrapping_add(kind.wrapping_mul(word));
                counters.named(self.kernel.target().read_long(at))?
            };
            pages = pages.saturating_add(count);
        }
        let page_kb = self.kernel.target().page_size() >> 10;
        Ok((pages.max(0) as u64).saturating_mul(page_kb))
    }

    /// Pages that the threads of its group have counted and not yet added to the address space's
    /// counters (SPLIT_RSS_COUNTING).
    fn cached_rss(&self) -> Result<i64> {
        let shapes = self.kernel.shapes();
        if !shapes.task.rss_cache.exists() {
            return Ok(0);
        }
        let target = self.kernel.target();
        let signal = self.get(&shapes.task.signal)?;
        let known =
            || self.kernel.memo::<GroupRss>().0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pages) = known().get(&signal) {
            return Ok(*pages);
        }
        let head = shapes.signal.thread_head.address(signal)?;
        let node = shapes.task.thread_node.offset()?;
        let mut pages = 0;
        for link in list(target, head) {
            let counts = shapes.task.rss_cache.address(link?.wrapping_sub(node))?;
            for kind in shapes.page_kinds.resident()? {
                let at = counts.wrapping_add(kind.wrapping_mul(4));
                let count = shapes.task.rss_cache.named(target.read_u32(at))?;
                pages += i64::from(count as i32);
            }
        }
        known().insert(signal, pages);
        Ok(pages)
    }

    /// Whether a signal waits for it (TIF_SIGPENDING); `None` where the bit is not known here.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn signal_is_pending(&self) -> Result<Option<bool>> {
        let flags = self.get(&self.kernel.shapes().task.thread_info_flags)?;
        let bit = crate::arch::of(self.kernel.target()).signal_pending(self.kernel);
        Ok(bit.map(|bit| flags & bit != 0))
    }

    /// Whether it was on its CPU (`on_cpu`); `None` where the kernel or the dump does not say.
    pub(crate) fn is_on_cpu(&self) -> Option<bool> {
        self.get(&self.kernel.shapes().task.on_cpu).ok().map(|on| on != 0)
    }

    /// When it last got a CPU, in ns of the scheduler's clock.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn last_run_ns(&self) -> Result<u64> {
        self.get(&self.shape().last_arrival)
    }
}

/// Pages that the threads of a group keep counted, by `signal_struct`: every thread of the group
/// asks for them, and there may be thousands.
#[derive(Debug, Default)]
struct GroupRss(Mutex<HashMap<u64, i64>>);

impl PageKinds {
    /// The counters of the pages that an address space holds.
    fn resident(&self) -> Result<impl Iterator<Item = u64>> {
        let (file, anonymous) = (self.file.index()?, self.anonymous.index()?);
        Ok([file, anonymous].into_iter().chain(self.shared.index().ok()))
    }
}

impl Kernel {
    /// The sum of the `struct percpu_counter` at `at`.
    fn percpu_counter(&self, at: u64) -> Result<i64> {
        let (target, shape) = (self.target(), &self.shapes().percpu_counter);
        let mut sum = shape.count.read_signed(target, at)?;
        if shape.counters.exists() {
            let per_cpu = shape.counters.read(target, at)?;
            for offset in self.per_cpu_offsets() {
                let part = target.read_u32(per_cpu.wrapping_add(*offset));
                sum = sum.saturating_add(i64::from(shape.counters.named(part)? as i32));
            }
        }
        Ok(sum)
    }
}

/// Numbers and their `struct pid`s, and what could not be read.
type Pids = (Vec<(u64, u64)>, Vec<Error>);

/// Every task that was found, and what went wrong on the way.
#[derive(Debug)]
pub struct Tasks<'k> {
    /// By pid, the idle tasks of the CPUs first, in CPU order.
    pub tasks: Vec<Task<'k>>,
    /// What could not be read or does not agree.
    pub errors: Vec<Error>,
}

impl Kernel {
    /// The task at an address.
    pub fn task_at(&self, address: u64) -> Task<'_> {
        Task { kernel: self, address }
    }

    /// The `struct pid`s of the initial namespace, by number.
    fn pids(&self) -> Result<Pids> {
        let namespace = self.symbol("init_pid_ns")?;
        let idr = self.shapes().pid_namespace.idr.address(namespace)?;
        let base = self.shapes().pid_namespace.idr_base.read(self.target(), namespace).unwrap_or(0);
        let mut pids = Vec::new();
        let mut errors = Vec::new();
        xarray::for_each(
            self,
            idr,
            &mut |index, entry| pids.push((index.wrapping_add(base), entry)),
            &mut |error| errors.push(error),
        )?;
        Ok((pids, errors))
    }

    /// The task of a `struct pid`, `None` when no thread has that number any more.
    fn task_of_pid(&self, pid: u64) -> Result<Option<Task<'_>>> {
        let shapes = self.shapes();
        // pid.tasks[PIDTYPE_PID].first links task_struct.pid_links[PIDTYPE_PID].
        let first = self.target().read_pointer(shapes.pid.tasks.address(pid)?)?;
        if first == 0 {
            return Ok(None);
        }
        Ok(Some(self.task_at(first.wrapping_sub(shapes.task.pid_link.offset()?))))
    }

    /// The task with that pid in the initial namespace.
    ///
    /// # Errors
    /// When the table of pids cannot be read.
    pub fn task_by_pid(&self, pid: u64) -> Result<Option<Task<'_>>> {
        if pid == 0 {
            return Ok(self.idle_task(0).ok());
        }
        let (pids, _) = self.pids()?;
        for (number, entry) in pids {
            if number == pid {
                return self.task_of_pid(entry);
            }
        }
        // A damaged tree of pids must not hide a task that the list still has.
        Ok(self.tasks().tasks.into_iter().find(|t| t.pid() == Ok(pid)))
    }

    /// The task that a CPU runs (`rq.curr`).
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn current_task(&self, cpu: u32) -> Result<Task<'_>> {
        self.rq_curr(cpu).or_else(|error| {
            // The run queue is lost; the tasks know it, too.
            let on_it = |task: &Task<'_>| task.cpu() == Ok(cpu) && task.is_on_cpu() == Some(true);
            let mut found = self.tasks().tasks.into_iter().filter(on_it);
            match (found.next(), found.next()) {
                (Some(task), None) => Ok(task),
                _ => Err(error),
            }
        })
    }

    /// The task that the CPU's run queue says it runs.
    pub(crate) fn rq_curr(&self, cpu: u32) -> Result<Task<'_>> {
        let rq = self.runqueue(cpu)?;
        self.task_of_cpu(cpu, self.shapes().rq.curr.read(self.target(), rq)?)
    }

    /// The idle task of a CPU.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn idle_task(&self, cpu: u32) -> Result<Task<'_>> {
        let rq = self.runqueue(cpu)?;
        self.task_of_cpu(cpu, self.shapes().rq.idle.read(self.target(), rq)?)
    }

    /// Address 0 is no task: a run queue that was never set up, or zeros in place of one.
    fn task_of_cpu(&self, cpu: u32, address: u64) -> Result<Task<'_>> {
        match address {
            0 => Err(Error::absent(format!("task on CPU {cpu}: its run queue names none"))),
            address => Ok(self.task_at(address)),
        }
    }

    /// How many tasks there are, idle tasks included, and why that may not be all: what could not
    /// be read is not counted. Reads no task while the pid table is whole.
    pub fn task_count(&self) -> (usize, Option<Error>) {
        if let Ok((pids, errors)) = self.pids()
            && errors.is_empty()
        {
            let live: Result<Vec<bool>> =
                pids.par_iter().map(|(_, pid)| Ok(self.task_of_pid(*pid)?.is_some())).collect();
            if let Ok(live) = live {
                return (self.online_cpus().len() + live.into_iter().filter(|l| *l).count(), None);
            }
        }
        let found = self.tasks();
        (found.tasks.len(), found.errors.into_iter().next())
    }

    /// Every task: the pid table and, where it has gaps, the task list, plus the idle tasks.
    pub fn tasks(&self) -> Tasks<'_> {
        let mut errors = Vec::new();
        let mut tasks: Vec<Task<'_>> = Vec::new();
        for cpu in self.online_cpus() {
            match self.idle_task(cpu) {
                Ok(task) => tasks.push(task),
                Err(error) => errors.push(error),
            }
        }
        let idle = tasks.len();
        match self.pids() {
            Ok((pids, faults)) => {
                errors.extend(faults);
                let found: Vec<Result<Option<Task<'_>>>> =
                    pids.par_iter().map(|(_, pid)| self.task_of_pid(*pid)).collect();
                for task in found {
                    match task {
                        Ok(Some(task)) => tasks.push(task),
                        Ok(None) => {}
                        Err(error) => errors.push(error),
                    }
                }
            }
            Err(error) => errors.push(error),
        }
        // The kernel counts threads as well: a table that lost one without a trace shows here.
        let threads = self.symbol("nr_threads").ok().and_then(|at| self.target().read_u32(at).ok());
        let short = threads.is_some_and(|threads| tasks.len() - idle < threads as usize);
        if !errors.is_empty() || short || tasks.len() == idle {
            // The list of processes and their threads fills the gaps.
            let mut known: HashMap<u64, ()> = tasks.iter().map(|t| (t.address, ())).collect();
            for task in self.listed_tasks(&mut errors) {
                if known.insert(task.address, ()).is_none() {
                    tasks.push(task);
                }
            }
            tasks[idle..].sort_by_key(|t| t.pid().unwrap_or(u64::MAX));
        }
        Tasks { tasks, errors }
    }

    /// Processes on `init_task.tasks`, each with its threads.
    fn listed_tasks(&self, errors: &mut Vec<Error>) -> Vec<Task<'_>> {
        let shapes = self.shapes();
        let mut found = Vec::new();
        let walk = || -> Result<(u64, u64, u64)> {
            Ok((
                self.symbol("init_task")?,
                shapes.task.tasks.offset()?,
                shapes.task.thread_node.offset()?,
            ))
        };
        let (init, tasks, thread_node) = match walk() {
            Ok(offsets) => offsets,
            Err(error) => {
                errors.push(error);
                return found;
            }
        };
        for link in list(self.target(), init.wrapping_add(tasks)) {
            match link {
                Ok(link) => found.push(self.task_at(link.wrapping_sub(tasks))),
                Err(error) => errors.push(error),
            }
        }
        let leaders = found.clone();
        for leader in leaders {
            let threads = leader.get(&shapes.task.signal).and_then(|signal| {
                Ok(list(self.target(), shapes.signal.thread_head.address(signal)?))
            });
            let Ok(threads) = threads else { continue };
            for link in threads {
                match link {
                    Ok(link) if link.wrapping_sub(thread_node) != leader.address => {
                        found.push(self.task_at(link.wrapping_sub(thread_node)));
                    }
                    Ok(_) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        found
    }

    /// Whether an address is that of a task's `task_struct`: it is found again by its pid.
    pub fn is_task(&self, address: u64) -> bool {
        let task = self.task_at(address);
        let Ok(pid) = task.pid() else { return false };
        if pid == 0 {
            return self
                .possible_cpus()
                .into_iter()
                .any(|cpu| self.idle_task(cpu).is_ok_and(|t| t.address == address));
        }
        match self.task_by_pid(pid) {
            Ok(Some(found)) => found.address == address,
            _ => false,
        }
    }
}

impl<'k> Task<'k> {
    /// Scheduling policy (`SCHED_*`).
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn policy(&self) -> Result<u64> {
        self.get(&self.shape().policy)
    }

    /// The scheduler's priority: 0 to 99 real time, 100 to 139 the others.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn priority(&self) -> Result<i64> {
        self.shape().prio.read_signed(self.kernel.target(), self.address)
    }

    /// Its kernel stack pointer: of the CPU when it runs, else as saved when it was switched out.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn kernel_sp(&self) -> Result<u64> {
        if let Some(cpu) = self.kernel.running_on(*self)
            && let Ok((regs, _)) = self.kernel.cpu_regs(cpu)
            && !regs.user_mode()
            && let Some(sp) = regs.sp()
        {
            return Ok(sp);
        }
        crate::arch::of(self.kernel.target()).switched_sp(*self)
    }

    /// Resource limits in the kernel's order: current and maximum, `u64::MAX` for unlimited.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub fn limits(&self) -> Result<Vec<(u64, u64)>> {
        let signal = self.get(&self.shape().signal)?;
        let field = &self.kernel.shapes().signal.rlim;
        let at = field.address(signal)?;
        let size = field.size()?.min(1024);
        let bytes = self.kernel.target().read_bytes(at, size)?;
        let numbers = Numbers::of(self.kernel.target());
        let size = numbers.word_size();
        let pair = |pair: &[u8]| (numbers.number(pair, 0, size), numbers.number(pair, size, size));
        Ok(bytes.chunks_exact(2 * size).map(pair).collect())
    }

    /// The strings that its process was started with: its arguments or its environment.
    ///
    /// # Errors
    /// A fault; [`Error::Absent`] for a kernel thread.
    pub fn strings(&self, environment: bool) -> Result<Vec<String>> {
        let kernel = self.kernel;
        let shape = &kernel.shapes().mm;
        let mm = self
            .mm()?
            .ok_or_else(|| Error::absent("address space: a kernel thread, or an exiting task"))?;
        let (start, end) = if environment {
            (&shape.env_start, &shape.env_end)
        } else {
            (&shape.arg_start, &shape.arg_end)
        };
        let start = start.read(kernel.target(), mm)?;
        let end = end.read(kernel.target(), mm)?;
        // The kernel allows a quarter of the stack; a damaged mm_struct says anything.
        let len = end.saturating_sub(start).min(6 << 20);
        let root = self.page_table()?;
        let mut bytes = vec![0; len as usize];
        kernel.target().read_user(root, start, &mut bytes)?;
        Ok(bytes
            .split(|&b| b == 0)
            .filter(|s| !s.is_empty())
            .map(|s| String::from_utf8_lossy(s).into_owned())
            .collect())
    }

    /// Physical address of its root page table.
    ///
    /// # Errors
    /// A fault; [`Error::Absent`] for a task that has no address space at all.
    pub fn page_table(&self) -> Result<u64> {
        let mm = match self.mm()? {
            Some(mm) => mm,
            None => Some(self.get(&self.shape().active_mm)?)
                .filter(|&mm| mm != 0)
                .ok_or_else(|| Error::absent("address space of this task"))?,
        };
        let pgd = self.kernel.shapes().mm.pgd.read(self.kernel.target(), mm)?;
        Ok(self.kernel.target().translate(pgd)?)
    }
}

impl Kernel {
    /// The clock of a CPU's run queue, in ns: what [`Task::last_run_ns`] counts by.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn rq_clock(&self, cpu: u32) -> Result<u64> {
        let rq = self.runqueue(cpu)?;
        self.shapes().rq.clock.read(self.target(), rq)
    }

    /// Time since boot in ns, time in suspend included.
    ///
    /// # Errors
    /// When the timekeeper cannot be read.
    pub fn uptime_ns(&self) -> Result<u64> {
        Ok(self.clocks()?.boot_ns)
    }
}
