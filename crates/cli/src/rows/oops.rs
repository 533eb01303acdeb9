//! Reports of a kernel's log.

use necropsy_oops::Report;
use necropsy_rows::{
    Kind::{self, Count, Decimal, Flag, Hex, Integer, List, Null, Row as One, Text},
    Row, RowType, described, put_fields,
};
use serde::{Serialize, ser::SerializeMap};

/// A report, and where it was found.
#[derive(Debug, Serialize)]
pub struct ReportRow<'a> {
    /// The text it stands in, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
    /// What was noticed while opening the text.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub notes: &'a [String],
    /// The report.
    #[serde(flatten)]
    pub report: &'a Report,
}

impl ReportRow<'_> {
    /// The declaration.
    pub const TYPE: &'static RowType = &REPORT;
}

impl Row for ReportRow<'_> {
    const TYPE: &'static RowType = &REPORT;

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        put_fields(self, map)
    }
}

const TEXTS: Kind = List(&Text);
const REGISTERS: Kind = One(|| &REGISTER);

described! {
    /// A report of the kernel's log: an oops, a warning, a lockup, a sanitiser's finding, a panic.
    pub static REPORT {
        /// The text it stands in, if there are several.
        "source": Text => maybe,
        /// What was noticed while opening the text.
        "notes": TEXTS => maybe,
        /// Position among the log's reports, from 0.
        "index": Count,
        /// Nothing went wrong before it, as far as the log tells.
        "first": Flag,
        /// The kind of trouble: `null-pointer`, `warning`, `hard-lockup`, …
        "class": Text,
        /// What to call it, in the style asked for.
        "title": Text,
        /// Other titles of the same bug.
        "alt_titles": TEXTS,
        /// The type name that goes with the title in the syzkaller style.
        "type": Text => maybe,
        /// The guilty function, generic ones passed over.
        "frame": Null(&Text),
        /// The text is cut, mixed with another's or lacks its head.
        "corrupted": Flag,
        /// Why it is held to be so.
        "corrupted_why": Text => maybe,
        /// The kernel panicked, in this report or later.
        "panicked": Flag,
        /// The log holds noise that explains such reports away.
        "suppressed": Flag,
        /// First line in the input, from 1.
        "start_line": Count,
        /// Last line in the input, from 1.
        "end_line": Count,
        /// Time of the first line, since boot or as the channel had it.
        "time": Null(&Decimal) => seconds,
        /// CPU it happened on.
        "cpu": Null(&Count),
        /// Thread that was running.
        "pid": Null(&Count),
        /// Its name.
        "comm": Null(&Text),
        /// Kernel release.
        "release": Null(&Text),
        /// Hardware name, as DMI or the device tree has it.
        "hardware": Null(&Text),
        /// Work item that was running.
        "workqueue": Text => maybe,
        /// Architecture (`arm64`, `riscv`, …), by the names that only its kernel prints.
        "arch": Null(&Text),
        /// Taint flags.
        "taint": List(&One(|| &TAINT)),
        /// The processor's error code.
        "error_code": Null(&One(|| &MEANING)),
        /// The address whose access failed.
        "address": Null(&One(|| &MEANING)),
        /// The access that failed, as far as the kernel says.
        "access": One(|| &ACCESS) => maybe,
        /// The system, if it is not Linux.
        "system": Text => maybe,
        /// What the kernel said of it in its own words, line by line.
        "said": TEXTS => maybe,
        /// Where in the source a `BUG`, `WARNING` or assertion stands.
        "source_line": One(|| &SOURCE_LINE) => maybe,
        /// The object that was accessed or overwritten.
        "object": One(|| &OBJECT) => maybe,
        /// Other stacks that the report prints: who allocated an object, who freed it, …
        "stacks": List(&One(|| &STACK)) => maybe,
        /// Pointers that are not what they should be, of a corrupted list.
        "pointers": List(&One(|| &POINTER)) => maybe,
        /// Who does not get on, and for how long.
        "stall": One(|| &STALL) => maybe,
        /// The process that was killed for its memory.
        "victim": One(|| &VICTIM) => maybe,
        /// Errors that the hardware reported.
        "machine_checks": List(&One(|| &CHECK)) => maybe,
        /// The last events of the function tracer's buffer, oldest first, of the CPU that died.
        "events": List(&One(|| &EVENT)) => maybe,
        /// What values suggest that no line says, such as a flipped bit.
        "hints": TEXTS => maybe,
        /// Registers at the fault.
        "registers": List(&REGISTERS),
        /// Call trace, innermost first.
        "trace": List(&One(|| &FRAME)),
        /// Instructions around the trap.
        "code": List(&One(|| &CODE)),
        /// What the trapping instruction was about to do.
        "cause": Null(&Text),
        /// Where user space was.
        "user": Null(&One(|| &USER)),
        /// Modules that were loaded.
        "modules": List(&One(|| &MODULE)),
        /// Keys for grouping.
        "signatures": List(&One(|| &SIGNATURE)),
    }

    /// A taint flag.
    static TAINT {
        /// As printed.
        "letter": Text,
        /// Bit in `tainted_mask`; none for a distribution's own flag.
        "bit": Null(&Count),
        /// What it says.
        "meaning": Text,
    }

    /// A value and what it is.
    static MEANING {
        /// The value.
        "value": Hex,
        /// What it is.
        "meaning": Text,
    }

    /// A register.
    static REGISTER {
        /// Its name.
        "name": Text,
        /// Its value.
        "value": Hex,
        /// What the value is.
        "meaning": Text,
        /// Which argument of a call it carries, from 1.
        "argument": Count => maybe,
    }

    /// A frame.
    static FRAME {
        /// Function.
        "function": Text,
        /// Offset in it.
        "offset": Null(&Count) => bytes,
        /// Its size.
        "size": Null(&Count) => bytes,
        /// Module it belongs to.
        "module": Null(&Text),
        /// Build ID, where the text has it.
        "build_id": Text => maybe,
        /// Address, where the text has it.
        "address": Hex => maybe,
        /// The unwinder vouches for it.
        "reliable": Flag,
        /// Stack it lies on: `task`, `irq`, `nmi`, …
        "stack": Text,
        /// Source file.
        "file": Null(&Text),
        /// Line in it.
        "line": Null(&Count),
        /// It was inlined into the frame after it.
        "inlined": Flag,
    }

    /// An instruction.
    static CODE {
        /// Virtual address; the offset in the function where that is unknown.
        "address": Hex,
        /// Its bytes, in hexadecimal.
        "bytes": Text,
        /// Disassembled.
        "text": Text,
        /// It trapped.
        "trapping": Flag,
        /// Where an instruction begins before the trap is not known: other readings differ here.
        "doubtful": Flag => maybe,
    }

    /// An access to memory.
    static ACCESS {
        /// `read`, `write`, `execute` or `free`.
        "kind": Text,
        /// How much.
        "size": Count => maybe,
    }

    /// A line of the kernel's source.
    static SOURCE_LINE {
        /// File, as the compiler was given it.
        "file": Text,
        /// Line, from 1.
        "line": Count,
    }

    /// An object of an allocator.
    static OBJECT {
        /// Where it begins.
        "address": Hex => maybe,
        /// Its size in bytes.
        "size": Count => maybe,
        /// The cache it is of.
        "cache": Text => maybe,
        /// Where the access was, in the kernel's words: `52 bytes inside of`.
        "place": Text => maybe,
        /// `freed` or `allocated`, where the kernel says.
        "state": Text => maybe,
    }

    /// A stack that tells of an earlier time or another task.
    static STACK {
        /// What happened there, in the kernel's words: `Allocated`, `Freed`, …
        "what": Text,
        /// The task that did it.
        "pid": Count => maybe,
        /// Call trace, innermost first.
        "frames": List(&One(|| &FRAME)),
    }

    /// A pointer that is not what it should be.
    static POINTER {
        /// Which, in the kernel's words: `next->prev`.
        "what": Text,
        /// What it should be.
        "expected": Hex => maybe,
        /// What it is.
        "found": Hex => maybe,
        /// What that looks like.
        "meaning": Text => maybe,
    }

    /// Something that does not get on.
    static STALL {
        /// For how long, in seconds.
        "seconds": Count => maybe,
        /// For how long, in jiffies.
        "jiffies": Count => maybe,
        /// CPUs that do not.
        "cpus": List(&Count) => maybe,
        /// Tasks that do not.
        "tasks": List(&Count) => maybe,
        /// The CPU that noticed.
        "seen_by": Count => maybe,
    }

    /// A process that was killed for its memory.
    static VICTIM {
        /// Process.
        "pid": Count,
        /// Its name.
        "comm": Text,
        /// Anonymous memory it held, in KiB.
        "anon_kib": Count => maybe,
    }

    /// An error that the hardware reported.
    static CHECK {
        /// CPU that reported it.
        "cpu": Count => maybe,
        /// Bank of registers.
        "bank": Count => maybe,
        /// Status register of the bank.
        "status": Hex => maybe,
        /// Address that the bank recorded.
        "address": Hex => maybe,
        /// `fatal`, `uncorrected` or `corrected`.
        "severity": Text,
        /// What the status says.
        "meaning": Text,
    }

    /// An event of the function tracer's buffer.
    static EVENT {
        /// Time, as the buffer has it, in µs.
        "time_us": Decimal => maybe,
        /// CPU it happened on.
        "cpu": Count => maybe,
        /// Task that ran, with its number: `bash-1068`.
        "task": Text => maybe,
        /// What happened.
        "text": Text,
    }

    /// User space at the time.
    static USER {
        /// Number of the system call.
        "syscall": Null(&Integer),
        /// Its name.
        "name": Null(&Text),
        /// Registers.
        "registers": List(&REGISTERS),
    }

    /// A loaded module.
    static MODULE {
        /// Name.
        "name": Text,
        /// Flags as printed: taints, `+` loading, `-` unloading.
        "flags": Text,
        /// What they say.
        "meaning": TEXTS,
    }

    /// A key that reports of one bug share.
    static SIGNATURE {
        /// Version of the way the key is made.
        "sig_algo": Count,
        /// What it is made of.
        "kind": Text,
        /// The key.
        "key": Text,
    }
}
