//! Memory operands, and where they point given the registers.

/// A memory operand: `segment:displacement(base, index, scale)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOperand {
    /// Base register by its full name (`rax`), if any. The instruction pointer is resolved: the
    /// displacement is then absolute and there is no base.
    pub base: Option<&'static str>,
    /// Index register by its full name.
    pub index: Option<&'static str>,
    /// Factor of the index: 1, 2, 4 or 8.
    pub scale: u8,
    /// Constant part, in two's complement.
    pub displacement: u64,
    /// `fs` or `gs`: their base address is to be added. Other segments are flat.
    pub segment: Option<&'static str>,
    /// Width of the address in bytes: the sum wraps there.
    pub address_bytes: u8,
    /// Bytes accessed; 0 if not fixed (`fxsave`, `rep` strings) or if nothing is accessed (`lea`
    /// and prefetches are not listed at all).
    pub size_bytes: u32,
    /// Whether it is read.
    pub read: bool,
    /// Whether it is written.
    pub write: bool,
}

/// The virtual address of an operand. `regs` gives the value of a register by its full name;
/// for the bases of segments it is asked for `fs_base` and `gs_base`. `None` if it does not know
/// one that is needed.
pub fn effective_address(
    operand: &MemoryOperand,
    regs: &dyn Fn(&str) -> Option<u64>,
) -> Option<u64> {
    let mut address = operand.displacement;
    if let Some(base) = operand.base {
        address = address.wrapping_add(regs(base)?);
    }
    if let Some(index) = operand.index {
        address = address.wrapping_add(regs(index)?.wrapping_mul(operand.scale.into()));
    }
    if operand.address_bytes < 8 {
        address &= (1u64 << (u32::from(operand.address_bytes) * 8)) - 1;
    }
    match operand.segment {
        Some("fs") => address = address.wrapping_add(regs("fs_base")?),
        Some("gs") => address = address.wrapping_add(regs("gs_base")?),
        _ => {}
    }
    Some(address)
}
