//! Interrupts.

use std::fmt::Write;

use necropsy_linux::{
    Kernel,
    irq::{Action, Irq},
};

use crate::rows::irq::{ActionRow, AffinityRow, CountRow, IrqRow, SoftirqRow, VectorRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    cpus::cpu_list,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
};

const USED: Opt = Opt::flag("-u", "only interrupts that have a descriptor");
const VECTORS: Opt = Opt::flag("-d", "the interrupt descriptor table");
const SOFTIRQS: Opt = Opt::flag("-b", "softirqs");
const AFFINITY: Opt = Opt::flag("-a", "the CPUs that each interrupt in use may go to");
const COUNTS: Opt = Opt::flag("-s", "how often each interrupt in use occurred, by CPU");
const CPUS: Opt = Opt::value("-c", "cpus", "with -s, only these CPUs: 1,3-5, all");

pub(crate) static COMMAND: Command = Command {
    names: &["irq"],
    summary: "interrupts",
    synopsis: "[index ... | -u]\n-d | -b | -a | -s [-c cpus]",
    options: &[USED, VECTORS, SOFTIRQS, AFFINITY, COUNTS, CPUS],
    rows: &[IrqRow::TYPE, VectorRow::TYPE, SoftirqRow::TYPE, AffinityRow::TYPE, CountRow::TYPE],
    args: &[Arg::Number],
    description: "\
Shows every interrupt number with its descriptor and its handlers (struct irqaction); several
handlers of one interrupt stand below each other. With -a and -s, interrupts that have handlers.",
    examples: &[
        Example { about: "One interrupt.", line: "irq 4", output: "" },
        Example {
            about: "What /proc/interrupts would have shown of devices.",
            line: "irq -s",
            output: "",
        },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut problems = Problems::default();
    match parsed.one_of(&[USED, VECTORS, SOFTIRQS, AFFINITY, COUNTS])? {
        Some(VECTORS) => vectors(kernel, &mut problems, out)?,
        Some(SOFTIRQS) => softirqs(kernel, out)?,
        Some(AFFINITY) => affinity(kernel, &mut problems, out)?,
        Some(COUNTS) => counts(kernel, parsed.value(CPUS), &mut problems, out)?,
        flag => {
            let mut wanted = Vec::new();
            for word in &parsed.args {
                wanted.push(session.number(word)?);
            }
            descriptors(kernel, &wanted, flag.is_some(), &mut problems, out)?;
        }
    }
    problems.report("interrupt", out)
}

fn actions(kernel: &Kernel, irq: &Irq<'_>, problems: &mut Problems) -> Vec<ActionRow> {
    let row = |action: Action, problems: &mut Problems| ActionRow {
        irqaction: Hex(action.address),
        name: problems.keep(action.name),
        handler: Hex(action.handler),
        handler_name: name_of(kernel, action.handler),
        thread_fn: Hex(action.thread_fn),
        flags: Hex(action.flags),
        dev_id: Hex(action.dev_id),
    };
    let found: Vec<_> = irq.actions().into_iter().filter_map(|a| problems.keep(a)).collect();
    found.into_iter().map(|action| row(action, problems)).collect()
}

/// `function`, or `function+offset` in decimal as crash has it.
fn name_of(kernel: &Kernel, address: u64) -> Option<String> {
    let at = kernel.target().locate(address)?;
    Some(match at.offset {
        0 => at.symbol.name.to_owned(),
        offset => format!("{}+{offset}", at.symbol.name),
    })
}

fn descriptors(
    kernel: &Kernel,
    wanted: &[u64],
    used: bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let (irqs, errors) = kernel.irqs()?;
    problems.extend(errors);
    let limit = problems.keep(kernel.irq_limit());
    let last = irqs.last().map_or(0, |irq| irq.number + 1);
    let limit = limit.unwrap_or(last).max(last);
    let numbers: Vec<u64> = match wanted {
        [] if used => irqs.iter().map(|irq| irq.number).collect(),
        [] => (0..limit).collect(),
        wanted => wanted.to_vec(),
    };
    if let Some(number) = numbers.iter().find(|number| **number >= limit) {
        return Err(CommandError::failed(format!(
            "{number}: no such interrupt, there are {limit} (0 to {})",
            limit.saturating_sub(1)
        )));
    }
    out.title(" IRQ   IRQ_DESC/_DATA      IRQACTION      NAME")?;
    for number in numbers {
        let found = irqs.binary_search_by_key(&number, |irq| irq.number).ok().map(|at| &irqs[at]);
        let row = IrqRow {
            irq: number,
            irq_desc: found.map(|irq| Hex(irq.address)),
            actions: found.map_or_else(Vec::new, |irq| actions(kernel, irq, problems)),
        };
        out.record(&row, |line| {
            write!(line, "{number:^5} ")?;
            match row.irq_desc {
                Some(at) => write!(line, "{:016x}  ", at.0)?,
                None => write!(line, "    (unused)      ")?,
            }
            if row.actions.is_empty() {
                return writeln!(line, "    (unused)      ");
            }
            for (index, action) in row.actions.iter().enumerate() {
                if index > 0 {
                    write!(line, "{:24}", "")?;
                }
                let name = action.name.as_deref().unwrap_or("?");
                writeln!(line, "{:016x}  \"{name}\"", action.irqaction.0)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn vectors(kernel: &Kernel, problems: &mut Problems, out: &mut Output) -> Outcome {
    for (vector, address) in kernel.idt()?.into_iter().enumerate() {
        let Some(address) = problems.keep(address) else { continue };
        let row = VectorRow { vector, address: Hex(address), symbol: name_of(kernel, address) };
        out.record(&row, |line| {
            let place = format!("[{vector}]");
            match &row.symbol {
                Some(symbol) => writeln!(line, "{place:>5} {symbol}"),
                None => writeln!(line, "{place:>5} {address:x}"),
            }
        })?;
    }
    Ok(())
}

fn softirqs(kernel: &Kernel, out: &mut Output) -> Outcome {
    out.title("SOFTIRQ_VEC      ACTION")?;
    for softirq in kernel.softirqs()? {
        let function = name_of(kernel, softirq.action);
        let row = SoftirqRow {
            softirq: softirq.number,
            name: softirq.name,
            action: Hex(softirq.action),
            function,
        };
        out.record(&row, |line| {
            let place = format!("[{}]", row.softirq);
            write!(line, "{place:>7}     {:016x}", row.action.0)?;
            match &row.function {
                Some(function) => writeln!(line, "  <{function}>"),
                None => writeln!(line),
            }
        })?;
    }
    Ok(())
}

/// `timer`, or `ehci_hcd:usb2,uhci_hcd:usb3`.
fn names(actions: &[ActionRow]) -> String {
    let names: Vec<&str> = actions.iter().map(|a| a.name.as_deref().unwrap_or("?")).collect();
    names.join(",")
}

/// Interrupts that have handlers.
fn in_use<'k>(
    kernel: &'k Kernel,
    problems: &mut Problems,
) -> Result<Vec<(Irq<'k>, Vec<ActionRow>)>, CommandError> {
    let (irqs, errors) = kernel.irqs()?;
    problems.extend(errors);
    let with_actions = irqs.into_iter().map(|irq| (irq, actions(kernel, &irq, problems)));
    Ok(with_actions.filter(|(_, actions)| !actions.is_empty()).collect())
}

fn affinity(kernel: &Kernel, problems: &mut Problems, out: &mut Output) -> Outcome {
    out.title("IRQ NAME                 AFFINITY")?;
    for (irq, actions) in in_use(kernel, problems)? {
        let cpus = problems.keep(irq.affinity());
        let row = AffinityRow { irq: irq.number, names: names(&actions), cpus };
        out.record(&row, |line| {
            let cpus = row.cpus.as_deref().map_or_else(|| "?".to_owned(), ranges);
            writeln!(line, "{:3} {:<20} {cpus}", row.irq, row.names)
        })?;
    }
    Ok(())
}

/// `0,2-5` for ascending numbers.
fn ranges(cpus: &[u32]) -> String {
    let mut text = String::new();
    for run in cpus.chunk_by(|a, b| a + 1 == *b) {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            [] => Ok(()),
        };
    }
    text
}

fn counts(
    kernel: &Kernel,
    cpus: Option<&str>,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    let cpus = match cpus {
        None | Some("a" | "all") => kernel.online_cpus(),
        Some(cpus) => cpu_list(kernel, cpus)?,
    };
    let mut heading = "    ".to_owned();
    for cpu in &cpus {
        let _ = write!(heading, " {:>10}", format!("CPU{cpu}"));
    }
    out.title(&heading)?;
    for (irq, actions) in in_use(kernel, problems)? {
        let row = CountRow {
            irq: irq.number,
            counts: cpus.iter().map(|cpu| problems.keep(irq.count(*cpu))).collect(),
            chip: problems.keep(irq.chip()).unwrap_or_default(),
            flow: problems.keep(irq.flow()).unwrap_or_default(),
            names: names(&actions),
        };
        out.record(&row, |line| {
            write!(line, "{:3}:", row.irq)?;
            for count in &row.counts {
                match count {
                    Some(count) => write!(line, " {count:10}")?,
                    None => write!(line, " {:>10}", "?")?,
                }
            }
            writeln!(line, " {:>8}-{:<8} {}", row.chip, row.flow, row.names)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[]), "");
    }
}
