//! What was traced before the machine stopped.

use std::{collections::VecDeque, fs::File, io::BufWriter};

use necropsy_linux::trace::{
    Event, FieldValue, Formats, Instance, save,
    text::{self, Printer},
};
use necropsy_rows::Perhaps;

use crate::{
    CommandError, Outcome, addresses,
    command::{Arg, Command, Example, Opt},
    cpus::cpu_list,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::trace::{TraceFieldRow, TraceInstanceRow, TraceRow},
    session::Session,
};

const CPUS: Opt = Opt::value("-c", "cpus", "only events of these CPUs: 0,2-3");
const EVENTS: Opt = Opt::value("-e", "events", "only these: sched_switch,irq:*,function");
const TASK: Opt = Opt::value("-p", "task", "only events of this thread id or command name");
const AFTER: Opt = Opt::value("-a", "seconds", "only events at or after this time of the trace");
const BEFORE: Opt = Opt::value("-b", "seconds", "only events at or before this time");
const LAST: Opt = Opt::value("-n", "count", "only the last so many");
const TEXT: Opt = Opt::value("-g", "text", "only events whose text contains this");
const INSTANCE: Opt = Opt::value("-i", "name", "of this instance, not of the one at the top");
const UNREAD: Opt = Opt::flag("-u", "leave out what had been read before the machine stopped");
const LIST: Opt = Opt::flag("-l", "the instances and their rings, with counts");
const SAVE: Opt = Opt::value("-o", "file", "write all of it for trace-cmd and KernelShark");
const DUMP: Opt = Opt::flag("-t", "accepted after dump, as crash's trace extension has it");

pub(crate) static COMMAND: Command = Command {
    names: &["trace"],
    summary: "events that ftrace recorded, from the rings in memory",
    synopsis: "[show] [-c cpus] [-e events] [-p task] [-a secs] [-b secs] [-n count] [-g text] [-i name] [-u]\n-l\n-o file\ndump -t file",
    options: &[
        CPUS, EVENTS, TASK, AFTER, BEFORE, LAST, TEXT, INSTANCE, UNREAD, LIST, SAVE, DUMP,
    ],
    rows: &[TraceRow::TYPE, TraceInstanceRow::TYPE],
    args: &[Arg::Text("show | dump"), Arg::File],
    description: "\
Prints what /sys/kernel/tracing/trace would have shown: the events of all CPUs in the order of time,
each as its format in memory says. Lost events are those that later ones overwrote.

What readers of trace_pipe have read, and what a dying kernel printed (ftrace_dump_on_oops), is gone
from the rings; its bytes still lie in their pages. Such events are shown as well, marked (consumed);
-u leaves them out. Since 7.0 the kernel also wipes out when such a page began: then times are the
latest that fit (time at most), and only differences within a page are right.

Names of tasks are those that the kernel kept while tracing; <...> where it kept none. An event
whose format (print_fmt) asks for something that is not known here is shown as name=value. Traces of
64-bit little-endian machines are read; others are refused.

With -o, or as crash's extension has it dump -t, everything is written in the format of trace.dat,
with the formats of all events, the names of functions and of tasks: trace-cmd report and KernelShark
read it. Other instances are in it as buffers of their own.",
    examples: &[
        Example { about: "The last things that happened.", line: "trace -n 20", output: "" },
        Example { about: "What each ring holds.", line: "trace -l", output: "" },
        Example {
            about: "Who was switched to on CPU 0.",
            line: "trace -c 0 -e sched_switch -n 5",
            output: "",
        },
    ],
    run,
};

/// Which events are wanted.
struct Filter {
    cpus: Option<Vec<u32>>,
    /// Group and name; `*` is any.
    events: Vec<(String, String)>,
    task: Option<String>,
    after: u64,
    before: u64,
    text: Option<String>,
    unread: bool,
}

impl Filter {
    fn new(session: &Session, parsed: &Parsed) -> Result<Filter, CommandError> {
        let kernel = session.kernel()?;
        let cpus = match parsed.value(CPUS) {
            Some(list) => Some(cpu_list(&kernel, list)?),
            None => None,
        };
        let events = parsed.value(EVENTS).map_or_else(Vec::new, |list| {
            let names = list.split(',').map(|name| match name.split_once(':') {
                Some((system, name)) => (system.to_owned(), name.to_owned()),
                None => ("*".to_owned(), name.to_owned()),
            });
            names.collect()
        });
        let time = |option: Opt, otherwise: u64| match parsed.value(option) {
            None => Ok(otherwise),
            Some(text) => seconds(text)
                .ok_or_else(|| CommandError::usage(format!("{text} is no time in seconds"))),
        };
        Ok(Filter {
            cpus,
            events,
            task: parsed.value(TASK).map(str::to_owned),
            after: time(AFTER, 0)?,
            // A time with less than nine digits means all that is printed like it.
            before: time(BEFORE, u64::MAX)?,
            text: parsed.value(TEXT).map(str::to_owned),
            unread: parsed.has(UNREAD),
        })
    }

    fn wants(&self, printer: &Printer<'_>, event: &Event) -> bool {
        if self.unread && event.consumed {
            return false;
        }
        if self.cpus.as_ref().is_some_and(|cpus| !cpus.contains(&event.cpu))
            || !(self.after..=self.before).contains(&event.time)
        {
            return false;
        }
        if !self.events.is_empty() {
            let Some(format) = event.format.as_deref() else { return false };
            let fits = |(system, name): &(String, String)| {
                (system == "*" || *system == format.system)
                    && (name == "*"
                        || *name == format.name
                        || (*name == format.system && system == "*"))
            };
            if !self.events.iter().any(fits) {
                return false;
            }
        }
        self.task
            .as_ref()
            .is_none_or(|task| task.parse() == Ok(event.pid()) || *task == printer.comm(event))
            && self.text.as_ref().is_none_or(|text| printer.body(event).contains(text.as_str()))
    }
}

/// `8.592025` in nanoseconds.
fn seconds(text: &str) -> Option<u64> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    if rest.len() > 9 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: u64 = format!("{rest:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(rest)
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let (instances, errors) = kernel.trace_instances()?;
    let (mut formats, printer) = text::tools(&kernel)?;
    let mut problems = Problems::default();
    problems.extend(errors);
    problems.extend(std::mem::take(&mut formats.errors));
    for instance in &instances {
        problems.extend(instance.errors.iter().cloned());
        problems.extend(instance.rings.iter().flat_map(|ring| ring.errors.iter().cloned()));
    }
    let words: Vec<&str> = parsed.args.iter().map(String::as_str).collect();
    let file = match (words.as_slice(), parsed.value(SAVE)) {
        ([] | ["show"], file) => file,
        (["dump", file], None) if parsed.has(DUMP) => Some(*file),
        (["dump"], None) if parsed.has(DUMP) => Some("trace.dat"),
        _ => return Err(CommandError::usage(COMMAND.usage())),
    };
    if parsed.has(LIST) {
        list(&instances, out)?;
        return problems.report("ring", out);
    }
    if let Some(file) = file {
        store(&instances, &formats, file, out)?;
        return problems.report("ring", out);
    }
    let wanted = parsed.value(INSTANCE);
    let instance = instances.iter().find(|instance| instance.name.as_deref() == wanted);
    let Some(instance) = instance else {
        if wanted.is_none() {
            problems.report("ring", out)?;
            return Err(CommandError::missing("the rings of tracing cannot be read"));
        }
        let names: Vec<&str> = instances.iter().filter_map(|i| i.name.as_deref()).collect();
        return Err(CommandError::failed(match names.is_empty() {
            true => "there is no such instance of tracing, only the one at the top".to_owned(),
            false => {
                format!("there is no such instance of tracing; there are {}", names.join(", "))
            }
        }));
    };
    let filter = Filter::new(session, parsed)?;
    show(&formats, instance, &printer, &filter, last(parsed)?, &mut problems, out)?;
    problems.report("page of a ring", out)
}

fn last(parsed: &Parsed) -> Result<Option<usize>, CommandError> {
    let Some(text) = parsed.value(LAST) else { return Ok(None) };
    Ok(Some(usize::try_from(addresses::count(text)?).unwrap_or(usize::MAX)))
}

fn show(
    formats: &Formats<'_>,
    instance: &Instance<'_>,
    printer: &Printer<'_>,
    filter: &Filter,
    last: Option<usize>,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    for line in text::heading(instance, printer) {
        out.line(line)?;
    }
    for ring in &instance.rings {
        if ring.overrun > 0 || ring.dropped != Some(0) {
            let (cpu, overrun) = (ring.cpu, ring.overrun);
            let dropped = ring.dropped.map_or_else(|| "?".to_owned(), |count| count.to_string());
            out.line(format_args!("# CPU {cpu}: {overrun} events lost, {dropped} dropped"))?;
        }
    }
    let mut events = instance.events(formats);
    let mut kept = VecDeque::new();
    let mut any = false;
    for event in events.by_ref() {
        out.check_interrupt()?;
        if !filter.wants(printer, &event) {
            continue;
        }
        any = true;
        match last {
            Some(0) => {}
            Some(most) => {
                if kept.len() == most {
                    kept.pop_front();
                }
                kept.push_back(event);
            }
            None => event_row(instance, printer, &event, out)?,
        }
    }
    problems.extend(std::mem::take(&mut events.errors));
    for event in kept {
        event_row(instance, printer, &event, out)?;
    }
    if !any {
        out.line(format_args!("# {}", problems.nothing("no such event was recorded")))?;
    }
    Ok(())
}

fn event_row(
    instance: &Instance<'_>,
    printer: &Printer<'_>,
    event: &Event,
    out: &mut Output,
) -> Outcome {
    let format = event.format.as_deref();
    let fields = match (format, out.is_text()) {
        (Some(format), false) => text::values(format, event),
        _ => Vec::new(),
    };
    let fields = fields.into_iter().map(|(name, value)| {
        let mut row = TraceFieldRow { name, number: None, text: None, numbers: Vec::new() };
        match value {
            Some(FieldValue::Number(number)) => row.number = Some(number as i64),
            Some(FieldValue::Text(text)) => row.text = Some(text),
            Some(FieldValue::Numbers(numbers)) => {
                row.numbers = numbers.into_iter().map(|number| Hex(number as u64)).collect();
            }
            None => {}
        }
        row
    });
    let row = TraceRow {
        instance: instance.name.clone(),
        cpu: event.cpu,
        time_ns: event.time,
        exact: event.exact,
        pid: event.pid(),
        comm: printer.comm(event),
        flags: printer.flags(event),
        system: format.map(|format| format.system.clone()),
        event: format.map(|format| format.name.clone()),
        text: printer.body(event),
        fields: fields.collect(),
        consumed: event.consumed,
    };
    out.record(&row, |line| {
        let mark = match (event.consumed, event.exact) {
            (true, true) => "  (consumed)",
            (true, false) => "  (consumed, time at most)",
            _ => "",
        };
        writeln!(line, "{}{mark}", printer.line(event))
    })
}

fn list(instances: &[Instance<'_>], out: &mut Output) -> Outcome {
    let columns = <TraceInstanceRow as necropsy_rows::Row>::columns();
    out.heading(&columns)?;
    for instance in instances {
        for ring in &instance.rings {
            let row = TraceInstanceRow {
                trace_array: Hex(instance.address),
                instance: Perhaps::or_none(instance.name.clone()),
                tracer: instance.tracer.clone(),
                cpu: ring.cpu,
                unread: ring.unread(),
                read: ring.read,
                overwritten: ring.overrun,
                dropped: ring.dropped,
            };
            out.row(&columns, &row)?;
        }
    }
    Ok(())
}

fn store(
    instances: &[Instance<'_>],
    formats: &Formats<'_>,
    file: &str,
    out: &mut Output,
) -> Outcome {
    let instances: Vec<&Instance<'_>> = instances.iter().collect();
    let cannot = |error: std::io::Error| CommandError::failed(format!("{file}: {error}"));
    let mut writer = BufWriter::new(File::create(file).map_err(cannot)?);
    let saved = save::save(&mut writer, &instances, formats).map_err(cannot)?;
    std::io::Write::flush(&mut writer).map_err(cannot)?;
    out.line(format_args!("{file}: {} pages", saved.pages))?;
    match saved.missing {
        0 => Ok(()),
        missing => Err(CommandError::failed(format!("{missing} pages could not be read"))),
    }
}
