//! The kernel's log: one record type for the three ways in which kernels have kept it.

mod audit;
mod bytes;
mod lockless;
mod safe;
mod structured;

pub use audit::AuditMessage;
pub use safe::SafeBuffer;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    shape::Structure,
    shapes::{Field, Form},
    span::Numbers,
};

/// The largest log that is believed, in bytes: kernels allow `log_buf_len=` up to 2 GiB, machines
/// use a few megabytes.
const MAX_RING: u64 = 256 << 20;

/// Who wrote a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The task with that thread id.
    Task(u32),
    /// That CPU, outside of any task.
    Cpu(u32),
}

impl Caller {
    /// From `caller_id`: bit 31 tells a CPU from a thread id.
    fn from_id(id: u32) -> Caller {
        const CPU: u32 = 1 << 31;
        if id & CPU == 0 { Caller::Task(id) } else { Caller::Cpu(id & !CPU) }
    }
}

/// `T147`, `C0`: as the kernel prints it.
impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Caller::Task(pid) => write!(f, "T{pid}"),
            Caller::Cpu(cpu) => write!(f, "C{cpu}"),
        }
    }
}

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Number of the message since boot; in a log kept as plain text, of the line in the buffer.
    pub seq: u64,
    /// When, in ns of the CPU's clock since boot; `None` where a plain-text line carries no time.
    pub time_ns: Option<u64>,
    /// 0 (emergency) to 7 (debug); `None` where a plain-text line carries none.
    pub level: Option<u8>,
    /// syslog facility; 0 is the kernel.
    pub facility: u8,
    /// Who wrote it, where the kernel notes that.
    pub caller: Option<Caller>,
    /// It goes on where the record before it ended (`LOG_CONT`).
    pub continuation: bool,
    /// What it says, without the final line end; may hold line ends.
    pub text: String,
    /// `SUBSYSTEM=` of the device that it is about.
    pub subsystem: Option<String>,
    /// `DEVICE=`, with its kind in front: `+acpi:PNP0A03:00`, `b8:0`.
    pub device: Option<String>,
    /// Why there is no text, when it could not be had.
    pub fault: Option<Error>,
}

/// The log, oldest message first.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Its messages.
    pub records: Vec<Record>,
    /// What is damaged or missing.
    pub errors: Vec<Error>,
}

const LOG_CONT: u8 = 8;

impl Kernel {
    /// The kernel's log, in whichever format this kernel keeps it. Needs no types: VMCOREINFO's
    /// description of the log does where there are none.
    ///
    /// # Errors
    /// When not even the log's buffer can be found.
    pub fn log(&self) -> Result<Log> {
        match self.shapes().log_variables.log.form() {
            Some(Form::Ring) => lockless::read(self),
            Some(Form::Records) => structured::read(self),
            _ => bytes::read(self),
        }
    }
}

/// Bytes from the start of one of the log's structures to a member.
fn offset(field: &Field) -> Result<usize> {
    sane(field.offset()?)
}

/// Bytes of one of the log's structures.
fn size(structure: &Structure) -> Result<usize> {
    sane(structure.size()?)
}

/// VMCOREINFO's numbers come from the dump: none of the log's structures is larger than a page.
fn sane(number: u64) -> Result<usize> {
    match usize::try_from(number) {
        Ok(number) if number <= 4096 => Ok(number),
        _ => Err(Error::corrupt(format!("{number} is no size or offset in the log"))),
    }
}

/// The level and the flags of a byte that has five bits of flags, then three of level, in the order
/// of the machine's bit-fields.
fn level_and_flags(numbers: Numbers, byte: u8) -> (u8, u8) {
    match numbers.big_endian() {
        true => (byte & 7, byte >> 3),
        false => (byte >> 5, byte & 0x1f),
    }
}

/// A `char` array up to its NUL; `None` when it is empty.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|&byte| byte == 0).next().filter(|text| !text.is_empty())?;
    Some(String::from_utf8_lossy(text).into_owned())
}
