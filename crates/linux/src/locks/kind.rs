//! The kinds of locks.

use std::fmt;

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LockKind {
    /// `struct mutex`.
    Mutex,
    /// `struct ww_mutex`.
    WwMutex,
    /// `struct rw_semaphore`.
    RwSemaphore,
    /// `struct percpu_rw_semaphore`.
    PercpuRwSemaphore,
    /// `struct semaphore`.
    Semaphore,
    /// `struct rt_mutex_base`, or `struct rt_mutex` before 5.15.
    RtMutex,
    /// A spinlock that sleeps, as PREEMPT_RT has them.
    RtSpinlock,
    /// A spinlock: CPUs spin for it.
    Spinlock,
    /// `rwlock_t`: CPUs spin for it.
    RwSpinlock,
    /// A word in user space.
    Futex,
    /// `struct completion`.
    Completion,
    /// A bit of a word.
    Bit,
    /// A bit of a folio: its lock, or that it is written back.
    Folio,
    /// A simple wait queue, `struct swait_queue_head`.
    SimpleWaitQueue,
    /// A wait queue, `struct wait_queue_head`.
    WaitQueue,
}

impl LockKind {
    /// All of them.
    pub const ALL: [LockKind; 15] = [
        LockKind::Mutex,
        LockKind::WwMutex,
        LockKind::RwSemaphore,
        LockKind::PercpuRwSemaphore,
        LockKind::Semaphore,
        LockKind::RtMutex,
        LockKind::RtSpinlock,
        LockKind::Spinlock,
        LockKind::RwSpinlock,
        LockKind::Futex,
        LockKind::Completion,
        LockKind::Bit,
        LockKind::Folio,
        LockKind::SimpleWaitQueue,
        LockKind::WaitQueue,
    ];

    /// Its name in output, and as an argument.
    pub fn name(self) -> &'static str {
        match self {
            LockKind::Mutex => "mutex",
            LockKind::WwMutex => "ww_mutex",
            LockKind::RwSemaphore => "rwsem",
            LockKind::PercpuRwSemaphore => "percpu_rwsem",
            LockKind::Semaphore => "semaphore",
            LockKind::RtMutex => "rt_mutex",
            LockKind::RtSpinlock => "rt_spinlock",
            LockKind::Spinlock => "spinlock",
            LockKind::RwSpinlock => "rwlock",
            LockKind::Futex => "futex",
            LockKind::Completion => "completion",
            LockKind::Bit => "bit",
            LockKind::Folio => "folio",
            LockKind::SimpleWaitQueue => "swait_queue",
            LockKind::WaitQueue => "wait_queue",
        }
    }

    /// What the function in whose frame a waiter lies waits for.
    pub(super) fn of_function(name: &str) -> Option<LockKind> {
        // The compiler's suffixes say nothing: __mutex_lock.constprop.0.
        let name = name.split('.').next().unwrap_or(name);
        let has = |part: &str| name.contains(part);
        Some(if has("ww_mutex_lock") {
            LockKind::WwMutex
        } else if has("rt_mutex") || has("futex") {
            LockKind::RtMutex
        } else if has("rt_spin_lock")
            || has("rtlock")
            || has("rt_read_lock")
            || has("rt_write_lock")
        {
            LockKind::RtSpinlock
        } else if has("mutex_lock") {
            LockKind::Mutex
        } else if has("percpu_rwsem") || has("percpu_down") {
            LockKind::PercpuRwSemaphore
        } else if has("rwsem_down") || has("rwbase") || has("down_read") || has("down_write") {
            LockKind::RwSemaphore
        } else if name.starts_with("__down") || name.starts_with("down") {
            LockKind::Semaphore
        } else if has("wait_for_completion") || has("wait_for_common") {
            LockKind::Completion
        } else if has("folio") || has("wait_on_page_bit") || has("lock_page") {
            LockKind::Folio
        } else if has("wait_on_bit") || has("wait_on_atomic") {
            LockKind::Bit
        } else {
            return None;
        })
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_tell_what_they_wait_for() {
        for (function, kind) in [
            ("__mutex_lock.constprop.0", Some(LockKind::Mutex)),
            ("__ww_mutex_lock.constprop.0", Some(LockKind::WwMutex)),
            ("rwsem_down_write_slowpath", Some(LockKind::RwSemaphore)),
            ("__rwsem_down_read_failed_common", Some(LockKind::RwSemaphore)),
            ("__down_common", Some(LockKind::Semaphore)),
            ("__down_interruptible", Some(LockKind::Semaphore)),
            ("rt_mutex_slowlock.constprop.0", Some(LockKind::RtMutex)),
            ("rtlock_slowlock_locked", Some(LockKind::RtSpinlock)),
            ("percpu_rwsem_wait", Some(LockKind::PercpuRwSemaphore)),
            ("__wait_for_common", Some(LockKind::Completion)),
            ("folio_wait_bit_common", Some(LockKind::Folio)),
            ("out_of_line_wait_on_bit", Some(LockKind::Bit)),
            ("schedule", None),
        ] {
            assert_eq!(LockKind::of_function(function), kind, "{function}");
        }
    }
}
