//! `kmem -i`, `kmem -V`, `kmem -h`: memory as a whole.

use necropsy_linux::{
    Kernel,
    vmstat::{Counter, Usage},
};

use crate::rows::kmem::{CounterRow, HugePagesRow, UsageRow};
use crate::{
    Outcome,
    problems::Problems,
    render::{Hex, Output},
};

/// Of what a line tells the share.
const OF_MEMORY: &str = "of TOTAL MEM";
const OF_HUGE: &str = "of TOTAL HUGE";
const OF_SWAP: &str = "of TOTAL SWAP";
const OF_LIMIT: &str = "of TOTAL LIMIT";

/// `kmem -i`.
pub(super) fn usage(kernel: &Kernel, out: &mut Output) -> Outcome {
    let Usage { total, free, buffers, cached, slab, .. } = kernel.memory_usage();
    let usage = kernel.memory_usage();
    let used = total.zip(free).map(|(total, free)| total.saturating_sub(free));
    let swap_used =
        usage.swap_total.zip(usage.swap_free).map(|(all, free)| all.saturating_sub(free));
    let lines = [
        ("TOTAL MEM", total, None),
        ("FREE", free, Some((OF_MEMORY, total))),
        ("USED", used, Some((OF_MEMORY, total))),
        ("BUFFERS", buffers, Some((OF_MEMORY, total))),
        ("CACHED", cached, Some((OF_MEMORY, total))),
        ("SLAB", slab, Some((OF_MEMORY, total))),
        ("TOTAL HUGE", usage.huge_total, None),
        ("HUGE FREE", usage.huge_free, Some((OF_HUGE, usage.huge_total))),
        ("TOTAL SWAP", usage.swap_total, None),
        ("SWAP USED", swap_used, Some((OF_SWAP, usage.swap_total))),
        ("SWAP FREE", usage.swap_free, Some((OF_SWAP, usage.swap_total))),
        ("COMMIT LIMIT", usage.commit_limit, None),
        ("COMMITTED", usage.committed, Some((OF_LIMIT, usage.commit_limit))),
    ];
    out.title("                 PAGES        TOTAL      PERCENTAGE")?;
    let page = kernel.target().page_size();
    for (number, (name, pages, of)) in lines.into_iter().enumerate() {
        let share = of.and_then(|(_, whole)| {
            let (part, whole) = pages.zip(whole)?;
            // Nothing is no share of nothing: 0, as crash has it.
            Some(part.saturating_mul(100).checked_div(whole).unwrap_or(0))
        });
        let bytes = pages.map(|pages| pages.saturating_mul(page));
        let row = UsageRow { name, pages, bytes, percent: share };
        out.record(&row, |line| {
            if number > 0 && of.is_none() {
                writeln!(line)?;
            }
            let text = |value: Option<u64>, of: fn(u64) -> String| value.map_or("?".into(), of);
            let (pages, size) = (text(row.pages, |n| n.to_string()), text(row.bytes, size));
            match of {
                Some((of, _)) => {
                    let share = text(row.percent, |n| n.to_string());
                    writeln!(line, "{name:>13}  {pages:>7}  {size:>11}  {share:>3}% {of}")
                }
                None => writeln!(line, "{name:>13}  {pages:>7}  {size:>11}         ----"),
            }
        })?;
    }
    Ok(())
}

/// `273 MB`, `44.8 MB`, `1 KB`, as crash has it.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return bytes.to_string();
    };
    let number = format!("{:.1}", bytes as f64 / unit as f64);
    format!("{} {name}", number.strip_suffix(".0").unwrap_or(&number))
}

/// `kmem -V`.
pub(super) fn counters(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let mut groups = Vec::new();
    for (title, name, counters) in [
        ("VM_ZONE_STAT", "zone", kernel.zone_totals()),
        ("VM_NODE_STAT", "node", kernel.node_totals()),
        ("VM_EVENT_STATES", "event", kernel.memory_events()),
    ] {
        if let Some(counters) = problems.keep(counters) {
            groups.push((title, name, counters));
        }
    }
    let longest = |of: &[&str]| {
        let groups = groups.iter().filter(|(_, name, _)| of.contains(name));
        groups.flat_map(|(_, _, counters)| counters).map(|counter| counter.name.len()).max()
    };
    let (stats, events) = (longest(&["zone", "node"]), longest(&["event"]));
    for (number, (title, name, counters)) in groups.iter().enumerate() {
        if number > 0 {
            out.title("")?;
        }
        out.title(&format!("  {title}:"))?;
        let width = if *name == "event" { events } else { stats }.unwrap_or(0);
        for counter in counters {
            counter_row(name, None, counter, width, out)?;
        }
    }
    problems.report("counters", out)
}

pub(super) fn counter_row(
    group: &'static str,
    zone: Option<&str>,
    counter: &Counter,
    width: usize,
    out: &mut Output,
) -> Outcome {
    let row = CounterRow {
        group,
        zone: zone.map(str::to_owned),
        name: counter.name.clone(),
        value: counter.value,
    };
    out.record(&row, |line| writeln!(line, "{:>width$}: {}", row.name, row.value))
}

/// `kmem -h`.
pub(super) fn huge(kernel: &Kernel, out: &mut Output) -> Outcome {
    out.title("     HSTATE        SIZE    FREE   TOTAL  NAME")?;
    for kind in kernel.huge_pages()? {
        let row = HugePagesRow {
            hstate: Hex(kind.address),
            size: kernel.target().page_size() << kind.order,
            free: kind.free,
            total: kind.total,
            name: kind.name,
        };
        out.record(&row, |line| {
            let size = size(row.size).replace(' ', "");
            let (free, total, name) = (row.free, row.total, &row.name);
            writeln!(line, "{:016x}  {size:>5}  {free:>6}  {total:>6}  {name}", row.hstate.0)
        })?;
    }
    Ok(())
}
