//! Events as `/sys/kernel/tracing/trace` prints them (kernel/trace/trace_output.c).

use super::{
    Comms, Event, FieldValue, Format, Formats, Instance,
    printf::{self, Arg, Piece},
};
use crate::Kernel;

/// Prints events.
#[derive(Debug)]
pub struct Printer<'k> {
    kernel: &'k Kernel,
    comms: Comms<'k>,
    flags: FlagBits,
    /// Whether `preempt_count` also holds how often migration was disabled (5.14).
    migration: bool,
}

/// The bits of `trace_entry.flags` as this kernel has them.
#[derive(Debug, Clone, Copy, Default)]
struct FlagBits {
    irqs_off: u8,
    no_irqs: u8,
    resched: u8,
    resched_lazy: u8,
    hardirq: u8,
    softirq: u8,
    preempt_resched: u8,
    nmi: u8,
    bh_off: u8,
}

impl FlagBits {
    /// As the kernel's types tell them, else as they have been since 4.0.
    fn of(kernel: &Kernel) -> FlagBits {
        let names = &kernel.shapes().trace_flags;
        let bit = |constant: &crate::shape::Constant, usual| {
            constant.index().ok().and_then(|bit| u8::try_from(bit).ok()).unwrap_or(usual)
        };
        FlagBits {
            irqs_off: bit(&names.irqs_off, 1),
            // Two meanings of one bit; kernels have had either.
            no_irqs: bit(&names.no_irqs, 0),
            resched: bit(&names.resched, 4),
            resched_lazy: bit(&names.resched_lazy, 0),
            hardirq: bit(&names.hardirq, 8),
            softirq: bit(&names.softirq, 0x10),
            preempt_resched: bit(&names.preempt_resched, 0x20),
            nmi: bit(&names.nmi, 0x40),
            bh_off: bit(&names.bh_off, 0),
        }
    }

    /// `d.h1.`: interrupts off, wants to be rescheduled, context, depth of preemption off and of
    /// migration off.
    fn text(self, event: &Event, migration: bool) -> String {
        let set = |bit: u8| event.flags() & bit != 0;
        let mut text = String::with_capacity(5);
        text.push(match (set(self.irqs_off), set(self.bh_off)) {
            (true, true) => 'D',
            (true, false) => 'd',
            (false, true) => 'b',
            _ if set(self.no_irqs) => 'X',
            _ => '.',
        });
        text.push(match (set(self.resched), set(self.resched_lazy), set(self.preempt_resched)) {
            (true, true, true) => 'B',
            (true, false, true) => 'N',
            (false, true, true) => 'L',
            (true, true, false) => 'b',
            (true, false, false) => 'n',
            (false, true, false) => 'l',
            (false, false, true) => 'p',
            (false, false, false) => '.',
        });
        text.push(match (set(self.nmi), set(self.hardirq), set(self.softirq)) {
            (true, true, _) => 'Z',
            (true, false, _) => 'z',
            (_, true, true) => 'H',
            (_, true, false) => 'h',
            (_, false, true) => 's',
            _ => '.',
        });
        let digit = |count: u8| match count {
            0 => '.',
            count => char::from_digit(count.into(), 16).unwrap_or('?'),
        };
        if migration {
            text.push(digit(event.preempt_count() & 15));
            text.push(digit(event.preempt_count() >> 4));
        } else {
            text.push(digit(event.preempt_count().min(15)));
        }
        text
    }
}

impl<'k> Printer<'k> {
    /// For a kernel's events.
    pub fn of(kernel: &'k Kernel) -> Printer<'k> {
        let migration = kernel.shapes().traced_task.migration.exists();
        let flags = FlagBits::of(kernel);
        Printer { kernel, comms: Comms::of(kernel), flags, migration }
    }

    /// The command name that the event's thread had.
    pub fn comm(&self, event: &Event) -> String {
        self.comms.name(event.pid())
    }

    /// `d.h1.`, as in the column of the kernel's own output.
    pub fn flags(&self, event: &Event) -> String {
        self.flags.text(event, self.migration)
    }

    /// What the event says: `sched_waking: comm=init pid=1 …`, `vfs_read <-ksys_read`.
    pub fn body(&self, event: &Event) -> String {
        let Some(format) = event.format.as_deref() else {
            return format!("unknown event of kind {}", event.id());
        };
        let special = match format.system.as_str() {
            "ftrace" => self.tracer_event(format, event),
            "syscalls" => self.system_call(format, event),
            _ => None,
        };
        special.unwrap_or_else(|| {
            let target = self.kernel.target();
            let text = format.printer().and_then(|fmt| fmt.print(target, format, &event.data));
            let text = text.unwrap_or_else(|| fields(format, event));
            format!("{}: {}", format.name, text.trim_end_matches('\n'))
        })
    }

    /// A whole line: `  busy-182     [000] d.h1.     8.592025: sched_stat_runtime: …`.
    pub fn line(&self, event: &Event) -> String {
        // Rounded, as the kernel rounds it.
        let micros = event.time.saturating_add(500) / 1000;
        format!(
            "{:>16}-{:<7} [{:03}] {} {:>5}.{:06}: {}",
            self.comm(event),
            event.pid(),
            event.cpu,
            self.flags(event),
            micros / 1_000_000,
            micros % 1_000_000,
            self.body(event)
        )
    }

    fn name(&self, address: i128) -> String {
        printf::symbol(Some(self.kernel.target()), address as u64, false)
    }

    /// What tracers and the kernel itself write, which no `print_fmt` describes as it is printed.
    fn tracer_event(&self, format: &Format, event: &Event) -> Option<String> {
        let target = self.kernel.target();
        let field = |name: &str| match format.field(name)?.value(&event.data)? {
            FieldValue::Number(number) => Some(number),
            _ => None,
        };
        Some(match format.name.as_str() {
            "function" => {
                format!("{} <-{}", self.name(field("ip")?), self.name(field("parent_ip")?))
            }
            "print" | "bputs" => {
                let text = match format.name.as_str() {
                    "print" => super::format::text(event.data.get(format.field("buf")?.offset..)?),
                    _ => target.read_cstr(field("str")? as u64, 4096).ok()?,
                };
                format!("{}: {}", self.name(field("ip")?), text.trim_end_matches('\n'))
            }
            "bprint" => {
                let text = target.read_cstr(field("fmt")? as u64, 4096).ok()?;
                let pieces = printf::pieces(&text);
                let args = packed(&pieces, event.data.get(format.field("buf")?.offset..)?);
                let text = printf::print(&pieces, &args, Some(target));
                format!("{}: {}", self.name(field("ip")?), text.trim_end_matches('\n'))
            }
            "kernel_stack" => {
                let mut text = "<stack trace>".to_owned();
                let callers = event.data.get(format.field("caller")?.offset..)?;
                let (words, _) = callers.as_chunks::<8>();
                for word in words.iter().map(|word| u64::from_le_bytes(*word)) {
                    if word == 0 || word == u64::MAX {
                        break;
                    }
                    text.push_str("\n => ");
                    text.push_str(&self.name(word.into()));
                }
                text
            }
            "funcgraph_entry" => {
                let depth = depth(field("depth")?);
                format!("{depth}{}() {{", self.name(field("func")?))
            }
            "funcgraph_exit" => {
                let depth = depth(field("depth")?);
                let took = field("rettime").zip(field("calltime"));
                let took = took
                    .map(|(to, from)| to.wrapping_sub(from) as u64)
                    .map_or_else(String::new, |ns| format!(" {}.{:03} us", ns / 1000, ns % 1000));
                format!("{depth}}} /* {}{took} */", self.name(field("func")?))
            }
            _ => return None,
        })
    }

    /// `sys_read(fd: 3, buf: 7ffe, count: 10)`, `sys_read -> 0x10`.
    fn system_call(&self, format: &Format, event: &Event) -> Option<String> {
        let number = |field: &super::FieldFormat| match field.value(&event.data)? {
            FieldValue::Number(number) => Some(number as u64),
            _ => None,
        };
        if let Some(name) = format.name.strip_prefix("sys_enter_") {
            let args: Option<Vec<String>> = format
                .fields
                .iter()
                .filter(|field| field.name != "__syscall_nr" && !field.name.starts_with("__"))
                .map(|field| Some(format!("{}: {:x}", field.name, number(field)?)))
                .collect();
            return Some(format!("sys_{name}({})", args?.join(", ")));
        }
        let name = format.name.strip_prefix("sys_exit_")?;
        Some(format!("sys_{name} -> {:#x}", number(format.field("ret")?)?))
    }
}

/// Two columns for each level of calls.
fn depth(depth: i128) -> String {
    "  ".repeat(depth.clamp(0, 50) as usize)
}

/// `name=value` for each field, where the kernel's own text is not understood.
fn fields(format: &Format, event: &Event) -> String {
    let shown = |value: FieldValue| match value {
        FieldValue::Number(number) => format!("{number}"),
        FieldValue::Text(text) => text,
        FieldValue::Numbers(numbers) => format!("{numbers:x?}"),
    };
    let fields: Vec<String> = format
        .fields
        .iter()
        .map(|field| {
            let value = field.value(&event.data).map_or_else(|| "?".to_owned(), shown);
            format!("{}={value}", field.name)
        })
        .collect();
    fields.join(" ")
}

/// The arguments that `trace_printk` packed (`vbin_printf`): in words of 32 bits.
fn packed(pieces: &[Piece], bytes: &[u8]) -> Vec<Arg> {
    let mut at = 0usize;
    let mut args = Vec::new();
    for piece in pieces {
        let Piece::Conversion(spec) = piece else { continue };
        if spec.kind == 's' {
            let Some(rest) = bytes.get(at..) else { break };
            let text = super::format::text(rest);
            at += text.len() + 1;
            args.push(Arg::Text(text));
            continue;
        }
        let size = match spec.kind {
            'p' => 8,
            'c' => 1,
            _ => spec.bytes as usize,
        };
        at = at.next_multiple_of(size.min(4));
        let Some(number) = bytes.get(at..at + size).and_then(|b| super::format::number(b, false))
        else {
            break;
        };
        at += size;
        args.push(Arg::Number(number));
    }
    args
}

/// The lines above the events, as the kernel prints them, for the events of `instance`.
pub fn heading(instance: &Instance<'_>, printer: &Printer<'_>) -> Vec<String> {
    let (there, written) = instance.counts();
    let tracer = instance.tracer.as_deref().unwrap_or("?");
    let cpus = instance.rings.len();
    let mut lines = vec![
        format!("# tracer: {tracer}"),
        "#".to_owned(),
        format!("# entries-in-buffer/entries-written: {there}/{written}   #P:{cpus}"),
        "#".to_owned(),
    ];
    let legend: &[&str] = match printer.migration {
        true => &[
            "#                                _-----=> irqs-off/BH-disabled",
            "#                               / _----=> need-resched",
            "#                              | / _---=> hardirq/softirq",
            "#                              || / _--=> preempt-depth",
            "#                              ||| / _-=> migrate-disable",
            "#                              |||| /     delay",
            "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION",
            "#              | |         |   |||||     |         |",
        ],
        false => &[
            "#                                _-----=> irqs-off",
            "#                               / _----=> need-resched",
            "#                              | / _---=> hardirq/softirq",
            "#                              || / _--=> preempt-depth",
            "#                              ||| /     delay",
            "#           TASK-PID     CPU#  ||||   TIMESTAMP  FUNCTION",
            "#              | |         |   ||||      |         |",
        ],
    };
    lines.extend(legend.iter().map(|line| (*line).to_owned()));
    lines
}

/// Every field of an event with its value as text: what rows have.
pub fn values(format: &Format, event: &Event) -> Vec<(String, Option<FieldValue>)> {
    format.fields.iter().map(|field| (field.name.clone(), field.value(&event.data))).collect()
}

/// The kinds of a kernel with their printers, for those who need both.
///
/// # Errors
/// As [`Formats::of`].
pub fn tools(kernel: &Kernel) -> crate::Result<(Formats<'_>, Printer<'_>)> {
    Ok((Formats::of(kernel)?, Printer::of(kernel)))
}
