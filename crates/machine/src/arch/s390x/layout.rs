//! Where an s390x kernel lies in memory (arch/s390/boot/startup.c, arch/s390/kernel/vmcore_info.c).
//!
//! Until 6.9 virtual and physical addresses of the image and of all memory are the same; since 6.10
//! each may be moved apart.

use necropsy_dump::{Dump, PhysicalMemory as _, VmCoreInfo};
use necropsy_lexicon::AddressClass;

use crate::{
    Target,
    layout::{Layout, Linear, Overrides},
    paging::PagingFormat,
    target::Fact,
};

fn format(levels: u8) -> PagingFormat {
    PagingFormat::S390x { levels }
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
    let hex = |name: &str| info.and_then(|i| i.hex(name));
    let moved = overrides.kaslr.or(hex("KERNELOFFSET")).unwrap_or(0);
    // Physical address of the image is virtual - KERNELOFFSET + KERNELOFFPHYS.
    let apart = hex("KERNELOFFPHYS").map(|physical| physical.wrapping_sub(moved));
    let probe = info.and_then(|i| i.symbol("_stext")).unwrap_or(table);
    let candidates = [
        (overrides.phys_base, "given on the command line as --phys-base"),
        (apart, "KERNELOFFPHYS less KERNELOFFSET of VMCOREINFO"),
        (Some(0), "assumed: VMCOREINFO has no KERNELOFFPHYS"),
    ];
    let found = candidates.iter().find_map(|(base, rule)| {
        let root = table.wrapping_add((*base)?);
        let levels = (2..=5).rev().find(|levels| {
            format(*levels).find(dump, root, probe) == Some(probe.wrapping_add(base.unwrap_or(0)))
        })?;
        Some(((*base)?, levels, format!("{rule}; the page tables agree")))
    });
    let (base, levels, rule) = found.unwrap_or_else(|| {
        let base = candidates.iter().find_map(|(base, rule)| Some(((*base)?, *rule)));
        let (base, rule) = base.unwrap_or((0, ""));
        (base, 4, format!("{rule}; the page tables could not confirm it"))
    });
    let root = table.wrapping_add(base);
    fact("phys_base", format!("{base:#x}"), &rule);
    fact("paging", format!("{levels} levels"), "the table's type, and where it leads");
    fact("root", format!("{root:#x}"), "swapper_pg_dir through phys_base");
    let identity = hex("IDENTITYBASE").unwrap_or(0);
    fact("page_offset", format!("{identity:#x}"), "IDENTITYBASE of VMCOREINFO, else 0");
    let kaslr = overrides.moved_by(info, &mut fact);
    let top = dump.max_pfn().saturating_mul(dump.page_size());
    let mut layout = Layout {
        paging: PagingFormat::S390x { levels },
        root,
        image_map: 0,
        phys_base: base,
        kaslr,
        image: Linear { start: probe, end: probe, physical: 0 },
        direct: Some(Linear { start: identity, end: identity.saturating_add(top), physical: 0 }),
        vmalloc: None,
        vmemmap: None,
        vmemmap_parts: Vec::new(),
    };
    let end = (1..super::super::LARGEST_IMAGE >> 20)
        .map(|n| (probe & !0xf_ffff) + (n << 20))
        .take_while(|at| format(levels).find(dump, root, *at) == Some(at.wrapping_add(base)))
        .last();
    layout.set_image(probe & !0xfff, end.unwrap_or(probe).saturating_add(1 << 20));
    Ok(layout)
}

pub(super) fn set_bases(layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
    let variable = |name: &str| target.read_u64(target.address_of(name)?).ok();
    // Names since 5.0 and 4.2.
    layout.vmalloc = variable("__vmalloc_start").or_else(|| variable("VMALLOC_START"));
    layout.vmemmap = variable("vmemmap");
    for (name, value, rule) in [
        ("vmalloc", layout.vmalloc, "variable VMALLOC_START"),
        ("vmemmap", layout.vmemmap, "variable vmemmap"),
    ] {
        if let Some(value) = value {
            facts.push(Fact { name, value: format!("{value:#x}"), rule: rule.into() });
        }
    }
}

/// The kernel's address space is its own: every address that it maps is the kernel's, whatever
/// processes have there.
pub(super) fn address_class(layout: Option<&Layout>, address: u64) -> AddressClass {
    let Some(layout) = layout else { return AddressClass::Kernel };
    let holds = |map: &Linear| (map.start..map.end).contains(&address);
    let levels = match layout.paging {
        PagingFormat::S390x { levels } => levels,
        _ => 5,
    };
    let bits = 20 + 11 * u32::from(levels.saturating_sub(1));
    if bits < 64 && address >> bits != 0 {
        return AddressClass::NonCanonical;
    }
    if holds(&layout.image) {
        AddressClass::KernelImage
    } else if layout.direct.as_ref().is_some_and(holds) {
        AddressClass::DirectMap
    } else if layout.vmalloc.is_some_and(|start| address >= start) {
        AddressClass::Vmalloc
    } else if layout.vmemmap.is_some_and(|start| address >= start) {
        AddressClass::Vmemmap
    } else {
        AddressClass::User
    }
}
