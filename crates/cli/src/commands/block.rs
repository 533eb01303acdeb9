//! Requests to block devices.

use std::collections::HashMap;

use necropsy_diagnose::waits::Graph;
use necropsy_linux::locks::LockKind;
use necropsy_rows::Row;

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    near,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::{
        locks::TaskRef,
        work::{DiskRow, RequestRow},
    },
    session::Session,
    waits::age,
};

const DISKS: Opt = Opt::flag("-d", "the disks, with how many requests each has");

pub(crate) static COMMAND: Command = Command {
    names: &["block"],
    summary: "requests to block devices that are under way, by age, and who waits for them",
    synopsis: "[-d] [device ...]",
    options: &[DISKS],
    rows: &[RequestRow::TYPE, DiskRow::TYPE],
    args: &[Arg::Text("device")],
    description: "\
Shows the requests whose tags are in use: what each does, where on the disk, how long ago it was made
and whether the driver has it; the oldest first. Tasks that wait are told where the request's end
completes something on their stack, or where they wait for a page that it moves.",
    examples: &[
        Example { about: "All that is under way.", line: "block", output: "" },
        Example { about: "The disks.", line: "block -d", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let (mut disks, errors) = kernel.disks();
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    let mut problems = Problems::default();
    problems.extend(errors);
    let unknown = parsed.args.iter().find(|name| disks.iter().all(|disk| disk.name != **name));
    // One of those that cannot be read may be it.
    if let Some(name) = unknown.filter(|_| problems.is_empty()) {
        let hint = near::hint(name, disks.iter().map(|disk| disk.name.as_str()));
        return Err(CommandError::failed(format!("there is no disk {name}{hint}")));
    }
    let disks: Vec<_> = disks
        .into_iter()
        .filter(|disk| parsed.args.is_empty() || parsed.args.contains(&disk.name))
        .collect();
    if parsed.has(DISKS) {
        for disk in &disks {
            let requests = kernel.requests(disk);
            let row = DiskRow {
                device: disk.name.clone(),
                gendisk: Hex(disk.address),
                request_queue: Hex(disk.queue),
                requests: requests.as_ref().ok().map(|(requests, _)| requests.len()),
                problem: requests.as_ref().err().map(|error| error.to_string()),
            };
            match requests {
                Ok((_, errors)) => problems.extend(errors),
                Err(error) => problems.extend([error]),
            }
            out.record(&row, |line| {
                let (gendisk, queue) = (row.gendisk.0, row.request_queue.0);
                let count = row.requests.map_or_else(|| "?".to_owned(), |count| count.to_string());
                writeln!(line, "{:<10} {gendisk:016x} {queue:016x} {count}", row.device)
            })?;
        }
        return problems.report("disk", out);
    }
    let graph = Graph::of(&kernel);
    // What tasks wait for, by address: completions, and pages by their structures.
    let mut waits: HashMap<u64, Vec<u64>> = HashMap::new();
    for lock in &graph.locks {
        if matches!(lock.lock.kind, LockKind::Completion | LockKind::Folio) {
            let tasks = lock.waiters.iter().map(|waiter| waiter.task);
            waits.entry(lock.lock.address).or_default().extend(tasks);
        }
    }
    let now = kernel.clocks().ok().map(|clocks| clocks.monotonic_ns);
    let columns = RequestRow::columns();
    let mut any = false;
    for disk in &disks {
        let (requests, errors) = match kernel.requests(disk) {
            // Disks with a driver of an own kind have no such queues.
            Err(error) if error.is_no_such() => return Err(error.into()),
            Err(error) => (Vec::new(), vec![error]),
            Ok(found) => found,
        };
        problems.extend(errors);
        for request in requests {
            if !any {
                out.heading(&columns)?;
            }
            any = true;
            let told = request.told.iter().map(|(_, private)| *private);
            let mut waiting: Vec<u64> = told
                .chain(request.pages.iter().copied())
                .filter_map(|address| waits.get(&address))
                .flatten()
                .copied()
                .collect();
            waiting.sort_unstable();
            waiting.dedup();
            let ago = |then: Option<u64>| now?.checked_sub(then?);
            let row = RequestRow {
                device: disk.name.clone(),
                request: Hex(request.address),
                operation: request.operation,
                sector: request.sector,
                size: request.bytes,
                state: request.state,
                age_ns: ago(request.began_ns),
                sent_ns: ago(request.sent_ns),
                queue: request.queue,
                waiting: waiting.iter().map(|task| TaskRef::new(kernel.task_at(*task))).collect(),
            };
            out.row(&columns, &row)?;
            if row.age_ns.is_some() {
                out.line(format_args!("  made {} ago", age(row.age_ns)))?;
            }
            for task in &row.waiting {
                out.line(format_args!("  {task} waits for it"))?;
            }
        }
    }
    if !any {
        out.line(problems.nothing("no request is under way"))?;
    }
    problems.report("request", out)
}
