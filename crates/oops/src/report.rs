//! What is known of one report: the product of this crate.

use serde::Serialize;

use crate::signature::Signature;
use necropsy_lexicon::{Arch, Symptom};

/// A style of titles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TitleStyle {
    /// As a person would say it.
    #[default]
    Plain,
    /// As the well-known fuzzer's dashboard says it, to compare with.
    Syzkaller,
}

/// One report of a log. Fields that the text does not carry are absent.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Position among the log's reports, from 0.
    pub index: usize,
    /// Nothing went wrong before it, as far as the log tells.
    pub first: bool,
    /// The kind of trouble.
    pub class: Symptom,
    /// What to call it, in the style asked for.
    pub title: String,
    /// Other titles of the same bug, in the style asked for.
    pub alt_titles: Vec<String>,
    /// The type name that goes with the title in the syzkaller style.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The guilty function, generic ones passed over.
    pub frame: Option<String>,
    /// The text is cut, mixed with another's or lacks its head.
    pub corrupted: bool,
    /// Why it is held to be so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupted_why: Option<&'static str>,
    /// The kernel panicked, in this report or later.
    pub panicked: bool,
    /// The log holds noise that explains such reports away.
    pub suppressed: bool,
    /// First line in the input, from 1.
    pub start_line: usize,
    /// Last line in the input, from 1.
    pub end_line: usize,
    /// Time of the first line, in seconds since boot (or as the channel had it).
    pub time: Option<f64>,
    /// CPU it happened on.
    pub cpu: Option<u32>,
    /// Thread that was running.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
    /// Kernel release.
    pub release: Option<String>,
    /// Hardware name, as DMI or the device tree has it.
    pub hardware: Option<String>,
    /// Work item that was running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workqueue: Option<String>,
    /// Architecture, by the names that only its kernel prints.
    #[serde(serialize_with = "family")]
    pub arch: Option<Arch>,
    /// Taint flags.
    pub taint: Vec<Taint>,
    /// The processor's error code, spelled out.
    pub error_code: Option<ErrorCode>,
    /// The address whose access failed.
    pub address: Option<Value>,
    /// The access that failed, as far as the kernel says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The system, if it is not Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<&'static str>,
    /// What the kernel said of it in its own words, line by line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// Where in the source a `BUG` or `WARNING` stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_line: Option<SourceLine>,
    /// The object that was accessed or overwritten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Object>,
    /// Other stacks that the report prints: who allocated an object, who freed it, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<Stack>,
    /// Pointers that are not what they should be, of a corrupted list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pointers: Vec<Mismatch>,
    /// Who does not get on, and for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
    /// The process that was killed for its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub victim: Option<Victim>,
    /// Errors that the hardware reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machine_checks: Vec<MachineCheck>,
    /// The last events of the function tracer's buffer, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// What else the values suggest, such as a flipped bit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Registers at the fault.
    pub registers: Vec<Register>,
    /// Call trace, innermost first.
    pub trace: Vec<Frame>,
    /// Instructions around the trap.
    pub code: Vec<Code>,
    /// What the trapping instruction was about to do.
    pub cause: Option<String>,
    /// The registers that it went by, and their values: those that the address is made of; where it
    /// touches no memory that is known, all that it uses.
    #[serde(skip)]
    pub went_by: Vec<(String, u64)>,
    /// Where user space was.
    pub user: Option<User>,
    /// Modules that were loaded.
    pub modules: Vec<Module>,
    /// Keys for grouping.
    pub signatures: Vec<Signature>,
    /// The report's own lines, prefixes taken off.
    #[serde(skip)]
    pub text: Vec<String>,
    /// Bits of a virtual address, where the text says.
    #[serde(skip)]
    pub(crate) address_bits: Option<u32>,
    /// Titles in both styles.
    #[serde(skip)]
    pub(crate) names: [Names; 2],
}

/// Titles in one style.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) title: String,
    pub(crate) alt: Vec<String>,
    pub(crate) frame: Option<String>,
    /// Why the text is not to be trusted.
    pub(crate) corrupted: Option<&'static str>,
}

impl Report {
    /// The title in a style.
    pub fn title(&self, style: TitleStyle) -> &str {
        &self.names[style as usize].title
    }

    /// The other titles in a style.
    pub fn alt_titles(&self, style: TitleStyle) -> &[String] {
        &self.names[style as usize].alt
    }

    /// The guilty function as a style names it.
    pub fn frame(&self, style: TitleStyle) -> Option<&str> {
        self.names[style as usize].frame.as_deref()
    }

    /// Set what is shown and serialised to a style.
    pub(crate) fn set_style(&mut self, style: TitleStyle) {
        let names = &self.names[style as usize];
        self.title = names.title.clone();
        self.alt_titles = names.alt.clone();
        self.frame = names.frame.clone();
        self.corrupted_why = names.corrupted;
        self.corrupted = names.corrupted.is_some();
        self.kind = match style {
            TitleStyle::Plain => None,
            TitleStyle::Syzkaller => crate::naming::type_of(&names.title),
        };
    }
}

/// A taint flag.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Taint {
    /// As printed.
    pub letter: char,
    /// Bit in `tainted_mask`; none for a distribution's own flag.
    pub bit: Option<u8>,
    /// What it says.
    pub meaning: &'static str,
}

/// A processor's error code.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorCode {
    /// The code.
    #[serde(serialize_with = "hex")]
    pub value: u64,
    /// What its bits say.
    pub meaning: String,
}

/// A value and what it is.
#[derive(Clone, Debug, Serialize)]
pub struct Value {
    /// The value.
    #[serde(serialize_with = "hex")]
    pub value: u64,
    /// What it looks like.
    pub meaning: String,
}

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// `read`, `write`, `execute` or `free`.
    pub kind: &'static str,
    /// How much, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A line of the kernel's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceLine {
    /// File, as the compiler was given it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// An object of an allocator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Where it begins.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub address: Option<u64>,
    /// Its size, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The cache it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Where the access was, in the kernel's words: `52 bytes inside of`, `0 bytes to the right of`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// `freed` or `allocated`, where the kernel says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
}

/// A stack that tells of an earlier time or another task.
#[derive(Clone, Debug, Serialize)]
pub struct Stack {
    /// What happened there, in the kernel's words: `Allocated`, `Freed`, `Last potentially related
    /// work creation`, …
    pub what: String,
    /// The task that did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Call trace, innermost first.
    pub frames: Vec<Frame>,
}

/// A pointer that is not what it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Mismatch {
    /// Which, in the kernel's words: `next->prev`.
    pub what: String,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub expected: Option<u64>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub found: Option<u64>,
    /// What that looks like.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meaning: String,
}

/// Something that does not get on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// For how long, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// For how long, in the kernel's ticks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jiffies: Option<u64>,
    /// CPUs that do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u32>,
    /// Tasks that do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<u32>,
    /// The CPU that noticed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_by: Option<u32>,
}

/// A process that was killed for its memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Victim {
    /// Process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Anonymous memory it held, in KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anon_kib: Option<u64>,
}

/// An error that the hardware reported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MachineCheck {
    /// CPU that reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Bank of registers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank: Option<u32>,
    /// Status register of the bank.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub status: Option<u64>,
    /// Address that the bank recorded.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub address: Option<u64>,
    /// `fatal`, `uncorrected` or `corrected`.
    pub severity: &'static str,
    /// What the status says.
    pub meaning: String,
}

/// An event of the function tracer's buffer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Time, as the buffer has it, in µs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_us: Option<f64>,
    /// CPU it happened on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Task that ran, with its number: `bash-1068`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What happened.
    pub text: String,
}

/// A register.
#[derive(Clone, Debug, Serialize)]
pub struct Register {
    /// Name, as the architecture's manual writes it, in small letters.
    pub name: String,
    /// Value.
    #[serde(serialize_with = "hex")]
    pub value: u64,
    /// What the value is.
    pub meaning: String,
    /// Which argument of a call it carries, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<u8>,
}

/// A stack frame.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Frame {
    /// Function.
    pub function: String,
    /// Offset in it, in bytes.
    pub offset: Option<u64>,
    /// Its size, in bytes.
    pub size: Option<u64>,
    /// Module it belongs to.
    pub module: Option<String>,
    /// Build id, where the text has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Address, where the text has it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "hex_option")]
    pub address: Option<u64>,
    /// The unwinder vouches for it.
    pub reliable: bool,
    /// Stack it lies on: `task`, `irq`, `nmi`, …
    pub stack: &'static str,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// It was inlined into the frame after it.
    pub inlined: bool,
    /// The offset is that of an instruction that ran or trapped, not a return
    /// address.
    #[serde(skip)]
    pub exact: bool,
}

/// One instruction.
#[derive(Clone, Debug, Serialize)]
pub struct Code {
    /// Virtual address; the offset in the function where that is unknown.
    #[serde(serialize_with = "hex")]
    pub address: u64,
    /// Its bytes, in hexadecimal.
    pub bytes: String,
    /// Disassembled.
    pub text: String,
    /// It trapped.
    pub trapping: bool,
    /// Where an instruction begins before the trap is not known: other readings differ here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub doubtful: bool,
}

/// User space at the time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct User {
    /// Number of the system call.
    pub syscall: Option<i64>,
    /// Its name.
    pub name: Option<&'static str>,
    /// Registers.
    pub registers: Vec<Register>,
}

/// A loaded module.
#[derive(Clone, Debug, Serialize)]
pub struct Module {
    /// Name.
    pub name: String,
    /// Flags as printed: taints, `+` loading, `-` unloading.
    pub flags: String,
    /// What they say.
    pub meaning: Vec<&'static str>,
}

fn family<S: serde::Serializer>(arch: &Option<Arch>, serializer: S) -> Result<S::Ok, S::Error> {
    arch.map(Arch::family).serialize(serializer)
}

fn hex<S: serde::Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:#x}"))
}

fn hex_option<S: serde::Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => hex(value, serializer),
        None => serializer.serialize_none(),
    }
}
