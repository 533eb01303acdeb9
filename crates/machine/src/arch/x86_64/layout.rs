//! Where an x86_64 kernel lies in memory: KASLR, phys_base, paging levels and the large maps.
//!
//! Everything comes from VMCOREINFO where it has it and from the page tables where it has not;
//! each result is recorded with the rule that gave it (Documentation/arch/x86/x86_64/mm.rst).

use necropsy_dump::{Dump, PhysicalMemory, VmCoreInfo};
use necropsy_lexicon::AddressClass;

use crate::{
    Target,
    layout::{AddressRange, DIRECT, IMAGE, Layout, Linear, Overrides},
    paging::PagingFormat,
    target::Fact,
};

/// Link address of the kernel image (__START_KERNEL_map).
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Largest kernel image mapping (KERNEL_IMAGE_SIZE with KASLR).
const KERNEL_MAP_SIZE: u64 = 1 << 30;
/// Pages of the image mapping are found in steps of the size that the kernel maps itself with.
const IMAGE_STEP: u64 = 2 << 20;
/// One past the last address that modules may have (MODULES_END); the fixmap lies above.
const MODULES_END: u64 = 0xffff_ffff_ff00_0000;
/// The lowest address of the kernel with four levels. With five there is more below, where no code
/// and no stack of the kernel ever lies.
pub(super) const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// CR4.LA57: five levels of page tables.
const LA57: u64 = 1 << 12;
/// The address in CR3: PCID in the low bits is no part of it.
const CR3_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
/// With page-table isolation, the user's table lies in the odd page of two; it lacks the kernel.
const PTI_USER: u64 = 1 << 12;

/// Finds the kernel image and its page tables.
pub(super) fn find(
    dump: &Dump,
    info: Option<&VmCoreInfo>,
    overrides: &Overrides,
    facts: &mut Vec<Fact>,
) -> Result<Layout, String> {
    let mut fact = |name, value: String, rule: &str| {
        facts.push(Fact { name, value, rule: rule.to_owned() });
    };
    let number = |name: &str| info.and_then(|i| i.number(name));
    let five = match number("pgtable_l5_enabled") {
        Some(n) => n != 0,
        None => dump.cpu_states().first().is_some_and(|cpu| cpu.cr[4] & LA57 != 0),
    };
    let mask = number("sme_mask").unwrap_or(0);
    let paging = PagingFormat::X86_64 { levels: if five { 5 } else { 4 }, mask };
    fact(
        "paging",
        format!("{} levels", if five { 5 } else { 4 }),
        "NUMBER(pgtable_l5_enabled), else CR4, else 4",
    );
    if mask != 0 {
        fact("sme_mask", format!("{mask:#x}"), "NUMBER(sme_mask)");
    }
    let stext = info.and_then(|i| i.symbol("_stext"));
    let table = info.and_then(|i| {
        ["swapper_pg_dir", "init_top_pgt", "init_level4_pgt"]
            .into_iter()
            .find_map(|name| i.symbol(name))
    });
    let walks = |root: u64, address: u64| paging.find(dump, root, address);
    let mut found = None;
    if let Some(table) = table {
        let candidates = [
            (overrides.phys_base, "given on the command line"),
            (number("phys_base"), "NUMBER(phys_base) of VMCOREINFO"),
            (dump.header().phys_base, "header of the dump"),
            (Some(0), "assumed: nothing names it"),
        ];
        for (base, rule) in candidates {
            let Some(base) = base else { continue };
            let root = table.wrapping_sub(KERNEL_MAP).wrapping_add(base);
            let probe = stext.unwrap_or(table);
            let expect = probe.wrapping_sub(KERNEL_MAP).wrapping_add(base);
            if walks(root, probe) == Some(expect) {
                found = Some((root, base, format!("{rule}; the page tables agree")));
                break;
            }
            if found.is_none() && overrides.phys_base.is_some() {
                found = Some((root, base, format!("{rule}; the page tables disagree")));
                break;
            }
        }
        // Damaged page tables must not cost the kernel: the number alone still serves.
        if found.is_none()
            && let Some(base) = number("phys_base")
        {
            let root = table.wrapping_sub(KERNEL_MAP).wrapping_add(base);
            found = Some((
                root,
                base,
                "NUMBER(phys_base) of VMCOREINFO; the page tables could not confirm it".to_owned(),
            ));
        }
    }
    if found.is_none() {
        for cpu in dump.cpu_states() {
            let root = cpu.cr[3] & CR3_ADDRESS & !PTI_USER;
            let first = (0..KERNEL_MAP_SIZE / IMAGE_STEP)
                .map(|n| KERNEL_MAP + n * IMAGE_STEP)
                .find_map(|va| Some((va, walks(root, va)?)));
            if let Some((va, pa)) = first {
                let base = pa.wrapping_sub(va - KERNEL_MAP);
                found = Some((root, base, "page tables of a CPU (CR3)".to_owned()));
                break;
            }
        }
    }
    let (root, phys_base, rule) = found.ok_or(
        "no kernel recognised: no VMCOREINFO with a page-table root and no CPU state; physical \
         memory can be read, --phys-base helps where VMCOREINFO is there",
    )?;
    fact("phys_base", format!("{phys_base:#x}"), &rule);
    fact("root", format!("{root:#x}"), "swapper_pg_dir through phys_base, or CR3");
    let kaslr = overrides.moved_by(info, &mut fact);
    let start = stext.unwrap_or(KERNEL_MAP);
    let mut layout = Layout {
        paging,
        root,
        image_map: KERNEL_MAP,
        phys_base,
        kaslr,
        image: Linear { start, end: start, physical: 0 },
        direct: None,
        vmalloc: None,
        vmemmap: None,
        vmemmap_parts: Vec::new(),
    };
    let (start, end) = mapped_image(&layout, dump);
    layout.set_image(start, end);
    Ok(layout)
}

/// The part of the kernel map that the page tables map from `_stext` on, gaps included: freed
/// init memory leaves some, damaged tables others. The whole rest of the kernel map when they
/// cannot be read.
pub(super) fn mapped_image(layout: &Layout, dump: &Dump) -> (u64, u64) {
    // The map is linear: an entry that leads elsewhere is damaged.
    let mapped =
        |va: u64| layout.paging.find(dump, layout.root, va) == Some(layout.image_physical(va));
    let limit = KERNEL_MAP + KERNEL_MAP_SIZE;
    // VMCOREINFO may be damaged, too.
    let known = layout.image.start.clamp(KERNEL_MAP, limit) & !(IMAGE_STEP - 1);
    let steps = (limit - known) / IMAGE_STEP;
    let mut places = (0..steps).map(|n| known + n * IMAGE_STEP);
    let last = places.clone().rev().find(|&va| mapped(va));
    let end = last.map_or(limit, |last| last + IMAGE_STEP);
    // Without `_stext`, the image begins somewhere in the map.
    let first = if known == KERNEL_MAP { places.find(|&va| mapped(va)) } else { None };
    (first.unwrap_or(known), end)
}

/// Sets the direct map, vmalloc and vmemmap from the kernel's own variables, else from the
/// page tables.
pub(super) fn set_bases(layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
    let dump = target.dump();
    let variable = |name: &str| target.read_u64(target.address_of(name)?).ok();
    let [direct, vmalloc, vmemmap] =
        ["page_offset_base", "vmalloc_base", "vmemmap_base"].map(variable);
    let page = (1u64 << layout.paging.page_shift()) - 1;
    let canonical = |base: &u64| *base >= 0xff00_0000_0000_0000 && base & page == 0;
    let size = dump.max_pfn().saturating_mul(dump.page_size());
    let mut fact = |name, value: u64, rule: &str| {
        facts.push(Fact { name, value: format!("{value:#x}"), rule: rule.to_owned() });
    };
    let direct = match direct.filter(canonical) {
        Some(base) => {
            fact("page_offset", base, "variable page_offset_base");
            Some(base)
        }
        None => {
            let base = scan_direct_map(layout, dump);
            if let Some(base) = base {
                fact("page_offset", base, "page tables: the lowest linear map");
            }
            base
        }
    };
    layout.direct =
        direct.map(|start| Linear { start, end: start.saturating_add(size), physical: 0 });
    layout.vmalloc = vmalloc.filter(canonical);
    if let Some(base) = layout.vmalloc {
        fact("vmalloc", base, "variable vmalloc_base");
    }
    layout.vmemmap = vmemmap.filter(canonical);
    if let Some(base) = layout.vmemmap {
        fact("vmemmap", base, "variable vmemmap_base");
    }
}

/// The base of the direct map: the first region of the kernel half whose pages are mapped
/// linearly from a gigabyte-aligned base.
fn scan_direct_map(layout: &Layout, dump: &Dump) -> Option<u64> {
    let word = |at: u64| {
        let mut bytes = [0; 8];
        dump.read(at, &mut bytes).ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    let PagingFormat::X86_64 { levels, mask } = layout.paging else { return None };
    let top = 12 + 9 * u32::from(levels - 1);
    for index in 256..511u64 {
        if word(layout.root + index * 8).is_none_or(|e| e & !mask & 1 == 0) {
            continue;
        }
        let sign = !0u64 << (top + 9 - 1);
        let start = sign | (index << top);
        // The map is aligned to 1 GiB; its first pages (below 1 MiB) are always mapped.
        for gigabyte in 0..512u64 {
            let va = start + (gigabyte << 30);
            let probe = va + 0x10_0000;
            if layout.paging.find(dump, layout.root, probe) == Some(0x10_0000) {
                return Some(va);
            }
        }
    }
    None
}

/// The first virtual address behind the kernel's own image (arch/x86/include/asm/page_64_types.h):
/// that may take 1 GiB where it can be moved about in it (KASLR), else half of it.
pub(super) fn modules_base(info: Option<&VmCoreInfo>) -> u64 {
    let size = info.and_then(|info| info.number("KERNEL_IMAGE_SIZE")).unwrap_or(KERNEL_MAP_SIZE);
    KERNEL_MAP.wrapping_add(size)
}

/// Sizes of the maps with four and with five levels (arch/x86/include/asm/pgtable_64_types.h,
/// Documentation/arch/x86/x86_64/mm.rst).
const VMALLOC_SIZE: [u64; 2] = [32 << 40, 12800 << 40];
const VMEMMAP_SIZE: [u64; 2] = [1 << 40, 512 << 40];

pub(super) fn address_map(layout: &Layout, modules: u64) -> Vec<AddressRange> {
    let five = matches!(layout.paging, PagingFormat::X86_64 { levels: 5.., .. });
    let user = if five { 0x00ff_ffff_ffff_f000 } else { 0x0000_7fff_ffff_f000 };
    let range = |start, end, what| AddressRange { start, end, what };
    let sized = |start: Option<u64>, sizes: [u64; 2], what| {
        start.map(|start| range(start, start.saturating_add(sizes[usize::from(five)]), what))
    };
    let mut ranges = vec![range(0, user, "processes")];
    ranges.extend(layout.direct.iter().map(|map| AddressRange::linear(map, DIRECT)));
    ranges.extend(sized(layout.vmalloc, VMALLOC_SIZE, "vmalloc, ioremap, stacks (vmalloc_base)"));
    let frames = "struct page of every frame (vmemmap_base)";
    ranges.extend(sized(layout.vmemmap, VMEMMAP_SIZE, frames));
    ranges.extend([
        range(
            0xffff_fe00_0000_0000,
            0xffff_fe80_0000_0000,
            "cpu_entry_area: exception stacks, IDT",
        ),
        AddressRange::linear(&layout.image, IMAGE),
        range(modules, MODULES_END, "modules, BPF"),
        range(0xffff_ffff_ff60_0000, 0xffff_ffff_ff60_1000, "vsyscall"),
    ]);
    ranges
}

pub(super) fn address_class(layout: Option<&Layout>, address: u64) -> AddressClass {
    let levels = match layout.map(|layout| layout.paging) {
        Some(PagingFormat::X86_64 { levels, .. }) => levels,
        _ => 4,
    };
    let five = levels >= 5;
    let unused = if five { 7 } else { 16 };
    if ((address << unused) as i64 >> unused) as u64 != address {
        return AddressClass::NonCanonical;
    }
    if address >> 63 == 0 {
        return AddressClass::User;
    }
    let Some(layout) = layout else { return AddressClass::Kernel };
    let within = |start: Option<u64>, size: u64| {
        start.is_some_and(|start| address >= start && address - start < size)
    };
    let holds = |map: &Linear| (map.start..map.end).contains(&address);
    if holds(&layout.image) {
        AddressClass::KernelImage
    } else if layout.direct.as_ref().is_some_and(holds) {
        AddressClass::DirectMap
    } else if within(layout.vmalloc, VMALLOC_SIZE[usize::from(five)]) {
        AddressClass::Vmalloc
    } else if within(layout.vmemmap, VMEMMAP_SIZE[usize::from(five)]) {
        AddressClass::Vmemmap
    } else if address >= MODULES_END {
        AddressClass::Fixmap
    } else if address >= KERNEL_MAP + KERNEL_MAP_SIZE {
        AddressClass::Modules
    } else {
        AddressClass::Kernel
    }
}
