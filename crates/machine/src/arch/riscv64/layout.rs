//! Where a riscv64 kernel lies in memory (Documentation/arch/riscv/vm-layout.rst,
//! arch/riscv/kernel/vmcore_info.c).

use necropsy_dump::{Dump, PhysicalMemory as _, VmCoreInfo};
use necropsy_lexicon::AddressClass;

use crate::{
    Target,
    layout::{Layout, Linear, Overrides},
    paging::PagingFormat,
    target::Fact,
};

/// The lowest address of the kernel's half with the widest addresses, of 57 bits.
pub(super) const KERNEL_HALF: u64 = 0xff00_0000_0000_0000;

fn bits(paging: PagingFormat) -> u32 {
    match paging {
        PagingFormat::Riscv64 { levels } => 12 + 9 * u32::from(levels),
        _ => 39,
    }
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
    let number = |name: &str| info.and_then(|i| i.number(name));
    let table = info.and_then(|i| i.symbol("swapper_pg_dir"));
    let told = number("va_kernel_pa_offset");
    // Before 6.4 VMCOREINFO has KERNEL_LINK_ADDR and where memory begins.
    let derived = || {
        let link = number("KERNEL_LINK_ADDR")?;
        Some(link.wrapping_sub(number("phys_ram_base").unwrap_or(0x8000_0000)))
    };
    let (Some(table), Some((offset, rule))) = (
        table,
        overrides
            .phys_base
            .map(|base| (base, "given on the command line as --phys-base"))
            .or(told.map(|offset| (offset, "NUMBER(va_kernel_pa_offset) of VMCOREINFO")))
            .or_else(|| Some((derived()?, "NUMBER(KERNEL_LINK_ADDR) less NUMBER(phys_ram_base)"))),
    ) else {
        return Err("no kernel recognised: no VMCOREINFO with swapper_pg_dir and \
                    va_kernel_pa_offset; physical memory can be read"
            .into());
    };
    fact("va_kernel_pa_offset", format!("{offset:#x}"), rule);
    let root = table.wrapping_sub(offset);
    let probe = info.and_then(|i| i.symbol("_stext")).unwrap_or(table);
    let told = number("VA_BITS").and_then(|bits| match bits {
        39 => Some(3),
        48 => Some(4),
        57 => Some(5),
        _ => None,
    });
    let format = |levels| PagingFormat::Riscv64 { levels };
    let agrees =
        |levels: &u8| format(*levels).find(dump, root, probe) == Some(probe.wrapping_sub(offset));
    let found = told.into_iter().chain([3, 4, 5]).find(agrees);
    let levels = found.or(told).unwrap_or(3);
    let agree = if found.is_some() { "the page tables agree" } else { "not confirmed" };
    let paging = format(levels);
    fact("paging", format!("Sv{}", bits(paging)), &format!("NUMBER(VA_BITS); {agree}"));
    fact("root", format!("{root:#x}"), "swapper_pg_dir less va_kernel_pa_offset");
    let kaslr = overrides.moved_by(info, &mut fact);
    let mut layout = Layout {
        paging,
        root,
        image_map: offset,
        phys_base: 0,
        kaslr,
        image: Linear { start: probe, end: probe, physical: 0 },
        direct: None,
        vmalloc: number("VMALLOC_START"),
        vmemmap: number("VMEMMAP_START"),
        vmemmap_parts: Vec::new(),
    };
    let start = probe & !0xfff;
    let end = (0..super::super::LARGEST_IMAGE >> 12)
        .map(|n| start + (n << 12))
        .step_by(512)
        .take_while(|at| paging.find(dump, root, *at) == Some(at.wrapping_sub(offset)))
        .last();
    layout.set_image(start, end.unwrap_or(start).saturating_add(2 << 20));
    if let Some(base) = number("PAGE_OFFSET") {
        let size = 1u64 << (bits(paging) - 2);
        let memory = number("phys_ram_base").unwrap_or_else(|| {
            // The first frame that is mapped at the beginning of the map.
            paging.find(dump, root, base).unwrap_or(0)
        });
        let top = dump.max_pfn().saturating_mul(dump.page_size());
        let end = base.saturating_add(top.saturating_sub(memory).min(size));
        layout.direct = Some(Linear { start: base, end, physical: memory });
        fact("page_offset", format!("{base:#x}"), "NUMBER(PAGE_OFFSET) of VMCOREINFO");
        fact("phys_offset", format!("{memory:#x}"), "NUMBER(phys_ram_base), else the page tables");
    }
    Ok(layout)
}

pub(super) fn set_bases(layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
    let info = target.vmcoreinfo();
    let Some(start) = info.and_then(|i| i.number("VMEMMAP_START")) else { return };
    // The frame that the array begins with: `vmemmap` (asm/pgtable.h).
    let first = layout.direct.map_or(0, |direct| direct.physical >> 12);
    let size = info.and_then(|i| i.size("page")).unwrap_or(64);
    let variable = target.address_of("vmemmap_start_pfn").is_some();
    let base = if variable { start.wrapping_sub(first.wrapping_mul(size)) } else { start };
    layout.vmemmap = Some(base);
    facts.push(Fact {
        name: "vmemmap",
        value: format!("{base:#x}"),
        rule: "NUMBER(VMEMMAP_START), and the first frame where it begins with that".into(),
    });
}

pub(super) fn address_class(layout: Option<&Layout>, address: u64) -> AddressClass {
    let bits = layout.map_or(57, |layout| bits(layout.paging));
    let above = address as i64 >> (bits - 1);
    if above == 0 {
        return AddressClass::User;
    }
    if above != -1 {
        return AddressClass::NonCanonical;
    }
    let Some(layout) = layout else { return AddressClass::Kernel };
    let holds = |map: &Linear| (map.start..map.end).contains(&address);
    let start = layout.direct.map_or(u64::MAX, |direct| direct.start);
    if holds(&layout.image) {
        AddressClass::KernelImage
    } else if layout.direct.as_ref().is_some_and(holds) {
        AddressClass::DirectMap
    } else if layout.vmalloc.is_some_and(|from| address >= from) && address < start {
        AddressClass::Vmalloc
    } else if layout.vmemmap.is_some_and(|from| address >= from) && address < start {
        AddressClass::Vmemmap
    } else if address >= layout.image.start.saturating_sub(2 << 30) {
        // Within two gigabytes of the image.
        AddressClass::Modules
    } else {
        AddressClass::Kernel
    }
}
