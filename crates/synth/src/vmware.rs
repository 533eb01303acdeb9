//! VMware's saved state: groups of tagged values.

use crate::{Buffer, Order};

/// A saved state with one CPU.
#[derive(Debug, Clone, Default)]
pub struct VmwareState {
    /// Regions of memory: first page of the memory file, first frame, pages.
    pub regions: Vec<(u32, u32, u32)>,
    /// Memory, where it is in the state itself.
    pub memory: Option<Vec<u8>>,
    /// Whether memory is marked as compressed.
    pub packed: bool,
    /// The CPU's instruction pointer.
    pub rip: u64,
    /// The CPU's page-table root.
    pub cr3: u64,
}

fn tag(name: &str, indices: &[u32], size: usize) -> Vec<u8> {
    let word = (name.len() << 8 | indices.len() << 6 | size) as u16;
    let mut out = word.to_le_bytes().to_vec();
    out.extend(name.as_bytes());
    indices.iter().for_each(|index| out.extend(index.to_le_bytes()));
    out
}

fn value(name: &str, indices: &[u32], bytes: &[u8]) -> Vec<u8> {
    [tag(name, indices, bytes.len()), bytes.to_vec()].concat()
}

impl VmwareState {
    /// The file.
    pub fn build(&self) -> Vec<u8> {
        let mut memory = value("align_mask", &[0], &0xffffu32.to_le_bytes());
        let count = self.regions.len() as u32;
        memory.extend(value("regionsCount", &[], &count.to_le_bytes()));
        for (index, (page, frame, pages)) in (0u32..).zip(&self.regions) {
            memory.extend(value("regionPageNum", &[index], &page.to_le_bytes()));
            memory.extend(value("regionPPN", &[index], &frame.to_le_bytes()));
            memory.extend(value("regionSize", &[index], &pages.to_le_bytes()));
        }
        if let Some(content) = &self.memory {
            memory.extend(tag("Memory", &[0, 0], if self.packed { 0x3e } else { 0x3f }));
            memory.extend((content.len() as u64).to_le_bytes());
            memory.extend((content.len() as u64).to_le_bytes());
            memory.extend(7u16.to_le_bytes());
            memory.extend([0xee; 7]);
            memory.extend(content);
        }
        memory.extend([0, 0]);
        let mut cpu = value("cpu:numVCPUs", &[], &1u32.to_le_bytes());
        cpu.extend(value("rip", &[0], &self.rip.to_le_bytes()));
        cpu.extend(value("rax", &[0], &0x77u64.to_le_bytes()));
        cpu.extend(value("CR64", &[0, 3], &self.cr3.to_le_bytes()));
        cpu.extend([0, 0]);
        let mut file = Buffer::new(Order::Little);
        file.number(0, 0xbed2_bed2, 4);
        file.number(4, 8, 4);
        file.number(8, 3, 4);
        let mut at = 12 + 3 * 80;
        for (index, (name, group)) in
            [("Checkpoint", vec![0, 0]), ("cpu", cpu), ("memory", memory)].iter().enumerate()
        {
            let header = 12 + index * 80;
            file.put(header, name.as_bytes());
            file.number(header + 64, at as u64, 8);
            file.number(header + 72, group.len() as u64, 8);
            file.put(at, group);
            at += group.len();
        }
        file.bytes
    }
}
