//! Where an x86_64 kernel lies in memory: KASLR, phys_base, paging levels and the large maps.
//!
//! Everything comes from VMCOREINFO where it has it and from the page tables where it has not;
//! each result is recorded with the rule that gave it (Documentation/arch/x86/x86_64/mm.rst).

use necropsy_dump::{Dump, PhysicalMemory, VmCoreInfo};

use crate::{paging::PagingFormat, target::Fact};

/// Link address of the kernel image (__START_KERNEL_map).
pub const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Largest kernel image mapping (KERNEL_IMAGE_SIZE with KASLR).
const KERNEL_MAP_SIZE: u64 = 1 << 30;
/// Pages of the image mapping are found in steps of the size that the kernel maps itself with.
const IMAGE_STEP: u64 = 2 << 20;

/// What the user says about the machine, against what the dump says.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `phys_base`, as VMCOREINFO's NUMBER(phys_base).
    pub phys_base: Option<u64>,
    /// KASLR offset of the kernel image.
    pub kaslr: Option<u64>,
}

/// A linear map of kernel virtual addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// First virtual address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Physical address of `start`.
    pub physical: u64,
}

impl Linear {
    fn translate(&self, address: u64) -> Option<u64> {
        (self.start..self.end)
            .contains(&address)
            .then(|| self.physical.wrapping_add(address - self.start))
    }
}

/// Where the kernel lies.
#[derive(Debug, Clone)]
pub struct Layout {
    /// How page tables look.
    pub paging: PagingFormat,
    /// Physical address of the kernel's root table.
    pub root: u64,
    /// Physical address of the image = virtual − `KERNEL_MAP` + this (may be "negative").
    pub phys_base: u64,
    /// KASLR offset of the image.
    pub kaslr: u64,
    /// The kernel image.
    pub image: Linear,
    /// The map of all physical memory.
    pub direct: Option<Linear>,
    /// Start of the vmalloc area.
    pub vmalloc: Option<u64>,
    /// `struct page` of frame 0.
    pub vmemmap: Option<u64>,
}

impl Layout {
    /// Finds the kernel image and its page tables.
    pub(crate) fn find(
        dump: &Dump,
        info: Option<&VmCoreInfo>,
        overrides: &Overrides,
        facts: &mut Vec<Fact>,
    ) -> Result<Layout, String> {
        if dump.arch().is_some_and(|arch| arch != necropsy_dump::Arch::X86_64) {
            let name = dump.arch().map_or("unknown", |a| a.name());
            return Err(format!(
                "the machine is {name}; only x86_64 kernels can be analysed, physical memory can \
                 be read"
            ));
        }
        let mut fact = |name, value: String, rule: &str| {
            facts.push(Fact { name, value, rule: rule.to_owned() });
        };
        let number = |name: &str| info.and_then(|i| i.number(name));
        let five = match number("pgtable_l5_enabled") {
            Some(n) => n != 0,
            None => dump.qemu_cpus().first().is_some_and(|cpu| cpu.cr[4] & (1 << 12) != 0),
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
        let walks = |root: u64, address: u64| {
            paging
                .walk(root, address, &|at, _| {
                    let mut word = [0; 8];
                    dump.read(at, &mut word)?;
                    Ok(u64::from_le_bytes(word))
                })
                .end
                .map(|m| m.physical)
                .ok()
        };
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
                    "NUMBER(phys_base) of VMCOREINFO; the page tables could not confirm it"
                        .to_owned(),
                ));
            }
        }
        if found.is_none() {
            for cpu in dump.qemu_cpus() {
                // PCID and the PTI bit are not part of the address; user tables lack the kernel.
                let root = cpu.cr[3] & 0x000f_ffff_ffff_f000 & !0x1000;
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
        let kaslr = overrides
            .kaslr
            .map(|k| (k, "given on the command line"))
            .or_else(|| {
                let text = info?.get("KERNELOFFSET")?;
                Some((u64::from_str_radix(text, 16).ok()?, "KERNELOFFSET of VMCOREINFO"))
            })
            .unwrap_or((0, "assumed: VMCOREINFO has no KERNELOFFSET"));
        fact("kaslr", format!("{:#x}", kaslr.0), kaslr.1);
        let start = stext.unwrap_or(KERNEL_MAP);
        let mut layout = Layout {
            paging,
            root,
            phys_base,
            kaslr: kaslr.0,
            image: Linear { start, end: start, physical: 0 },
            direct: None,
            vmalloc: None,
            vmemmap: None,
        };
        let (start, end) = layout.mapped_image(dump);
        layout.set_image(start, end);
        Ok(layout)
    }

    /// The part of the kernel map that the page tables map from `_stext` on, gaps included: freed
    /// init memory leaves some, damaged tables others. The whole rest of the kernel map when they
    /// cannot be read.
    pub(crate) fn mapped_image(&self, dump: &Dump) -> (u64, u64) {
        // The map is linear: an entry that leads elsewhere is damaged.
        let mapped = |va: u64| {
            self.paging
                .walk(self.root, va, &|at, _| {
                    let mut word = [0; 8];
                    dump.read(at, &mut word)?;
                    Ok(u64::from_le_bytes(word))
                })
                .end
                .is_ok_and(|m| {
                    m.physical == va.wrapping_sub(KERNEL_MAP).wrapping_add(self.phys_base)
                })
        };
        let limit = KERNEL_MAP + KERNEL_MAP_SIZE;
        // VMCOREINFO may be damaged, too.
        let known = self.image.start.clamp(KERNEL_MAP, limit) & !(IMAGE_STEP - 1);
        let steps = (limit - known) / IMAGE_STEP;
        let mut places = (0..steps).map(|n| known + n * IMAGE_STEP);
        let last = places.clone().rev().find(|&va| mapped(va));
        let end = last.map_or(limit, |last| last + IMAGE_STEP);
        // Without `_stext`, the image begins somewhere in the map.
        let first = if known == KERNEL_MAP { places.find(|&va| mapped(va)) } else { None };
        (first.unwrap_or(known), end)
    }

    pub(crate) fn set_image(&mut self, start: u64, end: u64) {
        let physical = start.wrapping_sub(KERNEL_MAP).wrapping_add(self.phys_base);
        self.image = Linear { start, end, physical };
    }

    /// Sets the direct map, vmalloc and vmemmap from the kernel's own variables, else from the
    /// page tables.
    pub(crate) fn set_bases(
        &mut self,
        dump: &Dump,
        [direct, vmalloc, vmemmap]: [Option<u64>; 3],
        facts: &mut Vec<Fact>,
    ) {
        let canonical = |base: &u64| *base >= 0xff00_0000_0000_0000 && base & 0xfff == 0;
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
                let base = self.scan_direct_map(dump);
                if let Some(base) = base {
                    fact("page_offset", base, "page tables: the lowest linear map");
                }
                base
            }
        };
        self.direct =
            direct.map(|start| Linear { start, end: start.saturating_add(size), physical: 0 });
        self.vmalloc = vmalloc.filter(canonical);
        if let Some(base) = self.vmalloc {
            fact("vmalloc", base, "variable vmalloc_base");
        }
        self.vmemmap = vmemmap.filter(canonical);
        if let Some(base) = self.vmemmap {
            fact("vmemmap", base, "variable vmemmap_base");
        }
    }

    /// The base of the direct map: the first region of the kernel half whose pages are mapped
    /// linearly from a gigabyte-aligned base.
    fn scan_direct_map(&self, dump: &Dump) -> Option<u64> {
        let word = |at: u64| {
            let mut bytes = [0; 8];
            dump.read(at, &mut bytes).ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let PagingFormat::X86_64 { levels, mask } = self.paging else { return None };
        let top = 12 + 9 * u32::from(levels - 1);
        for index in 256..511u64 {
            if word(self.root + index * 8).is_none_or(|e| e & !mask & 1 == 0) {
                continue;
            }
            let sign = !0u64 << (top + 9 - 1);
            let start = sign | (index << top);
            // The map is aligned to 1 GiB; its first pages (below 1 MiB) are always mapped.
            for gigabyte in 0..512u64 {
                let va = start + (gigabyte << 30);
                let probe = va + 0x10_0000;
                let end = self.paging.walk(self.root, probe, &|at, _| {
                    word(at)
                        .ok_or(necropsy_dump::Fault::physical(at, necropsy_dump::Reason::NotSaved))
                });
                if let Ok(mapping) = end.end
                    && mapping.physical == 0x10_0000
                {
                    return Some(va);
                }
            }
        }
        None
    }

    /// Physical address of an address in the kernel image or the direct map.
    pub fn linear(&self, address: u64) -> Option<u64> {
        if let Some(direct) = &self.direct
            && let Some(physical) = direct.translate(address)
        {
            return Some(physical);
        }
        self.image.translate(address)
    }

    /// Virtual address in the direct map of a physical address.
    pub fn to_virtual(&self, physical: u64) -> Option<u64> {
        let direct = self.direct?;
        let address = direct.start.checked_add(physical)?;
        (address < direct.end).then_some(address)
    }
}
