//! Whose a place in per-CPU memory is (mm/percpu.c).

use std::sync::OnceLock;

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

/// The template of the variables, and the bytes that each CPU has from its own on.
#[derive(Clone, Copy)]
struct Area {
    start: u64,
    end: u64,
    unit: u64,
}

#[derive(Default)]
struct FirstChunk(OnceLock<Option<Area>>);

/// No CPU's unit is larger, in bytes.
const MAX_UNIT: u64 = 1 << 30;

impl Kernel {
    /// The place in the first chunk of per-CPU memory that an address is, if it is one.
    pub fn per_cpu_place(&self, address: u64) -> Option<PerCpuPlace> {
        let area = (*self.memo::<FirstChunk>().0.get_or_init(|| self.first_chunk()))?;
        (0u32..).zip(self.per_cpu_offsets()).find_map(|(cpu, offset)| {
            // A CPU's offset leads from the template of the variables to its own.
            let into = address.wrapping_sub(area.start.wrapping_add(*offset));
            if into >= area.unit {
                return None;
            }
            let template = area.start.wrapping_add(into);
            let variable = (template < area.end).then(|| self.per_cpu_variable(template)).flatten();
            let offset = variable.as_ref().map_or(into, |(_, offset)| *offset);
            Some(PerCpuPlace { cpu, symbol: variable.map(|(name, _)| name), offset })
        })
    }

    fn first_chunk(&self) -> Option<Area> {
        let target = self.target();
        let start = target.address_of("__per_cpu_start")?;
        let end = target.address_of("__per_cpu_end")?;
        let symbol = |name| self.symbol(name).ok();
        let base = symbol("pcpu_base_addr").and_then(|at| target.read_pointer(at).ok());
        let unit = symbol("pcpu_unit_size").and_then(|at| target.read_u32(at).ok());
        let unit = unit.map(u64::from).filter(|unit| (1..=MAX_UNIT).contains(unit));
        // Behind the variables a CPU has more, once the kernel laid them out.
        let unit = unit.filter(|_| base.is_some_and(|base| base != 0));
        let unit = unit.unwrap_or(end.saturating_sub(start));
        Some(Area { start, end, unit })
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
