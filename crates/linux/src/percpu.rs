//! Whose a place in per-CPU memory is (mm/percpu.c).

use necropsy_machine::scope::Scope;

use crate::Kernel;

/// A place in the per-CPU memory of a CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerCpuPlace {
    /// The CPU.
    pub cpu: u32,
    /// The variable; `None` for memory that was allocated.
    pub symbol: Option<String>,
    /// Bytes into the variable; of allocated memory, into the CPU's unit.
    pub offset: u64,
}

/// No CPU's unit is larger, in bytes.
const MAX_UNIT: u64 = 1 << 30;

impl Kernel {
    /// The place in the first chunk of per-CPU memory that an address is, if it is one.
    pub fn per_cpu_place(&self, address: u64) -> Option<PerCpuPlace> {
        let target = self.target();
        let pointer = |name| target.read_pointer(self.symbol(name).ok()?).ok();
        let number = |name| {
            let value = u64::from(target.read_u32(self.symbol(name).ok()?).ok()?);
            (1..=MAX_UNIT).contains(&value).then_some(value)
        };
        let start = target.address_of("__per_cpu_start")?;
        let end = target.address_of("__per_cpu_end")?;
        let base = pointer("pcpu_base_addr").filter(|base| *base != 0);
        let unit = number("pcpu_unit_size").unwrap_or_else(|| end.saturating_sub(start));
        (0u32..).zip(self.per_cpu_offsets()).find_map(|(cpu, offset)| {
            // A CPU's offset leads from the template of the variables to its own.
            let first = start.wrapping_add(*offset);
            let into = address.wrapping_sub(first);
            if into >= unit || (base.is_none() && into >= end.wrapping_sub(start)) {
                return None;
            }
            let template = start.wrapping_add(into);
            let variable = (template < end).then(|| self.per_cpu_variable(template)).flatten();
            let offset = variable.as_ref().map_or(into, |(_, offset)| *offset);
            Some(PerCpuPlace { cpu, symbol: variable.map(|(name, _)| name), offset })
        })
    }

    /// The variable at a place of the template, and the bytes into it.
    fn per_cpu_variable(&self, template: u64) -> Option<(String, u64)> {
        if let Some(found) = self.symbolize(template) {
            return Some(found);
        }
        // Where they are linked at zero, no address leads to them.
        let symbol = self.target().kernel().symbols.absolute(template)?;
        let offset = template.checked_sub(symbol.address)?;
        let ty = self.symbol_type(&symbol).and_then(|ty| self.types().size_of(ty));
        let size = ty.filter(|size| *size > 0).unwrap_or(symbol.size.max(1));
        (offset < size).then(|| (symbol.name.to_owned(), offset))
    }
}
