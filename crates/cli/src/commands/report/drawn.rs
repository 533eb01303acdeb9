//! What the page for a browser draws: who waits for whom, the slab of a damaged object, and where in memory
//! lies what the verdict speaks of. Lengths are shares of the width, words stand beside the drawing or keep
//! their size, so that it can be read in a narrow window, too.

use std::fmt::{Result, Write};

use necropsy_diagnose::facts::{Mark, SlabMap, Wait};
use necropsy_linux::Kernel;

use super::html::escaped;
use crate::words::whole_size;

/// Who waits for whom: tasks on the left, what they wait for and who has it on the right.
pub(super) fn graph(waits: &[Wait], out: &mut String) -> Result {
    if waits.is_empty() {
        return Ok(());
    }
    const ROW: usize = 64;
    let height = waits.len() * ROW + 10;
    writeln!(out, "<h3>Who waits for whom</h3>")?;
    writeln!(
        out,
        "<div class=\"wide\"><svg viewBox=\"-2 0 764 {height}\" role=\"img\" aria-label=\"wait-for graph\"><defs><marker \
         id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>"
    )?;
    for (index, wait) in waits.iter().enumerate() {
        let (y, middle) = (index * ROW + 8, index * ROW + 30);
        let boxes = [(0, &wait.task), (260, &wait.lock), (520, &wait.holder)];
        for (x, text) in boxes {
            writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"240\" height=\"44\" rx=\"6\"/><text x=\"{}\" \
                 y=\"{}\">{}</text>",
                x + 120,
                middle + 5,
                escaped(&shortened(text))
            )?;
        }
        for x in [240, 500] {
            writeln!(
                out,
                "<line x1=\"{x}\" y1=\"{middle}\" x2=\"{}\" y2=\"{middle}\" marker-end=\"url(#tip)\"/>",
                x + 19
            )?;
        }
    }
    writeln!(out, "</svg></div>")
}

fn shortened(text: &str) -> String {
    match text.chars().count() {
        0..=30 => text.to_owned(),
        _ => text.chars().take(29).chain(['…']).collect(),
    }
}

/// A slab, a square for each object, sixteen a row.
pub(super) fn slab(slab: Option<&SlabMap>, out: &mut String) -> Result {
    const ROW: usize = 16;
    const SIDE: usize = 20;
    let Some(slab) = slab.filter(|slab| !slab.slots.is_empty()) else { return Ok(()) };
    let rows = slab.slots.len().div_ceil(ROW);
    writeln!(out, "<h3>The slab around it</h3>")?;
    writeln!(
        out,
        "<p>{} of slab cache {}, {} bytes each, from {:016x} on: <span class=\"key\">in use</span> \
         <span class=\"key free\">free</span> <span class=\"key unknown\">not known</span> <span \
         class=\"key damaged\">damaged, or what the verdict speaks of</span></p>",
        counted(slab.slots.len(), "object"),
        escaped(&slab.cache),
        slab.stride,
        slab.start
    )?;
    let (width, height) = (ROW * SIDE, rows * SIDE);
    writeln!(
        out,
        "<svg class=\"slab\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"slab\">"
    )?;
    for (index, slot) in slab.slots.iter().enumerate() {
        let (state, class) = match slot.allocated {
            Some(true) => ("in use", "used"),
            Some(false) => ("free", "free"),
            None => ("not known", "unknown"),
        };
        let damaged = if slot.damaged { " damaged" } else { "" };
        writeln!(
            out,
            "<rect class=\"{class}{damaged}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>\
             {:016x} {state}</title></rect>",
            index % ROW * SIDE + 2,
            index / ROW * SIDE + 2,
            SIDE - 4,
            SIDE - 4,
            slot.address
        )?;
    }
    writeln!(out, "</svg>")
}

/// What the addresses of this machine are for, and its RAM, with what the verdict speaks of.
pub(super) fn memory(kernel: Option<&Kernel>, marks: &[Mark], out: &mut String) -> Result {
    let Some(kernel) = kernel.filter(|_| !marks.is_empty()) else { return Ok(()) };
    let target = kernel.target();
    writeln!(out, "<h3>Where that lies</h3>\n<ol class=\"marks\">")?;
    for mark in marks {
        let physical = target.translate(mark.address).ok().filter(|_| is_kernel(kernel, mark));
        let physical = physical.map_or(String::new(), |it| format!(", physical {it:x}"));
        writeln!(
            out,
            "<li><code>{:016x}</code> {}{physical}</li>",
            mark.address,
            escaped(&mark.what)
        )?;
    }
    writeln!(out, "</ol>")?;
    // The number that a mark has in the list, and its address.
    let numbered = || (1..).zip(marks.iter().map(|mark| mark.address));
    let mut shown = vec![false; marks.len()];
    for range in target.address_map() {
        let size = range.end.saturating_sub(range.start);
        let within: Vec<_> = numbered()
            .filter(|(_, at)| (range.start..range.end).contains(at))
            .map(|(number, at)| (number, at - range.start))
            .collect();
        within.iter().for_each(|(number, _)| shown[number - 1] = true);
        let from_to = format!("{:016x} – {:016x}", range.start, range.end.wrapping_sub(1));
        bar(
            &format!("{from_to}, {}: {}", whole_size(size), range.what),
            size,
            &[(0, size, "")],
            &within,
            out,
        )?;
    }
    let left: Vec<String> = numbered()
        .filter(|(number, _)| !shown[number - 1])
        .map(|(number, _)| number.to_string())
        .collect();
    if !left.is_empty() {
        writeln!(out, "<p>In none of these ranges: {}.</p>", left.join(", "))?;
    }
    let Ok(ram) = kernel.ram() else { return Ok(()) };
    let shift = target.page_shift();
    let size = ram.ranges.last().map_or(0, |range| range.end << shift);
    let kinds =
        [(&ram.ranges, ""), (&ram.crash_kernel, "crash"), (&ram.image, "image")].into_iter();
    let parts: Vec<_> = kinds
        .flat_map(|(ranges, class)| ranges.iter().map(move |it| (it.start, it.end, class)))
        .map(|(start, end, class)| (start << shift, end << shift, class))
        .collect();
    let within: Vec<_> = numbered()
        .zip(marks)
        .filter(|(_, mark)| is_kernel(kernel, mark))
        .filter_map(|((number, at), _)| Some((number, target.translate(at).ok()?)))
        .filter(|(_, at)| *at < size)
        .collect();
    let what = "physical memory: <span class=\"key\">RAM</span> <span class=\"key image\">the kernel's \
                image</span> <span class=\"key crash\">kept for the capture kernel</span>";
    bar(
        &format!("0 – {:x}, {}: {what}", size.wrapping_sub(1), whole_size(size)),
        size,
        &parts,
        &within,
        out,
    )
}

fn is_kernel(kernel: &Kernel, mark: &Mark) -> bool {
    kernel.target().is_kernel_address(mark.address)
}

/// `1 object`, `2 objects`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A bar of so many bytes: its parts from one byte to before another, each of a class, and numbers where
/// something lies.
fn bar(
    title: &str,
    size: u64,
    parts: &[(u64, u64, &str)],
    marks: &[(usize, u64)],
    out: &mut String,
) -> Result {
    let share = |bytes: u64| bytes as f64 * 100.0 / size.max(1) as f64;
    writeln!(out, "<p class=\"range\">{title}</p>")?;
    writeln!(out, "<svg class=\"bar\" height=\"{}\">", if marks.is_empty() { 12 } else { 28 })?;
    let top = if marks.is_empty() { 1 } else { 17 };
    for (start, end, class) in parts {
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{:.2}%\" y=\"{top}\" width=\"{:.2}%\" height=\"10\"/>",
            share(*start),
            share(end.saturating_sub(*start))
        )?;
    }
    // Numbers that would stand on each other stand side by side.
    let mut near: Vec<(f64, String)> = Vec::new();
    let mut sorted = marks.to_vec();
    sorted.sort_unstable_by_key(|(_, at)| *at);
    for (number, at) in sorted {
        let place = share(at);
        writeln!(out, "<line x1=\"{place:.2}%\" y1=\"14\" x2=\"{place:.2}%\" y2=\"28\"/>")?;
        match near.last_mut().filter(|(last, _)| place - *last < 6.0) {
            Some((_, numbers)) => numbers.push_str(&format!(", {number}")),
            None => near.push((place, number.to_string())),
        }
    }
    for (place, numbers) in near {
        let anchor = match place {
            place if place < 4.0 => "start",
            place if place > 96.0 => "end",
            _ => "middle",
        };
        writeln!(
            out,
            "<text x=\"{place:.2}%\" y=\"11\" style=\"text-anchor:{anchor}\">{numbers}</text>"
        )?;
    }
    writeln!(out, "</svg>")
}
