//! The kinds of trouble that a report or a dump shows.

use serde::Serialize;

macro_rules! classes {
    ($($name:ident = $text:literal, $plain:literal;)*) => {
        /// What kind of trouble a report tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Symptom { $($name,)* }

        impl Symptom {
            /// All of them.
            pub const ALL: &[Symptom] = &[$(Symptom::$name,)*];

            /// The stable name used in JSON and signatures.
            pub fn name(self) -> &'static str {
                match self { $(Symptom::$name => $text,)* }
            }
            /// The words a person would use.
            pub fn words(self) -> &'static str {
                match self { $(Symptom::$name => $plain,)* }
            }
        }
    };
}

classes! {
    NullPointer = "null-pointer", "NULL pointer dereference";
    PageFault = "page-fault", "page fault";
    GeneralProtection = "general-protection", "general protection fault";
    StackSegment = "stack-segment", "stack segment fault";
    DoubleFault = "double-fault", "double fault";
    DivideError = "divide-error", "division by zero";
    InvalidOpcode = "invalid-opcode", "invalid opcode";
    Trap = "trap", "unexpected trap";
    Alignment = "alignment", "alignment trap";
    InternalError = "internal-error", "processor exception";
    StackOverflow = "stack-overflow", "stack overflow";
    StackCorruption = "stack-corruption", "stack corruption";
    KernelBug = "bug", "BUG";
    Warning = "warning", "warning";
    Refcount = "refcount", "reference count error";
    ListCorruption = "list-corruption", "list corruption";
    Slab = "slab", "slab corruption";
    Usercopy = "usercopy", "bad copy to or from user memory";
    DebugObjects = "debug-objects", "object lifetime error";
    Kobject = "kobject", "kobject error";
    Allocation = "allocation", "bad allocation request";
    AllocationFailure = "allocation-failure", "page allocation failure";
    OutOfMemory = "out-of-memory", "out of memory";
    Kasan = "kasan", "KASAN";
    Kmsan = "kmsan", "KMSAN";
    Kcsan = "kcsan", "data race";
    Kfence = "kfence", "KFENCE";
    Ubsan = "ubsan", "undefined behaviour";
    MemoryLeak = "memory-leak", "memory leak";
    BadPage = "bad-page", "bad page";
    Vfs = "vfs", "file system objects in use";
    DeviceReference = "device-reference", "network device reference leak";
    Lockdep = "lockdep", "locking error";
    Rcu = "rcu-usage", "suspicious RCU usage";
    Atomic = "atomic-sleep", "sleep in atomic context";
    Preemptible = "preemptible", "per-CPU access in preemptible code";
    SoftLockup = "soft-lockup", "soft lockup";
    HardLockup = "hard-lockup", "hard lockup";
    RcuStall = "rcu-stall", "RCU stall";
    HungTask = "hung-task", "hung task";
    WorkqueueLockup = "workqueue-lockup", "workqueue lockup";
    Unwinder = "unwinder", "bad stack frame";
    MachineCheck = "machine-check", "machine check";
    SysRq = "sysrq", "crash asked for by SysRq";
    Panic = "panic", "panic";
    RustPanic = "rust-panic", "Rust panic";
    Firmware = "firmware", "firmware panic";
    Reboot = "reboot", "unexpected reboot";
    UserProgram = "user-program", "user program failure";
    Foreign = "panic-other-system", "panic";
    Unknown = "unknown", "kernel report";
}

impl Serialize for Symptom {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
