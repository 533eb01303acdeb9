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
        let lookup = Lookup { kernel: self };
        if lookup.symbol("prb").is_ok() {
            lockless::read(&lookup)
        } else if lookup.symbol("log_first_idx").is_ok() {
            structured::read(&lookup)
        } else {
            bytes::read(&lookup)
        }
    }
}

/// Where the log's parts lie: the kernel's types, else VMCOREINFO, which describes just these.
struct Lookup<'k> {
    kernel: &'k Kernel,
}

impl Lookup<'_> {
    /// A variable. VMCOREINFO comes first: it means the log's own `log_buf` where the kernel has
    /// a second variable of that name (kernel/bpf/verifier.c, 3.18 to 4.14).
    fn symbol(&self, name: &str) -> Result<u64> {
        let info = self.kernel.target().vmcoreinfo();
        info.and_then(|info| info.symbol(name)).map_or_else(|| self.kernel.symbol(name), Ok)
    }

    /// Bytes from the start of a structure to one of its members.
    fn offset(&self, tag: &str, member: &str) -> Result<usize> {
        let info = self.kernel.target().vmcoreinfo();
        self.kernel
            .offset_of(tag, member)
            .or_else(|error| info.and_then(|i| i.offset(&format!("{tag}.{member}"))).ok_or(error))
            .and_then(|offset| sane(offset, tag))
    }

    /// Bytes of a structure.
    fn size(&self, tag: &str) -> Result<usize> {
        let target = self.kernel.target();
        let size = target.struct_size(tag).or_else(|| target.vmcoreinfo()?.size(tag));
        size.filter(|size| *size > 0).ok_or_else(|| Error::no_type(tag)).and_then(|s| sane(s, tag))
    }

    /// The bytes of a structure in memory.
    fn read(&self, tag: &str, address: u64) -> Result<Vec<u8>> {
        Ok(self.kernel.target().read_bytes(address, self.size(tag)? as u64)?)
    }
}

/// VMCOREINFO's numbers come from the dump: none of the log's structures is larger than a page.
fn sane(number: u64, tag: &str) -> Result<usize> {
    match usize::try_from(number) {
        Ok(number) if number <= 4096 => Ok(number),
        _ => Err(Error::corrupt(format!("{number} is no size or offset of struct {tag}"))),
    }
}

/// A `char` array up to its NUL; `None` when it is empty.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|&byte| byte == 0).next().filter(|text| !text.is_empty())?;
    Some(String::from_utf8_lossy(text).into_owned())
}
