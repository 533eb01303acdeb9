//! What a frame says of itself in `page_type` (include/linux/page-flags.h): a number in the highest
//! byte since 6.12, bits that are cleared in a word of ones before.

use crate::Kernel;

/// A type of frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PageType {
    Number(u32),
    Cleared { base: u32, bit: u32 },
}

impl PageType {
    /// Whether `word`, a `page_type`, says so.
    pub(crate) fn is(self, word: u32) -> bool {
        match self {
            PageType::Number(number) => word >> 24 == number,
            PageType::Cleared { base, bit } => word & (base | bit) == base,
        }
    }
}

/// The types that this kernel tells apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageTypes {
    pub(crate) buddy: Option<PageType>,
    pub(crate) offline: Option<PageType>,
    pub(crate) huge: Option<PageType>,
    pub(crate) table: Option<PageType>,
    pub(crate) compressed: Option<PageType>,
    pub(crate) large: Option<PageType>,
    base: u32,
    /// The least and the greatest number, where types are numbers.
    numbers: Option<(u32, u32)>,
}

/// PAGE_TYPE_BASE, a constant since 6.9.
const BASE: u32 = 0xf000_0000;

impl PageTypes {
    pub(crate) fn of(kernel: &Kernel) -> PageTypes {
        let known = |name: &str| kernel.constant(name).ok().map(|value| value as u32);
        let base = known("PAGE_TYPE_BASE").unwrap_or(BASE);
        let number = |name: &str| known(name).map(PageType::Number);
        let told = |name: &str| {
            let value = kernel.target().vmcoreinfo()?.number(name)? as u32;
            // The highest byte of a word, or a whole word of ones without one bit.
            Some(match value & 0x00ff_ffff {
                0 => PageType::Number(value >> 24),
                _ => PageType::Cleared { base, bit: !value },
            })
        };
        // Before it was a constant, PG_table moved down when PG_kmemcg went, with which
        // `memcg_data` came (5.11).
        let old = if kernel.shapes().page.memcg_data.exists() { 0x200 } else { 0x400 };
        let table = PageType::Cleared { base, bit: known("PG_table").unwrap_or(old) };
        let numbers = known("PGTY_buddy").map(|first| {
            let last = ["PGTY_large_kmalloc", "PGTY_unaccepted", "PGTY_zsmalloc", "PGTY_slab"];
            let last = last.iter().find_map(|name| known(name)).unwrap_or(first);
            (first, last.max(known("PGTY_netpp").unwrap_or(0)))
        });
        PageTypes {
            buddy: number("PGTY_buddy").or_else(|| told("PAGE_BUDDY_MAPCOUNT_VALUE")),
            offline: number("PGTY_offline").or_else(|| told("PAGE_OFFLINE_MAPCOUNT_VALUE")),
            huge: number("PGTY_hugetlb").or_else(|| told("PAGE_HUGETLB_MAPCOUNT_VALUE")),
            table: number("PGTY_table").or(Some(table)),
            compressed: number("PGTY_zsmalloc"),
            large: number("PGTY_large_kmalloc"),
            base,
            numbers,
        }
    }

    /// Whether `word` can be a `page_type`: a count of mappings, or a type that there is.
    pub(crate) fn can_be(&self, word: u32) -> bool {
        const MOST_MAPPINGS: u32 = 1 << 24;
        match self.numbers {
            _ if word == u32::MAX || word < MOST_MAPPINGS => true,
            Some((first, last)) => (first..=last).contains(&(word >> 24)),
            None => word & self.base == self.base,
        }
    }
}
