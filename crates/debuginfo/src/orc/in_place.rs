//! Single rules out of tables that stay where they are.

use std::cmp::Ordering;

use super::{ENTRY, MAX_ALIASES, OrcEntry, OrcError, OrcFormat, OrcKind};
use crate::bytes::Bytes;

/// ORC tables in memory, searched where they lie: a lookup touches a score of pages, where
/// [`super::Orc`] needs all thousand of vmlinux's. The tables must be sorted (vmlinux since Linux
/// 5.6, modules always).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrcInPlace {
    /// Virtual address of `__start_orc_unwind_ip` or `module.arch.orc_unwind_ip`.
    pub ips: u64,
    /// Virtual address of `__start_orc_unwind` or `module.arch.orc_unwind`.
    pub entries: u64,
    /// How many rules there are.
    pub count: u64,
    /// How to read them.
    pub format: OrcFormat,
}

impl OrcInPlace {
    /// The instruction address of rule `index`.
    fn ip(&self, mem: &dyn Bytes, index: u64) -> Result<u64, OrcError> {
        let address = self.ips.wrapping_add(index * 4);
        let mut distance = [0; 4];
        if !mem.read(address, &mut distance) {
            return Err(OrcError::Unreadable { address });
        }
        Ok(address.wrapping_add_signed(i32::from_le_bytes(distance).into()))
    }

    fn entry(&self, mem: &dyn Bytes, index: u64) -> Result<OrcEntry, OrcError> {
        let address = self.entries.wrapping_add(index * ENTRY as u64);
        let mut raw = [0; ENTRY];
        if !mem.read(address, &mut raw) {
            return Err(OrcError::Unreadable { address });
        }
        Ok(self.format.decode(raw))
    }

    /// The rule for the instruction at `pc`, as [`super::Orc::lookup`].
    ///
    /// # Errors
    /// When a part of the tables that it needs cannot be read, or is seen not to be sorted.
    pub fn lookup(&self, mem: &dyn Bytes, pc: u64) -> Result<Option<OrcEntry>, OrcError> {
        // The tables fill no more memory than there is address space beyond their start.
        let count = self.count.min(u64::from(u32::MAX));
        let (mut low, mut high) = (0, count);
        // What is known of the rules around: below `low` and at `high`.
        let (mut before, mut after) = (0, u64::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            let ip = self.ip(mem, middle)?;
            if ip < before || ip > after {
                return Err(OrcError::Unsorted { address: self.ips.wrapping_add(middle * 4) });
            }
            match ip.cmp(&pc) {
                Ordering::Greater => (high, after) = (middle, ip),
                _ => (low, before) = (middle + 1, ip),
            }
        }
        let Some(rightmost) = low.checked_sub(1) else { return Ok(None) };
        let entry = self.entry(mem, rightmost)?;
        if entry.kind != OrcKind::Undefined {
            return Ok(Some(entry));
        }
        // The end of a section is weak against a real rule of the same address.
        for index in (rightmost.saturating_sub(MAX_ALIASES as u64)..rightmost).rev() {
            if self.ip(mem, index)? != before {
                break;
            }
            let other = self.entry(mem, index)?;
            if other.kind != OrcKind::Undefined {
                return Ok(Some(other));
            }
        }
        Ok(Some(entry))
    }
}
