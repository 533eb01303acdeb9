//! What the kernel says itself: lines to repeat, and the facts in them.
//!
//! Every check of the kernel prints a sentence or two (`mm/kasan/report.c`, `mm/slub.c`,
//! `lib/list_debug.c`, `lib/refcount.c`, `lib/ubsan.c`, `mm/oom_kill.c`, `kernel/rcu/tree_stall.h`,
//! `kernel/watchdog.c`). They are the answer that a reader looks for first.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::fault;
use super::trace::Trace;
use crate::naming::pattern::compile;
use crate::report::{Access, Mismatch, Object, Report, SourceLine, Stack, Stall, Value, Victim};

/// Lines that are repeated.
static REPEATED: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        // memory checkers
        r"^(?:Read|Write|Free) (?:of size [0-9]+ )?(?:at|of) addr ",
        r"^(?:Invalid free|Use-after-free|Out-of-bounds|Corrupted memory|Invalid (?:read|write)) .*\(in kfence-",
        r"^The buggy address ",
        r"^ *which belongs to the (?:cache|variable|vmalloc|object)|^The buggy (?:address|physical)",
        r"^ *(?:freed|allocated|out-of-bounds|in-object)? ?[0-9]+-byte region \[",
        r"located (?:at |[0-9]+ bytes )",
        r"^Pointer tag: ",
        r"^KASAN: (?:null-ptr-deref|probably user-memory-access|maybe wild-memory-access|probably wild)",
        r"^kfence-#[0-9]+: ",
        r"^(?:Bytes? [0-9-]+ of [0-9]+|Memory access of size|Data copied to|Local variable)",
        // the allocator
        r"^BUG [^ ]+(?: \(.*\))?: |^(?:INFO: )?(?:Slab|Object) 0x[0-9a-f]+ |^(?:INFO: )?\[?0x[0-9a-f]+-0x[0-9a-f]+|^FIX |^Slab has [0-9]+ allocated|Wrong slab cache|^cache_from_obj: |^kmem_cache_destroy |^Objects remaining",
        r"^page dumped because: |^BUG: Bad page |^page:[0-9a-f]|^bad because of flags|nonzero (?:mapcount|_refcount)",
        // other checks
        r"^list_(?:add|del|debug|lru)[^ ]*[ :]",
        r"^(?:refcount_t|kref|percpu ref)[ :]|refcount_t: ",
        r"^(?:index|shift exponent|load of (?:value|misaligned|null)|signed integer overflow|unsigned integer overflow|member access within|store to|division by zero|negation of|null pointer passed|pointer (?:index|operation)|[0-9x.+-]+ [*+-] )\b.*|^UBSAN: ",
        r"^usercopy: |^(?:str|mem)[a-z]+: detected (?:buffer|field-spanning)|detected (?:buffer overflow|field-spanning write)|^detected (?:buffer|read|write)",
        r"^ODEBUG: |^kobject[:_ ]|^sysfs: cannot create|^proc_dir_entry |^DEBUG_LOCKS_WARN_ON|^virt_to_phys used|^corrupted ",
        r"SMEP|SMAP|kernel tried to execute|attempted to (?:execute|write)|trying to execute|stack-protector|stack guard page|BUG: stack",
        r"^VERIFY[0-9A-Z]*\(|^ASSERT[0-9A-Z]*\(|^PANIC at |^SPLError|ASSERTION FAILED|[Aa]ssertion (?:failed|`)|^XFS: Assertion|^LustreError: .*(?:LBUG|ASSERTION)",
        // the processor
        r"^BUG: |^Unable to handle |^Unhandled (?:fault|kernel)|^Internal error: |^SError |^Bad mode in |^(?:Oops: )?(?:general protection fault|divide error|invalid opcode|int3|stack segment)|^CPU [0-9]+ Unable to handle|^Oops: |^Kernel BUG|^kernel BUG|^Kernel bug detected|^Fault in |^Faulting instruction|^(?:Data|Instruction) bus error|^kernel (?:write|read|access)|^Alignment trap|^Kernel (?:unaligned|stack overflow)",
        r"\[Hardware Error\]|^EDAC [^:]*MC[0-9]+: [0-9A-Z]|^mce: \[|^MCE |^HARDWARE ERROR|^Machine check|^Severe Machine check",
        // what does not get on
        r"soft lockup|[Hh]ard LOCKUP|detected (?:expedited )?stall|self-detected stall|^(?:rcu:)?\s*[0-9]+-[.!OoN?D]*[.!]*: |^(?:rcu:)?\s*\(detected by |^(?:rcu:)?\s*\(t=[0-9]+ jiffies|kthread starved|kthread timer wakeup|Tasks blocked on level|INFO: task |blocked on a |likely owned by|stuck for [0-9]+s|^BUG: workqueue lockup|Possible timer handling issue",
        // memory
        r"invoked oom-killer|^oom-kill:|Out of memory|Killed process|oom_reaper: reaped|page allocation failure|Memory cgroup out of memory",
        // locks, and the rest
        r"^WARNING: |^\[ BUG: |is trying to (?:acquire|lock|release)|but task is already holding|suspicious rcu_|suspicious RCU|Invalid wait context",
        r"^Kernel panic - |^panic: |^Fatal trap|^VFS: |^unregister_netdevice|^sysrq: Trigger a crash|^sysrq: SysRq : Trigger|^SysRq : Trigger",
        r"^rust_kernel: ",
    ])
    .ok()
});

/// Lines repeated at most, and the longest of them, in characters.
const MOST: usize = 24;
const LONGEST: usize = 240;

static SOURCE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:kernel BUG at|WARNING:(?: CPU: [0-9]+ PID: [0-9]+)?(?: \[[^\]]*\])?(?: at)?|PANIC at|UBSAN: .* in|invalid context at|Undefined behaviour in|BUG: failure at|Badness at|panicked at|Assertion failed at) +([^ ():]+\.[a-zA-Z]+):([0-9]+)",
    )
});
static CACHE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"kfence-#[0-9]+: .*, size=([0-9]+), cache=([^ ,]+)|(?:belongs to the cache|^BUG|cache=) ?([^ ,]+?)(?: of size ([0-9]+)| \(|,|: |$)",
    )
});
static OBJECT: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(?:belongs to the object at |^kfence-#[0-9]+: 0x)([0-9a-f]{8,16})"));
static SLUB_OBJECT: LazyLock<Regex> =
    LazyLock::new(|| compile(r"Object 0x([0-9a-f]{8,16}) @offset"));
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"located (?:([0-9]+ bytes (?:inside|to the (?:right|left)) of)|(?:at offset )?([0-9]+ bytes (?:inside|to the (?:right|left)) of))|is located (.*(?:of|stack|frame))$",
    )
});
static REGION: LazyLock<Regex> =
    LazyLock::new(|| compile(r"(freed|allocated)? ?([0-9]+)-byte region \[([0-9a-f]{8,16}),"));
static STACK: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^(Allocated|Freed|Last potentially related work creation|Second to last potentially related work creation|Last call_rcu\(\)|Second to last call_rcu\(\)|allocated|freed|page last allocated|page last free(?:d)?|Uninit was (?:created|stored to memory) at|Local variable .* created at|INFO: Allocated in|INFO: Freed in|Allocated in|Freed in|INFO: Slab|the existing dependency chain)(?:.*?\b(?:by task|by pid|pid[= ]) ?([0-9]+))?",
    )
});
static PID: LazyLock<Regex> = LazyLock::new(|| compile(r"(?:by task|\bpid[= ]) ?([0-9]+)"));
static LIST: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\b([a-z]+(?:->[a-z]+)?) should be (?:[a-z]+ )?(?:\(?(?:0x)?([0-9a-f]{8,16}|null)\)?)?.*?\bbut was (?:\(?(?:0x)?([0-9a-f]{8,16}|null)\)?)",
    )
});
static LIST_POISON: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"list_[a-z]+ corruption, ?(?:0x)?([0-9a-f]{8,16})?-?>?([a-z]+) is (LIST_POISON[12]|NULL) ?\(?(?:0x)?([0-9a-f]{8,16})?\)?",
    )
});
static SECONDS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"stuck for ([0-9]+)s|blocked (?:in I/O wait )?for more than ([0-9]+) seconds|can't die for more than ([0-9]+) seconds",
    )
});
static SOFT_CPU: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:soft lockup - CPU#|detected hard LOCKUP on (?:other )?(?:cpu|CPUs?) |LOCKUP on cpu |Watchdog CPU:|^watchdog: CPU |\bCPU#)([0-9]+)",
    )
});
static RCU_CPU: LazyLock<Regex> =
    LazyLock::new(|| compile(r"^(?:rcu:)?\s*([0-9]+)-[.!OoN?D]*[.!]*: "));
static RCU_TASKS: LazyLock<Regex> = LazyLock::new(|| compile(r"\bP([0-9]+)(?:/[0-9]+:b[.r]{2}l)?"));
static RCU_BRACES: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"stalls? on CPUs?/tasks: ?\{([^}]*)|stalls? on CPU \{ ?([0-9]+)|self-detected stall on CPU ?\{? ?([0-9]+)",
    )
});
static RCU_BY: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\(?detected by ([0-9]+), t=([0-9]+) jiffies"));
static RCU_T: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\(t=([0-9]+) jiffies|\} ([0-9]+) jiffies s:"));
static KILLED: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"Kill(?:ed)? process ([0-9]+)(?:, UID [0-9]+,)? \((.+?)\)(?:.*?anon-rss:([0-9]+)kB)?")
});

/// Is the line one of those that are repeated?
pub(crate) fn repeated(line: &str) -> bool {
    REPEATED.as_ref().is_some_and(|set| set.is_match(line))
}

/// Reads lines and gathers facts.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// A stack of an earlier time that is being read.
    stack: Option<(String, Option<u32>, Trace)>,
}

impl Said {
    /// Takes a line into the report; was it part of another stack than the report's own?
    pub(super) fn read(&mut self, line: &str, report: &mut Report) -> bool {
        self.facts(line, report);
        if let Some((_, pid, trace)) = &mut self.stack {
            if trace.read(line) {
                return true;
            }
            let begun = !trace.frames.is_empty();
            // its head may have been broken
            if !begun && let Some(groups) = PID.captures(line).filter(|_| line.len() < 40) {
                *pid = pid.or(groups[1].parse().ok());
            } else if begun || !line.trim().is_empty() {
                self.end(report);
            }
        }
        if let Some(groups) = STACK.captures(line) {
            self.end(report);
            let pid = groups.get(2).and_then(|pid| pid.as_str().parse().ok());
            let pid = pid.or_else(|| PID.captures(line).and_then(|groups| groups[1].parse().ok()));
            self.stack = Some((groups[1].to_owned(), pid, Trace::default()));
            return true;
        }
        false
    }

    /// The report is over, or this stack.
    pub(super) fn end(&mut self, report: &mut Report) {
        if let Some((what, pid, trace)) = self.stack.take()
            && !trace.frames.is_empty()
            && report.stacks.len() < 16
        {
            let what = what.trim_start_matches("INFO: ").trim_end_matches(" in");
            report.stacks.push(Stack { what: what.to_owned(), pid, frames: trace.frames });
        }
    }

    fn facts(&mut self, line: &str, report: &mut Report) {
        if !repeated(line) {
            return;
        }
        let text: String = line.trim().chars().take(LONGEST).collect();
        if report.said.len() < MOST && !text.is_empty() && !report.said.contains(&text) {
            report.said.push(text);
        }
        if report.source_line.is_none()
            && let Some(groups) = SOURCE.captures(line)
            && let Ok(number) = groups[2].parse()
        {
            // where a line was broken, the blank before the path is lost
            let file = groups[1].strip_prefix("at").filter(|file| in_tree(file));
            let file = file.unwrap_or(&groups[1]).to_owned();
            report.source_line = Some(SourceLine { file, line: number });
        }
        access(line, report);
        object(line, report);
        list(line, report);
        stall(line, report);
        if report.victim.is_none()
            && let Some(groups) = KILLED.captures(line)
            && let Ok(pid) = groups[1].parse()
        {
            let anon_kib = groups.get(3).and_then(|anon| anon.as_str().parse().ok());
            report.victim = Some(Victim { pid, comm: groups[2].to_owned(), anon_kib });
        }
    }
}

/// Takes a line that is certainly the report's own.
pub(super) fn own(line: &str, report: &mut Report) {
    let text: String = line.trim().chars().take(LONGEST).collect();
    if report.said.len() < MOST && !text.is_empty() && !report.said.contains(&text) {
        report.said.push(text);
    }
}

/// Takes a line that stands before the report; `own` if nothing else can have said it.
pub(super) fn before(line: &str, own: bool, report: &mut Report) {
    if own && !line.trim().is_empty() {
        report.said.push(line.trim().chars().take(LONGEST).collect());
    }
    // the words of a processor's fault are the head of another report
    let head =
        line.starts_with("BUG: ") || line.starts_with("WARNING: ") || line.contains("Oops: ");
    if !head {
        Said::default().facts(line, report);
    }
}

/// The bytes of an object that somebody overwrote.
static OVERWRITTEN: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^(?:INFO: )?\[?0x([0-9a-f]{8,16})-0x[0-9a-f]{8,16}.*[Ff]irst byte 0x[0-9a-f]{2} instead of 0x",
    )
});

fn access(line: &str, report: &mut Report) {
    if report.address.is_none()
        && let Some(groups) = OVERWRITTEN.captures(line)
    {
        report.address = hex(&groups[1]).map(|value| Value { value, meaning: String::new() });
    }
    if report.access.is_none_or(|access| access.size.is_none())
        && let Some((kind, size)) = fault::access(line)
        && (report.access.is_none() || size.is_some())
    {
        report.access = Some(Access { kind, size });
    }
}

fn object(line: &str, report: &mut Report) {
    let object = || report.object.clone().unwrap_or_default();
    let mut known = object();
    if let Some(groups) = OBJECT.captures(line).or_else(|| SLUB_OBJECT.captures(line)) {
        known.address = known.address.or(hex(&groups[1]));
    }
    if let Some(groups) = CACHE.captures(line) {
        if let Some(cache) = groups.get(2).or(groups.get(3)) {
            known.cache.get_or_insert(cache.as_str().to_owned());
        }
        let size = groups.get(1).or(groups.get(4));
        known.size = known.size.or(size.and_then(|size| size.as_str().parse().ok()));
    }
    if let Some(groups) = PLACE.captures(line)
        && let Some(place) = groups.get(1).or(groups.get(2)).or(groups.get(3))
    {
        known.place.get_or_insert(place.as_str().to_owned());
    }
    if let Some(groups) = REGION.captures(line) {
        known.state = known.state.or(match groups.get(1).map(|state| state.as_str()) {
            Some("freed") => Some("freed"),
            Some("allocated") => Some("allocated"),
            _ => None,
        });
        known.size = known.size.or(groups[2].parse().ok());
        known.address = known.address.or(hex(&groups[3]));
    }
    if known != Object::default() {
        report.object = Some(known);
    }
}

fn list(line: &str, report: &mut Report) {
    if report.pointers.len() >= 8 {
        return;
    }
    let value = |text: &str| if text == "null" { Some(0) } else { hex(text) };
    if let Some(groups) = LIST.captures(line) {
        report.pointers.push(Mismatch {
            what: groups[1].to_owned(),
            expected: groups.get(2).and_then(|text| value(text.as_str())),
            found: groups.get(3).and_then(|text| value(text.as_str())),
            meaning: String::new(),
        });
    } else if let Some(groups) = LIST_POISON.captures(line) {
        report.pointers.push(Mismatch {
            what: groups[2].to_owned(),
            expected: None,
            found: groups.get(4).and_then(|text| value(text.as_str())),
            meaning: groups[3].to_owned(),
        });
    }
}

fn stall(line: &str, report: &mut Report) {
    let mut stall = report.stall.clone().unwrap_or_default();
    let before = stall.clone();
    if let Some(groups) = SECONDS.captures(line) {
        let seconds = groups.iter().skip(1).flatten().next();
        stall.seconds = stall.seconds.or(seconds.and_then(|text| text.as_str().parse().ok()));
    }
    let mut cpu = |text: &str| {
        if let Ok(cpu) = text.parse()
            && !stall.cpus.contains(&cpu)
            && stall.cpus.len() < 1024
        {
            stall.cpus.push(cpu);
        }
    };
    if line.contains("LOCKUP") || line.contains("soft lockup") {
        if let Some(groups) = SOFT_CPU.captures(line) {
            cpu(&groups[1]);
        }
    } else if let Some(groups) = RCU_CPU.captures(line) {
        cpu(&groups[1]);
    } else if let Some(groups) = RCU_BRACES.captures(line) {
        let numbers = groups.iter().skip(1).flatten().next().map_or("", |text| text.as_str());
        // `2-...` is a CPU, `P123` a task
        for word in numbers.split_whitespace() {
            match word.strip_prefix('P') {
                None => cpu(word.split('-').next().unwrap_or(word)),
                Some(task) => stall.tasks.extend(task.parse::<u32>()),
            }
        }
    } else if line.contains("Tasks blocked on level-") {
        for groups in RCU_TASKS.captures_iter(line) {
            if let Ok(pid) = groups[1].parse() {
                stall.tasks.push(pid);
            }
        }
    }
    if let Some(groups) = RCU_BY.captures(line) {
        stall.seen_by = stall.seen_by.or(groups[1].parse().ok());
        stall.jiffies = stall.jiffies.or(groups[2].parse().ok());
    }
    if let Some(groups) = RCU_T.captures(line) {
        let jiffies = groups.get(1).or(groups.get(2));
        stall.jiffies = stall.jiffies.or(jiffies.and_then(|text| text.as_str().parse().ok()));
    }
    if stall != before {
        report.stall = Some(stall);
    }
}

/// Does the path begin in the kernel's own tree?
fn in_tree(file: &str) -> bool {
    [
        "arch/",
        "block/",
        "crypto/",
        "drivers/",
        "fs/",
        "include/",
        "init/",
        "io_uring/",
        "ipc/",
        "kernel/",
        "lib/",
        "mm/",
        "net/",
        "security/",
        "sound/",
        "virt/",
    ]
    .iter()
    .any(|folder| file.starts_with(folder))
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// What pointers look like, once it is known where the machine keeps what.
pub(super) fn explain(report: &mut Report, meaning: &dyn Fn(u64) -> String) {
    for pointer in &mut report.pointers {
        if pointer.meaning.is_empty()
            && let Some(found) = pointer.found
        {
            pointer.meaning = meaning(found);
        }
    }
    if let Some(Stall { cpus, .. }) = &report.stall
        && let [cpu] = cpus.as_slice()
    {
        report.cpu.get_or_insert(*cpu);
    }
}
