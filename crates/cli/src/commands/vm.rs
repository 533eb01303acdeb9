//! Address spaces of tasks.

use necropsy_dump::Reason;
use necropsy_linux::{
    Kernel,
    task::Task,
    vma::{FLAGS, Vma},
};

use super::structure;
use crate::rows::files::{UserPageRow, VmRow, VmaRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    tasks::{self, Header},
};

const PAGES: Opt = Opt::flag("-p", "each page of each mapping, with its physical address");
const ONE: Opt = Opt::value("-P", "vma", "the pages of this mapping only");
const SPACE: Opt = Opt::value("-M", "mm", "this mm_struct, for a task that is exiting");
const STRUCTURE: Opt = Opt::flag("-m", "the mm_struct, member by member");
const EACH: Opt = Opt::flag("-v", "each vm_area_struct, member by member");
const FLAG_NAMES: Opt = Opt::value("-f", "flags", "names of these flags of a mapping");
const REFERENCE: Opt =
    Opt::value("-R", "reference", "only mappings of this file, at this address, or that hold it");
const HEXADECIMAL: Opt = Opt::flag("-x", "with -m and -v, numbers in hexadecimal");
const DECIMAL: Opt = Opt::flag("-d", "with -m and -v, numbers in decimal");

pub(crate) static COMMAND: Command = Command {
    names: &["vm"],
    summary: "address spaces of tasks",
    synopsis: "[-p | -m | -v [-x | -d]] [-P vma] [-M mm] [-R reference] [pid | task | name] ...\n-f flags",
    options: &[PAGES, ONE, SPACE, STRUCTURE, EACH, FLAG_NAMES, REFERENCE, HEXADECIMAL, DECIMAL],
    rows: &[VmRow::TYPE, UserPageRow::TYPE],
    args: &[Arg::Task],
    description: "\
Shows a task's mm_struct, its root page table, its memory and the size of all its mappings in
kilobytes, and each mapping with its flags and file. Without a task, the current one.

-p walks the page tables: a page that is not in memory shows where it is, in a file or in swap.",
    examples: &[
        Example { about: "Of the first process.", line: "vm 1", output: "" },
        Example {
            about: "What the flags of a mapping mean.",
            line: "vm -f 75",
            output: "75: (READ|EXEC|MAYREAD|MAYWRITE|MAYEXEC)\n",
        },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if let Some(word) = parsed.value(FLAG_NAMES) {
        let flags = session.address(word)?;
        return out.line(format_args!("{flags:x}: ({})", names(flags)));
    }
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let forced = parsed.value(SPACE).map(|word| session.address(word)).transpose()?;
    let one = parsed.value(ONE).map(|word| session.address(word)).transpose()?;
    let mut problems = Problems::default();
    let mut between = false;
    for task in tasks::select_or_context(session, kernel, &parsed.args)? {
        let mm = match forced {
            Some(mm) => Some(mm),
            None => problems.keep(task.mm()).flatten(),
        };
        // Who has no such mapping is not mentioned.
        if parsed.value(REFERENCE).is_some_and(|wanted| !refers(kernel, mm, wanted)) {
            continue;
        }
        if std::mem::replace(&mut between, true) {
            out.line("")?;
        }
        out.line(Header::new(task, &mut Faults::default()))?;
        if parsed.has(STRUCTURE) || parsed.has(EACH) {
            structures(session, kernel, parsed, mm, &mut problems, out)?;
        } else if let Some(vma) = one {
            if let Some(vma) = problems.keep(kernel.vma_at(vma)) {
                pages(kernel, task, mm, &vma, &mut problems, out)?;
            }
        } else {
            space(kernel, task, mm, parsed, &mut problems, out)?;
        }
    }
    problems.report("mapping", out)
}

fn names(flags: u64) -> String {
    let set = FLAGS.iter().filter(|(bit, _)| flags & bit != 0);
    let mut names: Vec<String> = set.map(|(_, name)| (*name).to_owned()).collect();
    let known = FLAGS.iter().fold(0, |known, (bit, _)| known | bit);
    if flags & !known != 0 {
        names.push(format!("{:#x}", flags & !known));
    }
    names.join("|")
}

fn structures(
    session: &mut Session,
    kernel: &Kernel,
    parsed: &Parsed,
    mm: Option<u64>,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let Some(mm) = mm else { return out.line("(no address space)") };
    let (tag, addresses) = if parsed.has(STRUCTURE) {
        ("mm_struct", vec![mm])
    } else {
        let Some((vmas, errors)) = problems.keep(kernel.mappings(mm)) else { return Ok(()) };
        problems.extend(errors);
        ("vm_area_struct", vmas.iter().map(|vma| vma.address).collect())
    };
    for address in addresses {
        let radix = [HEXADECIMAL, DECIMAL].into_iter().filter(|opt| parsed.has(*opt));
        let words = [tag.to_owned(), format!("{address:x}")];
        let words = radix.map(|opt| opt.flag.to_owned()).chain(words);
        let parsed = Parsed::new(&structure::COMMAND, words)?;
        (structure::COMMAND.run)(session, &parsed, out)?;
    }
    Ok(())
}

pub(super) fn vma_row(kernel: &Kernel, vma: &Vma, faults: &mut Faults) -> VmaRow {
    VmaRow {
        vma: Hex(vma.address),
        start: Hex(vma.start),
        end: Hex(vma.end),
        flags: Hex(vma.flags),
        file: Some(vma.file)
            .filter(|file| *file != 0)
            .and_then(|file| faults.keep(kernel.name_of_file(file))),
    }
}

fn space(
    kernel: &Kernel,
    task: Task<'_>,
    mm: Option<u64>,
    parsed: &Parsed,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let mut faults = Faults::default();
    let mut row = VmRow {
        pid: faults.keep(task.pid()),
        mm: mm.map(Hex),
        pgd: None,
        rss_bytes: Some(0),
        total_bytes: Some(0),
        vmas: Vec::new(),
        faults: Faults::default(),
    };
    let mut vmas = Vec::new();
    if let Some(mm) = mm {
        let shape = kernel.shapes().mm.at(kernel.target(), mm);
        row.pgd = faults.keep(shape.pgd()).map(Hex);
        let page = kernel.target().page_size();
        row.total_bytes = faults.keep(shape.total_vm()).map(|pages| pages.wrapping_mul(page));
        row.rss_bytes = faults.keep(task.rss_kb()).map(|kb| kb.wrapping_mul(1024));
        if let Some((found, errors)) = problems.keep(kernel.mappings(mm)) {
            problems.extend(errors);
            vmas = found;
        }
    }
    let wanted = parsed.value(REFERENCE);
    for vma in &vmas {
        let row_of = vma_row(kernel, vma, &mut faults);
        if wanted.is_none_or(|wanted| mentions(&row_of, wanted)) {
            row.vmas.push(row_of);
        }
    }
    row.faults = faults;
    if parsed.has(PAGES) {
        head(&row, out)?;
        for vma in vmas.iter().filter(|vma| row.vmas.iter().any(|kept| kept.vma.0 == vma.address)) {
            pages(kernel, task, mm, vma, problems, out)?;
        }
        return Ok(());
    }
    out.record(&row, |line| {
        writeln!(line, "{SPACE_HEADING}\n{}", space_text(&row))?;
        if !row.vmas.is_empty() {
            writeln!(line, "{VMA_HEADING}")?;
        }
        row.vmas.iter().try_for_each(|vma| writeln!(line, "{}", vma_text(vma)))
    })
}

const SPACE_HEADING: &str = "       MM               PGD          RSS    TOTAL_VM";
pub(super) const VMA_HEADING: &str = "      VMA           START       END     FLAGS FILE";

fn head(row: &VmRow, out: &mut Output) -> Outcome {
    out.title(SPACE_HEADING)?;
    out.line(space_text(row))
}

fn space_text(row: &VmRow) -> String {
    let kilobytes = |bytes: Option<u64>| bytes.map_or("?".to_owned(), |b| format!("{}k", b / 1024));
    let address =
        |at: Option<Hex>| at.map_or_else(|| "0".to_owned(), |at| format!("{:016x}", at.0));
    format!(
        "{:>16}  {:>16}{:>7}{:>9}",
        address(row.mm),
        address(row.pgd),
        kilobytes(row.rss_bytes),
        kilobytes(row.total_bytes)
    )
}

pub(super) fn vma_text(row: &VmaRow) -> String {
    format!(
        "{:016x} {:>10x} {:>10x} {:x} {}",
        row.vma.0,
        row.start.0,
        row.end.0,
        row.flags.0,
        row.file.as_deref().unwrap_or("")
    )
}

/// Whether an address space has a mapping of that name or address, or may have one.
fn refers(kernel: &Kernel, mm: Option<u64>, wanted: &str) -> bool {
    let Some(Ok((vmas, errors))) = mm.map(|mm| kernel.mappings(mm)) else { return mm.is_some() };
    let row = |vma| vma_row(kernel, vma, &mut Faults::default());
    !errors.is_empty() || vmas.iter().any(|vma| mentions(&row(vma), wanted))
}

fn mentions(row: &VmaRow, wanted: &str) -> bool {
    let number = crate::numbers::parse_hex(wanted);
    row.file.as_deref().is_some_and(|file| file.contains(wanted))
        || number.is_some_and(|n| n == row.vma.0 || (row.start.0..row.end.0).contains(&n))
}

fn pages(
    kernel: &Kernel,
    task: Task<'_>,
    mm: Option<u64>,
    vma: &Vma,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let mut faults = Faults::default();
    let row = vma_row(kernel, vma, &mut faults);
    out.line(format_args!("{VMA_HEADING}\n{}\nVIRTUAL     PHYSICAL", vma_text(&row)))?;
    let root = || -> necropsy_linux::Result<u64> {
        let mm = mm.ok_or_else(|| {
            necropsy_linux::Error::absent("address space: a kernel thread, or an exiting task")
        })?;
        let pgd = kernel.shapes().mm.at(kernel.target(), mm).pgd()?;
        Ok(kernel.target().translate(pgd)?)
    };
    let Some(root) = problems.keep(root()) else { return Ok(()) };
    let page = kernel.target().page_size().max(1);
    // A damaged end must not make this go round the whole address space for ever: an interrupt
    // stops it, and a mapping that is longer than user space can be is not believed.
    if vma.end < vma.start || vma.end - vma.start > 1 << 57 {
        return Err(CommandError::failed(format!(
            "vm_area_struct {:x}: its end {:x} is not after its start {:x}",
            vma.address, vma.end, vma.start
        )));
    }
    let pid = task.pid().ok();
    let (swaps, _) = kernel.swap_areas().unwrap_or_default();
    let mut at = vma.start;
    while at < vma.end {
        let walk = kernel.target().walk(root, at);
        let physical = walk.end.ok().map(|mapping| mapping.physical);
        let reason = walk.end.err();
        // What is not in memory is in swap, or in the file.
        let (path, offset) = match reason {
            Some(Reason::Swapped { device, offset }) => {
                let area = swaps.iter().find(|area| area.number == u64::from(device));
                let path = area.and_then(|area| kernel.name_of_file(area.file).ok());
                (path, Some(offset.wrapping_mul(page)))
            }
            Some(_) if row.file.is_some() => {
                let pages = vma.page_offset.wrapping_mul(page);
                (row.file.clone(), Some(pages.wrapping_add(at - vma.start)))
            }
            _ => (None, None),
        };
        let row = UserPageRow {
            pid,
            vma: Hex(vma.address),
            virtual_address: Hex(at),
            physical: physical.map(Hex),
            reason: reason.map(Reason::name),
            path,
            offset,
        };
        out.record(&row, |line| {
            write!(line, "{:<12} ", format!("{at:x}"))?;
            let (path, offset) = (row.path.as_deref().unwrap_or("?"), row.offset.unwrap_or(0));
            match (physical, reason, &row.offset) {
                (Some(physical), ..) => writeln!(line, "{physical:x}"),
                (_, Some(Reason::Swapped { .. }), _) => {
                    writeln!(line, "SWAP: {path}  OFFSET: {:x}", offset / page)
                }
                (.., Some(_)) => writeln!(line, "FILE: {path}  OFFSET: {offset:x}"),
                _ => writeln!(line, "({})", row.reason.unwrap_or("not mapped").replace('_', " ")),
            }
        })?;
        at = match at.checked_add(page) {
            Some(next) => next,
            None => break,
        };
    }
    Ok(())
}
