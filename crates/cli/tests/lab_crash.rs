//! Rows of text against those of crash, over full-size dumps of kernels that it knows; against drgn's
//! helpers on those that it does not.
//!
//! `NECROPSY_CRASH` says how to run crash: a command line in which `{dump}`, `{vmlinux}` and `{script}`
//! stand for files (`crash -s {vmlinux} {dump} -i {script}`); the script lies in the lab's directory.
//! `NECROPSY_DRGN` is told in `lab.rs`. Blanks do not count; everything else does, but for what
//! `EXPLAINED` says.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{address, drgn, dumps, lab, name, open, rows};
use necropsy::{
    language::run_captured,
    render::{Capture, Form},
    session::Session,
};
use necropsy_synth::Needs;
use serde_json::Value;

/// Lines whose output is the same, word for word.
const SAME: &[&str] = &[
    "vm 1",
    "vm -p 1",
    "vm -m 1",
    "foreach vm",
    "foreach vm -R SYSV",
    "foreach files",
    "files -c 1",
    "mount",
    "mount -n 1",
    "ipcs",
    "ipcs -M",
    "ipcs -m",
    "ipcs -s",
    "ipcs -q",
    "ipcs 47",
    "net",
    "net -n",
    "net -a",
    "foreach net -s",
    "foreach sig",
    "sig -l",
    "sig -s 4200",
    "dev",
    "dev -d",
    "dev -i",
    "dev -p",
    "irq",
    "irq -u",
    "irq -d",
    "irq -b",
    "irq -a",
    "irq -s",
    "timer",
    "timer -r",
    "swap",
    "runq",
    "runq -t",
    "runq -T",
    "runq -m",
    "runq -g",
    "runq -d",
    "kmem -n",
    "foreach ps -r",
    "ps -a init",
    "fuser /",
    "waitq kauditd_wait",
    "foreach user vtop -u 401000",
    "mod",
    "bt -a",
];

/// What makes a line of ours or of crash's comparable, and why they differ.
struct Explained {
    /// The line that was typed begins so.
    command: &'static str,
    why: &'static str,
    /// A line with single blanks; `None` leaves it out.
    plain: fn(&str) -> Option<String>,
}

fn words(line: &str, range: std::ops::Range<usize>) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    words[range.start.min(words.len())..range.end.min(words.len())].join(" ")
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit())
}

const EXPLAINED: &[Explained] = &[
    Explained {
        command: "foreach files",
        why: "a pipe has no path in crash; here it is pipe:[inode], as in /proc",
        plain: |line| Some(line.split(" pipe:[").next().unwrap_or(line).to_owned()),
    },
    Explained {
        command: "foreach net -s",
        why: "crash has no states, no names of unix sockets, and writes IPv6 without ::",
        plain: |line| match is_number(&words(line, 0..1)) {
            true => {
                let ends = if line.contains(" INET:") { 6 } else { 4 };
                Some(words(line, 0..ends))
            }
            false => Some(line.trim_end_matches(" STATE").to_owned()),
        },
    },
    Explained {
        command: "net -a",
        why: "crash has no word for the hardware of the loopback device",
        plain: |line| Some(line.replace(" LOOPBACK ", " UNKNOWN ")),
    },
    Explained {
        command: "dev -d",
        why: "crash calls them ASYNC and SYNC where it counts by the queue's older counters",
        plain: |line| Some(line.replace(" ASYNC SYNC", " READ WRITE")),
    },
    Explained {
        command: "dev -p",
        why: "crash calls a device ENDPOINT that does not speak PCI Express",
        plain: |line| Some(line.replace(" ENDPOINT", " PCI").trim_end().to_owned()),
    },
    Explained {
        command: "timer -r",
        why: "crash takes HZ for 1000 and the wrong clock's now: CURRENT and TTE are off",
        plain: |line| match line.split(' ').count() {
            1 if is_number(line) => None,
            6 => Some(format!("{} {}", words(line, 0..2), words(line, 3..6))),
            _ => Some(line.to_owned()),
        },
    },
    Explained {
        command: "timer",
        why: "since 6.9 a CPU has three wheels; crash calls two of them by older names and has not \
              the third: what it shows is there, see `timers_of_crash_are_ours`",
        plain: |_| None,
    },
    Explained {
        command: "fuser",
        why: "crash cuts the names of tasks, and their closing quotes",
        plain: |line| {
            let usage = line.rsplit('"').next().unwrap_or(line);
            Some(format!("{} {}", words(line, 0..2), usage.trim().split(' ').count().min(1)))
        },
    },
    Explained {
        command: "foreach user vtop",
        why: "crash writes the heading of pages once for all tasks, and knows other names of a page's \
              flags in 6.12",
        plain: |line| match line.split(' ').next() {
            Some("PAGE") => None,
            Some(word) if word.starts_with("ffff") && line.split(' ').count() >= 5 => {
                Some(words(line, 0..5))
            }
            _ => Some(line.to_owned()),
        },
    },
    Explained {
        command: "mod",
        why: "crash puts the file of a module that it has not loaded at another place",
        plain: |line| Some(line.replace("(not loaded) [CONFIG_KALLSYMS]", "(not loaded)")),
    },
    Explained {
        command: "kmem -n",
        why: "crash does not know the states of memory blocks in kernels since 5.10",
        plain: |line| Some(line.replace(" UNKNOWN ", " ONLINE ")),
    },
    Explained {
        command: "runq -t",
        why: "crash pads the times of one CPU with zeros to the length of another's",
        plain: |line| Some(line.trim_start_matches('0').to_owned()),
    },
    Explained {
        command: "runq",
        why: "crash does not show a stopper that waits for its CPU",
        plain: |line| (!line.starts_with("STOPPER WAITS")).then(|| line.to_owned()),
    },
    Explained {
        command: "bt",
        why: "here the interrupted function is a frame of its own, what was searched for is marked, and \
              frames are numbered accordingly; where several symbols stand at one address, the first; an \
              entry function's frame is where its return address lies, in crash a word above",
        plain: |line| {
            if line.contains(" asm_sysvec_") {
                return None;
            }
            let line = line.trim_end_matches(" (found by search)");
            match line.strip_prefix('#') {
                Some(frame) => Some(words(frame, 1..2) + " " + &words(frame, 4..5)),
                None => Some(line.to_owned()),
            }
        },
    },
];

/// Traces that crash itself doubts, and those in which it takes for frames what the function tracer
/// left on the stack.
const DOUBTFUL: &[&str] = &["possibly bogus exception frame", "] function_trace_call at "];

/// How the kernel left, twice over: crash goes on from a leftover of the call.
const TWICE: &str = "] __crash_kexec at ";

/// What crash answers to lines: of each its own. `None` without crash, or where it cannot open the dump.
fn crash(lab: &Path, dump: &Path, lines: &[&str]) -> Option<BTreeMap<String, Vec<String>>> {
    let Ok(template) = env::var("NECROPSY_CRASH") else {
        eprintln!("SKIPPED: no NECROPSY_CRASH (crash -s {{vmlinux}} {{dump}} -i {{script}})");
        return None;
    };
    let kernel = name(dump);
    let kernel = kernel.split('-').next().unwrap_or_default().to_owned();
    let vmlinux = lab.join(&kernel).join("vmlinux").canonicalize().ok()?;
    let folder = tempfile::tempdir_in(lab).unwrap();
    let file = folder.path().join("lines");
    let script: String = lines.iter().map(|line| format!("!echo '@@@ {line}'\n{line}\n")).collect();
    fs::write(&file, script + "quit\n").unwrap();
    let words: Vec<String> = template
        .split_whitespace()
        .map(|word| {
            word.replace("{dump}", &dump.display().to_string())
                .replace("{vmlinux}", &vmlinux.display().to_string())
                .replace("{script}", &file.display().to_string())
        })
        .collect();
    let output = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        match line.strip_prefix("@@@ ") {
            Some(command) => current = Some(answers.entry(command.to_owned()).or_default()),
            None => current.iter_mut().for_each(|lines| lines.push(line.to_owned())),
        }
    }
    if answers.is_empty() {
        eprintln!("SKIPPED: {}: crash does not open it", name(dump));
        return None;
    }
    Some(answers)
}

/// Lines with single blanks, without empty ones and what is explained.
fn plain(command: &str, lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let explained = EXPLAINED.iter().find(|explained| command.starts_with(explained.command));
    lines
        .into_iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .filter_map(|line| match explained {
            Some(explained) => (explained.plain)(&line),
            None => Some(line),
        })
        .collect()
}

/// What we answer, as text.
fn ours(session: &mut Session, command: &str) -> Vec<String> {
    session.settings.form = Form::Text;
    let capture = Capture::default();
    run_captured(session, command, &capture);
    capture.take().lines().map(str::to_owned).collect()
}

fn rows_are_those_of_crash() {
    let Some(lab) = lab() else { return };
    let (mut compared, mut differences) = (0, Vec::new());
    for dump in dumps(&lab) {
        let Some(theirs) = crash(&lab, &dump, SAME) else { continue };
        let mut session = open(std::slice::from_ref(&dump));
        for command in SAME {
            let raw = theirs.get(*command).into_iter().flatten();
            if let Some(doubt) =
                raw.flat_map(|line| DOUBTFUL.iter().find(|d| line.contains(**d))).next()
            {
                println!("{} {command}: not compared: {doubt}", name(&dump));
                continue;
            }
            let left = theirs.get(*command).into_iter().flatten();
            if command.starts_with("bt") && left.filter(|line| line.contains(TWICE)).count() > 1 {
                println!(
                    "{} {command}: not compared: crash shows how the kernel left twice",
                    name(&dump)
                );
                continue;
            }
            let theirs = plain(command, theirs.get(*command).cloned().unwrap_or_default());
            let mut ours = plain(command, ours(&mut session, command));
            if command.starts_with("bt") {
                // Of the frames that we have and crash has not, all are interrupted functions.
                ours.retain(|line| theirs.contains(line) || !line.starts_with('['));
            }
            compared += theirs.len();
            let (a, b): (BTreeSet<_>, BTreeSet<_>) =
                (theirs.iter().collect(), ours.iter().collect());
            for line in a.difference(&b).take(3) {
                differences.push(format!("{} {command}: crash: {line}", name(&dump)));
            }
            for line in b.difference(&a).take(3) {
                differences.push(format!("{} {command}: ours:  {line}", name(&dump)));
            }
        }
    }
    for explained in EXPLAINED {
        println!("explained: {}: {}", explained.command, explained.why);
    }
    println!("{compared} lines compared, {} differ", differences.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Every timer that crash shows, we show with the same times and function.
fn timers_of_crash_are_ours() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let Some(theirs) = crash(&lab, &dump, &["timer"]) else { continue };
        let is_timer = |line: &String| line.contains("ffff") && !line.starts_with("TIMER");
        let plain = |lines: Vec<String>| -> BTreeSet<String> {
            lines
                .iter()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .filter(is_timer)
                .collect()
        };
        let ours = plain(ours(&mut open(std::slice::from_ref(&dump)), "timer"));
        for line in plain(theirs["timer"].clone()) {
            assert!(ours.contains(&line), "{}: {line}", name(&dump));
        }
    }
}

/// What drgn's helpers know of files, mappings, mounts, signals and IPC: one JSON object a line.
const SCRIPT: &str = "\
import json
from drgn import cast
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.fs import for_each_file, for_each_mount, mount_src, mount_dst, mount_fstype
from drgn.helpers.linux.mm import for_each_vma
from drgn.helpers.linux.idr import idr_for_each
from drgn.helpers.linux.net import for_each_netdev
def say(**row): print(json.dumps(row))
for task in for_each_task(prog):
    pid = task.pid.value_()
    if task.files:
        for fd, file in for_each_file(task):
            if not file: continue
            say(kind='file', pid=pid, fd=fd, file=hex(file.value_()), inode=hex(file.f_inode.value_()))
    if task.mm:
        for vma in for_each_vma(task.mm):
            say(kind='vma', pid=pid, vma=hex(vma.value_()), start=hex(vma.vm_start.value_()),
                end=hex(vma.vm_end.value_()), flags=hex(vma.vm_flags.value_()))
    say(kind='signals', pid=pid, blocked=task.blocked.sig[0].value_(),
        pending=task.pending.signal.sig[0].value_() | task.signal.shared_pending.signal.sig[0].value_())
for mount in for_each_mount(prog):
    say(kind='mount', mount=hex(mount.value_()), device=mount_src(mount).decode(),
        dir=mount_dst(mount).decode(), type=mount_fstype(mount).decode())
for at in range(3):
    for id, entry in idr_for_each(prog['init_ipc_ns'].ids[at].ipcs_idr.address_of_()):
        perm = cast('struct kern_ipc_perm *', entry)
        say(kind='ipc', which=at, id=perm.id.value_(), key=perm.key.value_() & 0xffffffff)
for device in for_each_netdev(prog):
    say(kind='net', device=hex(device.value_()), name=device.name.string_().decode())
";

fn rows_are_those_of_drgn() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let Some(theirs) = drgn(&lab, &dump, SCRIPT) else { return };
        let scenario = name(&dump);
        let mut session = open(&[PathBuf::from(&dump)]);
        let of = |kind: &str, fields: &[&str]| -> BTreeSet<String> {
            let rows = theirs.iter().filter(|row| row["kind"] == kind);
            rows.map(|row| {
                fields.iter().map(|f| plain_value(&row[*f])).collect::<Vec<_>>().join(" ")
            })
            .collect()
        };
        let of_ours = |rows: &[Value], fields: &[&str]| -> BTreeSet<String> {
            rows.iter()
                .map(|row| {
                    fields.iter().map(|f| plain_value(&row[*f])).collect::<Vec<_>>().join(" ")
                })
                .collect()
        };
        let files = rows(&mut session, "foreach files");
        let files: Vec<Value> = files.into_iter().filter(|row| row["kind"] == "fd").collect();
        let fields = ["pid", "fd", "file", "inode"];
        assert_eq!(of_ours(&files, &fields), of("file", &fields), "{scenario}: files");
        let spaces = rows(&mut session, "foreach vm");
        let vmas: Vec<Value> = spaces
            .iter()
            .flat_map(|space| {
                let vmas = space["vmas"].as_array().cloned().unwrap_or_default();
                vmas.into_iter().map(|mut vma| {
                    vma["pid"] = space["pid"].clone();
                    vma
                })
            })
            .collect();
        let fields = ["pid", "vma", "start", "end", "flags"];
        assert_eq!(of_ours(&vmas, &fields), of("vma", &fields), "{scenario}: mappings");
        let mounts = rows(&mut session, "mount");
        let fields = ["mount", "device", "dir", "type"];
        assert_eq!(of_ours(&mounts, &fields), of("mount", &fields), "{scenario}: mounts");
        let devices = rows(&mut session, "net");
        let ours: BTreeSet<u64> = devices.iter().map(|row| address(&row["net_device"])).collect();
        let nets = theirs.iter().filter(|row| row["kind"] == "net");
        assert_eq!(ours, nets.map(|row| address(&row["device"])).collect(), "{scenario}: net");
        for (which, flag) in [(0, "-s"), (1, "-q"), (2, "-m")] {
            let ipc = rows(&mut session, &format!("ipcs {flag}"));
            let ours: BTreeSet<(u64, u64)> = ipc
                .iter()
                .map(|row| (row["id"].as_u64().unwrap(), address(&row["key"]) & 0xffff_ffff))
                .collect();
            let theirs = theirs.iter().filter(|row| row["kind"] == "ipc" && row["which"] == which);
            let theirs: BTreeSet<(u64, u64)> = theirs
                .map(|row| (row["id"].as_u64().unwrap(), row["key"].as_u64().unwrap()))
                .collect();
            assert_eq!(ours, theirs, "{scenario}: ipcs {flag}");
        }
        let mut sets: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for row in rows(&mut session, "foreach sig") {
            let bit = |field: &str| {
                let set = row[field].as_bool().unwrap_or(false);
                u64::from(set) << (row["signal"].as_u64().unwrap() - 1)
            };
            let (blocked, pending) = (bit("blocked"), bit("pending"));
            let task = sets.entry(row["pid"].as_u64().unwrap()).or_default();
            *task = (task.0 | blocked, task.1 | pending);
        }
        for row in theirs.iter().filter(|row| row["kind"] == "signals" && row["pid"] != 0) {
            let ours = sets.get(&row["pid"].as_u64().unwrap()).copied().unwrap_or_default();
            let theirs = (row["blocked"].as_u64().unwrap(), row["pending"].as_u64().unwrap());
            assert_eq!(ours, theirs, "{scenario}: signals of {}", row["pid"]);
        }
    }
}

/// A number, hexadecimal or not, or text.
fn plain_value(value: &Value) -> String {
    match value.as_str().and_then(|text| text.strip_prefix("0x")) {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap().to_string(),
        None => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}

necropsy_synth::data_tests! {
    rows_are_those_of_crash: [Needs::Lab("out"), Needs::Variable("NECROPSY_CRASH")],
    timers_of_crash_are_ours: [Needs::Lab("out"), Needs::Variable("NECROPSY_CRASH")],
    rows_are_those_of_drgn: [Needs::Lab("out"), Needs::Variable("NECROPSY_DRGN")],
}
