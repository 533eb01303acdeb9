//! CPUs that spin for a lock. Nothing on the lock's side names the CPUs, but for the end of its queue
//! (kernel/locking/qspinlock.c): so the lock is looked for where the spinning CPU has it, in its
//! registers and on its stack, and believed if its word says that this CPU waits.

use necropsy_machine::{regs::Regs, unwind::Frame};

use super::{Blocked, FoundBy, Lock, LockKind, Mode};
use crate::{Kernel, task::Task};

/// A CPU that spins, with the task that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spinner {
    /// The CPU.
    pub cpu: u32,
    /// The task, the lock and how that was found.
    pub blocked: Blocked,
}

/// Words of its stack that are looked at: the frames of the lock's functions and their caller.
const STACK_WORDS: u64 = 96;
/// Frames that are looked at: of interrupts within interrupts, and what they found.
const FRAMES: usize = 64;
/// The word of a qspinlock (include/asm-generic/qspinlock_types.h): held; about to be held by one who
/// has no place in the queue; the queue's end.
const LOCKED: u32 = 0xff;
const PENDING: u32 = 0xff00;
const TAIL_INDEX: u32 = 16;
const TAIL_CPU: u32 = 18;
/// Places of a CPU in queues: it can spin in a task, softirq, hardirq and NMI.
const NESTING: u64 = 4;
/// A queue is no longer than there are CPUs.
const MAX_QUEUE: usize = 8192;

/// What a CPU does that is stopped in a function.
fn spins(function: &str) -> Option<(LockKind, Mode)> {
    let function = function.split('.').next().unwrap_or(function);
    Some(if function.contains("queued_write_lock_slowpath") {
        (LockKind::RwSpinlock, Mode::Write)
    } else if function.contains("queued_read_lock_slowpath") {
        (LockKind::RwSpinlock, Mode::Read)
    } else if function.contains("queued_spin_lock_slowpath") {
        (LockKind::Spinlock, Mode::Exclusive)
    } else {
        return None;
    })
}

impl Kernel {
    /// The CPUs that spin for a lock.
    pub fn spinners(&self) -> Vec<Spinner> {
        self.online_cpus().into_iter().filter_map(|cpu| self.spinner(cpu)).collect()
    }

    fn spinner(&self, cpu: u32) -> Option<Spinner> {
        let task = self.current_task(cpu).ok()?;
        let (regs, _) = self.cpu_regs(cpu).ok().filter(|(regs, _)| !regs.user_mode())?;
        let (kind, mode, regs) = self.spins_in(regs, task)?;
        let address = match kind {
            LockKind::Spinlock => self.spinlock_of(&regs, cpu),
            _ => self.only(&regs, |at| self.is_held_rwlock(at)),
        }?;
        let found_by = FoundBy::Spinning;
        let lock = Lock::new(kind, address);
        let blocked = Blocked { task: task.address, lock, mode, found_by, place: None };
        Some(Spinner { cpu, blocked })
    }

    /// For what a CPU spins, and the registers that it had there: in the function that it is in, or in
    /// one that interrupts found it in.
    fn spins_in(&self, regs: Regs, task: Task<'_>) -> Option<(LockKind, Mode, Regs)> {
        let name = |pc: u64| self.target().locate(pc).map(|found| found.symbol.name);
        if let Some((kind, mode)) = name(regs.pc()?).and_then(spins) {
            return Some((kind, mode, regs));
        }
        let trace = task.trace().ok()?;
        trace.frames.into_iter().take(FRAMES).find_map(|frame| {
            let (kind, mode) = name(frame.lookup_pc()).and_then(spins)?;
            Some((kind, mode, frame.regs))
        })
    }

    /// The spinlock that a CPU spins for: the one in whose queue it stands, else one that may be so,
    /// if there is only one.
    fn spinlock_of(&self, regs: &Regs, cpu: u32) -> Option<u64> {
        let mut words = registers(regs).chain(self.stack_words(regs));
        let queued = words.find(|at| self.is_place_of_lock(*at) && self.waits_in_queue(*at, cpu));
        queued
            .or_else(|| self.only(regs, |at| self.is_pending(at)))
            .or_else(|| only(registers(regs).filter(|at| self.is_held_without_queue(*at))))
    }

    /// The only place of a lock in the registers of a CPU that may be the one; if there is none in
    /// them, the only one on top of its stack.
    fn only(&self, regs: &Regs, may_be: impl Fn(u64) -> bool) -> Option<u64> {
        let fits = |at: &u64| self.is_place_of_lock(*at) && may_be(*at);
        match registers(regs).any(|at| fits(&at)) {
            true => only(registers(regs).filter(fits)),
            false => only(self.stack_words(regs).filter(fits)),
        }
    }

    /// Locks lie at multiples of four among the kernel's addresses.
    fn is_place_of_lock(&self, address: u64) -> bool {
        address.is_multiple_of(4) && self.target().is_kernel_address(address)
    }

    /// The top of the stack of a CPU.
    fn stack_words<'r>(&'r self, regs: &'r Regs) -> impl Iterator<Item = u64> + 'r {
        let sp = regs.sp().into_iter();
        sp.flat_map(move |sp| {
            (0..STACK_WORDS).map_while(move |n| self.target().read_pointer_at(sp, n).ok())
        })
    }

    /// Whether the word at an address is that of a spinlock whose first waiter has no place in the
    /// queue: it does not say who that is.
    fn is_pending(&self, at: u64) -> bool {
        let Ok(word) = self.target().read_u32(at) else { return false };
        let last = (word >> TAIL_CPU).checked_sub(1);
        (word & PENDING) >> 8 == 1
            && matches!(word & LOCKED, 0 | 1)
            && (word >> TAIL_INDEX == 0
                || last.is_some_and(|cpu| self.online_cpus().contains(&cpu)))
    }

    /// Whether the word at an address is that of a spinlock in whose queue a CPU stands.
    fn waits_in_queue(&self, at: u64, cpu: u32) -> bool {
        let Ok(word) = self.target().read_u32(at) else { return false };
        let (locked, pending) = (word & LOCKED, (word & PENDING) >> 8);
        let tail = word >> TAIL_INDEX;
        // 3: a hypervisor's lock whose waiter sleeps.
        if tail == 0 || !matches!(locked, 0 | 1 | 3) || pending > 1 {
            return false;
        }
        let index = u64::from(tail & 3);
        let Some(last) = (word >> TAIL_CPU).checked_sub(1) else { return false };
        let Some(end) = self.queue_node(last, index) else { return false };
        // From one of its places the queue leads to the end.
        let own = (0..NESTING).filter_map(|index| self.queue_node(cpu, index));
        own.into_iter().any(|node| {
            let mut at = node;
            for _ in 0..MAX_QUEUE {
                if at == end {
                    return true;
                }
                match self.shapes().queue_node.next.read(self.target(), at) {
                    Ok(next) if next != 0 => at = next,
                    _ => return false,
                }
            }
            false
        })
    }

    /// Whether the word at an address is that of a spinlock that is held, and no more. In a virtual
    /// machine CPUs may try without queueing (`virt_spin_lock`): then that is all it says.
    fn is_held_without_queue(&self, at: u64) -> bool {
        self.is_place_of_lock(at) && self.target().read_u32(at) == Ok(1)
    }

    /// The place of a CPU in a queue.
    fn queue_node(&self, cpu: u32, index: u64) -> Option<u64> {
        let size = self.shapes().queue_node.sizeof().ok()?;
        let first = self.shapes().queue_nodes.places.address().ok()?;
        let first = first.wrapping_add(self.per_cpu_offset(cpu)?);
        Some(first.wrapping_add(index * size))
    }

    /// Whether the word at an address is that of a reader-writer lock that somebody has or wants
    /// (include/asm-generic/qrwlock_types.h).
    fn is_held_rwlock(&self, at: u64) -> bool {
        let Ok(word) = self.target().read_u32(at) else { return false };
        // A writer has all of the lowest byte; readers are counted above the bit of who waits.
        let (writer, readers) = (word & 0xff, word >> 9);
        matches!(writer, 0 | 0xff) && (writer == 0xff || readers > 0) && readers < 8192
    }

    /// Tasks that may hold a lock that CPUs spin for: they run, do not spin for it, and have its
    /// address in their registers, on their stack or, for a lock with a name, in the code of a
    /// function that they are in.
    pub fn spin_candidates(&self, lock: Lock, spinners: &[Spinner]) -> Vec<u64> {
        let mut found = Vec::new();
        for cpu in self.online_cpus() {
            if spinners.iter().any(|s| s.cpu == cpu && s.blocked.lock == lock) {
                continue;
            }
            let Ok(task) = self.current_task(cpu) else { continue };
            let Ok((regs, _)) = self.cpu_regs(cpu) else { continue };
            if regs.user_mode() {
                continue;
            }
            let frames = task.trace().map(|trace| trace.frames).unwrap_or_default();
            let frames = &frames[..frames.len().min(FRAMES)];
            // An interrupt may have found it with the lock: what it had then is in the frames.
            let stack = task.own_stack().ok();
            let inside = |sp: &u64| {
                stack.as_ref().is_some_and(|stack| (stack.start..stack.end).contains(sp))
            };
            let mut places = regs.sp().into_iter().chain(frames.iter().map(|frame| frame.sp));
            let first = places.find(inside);
            let on_stack = || {
                let (Some(stack), Some(sp)) = (&stack, first) else { return false };
                let words = stack.end.saturating_sub(sp) / u64::from(self.target().pointer_size());
                (0..words.min(4096))
                    .any(|n| self.target().read_pointer_at(sp, n) == Ok(lock.address))
            };
            let saved = frames.iter().filter(|frame| frame.saved_regs);
            let saved = saved.flat_map(|frame| registers(&frame.regs));
            let named = registers(&regs).chain(saved).any(|value| value == lock.address);
            if named || on_stack() || self.names_in_code(frames, lock.address) {
                found.push(task.address);
            }
        }
        found
    }

    /// Whether a function of these frames has an address in its code, sign-extended from 32 bits.
    fn names_in_code(&self, frames: &[Frame], address: u64) -> bool {
        if address as i32 as i64 as u64 != address || self.symbolize_exact(address).is_none() {
            return false;
        }
        let wanted = (address as u32).to_le_bytes();
        frames.iter().any(|frame| {
            let Some(found) = self.target().locate(frame.lookup_pc()) else { return false };
            let size = found.symbol.size.min(64 << 10);
            let code = self.target().read_bytes(found.symbol.address, size);
            code.is_ok_and(|code| code.windows(4).any(|window| window == wanted))
        })
    }

    fn symbolize_exact(&self, address: u64) -> Option<&str> {
        let found = self.target().locate(address)?;
        (found.offset == 0).then_some(found.symbol.name)
    }
}

fn registers(regs: &Regs) -> impl Iterator<Item = u64> + '_ {
    regs.iter().map(|(_, value)| value)
}

/// What all agree in, if there is any.
fn only(mut found: impl Iterator<Item = u64>) -> Option<u64> {
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_is_none() {
        assert_eq!(only([].into_iter()), None);
        assert_eq!(only([7, 7].into_iter()), Some(7));
        assert_eq!(only([7, 8].into_iter()), None);
    }

    #[test]
    fn functions_tell_who_spins() {
        assert_eq!(
            spins("native_queued_spin_lock_slowpath"),
            Some((LockKind::Spinlock, Mode::Exclusive))
        );
        assert_eq!(spins("queued_write_lock_slowpath"), Some((LockKind::RwSpinlock, Mode::Write)));
        assert_eq!(
            spins("__pv_queued_spin_lock_slowpath.part.0").map(|s| s.0),
            Some(LockKind::Spinlock)
        );
        assert_eq!(spins("_raw_spin_lock"), None, "it may have it");
    }
}
