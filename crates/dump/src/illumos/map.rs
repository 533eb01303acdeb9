//! The dump's own translations: (address space, virtual page) to page frame.

use hashbrown::HashMap;

use crate::image::Image;

use super::header::DumpHeader;

/// Bytes of `mem_vtop_t`.
pub(super) const RAW_ENTRY: u64 = 24;
/// Bytes of `dump_map_t`.
pub(super) const HASHED_ENTRY: u64 = 40;

/// A mapping of one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Virtual page number.
    pub page: u64,
    /// Page frame number.
    pub frame: u64,
}

/// All translations, by address space and page.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    spaces: HashMap<u64, Vec<Mapping>>,
    /// Entries that lie beyond the end of the file.
    pub(super) missing: u64,
}

impl Spaces {
    /// Takes entries in the order in which they are stored: of two for one page the last wins, as
    /// in the hash table that savecore makes of them.
    pub(super) fn new(
        entries: impl Iterator<Item = (u64, u64, u64)>,
        page_shift: u32,
        expected: u64,
    ) -> Self {
        let mut spaces: HashMap<u64, Vec<Mapping>> = HashMap::new();
        let mut seen = 0;
        let (mut last_space, mut run) = (None, Vec::new());
        for (space, address, frame) in entries {
            seen += 1;
            if last_space != Some(space) {
                if let Some(last) = last_space {
                    spaces.entry(last).or_default().append(&mut run);
                }
                last_space = Some(space);
            }
            run.push(Mapping { page: address >> page_shift, frame });
        }
        if let Some(last) = last_space {
            spaces.entry(last).or_default().append(&mut run);
        }
        for pages in spaces.values_mut() {
            if !pages.is_sorted_by(|a, b| a.page < b.page) {
                pages.reverse();
                pages.sort_by_key(|mapping| mapping.page);
                pages.dedup_by_key(|mapping| mapping.page);
            }
            pages.shrink_to_fit();
        }
        Spaces { spaces, missing: expected.saturating_sub(seen) }
    }

    pub(super) fn find(&self, space: u64, page: u64) -> Option<u64> {
        let pages = self.spaces.get(&space)?;
        let at = pages.binary_search_by_key(&page, |mapping| mapping.page).ok()?;
        Some(pages[at].frame)
    }

    pub(super) fn of(&self, space: u64) -> &[Mapping] {
        self.spaces.get(&space).map_or(&[], |pages| pages)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u64, usize)> {
        self.spaces.iter().map(|(&space, pages)| (space, pages.len()))
    }
}

/// The entries of the unsorted table of a `vmdump`: space, address, frame.
pub(super) fn raw_entries(
    image: &Image,
    header: &DumpHeader,
) -> impl Iterator<Item = (u64, u64, u64)> {
    let there = image.len().saturating_sub(header.map) / RAW_ENTRY;
    let count = header.nvtop.min(there) as usize;
    let bytes = image.slice(header.map, count * RAW_ENTRY as usize).unwrap_or(&[]);
    bytes.as_chunks::<{ RAW_ENTRY as usize }>().0.iter().map(|entry| {
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&entry[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        (number(0), number(8), number(16))
    })
}

/// An entry of the hash table of a `vmcore`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashed {
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) data: u64,
    pub(super) space: u64,
    pub(super) address: u64,
}

pub(super) fn hashed(image: &Image, header: &DumpHeader, slot: u64) -> Option<Hashed> {
    let offset = header.map.checked_add(slot.checked_mul(HASHED_ENTRY)?)?;
    let bytes: &[u8; HASHED_ENTRY as usize] =
        image.slice(offset, HASHED_ENTRY as usize)?.try_into().ok()?;
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(number)
    };
    Some(Hashed {
        first: number(0),
        next: number(8),
        data: number(16),
        space: number(24),
        address: number(32),
    })
}

pub(super) fn hash(header: &DumpHeader, space: u64, address: u64) -> u64 {
    (space >> 3).wrapping_add(address >> header.page_shift()) & header.hashmask
}

/// Follows a chain of the hash table: the offset of the page's data. Links are offsets in the
/// file; libkvm follows a chain that was damaged into a ring for ever.
pub(super) fn find_hashed(
    image: &Image,
    header: &DumpHeader,
    space: u64,
    address: u64,
) -> Option<u64> {
    let address = address & !(header.pagesize - 1);
    let bucket = hash(header, space, address);
    let mut link = hashed(image, header, bucket)?.first;
    for _ in 0..=header.nvtop {
        let inside =
            link.checked_sub(header.map).filter(|at| link != 0 && at % HASHED_ENTRY == 0)?;
        let entry = hashed(image, header, inside / HASHED_ENTRY)?;
        if hash(header, entry.space, entry.address) != bucket {
            return None;
        }
        if entry.space == space && entry.address == address {
            return Some(entry.data);
        }
        link = entry.next;
    }
    None
}

/// The entries of the hash table of a `vmcore`: space, address, offset of the data.
pub(super) fn hashed_entries(
    image: &Image,
    header: &DumpHeader,
) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..header.nvtop)
        .map_while(|slot| hashed(image, header, slot))
        .filter(|entry| entry.data != 0)
        .map(|entry| (entry.space, entry.address, entry.data))
}
