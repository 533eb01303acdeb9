//! Locks: mutexes (`sys/mutex_impl.h`), readers-writer locks (`sys/rwlock_impl.h`), and who waits.

use std::collections::BTreeMap;

use crate::{Kernel, Result, thread::TS_SLEEP};

/// `sobj_type` of mutexes and of readers-writer locks (`sys/sobject.h`).
const SOBJ_MUTEX: u64 = 1;
const SOBJ_RWLOCK: u64 = 2;

/// A thread that sleeps until it gets a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Who waits.
    pub thread: u64,
    /// Address of the lock.
    pub lock: u64,
    /// Whether the lock is a readers-writer lock, and no mutex.
    pub is_rwlock: bool,
    /// Who holds it, where that is one thread and the lock says so.
    pub owner: Option<u64>,
}

/// A mutex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutex {
    /// One that threads sleep on.
    Adaptive {
        /// The thread that holds it.
        owner: Option<u64>,
        /// Threads wait for it.
        waiters: bool,
    },
    /// One that CPUs spin on.
    Spin {
        /// Interrupt level that holding it raises to.
        minspl: u64,
        /// Interrupt level to return to.
        oldspl: u64,
        /// Whether it is held.
        held: bool,
    },
}

/// A readers-writer lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RwLock {
    /// Threads wait for it.
    pub has_waiters: bool,
    /// One of them wants to write.
    pub write_wanted: bool,
    /// It is held for writing.
    pub write_locked: bool,
    /// It was destroyed.
    pub destroyed: bool,
    /// The thread that writes.
    pub owner: Option<u64>,
    /// How many read.
    pub readers: u64,
}

impl Kernel {
    /// The mutex at an address, and whether its content makes sense.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn mutex(&self, address: u64) -> Result<(Mutex, bool)> {
        let word = self.read_u64(address)?;
        // The byte that no adaptive mutex has set.
        if word & 0xff == 0xff {
            // m_dummylock u8, m_spinlock u8, m_oldspl u16, m_minspl u16 in the order of mutex.h.
            let (minspl, oldspl) = (word >> 32 & 0xffff, word >> 16 & 0xffff);
            let held = word >> 8 & 0xff != 0;
            let valid = minspl <= 15 && oldspl <= 15;
            return Ok((Mutex::Spin { minspl, oldspl, held }, valid));
        }
        let owner = Some(word & !7).filter(|&owner| owner != 0);
        let valid = word & 6 == 0;
        Ok((Mutex::Adaptive { owner, waiters: word & 1 != 0 }, valid))
    }

    /// The readers-writer lock at an address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rwlock(&self, address: u64) -> Result<RwLock> {
        let word = self.read_u64(address)?;
        let destroyed = word & 0xc == 0xc;
        let write_locked = word & 4 != 0;
        Ok(RwLock {
            has_waiters: word & 1 != 0,
            write_wanted: word & 2 != 0,
            write_locked,
            destroyed,
            owner: (write_locked && !destroyed).then_some(word & !7),
            readers: if destroyed {
                1
            } else if write_locked {
                0
            } else {
                word >> 3
            },
        })
    }

    /// Threads that wait for an object at an address.
    pub fn waiters(&self, object: u64) -> Vec<u64> {
        let shape = &self.shapes().thread;
        let waits = |thread: &u64| {
            let is = || -> Result<bool> {
                Ok(shape.state.get(self, *thread)? == TS_SLEEP
                    && (shape.wchan.get(self, *thread)? == object
                        || shape.wchan0.get(self, *thread)? == object))
            };
            is().unwrap_or(false)
        };
        self.threads().found.into_iter().filter(waits).collect()
    }

    /// The lock that a thread sleeps on, if it does.
    ///
    /// # Errors
    /// The thread cannot be read.
    pub fn blocked(&self, thread: u64) -> Result<Option<Blocked>> {
        let shape = &self.shapes().thread;
        if shape.state.get(self, thread)? != TS_SLEEP {
            return Ok(None);
        }
        let kind = self.sobj_of(thread)?;
        let is_rwlock = kind == SOBJ_RWLOCK;
        let lock = shape.wchan.get(self, thread)?;
        if lock == 0 || !(is_rwlock || kind == SOBJ_MUTEX) {
            return Ok(None);
        }
        let owner = match is_rwlock {
            true => self.rwlock(lock).ok().and_then(|lock| lock.owner),
            false => match self.mutex(lock) {
                Ok((Mutex::Adaptive { owner, .. }, true)) => owner,
                _ => None,
            },
        };
        Ok(Some(Blocked { thread, lock, is_rwlock, owner }))
    }

    /// Who waits for whom from a thread on, until one that does not wait for a lock, or comes again:
    /// then they wait for each other.
    pub fn wait_chain(&self, thread: u64) -> (Vec<Blocked>, bool) {
        let mut chain: Vec<Blocked> = Vec::new();
        let mut at = thread;
        while let Ok(Some(blocked)) = self.blocked(at) {
            chain.push(blocked);
            let Some(owner) = blocked.owner else { break };
            if let Some(first) = chain.iter().position(|other| other.thread == owner) {
                chain.drain(..first);
                return (chain, true);
            }
            at = owner;
        }
        (chain, false)
    }

    /// Objects that threads wait for: object, kind, and who.
    pub fn wait_channels(&self) -> Vec<(u64, u64, Vec<u64>)> {
        let shape = &self.shapes().thread;
        let mut all: BTreeMap<u64, (u64, Vec<u64>)> = BTreeMap::new();
        for thread in self.threads().found {
            let read = || -> Result<Option<(u64, u64)>> {
                if shape.state.get(self, thread)? != TS_SLEEP {
                    return Ok(None);
                }
                let wchan = shape.wchan.get(self, thread)?;
                Ok((wchan != 0).then_some((wchan, self.sobj_of(thread).unwrap_or(0))))
            };
            let Ok(Some((wchan, kind))) = read() else { continue };
            all.entry(wchan).or_insert((kind, Vec::new())).1.push(thread);
        }
        all.into_iter().map(|(object, (kind, threads))| (object, kind, threads)).collect()
    }
}
