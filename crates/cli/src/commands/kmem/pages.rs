//! `kmem -p`, `kmem -m`, `kmem -g`, `kmem -c`: every page frame.

use necropsy_debuginfo::{Kind, Type};
use necropsy_linux::{Kernel, page::PageFacts};

use super::{PHYSICAL, identify};
use crate::rows::kmem::{PageFlagRow, PageMembersRow, PageRow};
use crate::{
    CommandError, Outcome, numbers,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
};

pub(super) const HEADING: &str = "      PAGE       PHYSICAL      MAPPING       INDEX CNT FLAGS";

pub(super) fn page_row(kernel: &Kernel, facts: &PageFacts) -> PageRow {
    PageRow {
        page: Hex(facts.page),
        physical: Hex(facts.pfn << kernel.target().page_shift()),
        mapping: facts.mapping.map(Hex),
        index: facts.index.map(Hex),
        refcount: facts.refcount,
        raw_flags: Hex(facts.raw_flags),
        flags: facts.flags.clone(),
        used: facts.used.word(),
    }
}

pub(super) fn page_line(row: &PageRow) -> String {
    // What could not be read is no zero.
    let unknown = || "?".to_owned();
    let number = |value: Option<Hex>| value.map_or_else(unknown, |value| format!("{:x}", value.0));
    format!(
        "{:x} {:>8x} {:>16} {:>8} {:>2} {:x} {}",
        row.page.0,
        row.physical.0,
        number(row.mapping),
        number(row.index),
        row.refcount.map_or_else(unknown, |count| count.to_string()),
        row.raw_flags.0,
        row.flags.join(",")
    )
}

/// `kmem -p`; with `in_cache`, `kmem -c`: those that are pages of files.
pub(super) fn all(
    kernel: &Kernel,
    in_cache: bool,
    frames: impl Iterator<Item = u64>,
    out: &mut Output,
) -> Outcome {
    let mut problems = Problems::default();
    out.title(HEADING)?;
    for pfn in frames {
        out.check_interrupt()?;
        let Some(facts) = problems.keep(kernel.page_facts(pfn)) else { continue };
        if in_cache && facts.used != necropsy_linux::page::Use::File {
            continue;
        }
        let row = page_row(kernel, &facts);
        out.record(&row, |line| writeln!(line, "{}", page_line(&row)))?;
    }
    problems.report("page", out)
}

/// The frames of the addresses that were given; else those of all zones that the kernel describes.
pub(super) fn frames(
    session: &Session,
    kernel: &Kernel,
    parsed: &Parsed,
) -> Result<impl Iterator<Item = u64> + use<>, CommandError> {
    let frame = |word: &String| {
        let address = session.address(word)?;
        let pfn = identify::frame(kernel, address, parsed.has(PHYSICAL));
        let none = || CommandError::failed(format!("{word}: not in a page frame of this machine"));
        pfn.map(|pfn| (pfn, pfn.saturating_add(1))).ok_or_else(none)
    };
    let ranges = match parsed.args.is_empty() {
        true => kernel.described_frames()?,
        false => parsed.args.iter().map(frame).collect::<Result<Vec<_>, _>>()?,
    };
    Ok(ranges.into_iter().flat_map(|(start, end)| start..end))
}

/// `kmem -m member[,member]`.
pub(super) fn members(
    kernel: &Kernel,
    wanted: &str,
    frames: impl Iterator<Item = u64>,
    out: &mut Output,
) -> Outcome {
    let types = kernel.types();
    let page = types.composite("page").ok_or_else(|| CommandError::missing("no struct page"))?;
    let mut members = Vec::new();
    for name in wanted.split(',') {
        let path = types.member(page, name).ok_or_else(|| {
            CommandError::failed(format!("{name}: struct page has no such member"))
        })?;
        let size = types.size_of(path.ty).unwrap_or(8);
        members.push((name, path.offset(), size));
    }
    let titles: Vec<String> = members.iter().map(|(name, ..)| format!("{name:>16}")).collect();
    out.title(&format!("      PAGE        {}", titles.join("  ")))?;
    let mut problems = Problems::default();
    for pfn in frames {
        out.check_interrupt()?;
        let Some(page) = problems.keep(kernel.page_of(pfn)) else { continue };
        let read = |(_, offset, size): &(&str, u64, u64)| {
            // Of what is larger than a word, the first word.
            let size = if matches!(size, 1 | 2 | 4 | 8) { *size } else { 8 };
            kernel.target().read_uint(page.wrapping_add(*offset), size).ok().map(Hex)
        };
        let row = PageMembersRow {
            page: Hex(page),
            names: members.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            values: members.iter().map(read).collect(),
        };
        out.record(&row, |line| {
            write!(line, "{:x}", row.page.0)?;
            for value in &row.values {
                match value {
                    Some(value) => write!(line, "  {:>16x}", value.0)?,
                    None => write!(line, "  {:>16}", "?")?,
                }
            }
            writeln!(line)
        })?;
    }
    problems.report("page", out)
}

/// `kmem -g [flags]`.
pub(super) fn flags(kernel: &Kernel, parsed: &Parsed, out: &mut Output) -> Outcome {
    let wanted = match parsed.arg(0) {
        Some(word) => {
            let number = numbers::parse_hex(word);
            Some(
                number
                    .ok_or_else(|| CommandError::usage(format!("{word}: no hexadecimal number")))?,
            )
        }
        None => None,
    };
    let types = kernel.types();
    let id = types.find(Kind::Enum, "pageflags").map(|id| types.resolve(id));
    let Some(Type::Enum { values: enumerators, .. }) = id else {
        return Err(CommandError::missing("the kernel's types do not tell the flags of pages"));
    };
    if let Some(wanted) = wanted {
        out.title(&format!("FLAGS: {wanted:x}"))?;
    }
    let names = enumerators.iter().map(|flag| types.name(flag.name));
    let longest = names.filter(|name| name.starts_with("PG_")).map(str::len).max().unwrap_or(9);
    out.title(&format!("{:<longest$} BIT  VALUE", "PAGE-FLAG"))?;
    for flag in enumerators.iter() {
        let name = types.name(flag.name);
        let Ok(bit) = u32::try_from(flag.value) else { continue };
        let Some(value) = 1u64.checked_shl(bit).filter(|_| name.starts_with("PG_")) else {
            continue;
        };
        if wanted.is_some_and(|wanted| wanted & value == 0) {
            continue;
        }
        let row = PageFlagRow { name: name.to_owned(), bit, value: Hex(value) };
        out.record(&row, |line| writeln!(line, "{:<longest$} {bit:>3}  {value:07x}", row.name))?;
    }
    Ok(())
}
