//! What the kernel knows of a page frame: `struct page` (include/linux/mm_types.h).

use std::sync::OnceLock;

use crate::{
    Kernel,
    error::Result,
    page_type::{PageType, PageTypes},
    shapes::Page,
};

/// What a frame is used for, as its description tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Objects of a slab cache.
    Slab,
    /// Free, the first of so many frames (2 to the power of it) that the buddy allocator has.
    Buddy(u64),
    /// A page table.
    PageTable,
    /// A huge page of hugetlbfs.
    HugeTlb,
    /// Memory of processes that belongs to no file.
    Anonymous,
    /// A page of a file.
    File,
    /// Not given to anybody: the kernel's image, firmware, holes.
    Reserved,
    /// Taken away, by a balloon for example.
    Offline,
    /// In use for something that its description does not tell.
    Other,
    /// Not in use, but on no list of free ones that its description tells.
    Free,
}

impl Use {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Use::Slab => "slab",
            Use::Buddy(_) => "buddy",
            Use::PageTable => "page_table",
            Use::HugeTlb => "hugetlb",
            Use::Anonymous => "anonymous",
            Use::File => "file",
            Use::Reserved => "reserved",
            Use::Offline => "offline",
            Use::Other => "other",
            Use::Free => "free",
        }
    }
}

/// The facts about a frame. Those that hold for a whole compound page are those of its first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts {
    /// Its `struct page`.
    pub page: u64,
    /// Page frame number.
    pub pfn: u64,
    /// The `struct page` of the compound page's first frame, where it is another one.
    pub head: Option<u64>,
    /// The word of flags, with the numbers of node, zone and section.
    pub raw_flags: u64,
    /// Names of the flags that are set, without `PG_`, in the order of their bits.
    pub flags: Vec<&'static str>,
    /// References.
    pub refcount: Option<i64>,
    /// Mappings in page tables; `None` where the field holds something else.
    pub mapcount: Option<i64>,
    /// The `address_space`, or `anon_vma` with its marks.
    pub mapping: Option<u64>,
    /// Pages into the file, or into what the mapping maps.
    pub index: Option<u64>,
    /// What it is used for.
    pub used: Use,
}

/// Flags that are the same ones in all kernels; other names of the same bits are left out.
/// (include/linux/page-flags.h)
const FLAGS: &[&str] = &[
    "locked",
    "writeback",
    "referenced",
    "uptodate",
    "dirty",
    "lru",
    "head",
    "waiters",
    "active",
    "workingset",
    "error",
    "slab",
    "owner_priv_1",
    "owner_2",
    "arch_1",
    "reserved",
    "private",
    "private_2",
    "mappedtodisk",
    "reclaim",
    "swapbacked",
    "unevictable",
    "dropbehind",
    "mlocked",
    "hwpoison",
    "young",
    "idle",
    "arch_2",
    "arch_3",
];

/// Marks in the low bits of `mapping`: memory of processes (include/linux/page-flags.h).
const MAPPING_ANON: u64 = 1;

/// Flags that this kernel has, by bit.
#[derive(Debug, Default)]
struct FlagBits(OnceLock<Vec<(u32, &'static str)>>);

#[derive(Debug, Default)]
struct Known(OnceLock<Marks>);

impl Kernel {
    /// Whether a huge page of hugetlbfs begins at the frame `pfn`, where that is told by how it would be
    /// taken apart, in the description of its second frame.
    pub(crate) fn is_old_huge_page(&self, pfn: u64) -> bool {
        let destructor = &self.shapes().page.destructor;
        let (true, Ok(wanted)) = (destructor.exists(), self.constant("HUGETLB_PAGE_DTOR")) else {
            return false;
        };
        let (Ok(first), Ok(second)) = (self.page_of(pfn), self.page_of(pfn.saturating_add(1)))
        else {
            return false;
        };
        self.head_page(second).is_ok_and(|head| head == first && head != second)
            && destructor.read(self.target(), second).is_ok_and(|found| found == wanted as u64)
    }

    /// Whether a frame is kept from the allocator of pages, as the kernel's image is; `None` where the
    /// dump does not tell.
    pub(crate) fn is_reserved(&self, pfn: u64) -> Option<bool> {
        let bit = self.constant("PG_reserved").ok().filter(|bit| (0..64).contains(bit))?;
        let page = self.page_of(pfn).ok()?;
        let flags = self.shapes().page.flags.read(self.target(), page).ok()?;
        Some(flags >> bit & 1 == 1)
    }

    /// What is known of a frame.
    ///
    /// # Errors
    /// Its `struct page` cannot be read.
    pub fn page_facts(&self, pfn: u64) -> Result<PageFacts> {
        let target = self.target();
        let shape = &self.shapes().page;
        let page = self.page_of(pfn)?;
        let head = self.head_page(page)?;
        let at = shape.at(target, page);
        let whole = shape.at(target, head);
        let raw_flags = at.flags()?;
        let bits = self.memo::<FlagBits>().0.get_or_init(|| {
            let bit = |name: &&'static str| {
                let bit = self.constant(&format!("PG_{name}")).ok()?;
                // Since 6.10 PG_slab is no bit but a kind.
                Some((u32::try_from(bit).ok().filter(|bit| *bit < 64)?, *name))
            };
            let mut bits: Vec<(u32, &'static str)> = FLAGS.iter().filter_map(bit).collect();
            bits.sort_unstable();
            bits
        });
        let flags: Vec<&'static str> = bits
            .iter()
            .filter(|(bit, _)| raw_flags >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect();
        let signed = |field: fn(&Page) -> &crate::shapes::Field| {
            let field = field(shape);
            if field.exists() { field.read_signed(target, page).ok() } else { None }
        };
        let count = |n: i64| i64::from(n as i32);
        let kind = at.page_type().ok().map(|kind| kind as u32);
        let typed = kind.is_some_and(|kind| kind >> 24 != 0xff && kind >> 31 == 1);
        let mapping = whole.mapping().ok();
        let set = |name: &str| flags.contains(&name);
        let refcount = signed(|page| &page.refcount).map(count);
        let marks = self.memo::<Known>().0.get_or_init(|| Marks::of(self));
        let is = |wanted: Option<PageType>| {
            kind.zip(wanted).is_some_and(|(kind, wanted)| wanted.is(kind))
        };
        let types = &marks.types;
        let used = if self.is_slab(head)? {
            Use::Slab
        } else if is(types.buddy) {
            Use::Buddy(at.private().unwrap_or(0))
        } else if is(types.offline) {
            Use::Offline
        } else if is(types.huge) || self.pfn_of(head).is_ok_and(|pfn| self.is_old_huge_page(pfn)) {
            Use::HugeTlb
        } else if is(types.table) {
            Use::PageTable
        } else if set("reserved") {
            Use::Reserved
        } else if refcount == Some(0) && head == page {
            Use::Free
        } else if mapping.is_some_and(|mapping| mapping & MAPPING_ANON != 0) {
            Use::Anonymous
        } else if mapping.is_some_and(|mapping| mapping > 0xffff) && !typed {
            Use::File
        } else {
            Use::Other
        };
        Ok(PageFacts {
            page,
            pfn,
            head: (head != page).then_some(head),
            raw_flags,
            flags,
            refcount,
            mapcount: if typed {
                None
            } else {
                signed(|page| &page.mapcount).map(|n| count(n) + 1)
            },
            mapping,
            index: whole.index().ok(),
            used,
        })
    }
}

/// How a frame's description tells its use: its type, and bits of its flags.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) types: PageTypes,
    /// Flags by bit.
    pub(crate) head: u64,
    pub(crate) lru: u64,
    never_free: u64,
    never_slab: u64,
    never_table: u64,
}

/// Flags that a free frame never has (PAGE_FLAGS_CHECK_AT_FREE of include/linux/page-flags.h).
const NEVER_FREE: &[&str] = &[
    "lru",
    "locked",
    "private",
    "private_2",
    "writeback",
    "reserved",
    "active",
    "unevictable",
    "mlocked",
    "dirty",
    "swapbacked",
    "head",
    "referenced",
];
/// Flags that neither a slab's nor a page table's frame has.
const NEVER_OTHERS: &[&str] =
    &["lru", "writeback", "reserved", "unevictable", "mlocked", "dirty", "swapbacked"];

impl Marks {
    pub(crate) fn of(kernel: &Kernel) -> Marks {
        let number = |name: &str| kernel.constant(name).ok().and_then(|n| u32::try_from(n).ok());
        let bit = |name: &&str| {
            let bit = number(&format!("PG_{name}")).filter(|bit| *bit < 64);
            bit.map_or(0, |bit| 1u64 << bit)
        };
        let all = |names: &[&str]| names.iter().map(bit).fold(0, |all, bit| all | bit);
        Marks {
            types: PageTypes::of(kernel),
            head: bit(&"head"),
            lru: bit(&"lru"),
            never_free: all(NEVER_FREE),
            never_slab: all(NEVER_OTHERS),
            never_table: all(NEVER_OTHERS),
        }
    }

    /// Flags that a frame of that use never has.
    pub(crate) fn never(&self, buddy: bool, slab: bool, table: bool) -> u64 {
        match (buddy, slab, table) {
            (true, ..) => self.never_free,
            (_, true, _) => self.never_slab,
            (_, _, true) => self.never_table,
            _ => 0,
        }
    }

    /// Names of the flags in a mask, with their bits.
    pub(crate) fn names(&self, mask: u64) -> String {
        let bits = (0..64).filter(|bit| mask >> bit & 1 == 1);
        bits.map(|bit| format!("bit {bit}")).collect::<Vec<_>>().join(", ")
    }
}
