//! Where an arm64 kernel lies in memory (Documentation/arch/arm64/memory.rst,
//! arch/arm64/include/asm/memory.h).

use necropsy_dump::{Dump, PhysicalMemory as _, VmCoreInfo};
use necropsy_lexicon::AddressClass;

use crate::{
    Target,
    layout::{Layout, Linear, Overrides},
    paging::{Fields, Lpa, PagingFormat},
    target::Fact,
};

/// The lowest address of the kernel's half with the widest addresses, of 52 bits.
pub(super) const KERNEL_HALF: u64 = 0xfff0_0000_0000_0000;

/// Tables for pages of `1 << page_shift` bytes and virtual addresses of `bits` bits.
pub(super) fn paging(page_shift: u8, bits: u8) -> PagingFormat {
    let index = page_shift - 3;
    let mut widths = vec![page_shift];
    let mut rest = bits.saturating_sub(page_shift);
    while rest > 0 {
        let width = rest.min(index);
        widths.push(width);
        rest -= width;
    }
    let lpa = match (page_shift, bits) {
        // With 64 KiB pages the bits are unused where physical addresses have 48.
        (16, _) => Lpa::Lpa,
        (_, 52) => Lpa::Lpa2,
        _ => Lpa::None,
    };
    let fallback = || Fields::new(&[12, 9, 9, 9, 9]);
    match Fields::new(&widths).or_else(fallback) {
        Some(fields) => PagingFormat::Aarch64 { fields, lpa },
        None => PagingFormat::Arm,
    }
}

/// Bits of a virtual address with the paging in force.
fn bits(paging: PagingFormat) -> u32 {
    match paging {
        PagingFormat::Aarch64 { fields, .. } => fields.total(),
        _ => 48,
    }
}

/// The lowest address of the kernel's half.
fn page_offset(bits: u32) -> u64 {
    !0u64 << bits.min(63)
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
    let page_size = info.and_then(VmCoreInfo::page_size).unwrap_or(4096);
    let page_shift = match page_size.trailing_zeros() {
        shift @ (12 | 14 | 16) => shift as u8,
        _ => 12,
    };
    let table = info.and_then(|i| i.symbol("swapper_pg_dir"));
    let (Some(table), Some(offset)) = (table, number("kimage_voffset").or(overrides.phys_base))
    else {
        return Err("no kernel recognised: no VMCOREINFO with swapper_pg_dir and kimage_voffset; \
                    physical memory can be read"
            .into());
    };
    fact(
        "kimage_voffset",
        format!("{offset:#x}"),
        match number("kimage_voffset") {
            Some(_) => "NUMBER(kimage_voffset) of VMCOREINFO",
            None => "given on the command line as --phys-base",
        },
    );
    let root = table.wrapping_sub(offset);
    // The size that the kernel is built for, and that which the CPU has.
    let built = number("VA_BITS").filter(|bits| (36..=52).contains(bits)).unwrap_or(48) as u8;
    let actual = number("TCR_EL1_T1SZ").filter(|size| (12..=28).contains(size));
    let actual = actual.map(|size| (64 - size) as u8);
    // With 64 KiB pages the tables are laid out for the size that the kernel is built for.
    let mut candidates = match (page_shift, actual) {
        (16, _) => vec![(built, "NUMBER(VA_BITS)")],
        (_, Some(actual)) => vec![(actual, "NUMBER(TCR_EL1_T1SZ)"), (built, "NUMBER(VA_BITS)")],
        (_, None) => vec![(built, "NUMBER(VA_BITS), else 48")],
    };
    candidates.extend([(48, "tried"), (52, "tried"), (47, "tried"), (39, "tried"), (42, "tried")]);
    let stext = info.and_then(|i| i.symbol("_stext"));
    let probe = stext.unwrap_or(table);
    let leads = |bits: u8| paging(page_shift, bits).find(dump, root, probe);
    let agrees =
        candidates.iter().find(|(bits, _)| leads(*bits) == Some(probe.wrapping_sub(offset)));
    let (bits, rule, agree) = match agrees {
        Some((bits, rule)) => (*bits, *rule, "the page tables agree"),
        None => (candidates[0].0, candidates[0].1, "the page tables could not confirm it"),
    };
    let paging = paging(page_shift, bits);
    fact(
        "paging",
        format!("{} KiB pages, {bits} bits", page_size >> 10),
        &format!("{rule}; {agree}"),
    );
    fact("root", format!("{root:#x}"), "swapper_pg_dir less kimage_voffset");
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
        vmemmap: None,
        vmemmap_parts: Vec::new(),
    };
    // As long as `_end` is not known.
    layout.set_image(probe & !(page_size - 1), probe.saturating_add(super::super::LARGEST_IMAGE));
    let mapped =
        |address: u64| paging.find(dump, root, address) == Some(address.wrapping_sub(offset));
    let end = (1..super::super::LARGEST_IMAGE >> 21)
        .map(|n| (probe & !((2 << 20) - 1)) + (n << 21))
        .take_while(|address| mapped(*address))
        .last();
    if let Some(end) = end.filter(|_| mapped(probe)) {
        layout.set_image(probe & !(page_size - 1), end + (2 << 20));
    }
    // Where memory begins in the direct map, and which half of the kernel's that takes: since 5.4 the
    // lower one.
    let memory_start = number("PHYS_OFFSET").map(|start| (start, "NUMBER(PHYS_OFFSET)"));
    if let Some((start, rule)) = memory_start {
        let size = 1u64 << (bits - 1);
        let low = page_offset(bits.into());
        let built_low = page_offset(built.into());
        let map = |first: u64, base: u64| Linear {
            start: first,
            end: first.saturating_add(size),
            physical: first.wrapping_sub(base).wrapping_add(start),
        };
        // `PHYS_OFFSET` belongs to the address that the kernel was built for.
        let choices = [map(low, built_low), map(low, low), map(low + size, low + size)];
        let root_page = root & !(page_size - 1);
        let holds = |map: &&Linear| {
            let address = map.start.wrapping_add(root_page.wrapping_sub(map.physical));
            paging.find(dump, layout.root, address) == Some(root_page)
        };
        let chosen = choices.iter().find(holds);
        let agree = if chosen.is_some() { "the page tables agree" } else { "not confirmed" };
        let mut direct = *chosen.unwrap_or(&choices[0]);
        let top = dump.max_pfn().saturating_mul(dump.page_size());
        // With its place randomised, the map begins at a frame that is below 0.
        direct.end = direct.start.saturating_add(top.wrapping_sub(direct.physical).min(size));
        fact("phys_offset", format!("{:#x}", direct.physical), &format!("{rule}; {agree}"));
        fact("page_offset", format!("{:#x}", direct.start), "from the size of virtual addresses");
        layout.direct = Some(direct);
    }
    Ok(layout)
}

pub(super) fn set_bases(layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
    let info = target.vmcoreinfo();
    let number = |name: &str| info.and_then(|i| i.number(name));
    let Some(start) = number("VMEMMAP_START") else { return };
    // VMEMMAP_START belongs to the frame that memory begins with.
    let size = info.and_then(|i| i.size("page")).unwrap_or(64);
    let memory = number("PHYS_OFFSET").unwrap_or(0);
    let frames = (memory as i64 >> layout.paging.page_shift()) as u64;
    let base = start.wrapping_sub(frames.wrapping_mul(size));
    layout.vmemmap = Some(base);
    facts.push(Fact {
        name: "vmemmap",
        value: format!("{base:#x}"),
        rule: "NUMBER(VMEMMAP_START) less the frames below PHYS_OFFSET".into(),
    });
}

/// An address without the authentication code in its upper bits: those of a kernel address are ones.
pub(super) fn unsigned(layout: Option<&Layout>, word: u64) -> u64 {
    let bits = layout.map_or(52, |layout| bits(layout.paging));
    if word >> 55 & 1 == 1 { word | page_offset(bits) } else { word }
}

pub(super) fn address_class(layout: Option<&Layout>, address: u64) -> AddressClass {
    let bits = layout.map_or(52, |layout| bits(layout.paging));
    // The top byte of a user's address may be a tag.
    if address >> 55 & 1 == 0 {
        let within = address & !(0xff << 56);
        return if within >> bits == 0 { AddressClass::User } else { AddressClass::NonCanonical };
    }
    if address < page_offset(bits) {
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
    } else if from(layout.vmalloc) {
        AddressClass::Vmalloc
    } else if address >= page_offset(bits - 1) && layout.vmalloc.is_some() {
        // Modules lie between the direct map and the image, which vmalloc follows.
        AddressClass::Modules
    } else {
        AddressClass::Kernel
    }
}
