//! Virtual addresses to physical ones, and the walk between.

use necropsy_dump::{Reason, Space};
use necropsy_linux::Kernel;
use necropsy_target::paging::{PagingFormat, Walk};
use serde::Serialize;

use super::pte;
use crate::{
    CommandError, Outcome,
    memory::is_kernel_address,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
    tasks,
};

pub(crate) static COMMAND: Command = Command {
    names: &["vtop"],
    summary: "virtual address to physical address, with every level of the page tables",
    synopsis: "[-u | -k] [-c task] address | symbol | (expression) ...",
    options: &[
        Opt { flag: "-u", value: None, help: "a user address" },
        Opt { flag: "-k", value: None, help: "a kernel address" },
        Opt { flag: "-c", value: Some("task"), help: "in the address space of this task" },
    ],
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

#[derive(Serialize)]
struct Step {
    level: &'static str,
    /// Physical address of the entry.
    entry: Hex,
    value: Hex,
}

#[derive(Serialize)]
struct Row {
    virtual_address: Hex,
    physical: Option<Hex>,
    /// Kernel virtual address of the root table.
    root: Option<Hex>,
    steps: Vec<Step>,
    page_size: Option<u64>,
    flags: Vec<&'static str>,
    /// The `struct page` of the frame.
    page: Option<Hex>,
    /// Why there is no physical address.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    parsed.need(0, "an address")?;
    let task = match parsed.value("-c") {
        Some(word) => {
            let mut found = tasks::select(kernel, &[word.to_owned()])?;
            found.pop().ok_or_else(|| CommandError::failed(format!("{word}: no such task")))?
        }
        None => session.context(kernel)?,
    };
    let forced = parsed.one_of(&["-u", "-k"])?;
    let mut unmapped = None;
    for word in &parsed.args {
        let address = session.address(word)?;
        let space = match forced {
            Some("-u") => Space::User,
            Some(_) => Space::Kernel,
            None if is_kernel_address(address) => Space::Kernel,
            None => Space::User,
        };
        let (root, root_table) = match space {
            Space::User => (task.page_table()?, None),
            _ => kernel_root(kernel)?,
        };
        let walk = kernel.target().walk(root, address);
        show(kernel, address, space, root_table, &walk, out)?;
        if let Err(reason) = walk.end {
            unmapped = Some(necropsy_dump::Fault { address, space, reason });
        }
    }
    unmapped.map_or(Ok(()), |fault| Err(fault.into()))
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
    out: &mut Output,
) -> Outcome {
    let paging = kernel
        .target()
        .layout()
        .map_or(PagingFormat::X86_64 { levels: 4, mask: 0 }, |layout| layout.paging);
    let top = walk.steps().first().map_or(0, |step| step.level);
    let steps = walk.steps().iter().map(|step| Step {
        level: level_name(step.level, top),
        entry: Hex(step.entry),
        value: Hex(step.value),
    });
    let mapping = walk.end.ok();
    let frame = mapping.map(|mapping| mapping.physical >> 12);
    let row = Row {
        virtual_address: Hex(address),
        physical: mapping.map(|m| Hex(m.physical)),
        root: root.map(Hex),
        steps: steps.collect(),
        page_size: mapping.map(|m| m.page_size),
        flags: mapping.map_or(Vec::new(), |m| paging.entry_flags(m.entry, m.page_size)),
        page: frame.and_then(|pfn| kernel.page_of(pfn).ok()).map(Hex),
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
        let Some(mapping) = mapping else { return writeln!(line) };
        let base = mapping.physical & !(mapping.page_size - 1);
        match mapping.page_size {
            4096 => writeln!(line, "  PAGE: {base:x}\n")?,
            0x20_0000 => writeln!(line, "  PAGE: {base:x}  (2MB)\n")?,
            _ => writeln!(line, "  PAGE: {base:x}  ({}GB)\n", mapping.page_size >> 30)?,
        }
        pte::write_table(line, mapping.entry, base, &row.flags)?;
        if let Some(page) = row.page {
            let frame = mapping.physical & !0xfff;
            writeln!(line, "\n{:^16} {:>8}", "PAGE", "PHYSICAL")?;
            writeln!(line, "{page:016} {frame:>8x}")?;
        }
        writeln!(line)
    })
}
