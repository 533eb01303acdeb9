//! ppc64 Linux with the hash MMU since 4.6 (arch/powerpc/include/asm/book3s/64/hash.h, pgtable.h,
//! hash-4k.h): directories hold physical addresses, page entries look as those of the radix MMU.
//! Entries are big-endian in any kernel.

use necropsy_dump::Reason;

use super::{Fields, ReadEntry, Walk};

/// Of an entry that leads anywhere (_PAGE_PRESENT, HASH_PMD_VAL_BITS).
const PRESENT: u64 = 1 << 63;
/// The entry maps memory itself (_PAGE_PTE).
const LEAF: u64 = 1 << 62;
/// The address of a page (PTE_RPN_MASK, _PAGE_PA_MAX): the bits above tell its place in the hash table.
const PAGE: u64 = 0x001f_ffff_ffff_f000;
/// Page sizes by their index (MMU_PAGE_*), as log2.
pub(crate) const SIZES: [u32; 16] =
    [12, 14, 16, 16, 18, 20, 21, 22, 23, 24, 26, 28, 29, 30, 34, 36];
/// What is no address of the next table (PMD_MASKED_BITS).
const FLAGS: u64 = 0xc000_0000_0000_00ff;
/// Set in a directory entry that leads to a table of huge pages (HUGEPD_SHIFT_MASK): four times the
/// index of their size.
const HUGE: u64 = 0x3f;

pub(super) fn walk(fields: &Fields, root: u64, address: u64, read: ReadEntry<'_>) -> Walk {
    let mut walk = Walk::new();
    let mut table = root;
    for level in (1..=fields.levels()).rev() {
        let entry = table.wrapping_add(fields.index(level, address) * 8);
        let Some(value) = walk.read(level, entry, 8, read) else { return walk };
        if value & PRESENT == 0 {
            return walk.stop(level);
        }
        let shift = fields.shift(level);
        if level == 1 || value & LEAF != 0 {
            return walk.map(value & PAGE & !((1 << shift) - 1), shift, address, value);
        }
        let size = SIZES.get((value & HUGE) as usize >> 2);
        if let Some(huge) = size.copied().filter(|_| value & HUGE != 0) {
            let index = (address & ((1 << shift) - 1)) >> huge;
            let entry = (value & !(0xf << 60 | HUGE)).wrapping_add(index * 8);
            let Some(value) = walk.read(level - 1, entry, 8, read) else { return walk };
            return match value & PRESENT != 0 {
                true => walk.map(value & PAGE & !((1 << huge) - 1), huge, address, value),
                false => walk.stop(level - 1),
            };
        }
        table = value & !FLAGS;
    }
    walk
}

/// What a leaf maps.
pub(super) fn target(value: u64) -> Result<u64, Reason> {
    match value & PRESENT != 0 {
        true => Ok(value & PAGE),
        false => Err(Reason::NotMapped { level: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use necropsy_dump::Fault;

    use super::*;

    const ROOT: u64 = 0x275_0000;
    const PGD: u64 = 0x288_c000;
    const PUD: u64 = 0x288_d000;
    const PMD: u64 = 0x288_e000;

    fn end(widths: &[u8], address: u64, entries: &[(u64, u64)]) -> Result<u64, Reason> {
        let fields = Fields::new(widths).expect("widths");
        let read = |at: u64, _: u32| {
            let found = entries.iter().find(|(place, _)| *place == at);
            found.map(|(_, value)| *value).ok_or(Fault::physical(at, Reason::NotSaved))
        };
        walk(&fields, ROOT, address, &read).end.map(|mapping| mapping.physical)
    }

    #[test]
    fn pages_huge_pages_and_their_directories() {
        // hash-4k.h: 9, 9, 7 and 9 bits of index above 12 of offset.
        let small = [12, 9, 7, 9, 9];
        let address = 0xc000_3d00_0025_8408;
        let top = (ROOT + 0x1e8 * 8, PRESENT | PGD);
        let pud = (PGD, PRESENT | PUD);
        let pmd = (PUD + 8, PRESENT | PMD);
        let page = (PMD + 0x58 * 8, PRESENT | LEAF | 0x1080 << 48 | 0x1234_5000 | 0x18e);
        assert_eq!(end(&small, address, &[top, pud, pmd, page]), Ok(0x1234_5408));
        // A huge page of 2 MiB: the entry of the middle directory maps it.
        let huge = (PUD + 8, PRESENT | LEAF | 0x1240_0000 | 0x18e);
        assert_eq!(end(&small, address, &[top, pud, huge]), Ok(0x1245_8408));
        // 16 MiB (index 9) lie in a table of their own below the upper directory.
        let directory = (PGD, PRESENT | PUD | 9 << 2);
        let huge = (PUD, PRESENT | LEAF | 0x4000_0000 | 0x18e);
        assert_eq!(end(&small, address, &[top, directory, huge]), Ok(0x4025_8408));
        // Nothing there, and a table that is not.
        assert!(end(&small, address, &[top, pud, (PUD + 8, 0)]).is_err());
        assert!(end(&small, address, &[top, pud]).is_err());
    }

    #[test]
    fn pages_of_64_kib() {
        // hash-64k.h: 8, 10, 10 and 8 bits of index above 16 of offset.
        let large = [16, 8, 10, 10, 8];
        let entries = [
            (ROOT + 0x80 * 8, PRESENT | PGD),
            (PGD, PRESENT | PUD),
            (PUD + 8, PRESENT | PMD),
            (PMD + 2 * 8, PRESENT | LEAF | 0x1234_0000 | 0x18e),
        ];
        assert_eq!(end(&large, 0xc008_0000_0102_8408, &entries), Ok(0x1234_8408));
    }
}
