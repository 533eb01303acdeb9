//! Full-size dumps with their debug information, against drgn: file and line of every frame, inlined
//! functions, and the values of variables.
//!
//! See `lab.rs` for `NECROPSY_LAB` and `NECROPSY_DRGN`. Modules of the lab lie in `mod-KERNEL`.

mod common;

use necropsy_synth::Needs;
use std::collections::{BTreeMap, HashMap};

use common::{address, drgn, dumps, lab, name, open_with_debug, rows};
use serde_json::Value;

/// What drgn is asked: one JSON object a task, frames as [name, pc, inlined, file, line, locals], each
/// local as [name, value]: a number, `null` for what is none, or the word `absent`.
const SCRIPT: &str = "\
import json
from drgn import TypeKind
from drgn.helpers.linux.pid import for_each_task

def number(value):
    kind = value.type_
    while kind.kind == TypeKind.TYPEDEF:
        kind = kind.type
    if kind.kind not in (TypeKind.INT, TypeKind.BOOL, TypeKind.ENUM, TypeKind.POINTER):
        return None
    return int(value.value_()) & 0xffffffffffffffff

def local(frame, name):
    try:
        value = frame[name]
        return 'absent' if value.absent_ else number(value)
    except Exception:
        return 'absent'

def names(frame):
    try:
        return frame.locals()
    except Exception:
        return []

def source(frame):
    try:
        found = frame.source()
        return [found.filename, found.line]
    except LookupError:
        return [None, None]

for task in for_each_task(prog):
    try:
        trace = prog.stack_trace(task)
    except Exception:
        continue
    frames = [[f.name, f.pc, f.is_inline, *source(f), [[n, local(f, n)] for n in names(f)]]
              for f in trace]
    print(json.dumps(dict(task=hex(task.value_()), frames=frames)))
";

/// A frame as both see it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    pc: u64,
    inlined: bool,
    /// Of an inlined function; of others the symbol may differ (see `lab.rs`).
    function: Option<String>,
    file: Option<String>,
    line: Option<u64>,
}

/// The frames of a row of `bt`, but those that only we show.
fn ours(row: &Value) -> Vec<(Place, &Value)> {
    let frames = row["frames"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = frames.iter().filter(|frame| frame["found_by"] != "tail_call");
    shown
        .map(|frame| {
            let inlined = frame["inlined"] == true;
            let place = Place {
                pc: address(&frame["pc"]),
                inlined,
                function: inlined.then(|| frame["function"].as_str().unwrap_or("?").to_owned()),
                file: frame["file"].as_str().map(str::to_owned),
                line: frame["line"].as_u64(),
            };
            (place, frame)
        })
        .collect()
}

/// drgn's frames in the kernel. It leaves `./` in names of files.
fn theirs(task: &Value) -> Vec<(Place, &Value)> {
    let frames = task["frames"].as_array().map_or(&[][..], Vec::as_slice);
    let kernel = frames.iter().filter(|frame| frame[1].as_u64().unwrap_or(0) >> 47 != 0);
    kernel
        .map(|frame| {
            let inlined = frame[2] == true;
            let file = frame[3].as_str().map(|file| file.trim_start_matches("./").to_owned());
            let place = Place {
                pc: frame[1].as_u64().unwrap_or(0),
                inlined,
                function: inlined.then(|| frame[0].as_str().unwrap_or("?").to_owned()),
                file,
                line: frame[4].as_u64(),
            };
            (place, &frame[5])
        })
        .collect()
}

#[derive(Default)]
struct Tally {
    frames: usize,
    values: usize,
    both_lost: usize,
    only_ours: usize,
    differences: Vec<String>,
}

fn lines_inlined_functions_and_variables_are_those_of_drgn() {
    let Some(lab) = lab() else { return };
    let mut tally = Tally::default();
    for dump in dumps(&lab) {
        let Some(session) = &mut open_with_debug(&lab, &dump) else { continue };
        let Some(drgn) = drgn(&lab, &dump, SCRIPT) else { return };
        let tasks: BTreeMap<u64, Value> =
            drgn.into_iter().map(|task| (address(&task["task"]), task)).collect();
        for row in rows(session, "foreach bt -v --from-exception") {
            let Some(task) = tasks.get(&address(&row["task"])) else { continue };
            let (ours, theirs) = (ours(&row), theirs(task));
            // drgn has no debug information of the lab's own module here, and the stack of a
            // zombie is gone.
            if ours.is_empty() {
                continue;
            }
            compare(&name(&dump), &ours, &theirs, &mut tally);
        }
    }
    let Tally { frames, values, both_lost, only_ours, differences } = &tally;
    eprintln!(
        "{frames} frames, {values} values alike; lost: {both_lost} by both, {only_ours} by drgn"
    );
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(*frames == 0 || *values > 1000, "only {values} values");
}

fn compare(dump: &str, ours: &[(Place, &Value)], theirs: &[(Place, &Value)], tally: &mut Tally) {
    let module = |pc: u64| pc >= 0xffff_ffff_c000_0000;
    let places = |frames: &[(Place, &Value)]| {
        let kernel = frames.iter().filter(|(place, _)| !module(place.pc));
        kernel.map(|(place, _)| format!("{place:?}")).collect::<Vec<_>>()
    };
    if places(ours) != places(theirs) {
        tally.differences.push(format!(
            "{dump}: {:#?}\n  drgn {:#?}",
            places(ours),
            places(theirs)
        ));
        return;
    }
    let kernel = |frames: &'_ [(Place, &Value)]| {
        let kernel = frames.iter().filter(|(place, _)| !module(place.pc));
        kernel.map(|(_, value)| (*value).clone()).collect::<Vec<Value>>()
    };
    for (frame, locals) in kernel(ours).iter().zip(kernel(theirs)) {
        tally.frames += 1;
        let mut known: HashMap<&str, &Value> = HashMap::new();
        for variable in frame["variables"].as_array().into_iter().flatten() {
            known.insert(variable["name"].as_str().unwrap_or(""), variable);
        }
        for local in locals.as_array().into_iter().flatten() {
            let name = local[0].as_str().unwrap_or("");
            let Some(variable) = known.get(name) else {
                tally.differences.push(format!("{dump}: {frame}: no {name}"));
                continue;
            };
            match (&local[1], &variable["value"]) {
                (Value::String(_), Value::Null) => tally.both_lost += 1,
                (Value::String(_), _) => tally.only_ours += 1,
                (Value::Null, _) => {}
                (theirs, ours) if same(theirs, ours) => tally.values += 1,
                (theirs, ours) => tally.differences.push(format!(
                    "{dump}: {}: {name} is {ours}, drgn {theirs}",
                    frame["function"]
                )),
            }
        }
    }
}

/// A number, as both print it. A constant of an enum is told by its name here.
fn same(theirs: &Value, ours: &Value) -> bool {
    let theirs = theirs.as_u64();
    match ours {
        Value::Bool(truth) => theirs == Some(u64::from(*truth)),
        Value::Number(number) => {
            let bits = number.as_u64().or_else(|| number.as_i64().map(|signed| signed as u64));
            bits == theirs
        }
        Value::String(text) if text.starts_with("0x") => theirs == Some(address(ours)),
        Value::String(_) => theirs.is_some(),
        _ => false,
    }
}

/// The issue of arguments: how many of the functions on all stacks, the innermost aside, can be
/// told what they were called with.
fn most_arguments_have_a_value() {
    let Some(lab) = lab() else { return };
    for dump in dumps(&lab) {
        let Some(session) = &mut open_with_debug(&lab, &dump) else { continue };
        let (mut all, mut known) = (BTreeMap::<bool, usize>::new(), BTreeMap::<bool, usize>::new());
        for row in rows(session, "foreach bt -v --from-exception") {
            let frames = row["frames"].as_array().map_or(&[][..], Vec::as_slice);
            for frame in frames.iter().skip(1) {
                for variable in frame["variables"].as_array().into_iter().flatten() {
                    if variable["argument"] == true {
                        let inlined = frame["inlined"] == true;
                        *all.entry(inlined).or_default() += 1;
                        *known.entry(inlined).or_default() +=
                            usize::from(!variable["value"].is_null());
                    }
                }
            }
        }
        let part = |inlined| {
            let of = |counts: &BTreeMap<bool, usize>| counts.get(&inlined).copied().unwrap_or(0);
            (of(&known), of(&all))
        };
        let (functions, inlined) = (part(false), part(true));
        eprintln!(
            "{}: {} of {} arguments of functions, {} of {} of inlined ones",
            name(&dump),
            functions.0,
            functions.1,
            inlined.0,
            inlined.1
        );
        assert!(functions.0 * 100 >= functions.1 * 84, "{}", name(&dump));
    }
}

necropsy_synth::data_tests! {
    lines_inlined_functions_and_variables_are_those_of_drgn: [Needs::Lab("out"), Needs::Variable("NECROPSY_DRGN")],
    most_arguments_have_a_value: [Needs::Lab("out")],
}
