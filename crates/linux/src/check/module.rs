//! Modules, and code: what they say of themselves, tables that must lead to code, and the kernel's
//! code against its file.

mod flow;
mod sites;

use super::{Area, Checker, Class, Confidence};
use crate::{
    code::{differences, knows_patches, patches},
    module::Module,
};

pub(super) static AREA: Area = Area {
    name: "module",
    about: "\
modules have a state, a name and ranges of their own that do not overlap; the unwind table is sorted; \
each place of BUG() and WARN(), of a static call and a static branch holds an instruction that can be \
there; code is instructions from symbol to symbol, and branches lead to where one begins; with the \
file of the kernel or of a module at hand, its code is that of the file, but where the kernel patches it: alternatives, \
tracing, static calls and keys, thunks, constants found at its start",
    run,
};

/// Bytes of code read at a time.
const PAGE: usize = 4096;

fn run(checker: &mut Checker<'_>) {
    modules(checker);
    unwind_tables(checker);
    // Other machines have other instructions.
    if knows_patches(checker.kernel) {
        sites::run(checker);
        flow::run(checker);
        text(checker);
    } else {
        checker.unknown_here("images of code", 1);
    }
}

fn modules(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let (modules, error) = kernel.modules();
    if let Some(error) = error {
        let head = kernel.symbol("modules").unwrap_or(0);
        checker.walk("modules", "modules", "modules", head, error);
    }
    checker.count("modules", modules.len() as u64);
    for module in modules {
        let field = &kernel.shapes().module;
        let name = format!("module {} ({:x})", module.name.escape_default(), module.address);
        if module.state > 3 {
            let at = field.state.address(module.address).unwrap_or(module.address);
            checker
                .find("module", Class::Value, name.clone(), at, "it is in no state that there is")
                .start(module.address)
                .found(module.state);
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if module.name.is_empty() || !module.name.chars().all(letter) {
            let at = field.name.address(module.address).unwrap_or(module.address);
            checker
                .find("module", Class::Value, name.clone(), at, "its name is no name of a module")
                .start(module.address);
        }
        for other in modules.iter().filter(|other| other.address > module.address) {
            if overlap(module, other) {
                let text = format!("its memory overlaps that of {}", other.name);
                checker
                    .find("module", Class::Value, name.clone(), module.address, text)
                    .start(module.address)
                    .confidence(Confidence::Likely);
            }
        }
    }
}

fn overlap(module: &Module, other: &Module) -> bool {
    module
        .ranges
        .iter()
        .any(|range| other.ranges.iter().any(|of| range.start < of.end && of.start < range.end))
}

/// Addresses of the unwind table rise (arch/x86/kernel/unwind_orc.c).
fn unwind_tables(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let target = kernel.target();
    for image in target.images() {
        let Some(tables) = image.orc_tables else { continue };
        let count = tables.count.min(16 << 20);
        let Ok(bytes) = target.read_bytes(tables.ip, count * 4) else {
            checker.unread("unwind tables", 1, None);
            continue;
        };
        checker.count("places of unwind tables", count);
        let address = |(index, entry): (usize, &[u8; 4])| {
            let at = tables.ip.wrapping_add(index as u64 * 4);
            at.wrapping_add(i64::from(i32::from_le_bytes(*entry)) as u64)
        };
        let places: Vec<u64> = bytes.as_chunks::<4>().0.iter().enumerate().map(address).collect();
        for (index, three) in places.windows(3).enumerate() {
            let [before, this, after] = three else { continue };
            // Only one that is wrong lies outside of neighbours that are in order.
            if before <= after && !(before..=after).contains(&this) {
                let at = tables.ip.wrapping_add((index as u64 + 1) * 4);
                checker
                    .find(
                        "unwind_table",
                        Class::Text,
                        format!("unwind table of {}", image.name),
                        at,
                        "an address is not between those beside it",
                    )
                    .start(tables.ip)
                    .found(*this);
            }
        }
    }
}

/// What the kernel gave back after its start: it holds other things by now.
fn given_back(kernel: &crate::Kernel) -> std::ops::Range<u64> {
    let bound = |name| kernel.symbol(name).unwrap_or(0);
    bound("__init_begin")..bound("__init_end")
}

fn function(kernel: &crate::Kernel, at: u64) -> String {
    kernel.target().locate(at).map_or_else(|| format!("{at:x}"), |at| at.symbol.name.to_owned())
}

/// The kernel's code against its file.
fn text(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let target = kernel.target();
    modules_text(checker);
    let Some(debug) = target.debug(target.kernel()).filter(|debug| debug.matches) else { return };
    let file = debug.dwarf.file();
    let Some((start, size)) = file.linked_section(".text") else { return };
    let Some(code) = file.linked_bytes(start, size as usize) else { return };
    let patched = patches::of(kernel, file, debug.bias);
    // What the dump lacks is taken to be right.
    let mut found = code.clone();
    for (index, page) in found.chunks_mut(PAGE).enumerate() {
        let at = start.wrapping_add(debug.bias).wrapping_add((index * PAGE) as u64);
        let was = page.to_vec();
        if let Err(fault) = target.read(at, page) {
            page.copy_from_slice(&was);
            checker.unread("pages of code", 1, Some(&fault.into()));
        }
        if checker.stopped() {
            return;
        }
    }
    compare(checker, patched, start, start.wrapping_add(debug.bias), (&code, &found));
    checker.count("bytes of code", code.len() as u64);
}

/// The code of modules against their files.
fn modules_text(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let target = kernel.target();
    for image in target.images().filter(|image| !std::ptr::eq(*image, target.kernel())) {
        let Some(debug) = target.debug(image).filter(|debug| debug.matches) else { continue };
        for (start, size) in debug.dwarf.file().placed_sections() {
            // By pages where the dump lacks some: that costs no more than those.
            let step = if target.read_bytes(start, size as u64).is_ok() { size } else { PAGE };
            for at in (0..size).step_by(step.max(1)) {
                if checker.stopped() {
                    return;
                }
                let (start, size) = (start.wrapping_add(at as u64), step.min(size - at));
                let Some(changed) = kernel.changed_code(start, size) else {
                    checker.unread("pages of code", 1, None);
                    continue;
                };
                for changed in changed {
                    let begins = target.locate(changed.at).map(|at| at.symbol.address);
                    let text = of_the_file(changed.was.len(), "module's");
                    checker
                        .find("text", Class::Text, function(kernel, changed.at), changed.at, text)
                        .start(begins.unwrap_or(changed.at))
                        .bytes(&changed.was, &changed.is);
                }
                checker.count("bytes of code", size as u64);
            }
        }
    }
}

fn of_the_file(bytes: usize, whose: &str) -> String {
    format!("{bytes} bytes of code are not those of the {whose} file")
}

fn compare(
    checker: &mut Checker<'_>,
    patched: &patches::Patches,
    linked: u64,
    here: u64,
    (expected, found): (&[u8], &[u8]),
) {
    let allowed = |at: usize| patched.allows(linked.wrapping_add(at as u64), at, expected, found);
    for run in differences(expected, found, allowed) {
        let (start, end) = (run.start, run.end);
        let (Some(was), Some(is)) = (expected.get(start..end), found.get(start..end)) else {
            continue;
        };
        let site = here.wrapping_add(start as u64);
        let begins = checker.kernel.target().locate(site).map_or(site, |at| at.symbol.address);
        let text = of_the_file(end - start, "kernel's");
        checker
            .find("text", Class::Text, function(checker.kernel, site), site, text)
            .start(begins)
            .bytes(was, is);
    }
}
