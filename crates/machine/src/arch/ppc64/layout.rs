//! Where a 64-bit Power kernel lies in memory (arch/powerpc/include/asm/page.h,
//! book3s/64/pgtable.h).

use std::collections::HashSet;

use necropsy_dump::{Dump, PhysicalMemory, VmCoreInfo};
use necropsy_lexicon::AddressClass;

use crate::{
    Target,
    layout::{Layout, Linear, Overrides},
    paging::{Fields, PagingFormat, hash::SIZES},
    target::Fact,
};

/// Where all memory is mapped, the kernel's image with it (PAGE_OFFSET).
pub(super) const KERNEL: u64 = 0xc000_0000_0000_0000;
/// The regions of the kernel's addresses are told apart by these bits (REGION_SHIFT).
const REGION: u64 = 0xf << 60;
/// Radix kernels keep vmalloc and vmemmap in the same region, above this (RADIX_KERN_VIRT_START).
const VIRTUAL: u64 = 0xc008_0000_0000_0000;

fn fields(widths: &[u8]) -> Option<Fields> {
    Fields::new(widths)
}

pub(super) fn radix(page_shift: u32) -> PagingFormat {
    // Power ISA 3.0, book III 5.7.10.1, in the sizes that Linux uses.
    let widths: &[u8] = if page_shift == 16 { &[16, 5, 9, 9, 13] } else { &[12, 9, 9, 9, 13] };
    fields(widths).map_or(PagingFormat::Arm, |fields| PagingFormat::Ppc64Radix { fields })
}

/// The tables of the hash MMU: an entry of the root tells which of the two kinds they are.
fn hash(dump: &Dump, root: u64, page_shift: u32) -> PagingFormat {
    // book3s/64/hash-64k.h, hash-4k.h
    let widths: &[u8] = if page_shift == 16 { &[16, 8, 10, 10, 8] } else { &[12, 9, 7, 9, 9] };
    let mut table = [0; 512 * 8];
    let is_old = dump.read(root, &mut table).is_ok()
        && table.chunks_exact(8).any(|entry| entry[0] >> 4 == (KERNEL >> 60) as u8);
    fields(widths).map_or(PagingFormat::Arm, |fields| match is_old {
        true => PagingFormat::Ppc64Rpn30 { fields },
        false => PagingFormat::Ppc64Hash { fields },
    })
}

/// The kernel says in its own name which byte order it has: `uts_namespace` holds `ppc64le` or
/// `ppc64`. The dump's headers do not: QEMU's are big-endian for both.
pub(super) fn big_endian(dump: &Dump, info: Option<&VmCoreInfo>) -> bool {
    let named = info.and_then(|info| info.symbol("init_uts_ns")).and_then(|at| {
        let mut bytes = [0; 512];
        dump.unrecorded().read(at & !REGION, &mut bytes).ok()?;
        let at = bytes.windows(5).position(|text| text == b"ppc64")?;
        Some(bytes.get(at + 5..at + 7) != Some(b"le"))
    });
    let release = || {
        let release = info?.get("OSRELEASE")?;
        Some(!(release.contains("64le") || release.contains("64el")))
    };
    named.or_else(release).unwrap_or(dump.big_endian())
}

pub(super) fn find(
    dump: &Dump,
    info: Option<&VmCoreInfo>,
    overrides: &Overrides,
    facts: &mut Vec<Fact>,
) -> Result<Layout, String> {
    let mut fact = |name, value: String, rule: &str| {
        facts.push(Fact { name, value, rule: rule.to_owned() });
    };
    let Some(table) = info.and_then(|i| i.symbol("swapper_pg_dir")) else {
        return Err(
            "no kernel recognised: no VMCOREINFO with swapper_pg_dir; physical memory can \
                    be read"
                .into(),
        );
    };
    let page_size = info.and_then(VmCoreInfo::page_size).unwrap_or(65536);
    let shift = page_size.trailing_zeros();
    let base = overrides.phys_base.unwrap_or(0);
    let root = (table & !REGION).wrapping_add(base);
    let probe = info.and_then(|i| i.symbol("_stext")).unwrap_or(table);
    let physical = (probe & !REGION).wrapping_add(base);
    // Only a radix kernel maps its own image by these tables.
    let mapped = radix(shift).walk_memory(dump, root, probe).end;
    let is_radix = mapped.is_ok_and(|mapping| mapping.physical == physical);
    let paging = if is_radix { radix(shift) } else { hash(dump, root, shift) };
    fact(
        "paging",
        format!("{}, {} KiB pages", if is_radix { "radix" } else { "hash" }, page_size >> 10),
        "whether the tables map the image; PAGESIZE of VMCOREINFO",
    );
    fact("root", format!("{root:#x}"), "swapper_pg_dir less 0xc000000000000000");
    let kaslr = overrides.moved_by(info, &mut fact);
    let top = dump.max_pfn().saturating_mul(dump.page_size());
    let mut layout = Layout {
        paging,
        root,
        image_map: KERNEL,
        phys_base: base,
        kaslr,
        image: Linear { start: probe, end: probe, physical: 0 },
        direct: Some(Linear { start: KERNEL, end: KERNEL.saturating_add(top), physical: 0 }),
        vmalloc: None,
        vmemmap: None,
        vmemmap_parts: Vec::new(),
    };
    fact("page_offset", format!("{KERNEL:#x}"), "the same on every kernel");
    layout.set_image(probe, probe.saturating_add(super::super::LARGEST_IMAGE));
    Ok(layout)
}

pub(super) fn set_bases(layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
    let variable = |name: &str| {
        let value = target.read_u64(target.address_of(name)?).ok()?;
        (value >= KERNEL).then_some(value)
    };
    layout.vmalloc = variable("__vmalloc_start");
    layout.vmemmap = variable("vmemmap");
    for (name, value, rule) in [
        ("vmalloc", layout.vmalloc, "variable __vmalloc_start"),
        ("vmemmap", layout.vmemmap, "variable vmemmap"),
    ] {
        if let Some(value) = value {
            facts.push(Fact { name, value: format!("{value:#x}"), rule: rule.into() });
        }
    }
    if !matches!(layout.paging, PagingFormat::Ppc64Radix { .. }) {
        layout.vmemmap_parts = backing(target);
    }
}

/// Where the array of page frames lies, which the hash table alone maps: the kernel keeps a list of it
/// (`struct vmemmap_backing`: next, physical and virtual address).
fn backing(target: &Target) -> Vec<Linear> {
    let variable = |name: &str| target.address_of(name);
    let size = variable("mmu_vmemmap_psize")
        .and_then(|at| SIZES.get(target.read_u32(at).ok()? as usize))
        .map(|shift| 1u64 << shift);
    let first = variable("vmemmap_list").and_then(|at| target.read_u64(at).ok());
    let (Some(size), Some(mut at)) = (size, first) else { return Vec::new() };
    let (mut parts, mut seen) = (Vec::new(), HashSet::new());
    while at != 0 && seen.insert(at) {
        let word = |offset: u64| target.read_u64(at.wrapping_add(offset)).ok();
        let (Some(next), Some(physical), Some(start)) = (word(0), word(8), word(16)) else { break };
        parts.push(Linear { start, end: start.saturating_add(size), physical });
        at = next;
    }
    parts.sort_unstable_by_key(|part| part.start);
    parts
}

pub(super) fn address_class(layout: Option<&Layout>, address: u64) -> AddressClass {
    if address & REGION == 0 {
        return if address >> 52 == 0 { AddressClass::User } else { AddressClass::NonCanonical };
    }
    if address < KERNEL {
        return AddressClass::NonCanonical;
    }
    let Some(layout) = layout else { return AddressClass::Kernel };
    let holds = |map: &Linear| (map.start..map.end).contains(&address);
    let from = |start: Option<u64>| start.is_some_and(|start| address >= start);
    if holds(&layout.image) {
        AddressClass::KernelImage
    } else if layout.direct.as_ref().is_some_and(holds) {
        AddressClass::DirectMap
    } else if from(layout.vmemmap) {
        AddressClass::Vmemmap
    } else if from(layout.vmalloc) || address & REGION == KERNEL && address >= VIRTUAL {
        AddressClass::Vmalloc
    } else {
        AddressClass::Kernel
    }
}
