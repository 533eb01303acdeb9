//! What the facts of a report say: one sentence, or none.

use necropsy_illumos::{
    Kernel,
    kmem::{AuditRecord, Cache, Corruption},
    stack::Frame,
    sync::Blocked,
};

use crate::Mdb;

/// A buffer that the allocator complained of, in its own words (`kmem_error` of kmem.c).
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    pub(super) buffer: u64,
    pub(super) bufctl: Option<u64>,
    /// Name of its cache.
    cache: Option<String>,
    /// `buffer modified after being freed`.
    pub(super) class: String,
    /// All of it in one line.
    pub(super) text: String,
}

/// A corrupt buffer.
pub(super) struct Corrupt {
    pub(super) cache: Cache,
    pub(super) what: Corruption,
}

/// The buffer that the allocator's last words name.
pub(super) fn complaint(kernel: &Kernel) -> Option<Complaint> {
    let (messages, _) = kernel.messages().ok()?;
    let texts: Vec<&str> = messages.iter().map(|message| message.text.trim()).collect();
    let at = texts.iter().rposition(|text| text.starts_with("buffer="))?;
    let number = |name: &str| {
        let (_, rest) = texts[at].split_once(name)?;
        u64::from_str_radix(rest.split_whitespace().next()?, 16).ok()
    };
    let buffer = number("buffer=")?;
    let bufctl = number("bufctl=");
    let cache = texts[at].split_once("cache:").map(|(_, name)| name.trim().to_owned());
    let begins = texts[..at].iter().rposition(|text| text.starts_with("kernel memory allocator"));
    let lines = &texts[begins.unwrap_or(at)..=at];
    // The class stands behind the allocator's name, or in a line of its own.
    let first = lines[0].split_once(':').map_or("", |(_, rest)| rest.trim());
    let class = if first.is_empty() { lines.get(1).copied().unwrap_or("") } else { first };
    Some(Complaint { buffer, bufctl, cache, class: class.into(), text: lines.join(" ") })
}

/// Whether a record is of a buffer that was given back.
pub(super) fn is_free(mdb: &Mdb, record: &AuditRecord) -> bool {
    record.stack.iter().take(3).any(|&pc| mdb.system.name_or_hex(pc).contains("free"))
}

/// The first function of a record that is not the allocator's own.
pub(super) fn actor(mdb: &Mdb, record: &AuditRecord) -> String {
    let names = record.stack.iter().map(|&pc| mdb.system.name_or_hex(pc));
    let mut own = names.filter(|name| !name.starts_with("kmem_") && !name.starts_with("vmem_"));
    own.next().unwrap_or_else(|| "an unknown function".into())
}

/// `thread ffffff00c5023000 (bash/1)`.
pub(super) fn named(kernel: &Kernel, thread: u64) -> String {
    match kernel.describe_thread(thread) {
        Ok(what) => format!("thread {thread:x} ({what})"),
        Err(_) => format!("thread {thread:x}"),
    }
}

/// Who waits for whom, in words.
pub(super) fn chain_text(mdb: &Mdb, kernel: &Kernel, chain: &[Blocked]) -> String {
    let links = chain.iter().enumerate().map(|(index, link)| {
        let kind = if link.is_rwlock { "readers-writer lock" } else { "mutex" };
        let lock = mdb.system.name_or_hex(link.lock);
        let holder = match link.owner {
            Some(owner) => format!("held by {}", named(kernel, owner)),
            None => "whose holder is not recorded".into(),
        };
        match index {
            0 => format!("{} waits for {kind} {lock}, {holder}", named(kernel, link.thread)),
            _ => format!("which waits for {kind} {lock}, {holder}"),
        }
    });
    links.collect::<Vec<_>>().join(", ")
}

/// Most variables that are told to point to a buffer.
const MOST: usize = 10;

/// Variables of modules that point into a buffer: its owners, or those that were.
pub(super) fn pointers_to(mdb: &Mdb, kernel: &Kernel, buffer: u64, size: u64) -> Vec<String> {
    let stop = mdb.stopper();
    let mut found = Vec::new();
    let points = |word: u64| word.wrapping_sub(buffer) < size.max(1);
    mdb.system.search(8, &points, &stop, &mut |at| found.push(at));
    let mut names = Vec::new();
    for at in found {
        let Some(module) = kernel.module_at(at) else { continue };
        let name = mdb.system.name_or_hex(at);
        // What the panic noted is no owner.
        if !name.starts_with("panicbuf") && !name.starts_with("kmem_panic_info") {
            names.push(format!("{name} of module {}", module.name));
        }
    }
    names.truncate(MOST);
    names
}

/// A buffer that something is wrong with: what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    pub(super) buffer: u64,
    pub(super) bufctl: Option<u64>,
    /// Bytes, where that is known.
    pub(super) size: u64,
    /// The allocator's word for what is wrong.
    class: String,
    cache: Option<String>,
}

/// The buffer that says most: the one that the allocator complained of, else one that was written
/// after it was freed, else one that was written beyond its end.
pub(super) fn suspect(corrupt: &[Corrupt], complaint: Option<&Complaint>) -> Option<Suspect> {
    let rank = |one: &&Corrupt| match (one.what.allocated, one.what.at) {
        (false, Some(_)) => 0,
        _ if one.what.what.contains("redzone") => 1,
        _ => 2,
    };
    let worst = match complaint {
        Some(said) => corrupt.iter().find(|one| one.what.buffer == said.buffer),
        None => corrupt.iter().min_by_key(rank),
    };
    let class = match (complaint, worst) {
        (Some(said), _) => said.class.clone(),
        (None, Some(one)) => match rank(&one) {
            0 => "buffer modified after being freed".into(),
            1 => "write past end of buffer".into(),
            _ => "boundary tag corrupted".into(),
        },
        (None, None) => return None,
    };
    Some(Suspect {
        buffer: complaint.map(|said| said.buffer).or(worst.map(|one| one.what.buffer))?,
        bufctl: worst.and_then(|one| one.what.bufctl).or(complaint.and_then(|c| c.bufctl)),
        size: worst.map_or(0, |one| one.cache.bufsize),
        class,
        cache: worst
            .map(|one| one.cache.name.clone())
            .or(complaint.and_then(|said| said.cache.clone())),
    })
}

/// What the facts say, the strongest first. `pointers` lead to the suspected buffer; `panic` is what
/// the panic itself says.
pub(super) fn verdict(
    mdb: &Mdb,
    kernel: &Kernel,
    suspect: Option<&Suspect>,
    pointers: &[String],
    circles: &[Vec<Blocked>],
    panic: Option<&str>,
) -> Option<String> {
    if let Some(suspect) = suspect {
        return Some(of_memory(mdb, kernel, suspect, pointers));
    }
    match (circles.first(), panic) {
        // Threads that wait for each other do not make others trap.
        (Some(circle), panic) if panic.is_none() || is_hang(&kernel.panic().message) => {
            Some(format!("deadlock: {}", chain_text(mdb, kernel, circle)))
        }
        (_, panic) => panic.map(str::to_owned),
    }
}

/// Whether somebody asked for the dump (kadmin(), a button, a hypervisor).
fn is_asked_for(message: &str) -> bool {
    message.contains("user request") || message.starts_with("NMI received")
}

/// Whether the panic is for something that did not go on.
fn is_hang(message: &str) -> bool {
    is_asked_for(message)
        || message.starts_with("deadman:")
        || message.contains("appears to be hung")
}

/// Functions by which a panic goes on its way: not those that had a reason for it.
const MESSENGERS: [&str; 13] = [
    "vpanic",
    "panic",
    "fm_panic",
    "cmn_err",
    "vcmn_err",
    "vzcmn_err",
    "assfail",
    "assfail3",
    "kmem_error",
    "mutex_panic",
    "rw_panic",
    "die",
    "trap",
];

/// The function that had a reason to panic, or that trapped.
fn culprit(mdb: &Mdb, frames: &[Frame]) -> Option<String> {
    let names = frames.iter().filter_map(|frame| mdb.system.symbolize(frame.pc));
    let is_messenger = |name: &String| {
        let function = name.split('+').next().unwrap_or(name);
        MESSENGERS.contains(&function.rsplit('`').next().unwrap_or(function))
    };
    names.into_iter().find(|name| !is_messenger(name))
}

/// What the panic says, in a sentence: its message decides (`trap.c`, `assfail.c`, `clock.c`,
/// `kadmin`), and the first function of the stack that had a reason. `None`: there was no panic.
pub(super) fn of_panic(mdb: &Mdb, kernel: &Kernel, frames: &[Frame]) -> Option<String> {
    let panic = kernel.panic();
    panic.thread?;
    let message = panic.message.trim();
    let place = culprit(mdb, frames).map_or(String::new(), |name| format!(" in {name}"));
    if let Some(trap) = message.strip_prefix("BAD TRAP:") {
        if let Some(jump) = of_jump(mdb, kernel) {
            return Some(jump);
        }
        return Some(format!("{}{place}", of_trap(trap)));
    }
    if let Some(what) = message.strip_prefix("assertion failed:") {
        return Some(format!("an assertion failed{place}: {}", what.trim()));
    }
    if message.starts_with("deadman:") {
        return Some(format!(
            "the clock stood still ({message}): what kept the CPUs busy is shown by ::cpuinfo -v"
        ));
    }
    if is_asked_for(message) {
        return Some(format!("somebody asked for this dump: {message}"));
    }
    Some(format!("the kernel panicked{place}: {message}"))
}

/// A jump to where no code is: whoever called left the address to return to.
fn of_jump(mdb: &Mdb, kernel: &Kernel) -> Option<String> {
    let pc = mdb.variable("rip")?;
    if mdb.system.symbol_at(pc).is_some() || kernel.module_at(pc).is_some() {
        return None;
    }
    let back = mdb.variable("rsp").and_then(|sp| mdb.system.read_u64(sp).ok());
    let from = back.and_then(|back| mdb.system.symbolize(back));
    let from = from.map_or(String::new(), |name| format!(", called from {name}"));
    Some(format!("the kernel jumped to {pc:#x}, where there is no code{from}"))
}

/// A trap, from what follows `BAD TRAP:`.
fn of_trap(text: &str) -> String {
    if text.contains("NULL pointer") {
        return "a NULL pointer was used".into();
    }
    let between = |from: &str, to: &str| Some(text.split_once(from)?.1.split_once(to)?.0);
    let kind = between("(", ")").map_or(String::new(), |kind| format!(" ({kind})"));
    // Only a page fault is one of an address.
    let address = match between(" addr=", " ") {
        Some(address) if kind.contains("#pf") => format!(" at address {address}"),
        _ => String::new(),
    };
    let whose = if text.contains("illegal access to a user address") {
        ", which is of a process"
    } else {
        ""
    };
    format!("a trap{kind}{address}{whose}")
}

/// The verdict on kernel memory.
fn of_memory(mdb: &Mdb, kernel: &Kernel, suspect: &Suspect, pointers: &[String]) -> String {
    let Suspect { buffer, class, .. } = suspect;
    let mut said = format!("kernel memory is corrupt: {class}: {buffer:x}");
    if let Some(cache) = &suspect.cache {
        said.push_str(&format!(" of {cache}"));
    }
    let records = kernel.buffer_history(*buffer, suspect.bufctl).unwrap_or_default();
    let is_freed = class.contains("freed");
    let last = records.iter().find(|record| is_free(mdb, record) == is_freed);
    if let Some(record) = last {
        let did = if is_freed { "freed" } else { "allocated" };
        let who = actor(mdb, record);
        said.push_str(&format!(", {did} last by {who}, {}", named(kernel, record.thread)));
    }
    if let Some(pointer) = pointers.first() {
        said.push_str(&format!("; {pointer} still points to it"));
    }
    said
}
