//! Who holds a lock, as far as it is recorded.

use super::{Lock, LockKind};
use crate::{
    Kernel,
    error::{Result, or_missing},
};

/// How well a holder is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// The lock names it.
    Known,
    /// Memory of its process names it: a futex's word, or what glibc keeps beside it.
    Inferred,
    /// The lock names the one that took it last, which may have given it back; or one that began when
    /// others waited already, so that its memory may have been another task's.
    Hint,
    /// The lock's address lies on its stack, and it does not wait for the lock.
    Candidate,
    /// It is held, and the lock does not record by whom.
    NotRecorded,
    /// Nobody holds it: it is being handed on.
    Free,
}

impl Certainty {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Certainty::Known => "known",
            Certainty::Inferred => "inferred",
            Certainty::Hint => "hint",
            Certainty::Candidate => "candidate",
            Certainty::NotRecorded => "not_recorded",
            Certainty::Free => "free",
        }
    }
}

/// Who holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its `task_struct`, which may be gone; `None` where it is not recorded.
    pub task: Option<u64>,
    /// How well that is known.
    pub certainty: Certainty,
}

impl Holder {
    const NOT_RECORDED: Holder = Holder { task: None, certainty: Certainty::NotRecorded };
    const FREE: Holder = Holder { task: None, certainty: Certainty::Free };

    /// A task that is named by a word with flags in its low bits.
    fn named(word: u64, flags: u64, certainty: Certainty) -> Holder {
        match word & !flags {
            0 if certainty == Certainty::Known => Holder::FREE,
            0 => Holder::NOT_RECORDED,
            task => Holder { task: Some(task), certainty },
        }
    }
}

/// Low bits of `mutex.owner`: MUTEX_FLAG_WAITERS, _HANDOFF, _PICKUP (kernel/locking/mutex.h).
const MUTEX_FLAGS: u64 = 7;
/// Low bits of `rw_semaphore.owner`: RWSEM_READER_OWNED and others (kernel/locking/rwsem.c).
const RWSEM_FLAGS: u64 = 7;
/// RT_MUTEX_HAS_WAITERS.
const RT_MUTEX_FLAGS: u64 = 1;
/// RWSEM_WRITER_LOCKED, in `rw_semaphore.count` since 5.3.
const WRITER: u64 = 1;
/// RWSEM_READER_SHIFT.
const READER_SHIFT: u32 = 8;
/// RWSEM_FLAG_READFAIL, the sign.
const READFAIL: u64 = 1 << 63;

impl Kernel {
    /// Who holds a lock.
    ///
    /// # Errors
    /// A fault, or a missing member.
    pub fn lock_holder(&self, lock: Lock) -> Result<Holder> {
        let (shapes, target, at) = (self.shapes(), self.target(), lock.address);
        match lock.kind {
            LockKind::Mutex | LockKind::WwMutex => {
                let at = match lock.kind {
                    LockKind::WwMutex => shapes.ww_mutex.base.address(at)?,
                    _ => at,
                };
                if shapes.mutex.rtmutex.exists() {
                    return self.rt_owner(shapes.mutex.rtmutex.address(at)?);
                }
                let owner = shapes.mutex.owner.read(target, at)?;
                Ok(Holder::named(owner, MUTEX_FLAGS, Certainty::Known))
            }
            LockKind::RwSemaphore => self.rwsem_holder(at),
            LockKind::RtMutex | LockKind::RtSpinlock => self.rt_owner(at),
            LockKind::Semaphore => {
                let last = or_missing(shapes.semaphore.last_holder.read(target, at), 0)?;
                Ok(Holder::named(last, 0, Certainty::Hint))
            }
            LockKind::Futex => self.futex_holder(lock, None),
            LockKind::PercpuRwSemaphore => {
                // A writer that keeps new readers out, and waits for those that there are.
                let writer = or_missing(shapes.percpu_rwsem.writer.read(target, at), 0)?;
                Ok(match writer {
                    0 => Holder::NOT_RECORDED,
                    writer => Holder { task: Some(writer), certainty: Certainty::Known },
                })
            }
            _ => Ok(Holder::NOT_RECORDED),
        }
    }

    fn rt_owner(&self, at: u64) -> Result<Holder> {
        let owner = self.shapes().rt_mutex.owner.read(self.target(), at)?;
        Ok(Holder::named(owner, RT_MUTEX_FLAGS, Certainty::Known))
    }

    fn rwsem_holder(&self, at: u64) -> Result<Holder> {
        let (shape, target) = (&self.shapes().rw_semaphore, self.target());
        if shape.rtmutex.exists() {
            let holder = self.rt_owner(shape.rtmutex.address(at)?)?;
            // Readers are counted, and leave the rt_mutex free.
            let readers = matches!(holder.certainty, Certainty::Free);
            return Ok(if readers { Holder::NOT_RECORDED } else { holder });
        }
        let owner = shape.owner.read(target, at)?;
        if shape.owner.form() == Some(crate::shapes::Form::Pointer) {
            // Before 5.3 the count means different things; the owner is a writer, or marked 1.
            let certainty = if owner & 1 == 1 { Certainty::Hint } else { Certainty::Known };
            return Ok(Holder::named(owner, RWSEM_FLAGS, certainty));
        }
        let count = shape.count.read(target, at)?;
        Ok(if count & WRITER != 0 {
            Holder::named(owner, RWSEM_FLAGS, Certainty::Known)
        } else if (count & !READFAIL) >> READER_SHIFT > 0 {
            Holder::named(owner, RWSEM_FLAGS, Certainty::Hint)
        } else {
            Holder::FREE
        })
    }
}
