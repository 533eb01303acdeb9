//! The tagged values of a saved state: name, up to three indices, a small value or a block.

use std::collections::BTreeMap;

use crate::{CpuState, bytes::Fields, image::Image, segments::Load};

/// Header: magic, version, number of groups, 4 bytes each; a group: name 64, position 8, size 8.
const HEADER: u64 = 12;
const GROUP: usize = 80;
const GROUPS: u32 = 4096;
const TAGS: usize = 1 << 20;
/// Value sizes that mean a block, and a packed one.
const BLOCK: u16 = 0x3f;
const PACKED_BLOCK: u16 = 0x3e;
const CPUS: u32 = 8192;

/// Pages `page..page + count` of the memory file are frames from `frame` on.
#[derive(Debug, Clone, Copy, Default)]
struct Region {
    page: u64,
    frame: u64,
    count: u64,
}

/// What is needed of a saved state.
#[derive(Debug, Default)]
pub(super) struct State {
    regions: BTreeMap<u32, Region>,
    /// File offset and size in bytes, where memory is in this very file.
    pub(super) memory: Option<(u64, u64)>,
    pub(super) is_packed: bool,
    pub(super) cpus: Vec<CpuState>,
}

/// A tag with its value.
struct Tag<'a> {
    name: &'a str,
    indices: [u32; 3],
    value: Value<'a>,
}

enum Value<'a> {
    Small(&'a [u8]),
    Block { offset: u64, size: u64, packed: bool },
}

impl State {
    /// Reads the groups `memory` and `cpu`; `None` when there are none.
    pub(super) fn parse(image: &Image) -> Option<State> {
        let head = image.get(0, HEADER as usize)?;
        let count = Fields::new(&head, false).u32(8)?.min(GROUPS);
        let mut state = State::default();
        let mut cpus = BTreeMap::new();
        let mut found = false;
        for index in 0..u64::from(count) {
            let Some(group) = image.get(HEADER + index * GROUP as u64, GROUP) else { break };
            let fields = Fields::new(&group, false);
            let name = fields.string(0, 64);
            let Some(position) = fields.u64(64) else { break };
            match name.as_str() {
                "memory" => {
                    found = true;
                    for_each_tag(image, position, |tag| state.memory_tag(tag));
                }
                "cpu" => for_each_tag(image, position, |tag| cpu_tag(&mut cpus, image, tag)),
                _ => {}
            }
        }
        state.cpus = cpus.into_values().collect();
        found.then_some(state)
    }

    fn memory_tag(&mut self, tag: &Tag<'_>) {
        match (tag.name, &tag.value) {
            ("Memory", &Value::Block { offset, size, packed }) => {
                self.memory = Some((offset, size));
                self.is_packed = packed;
            }
            (name, Value::Small(bytes)) => {
                let Some(number) = Fields::new(bytes, false).u32(0).map(u64::from) else { return };
                if self.regions.len() > 256 {
                    return;
                }
                let region = self.regions.entry(tag.indices[0]);
                match name {
                    "regionPageNum" => region.or_default().page = number,
                    "regionPPN" => region.or_default().frame = number,
                    "regionSize" => region.or_default().count = number,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Where memory lies; all of it from address 0 on where there are no regions.
    pub(super) fn loads(&self, offset: u64, size: u64, page_size: u64) -> Vec<Load> {
        let load = |page: u64, frame: u64, bytes: u64| Load {
            offset: offset.saturating_add(page * page_size),
            address: frame * page_size,
            file_size: bytes,
            memory_size: bytes,
        };
        let regions = self.regions.values().filter(|region| region.count > 0);
        let loads: Vec<Load> =
            regions.map(|r| load(r.page, r.frame, r.count * page_size)).collect();
        if loads.is_empty() { vec![load(0, 0, size)] } else { loads }
    }
}

/// The CPU's registers come one by one in older states, and in blocks in newer ones.
fn cpu_tag(cpus: &mut BTreeMap<u32, CpuState>, image: &Image, tag: &Tag<'_>) {
    let [cpu, part, _] = tag.indices;
    if cpu >= CPUS {
        return;
    }
    /// In the order of the block, by index in `general`: rax rcx rdx rbx rbp rsp rsi rdi r8…r15.
    const BLOCK_ORDER: [usize; 16] = [0, 2, 3, 1, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15];
    const NAMES: [&str; 16] = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    match tag.value {
        Value::Small(bytes) => {
            let fields = Fields::new(bytes, false);
            let Some(number) = fields.u64(0).or_else(|| fields.u32(0).map(u64::from)) else {
                return;
            };
            let register = NAMES.iter().position(|&name| name == tag.name);
            let known = ["rip", "eflags", "EFLAGS", "rflags", "CR64", "IDTR"];
            if register.is_none() && !known.contains(&tag.name) {
                return;
            }
            let state = cpus.entry(cpu).or_default();
            match tag.name {
                "rip" => state.rip = number,
                "eflags" | "EFLAGS" | "rflags" => state.rflags |= number,
                "CR64" => {
                    if let Some(cr) = state.cr.get_mut(part as usize) {
                        *cr = number;
                    }
                }
                "IDTR" if part == 1 => state.idt.base |= number & 0xffff_ffff,
                "IDTR" if part == 2 => state.idt.base |= number << 32,
                _ => {
                    if let Some(register) = register {
                        state.general[register] = number;
                    }
                }
            }
        }
        Value::Block { offset, size, packed: false } => {
            let size = size.min(256) as usize;
            let Some(bytes) = image.get(offset, size) else { return };
            let fields = Fields::new(&bytes, false);
            match (tag.name, size) {
                ("gpregs", 128) => {
                    let state = cpus.entry(cpu).or_default();
                    for (index, &register) in BLOCK_ORDER.iter().enumerate() {
                        state.general[register] = fields.u64(index * 8).unwrap_or(0);
                    }
                }
                ("CR64", 40..) => {
                    let state = cpus.entry(cpu).or_default();
                    for (index, cr) in state.cr.iter_mut().enumerate() {
                        *cr = fields.u64(index * 8).unwrap_or(0);
                    }
                }
                ("IDTR", 10) => {
                    let state = cpus.entry(cpu).or_default();
                    state.idt.limit = fields.u16(0).unwrap_or(0).into();
                    state.idt.base = fields.u64(2).unwrap_or(0);
                }
                _ => {}
            }
        }
        Value::Block { .. } => {}
    }
}

/// Calls `found` with every tag from `position` on, up to the group's end.
fn for_each_tag(image: &Image, position: u64, mut found: impl FnMut(&Tag<'_>)) {
    let mut at = position;
    for _ in 0..TAGS {
        let Some(next) = tag(image, at, &mut found) else { return };
        at = next;
    }
}

/// The tag at `at`, and where the next one is; `None` at the group's end.
fn tag(image: &Image, at: u64, found: &mut impl FnMut(&Tag<'_>)) -> Option<u64> {
    let head = image.get(at, 2)?;
    let word = Fields::new(&head, false).u16(0).filter(|&word| word != 0)?;
    let (name_len, index_count, size) = (word >> 8, (word >> 6) & 3, word & 0x3f);
    let name_bytes = image.get(at + 2, name_len.into())?;
    let name = std::str::from_utf8(&name_bytes).unwrap_or("");
    let index_at = at + 2 + u64::from(name_len);
    let index_bytes = image.get(index_at, usize::from(index_count) * 4)?;
    let fields = Fields::new(&index_bytes, false);
    let indices = [0, 1, 2].map(|index| fields.u32(index * 4).unwrap_or(0));
    let value_at = index_at + u64::from(index_count) * 4;
    if !matches!(size, BLOCK | PACKED_BLOCK) {
        let bytes = image.get(value_at, size.into())?;
        found(&Tag { name, indices, value: Value::Small(&bytes) });
        return value_at.checked_add(size.into());
    }
    // Bytes in the file, bytes in memory, padding in front of the block.
    let block = image.get(value_at, 18)?;
    let fields = Fields::new(&block, false);
    let (size_in_file, padding) = (fields.u64(0)?, fields.u16(16)?);
    let offset = value_at.checked_add(18 + u64::from(padding))?;
    let packed = size == PACKED_BLOCK;
    found(&Tag { name, indices, value: Value::Block { offset, size: size_in_file, packed } });
    offset.checked_add(size_in_file)
}
