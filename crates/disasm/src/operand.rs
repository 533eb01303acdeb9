//! Memory operands, and where they point given the registers.

use necropsy_lexicon::Reg;

/// A memory operand: `segment:displacement(base, index, scale)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryOperand {
    /// Base register in its full width, if any. The instruction pointer is resolved: the
    /// displacement is then absolute and there is no base.
    pub base: Option<Reg>,
    /// Index register in its full width.
    pub index: Option<Reg>,
    /// How many low bytes of the index count: 8, or 4 that are extended.
    pub index_bytes: u8,
    /// Whether they are extended by their sign.
    pub index_signed: bool,
    /// Factor of the index: 1, 2, 4, 8 or 16.
    pub scale: u8,
    /// Constant part, in two's complement.
    pub displacement: u64,
    /// The register that holds the base of the segment, if that is to be added (`fs_base` and
    /// `gs_base`; other segments are flat).
    pub segment: Option<Reg>,
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

impl MemoryOperand {
    /// The name of the segment, as instructions have it: `gs`.
    pub fn segment_name(&self) -> Option<&'static str> {
        self.segment.map(|base| base.name().trim_end_matches("_base"))
    }
}

/// The virtual address of an operand. `regs` gives the value of a register, those that hold bases
/// of segments included. `None` if it does not know one that is needed.
pub fn effective_address(
    operand: &MemoryOperand,
    regs: &mut dyn FnMut(Reg) -> Option<u64>,
) -> Option<u64> {
    let mut address = operand.displacement;
    if let Some(base) = operand.base {
        address = address.wrapping_add(regs(base)?);
    }
    if let Some(index) = operand.index {
        let mut index = regs(index)?;
        if operand.index_bytes < 8 {
            let unused = 64 - u32::from(operand.index_bytes.max(1)) * 8;
            index <<= unused;
            index = match operand.index_signed {
                true => ((index as i64) >> unused) as u64,
                false => index >> unused,
            };
        }
        address = address.wrapping_add(index.wrapping_mul(operand.scale.into()));
    }
    if operand.address_bytes < 8 {
        address &= (1u64 << (u32::from(operand.address_bytes) * 8)) - 1;
    }
    if let Some(segment) = operand.segment {
        address = address.wrapping_add(regs(segment)?);
    }
    Some(address)
}
