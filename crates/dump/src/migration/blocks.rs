//! Which of QEMU's blocks are the machine's memory, and at which physical addresses they lie: the
//! stream does not say, each kind of machine has its own map (`hw/*/`).

use super::stream::Stream;
use crate::Arch;

/// A piece of a block and its physical address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the block.
    pub(super) block: usize,
    /// Bytes.
    pub(super) offset: u64,
    pub(super) address: u64,
    /// Bytes.
    pub(super) size: u64,
}

/// The machine that was saved.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) arch: Option<Arch>,
    pub(super) big_endian: bool,
    pub(super) places: Vec<Place>,
}

const GIGABYTE: u64 = 1 << 30;

/// Parts of the address space for memory: address and size, in the order in which they fill.
type Map = Vec<(u64, u64)>;

/// The machine's memory; `None` when no block is known to be that.
pub(super) fn arrange(stream: &Stream) -> Option<Machine> {
    // A machine with nodes has a block for each, named by whoever started it.
    let is_node = |name: &str| {
        let name = name.strip_prefix("/objects/").unwrap_or(name);
        name.starts_with("ram-node") || name.starts_with("mem") || name == "ram"
    };
    let is_main = |name: &str| name.ends_with(".ram") && !name.contains("vga");
    let indices = |of: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let named = stream.blocks.iter().enumerate().filter(|(_, block)| of(&block.name));
        named.map(|(index, _)| index).collect()
    };
    let mut memory = indices(&is_main);
    if memory.is_empty() {
        memory = indices(&is_node);
        memory.sort_by(|&a, &b| stream.blocks[a].name.cmp(&stream.blocks[b].name));
    }
    let size: u64 =
        memory.iter().filter_map(|&index| stream.blocks.get(index)).map(|b| b.size).sum();
    let (arch, big_endian, map) = machine(stream, &memory, size)?;
    let mut places = Vec::new();
    let mut parts = map.into_iter();
    let (mut at, mut room) = parts.next()?;
    for block in memory {
        let (mut offset, mut left) = (0, stream.blocks.get(block)?.size);
        while left > 0 {
            if room == 0 {
                (at, room) = parts.next()?;
            }
            let size = left.min(room);
            places.push(Place { block, offset, address: at, size });
            (offset, left) = (offset + size, left - size);
            (at, room) = (at + size, room - size);
        }
    }
    (!places.is_empty()).then_some(Machine { arch, big_endian, places })
}

fn machine(stream: &Stream, memory: &[usize], size: u64) -> Option<(Option<Arch>, bool, Map)> {
    let main = stream.blocks.get(*memory.first()?)?.name.as_str();
    let has = |part: &str| stream.blocks.iter().any(|block| block.name.contains(part));
    let kind = stream.machine.as_str();
    let all = |address| vec![(address, u64::MAX - address)];
    Some(if main == "pc.ram" || kind.starts_with("pc-") || kind == "microvm" || has("pc.bios") {
        (Some(Arch::X86_64), false, pc(kind, size))
    } else if main.starts_with("riscv") || has("riscv_virt") {
        (Some(Arch::Riscv64), false, all(2 * GIGABYTE))
    } else if main.starts_with("s390") || kind.starts_with("s390") {
        (Some(Arch::S390x), true, all(0))
    } else if main.starts_with("ppc") || kind.starts_with("pseries") {
        (Some(Arch::Ppc64), false, all(0))
    } else if main.starts_with("loongarch") {
        (Some(Arch::Loongarch64), false, vec![(0, GIGABYTE / 4), (2 * GIGABYTE, 1 << 62)])
    } else if main.starts_with("mach-virt") || kind.starts_with("virt") {
        (Some(Arch::Aarch64), false, all(GIGABYTE))
    } else {
        return None;
    })
}

/// A PC has a hole for devices below 4 GB; how large depends on the chip set, and on whether memory
/// reaches it at all (`pc_init1`, `pc_q35_init`).
fn pc(kind: &str, size: u64) -> Map {
    let (reaches, low) = match kind.starts_with("pc-q35") || kind == "microvm" {
        true => (0xb000_0000, 2 * GIGABYTE),
        false => (0xe000_0000, 3 * GIGABYTE),
    };
    let low = if size >= reaches { low } else { reaches };
    vec![(0, low), (4 * GIGABYTE, 1 << 62)]
}

#[cfg(test)]
mod tests {
    use super::{super::stream::Block, *};

    fn places(kind: &str, blocks: &[(&str, u64)]) -> Vec<(u64, u64)> {
        let blocks =
            blocks.iter().map(|&(name, size)| Block { name: name.into(), size, mapped: None });
        let stream = Stream { machine: kind.into(), blocks: blocks.collect(), ..Stream::default() };
        let machine = arrange(&stream).unwrap();
        machine.places.iter().map(|place| (place.address, place.size)).collect()
    }

    #[test]
    fn a_pc_has_a_hole_below_4_gb() {
        let g = GIGABYTE;
        assert_eq!(places("pc-q35-7.2", &[("pc.ram", 2 * g)]), [(0, 2 * g)]);
        assert_eq!(places("pc-q35-7.2", &[("pc.ram", 4 * g)]), [(0, 2 * g), (4 * g, 2 * g)]);
        assert_eq!(places("pc-i440fx-7.2", &[("pc.ram", 4 * g)]), [(0, 3 * g), (4 * g, g)]);
        let nodes = [("vga.vram", 16), ("ram-node1", g), ("ram-node0", 2 * g)];
        assert_eq!(places("pc-i440fx-7.2", &nodes), [(0, 2 * g), (2 * g, g)]);
    }
}
