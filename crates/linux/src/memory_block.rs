//! Blocks of memory that go online and offline as one (drivers/base/memory.c).

use std::ops::Range;

use necropsy_debuginfo::Type;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    xarray,
};

/// A block of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBlock {
    /// Virtual address of its `struct memory_block`.
    pub address: u64,
    /// Its name in sysfs: `memory0`.
    pub name: String,
    /// Its physical addresses.
    pub memory: Range<u64>,
    /// Its memory node, if the kernel keeps that.
    pub node: Option<i64>,
    /// `ONLINE`, `GOING_OFFLINE` and so on, as the kernel calls it without `MEM_`; a number if it has
    /// no name.
    pub state: String,
    /// Number of its first section.
    pub first_section: u64,
}

/// The states by their bits, in kernels that have no type for them (include/linux/memory.h).
const STATES: [&str; 6] =
    ["ONLINE", "GOING_OFFLINE", "OFFLINE", "GOING_ONLINE", "CANCEL_ONLINE", "CANCEL_OFFLINE"];
/// Longest name that is read, in bytes.
const MAX_NAME: usize = 32;

impl Kernel {
    /// All blocks of memory, and what could not be read.
    ///
    /// # Errors
    /// The kernel has none: it cannot add or remove memory, or keeps no table of them (before 5.8).
    pub fn memory_blocks(&self) -> Result<(Vec<MemoryBlock>, Vec<Error>)> {
        let variables = &self.shapes().memory_variables;
        let table = variables.memory_blocks.address()?;
        let at = variables.sections_per_block.address()?;
        let sections = u64::from(self.target().read_u32(at)?);
        let (mut blocks, mut errors) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        let visit = &mut |_, block| found.push(block);
        xarray::for_each(self, table, visit, &mut |error| errors.push(error))?;
        for block in found {
            match self.memory_block(block, sections) {
                Ok(block) => blocks.push(block),
                Err(error) => errors.push(error),
            }
        }
        Ok((blocks, errors))
    }

    fn memory_block(&self, address: u64, sections: u64) -> Result<MemoryBlock> {
        let (target, shape) = (self.target(), &self.shapes().memory_block);
        let block = shape.at(target, address);
        let (first_section, state) = (block.first_section()?, block.state()?);
        let at = |section: u64| section.saturating_mul(1 << self.section_bits());
        Ok(MemoryBlock {
            address,
            name: target.read_cstr(block.name()?, MAX_NAME)?,
            memory: at(first_section)..at(first_section.saturating_add(sections)),
            node: block.signed(|block| &block.node).ok(),
            state: self.state_of_block(state),
            first_section,
        })
    }

    fn state_of_block(&self, state: u64) -> String {
        let types = self.types();
        let ty = self.shapes().memory_block.state.ty().ok();
        let name = match ty.map(|ty| types.resolve(ty)) {
            Some(Type::Enum { values, .. }) => {
                let value = values.iter().find(|value| value.value as u64 == state);
                value.map(|value| types.name(value.name).trim_start_matches("MEM_"))
            }
            _ if state.is_power_of_two() => STATES.get(state.trailing_zeros() as usize).copied(),
            _ => None,
        };
        name.map_or_else(|| format!("{state:#x}"), str::to_owned)
    }
}
