//! Virtual addresses to physical ones, and the walk between.

use necropsy_dump::{Reason, Space};
use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::paging::Walk;

use super::{pte, vm};
use crate::rows::{
    files::VmaRow,
    memory::{MappingRow, StepRow},
};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    memory::is_kernel_address,
    pages,
    parsed::Parsed,
    render::{Faults, Hex, Output},
    session::Session,
    tasks,
};

const USER: Opt = Opt::flag("-u", "a user address");
const KERNEL: Opt = Opt::flag("-k", "a kernel address");
const OF_TASK: Opt = Opt::value("-c", "task", "in the address space of this task");

pub(crate) static COMMAND: Command = Command {
    names: &["vtop"],
    summary: "virtual address to physical address, with every level of the page tables",
    synopsis: "[-u | -k] [-c task] address | symbol | (expression) ...",
    options: &[USER, KERNEL, OF_TASK],
    rows: &[MappingRow::TYPE],
    args: &[Arg::Symbol],
    description: "\
Kernel addresses are walked from the kernel's own page tables, user addresses from those of the
current task or of the one given with -c. Each line has the physical address of an entry and its
value. An address that is not mapped shows how far the walk came.",
    examples: &[
        Example { about: "Where a symbol lies.", line: "vtop linux_banner", output: "" },
        Example { about: "A user page of a process.", line: "vtop -c 1 400000", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    parsed.need(0, "an address")?;
    let task = match parsed.value(OF_TASK) {
        Some(word) => {
            let mut found = tasks::select(kernel, &[word.to_owned()])?;
            found.pop().ok_or_else(|| CommandError::failed(format!("{word}: no such task")))?
        }
        None => session.context(kernel)?,
    };
    let forced = parsed.one_of(&[USER, KERNEL])?;
    let mut unmapped = None;
    for word in &parsed.args {
        let address = session.address(word)?;
        let space = match forced {
            Some(USER) => Space::User,
            Some(_) => Space::Kernel,
            None if is_kernel_address(kernel, address) => Space::Kernel,
            None => Space::User,
        };
        let (root, root_table) = match space {
            // A kernel thread has no user space, and its page tables would show another's.
            Space::User if task.mm().is_ok_and(|mm| mm.is_none()) => {
                no_space(address, out)?;
                continue;
            }
            Space::User => (task.page_table()?, None),
            _ => kernel_root(kernel)?,
        };
        let walk = kernel.target().walk(root, address);
        let vma = match space {
            Space::User => vma_of(kernel, task, address),
            _ => None,
        };
        show(kernel, address, space, root_table, &walk, vma, out)?;
        if let Err(reason) = walk.end {
            unmapped = Some(necropsy_dump::Fault { address, space, reason });
        }
    }
    unmapped.map_or(Ok(()), |fault| Err(fault.into()))
}

/// A user address of a task that has no user space.
fn no_space(address: u64, out: &mut Output) -> Outcome {
    let row = MappingRow {
        virtual_address: Hex(address),
        physical: None,
        root: None,
        steps: Vec::new(),
        page_size: None,
        flags: Vec::new(),
        page: None,
        page_facts: None,
        vma: None,
        reason: Some("no_address_space"),
    };
    out.record(&row, |line| {
        writeln!(line, "{:<10}  PHYSICAL", "VIRTUAL")?;
        writeln!(line, "{:<10}  (not accessible)\n", format!("{address:x}"))
    })
}

/// The mapping that a user address is in, and where in the file the page is.
fn vma_of(kernel: &Kernel, task: Task<'_>, address: u64) -> Option<(VmaRow, u64)> {
    let (vmas, _) = kernel.mappings(task.mm().ok()??).ok()?;
    let vma = vmas.iter().find(|vma| (vma.start..vma.end).contains(&address))?;
    let page = kernel.target().page_size().max(1);
    let into = (address & !(page - 1)).wrapping_sub(vma.start);
    let offset = vma.page_offset.wrapping_mul(page).wrapping_add(into);
    Some((vm::vma_row(kernel, vma, &mut Faults::default()), offset))
}

/// The kernel's root table: physical, and as a symbol if it has one.
fn kernel_root(kernel: &Kernel) -> Result<(u64, Option<u64>), CommandError> {
    let layout = kernel
        .target()
        .layout()
        .ok_or_else(|| CommandError::missing("the kernel's page tables were not found"))?;
    let names = ["init_top_pgt", "swapper_pg_dir"];
    let table = names.iter().find_map(|name| kernel.target().address_of(name));
    Ok((layout.root, table))
}

/// The name of a level, counted from the leaf, in a walk that begins at level `top`.
fn level_name(level: u8, top: u8) -> &'static str {
    match level {
        1 => "PTE",
        2 => "PMD",
        _ if level == top => "PGD",
        3 => "PUD",
        _ => "P4D",
    }
}

fn show(
    kernel: &Kernel,
    address: u64,
    space: Space,
    root: Option<u64>,
    walk: &Walk,
    vma: Option<(VmaRow, u64)>,
    out: &mut Output,
) -> Outcome {
    let paging = kernel.target().paging();
    let (vma, in_file) = vma.unzip();
    let top = walk.steps().first().map_or(0, |step| step.level);
    let steps = walk.steps().iter().map(|step| StepRow {
        level: level_name(step.level, top),
        entry: Hex(step.entry),
        value: Hex(step.value),
    });
    let mapping = walk.end.ok();
    let frame = mapping.map(|mapping| mapping.physical >> paging.page_shift());
    let row = MappingRow {
        virtual_address: Hex(address),
        physical: mapping.map(|m| Hex(m.physical)),
        root: root.map(Hex),
        steps: steps.collect(),
        page_size: mapping.map(|m| m.page_size),
        flags: mapping.map_or(Vec::new(), |m| paging.entry_flags(m.entry, m.page_size)),
        page: frame.and_then(|pfn| kernel.page_of(pfn).ok()).map(Hex),
        page_facts: mapping.and_then(|mapping| pages::row(kernel, mapping.physical).ok()),
        vma,
        reason: walk.end.err().map(Reason::name),
    };
    let width = if space == Space::User { 10 } else { 16 };
    out.record(&row, |line| {
        writeln!(line, "{:<width$}  PHYSICAL", "VIRTUAL")?;
        match row.physical {
            Some(physical) => writeln!(line, "{:<width$}  {physical}\n", format!("{address:x}"))?,
            None => writeln!(line, "{:<width$}  (not mapped)\n", format!("{address:x}"))?,
        }
        let mut steps = row.steps.iter();
        if let Some(root) = row.root {
            writeln!(line, "PGD DIRECTORY: {root}")?;
            if let Some(first) = steps.next() {
                writeln!(line, "PAGE DIRECTORY: {}", first.value)?;
            }
        }
        for step in steps {
            writeln!(line, "   {}: {} => {}", step.level, step.entry, step.value)?;
        }
        let Some(mapping) = mapping else {
            if let Some(vma) = &row.vma {
                writeln!(line, "\n{}\n{}", vm::VMA_HEADING, vm::vma_text(vma).trim_end())?;
                // What is not in memory is in the file.
                if let (Some(file), Some(offset)) = (&vma.file, in_file) {
                    writeln!(line, "\nFILE: {file}  OFFSET: {offset:x}")?;
                }
            }
            return writeln!(line);
        };
        let base = mapping.physical & !(mapping.page_size - 1);
        let shift = mapping.page_size.trailing_zeros();
        match shift {
            _ if shift == paging.page_shift() => writeln!(line, "  PAGE: {base:x}\n")?,
            30.. => writeln!(line, "  PAGE: {base:x}  ({}GB)\n", 1u64 << (shift - 30))?,
            20.. => writeln!(line, "  PAGE: {base:x}  ({}MB)\n", 1 << (shift - 20))?,
            _ => writeln!(line, "  PAGE: {base:x}  ({}KB)\n", mapping.page_size >> 10)?,
        }
        pte::write_table(line, mapping.entry, base, &row.flags)?;
        if let Some(vma) = &row.vma {
            writeln!(line, "\n{}\n{}", vm::VMA_HEADING, vm::vma_text(vma).trim_end())?;
        }
        if let Some(facts) = &row.page_facts {
            writeln!(line, "\n{}\n{}", pages::HEADING, pages::line(facts))?;
        } else if let Some(page) = row.page {
            let frame = mapping.physical >> paging.page_shift() << paging.page_shift();
            writeln!(line, "\n{:^16} {:>8}", "PAGE", "PHYSICAL")?;
            writeln!(line, "{page:016} {frame:>8x}")?;
        }
        writeln!(line)
    })
}
