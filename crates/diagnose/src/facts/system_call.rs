//! The system call that a task was in, and what it was given: descriptors by their files, texts as
//! they stand in the caller's memory.

use necropsy_linux::{syscall::Parameter, task::Task};
use necropsy_machine::{Target, regs::Regs};

/// Registers that are shown where the parameters are not known.
const UNKNOWN: usize = 3;
/// Bytes of a text that are shown.
const MAX_TEXT: usize = 40;
/// Of the current directory, in place of a descriptor (include/uapi/linux/fcntl.h).
const AT_FDCWD: i32 = -100;

/// `write (fd 3: /proc/crashme, buf 7fff9ff9ef94: "null", count 4)`; `None` when `regs`, with which
/// the task entered the kernel, are not those of a system call.
pub(super) fn describe(task: Task<'_>, regs: &Regs) -> Option<String> {
    let kernel = task.kernel();
    let (abi, architecture) = (kernel.target().abi(), kernel.target().architecture());
    let number = architecture.system_call(regs)? as i64;
    if !(0..4096).contains(&number) {
        return None;
    }
    let of_kernel = kernel.system_call_name(number as u64);
    let known = necropsy_oops::syscall_name(abi.arch, number).map(str::to_owned);
    let parameters = of_kernel
        .as_ref()
        .or(known.as_ref())
        .and_then(|name| kernel.system_call_parameters(name).ok());
    let value = |index: usize| regs.get(*abi.system_call_arguments.get(index)?);
    let arguments: Vec<String> = match &parameters {
        Some(parameters) => {
            let values: Vec<Option<u64>> = (0..parameters.len()).map(value).collect();
            let of = Arguments { task, parameters, values: &values };
            (0..parameters.len()).filter_map(|index| of.describe(index)).collect()
        }
        // How many of them the call takes is not known, nor what they mean.
        None => {
            let registers = abi.system_call_arguments.iter().take(UNKNOWN);
            registers.filter_map(|reg| Some(format!("{reg} {:#x}", regs.get(*reg)?))).collect()
        }
    };
    let name = known.or(of_kernel).unwrap_or_else(|| format!("number {number}"));
    Some(format!("{name} ({})", arguments.join(", ")))
}

struct Arguments<'a> {
    task: Task<'a>,
    parameters: &'a [Parameter],
    values: &'a [Option<u64>],
}

impl Arguments<'_> {
    fn describe(&self, index: usize) -> Option<String> {
        let value = *self.values.get(index)?;
        let Parameter { ty, name } = self.parameters.get(index)?;
        let Some(value) = value else { return Some(format!("{name} ?")) };
        if ty.contains('*') {
            // What the call is to write there may be anything as yet.
            let text = if ty.contains("const char *") { self.text(index, value) } else { None };
            return Some(match text {
                Some(text) => format!("{name} {value:x}: {text}"),
                None => format!("{name} {value:x}"),
            });
        }
        // What the call does not take of the register is left over from before.
        let narrow = matches!(ty.as_str(), "int" | "unsigned int" | "pid_t" | "umode_t");
        let number = match (narrow, ty.starts_with("unsigned") || ty == "size_t") {
            (true, true) => i64::from(value as u32),
            (true, false) => i64::from(value as i32),
            (false, _) => value as i64,
        };
        if narrow && name.ends_with("fd") {
            let file = if number as i32 == AT_FDCWD {
                Some("the current directory".to_owned())
            } else {
                self.file(value & u64::from(u32::MAX))
            };
            return Some(match file {
                Some(file) => format!("{name} {}: {file}", number as i32),
                None => format!("{name} {}", number as i32),
            });
        }
        let bits = name.ends_with("flags") || matches!(name.as_str(), "prot" | "cmd");
        let plain = narrow || matches!(ty.as_str(), "size_t" | "loff_t" | "off_t" | "long");
        Some(match ty.as_str() {
            "umode_t" => format!("{name} {number:#o}"),
            "int" | "unsigned int" if bits => format!("{name} {:#x}", value as u32),
            _ if plain => format!("{name} {number}"),
            _ => format!("{name} {value:#x}"),
        })
    }

    fn file(&self, fd: u64) -> Option<String> {
        let (files, _) = self.task.open_files().ok()?;
        let file = files.iter().find(|file| file.fd == fd)?;
        self.task.kernel().name_of_file(file.file).ok()
    }

    /// The text at user address `at`, in quotes, if it is one: up to its NUL, or for as long as the
    /// parameter behind it says.
    fn text(&self, index: usize, at: u64) -> Option<String> {
        let length = self.parameters.get(index + 1).zip(self.values.get(index + 1)).and_then(
            |(Parameter { name, .. }, value)| {
                matches!(name.as_str(), "count" | "len" | "size" | "bufsiz").then_some(*value)?
            },
        );
        let root = self.task.page_table().ok()?;
        let bytes = read_user(self.task.kernel().target(), root, at, MAX_TEXT + 1);
        let most = length.map_or(bytes.len(), |length| bytes.len().min(length as usize));
        let nul = bytes.iter().take(most).position(|byte| *byte == 0);
        let bytes = bytes.get(..nul.unwrap_or(most).min(MAX_TEXT))?;
        // The last character may be cut.
        let text = match std::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
            }
            text => text.ok()?,
        };
        if text.is_empty() || text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            return None;
        }
        let shown: String = text.chars().flat_map(char::escape_debug).collect();
        let end = nul.map(|end| end as u64).or(length);
        let more = if end == Some(text.len() as u64) { "" } else { "..." };
        Some(format!("\"{shown}\"{more}"))
    }
}

/// As many bytes from user address `at` on, up to `most`, as can be read.
fn read_user(target: &Target, root: u64, at: u64, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; most];
    if target.read_user(root, at, &mut bytes).is_ok() {
        return bytes;
    }
    // It ends where its page does, or does not begin.
    let page = 1u64 << target.page_shift();
    bytes.truncate(most.min((page - at % page) as usize));
    match target.read_user(root, at, &mut bytes) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
