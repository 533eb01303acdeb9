//! Kprobes (kernel/kprobes.c): instructions that somebody had replaced while the kernel ran.

use std::{ops::Range, sync::OnceLock};

use crate::{Kernel, hlist::hlist};

/// An instruction that a probe was put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kprobe {
    /// Its address.
    pub address: u64,
    /// The bytes that stood there, as many as were replaced: one by a trap, or several by a jump.
    pub original: Vec<u8>,
}

impl Kprobe {
    /// The addresses of the bytes that were replaced.
    pub fn range(&self) -> Range<u64> {
        self.address..self.address.saturating_add(self.original.len() as u64)
    }
}

#[derive(Debug, Default)]
struct Known(OnceLock<Vec<Kprobe>>);

/// KPROBE_TABLE_SIZE of lists.
const LISTS: u64 = 64;
/// Probes of one list that are believed.
const MOST: usize = 1 << 14;

impl Kernel {
    /// The probes, as far as their table can be followed, ascending by address.
    pub fn kprobes(&self) -> &[Kprobe] {
        self.memo::<Known>().0.get_or_init(|| self.find_kprobes())
    }

    fn find_kprobes(&self) -> Vec<Kprobe> {
        let (shapes, target) = (self.shapes(), self.target());
        let (Ok(table), Ok(link)) =
            (shapes.kprobe_variables.table.address(), shapes.kprobe.link.offset())
        else {
            return Vec::new();
        };
        let heads =
            (0..LISTS).map(|list| table.wrapping_add(list * u64::from(target.pointer_size())));
        let entries = heads.flat_map(|head| hlist(target, head).take(MOST).flatten());
        let mut probes: Vec<Kprobe> =
            entries.filter_map(|entry| self.kprobe(entry.wrapping_sub(link))).collect();
        probes.sort_unstable_by_key(|probe| probe.address);
        probes
    }

    fn kprobe(&self, at: u64) -> Option<Kprobe> {
        let (shapes, target) = (self.shapes(), self.target());
        let address = shapes.kprobe.address.read(target, at).ok()?;
        let opcode = &shapes.kprobe.opcode;
        let mut original = target.read_bytes(opcode.address(at).ok()?, opcode.size().ok()?).ok()?;
        // What a trap is replaced by where that can be: a jump, whose operand lies behind its
        // opcode.
        let now = target.read_bytes(address, 1).ok()?;
        if now != [TRAP]
            && original.len() == 1
            && now != original
            && let Ok(rest) = shapes.optimized_kprobe.copied.address(at)
            && let Ok(size) = shapes.optimized_kprobe.copied.size()
        {
            original.extend(target.read_bytes(rest, size.min(8)).ok()?);
        }
        Some(Kprobe { address, original })
    }
}

/// `int3`
const TRAP: u8 = 0xcc;
