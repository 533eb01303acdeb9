//! Full-size dumps against what the machines wrote to their consoles, and against drgn with debug
//! information.
//!
//! `NECROPSY_LAB` names a directory with `out/KERNEL-SCENARIO/{vmcore,console.log}` and
//! `KERNEL/vmlinux`. drgn runs through the command line in `NECROPSY_DRGN`, in which `{dump}`,
//! `{vmlinux}` and `{script}` stand for files (the script lies in the lab's directory). What is not
//! there is skipped, loudly. `log` is held against the console in `crates/linux/tests/log.rs`.

mod common;

use necropsy_synth::Needs;
use std::{collections::BTreeMap, fs, path::PathBuf};

use common::{address, drgn, dumps, lab, name, open, rows};
use serde_json::Value;

/// Function names of a row of `bt`, innermost first.
fn functions(row: &Value) -> Vec<&str> {
    let frames = row["frames"].as_array().map_or(&[][..], Vec::as_slice);
    frames.iter().map(|frame| frame["function"].as_str().unwrap_or("?")).collect()
}

/// The functions of the last trace that the kernel printed before it died: those it calls
/// reliable, in order.
fn console_trace(console: &str) -> Vec<String> {
    // What follows is the kernel that saved the dump.
    let end =
        console.match_indices("] Linux version").nth(1).map_or(console.len(), |found| found.0);
    let lines = console[..end].lines().map(|line| match line.split_once("] ") {
        Some((stamp, text)) if stamp.starts_with('[') => text.trim(),
        _ => line.trim(),
    });
    let lines: Vec<&str> = lines.collect();
    let Some(start) = lines.iter().rposition(|line| *line == "Call Trace:") else {
        return Vec::new();
    };
    let mut trace = Vec::new();
    for line in &lines[start + 1..] {
        if ["</TASK>", "Modules linked in", "---[ end", "Kernel Offset", "Kernel panic"]
            .iter()
            .any(|end| line.starts_with(end))
        {
            break;
        }
        // An exception within the trace names where it struck.
        let text = line.strip_prefix("RIP: 0010:").unwrap_or(line);
        let word = text.split(' ').next().unwrap_or_default();
        let Some((function, offset)) = word.split_once("+0x") else { continue };
        // It had printed the trace and returned when the registers were saved.
        if offset.contains('/') && !function.starts_with("dump_stack") {
            trace.push(function.to_owned());
        }
    }
    trace
}

fn the_panicking_task_is_where_the_console_saw_it() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let bytes = fs::read(dump.with_file_name("console.log")).unwrap();
        let expected = console_trace(&String::from_utf8_lossy(&bytes).replace('\r', ""));
        assert!(expected.len() >= 4, "{}: the console has {expected:?}", name(&dump));
        let rows = rows(&mut open(std::slice::from_ref(&dump)), "bt -p");
        let ours = functions(&rows[0]);
        let mut rest = ours.iter();
        for function in &expected {
            assert!(
                rest.any(|ours| ours == function),
                "{}: {function} is missing or out of order: {ours:?}\nthe console: {expected:?}",
                name(&dump)
            );
        }
    }
}

fn every_form_of_a_dump_answers_alike() {
    let Some(lab) = lab() else { return };
    let folder = lab.join("out/k612-null");
    let forms: &[&[&str]] = &[
        &["kdump-c"],
        &["kdump-l"],
        &["kdump-p"],
        &["kdump-z"],
        &["elf-31"],
        &["flat-c"],
        &["flat-elf"],
        &["split-z.2", "split-z.3", "split-z.1"],
    ];
    let answers = |files: &[PathBuf]| {
        let mut session = open(files);
        ["log", "ps", "bt", "foreach bt", "mod"].map(|line| rows(&mut session, line))
    };
    let raw = folder.join("vmcore");
    if !raw.exists() {
        eprintln!("SKIPPED: no {}", raw.display());
        return;
    }
    let truth = answers(&[raw]);
    for form in forms {
        let files: Vec<_> = form.iter().map(|file| folder.join(file)).collect();
        if !files.iter().all(|file| file.exists()) {
            eprintln!("SKIPPED: no {}", form[0]);
            continue;
        }
        for (ours, truth) in answers(&files).iter().zip(&truth) {
            assert_eq!(ours.len(), truth.len(), "{form:?}");
            for (ours, truth) in ours.iter().zip(truth) {
                assert_eq!(ours, truth, "{form:?}");
            }
        }
    }
}

/// What drgn is asked: one JSON object a task, frames as [name, inlined].
const SCRIPT: &str = "\
import json
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_state_to_char
for task in for_each_task(prog):
    try:
        frames = [[f.name, f.is_inline] for f in prog.stack_trace(task)]
    except Exception as error:
        frames = str(error)
    print(json.dumps(dict(
        pid=task.pid.value_(), task=hex(task.value_()), state=task_state_to_char(task),
        comm=task.comm.string_().decode(errors='replace'), frames=frames)))
";

/// A state in crash's two letters and in the one of `/proc`, which drgn prints: a task that is being
/// woken runs, as far as `/proc` is concerned.
fn same_state(ours: &str, theirs: &str) -> bool {
    let letter = match ours {
        "RU" | "WA" => "R",
        "IN" => "S",
        "UN" => "D",
        "ST" => "T",
        "TR" => "t",
        "DE" => "X",
        "ZO" => "Z",
        "PA" => "P",
        "ID" => "I",
        _ => return false,
    };
    letter == theirs
}

/// The same function by both names.
///
/// - DWARF names a function as its source does; the symbols carry what the compiler appended when
///   it cloned (`.constprop.0`, `.isra.0`, `.part.0`) or split it (`.cold`).
/// - The system call entry is one piece of assembly to DWARF; its symbols have labels within.
/// - Several labels may stand at one place: the console, too, calls 5.10's `asm_call_on_stack`
///   by another of its names.
/// - drgn has no debug information for the module that made the machine fail, and prints addresses.
fn same_function(ours: &str, theirs: &str) -> bool {
    let plain = ours.split('.').next().unwrap_or(ours);
    let labels = [
        ("entry_SYSCALL_64_after_hwframe", "entry_SYSCALL_64"),
        ("asm_call_irq_on_stack", "asm_call_on_stack"),
    ];
    plain == theirs
        || ours == theirs
        || labels.contains(&(ours, theirs))
        || theirs.starts_with("0xffffffffc")
}

fn tasks_and_stacks_are_those_of_drgn() {
    let Some(lab) = lab() else { return };
    let (mut same, mut all, mut differences) = (0, 0, Vec::new());
    for dump in dumps(&lab) {
        let Some(theirs) = drgn(&lab, &dump, SCRIPT) else { return };
        let theirs: BTreeMap<u64, Value> =
            theirs.into_iter().map(|task| (address(&task["task"]), task)).collect();
        let mut session = open(std::slice::from_ref(&dump));
        let listed = rows(&mut session, "ps");
        let ours: BTreeMap<u64, &Value> =
            listed.iter().map(|row| (address(&row["task"]), row)).collect();
        for (at, theirs) in &theirs {
            let ours = ours.get(at).unwrap_or_else(|| panic!("{}: no {theirs}", name(&dump)));
            let state = (ours["state"].as_str(), theirs["state"].as_str());
            assert!(
                ours["pid"] == theirs["pid"]
                    && ours["comm"] == theirs["comm"]
                    && same_state(state.0.unwrap_or_default(), state.1.unwrap_or_default()),
                "{}: {ours} is {theirs}",
                name(&dump)
            );
        }
        // drgn does not list the idle tasks.
        let idle = listed.iter().filter(|row| row["pid"] == 0).count();
        assert_eq!(ours.len(), theirs.len() + idle, "{}: tasks", name(&dump));

        let traces = rows(&mut session, "foreach bt --from-exception");
        for row in &traces {
            let Some(theirs) = theirs.get(&address(&row["task"])) else { continue };
            // The kernel has freed the stack of a zombie: drgn reads what lies there now.
            if theirs["state"] == "Z" {
                assert_eq!(functions(row), [""; 0], "{}: {row}", name(&dump));
                continue;
            }
            let mut names: Vec<&str> = theirs["frames"].as_array().map_or(Vec::new(), |frames| {
                let real = frames.iter().filter(|frame| frame[1] == false);
                real.map(|frame| frame[0].as_str().unwrap_or("?")).collect()
            });
            // drgn goes on into user space, where it knows no names.
            if names.last().is_some_and(|name| is_user_address(name)) {
                names.pop();
            }
            let ours = functions(row);
            all += 1;
            if ours.len() == names.len()
                && ours.iter().zip(&names).all(|(a, b)| same_function(a, b))
            {
                same += 1;
            } else {
                differences.push(format!("{}: {ours:?}\n  drgn {names:?}", name(&dump)));
            }
        }
    }
    eprintln!("{same} of {all} stacks are drgn's\n{}", differences.join("\n"));
    assert!(same * 100 >= all * 99, "{same} of {all} stacks are drgn's");
}

fn is_user_address(name: &str) -> bool {
    let digits = name.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    digits.is_some_and(|address| address < 1 << 47)
}

/// The steps of `explain` that have a name, as `name = value (looks)`.
fn told(row: &Value) -> Vec<String> {
    let parts = ["steps", "arguments"].map(|part| row[part].as_array().cloned());
    let steps = parts.into_iter().flatten().flatten();
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    steps
        .map(|step| {
            let looks = step["looks"].as_array().map_or(&[][..], Vec::as_slice);
            let looks: Vec<String> = looks.iter().map(text).collect();
            format!("{} = {} ({})", text(&step["name"]), text(&step["value"]), looks.join(", "))
        })
        .collect()
}

/// What the talks find by hand, `explain` tells: down to the damaged id and the mapping it came
/// from, to NULL, to the letters that were written over free memory.
fn explain_tells_what_each_scenario_did() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let scenario = name(&dump);
        let mut session = open(std::slice::from_ref(&dump));
        let rows = rows(&mut session, "explain");
        let row = rows.first().unwrap_or_else(|| panic!("{scenario}: no explanation"));
        let told = told(row);
        let tells = |text: &str| told.iter().any(|step| step.contains(text));
        let kind = row["kind"].as_str().unwrap_or("?");
        match scenario.split_once('-').map_or("", |(_, scenario)| scenario) {
            "shm" => {
                assert_eq!(kind, "warning", "{scenario}");
                for wanted in
                    [" = 0x5c (92, '\\\\')", "vma->vm_file = 0x", "vma->vm_file->private_data = 0x"]
                {
                    assert!(tells(wanted), "{scenario}: {wanted}: {told:#?}");
                }
                assert!(tells("slab cache vm_area_struct"), "{scenario}: {told:#?}");
                let ways = row["ways"].as_array().cloned().unwrap_or_default();
                let verdicts: Vec<_> = ways.iter().map(|way| way["verdict"].as_str()).collect();
                assert_eq!(verdicts.len(), 2, "{scenario}");
                assert_eq!(verdicts[0], Some("unknown"), "{scenario}");
                assert!(matches!(verdicts[1], Some("contradicted" | "unlikely")), "{scenario}");
            }
            "null" => {
                assert_eq!((kind, row["address"].as_str()), ("page_fault", Some("0x0")));
            }
            "uaf" => {
                let notes = row["notes"].to_string();
                let letters = tells("ASCII \"????\"") || notes.contains("3f3f3f3f3f3f3f3f");
                assert!(letters, "{scenario}: {told:#?} {notes}");
            }
            "bug" => {
                assert_eq!(kind, "bug", "{scenario}");
                assert!(tells("strcmp() = 0x0"), "{scenario}: {told:#?}");
                // 5.10 keeps no BTF of modules: what the argument is, is not told there.
                let named = tells("\"bug\"") || scenario.starts_with("k510");
                assert!(named, "{scenario}: {told:#?}");
            }
            "softlockup" => assert_eq!(kind, "interrupt", "{scenario}"),
            // Not the watchdog that panics is explained, but a task that hangs: nothing failed in it.
            "deadlock" => assert_eq!(kind, "none", "{scenario}"),
            _ => {}
        }
    }
}

/// The two tasks that take two mutexes in opposite orders, and no others anywhere.
fn locks_shows_the_deadlock_and_no_other() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let scenario = name(&dump);
        let rows = rows(&mut open(std::slice::from_ref(&dump)), "locks");
        let cycles: Vec<&Value> = rows.iter().filter(|row| row["cycle"].is_array()).collect();
        if !scenario.ends_with("-deadlock") {
            assert!(cycles.is_empty(), "{scenario}: {cycles:#?}");
            continue;
        }
        let [cycle] = cycles.as_slice() else { panic!("{scenario}: {cycles:#?}") };
        assert_eq!(cycle["certainty"], "known", "{scenario}");
        let steps = cycle["cycle"].as_array().expect("rows");
        assert_eq!(steps.len(), 2, "{scenario}: {steps:#?}");
        for (step, other) in [(&steps[0], &steps[1]), (&steps[1], &steps[0])] {
            let lock = match step["comm"].as_str() {
                Some("crashme_ab") => "crashme_lock_b",
                Some("crashme_ba") => "crashme_lock_a",
                comm => panic!("{scenario}: {comm:?}"),
            };
            assert!(step["name"].as_str().is_some_and(|name| name.starts_with(lock)), "{step:#}");
            assert_eq!((&step["type"], &step["held_by"]), (&"mutex".into(), &other["pid"]));
            let row = rows.iter().find(|row| row["lock"] == step["waits_for"]).expect("a row");
            assert_eq!(row["holder"]["pid"], other["pid"], "{scenario}");
            assert_eq!(row["waiters"][0]["pid"], step["pid"], "{scenario}");
        }
    }
}

necropsy_synth::data_tests! {
    locks_shows_the_deadlock_and_no_other: [Needs::Lab("out")],
    the_panicking_task_is_where_the_console_saw_it: [Needs::Lab("out")],
    every_form_of_a_dump_answers_alike: [Needs::Lab("out")],
    explain_tells_what_each_scenario_did: [Needs::Lab("out")],
    tasks_and_stacks_are_those_of_drgn: [Needs::Lab("out"), Needs::Variable("NECROPSY_DRGN")],
}
