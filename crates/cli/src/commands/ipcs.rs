//! System V IPC.

use necropsy_linux::{
    Kernel,
    ipc::{Perm, Queue, Semaphores, Shm},
    task::Task,
};

use crate::rows::ipc::{IpcRow, MessageRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    tasks,
};

const SHARED: Opt = Opt::flag("-m", "shared memory");
const SEMAPHORES: Opt = Opt::flag("-s", "semaphores");
const MESSAGES: Opt = Opt::flag("-q", "queues of messages");
const DETAILS: Opt = Opt::flag("-M", "shared memory, with where its pages are");
const WAITERS: Opt = Opt::flag("-w", "who waits for semaphores, and the messages in queues");
const NAMESPACE: Opt = Opt::value("-n", "task", "what this task sees");

pub(crate) static COMMAND: Command = Command {
    names: &["ipcs"],
    summary: "System V IPC: shared memory, semaphores, messages",
    synopsis: "[-s] [-m] [-q] [-M] [-w] [-n task] [id | address] ...",
    options: &[SHARED, SEMAPHORES, MESSAGES, DETAILS, WAITERS, NAMESPACE],
    rows: &[IpcRow::TYPE],
    args: &[Arg::Number],
    description: "\
Shows segments of shared memory, sets of semaphores and queues of messages that the first process
sees, or the task given with -n. Without -m, -s or -q, all three. Numbers are ids or addresses of
objects.

-M tells how many pages a segment has room for, and how many are in memory and in swap. -w names the
tasks that wait for semaphores, and lists the messages that wait to be fetched.",
    examples: &[
        Example { about: "Shared memory.", line: "ipcs -m", output: "" },
        Example { about: "Who waits for a semaphore.", line: "ipcs -s -w", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let task = match parsed.value(NAMESPACE) {
        Some(word) => tasks::select(kernel, &[word.to_owned()])?.pop(),
        None => kernel.task_by_pid(1)?,
    };
    let task = task.ok_or_else(|| CommandError::failed("no task 1: say whose objects with -n"))?;
    let one = |opt| parsed.has(opt);
    let all = !(one(SHARED) || one(SEMAPHORES) || one(MESSAGES) || one(DETAILS));
    let mut problems = Problems::default();
    let mut found = 0;
    let mut between = false;
    if all || one(SHARED) || one(DETAILS) {
        found += shared(kernel, task, parsed, &mut between, &mut problems, out)?;
    }
    if all || one(SEMAPHORES) {
        found += semaphores(kernel, task, parsed, &mut between, &mut problems, out)?;
    }
    if all || one(MESSAGES) {
        found += messages(kernel, task, parsed, &mut between, &mut problems, out)?;
    }
    if found == 0 && !parsed.args.is_empty() {
        return Err(CommandError::failed(format!("{}: no such object", parsed.args.join(" "))));
    }
    problems.report("object", out)
}

/// Whether a kind of object is shown: always, unless ids were asked for and it has none of them.
fn begins(
    parsed: &Parsed,
    count: usize,
    between: &mut bool,
    out: &mut Output,
) -> Result<bool, CommandError> {
    if count == 0 && !parsed.args.is_empty() {
        return Ok(false);
    }
    if std::mem::replace(between, true) {
        out.line("")?;
    }
    Ok(true)
}

/// An id is decimal, an address hexadecimal, as in crash.
fn wanted(parsed: &Parsed, perm: &Perm) -> bool {
    let is = |word: &String| {
        word.parse() == Ok(perm.id) || crate::numbers::parse_hex(word) == Some(perm.address)
    };
    parsed.args.is_empty() || parsed.args.iter().any(is)
}

fn row(kind: &'static str, perm: &Perm) -> IpcRow {
    IpcRow {
        kind,
        address: Hex(perm.address),
        key: Hex(perm.key),
        id: perm.id,
        uid: perm.uid,
        perms: format!("{:o}", perm.mode & 0o777),
        bytes: None,
        nattch: None,
        status: None,
        semaphores: None,
        waiters: Vec::new(),
        messages: None,
        queued: Vec::new(),
        allocated_pages: None,
        resident_pages: None,
        swapped_pages: None,
        inode: None,
        faults: Faults::default(),
    }
}

/// The columns that all three have.
fn common(row: &IpcRow) -> String {
    format!(
        "{:016x} {:08x} {:<10} {:<5} {:<5}",
        row.address.0,
        row.key.0 & 0xffff_ffff,
        row.id,
        row.uid,
        row.perms
    )
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

fn shared(
    kernel: &Kernel,
    task: Task<'_>,
    parsed: &Parsed,
    between: &mut bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Result<usize, CommandError> {
    const HEADING: &str =
        "SHMID_KERNEL     KEY      SHMID      UID   PERMS BYTES      NATTCH STATUS";
    let details = parsed.has(DETAILS);
    let (segments, errors) = kernel.shared_memory(task)?;
    problems.extend(errors);
    let segments: Vec<Shm> =
        segments.into_iter().filter(|segment| wanted(parsed, &segment.perm)).collect();
    if !begins(parsed, segments.len(), between, out)? {
        return Ok(0);
    }
    if !details {
        out.title(HEADING)?;
    }
    for (index, segment) in segments.iter().enumerate() {
        let mut row = row("shm", &segment.perm);
        row.bytes = row.faults.keep(segment.bytes.clone());
        row.nattch = row.faults.keep(segment.attached.clone());
        row.status = Some(segment.status());
        if details && let Some(pages) = row.faults.keep(kernel.shm_pages(segment)) {
            row.allocated_pages = Some(pages.allocated);
            row.resident_pages = Some(pages.resident);
            row.swapped_pages = pages.swapped;
            row.inode = Some(Hex(pages.inode));
        }
        if details {
            out.title(HEADING)?;
        }
        out.record(&row, |line| {
            let (bytes, attached) = (number(row.bytes), number(row.nattch));
            let status = row.status.as_deref().unwrap_or("");
            writeln!(line, "{} {bytes:<10} {attached:<6} {status}", common(&row))?;
            if !details {
                return Ok(());
            }
            let (room, here) = (number(row.allocated_pages), number(row.resident_pages));
            let gone = number(row.swapped_pages);
            writeln!(line, "PAGES ALLOCATED/RESIDENT/SWAPPED: {room}/{here}/{gone}")?;
            writeln!(
                line,
                "INODE: {}",
                row.inode.map_or("?".to_owned(), |at| format!("{:x}", at.0))
            )
        })?;
        if details && index + 1 < segments.len() {
            out.line("")?;
        }
    }
    if segments.is_empty() {
        out.line(problems.nothing("(none allocated)"))?;
    }
    Ok(segments.len())
}

fn semaphores(
    kernel: &Kernel,
    task: Task<'_>,
    parsed: &Parsed,
    between: &mut bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Result<usize, CommandError> {
    let (sets, errors) = kernel.semaphores(task)?;
    problems.extend(errors);
    let sets: Vec<Semaphores> = sets.into_iter().filter(|set| wanted(parsed, &set.perm)).collect();
    if !begins(parsed, sets.len(), between, out)? {
        return Ok(0);
    }
    out.title("SEM_ARRAY        KEY      SEMID      UID   PERMS NSEMS")?;
    for set in &sets {
        let mut row = row("sem", &set.perm);
        row.semaphores = row.faults.keep(set.count.clone());
        let (waiters, errors) = set.waiters.clone();
        problems.extend(errors);
        let task = |at: &u64| kernel.task_at(*at);
        row.waiters = waiters.iter().filter_map(|at| task(at).pid().ok()).collect();
        out.record(&row, |line| {
            writeln!(line, "{} {}", common(&row), number(row.semaphores))?;
            if !parsed.has(WAITERS) {
                return Ok(());
            }
            waiters.iter().try_for_each(|at| {
                let comm = task(at).comm().unwrap_or_else(|_| "?".to_owned());
                let pid = number(task(at).pid().ok());
                writeln!(line, "  WAITS: PID: {pid}  TASK: {at:016x}  COMMAND: \"{comm}\"")
            })
        })?;
    }
    if sets.is_empty() {
        out.line(problems.nothing("(none allocated)"))?;
    }
    Ok(sets.len())
}

fn messages(
    kernel: &Kernel,
    task: Task<'_>,
    parsed: &Parsed,
    between: &mut bool,
    problems: &mut Problems,
    out: &mut Output,
) -> Result<usize, CommandError> {
    let (queues, errors) = kernel.message_queues(task)?;
    problems.extend(errors);
    let queues: Vec<Queue> =
        queues.into_iter().filter(|queue| wanted(parsed, &queue.perm)).collect();
    if !begins(parsed, queues.len(), between, out)? {
        return Ok(0);
    }
    out.title("MSG_QUEUE        KEY      MSQID      UID   PERMS USED-BYTES   MESSAGES")?;
    for queue in &queues {
        let mut row = row("msg", &queue.perm);
        row.bytes = row.faults.keep(queue.used.clone());
        row.messages = row.faults.keep(queue.count.clone());
        let (messages, errors) = queue.messages.clone();
        problems.extend(errors);
        let message = |message: &necropsy_linux::ipc::Message| MessageRow {
            message: Hex(message.address),
            message_type: message.kind,
            bytes: message.bytes,
        };
        row.queued = messages.iter().map(message).collect();
        out.record(&row, |line| {
            let (bytes, count) = (number(row.bytes), number(row.messages));
            writeln!(line, "{} {bytes:<12} {count}", common(&row))?;
            if !parsed.has(WAITERS) {
                return Ok(());
            }
            row.queued.iter().try_for_each(|message| {
                let MessageRow { message, message_type, bytes } = message;
                writeln!(
                    line,
                    "  MSG_MSG: {:016x}  TYPE: {message_type}  BYTES: {bytes}",
                    message.0
                )
            })
        })?;
    }
    if queues.is_empty() {
        out.line(problems.nothing("(none allocated)"))?;
    }
    Ok(queues.len())
}
