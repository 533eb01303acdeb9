//! The machine below the kernel (arch/x86): what `mach` shows beside [`crate::system`].

use necropsy_debuginfo::{Kind, Type};

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

/// More ranges than a table has room for (E820_MAX_ENTRIES).
const MAX_RANGES: u64 = 8192;

/// A range of physical memory, as the firmware described it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryRange {
    /// First physical address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// The kernel's name for its kind (`E820_TYPE_RAM`), or the number.
    pub kind: String,
}

impl Kernel {
    /// The firmware's map of physical memory (`e820_table`), as the kernel corrected it.
    ///
    /// # Errors
    /// A fault, or a missing symbol or type.
    pub fn memory_map(&self) -> Result<Vec<MemoryRange>> {
        let (target, shapes) = (self.target(), self.shapes());
        let table = target.read_pointer(self.symbol("e820_table")?)?;
        let size = shapes.e820_entry.sizeof()?;
        let count = shapes.e820_table.count.read(target, table)?;
        if count > MAX_RANGES {
            return Err(Error::corrupt(format!("e820_table {table:x} has {count} entries")));
        }
        let first = shapes.e820_table.entries.address(table)?;
        (0..count)
            .map(|index| {
                let at = first.wrapping_add(index * size);
                let entry = shapes.e820_entry.at(target, at);
                let (start, size) = (entry.address()?, entry.size()?);
                let kind = self.memory_kind(entry.kind()?);
                Ok(MemoryRange { start, end: start.saturating_add(size), kind })
            })
            .collect()
    }

    fn memory_kind(&self, kind: u64) -> String {
        let types = self.types();
        let name = types.find(Kind::Enum, "e820_type").and_then(|id| match types.resolve(id) {
            Type::Enum { values, .. } => {
                values.iter().find(|value| value.value as u64 == kind).map(|v| types.name(v.name))
            }
            _ => None,
        });
        name.map_or_else(|| format!("type {kind}"), str::to_owned)
    }

    /// The hypervisor that the kernel found itself on, `None` on bare metal.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn hypervisor(&self) -> Result<Option<String>> {
        let target = self.target();
        let kind = target.read_u32(self.symbol("x86_hyper_type")?)?;
        if kind == 0 {
            return Ok(None);
        }
        let types = self.types();
        let name = types
            .find(Kind::Enum, "x86_hypervisor_type")
            .and_then(|id| match types.resolve(id) {
                Type::Enum { values, .. } => values.iter().find(|v| v.value == i64::from(kind)),
                _ => None,
            })
            .map(|value| types.name(value.name).trim_start_matches("X86_HYPER_"));
        Ok(Some(name.map_or_else(|| format!("type {kind}"), |name| name.replace('_', " "))))
    }

    /// Where modules may lie: the first virtual address behind the kernel's own image.
    pub fn modules_base(&self) -> u64 {
        self.target().modules_base()
    }
}
