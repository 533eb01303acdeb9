//! System calls: their table, and what they are given, as the kernel keeps it for tracing
//! (`SYSCALL_METADATA` in include/linux/syscalls.h; only kernels built with
//! `CONFIG_FTRACE_SYSCALLS` have it).

use crate::{error::Result, kernel::Kernel};

/// An entry of the system call table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemCall {
    /// Its number.
    pub number: usize,
    /// Address of its function.
    pub address: u64,
    /// The function's name; `None` where the entry is no function's address.
    pub name: Option<String>,
}

/// A parameter of a system call, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its type: `const char *`.
    pub ty: String,
    /// Its name: `buf`.
    pub name: String,
}

/// More system calls than any architecture has.
const MAX_SYSTEM_CALLS: u64 = 4096;
/// More than any system call has: the convention ends at six.
const MAX_PARAMETERS: u64 = 6;
/// Longest type or name that is read, in bytes.
const MAX_TEXT: usize = 128;

impl Kernel {
    /// What a system call is called, by the function that the kernel has for it.
    pub fn system_call_name(&self, number: u64) -> Option<String> {
        let target = self.target();
        let table = self.symbol("sys_call_table").ok()?;
        if number >= MAX_SYSTEM_CALLS {
            return None;
        }
        let located = target.locate(target.read_pointer_at(table, number).ok()?)?;
        let (_, name) = located.symbol.name.split_once("sys_")?;
        (located.offset == 0 && name != "ni_syscall").then(|| name.to_owned())
    }

    /// The system call table.
    ///
    /// # Errors
    /// A missing symbol, or the table cannot be read.
    pub fn system_calls(&self) -> Result<Vec<SystemCall>> {
        let target = self.target();
        let table = self.symbol("sys_call_table")?;
        let end = target.kernel().symbols.next(table).map_or(u64::MAX, |next| next.address);
        let count =
            (end.saturating_sub(table) / u64::from(target.pointer_size())).min(MAX_SYSTEM_CALLS);
        let mut calls = Vec::new();
        for number in 0..count {
            let address = target.read_pointer_at(table, number)?;
            if !target.is_text(address) {
                // Padding, or another table whose name kallsyms does not keep.
                break;
            }
            let name = target
                .locate(address)
                .filter(|found| found.offset == 0)
                .map(|found| found.symbol.name.to_owned());
            calls.push(SystemCall { number: number as usize, address, name });
        }
        Ok(calls)
    }

    /// The parameters of the system call whose function is `sys_NAME`.
    ///
    /// # Errors
    /// A missing symbol or member, or a fault.
    pub fn system_call_parameters(&self, name: &str) -> Result<Vec<Parameter>> {
        let (target, shapes) = (self.target(), self.shapes());
        let at = self.symbol(&format!("__syscall_meta__{name}"))?;
        let of = shapes.syscall_metadata.at(target, at);
        let (count, types, names) = (of.parameters()?, of.types()?, of.names()?);
        let text = |list: u64, index: u64| -> Result<String> {
            Ok(target.read_cstr(target.read_pointer_at(list, index)?, MAX_TEXT)?)
        };
        (0..count.min(MAX_PARAMETERS))
            .map(|index| Ok(Parameter { ty: text(types, index)?, name: text(names, index)? }))
            .collect()
    }
}
