//! `kmem -z`, `kmem -n`, `kmem -f`, `kmem -F`: nodes, zones and their free frames.

use necropsy_linux::{
    Error, Kernel,
    zone::{FreeArea, Zone},
};

use super::totals;
use crate::rows::kmem::{FreeListRow, MemoryBlockRow, NodeRow, SectionRow, ZoneRow};
use crate::{
    Outcome,
    problems::Problems,
    render::{Hex, Output},
};

fn zone_row(zone: &Zone) -> ZoneRow {
    ZoneRow {
        zone: Hex(zone.address),
        node: zone.node,
        number: zone.number,
        name: zone.name.clone(),
        start_pfn: Hex(zone.start_pfn),
        spanned: zone.spanned,
        present: zone.present,
        managed: zone.managed,
        min: zone.watermarks.first().copied(),
        low: zone.watermarks.get(1).copied(),
        high: zone.watermarks.get(2).copied(),
    }
}

/// `kmem -z`.
pub(super) fn zones(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    for zone in kernel.zones()? {
        let row = zone_row(&zone);
        let populated = zone.present > 0;
        out.record(&row, |line| {
            writeln!(
                line,
                "NODE: {}  ZONE: {}  ADDR: {:x}  NAME: \"{}\"",
                row.node, row.number, row.zone.0, row.name
            )?;
            if !populated {
                return writeln!(line, "  [unpopulated]\n");
            }
            write!(line, "  SIZE: {}", row.spanned)?;
            if row.present < row.spanned {
                write!(line, "  PRESENT: {}", row.present)?;
            }
            let mark = |mark: Option<u64>| mark.map_or("?".into(), |mark| mark.to_string());
            let (min, low, high) = (mark(row.min), mark(row.low), mark(row.high));
            writeln!(line, "  MIN/LOW/HIGH: {min}/{low}/{high}\n  VM_STAT:")
        })?;
        if !populated {
            continue;
        }
        let Some(counters) = problems.keep(kernel.zone_counters(&zone)) else { continue };
        let width = counters.iter().map(|counter| counter.name.len()).max().unwrap_or(0);
        for counter in &counters {
            totals::counter_row("zone", Some(&zone.name), counter, width, out)?;
        }
        out.title("\n")?;
    }
    problems.report("zone", out)
}

/// `kmem -n`.
pub(super) fn nodes(kernel: &Kernel, out: &mut Output) -> Outcome {
    let shift = kernel.target().page_shift();
    let zones = kernel.zones()?;
    for node in kernel.memory_nodes()? {
        let of = zones.iter().filter(|zone| zone.node == node.node);
        let row = NodeRow {
            node: node.node,
            pages: node.spanned,
            pglist_data: Hex(node.address),
            zones: of.clone().map(|zone| Hex(zone.address)).collect(),
            mem_map: kernel.page_of(node.start_pfn).ok().map(Hex),
            start: Hex(node.start_pfn << shift),
            start_pfn: node.start_pfn,
        };
        out.record(&row, |line| {
            writeln!(line, "NODE    SIZE      PGLIST_DATA       BOOTMEM_DATA       NODE_ZONES")?;
            let first = row.zones.first().map_or(0, |zone| zone.0);
            writeln!(
                line,
                "{:>3}  {:>8}   {:016x}        ----        {first:016x}",
                row.node, row.pages, row.pglist_data.0
            )?;
            for zone in row.zones.iter().skip(1) {
                writeln!(line, "{:>52}{:016x}", "", zone.0)?;
            }
            writeln!(line, "    MEM_MAP          START_PADDR    START_MAPNR")?;
            let map = row.mem_map.map_or(0, |map| map.0);
            writeln!(line, "{map:016x}  {:>10x}  {:>12}\n", row.start.0, row.start_pfn)
        })?;
        out.title("ZONE  NAME         SIZE       MEM_MAP      START_PADDR  START_MAPNR")?;
        for zone in of {
            let row = zone_row(zone);
            out.record(&row, |line| {
                let (number, name) = (row.number, &row.name);
                if row.spanned == 0 {
                    return writeln!(
                        line,
                        "{number:>3}   {name:<9} {:>7}  {0:>16}  {0:>11}  {0:>11}",
                        0
                    );
                }
                let map = kernel.page_of(row.start_pfn.0).unwrap_or(0);
                let (size, start, pfn) = (row.spanned, row.start_pfn.0 << shift, row.start_pfn.0);
                writeln!(
                    line,
                    "{number:>3}   {name:<9} {size:>7}  {map:016x}  {start:>11x}  {pfn:>11}"
                )
            })?;
        }
    }
    sections(kernel, out)?;
    blocks(kernel, out)
}

fn sections(kernel: &Kernel, out: &mut Output) -> Outcome {
    let sections = match kernel.memory_sections() {
        // Not every kernel's map of memory has sections.
        Err(Error::NoSuch { .. }) => return Ok(()),
        sections => sections?,
    };
    out.title(&format!("\n{}\n", "-".repeat(67)))?;
    out.title("NR      SECTION        CODED_MEM_MAP        MEM_MAP       STATE PFN")?;
    for section in sections {
        let row = SectionRow {
            number: section.number,
            section: Hex(section.address),
            coded_map: Hex(section.coded_map),
            mem_map: Hex(section.map),
            state: section.state,
            pfn: section.start_pfn,
        };
        out.record(&row, |line| {
            writeln!(
                line,
                "{:>2}  {:016x}  {:016x}  {:016x}  {:<5} {}",
                row.number, row.section.0, row.coded_map.0, row.mem_map.0, row.state, row.pfn
            )
        })?;
    }
    Ok(())
}

fn blocks(kernel: &Kernel, out: &mut Output) -> Outcome {
    let (blocks, errors) = match kernel.memory_blocks() {
        // Not every kernel can add and remove memory.
        Err(Error::NoSuch { .. }) => return Ok(()),
        blocks => blocks?,
    };
    if !blocks.is_empty() {
        let name = format!("{:>11}        {:<10} {:^19}", "MEM_BLOCK", "NAME", "PHYSICAL RANGE");
        out.title(&format!("\n{name}  NODE  STATE   START_SECTION_NO"))?;
    }
    for block in blocks {
        let row = MemoryBlockRow {
            memory_block: Hex(block.address),
            name: block.name,
            start: Hex(block.memory.start),
            last: Hex(block.memory.end.wrapping_sub(1)),
            node: block.node,
            state: block.state,
            first_section: block.first_section,
        };
        out.record(&row, |line| {
            let node = row.node.map_or_else(|| "-".to_owned(), |node| node.to_string());
            writeln!(
                line,
                " {:016x}   {:<10} {:>8x} - {:>8x}  {node:<4} {:<7} {}",
                row.memory_block.0, row.name, row.start.0, row.last.0, row.state, row.first_section
            )
        })?;
    }
    let mut problems = Problems::default();
    problems.extend(errors);
    problems.report("memory blocks", out)
}

/// `kmem -f`; with the runs, `kmem -F`.
pub(super) fn free(kernel: &Kernel, runs: bool, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let (shift, mut sum) = (kernel.target().page_shift(), 0);
    let nodes = kernel.memory_nodes()?;
    // Frames are counted from the node's first, as crash does it.
    let first = |node| nodes.iter().find(|of| of.node == node).map_or(0, |of| of.start_pfn);
    for zone in kernel.zones()? {
        out.check_interrupt()?;
        let counted = problems.keep(kernel.zone_counters(&zone)).and_then(|counters| {
            counters.iter().find(|counter| counter.name == "NR_FREE_PAGES").map(|free| free.value)
        });
        let map = if zone.spanned == 0 { 0 } else { kernel.page_of(zone.start_pfn).unwrap_or(0) };
        out.title("ZONE  NAME        SIZE    FREE      MEM_MAP       START_PADDR  START_MAPNR")?;
        out.title(&format!(
            "{:>3}   {:<9}{:>7} {:>7}  {map:016x}  {:>8x}{:>11}",
            zone.number,
            zone.name,
            zone.spanned,
            counted.map_or_else(|| "?".to_owned(), |counted| counted.to_string()),
            zone.start_pfn << shift,
            zone.start_pfn.saturating_sub(first(zone.node)),
        ))?;
        if zone.spanned == 0 {
            out.title("")?;
            continue;
        }
        if !runs {
            out.title(AREA)?;
        }
        let mut found = 0;
        for area in problems.keep(kernel.free_areas(&zone)).unwrap_or_default() {
            found += area_rows(kernel, &zone, &area, runs, &mut problems, out)?;
        }
        sum += found;
        out.title("")?;
        // What CPUs have not added to the counter.
        if let Some(counted) = counted.filter(|counted| *counted != found as i64) {
            out.title(&format!("({}: {counted} counted, {found} found)\n", zone.name))?;
        }
    }
    out.title(&format!("nr_free_pages: {sum}  (found on free lists)"))?;
    problems.report("free list", out)
}

const AREA: &str = "AREA    SIZE  FREE_AREA_STRUCT  BLOCKS  PAGES";

/// The rows of one order, and how many frames they have.
fn area_rows(
    kernel: &Kernel,
    zone: &Zone,
    area: &FreeArea,
    runs: bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Result<u64, crate::CommandError> {
    let mut frames = 0;
    for list in &area.lists {
        let (pages, errors) = kernel.free_runs(list.head);
        problems.extend(errors);
        let count = pages.len() as u64;
        frames += count << area.order;
        let size = kernel.target().page_size() << area.order;
        let row = FreeListRow {
            zone: zone.name.clone(),
            order: area.order,
            kind: kernel.migrate_name(list.kind),
            list: Hex(list.head),
            size,
            blocks: count,
            pages: count << area.order,
            runs: if runs { pages.iter().map(|page| Hex(*page)).collect() } else { Vec::new() },
        };
        out.record(&row, |line| {
            if runs {
                writeln!(line, "{AREA}")?;
            }
            let (order, list, kilobytes) = (row.order, row.list.0, row.size >> 10);
            let (blocks, pages) = (row.blocks, row.pages);
            writeln!(line, "{order:>3}  {kilobytes:>6}k  {list:016x}  {blocks:>6}  {pages:>5}")?;
            row.runs.iter().try_for_each(|run| writeln!(line, "{:x}", run.0))
        })?;
    }
    Ok(frames)
}
