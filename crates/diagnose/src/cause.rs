//! The causes of which a crash may die, and which of them may show as which symptom.

use necropsy_lexicon::Symptom;

use crate::serial::named;

named! {
    /// What killed a machine; its symptom is how that showed.
    pub enum Cause {
        /// A pointer was NULL.
        NullPointer = "null-pointer",
        /// A pointer led nowhere, and nothing tells more.
        BadPointer = "bad-pointer",
        /// An object was used after it was freed.
        UseAfterFree = "use-after-free",
        /// An object was freed twice.
        DoubleFree = "double-free",
        /// An object was written or read beyond its end or before its beginning.
        OutOfBounds = "out-of-bounds",
        /// Memory was used that nobody had written.
        Uninitialised = "uninitialised",
        /// What the slab allocator keeps was damaged.
        SlabCorruption = "slab-corruption",
        /// A list was damaged.
        ListCorruption = "list-corruption",
        /// One bit changed.
        BitFlip = "bit-flip",
        /// One byte changed.
        ByteCorruption = "byte-corruption",
        /// A stack ran over.
        StackOverflow = "stack-overflow",
        /// A stack was damaged.
        StackCorruption = "stack-corruption",
        /// Code was damaged.
        CodeCorruption = "code-corruption",
        /// A condition that the code checks for: BUG.
        Bug = "bug",
        /// A condition that the code checks for: WARN, with panic_on_warn.
        Warning = "warning",
        /// A division by zero, or with too large a result.
        DivideError = "divide-error",
        /// The processor does not know the instruction.
        InvalidOpcode = "invalid-opcode",
        /// Tasks wait for each other.
        Deadlock = "deadlock",
        /// A task waits for what does not come.
        HungTask = "hung-task",
        /// A CPU ran kernel code without end.
        SoftLockup = "soft-lockup",
        /// As before, with interrupts off.
        HardLockup = "hard-lockup",
        /// A CPU or a task kept RCU from going on.
        RcuStall = "rcu-stall",
        /// A task slept where it must not.
        SchedulingWhileAtomic = "scheduling-while-atomic",
        /// A count of references went wrong.
        Refcount = "refcount",
        /// Memory was used up by somebody who never gave it back.
        MemoryLeak = "memory-leak",
        /// Memory was used up.
        OutOfMemory = "out-of-memory",
        /// The hardware reported an error.
        MachineCheck = "machine-check",
        /// A non-maskable interrupt, on purpose or of the hardware.
        Nmi = "nmi",
        /// The code called panic() for a reason of its own.
        PanicCalled = "panic-called",
        /// Somebody asked for the crash by SysRq.
        Sysrq = "sysrq",
        /// A watchdog.
        Watchdog = "watchdog",
        /// It cannot be known.
        Unknown = "unknown",
    }
}

use Cause as C;

/// What a bad value in a pointer, an index or a length may come from.
const MEMORY: &[Cause] = &[
    C::UseAfterFree,
    C::DoubleFree,
    C::OutOfBounds,
    C::Uninitialised,
    C::SlabCorruption,
    C::ListCorruption,
    C::BitFlip,
    C::ByteCorruption,
    C::StackOverflow,
    C::StackCorruption,
    C::CodeCorruption,
    C::Refcount,
];

/// Why something that was to happen does not.
const WAITING: &[Cause] = &[
    C::Deadlock,
    C::HungTask,
    C::SoftLockup,
    C::HardLockup,
    C::RcuStall,
    C::SchedulingWhileAtomic,
    C::MemoryLeak,
    C::OutOfMemory,
];

/// The causes that are peculiar to a symptom, and whether memory that is wrong, or waiting, may
/// show as it, too. The one table of this.
fn row(symptom: Symptom) -> (&'static [Cause], &'static [&'static [Cause]]) {
    const DAMAGE: &[&[Cause]] = &[MEMORY];
    const HANG: &[&[Cause]] = &[WAITING, MEMORY];
    const ONLY: &[&[Cause]] = &[];
    match symptom {
        Symptom::NullPointer => (&[C::NullPointer, C::BadPointer], DAMAGE),
        Symptom::PageFault
        | Symptom::GeneralProtection
        | Symptom::StackSegment
        | Symptom::DoubleFault
        | Symptom::Trap
        | Symptom::Alignment
        | Symptom::InternalError => {
            (&[C::BadPointer, C::NullPointer, C::MachineCheck, C::InvalidOpcode], DAMAGE)
        }
        Symptom::DivideError => (&[C::DivideError], DAMAGE),
        Symptom::InvalidOpcode => (&[C::InvalidOpcode, C::Bug, C::BadPointer], DAMAGE),
        Symptom::StackOverflow => {
            (&[C::StackOverflow, C::StackCorruption, C::OutOfBounds, C::CodeCorruption], ONLY)
        }
        Symptom::StackCorruption | Symptom::Unwinder => {
            (&[C::StackCorruption, C::StackOverflow, C::OutOfBounds, C::BitFlip], ONLY)
        }
        Symptom::KernelBug => (&[C::Bug, C::BadPointer], DAMAGE),
        Symptom::Warning => {
            (&[C::Warning, C::BadPointer, C::SchedulingWhileAtomic, C::MemoryLeak], DAMAGE)
        }
        Symptom::Refcount => (&[C::Refcount], DAMAGE),
        Symptom::ListCorruption => (&[C::ListCorruption], DAMAGE),
        Symptom::Slab
        | Symptom::Usercopy
        | Symptom::DebugObjects
        | Symptom::Kobject
        | Symptom::Kasan
        | Symptom::Kmsan
        | Symptom::Kfence
        | Symptom::Ubsan
        | Symptom::BadPage => (&[C::BadPointer, C::NullPointer, C::Bug], DAMAGE),
        Symptom::Kcsan | Symptom::Rcu | Symptom::Preemptible => (&[C::Bug, C::Warning], ONLY),
        Symptom::Lockdep => (&[C::Deadlock, C::Bug, C::SchedulingWhileAtomic], ONLY),
        Symptom::Atomic => (&[C::SchedulingWhileAtomic], ONLY),
        Symptom::Allocation => {
            (&[C::Warning, C::BadPointer, C::OutOfMemory, C::MemoryLeak], DAMAGE)
        }
        Symptom::AllocationFailure | Symptom::OutOfMemory => {
            (&[C::OutOfMemory, C::MemoryLeak], DAMAGE)
        }
        Symptom::MemoryLeak => (&[C::MemoryLeak, C::Refcount], ONLY),
        Symptom::Vfs | Symptom::DeviceReference => (&[C::Refcount, C::Bug], DAMAGE),
        Symptom::SoftLockup
        | Symptom::HardLockup
        | Symptom::RcuStall
        | Symptom::HungTask
        | Symptom::WorkqueueLockup => (&[C::Watchdog, C::Nmi], HANG),
        Symptom::MachineCheck => (&[C::MachineCheck], ONLY),
        Symptom::SysRq => (&[C::Sysrq], HANG),
        Symptom::Panic | Symptom::RustPanic => {
            (&[C::PanicCalled, C::Nmi, C::Watchdog, C::MachineCheck, C::Bug], HANG)
        }
        Symptom::Firmware | Symptom::Reboot | Symptom::Foreign => {
            (&[C::MachineCheck, C::Watchdog, C::Nmi], ONLY)
        }
        Symptom::UserProgram => (&[C::PanicCalled, C::MachineCheck], DAMAGE),
        Symptom::Unknown => (Cause::ALL, ONLY),
    }
}

impl Cause {
    /// What a symptom is called as a cause, where nothing deeper is found.
    pub fn named_by(symptom: Symptom) -> Cause {
        match symptom {
            Symptom::NullPointer => C::NullPointer,
            Symptom::PageFault
            | Symptom::GeneralProtection
            | Symptom::StackSegment
            | Symptom::Trap
            | Symptom::Alignment
            | Symptom::InternalError => C::BadPointer,
            Symptom::DoubleFault | Symptom::StackOverflow => C::StackOverflow,
            Symptom::DivideError => C::DivideError,
            Symptom::InvalidOpcode => C::InvalidOpcode,
            Symptom::StackCorruption | Symptom::Unwinder => C::StackCorruption,
            Symptom::KernelBug | Symptom::Kobject | Symptom::DebugObjects => C::Bug,
            Symptom::Warning
            | Symptom::Rcu
            | Symptom::Preemptible
            | Symptom::Kcsan
            | Symptom::Allocation => C::Warning,
            Symptom::Refcount | Symptom::Vfs | Symptom::DeviceReference => C::Refcount,
            Symptom::ListCorruption => C::ListCorruption,
            Symptom::Slab | Symptom::BadPage => C::SlabCorruption,
            Symptom::Kasan | Symptom::Kfence | Symptom::Ubsan | Symptom::Usercopy => C::OutOfBounds,
            Symptom::Kmsan => C::Uninitialised,
            Symptom::AllocationFailure | Symptom::OutOfMemory => C::OutOfMemory,
            Symptom::MemoryLeak => C::MemoryLeak,
            Symptom::Lockdep => C::Deadlock,
            Symptom::Atomic => C::SchedulingWhileAtomic,
            Symptom::SoftLockup => C::SoftLockup,
            Symptom::HardLockup => C::HardLockup,
            Symptom::RcuStall => C::RcuStall,
            Symptom::HungTask | Symptom::WorkqueueLockup => C::HungTask,
            Symptom::MachineCheck => C::MachineCheck,
            Symptom::SysRq => C::Sysrq,
            Symptom::Panic | Symptom::RustPanic => C::PanicCalled,
            Symptom::Firmware | Symptom::Reboot | Symptom::Foreign => C::Watchdog,
            Symptom::UserProgram => C::PanicCalled,
            Symptom::Unknown => C::Unknown,
        }
    }

    /// Whether it is memory that is not as it should be.
    pub(crate) fn is_damage(self) -> bool {
        MEMORY.contains(&self)
    }

    /// Whether this cause may show as `symptom`. Of any symptom the cause may stay unknown.
    pub fn may_show_as(self, symptom: Symptom) -> bool {
        let (own, shared) = row(symptom);
        self == Cause::Unknown
            || own.contains(&self)
            || shared.iter().any(|causes| causes.contains(&self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_shows_as_something_definite() {
        for cause in Cause::ALL {
            let definite = |symptom: &&Symptom| **symptom != Symptom::Unknown;
            let mut symptoms = Symptom::ALL.iter().filter(definite);
            assert!(symptoms.any(|symptom| cause.may_show_as(*symptom)), "{}", cause.name());
        }
    }

    #[test]
    fn symptoms_are_not_their_causes() {
        assert!(Cause::UseAfterFree.may_show_as(Symptom::GeneralProtection));
        assert!(Cause::ByteCorruption.may_show_as(Symptom::Warning));
        assert!(Cause::Deadlock.may_show_as(Symptom::HungTask));
        assert!(!Cause::Sysrq.may_show_as(Symptom::NullPointer));
        assert!(!Cause::DivideError.may_show_as(Symptom::HungTask));
    }
}
