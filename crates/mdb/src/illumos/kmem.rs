//! Kernel memory.

use necropsy_illumos::{
    Kernel,
    kmem::{AuditRecord, Cache},
};
use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome, failure::fail};

use super::kernel;

/// All caches that can be read, or the one at the address.
fn caches(mdb: &mut Mdb, call: &Call) -> Outcome<Vec<Cache>> {
    let kernel = kernel(mdb)?;
    if let Some(address) = call.address {
        return Ok(vec![kernel.kmem_cache(address)?]);
    }
    let walk = kernel.kmem_caches();
    let mut found = Vec::new();
    for at in mdb.noted(walk) {
        match kernel.kmem_cache(at) {
            Ok(cache) => found.push(cache),
            Err(error) => mdb.warn(&format!("cache {at:x}: {error}")),
        }
    }
    Ok(found)
}

pub(super) const KMEM_CACHE: Dcmd =
    Dcmd::new(&["kmem_cache"], "? [-n NAME]", "print kernel memory caches", |mdb, call| {
        let options = Options::take(&call.args, "n:")?;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:<16} {:<25} {:>4} {:>6} {:>8} {:>8}",
                "ADDR", "NAME", "FLAG", "CFLAG", "BUFSIZE", "BUFTOTL"
            ))?;
        }
        for cache in caches(mdb, call)? {
            if options.get('n').is_some_and(|wanted| !cache.name.contains(wanted)) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(cache.address);
                continue;
            }
            let text = format!(
                "{:016x} {:<25} {:04x} {:06x} {:>8} {:>8}",
                cache.address, cache.name, cache.flags, cache.cflags, cache.bufsize, cache.buftotal
            );
            let object = json!({
                "address": format!("{:#x}", cache.address), "name": cache.name,
                "flags": format!("{:#x}", cache.flags), "cflags": format!("{:#x}", cache.cflags),
                "bufsize": cache.bufsize, "buftotal": cache.buftotal,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });

/// Headings of `::kmastat` and how its columns are printed: as the mdb of the kernel's time does.
struct KmastatForm {
    caches: [&'static str; 3],
    arenas: [&'static str; 3],
    /// Widths of a cache's columns: name, two sizes and counts, bytes, two counts.
    cache: [usize; 7],
    /// Widths of an arena's columns: name, three of bytes, two counts.
    arena: [usize; 6],
    /// Bytes are rounded to three digits.
    human: bool,
}

const KMASTAT_2014: KmastatForm = KmastatForm {
    caches: [
        "cache                        buf    buf    buf    memory     alloc alloc ",
        "name                        size in use  total    in use   succeed  fail ",
        "------------------------- ------ ------ ------ ---------- --------- ----- ",
    ],
    arenas: [
        "vmem                         memory     memory    memory     alloc alloc ",
        "name                         in use      total    import   succeed  fail ",
        "------------------------- ---------- ----------- ---------- --------- ----- ",
    ],
    cache: [25, 6, 6, 6, 10, 9, 5],
    arena: [25, 10, 11, 10, 9, 5],
    human: false,
};

const KMASTAT_NEWER: KmastatForm = KmastatForm {
    caches: [
        "cache                            buf       buf       buf memory      alloc alloc ",
        "name                            size    in use     total in use    succeed  fail ",
        "------------------------------ ----- --------- --------- ------ ---------- ----- ",
    ],
    arenas: [
        "vmem                              memory     memory    memory      alloc alloc ",
        "name                              in use      total    import    succeed  fail ",
        "------------------------------ --------- ---------- --------- ---------- ----- ",
    ],
    cache: [30, 5, 9, 9, 6, 10, 5],
    arena: [30, 9, 10, 9, 10, 5],
    human: true,
};

/// Bytes in the largest unit, with three digits, and none behind the point where they are even.
fn human(bytes: u64) -> String {
    let units = bytes.checked_ilog2().unwrap_or(0) / 10;
    let Some(unit) = " KMGTPE".chars().nth(units as usize).filter(|_| units > 0) else {
        return bytes.to_string();
    };
    let one = 1u64 << (10 * units);
    if bytes.is_multiple_of(one) {
        return format!("{}{unit}", bytes / one);
    }
    let value = bytes as f64 / one as f64;
    let forms = [2, 1, 0].map(|digits| format!("{value:.digits$}{unit}"));
    forms.iter().find(|text| text.len() <= 5).unwrap_or(&forms[2]).clone()
}

pub(super) const KMASTAT: Dcmd = Dcmd::new(
    &["kmastat"],
    "[-kmg]",
    "kernel memory allocator stats",
    |mdb, call| {
        let options = Options::take(&call.args, "kmg")?;
        let kernel = kernel(mdb)?;
        // Kernels whose threads have names are looked at with an mdb that rounds.
        let form = if kernel.threads_have_names() { KMASTAT_NEWER } else { KMASTAT_2014 };
        let shift =
            [('k', 10), ('m', 20), ('g', 30)].into_iter().find(|&(letter, _)| options.has(letter));
        let bytes = |value: u64| match shift {
            Some((letter, shift)) => format!("{}{}", value >> shift, letter.to_ascii_uppercase()),
            None if form.human => human(value),
            None => format!("{value}B"),
        };
        for line in form.caches {
            mdb.heading(line)?;
        }
        let [name, size, in_use, total, memory, alloc, fail] = form.cache;
        let mut totals: Vec<(u64, u64, u64, u64)> = Vec::new();
        for cache in caches(mdb, &Call::default())? {
            mdb.check()?;
            let used = match kernel.kmem_use(&cache) {
                Ok(used) => used,
                Err(error) => {
                    mdb.warn(&format!("{}: {error}", cache.name));
                    continue;
                }
            };
            let bufsize = if form.human { human(cache.bufsize) } else { cache.bufsize.to_string() };
            let text = format!(
                "{:<name$} {bufsize:>size$} {:>in_use$} {:>total$} {:>memory$} {:>alloc$} {:>fail$} ",
                cache.name,
                used.in_use,
                cache.buftotal,
                bytes(used.memory),
                used.alloc,
                used.fail
            );
            let object = json!({
                "cache": cache.name, "bufsize": cache.bufsize, "in_use": used.in_use,
                "total": cache.buftotal, "memory": used.memory, "alloc": used.alloc,
                "fail": used.fail,
            });
            mdb.row(&text, object)?;
            match totals.iter_mut().find(|(arena, ..)| *arena == cache.arena) {
                Some((_, memory, alloc, fail)) => {
                    *memory = memory.saturating_add(used.memory);
                    *alloc = alloc.saturating_add(used.alloc);
                    *fail = fail.saturating_add(used.fail);
                }
                None => totals.push((cache.arena, used.memory, used.alloc, used.fail)),
            }
        }
        mdb.heading(form.caches[2])?;
        let (arenas, walk) = kernel.arenas();
        mdb.noted(walk);
        let shape = &kernel.shapes().vmem;
        let before_memory = name + size + in_use + total + 3;
        for &(arena, _) in &arenas {
            let Some(&sums) = totals.iter().find(|sums| sums.0 == arena) else { continue };
            let (_, sum, allocs, fails) = sums;
            if (sum, allocs, fails) == (0, 0, 0) {
                continue;
            }
            let arena = shape.name.text(&kernel, arena)?;
            let text = format!(
                "{:<before_memory$} {:>memory$} {allocs:>alloc$} {fails:>fail$}",
                format!("Total [{arena}]"),
                bytes(sum)
            );
            let object = json!({ "arena": arena, "memory": sum, "alloc": allocs, "fail": fails });
            mdb.row(&text, object)?;
        }
        mdb.heading(form.caches[2])?;
        mdb.heading("")?;
        for line in form.arenas {
            mdb.heading(line)?;
        }
        let [name, in_use, total, import, alloc, fail] = form.arena;
        for (arena, depth) in arenas {
            let found = kernel.arena(arena, depth)?;
            let indented = format!("{:width$}{}", "", found.name, width = 4 * depth);
            let text = format!(
                "{indented:<name$} {:>in_use$} {:>total$} {:>import$} {:>alloc$} {:>fail$} ",
                bytes(found.inuse),
                bytes(found.total),
                bytes(found.import),
                found.alloc,
                found.fail
            );
            let object = json!({
                "arena": found.name, "in_use": found.inuse, "total": found.total,
                "import": found.import, "alloc": found.alloc, "fail": found.fail,
            });
            mdb.row(&text, object)?;
        }
        mdb.heading(form.arenas[2])
    },
);

pub(super) const KMEM_VERIFY: Dcmd = Dcmd::new(
    &["kmem_verify"],
    "?",
    "check integrity of kmem-managed memory",
    |mdb, call| {
        let kernel = kernel(mdb)?;
        let one = call.address.is_some();
        if !one && call.wants_heading() {
            mdb.heading(&format!("{:<31} {:<16} {:<20}", "Cache Name", "Addr", "Cache Integrity"))?;
        }
        for cache in caches(mdb, call)? {
            mdb.check()?;
            let Some(verdict) = kernel.kmem_verify(&cache) else {
                if one {
                    return fail(format!(
                        "cache {:x} ({}) does not have KMF_REDZONE set",
                        cache.address, cache.name
                    ));
                }
                continue;
            };
            if let Some(problem) = &verdict.problem {
                mdb.warn(&format!("{}: {problem}", cache.name));
            }
            if one {
                mdb.heading(&format!("Summary for cache '{}'", cache.name))?;
            }
            let bad: Vec<serde_json::Value> = verdict
                .corrupt
                .iter()
                .map(|bad| json!({
                    "buffer": format!("{:#x}", bad.buffer), "allocated": bad.allocated, "what": bad.what,
                }))
                .collect();
            let object = json!({
                "cache": cache.name, "address": format!("{:#x}", cache.address), "corrupt": bad,
            });
            if !one {
                let state = match verdict.corrupt.len() {
                    0 => "clean".to_owned(),
                    1 => "1 corrupt buffer".to_owned(),
                    count => format!("{count} corrupt buffers"),
                };
                mdb.row(&format!("{:<31} {:016x} {state}", cache.name, cache.address), object)?;
                continue;
            }
            if mdb.out.json {
                mdb.row("", object)?;
                continue;
            }
            for bad in &verdict.corrupt {
                let state = if bad.allocated { "allocated" } else { "free" };
                mdb.line(&format!("  buffer {:x} ({state}) {}", bad.buffer, bad.what))?;
            }
            if verdict.corrupt.is_empty() {
                mdb.line("  clean")?;
            }
        }
        Ok(())
    },
);

/// The first frame of a recorded stack that is not the allocator's own.
fn caller(mdb: &Mdb, stack: &[u64]) -> String {
    let mut names = stack.iter().map(|&pc| mdb.system.name_or_hex(pc));
    names.clone().find(|name| !name.starts_with("kmem_")).or(names.next_back()).unwrap_or_default()
}

fn record_json(mdb: &Mdb, record: &AuditRecord) -> serde_json::Value {
    let stack: Vec<String> = record.stack.iter().map(|&pc| mdb.system.name_or_hex(pc)).collect();
    json!({
        "address": format!("{:#x}", record.address), "buffer": format!("{:#x}", record.buffer),
        "cache": format!("{:#x}", record.cache), "timestamp": record.timestamp,
        "thread": format!("{:#x}", record.thread), "slab": format!("{:#x}", record.slab),
        "stack": stack,
    })
}

/// The record of a transaction, as `::bufctl -v` prints it.
pub(super) fn record_lines(mdb: &Mdb, record: &AuditRecord) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{:016x} {:>16x} {:>16x} {:>16x}",
            record.address, record.buffer, record.timestamp, record.thread
        ),
        format!("{:16} {:>16x} {:>16x} {:>16x}", "", record.cache, record.lastlog, record.contents),
    ];
    for &pc in &record.stack {
        lines.push(format!("{:17}{}", "", mdb.system.name_or_hex(pc)));
    }
    lines
}

pub(super) const RECORD_HEADING: [&str; 2] = [
    "            ADDR          BUFADDR        TIMESTAMP           THREAD",
    "                            CACHE          LASTLOG         CONTENTS",
];

pub(super) const BUFCTL: Dcmd = Dcmd::new(
    &["bufctl", "bufctl_audit"],
    ": [-vh] [-a ADDR] [-c CALLER] [-e EARLIEST] [-l LATEST] [-t THREAD]",
    "print or filter a bufctl",
    |mdb, call| {
        let at = call.needs_address()?;
        let options = Options::take(&call.args, "vha:c:e:l:t:")?;
        let kernel = kernel(mdb)?;
        let record = kernel.audit_record(at)?;
        let number = |letter: char| match options.get(letter) {
            Some(text) => mdb.evaluate(text).map(Some),
            None => Ok(None),
        };
        let within = |from: u64, len: u64, wanted: u64| wanted.wrapping_sub(from) < len;
        if let Some(wanted) = number('a')? {
            let size = kernel.kmem_cache(record.cache).map_or(1, |cache| cache.bufsize.max(1));
            if !within(record.buffer, size, wanted) {
                return Ok(());
            }
        }
        if number('t')?.is_some_and(|wanted| wanted != record.thread)
            || number('e')?.is_some_and(|earliest| record.timestamp < earliest)
            || number('l')?.is_some_and(|latest| record.timestamp > latest)
        {
            return Ok(());
        }
        if let Some(function) = number('c')? {
            let size = mdb.system.symbol_at(function).map_or(1, |symbol| symbol.size.max(1));
            if !record.stack.iter().any(|&pc| within(function, size, pc)) {
                return Ok(());
            }
        }
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        let mut records = vec![record];
        if options.has('h') {
            // The log holds earlier transactions, and a copy of this one.
            let history = kernel.buffer_history(records[0].buffer, None)?;
            let known = records[0].timestamp;
            records.extend(history.into_iter().filter(|other| other.timestamp != known));
        }
        let verbose = options.has('v') || options.has('h');
        if call.wants_heading() {
            if verbose {
                for line in RECORD_HEADING {
                    mdb.heading(line)?;
                }
            } else {
                mdb.heading(&format!(
                    "{:<16} {:<16} {:<12} {:<16} CALLER",
                    "ADDR", "BUFADDR", "TIMESTAMP", "THREAD"
                ))?;
            }
        }
        for record in records {
            let object = record_json(mdb, &record);
            let text = if verbose {
                record_lines(mdb, &record).join("\n") + "\n"
            } else {
                format!(
                    "{:016x} {:016x} {:>12x} {:016x} {}",
                    record.address,
                    record.buffer,
                    record.timestamp,
                    record.thread,
                    caller(mdb, &record.stack)
                )
            };
            mdb.row(&text, object)?;
        }
        Ok(())
    },
)
.with_help(
    "  -v  with the stack of the last transaction\n  -h  with all transactions that the log \
     holds\n  -a addr, -c caller, -t thread, -e earliest, -l latest: only if it is so",
);

fn by_thread(mdb: &mut Mdb, call: &Call, walker: &str) -> Outcome {
    let thread = call.needs_address()?;
    let found = mdb.walk(walker, Some(thread))?;
    let kernel = kernel(mdb)?;
    if call.wants_heading() {
        mdb.heading(&format!("{:<16} {:<12} CALLER", "BUFCTL", "TIMESTAMP"))?;
    }
    for at in found {
        if call.pipe_out {
            mdb.pipe(at);
            continue;
        }
        let record = kernel.audit_record(at)?;
        let text = format!("{at:016x} {:>12x} {}", record.timestamp, caller(mdb, &record.stack));
        let object = record_json(mdb, &record);
        mdb.row(&text, object)?;
    }
    Ok(())
}

pub(super) const ALLOCDBY: Dcmd =
    Dcmd::new(&["allocdby"], ":", "given a thread, print its allocated buffers", |mdb, call| {
        by_thread(mdb, call, "allocdby")
    });

pub(super) const FREEDBY: Dcmd =
    Dcmd::new(&["freedby"], ":", "given a thread, print its freed buffers", |mdb, call| {
        by_thread(mdb, call, "freedby")
    });

fn log_of(mdb: &Mdb, kernel: &Kernel, call: &Call) -> Outcome<Vec<AuditRecord>> {
    let name = match call.args.first().map(|arg| arg.text.as_str()) {
        None => "kmem_transaction_log",
        Some("fail") => "kmem_failure_log",
        Some("slab") => "kmem_slab_log",
        Some("zerosized") => "kmem_zerosized_log",
        Some(_) => {
            return Err(Failure::Usage("fail, slab or zerosized may be given".into()));
        }
    };
    let log = match call.address {
        Some(address) => address,
        None => kernel.pointer(name)?,
    };
    let _ = mdb;
    if log == 0 {
        return fail(format!("{name}: there is no such log (kmem_flags was not set at boot)"));
    }
    Ok(kernel.kmem_log(log)?)
}

pub(super) const KMALOG: Dcmd = Dcmd::new(
    &["kmalog"],
    "? [fail | slab]",
    "display kmem transaction log and stack traces",
    |mdb, call| {
        let kernel = kernel(mdb)?;
        let records = log_of(mdb, &kernel, &Call { address: None, ..call.clone() })?;
        let newest = records.first().map_or(0, |record| record.timestamp);
        for record in &records {
            mdb.check()?;
            if call.address.is_some_and(|buffer| buffer != record.buffer) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(record.address);
                continue;
            }
            let ago = newest.saturating_sub(record.timestamp);
            let (seconds, rest) = (ago / 1_000_000_000, ago % 1_000_000_000);
            let cache = kernel
                .shapes()
                .kmem_cache
                .name
                .text(&kernel, record.cache)
                .unwrap_or_else(|_| format!("<{:x}>", record.cache));
            let mut lines = vec![
                String::new(),
                format!("T-{seconds}.{rest:09}  addr={:x}  {cache}", record.buffer),
            ];
            for &pc in &record.stack {
                lines.push(format!("\t {}", mdb.system.name_or_hex(pc)));
            }
            let mut object = record_json(mdb, record);
            object["ago_ns"] = json!(ago);
            object["cache_name"] = json!(cache);
            mdb.row(&lines.join("\n"), object)?;
        }
        Ok(())
    },
)
.with_help(
    "Prints the recorded transactions, the newest first: of all buffers, or of the one whose \
     address is given. fail: allocations that failed; slab: slabs that were made.",
);

pub(super) const KMEM_LOG: Dcmd =
    Dcmd::new(&["kmem_log"], "? [-b]", "dump kmem transaction log", |mdb, call| {
        let options = Options::take(&call.args, "b")?;
        let kernel = kernel(mdb)?;
        let records =
            log_of(mdb, &kernel, &Call { args: Vec::new(), address: None, ..call.clone() })?;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>3} {:<16} {:<16} {:>16} {:<16}",
                "CPU", "ADDR", "BUFADDR", "TIMESTAMP", "THREAD"
            ))?;
        }
        for record in &records {
            if options.has('b') && call.address.is_some_and(|buffer| buffer != record.buffer) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(record.address);
                continue;
            }
            let text = format!(
                "{:>3} {:016x} {:016x} {:>16x} {:016x}",
                "", record.address, record.buffer, record.timestamp, record.thread
            );
            let object = record_json(mdb, record);
            mdb.row(&text, object)?;
        }
        Ok(())
    });

/// Users of less than this are left out, unless asked for.
const FEW_BYTES: u64 = 8192;
const FEW_BUFFERS: u64 = 1000;

pub(super) const KMAUSERS: Dcmd = Dcmd::new(
    &["kmausers"],
    "[-ef] [CACHE ...]",
    "current medium and large users of the kmem allocator",
    |mdb, call| {
        let options = Options::take(&call.args, "ef")?;
        let mut wanted = caches(mdb, &Call::default())?;
        if !options.rest.is_empty() {
            wanted.retain(|cache| options.rest.iter().any(|arg| arg.text == cache.name));
        }
        if wanted.iter().all(|cache| cache.flags & necropsy_illumos::kmem::KMF_AUDIT == 0) {
            return fail("KMF_AUDIT is not enabled: kmem_flags was not set at boot");
        }
        let kernel = kernel(mdb)?;
        for users in kernel.kmem_users(&wanted) {
            if !options.has('e') && users.total < FEW_BYTES && users.count < FEW_BUFFERS {
                continue;
            }
            let mut lines = vec![format!(
                "{} bytes for {} allocations with data size {}:",
                users.total, users.count, users.size
            )];
            for &pc in &users.stack {
                lines.push(format!("\t {}", mdb.system.name_or_hex(pc)));
            }
            let stack: Vec<String> =
                users.stack.iter().map(|&pc| mdb.system.name_or_hex(pc)).collect();
            let object = json!({
                "bytes": users.total, "count": users.count, "size": users.size,
                "cache": users.cache, "stack": stack,
            });
            mdb.row(&lines.join("\n"), object)?;
        }
        Ok(())
    },
)
.with_help(
    "  -e  small users, too\n\nUsers of less than 8192 bytes and 1000 buffers are left out.",
);

pub(super) const KMEM_SLABS: Dcmd =
    Dcmd::new(&["kmem_slabs"], "? [-n NAME]", "display slab usage per kmem cache", |mdb, call| {
        let options = Options::take(&call.args, "vcs:b:B:n:N:")?;
        let kernel = kernel(mdb)?;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:<25} {:>8} {:>8} {:>9} {:>9} {:>6}",
                "Cache", "Slabs", "Partial", "Buffers", "Unused", "Waste"
            ))?;
        }
        for cache in caches(mdb, call)? {
            mdb.check()?;
            if options.get('n').is_some_and(|wanted| !cache.name.contains(wanted)) {
                continue;
            }
            let (complete, partial, problem) = kernel.slabs(&cache);
            if let Some(problem) = problem {
                mdb.warn(&format!("{}: {problem}", cache.name));
            }
            let unused: u64 = partial
                .iter()
                .map(|place| {
                    let used = kernel.shapes().slab.refcnt.get(&kernel, place.slab).unwrap_or(0);
                    place.chunks.saturating_sub(used)
                })
                .sum();
            let slabs = complete.len() + partial.len();
            let waste = if cache.buftotal == 0 {
                0.0
            } else {
                unused as f64 * 100.0 / cache.buftotal as f64
            };
            let text = format!(
                "{:<25} {slabs:>8} {:>8} {:>9} {unused:>9} {:>6}",
                cache.name,
                partial.len(),
                cache.buftotal,
                format!("{waste:.1}%")
            );
            let object = json!({
                "cache": cache.name, "slabs": slabs, "partial": partial.len(),
                "buffers": cache.buftotal, "unused": unused,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });

pub(super) const FINDLEAKS: Dcmd =
    Dcmd::new(&["findleaks"], "[-dfv]", "search for potential kernel memory leaks", |mdb, call| {
        let options = Options::take(&call.args, "dfv")?;
        let kernel = kernel(mdb)?;
        let stop = mdb.stopper();
        let found = kernel.find_leaks(&stop);
        mdb.check()?;
        if call.pipe_out {
            for leak in &found.leaks {
                let first = leak.buffers.first().copied().unwrap_or_default();
                mdb.pipe(if first.1 == 0 { first.0 } else { first.1 });
            }
            return Ok(());
        }
        if options.has('v') {
            mdb.line(&format!(
                "findleaks: {} buffers, {} bytes searched for pointers to them",
                found.buffers, found.searched
            ))?;
        }
        mdb.heading(&format!("{:<16} {:>7} {:<16} CALLER", "CACHE", "LEAKED", "BUFCTL"))?;
        let (mut buffers, mut bytes) = (0, 0);
        for leak in &found.leaks {
            let first = leak.buffers.first().copied().unwrap_or_default();
            let who = if leak.stack.is_empty() { "?".to_owned() } else { caller(mdb, &leak.stack) };
            let shown = if first.1 == 0 { first.0 } else { first.1 };
            let text = format!("{:016x} {:>7} {shown:016x} {who}", leak.cache, leak.buffers.len());
            let stack: Vec<String> =
                leak.stack.iter().map(|&pc| mdb.system.name_or_hex(pc)).collect();
            let all: Vec<String> =
                leak.buffers.iter().map(|(buffer, _)| format!("{buffer:#x}")).collect();
            let object = json!({
                "cache": leak.cache_name, "count": leak.buffers.len(), "size": leak.size,
                "buffers": all, "stack": stack,
            });
            mdb.row(&text, object)?;
            if options.has('d') && !mdb.out.json {
                for line in stack {
                    mdb.line(&format!("{:16} {line}", ""))?;
                }
            }
            buffers += leak.buffers.len() as u64;
            bytes += leak.size * leak.buffers.len() as u64;
        }
        mdb.heading(&"-".repeat(78))?;
        let plural = if buffers == 1 { "" } else { "s" };
        mdb.heading(&format!("{:>16} {buffers:>7} buffer{plural}, {bytes} bytes", "Total"))
    })
    .with_help(
        "Buffers that no pointer leads to, from variables of modules, from stacks or from other \
     buffers that are reached. What is reached only by computed pointers is reported wrongly.\n\n  \
     -d  with the stacks of the allocations\n  -v  how much was searched",
    );

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn bytes_are_rounded_to_three_digits() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1K"),
            (1536, "1.50K"),
            (208_896, "204K"),
            (15_870, "15.5K"),
            (158_700, "155K"),
            (1_047_552, "1023K"),
            (1 << 30, "1G"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }
}
