//! What killed the system, on one page: a verdict, and the facts that it rests on.

use necropsy_illumos::{Kernel, stack::Frame, sync::Blocked};
use serde_json::json;

use crate::{Dcmd, Mdb, Outcome, Space, disasm};

use super::{
    kernel, stack,
    verdict::{self, Complaint, Corrupt, actor, chain_text, is_free, named, pointers_to},
};

/// Most corrupt buffers, pointers and chains of waiting threads that are told.
const MOST: usize = 10;

pub(super) const REPORT: Dcmd = Dcmd::new(
    &["report"],
    "",
    "what killed the system: a verdict, the panic and its stack, kernel memory, who waits",
    |mdb, _| {
        mdb.run_dcmd("status", None, &[])?;
        let kernel = kernel(mdb)?;
        let (checked, corrupt) = corrupt(mdb, &kernel)?;
        let complaint = verdict::complaint(&kernel);
        let (chains, circles) = waits(mdb, &kernel)?;
        let complaint = complaint.as_ref();
        let suspect = verdict::suspect(&corrupt, complaint);
        let pointers = match &suspect {
            Some(suspect) => pointers_to(mdb, &kernel, suspect.buffer, suspect.size),
            None => Vec::new(),
        };
        mdb.check()?;
        let frames = stack::frames(mdb, None)?;
        let panicked = verdict::of_panic(mdb, &kernel, &frames);
        let panicked = panicked.as_deref();
        let said = verdict::verdict(mdb, &kernel, suspect.as_ref(), &pointers, &circles, panicked);
        if let Some(said) = &said {
            section(mdb, "verdict", said)?;
        }
        if let Some(panicked) = panicked.filter(|panicked| said.as_deref() != Some(*panicked)) {
            section(mdb, "panic", panicked)?;
        }
        for problem in kernel.problems() {
            section(mdb, "incomplete", &problem)?;
        }
        panic(mdb, &kernel, &frames)?;
        memory(mdb, &kernel, checked, &corrupt, complaint)?;
        for pointer in &pointers {
            let buffer = suspect.as_ref().map_or(0, |suspect| suspect.buffer);
            section(mdb, "points to it", &format!("{pointer} still points to {buffer:x}"))?;
        }
        for circle in &circles {
            let text = chain_text(mdb, &kernel, circle);
            section(mdb, "deadlock", &text)?;
        }
        for chain in chains.iter().take(MOST) {
            let text = chain_text(mdb, &kernel, chain);
            section(mdb, "waits", &text)?;
        }
        Ok(())
    },
)
.with_help(
    "A verdict on top where the facts have one, then the facts: the panic and its stack, buffers of \
     kernel memory that are corrupt and who had them before (the audit log), who still points to \
     them, threads that wait for a lock and who holds it.",
);

fn section(mdb: &mut Mdb, what: &str, text: &str) -> Outcome {
    mdb.row(&format!("{what:<12} {text}"), json!({ "what": what, "text": text }))
}

/// The thread that panicked, where it stopped, its stack.
fn panic(mdb: &mut Mdb, kernel: &Kernel, frames: &[Frame]) -> Outcome {
    let panic = kernel.panic();
    if let Some(thread) = panic.thread {
        let what = kernel.describe_thread(thread).unwrap_or_else(|error| format!("<{error}>"));
        let cpu = panic.cpu.map_or(String::new(), |cpu| format!(" on CPU {cpu}"));
        section(mdb, "thread", &format!("{thread:x} ({what}){cpu}"))?;
    }
    if let Some(pc) = mdb.variable("rip") {
        let name = mdb.system.name_or_hex(pc);
        let module = kernel.module_at(pc).map(|module| module.name.clone());
        let module = module.map_or(String::new(), |module| format!(", module {module}"));
        section(mdb, "stopped in", &format!("{name}{module}"))?;
        if let Ok(instruction) = disasm::read(&*mdb.system, Space::Virtual, pc) {
            let text = disasm::text(&*mdb.system, &instruction, 0);
            section(mdb, "instruction", &text)?;
        }
    }
    for frame in frames {
        let text = stack::frame_text(mdb, frame, true, usize::MAX);
        section(mdb, "stack", &text)?;
    }
    let blocked = panic.thread.and_then(|thread| kernel.blocked(thread).ok().flatten());
    if let Some(blocked) = blocked {
        let text = chain_text(mdb, kernel, &[blocked]);
        section(mdb, "waits", &text)?;
    }
    Ok(())
}

/// How many caches can be checked, and the buffers of them that are corrupt.
fn corrupt(mdb: &Mdb, kernel: &Kernel) -> Outcome<(usize, Vec<Corrupt>)> {
    let (mut checked, mut found) = (0, Vec::new());
    for at in kernel.kmem_caches().found {
        mdb.check()?;
        let Ok(cache) = kernel.kmem_cache(at) else { continue };
        let Some(verdict) = kernel.kmem_verify(&cache) else { continue };
        checked += 1;
        let bad = verdict.corrupt.into_iter().take(MOST);
        found.extend(bad.map(|what| Corrupt { cache: cache.clone(), what }));
    }
    Ok((checked, found))
}

type Chains = Vec<Vec<Blocked>>;

/// Threads that wait for a lock, one of those that wait for the same, and those that wait for each
/// other.
fn waits(mdb: &Mdb, kernel: &Kernel) -> Outcome<(Chains, Chains)> {
    let (mut chains, mut circles): (Chains, Chains) = Default::default();
    for (_, kind, threads) in kernel.wait_channels() {
        mdb.check()?;
        let Some(&thread) = threads.first().filter(|_| matches!(kind, 1 | 2)) else { continue };
        let (chain, is_circle) = kernel.wait_chain(thread);
        let is_known = |circle: &Vec<Blocked>| circle.iter().any(|link| chain.contains(link));
        match is_circle {
            true if circles.iter().any(is_known) => {}
            true => circles.push(chain),
            false if chain.is_empty() => {}
            false => chains.push(chain),
        }
    }
    Ok((chains, circles))
}

/// What is wrong with kernel memory.
fn memory(
    mdb: &mut Mdb,
    kernel: &Kernel,
    checked: usize,
    corrupt: &[Corrupt],
    complaint: Option<&Complaint>,
) -> Outcome {
    for Corrupt { cache, what } in corrupt.iter().take(MOST) {
        let state = if what.allocated { "allocated" } else { "free" };
        let text = format!("{}: buffer {:x} ({state}) {}", cache.name, what.buffer, what.what);
        section(mdb, "kmem", &text)?;
        history(mdb, kernel, what.buffer, what.bufctl)?;
    }
    match complaint {
        Some(complaint) => {
            section(mdb, "kmem", &complaint.text)?;
            if !corrupt.iter().any(|one| one.what.buffer == complaint.buffer) {
                history(mdb, kernel, complaint.buffer, complaint.bufctl)?;
            }
        }
        None if corrupt.is_empty() && checked == 0 => {
            section(mdb, "kmem", "caches are not checked: kmem_flags was not set at boot")?;
        }
        None if corrupt.is_empty() => {
            section(mdb, "kmem", &format!("{checked} caches checked, clean"))?;
        }
        None => {}
    }
    Ok(())
}

/// Who had a buffer before.
fn history(mdb: &mut Mdb, kernel: &Kernel, buffer: u64, bufctl: Option<u64>) -> Outcome {
    let records = kernel.buffer_history(buffer, bufctl).unwrap_or_default();
    for record in records.iter().take(MOST) {
        let did = if is_free(mdb, record) { "freed" } else { "allocated" };
        let (who, thread) = (actor(mdb, record), named(kernel, record.thread));
        let text = format!("buffer {buffer:x} was {did} by {who}, {thread}");
        section(mdb, "earlier", &text)?;
    }
    Ok(())
}
