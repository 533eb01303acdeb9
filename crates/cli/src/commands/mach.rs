//! The machine.

use necropsy_linux::Kernel;
use necropsy_machine::{
    format::{Style, write_instance},
    unwind::StackKind,
    value::Value,
};

use crate::rows::machine::{CpuRow, CpuStackRow, MachineRow, MemoryRangeRow, StackRow};
use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    fields, memory,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
    values::{self, Json},
};

const MEMORY_MAP: Opt = Opt::flag("-m", "the firmware's map of physical memory");
const CPUS: Opt = Opt::flag("-c", "the cpuinfo_x86 of each CPU");

pub(crate) static COMMAND: Command = Command {
    names: &["mach"],
    summary: "machine: memory, processors, address spaces, stacks",
    synopsis: "[-m | -c [-x | -d]]",
    options: &[MEMORY_MAP, CPUS, values::HEXADECIMAL, values::DECIMAL],
    rows: &[MachineRow::TYPE, MemoryRangeRow::TYPE, CpuRow::TYPE],
    args: &[],
    description: "\
Shows facts about the machine. HZ is what the kernel's timekeeper was set up for. Stacks are shown
by their lowest address; those that no memory stands behind are marked [unavailable].",
    examples: &[Example {
        about: "Memory as the firmware described it.",
        line: "mach -m",
        output: "",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    match parsed.one_of(&[MEMORY_MAP, CPUS])? {
        Some(MEMORY_MAP) => memory_map(&kernel, out),
        Some(_) => {
            let style = fields::style(session, parsed)?;
            cpus(&kernel, style, out)
        }
        None => facts(&kernel, out),
    }
}

fn facts(kernel: &Kernel, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let layout = kernel.target().layout();
    let row = MachineRow {
        machine: problems.keep(kernel.uts()).map(|uts| uts.machine),
        memory_bytes: problems.keep(kernel.memory_bytes()),
        cpus: kernel.online_cpus().len(),
        hypervisor: kernel.hypervisor().ok().flatten(),
        mhz: match kernel.cpu_khz() {
            // Not every machine has a clock of the processor that the kernel knows.
            Err(necropsy_linux::Error::NoSuch { .. }) => None,
            khz => problems.keep(khz).map(|khz| khz / 1000),
        },
        hz: problems.keep(kernel.hz()),
        page_size: kernel.target().page_size(),
        virtual_base: layout.and_then(|l| l.direct).map(|direct| Hex(direct.start)),
        vmalloc_base: layout.and_then(|l| l.vmalloc).map(Hex),
        vmemmap_base: layout.and_then(|l| l.vmemmap).map(Hex),
        start_map: Hex(layout.map_or(0, |l| l.image_map)),
        modules_base: Hex(kernel.modules_base()),
        stack_size: kernel.thread_size(),
        stacks: stacks(kernel),
    };
    out.record(&row, |line| {
        let mut fact = |name: &str, value: Option<String>| {
            let value = value.unwrap_or_else(|| "(unknown)".into());
            writeln!(line, "{}", format!("{name:>22}: {value}").trim_end())
        };
        let hex = |value: Hex| format!("{value}");
        fact("MACHINE TYPE", row.machine.clone())?;
        fact("MEMORY SIZE", row.memory_bytes.map(memory::installed))?;
        fact("CPUS", Some(row.cpus.to_string()))?;
        if row.hypervisor.is_some() {
            fact("HYPERVISOR", row.hypervisor.clone())?;
        }
        fact("PROCESSOR SPEED", row.mhz.map(|mhz| format!("{mhz} Mhz")))?;
        fact("HZ", row.hz.map(|hz| hz.to_string()))?;
        fact("PAGE SIZE", Some(row.page_size.to_string()))?;
        fact("KERNEL VIRTUAL BASE", row.virtual_base.map(hex))?;
        fact("KERNEL VMALLOC BASE", row.vmalloc_base.map(hex))?;
        fact("KERNEL VMEMMAP BASE", row.vmemmap_base.map(hex))?;
        fact("KERNEL START MAP", Some(hex(row.start_map)))?;
        fact("KERNEL MODULES BASE", Some(hex(row.modules_base)))?;
        fact("KERNEL STACK SIZE", Some(row.stack_size.to_string()))?;
        for stack in &row.stacks {
            fact(&format!("{} STACK SIZE", stack.kind), Some(stack.size.to_string()))?;
            fact(&format!("{} STACKS", stack.kind), Some(String::new()))?;
            for CpuStackRow { cpu, start, available } in &stack.cpus {
                let mark = if *available { "" } else { " [unavailable]" };
                fact(&format!("CPU {cpu}"), Some(format!("{start}{mark}")))?;
            }
        }
        Ok(())
    })?;
    problems.report("machine", out)
}

/// crash's names of stacks; `None` for those it does not show.
fn stack_name(kind: StackKind) -> Option<&'static str> {
    Some(match kind {
        StackKind::Irq => "IRQ",
        StackKind::DoubleFault => "DOUBLEFAULT",
        StackKind::Nmi => "NMI",
        StackKind::Debug => "DEBUG",
        StackKind::MachineCheck => "MCE",
        StackKind::VmmCommunication => "VC",
        _ => return None,
    })
}

fn stacks(kernel: &Kernel) -> Vec<StackRow> {
    let mut rows: Vec<StackRow> = Vec::new();
    for cpu in kernel.online_cpus() {
        let mut shown = Vec::new();
        for stack in kernel.cpu_stacks(cpu) {
            let Some(kind) = stack_name(stack.kind) else { continue };
            // The second stack for #VC serves when it nests.
            if shown.contains(&kind) {
                continue;
            }
            shown.push(kind);
            let there = kernel.target().read_u8(stack.end.wrapping_sub(1)).is_ok();
            let cell = CpuStackRow { cpu, start: Hex(stack.start), available: there };
            match rows.iter_mut().find(|row| row.kind == kind) {
                Some(row) => row.cpus.push(cell),
                None => rows.push(StackRow {
                    kind,
                    size: stack.end.saturating_sub(stack.start),
                    cpus: vec![cell],
                }),
            }
        }
    }
    rows
}

fn memory_map(kernel: &Kernel, out: &mut Output) -> Outcome {
    out.title("      PHYSICAL ADDRESS RANGE         TYPE")?;
    for range in kernel.memory_map()? {
        let row = MemoryRangeRow { start: Hex(range.start), end: Hex(range.end), kind: range.kind };
        out.record(&row, |line| {
            let kind = row.kind.replace("E820_TYPE_", "E820_");
            writeln!(line, "{:016x} - {:016x}  {kind}", row.start.0, row.end.0)
        })?;
    }
    Ok(())
}

fn cpus(kernel: &Kernel, style: Style, out: &mut Output) -> Outcome {
    let ty = kernel
        .types()
        .composite("cpuinfo_x86")
        .ok_or_else(|| CommandError::missing("this kernel has no type cpuinfo_x86"))?;
    for (index, cpu) in kernel.online_cpus().into_iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        let address = kernel.per_cpu("cpu_info", cpu)?;
        let value = Value::at(ty, address);
        let values = match out.is_text() {
            true => Json::Null,
            false => values::json_members(kernel, &[(value.clone(), Vec::new())], &style),
        };
        let row = CpuRow { cpu, cpuinfo_x86: Hex(address), values };
        out.record(&row, |line| {
            writeln!(line, "CPU {cpu}:")?;
            write_instance(line, kernel, &value, &style)
        })?;
    }
    Ok(())
}
