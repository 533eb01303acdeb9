//! What the kernel knows of a page, in the columns that crash has for it.

use necropsy_linux::Kernel;

use crate::render::Hex;
pub(crate) use crate::rows::memory::PageRow;

/// The columns of [`line`].
pub(crate) const HEADING: &str = "      PAGE       PHYSICAL      MAPPING       INDEX CNT FLAGS";

/// The facts about the page at a physical address.
pub(crate) fn row(kernel: &Kernel, physical: u64) -> necropsy_linux::Result<PageRow> {
    let shift = kernel.target().page_shift();
    let facts = kernel.page_facts(physical >> shift)?;
    Ok(PageRow {
        page: Hex(facts.page),
        physical: Hex(physical >> shift << shift),
        mapping: facts.mapping.map(Hex),
        index: facts.index.map(Hex),
        count: facts.refcount,
        raw_flags: Hex(facts.raw_flags),
        flags: facts.flags,
        used: facts.used.word(),
    })
}

/// A page's line below [`HEADING`].
pub(crate) fn line(row: &PageRow) -> String {
    let number = |value: Option<Hex>| value.map_or(0, |value| value.0);
    let count = row.count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    format!(
        "{:016x} {:8x} {:16x} {:8x} {count:>2} {:x} {}",
        row.page.0,
        row.physical.0,
        number(row.mapping),
        number(row.index),
        row.raw_flags.0,
        row.flags.join(",")
    )
    .trim_end()
    .to_owned()
}
