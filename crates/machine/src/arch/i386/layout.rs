//! Where an i386 kernel lies in memory: its image and the first part of memory at one distance from
//! their physical addresses (arch/x86/include/asm/page_32_types.h).

use necropsy_dump::{Dump, PhysicalMemory as _, VmCoreInfo};
use necropsy_lexicon::AddressClass;

use crate::{
    Target,
    layout::{Layout, Linear, Overrides},
    paging::PagingFormat,
    target::Fact,
};

/// The usual split of the address space (CONFIG_PAGE_OFFSET); others are 0x80000000 and 0xb0000000.
pub(super) const KERNEL: u64 = 0x4000_0000;
const PAGE_OFFSETS: [u64; 5] = [0xc000_0000, 0x8000_0000, 0xb000_0000, 0x7800_0000, 0x4000_0000];

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
    let probe = info.and_then(|i| i.symbol("_stext")).unwrap_or(table);
    let pae = info.and_then(|i| i.get("CONFIG_X86_PAE")).is_some();
    let formats = match pae {
        true => [PagingFormat::Ia32Pae, PagingFormat::Ia32],
        false => [PagingFormat::Ia32, PagingFormat::Ia32Pae],
    };
    let given = overrides.phys_base;
    let mut choices = formats.into_iter().flat_map(|paging| {
        let offsets = PAGE_OFFSETS.into_iter().filter(|offset| *offset <= probe);
        offsets.map(move |offset| (paging, offset))
    });
    let base = given.unwrap_or(0);
    let physical = |offset: u64, address: u64| address.wrapping_sub(offset).wrapping_add(base);
    let found = choices.find(|(paging, offset)| {
        paging.find(dump, physical(*offset, table), probe) == Some(physical(*offset, probe))
    });
    let agree = if found.is_some() { "the page tables agree" } else { "not confirmed" };
    let (paging, offset) = found.unwrap_or((formats[0], PAGE_OFFSETS[0]));
    let name = if paging == PagingFormat::Ia32Pae { "PAE" } else { "2 levels" };
    fact("paging", name.into(), &format!("CONFIG_X86_PAE of VMCOREINFO; {agree}"));
    fact("page_offset", format!("{offset:#x}"), &format!("tried; {agree}"));
    let root = physical(offset, table);
    fact("root", format!("{root:#x}"), "swapper_pg_dir less page_offset");
    let kaslr = overrides.moved_by(info, &mut fact);
    let top = dump.max_pfn().saturating_mul(dump.page_size());
    // What cannot be mapped so is high memory (MAXMEM).
    let end = offset.saturating_add(top).min(0x1_0000_0000 - (128 << 20));
    let mut layout = Layout {
        paging,
        root,
        image_map: offset,
        phys_base: base,
        kaslr,
        image: Linear { start: probe, end: probe, physical: 0 },
        direct: Some(Linear { start: offset, end, physical: 0 }),
        vmalloc: None,
        vmemmap: None,
        vmemmap_parts: Vec::new(),
    };
    layout.set_image(probe & !0xfff, (probe + super::super::LARGEST_IMAGE).min(end));
    Ok(layout)
}

pub(super) fn set_bases(layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
    let variable = |name: &str| target.read_pointer(target.address_of(name)?).ok();
    // The array of all page frames lies in the map of memory.
    layout.vmemmap = variable("mem_map").filter(|array| *array >= layout.image_map);
    if let Some(array) = layout.vmemmap {
        facts.push(Fact {
            name: "vmemmap",
            value: format!("{array:#x}"),
            rule: "variable mem_map".into(),
        });
    }
    let Some(high) = variable("high_memory").filter(|high| *high >= layout.image_map) else {
        return;
    };
    if let Some(direct) = layout.direct.as_mut() {
        direct.end = direct.end.min(high);
    }
    // VMALLOC_OFFSET: eight megabytes of nothing.
    layout.vmalloc = Some((high + 2 * (8 << 20) - 1) & !((8 << 20) - 1));
    facts.push(Fact {
        name: "high_memory",
        value: format!("{high:#x}"),
        rule: "variable high_memory".into(),
    });
}

pub(super) fn address_class(layout: Option<&Layout>, address: u64) -> AddressClass {
    if address >> 32 != 0 {
        return AddressClass::NonCanonical;
    }
    let Some(layout) = layout else {
        return if address >= PAGE_OFFSETS[0] { AddressClass::Kernel } else { AddressClass::User };
    };
    let holds = |map: &Linear| (map.start..map.end).contains(&address);
    if address < layout.image_map {
        AddressClass::User
    } else if holds(&layout.image) {
        AddressClass::KernelImage
    } else if layout.direct.as_ref().is_some_and(holds) {
        AddressClass::DirectMap
    } else if address >= 0xff80_0000 {
        AddressClass::Fixmap
    } else if layout.vmalloc.is_some_and(|start| address >= start) {
        AddressClass::Vmalloc
    } else {
        AddressClass::Kernel
    }
}
