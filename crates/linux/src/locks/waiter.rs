//! What a task waits for: its waiter structure, which lies on its own stack, followed to the lock
//! whose list holds it.

use std::{cell::OnceCell, collections::HashMap};

use necropsy_machine::{
    Target,
    unwind::{Frame, Stack},
};
use rayon::prelude::*;

use super::{
    Lock, LockKind,
    ring::{self, Ring},
};
use crate::{
    Kernel,
    rbtree::{self, Order},
    shapes::{Field, Form, Shapes},
    task::{State, Task},
};

/// How the lock of a waiting task was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FoundBy {
    /// The waiter on its stack stands in a list whose head lies in the lock.
    Waiter,
    /// The task names it (`task_struct.blocked_on`), and its list holds the waiter.
    BlockedOn,
    /// The hung-task detector noted it (`task_struct.blocker`).
    Blocker,
    /// A word of its stack leads to it, and its list holds the waiter.
    StackWord,
    /// A CPU spins, and the lock's word says that this CPU waits.
    Spinning,
    /// It is what the system call that the task is in was given.
    UserRegisters,
    /// It lies on the task's stack in user space.
    UserStack,
}

impl FoundBy {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            FoundBy::Waiter => "waiter",
            FoundBy::BlockedOn => "blocked_on",
            FoundBy::Blocker => "blocker",
            FoundBy::StackWord => "stack_word",
            FoundBy::Spinning => "spinning",
            FoundBy::UserRegisters => "user_registers",
            FoundBy::UserStack => "user_stack",
        }
    }
}

/// How a task wants to have a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Together with other readers.
    Read,
    /// Alone, to write.
    Write,
    /// Alone: the lock knows no other way.
    Exclusive,
    /// Alone, to write: it keeps all others out already, and waits for the readers that there are.
    Drain,
    /// It only waits for something to happen.
    Event,
}

impl Mode {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Read => "read",
            Mode::Write => "write",
            Mode::Exclusive => "exclusive",
            Mode::Drain => "drain",
            Mode::Event => "event",
        }
    }
}

/// A task and what it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Its `task_struct`.
    pub task: u64,
    /// What it waits for.
    pub lock: Lock,
    /// How it wants to have it.
    pub mode: Mode,
    /// How that was found.
    pub found_by: FoundBy,
    /// Its place in the queue, from 0; `None` where that is not told.
    pub place: Option<usize>,
}

/// Finds what tasks wait for.
#[derive(Debug)]
pub struct Seeker<'k> {
    kernel: &'k Kernel,
    /// Every task's stack, by the address of its `task_struct`.
    stacks: HashMap<u64, Stack>,
}

/// The word that begins `blocker`'s kinds (include/linux/hung_task.h).
const BLOCKER_KINDS: u64 = 3;

impl<'k> Seeker<'k> {
    /// For these tasks, which should be all: a queue with an unknown task in it is not believed.
    pub fn new(kernel: &'k Kernel, tasks: &[Task<'k>]) -> Seeker<'k> {
        let stacks =
            tasks.par_iter().filter_map(|task| Some((task.address, task.own_stack().ok()?)));
        Seeker { kernel, stacks: stacks.collect() }
    }

    /// Whether there is a task at this address.
    pub fn is_task(&self, address: u64) -> bool {
        self.stacks.contains_key(&address)
    }

    /// The words that the stack of a sleeping task holds, innermost first, by address. What cannot
    /// be read is left out.
    pub fn words(&self, task: Task<'k>) -> Vec<(u64, u64)> {
        let Some(stack) = self.stacks.get(&task.address) else { return Vec::new() };
        let Ok(sp) = task.kernel_sp() else { return Vec::new() };
        let target = self.kernel.target();
        let (page, width) = (target.page_size(), target.pointer_size() as usize);
        if !(stack.start..stack.end).contains(&sp) || !sp.is_multiple_of(width as u64) {
            return Vec::new();
        }
        let mut words = Vec::with_capacity((stack.end - sp) as usize / width);
        let mut at = sp;
        while at < stack.end {
            let end = (at / page + 1).saturating_mul(page).min(stack.end);
            if let Ok(bytes) = target.read_bytes(at, end - at) {
                let chunks = bytes.chunks_exact(width).map(|word| target.number(word));
                words.extend((at..end).step_by(width).zip(chunks));
            }
            at = end;
        }
        words
    }

    /// What a task waits for. `None`: it runs, or it waits for nothing that leaves a waiter.
    pub fn seek(&self, task: Task<'k>) -> Option<Blocked> {
        let state = task.state().ok()?;
        if matches!(state, State::Dead | State::Zombie | State::New | State::Idle)
            || self.kernel.running_on(task).is_some()
        {
            return None;
        }
        let words = self.words(task);
        let look = Look { seeker: self, task, state, words: &words, trace: OnceCell::new() };
        let own = words.iter().filter(|(_, word)| *word == task.address);
        let found = own.filter_map(|(at, _)| look.at(*at)).next();
        let found = found.or_else(|| look.drain()).or_else(|| look.blocker());
        // Only what sleeps in a system call can wait for a futex.
        let user = state == State::Interruptible && task.is_kernel_thread() == Ok(false);
        found.or_else(|| user.then(|| task.futex().or_else(|| task.futex_given_up())).flatten())
    }

    /// Whether `node` lies on the stack of the task that the word `offset` bytes after it names.
    fn on_its_stack(&self, node: u64, offset: u64) -> bool {
        let owner = self.kernel.target().read_pointer(node.wrapping_add(offset));
        let stack = owner.ok().and_then(|owner| self.stacks.get(&owner));
        stack.is_some_and(|stack| (stack.start..stack.end).contains(&node))
    }
}

/// One task being looked at.
struct Look<'a, 'k> {
    seeker: &'a Seeker<'k>,
    task: Task<'k>,
    state: State,
    words: &'a [(u64, u64)],
    /// Its frames: unwound when first asked for, which few tasks need.
    trace: OnceCell<Vec<Frame>>,
}

impl<'k> Look<'_, 'k> {
    fn kernel(&self) -> &'k Kernel {
        self.seeker.kernel
    }

    fn target(&self) -> &'k Target {
        self.kernel().target()
    }

    fn shapes(&self) -> &'k Shapes {
        self.kernel().shapes()
    }

    fn frames(&self) -> &[Frame] {
        self.trace.get_or_init(|| self.task.trace().map(|trace| trace.frames).unwrap_or_default())
    }

    /// The functions in whose frames `address` lies, from that one outwards; behind each the one that
    /// was called, where that is another one that jumped there: `mutex_lock` on PREEMPT_RT.
    fn functions(&self, address: u64) -> impl Iterator<Item = &'k str> + '_ {
        let area = self.target().abi().save_area;
        let begin = move |frame: &Frame| frame.sp.saturating_add(area);
        let inside = self.frames().iter().skip_while(move |frame| begin(frame) <= address);
        let first = self.frames().len() - inside.count();
        let frames = self.frames().get(first.saturating_sub(1)..).unwrap_or_default();
        // Beyond a few frames is no lock's function any more.
        let target = self.target();
        let callers = frames.iter().skip(1).map(Some).chain([None]);
        frames.iter().zip(callers).take(5).flat_map(move |(frame, caller)| {
            let called = caller.and_then(|at| target.architecture().direct_call(target, at.pc));
            let places = [Some(frame.lookup_pc()), called].into_iter().flatten();
            places.filter_map(|place| Some(target.locate(place)?.symbol.name))
        })
    }

    /// What they wait for.
    fn kinds(&self, address: u64) -> impl Iterator<Item = LockKind> + '_ {
        self.functions(address).filter_map(LockKind::of_function)
    }

    /// The waiter whose task is the word at `at`.
    fn at(&self, at: u64) -> Option<Blocked> {
        self.list_waiter(at)
            .or_else(|| self.rt_waiter(at))
            .or_else(|| self.simple(at))
            .or_else(|| self.entry(at))
    }

    fn blocked(&self, lock: Lock, mode: Mode, found_by: FoundBy, place: Option<usize>) -> Blocked {
        Blocked { task: self.task.address, lock, mode, found_by, place }
    }

    /// `struct mutex_waiter`, `rwsem_waiter`, `semaphore_waiter`: they begin alike.
    fn list_waiter(&self, at: u64) -> Option<Blocked> {
        let shapes = self.shapes();
        let forms: [(&Field, &Field); 3] = [
            (&shapes.mutex_waiter.list, &shapes.mutex_waiter.task),
            (&shapes.rwsem_waiter.list, &shapes.rwsem_waiter.task),
            (&shapes.semaphore_waiter.list, &shapes.semaphore_waiter.task),
        ];
        forms.into_iter().find_map(|(list, task)| {
            let (list, task) = (list.offset().ok()?, task.offset().ok()?);
            let base = at.checked_sub(task)?;
            let link = base.wrapping_add(list);
            let to_task = task.wrapping_sub(list);
            let ring =
                Ring::through(self.target(), link, |node| self.seeker.on_its_stack(node, to_task))?;
            let told = self.kinds(base).next();
            let (kind, waiters) = match told {
                Some(kind @ (LockKind::Mutex | LockKind::WwMutex)) => (kind, &shapes.mutex.waiters),
                Some(kind @ LockKind::RwSemaphore) => (kind, &shapes.rw_semaphore.waiters),
                Some(kind @ LockKind::Semaphore) => (kind, &shapes.semaphore.waiters),
                _ => return None,
            };
            let (address, found_by) = match ring.head {
                Some(head) if waiters.form() == Some(Form::Embedded) => {
                    (head.wrapping_sub(waiters.offset().ok()?), FoundBy::Waiter)
                }
                None if waiters.form() == Some(Form::Pointer) => {
                    self.without_head(kind, waiters.offset().ok()?, &ring, list)?
                }
                _ => return None,
            };
            // A ww_mutex begins with its mutex.
            let mode = match kind {
                LockKind::RwSemaphore => {
                    match shapes.rwsem_waiter.kind.read(self.target(), base).ok()? {
                        0 => Mode::Write,
                        _ => Mode::Read,
                    }
                }
                _ => Mode::Exclusive,
            };
            let place = ring.head.and(ring.waiters.iter().position(|waiter| *waiter == link));
            Some(self.blocked(Lock::new(kind, address), mode, found_by, place))
        })
    }

    /// The lock whose pointer to its first waiter, `offset` bytes into it, leads into the ring.
    fn without_head(
        &self,
        kind: LockKind,
        offset: u64,
        ring: &Ring,
        list: u64,
    ) -> Option<(u64, FoundBy)> {
        let blocked = &self.shapes().blocked;
        let named = |field: &Field, mask: u64| {
            let value = self.task.get(field).ok().map(|value| value & !mask);
            value.filter(|value| *value != 0)
        };
        let mutex = matches!(kind, LockKind::Mutex | LockKind::WwMutex);
        let blocked_on = named(&blocked.blocked_on, 0).filter(|_| mutex);
        let told = [
            (blocked_on, FoundBy::BlockedOn),
            (named(&blocked.blocker, BLOCKER_KINDS), FoundBy::Blocker),
        ];
        let told = told.into_iter().filter_map(|(lock, found_by)| Some((lock?, found_by)));
        let words = self.words.iter().map(|(_, word)| (*word, FoundBy::StackWord));
        let is_lock = |address: u64| {
            if !address.is_multiple_of(4) || !self.target().is_kernel_address(address) {
                return false;
            }
            let first = self.target().read_pointer(address.wrapping_add(offset));
            first.is_ok_and(|first| ring.waiters.contains(&first.wrapping_add(list)))
        };
        told.chain(words).find(|(address, _)| is_lock(*address))
    }

    /// `struct rt_mutex_waiter`, which names its lock.
    fn rt_waiter(&self, at: u64) -> Option<Blocked> {
        let (shapes, target) = (self.shapes(), self.target());
        let shape = &shapes.rt_mutex_waiter;
        let base = at.checked_sub(shape.task.offset().ok()?)?;
        let lock =
            shape.lock.read(target, base).ok().filter(|lock| target.is_kernel_address(*lock))?;
        let node = shape.tree.address(base).ok()?;
        let root = shapes.rt_mutex.waiters.address(lock).ok()?;
        let mut nodes = rbtree::rbtree(target, root, Order::Sorted).map_while(Result::ok);
        let place = nodes.position(|found| found.address == node)?;
        // What PREEMPT_RT makes of mutexes, semaphores and spinlocks has one inside.
        let whole = |field: &Field| Some(lock.wrapping_sub(field.offset().ok()?));
        let within = self.kinds(base).find_map(|kind| match kind {
            LockKind::Mutex => Some((kind, whole(&shapes.mutex.rtmutex)?)),
            LockKind::RwSemaphore => Some((kind, whole(&shapes.rw_semaphore.rtmutex)?)),
            LockKind::RtSpinlock => Some((kind, lock)),
            _ => None,
        });
        let (kind, address) = within.unwrap_or((LockKind::RtMutex, lock));
        let reads = || {
            self.functions(base)
                .any(|name| name.contains("read_lock") || name.contains("down_read"))
        };
        let mode = match kind {
            LockKind::RwSemaphore if reads() => Mode::Read,
            LockKind::RwSemaphore => Mode::Write,
            _ => Mode::Exclusive,
        };
        Some(self.blocked(Lock::new(kind, address), mode, FoundBy::Waiter, Some(place)))
    }

    /// `struct swait_queue`: completions, mostly.
    fn simple(&self, at: u64) -> Option<Blocked> {
        let shapes = self.shapes();
        let task = shapes.swait_queue.task.offset().ok()?;
        let list = shapes.swait_queue.list.offset().ok()?;
        let base = at.checked_sub(task)?;
        let link = base.wrapping_add(list);
        let ring = Ring::through(self.target(), link, |node| {
            self.seeker.on_its_stack(node, task.wrapping_sub(list))
        })?;
        let head = ring.head?;
        let place = ring.waiters.iter().position(|waiter| *waiter == link);
        let completion = self.kinds(base).next() == Some(LockKind::Completion);
        let lock = if completion {
            let inside = shapes.completion.waiters.offset().ok()?;
            Lock::new(LockKind::Completion, head.wrapping_sub(inside))
        } else if self.state == State::Uninterruptible {
            let inside = list_in_head(&shapes.completion)?;
            Lock::new(LockKind::SimpleWaitQueue, head.wrapping_sub(inside))
        } else {
            return None;
        };
        Some(self.blocked(lock, Mode::Event, FoundBy::Waiter, place))
    }

    /// `struct wait_queue_entry`: bits, folios, and all that has a queue of its own. Who waits
    /// interruptibly waits for work.
    fn entry(&self, at: u64) -> Option<Blocked> {
        if self.state != State::Uninterruptible {
            return None;
        }
        let (shapes, target) = (self.shapes(), self.target());
        let shape = &shapes.wait_queue_entry;
        let list = shape.list.offset().ok()?;
        let to_function = shape.function.offset().ok()?.wrapping_sub(list);
        let base = at.checked_sub(shape.task.offset().ok()?)?;
        let link = base.wrapping_add(list);
        let has_function = |node: u64| {
            let function = target.read_pointer(node.wrapping_add(to_function));
            function.is_ok_and(|function| target.is_text(function))
        };
        if !has_function(link) {
            return None;
        }
        let ring = Ring::through(target, link, has_function)?;
        let place = ring.waiters.iter().position(|waiter| *waiter == link);
        let kind = self.kinds(base).next();
        let bit = |word: &Field, bit: &Field, entry: &Field, kind: LockKind| -> Option<Lock> {
            let whole = base.wrapping_sub(entry.offset().ok()?);
            let address = word.read(target, whole).ok()?;
            let bit = u32::try_from(bit.read(target, whole).ok()?).ok()?;
            Some(Lock { bit: Some(bit), ..Lock::new(kind, address) })
        };
        let head = || Some(ring.head?.wrapping_sub(shapes.wait_queue_head.head.offset().ok()?));
        let (lock, mode) = match kind {
            Some(LockKind::Bit) => {
                let shape = &shapes.wait_bit_entry;
                (bit(&shape.word, &shape.bit, &shape.entry, LockKind::Bit)?, Mode::Exclusive)
            }
            Some(LockKind::Folio) => {
                let shape = &shapes.wait_folio_entry;
                (bit(&shape.folio, &shape.bit, &shape.entry, LockKind::Folio)?, Mode::Event)
            }
            Some(LockKind::PercpuRwSemaphore) => {
                let inside = shapes.percpu_rwsem.waiters.offset().ok()?;
                let address = ring.head?.wrapping_sub(inside);
                // The waiter says it in a flag, whose bit has moved; its functions have not.
                let writes = self.functions(base).any(|name| name.contains("down_write"));
                let mode = if writes { Mode::Write } else { Mode::Read };
                (Lock::new(LockKind::PercpuRwSemaphore, address), mode)
            }
            Some(LockKind::Completion) => {
                let inside = shapes.completion.waiters.offset().ok()?;
                let address = ring.head?.wrapping_sub(inside);
                (Lock::new(LockKind::Completion, address), Mode::Event)
            }
            _ => (Lock::new(LockKind::WaitQueue, head()?), Mode::Event),
        };
        Some(self.blocked(lock, mode, FoundBy::Waiter, place))
    }

    /// A lock that it keeps others out of, and whose readers it waits for: it then stands in no queue,
    /// the lock names it.
    fn drain(&self) -> Option<Blocked> {
        if self.state != State::Uninterruptible {
            return None;
        }
        let (shapes, target) = (self.shapes(), self.target());
        let names: Vec<&str> = self.functions(0).collect();
        let has = |part: &str| names.iter().any(|name| name.contains(part));
        let kind = if has("percpu_down_write") {
            LockKind::PercpuRwSemaphore
        } else if has("rwbase_write_lock") || has("down_write") {
            LockKind::RwSemaphore
        } else {
            return None;
        };
        let is_it = |address: u64| -> Option<bool> {
            Some(match kind {
                LockKind::PercpuRwSemaphore => {
                    shapes.percpu_rwsem.writer.read(target, address).ok()? == self.task.address
                }
                _ => {
                    let inner = shapes.rw_semaphore.rtmutex.address(address).ok()?;
                    let owner = shapes.rt_mutex.owner.read(target, inner).ok()?;
                    let readers = shapes.rw_semaphore.readers.read(target, address).ok()? as u32;
                    // WRITER_BIAS is set once it has the lock, READER_BIAS while no writer wants it.
                    owner & !1 == self.task.address && readers != 0 && readers >> 30 == 0
                }
            })
        };
        let mut words = self.words.iter().map(|(_, word)| *word);
        let places = |word: &u64| word.is_multiple_of(8) && target.is_kernel_address(*word);
        let address = words.find(|word| places(word) && is_it(*word) == Some(true))?;
        Some(self.blocked(Lock::new(kind, address), Mode::Drain, FoundBy::StackWord, None))
    }

    /// What the hung-task detector noted of a task whose waiter cannot be found.
    fn blocker(&self) -> Option<Blocked> {
        let noted = self.task.get(&self.shapes().blocked.blocker).ok()?;
        let (kind, mode) = match noted & BLOCKER_KINDS {
            0 => (LockKind::Mutex, Mode::Exclusive),
            1 => (LockKind::Semaphore, Mode::Exclusive),
            2 => (LockKind::RwSemaphore, Mode::Read),
            _ => (LockKind::RwSemaphore, Mode::Write),
        };
        let address = noted & !BLOCKER_KINDS;
        let uninterruptible = self.state == State::Uninterruptible && address != 0;
        uninterruptible
            .then(|| self.blocked(Lock::new(kind, address), mode, FoundBy::Blocker, None))
    }
}

/// Where the list lies in a simple queue's head, told from a completion's.
fn list_in_head(completion: &crate::shapes::Completion) -> Option<u64> {
    // `completion.wait` begins behind the count, aligned to 8 bytes.
    let inside = completion.waiters.offset().ok()?;
    inside.checked_sub(completion.done.offset().ok()?.checked_add(8)?)
}

impl Kernel {
    /// Whether the links beside the `list_head` at `link` point back at it.
    pub fn is_linked(&self, link: u64) -> bool {
        ring::is_linked(self.target(), link)
    }
}
