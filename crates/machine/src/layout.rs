//! Where a kernel lies in memory. How that is found is each architecture's own
//! ([`Architecture::find_layout`](crate::arch::Architecture::find_layout)).

use necropsy_dump::VmCoreInfo;

use crate::paging::PagingFormat;

/// What the user says about the machine, against what the dump says.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `phys_base`, as VMCOREINFO's NUMBER(phys_base).
    pub phys_base: Option<u64>,
    /// KASLR offset of the kernel image.
    pub kaslr: Option<u64>,
}

impl Overrides {
    /// How far KASLR moved the image: as given, else as VMCOREINFO says. Not all machines' do.
    pub(crate) fn moved_by(
        &self,
        info: Option<&VmCoreInfo>,
        fact: &mut dyn FnMut(&'static str, String, &str),
    ) -> Option<u64> {
        let (kaslr, rule) = match (self.kaslr, info.and_then(|info| info.hex("KERNELOFFSET"))) {
            (Some(given), _) => (Some(given), "given on the command line"),
            (None, Some(told)) => (Some(told), "KERNELOFFSET of VMCOREINFO"),
            (None, None) => (None, "VMCOREINFO has no KERNELOFFSET"),
        };
        let value = kaslr.map_or_else(|| "unknown".to_owned(), |kaslr| format!("{kaslr:#x}"));
        fact("kaslr", value, rule);
        kaslr
    }
}

/// A linear map of kernel virtual addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// First virtual address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// Physical address of `start` (may be "negative").
    pub physical: u64,
}

impl Linear {
    fn translate(&self, address: u64) -> Option<u64> {
        (self.start..self.end)
            .contains(&address)
            .then(|| self.physical.wrapping_add(address - self.start))
    }
}

/// Virtual addresses that serve one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// First virtual address.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// What lies there.
    pub what: &'static str,
}

impl AddressRange {
    /// The range of a linear map.
    pub(crate) fn linear(map: &Linear, what: &'static str) -> AddressRange {
        AddressRange { start: map.start, end: map.end, what }
    }
}

/// What the map of all physical memory is called.
pub(crate) const DIRECT: &str = "all physical memory (page_offset_base)";
/// What the kernel's image is called.
pub(crate) const IMAGE: &str = "the kernel's image (_text to _end)";

/// Where the kernel lies.
#[derive(Debug, Clone)]
pub struct Layout {
    /// How page tables look.
    pub paging: PagingFormat,
    /// Physical address of the root table of kernel addresses.
    pub root: u64,
    /// Virtual address of the map that the kernel's image is linked into.
    pub image_map: u64,
    /// Physical address of the image = virtual − `image_map` + this (may be "negative").
    pub phys_base: u64,
    /// KASLR offset of the image, if anything tells it.
    pub kaslr: Option<u64>,
    /// The kernel image.
    pub image: Linear,
    /// The map of all physical memory.
    pub direct: Option<Linear>,
    /// Start of the vmalloc area.
    pub vmalloc: Option<u64>,
    /// `struct page` of frame 0.
    pub vmemmap: Option<u64>,
    /// Parts of the array of page frames that no table maps, by address.
    pub vmemmap_parts: Vec<Linear>,
}

impl Layout {
    /// The physical address of an address of the image.
    pub(crate) fn image_physical(&self, address: u64) -> u64 {
        address.wrapping_sub(self.image_map).wrapping_add(self.phys_base)
    }

    pub(crate) fn set_image(&mut self, start: u64, end: u64) {
        self.image = Linear { start, end, physical: self.image_physical(start) };
    }

    /// Physical address of an address in the kernel image or the direct map.
    pub fn linear(&self, address: u64) -> Option<u64> {
        if let Some(direct) = &self.direct
            && let Some(physical) = direct.translate(address)
        {
            return Some(physical);
        }
        self.image.translate(address).or_else(|| {
            let after = self.vmemmap_parts.partition_point(|part| part.start <= address);
            self.vmemmap_parts.get(after.checked_sub(1)?)?.translate(address)
        })
    }

    /// Virtual address in the direct map of a physical address.
    pub fn to_virtual(&self, physical: u64) -> Option<u64> {
        let direct = self.direct?;
        let address = direct.start.checked_add(physical.wrapping_sub(direct.physical))?;
        (address < direct.end).then_some(address)
    }
}
