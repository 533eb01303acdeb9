//! Physical addresses, and offsets of per-CPU variables, to virtual addresses.

use necropsy_linux::Kernel;
use necropsy_machine::scope::Scope;

use crate::rows::memory::{PerCpuRow, VirtualRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example},
    cpus::cpu_list,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["ptov"],
    summary: "physical address or per-CPU offset to virtual address",
    synopsis: "address | offset:cpus ...",
    options: &[],
    rows: &[VirtualRow::TYPE, PerCpuRow::TYPE],
    args: &[Arg::Number],
    description: "\
A physical address becomes one in the kernel's map of all memory. An offset (or the symbol of a
per-CPU variable) with CPUs behind it (:a for all, :1,3-5) becomes the addresses of the variable on
each of them.",
    examples: &[
        Example { about: "The second page of memory.", line: "ptov 1000", output: "" },
        Example { about: "A per-CPU variable everywhere.", line: "ptov runqueues:a", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    parsed.need(0, "an address")?;
    for (index, word) in parsed.args.iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        match word.split_once(':') {
            Some((offset, cpus)) => per_cpu(session, &kernel, offset, cpus, out)?,
            None => physical(&kernel, session.address(word)?, out)?,
        }
    }
    Ok(())
}

fn physical(kernel: &Kernel, address: u64, out: &mut Output) -> Outcome {
    let layout = kernel.target().layout();
    let found = layout.and_then(|layout| layout.to_virtual(address)).ok_or_else(|| {
        CommandError::failed(format!("{address:x}: the kernel maps no such physical address"))
    })?;
    let row = VirtualRow { physical: Hex(address), virtual_address: Hex(found) };
    out.record(&row, |line| {
        writeln!(line, "{:<16}  PHYSICAL", "VIRTUAL")?;
        writeln!(line, "{:016}  {}", row.virtual_address, row.physical)
    })
}

fn per_cpu(
    session: &Session,
    kernel: &Kernel,
    offset: &str,
    cpus: &str,
    out: &mut Output,
) -> Outcome {
    if Scope::symbol(kernel, offset).is_some_and(|symbol| !symbol.per_cpu) {
        return Err(CommandError::failed(format!("{offset}: not a per-CPU variable")));
    }
    let offset = session.address(offset)?;
    let cpus = match cpus {
        "" => vec![session.context(kernel)?.cpu()?],
        cpus => cpu_list(kernel, cpus)?,
    };
    out.line(format_args!("PER-CPU OFFSET: {offset:x}"))?;
    out.line("  CPU    VIRTUAL")?;
    for cpu in cpus {
        let base = kernel
            .per_cpu_offset(cpu)
            .ok_or_else(|| CommandError::failed(format!("CPU {cpu} has no per-CPU memory")))?;
        let virtual_address = Hex(base.wrapping_add(offset));
        let row = PerCpuRow { cpu, offset: Hex(offset), virtual_address };
        out.record(&row, |line| writeln!(line, "  [{cpu}]  {virtual_address:016}"))?;
    }
    Ok(())
}
