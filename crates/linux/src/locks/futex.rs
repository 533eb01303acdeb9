//! Futexes: a task that waits in user space, for a word of its own memory (kernel/futex/).
//!
//! The kernel knows who holds one only where it is asked to lend priority: an rt_mutex then. Of all
//! others it knows nothing. The word of some has the holder's id, and what glibc keeps beside the words
//! of its mutexes tells: but that is memory of the process, in which any number may look so, and all of
//! it is marked [`Certainty::Inferred`].

use necropsy_machine::Target;

use super::{Blocked, Certainty, FoundBy, Holder, Lock, LockKind, Mode};
use crate::{Kernel, error::Result, task::Task};

/// A system call on a futex that a task is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FutexCall {
    /// The address of the word, in user space.
    pub word: u64,
    /// FUTEX_WAIT and the like, without flags.
    pub operation: u32,
    /// The number that the word is expected to hold.
    pub value: u32,
}

/// FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME are above (include/uapi/linux/futex.h).
const COMMAND: u32 = 127;
const FUTEX_WAIT: u32 = 0;
const FUTEX_LOCK_PI: u32 = 6;
const FUTEX_WAIT_BITSET: u32 = 9;
const FUTEX_LOCK_PI2: u32 = 13;
/// The thread id in the word of a futex that has one; who waits; whose holder died.
const FUTEX_TID: u32 = 0x3fff_ffff;

/// `struct __pthread_mutex_s` of glibc on 64-bit machines: the word, how often it is held, the
/// holder's thread id, how many use it, its kind.
const OWNER: usize = 8;
const USERS: usize = 12;
const KIND: usize = 16;
const SIZE: usize = 20;
/// Of the kind: PTHREAD_MUTEX_ROBUST_NORMAL_NP, PTHREAD_MUTEX_PRIO_INHERIT_NP, and all that glibc knows.
const ROBUST: u32 = 16;
const INHERITS: u32 = 32;
const KNOWN_KINDS: u32 = 0x3ff;

/// What is beside a futex's word if it is glibc's mutex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mutex {
    word: u32,
    owner: u32,
    users: u32,
    kind: u32,
}

impl Mutex {
    /// That of a process, in the target's byte order.
    fn of(target: &Target, bytes: &[u8; SIZE]) -> Mutex {
        let word = |at: usize| target.number(&bytes[at..at + 4]) as u32;
        Mutex { word: word(0), owner: word(OWNER), users: word(USERS), kind: word(KIND) }
    }

    /// Its word has the thread id of its holder.
    fn names_holder(self) -> bool {
        self.kind & (ROBUST | INHERITS) != 0
    }

    /// The thread id of its holder. `None`: it is no mutex, or nobody has it.
    fn holder(self) -> Option<u32> {
        if self.kind & !KNOWN_KINDS != 0 {
            return None;
        }
        if self.names_holder() {
            return Some(self.word & FUTEX_TID).filter(|tid| *tid != 0);
        }
        // Held, with others waiting: 2.
        let held = matches!(self.word, 1 | 2) && self.owner != 0 && self.users > 0;
        held.then_some(self.owner)
    }
}

impl<'k> Task<'k> {
    /// The futex that it waits for in a system call; `None` where it is in another one.
    pub fn futex_call(&self) -> Option<FutexCall> {
        let target = self.kernel().target();
        let (_, regs) = self.user_regs().ok()?;
        let architecture = target.architecture();
        let futex = crate::arch::of(target).futex_call()?;
        (architecture.system_call(&regs)? == futex).then_some(())?;
        let registers = target.abi().system_call_arguments;
        let argument = |index: usize| regs.get(*registers.get(index)?);
        let operation = argument(1)? as u32 & COMMAND;
        let waits =
            matches!(operation, FUTEX_WAIT | FUTEX_WAIT_BITSET | FUTEX_LOCK_PI | FUTEX_LOCK_PI2);
        let word = argument(0)?;
        waits.then_some(FutexCall { word, operation, value: argument(2)? as u32 })
    }

    /// The mutex in user memory that it waits for: a futex with a holder.
    pub(super) fn futex(&self) -> Option<Blocked> {
        let call = self.futex_call()?;
        let lock = Lock { mm: self.mm().ok()?, ..Lock::new(LockKind::Futex, call.word) };
        let holder = self.kernel().futex_holder(lock, Some(*self)).ok()?;
        holder.task?;
        Some(Blocked {
            task: self.address,
            lock,
            mode: Mode::Exclusive,
            found_by: FoundBy::UserRegisters,
            place: None,
        })
    }

    /// Its stack in user space, above where it entered the kernel: words by address.
    fn user_stack(&self, words: usize) -> Option<Vec<u64>> {
        let (_, regs) = self.user_regs().ok()?;
        let target = self.kernel().target();
        let width = target.pointer_size() as usize;
        let mut bytes = vec![0; words * width];
        target.read_user(self.page_table().ok()?, regs.sp()?, &mut bytes).ok()?;
        Some(bytes.chunks_exact(width).map(|word| target.number(word)).collect())
    }

    /// The mutex with priority inheritance that glibc gave up on: the kernel told it that waiting would
    /// be a deadlock (EDEADLK), and since then it sleeps on a word of its own stack that nobody knows.
    /// Found in its registers or on that stack: a mutex of that kind, held by another of its threads.
    pub(super) fn futex_given_up(&self) -> Option<Blocked> {
        let call = self.futex_call()?;
        let (_, regs) = self.user_regs().ok()?;
        let own = call.word.wrapping_sub(regs.sp()?) < 4096;
        if !own || call.value != 0 || !matches!(call.operation, FUTEX_WAIT | FUTEX_WAIT_BITSET) {
            return None;
        }
        let mm = self.mm().ok()??;
        let own = self.pid().ok()?;
        let held = |word: &u64| -> Option<Lock> {
            if *word == 0 || !word.is_multiple_of(4) {
                return None;
            }
            let mutex = self.kernel().user_mutex(self.page_table().ok()?, *word).ok()?;
            let tid = mutex.holder()?;
            let inherits = mutex.kind & INHERITS != 0 && u64::from(tid) != own;
            let holder = self.kernel().task_by_pid(tid.into()).ok()??;
            (inherits && holder.mm() == Ok(Some(mm)))
                .then_some(Lock { mm: Some(mm), ..Lock::new(LockKind::Futex, *word) })
        };
        let words =
            regs.iter().map(|(_, value)| value).chain(self.user_stack(256).unwrap_or_default());
        let words: Vec<u64> = words.collect();
        // It may keep the address of the mutex's kind, which it looked at last.
        let within = |word: &u64| held(word).or_else(|| held(&word.checked_sub(KIND as u64)?));
        let lock = words.iter().find_map(within)?;
        Some(Blocked {
            task: self.address,
            lock,
            mode: Mode::Exclusive,
            found_by: FoundBy::UserStack,
            place: None,
        })
    }
}

impl Kernel {
    fn user_mutex(&self, root: u64, word: u64) -> Result<Mutex> {
        let mut bytes = [0; SIZE];
        self.target().read_user(root, word, &mut bytes)?;
        Ok(Mutex::of(self.target(), &bytes))
    }

    /// Who holds a futex, as its word or glibc's mutex says; `waiter` is one who waits for it.
    ///
    /// # Errors
    /// Its memory, or the tasks of its process, cannot be read.
    pub(super) fn futex_holder(&self, lock: Lock, waiter: Option<Task<'_>>) -> Result<Holder> {
        let mm = lock.mm.ok_or_else(|| crate::Error::absent("address space of the futex"))?;
        let table = self.shapes().mm.pgd.read(self.target(), mm)?;
        let root = self.target().translate(table)?;
        let mutex = self.user_mutex(root, lock.address)?;
        let Some(tid) = mutex.holder() else {
            return Ok(Holder { task: None, certainty: Certainty::NotRecorded });
        };
        // A thread of this process: what looks like a mutex may be something else.
        let task = self.task_by_pid(tid.into())?.filter(|task| task.mm() == Ok(Some(mm)));
        let own = waiter.is_some_and(|waiter| waiter.pid() == Ok(tid.into()));
        Ok(match task {
            // One that names its holder and is the waiter's own has just been handed to it.
            Some(task) if !own || !mutex.names_holder() => {
                Holder { task: Some(task.address), certainty: Certainty::Inferred }
            }
            _ => Holder { task: None, certainty: Certainty::NotRecorded },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutex(word: u32, owner: u32, users: u32, kind: u32) -> Mutex {
        Mutex { word, owner, users, kind }
    }

    #[test]
    fn holders_of_mutexes() {
        assert_eq!(mutex(2, 77, 1, 0).holder(), Some(77));
        assert_eq!(mutex(0, 0, 0, 0).holder(), None, "free");
        assert_eq!(mutex(2, 0, 1, 0).holder(), None, "being let go");
        assert_eq!(mutex(0x8000_004d, 77, 1, ROBUST).holder(), Some(77));
        assert_eq!(mutex(0x8000_004d, 77, 1, INHERITS | 1).holder(), Some(77));
        assert_eq!(mutex(2, 77, 1, 0x1234_5678).holder(), None, "no mutex of glibc's");
        assert_eq!(mutex(9, 77, 1, 0).holder(), None, "the word of something else");
    }
}
