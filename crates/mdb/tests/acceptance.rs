//! Dumps of another generator with their expected answers: `illumos/` of the corpora.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::Session;
use necropsy_debuginfo::SymbolType;
use necropsy_dump::{OpenOptions, illumos::IllumosDump};
use necropsy_synth::Needs;
use serde_json::Value;

necropsy_synth::data_tests! {
    every_line_of_the_expected_answers: [Needs::Corpora("illumos")],
    expanding_gives_what_savecore_gives: [Needs::Corpora("illumos")],
}

/// A dump of the corpus: its folder, its number, its expected answers.
struct Case {
    folder: PathBuf,
    number: u64,
    expected: Value,
}

fn corpus() -> Vec<Case> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpora");
    let corpora = std::env::var_os("NECROPSY_CORPORA").map_or_else(|| beside.into(), PathBuf::from);
    let mut found = Vec::new();
    for entry in fs::read_dir(corpora.join("illumos")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(folder.join("expected.json")) else { continue };
        let expected: Value = serde_json::from_str(&text).unwrap();
        found.push(Case { folder, number: expected["index"].as_u64().unwrap(), expected });
    }
    assert!(!found.is_empty());
    found
}

fn open(files: &[PathBuf]) -> Session {
    let dump = IllumosDump::open(files, &OpenOptions::default()).unwrap();
    let name = format!("vmcore.{}", dump.number().unwrap());
    Session::named(dump, name)
}

/// What was compared, and what was not as expected.
#[derive(Default)]
struct Report {
    compared: BTreeMap<String, usize>,
    differ: Vec<String>,
}

impl Report {
    fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        section: &str,
        what: &str,
        is: T,
        wanted: T,
    ) {
        *self.compared.entry(section.into()).or_default() += 1;
        if is != wanted {
            self.differ
                .push(format!("{section}: {what}\n    is     {is:?}\n    wanted {wanted:?}"));
        }
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_i64().map(|v| v as u64))
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(number).collect()
}

/// Words of lines: blanks may differ.
fn words(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|line| !line.is_empty()).collect()
}

fn hex(session: &mut Session, line: &str) -> Vec<u64> {
    let text = session.run(line);
    text.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap_or(0)).collect()
}

fn every_line_of_the_expected_answers() {
    let mut all = Report::default();
    for case in corpus() {
        let n = case.number;
        let file = |name: String| case.folder.join(name);
        let containers = [
            vec![file(format!("vmdump.{n}"))],
            vec![file(format!("unix.{n}")), file(format!("vmcore.{n}"))],
            vec![file(format!("vmcore.{n}"))],
        ];
        for files in containers {
            let mut session = open(&files);
            let before = all.differ.len();
            check(&mut session, &case.expected, &mut all);
            for line in &mut all.differ[before..] {
                *line = format!("{}: {line}", files.last().unwrap().display());
            }
        }
    }
    println!("{:?}", all.compared);
    assert!(all.differ.is_empty(), "{} differ:\n{}", all.differ.len(), all.differ.join("\n"));
}

fn check(session: &mut Session, expected: &Value, report: &mut Report) {
    lines(session, expected, report);
    names(session, expected, report);
    types(session, expected, report);
    objects(session, expected, report);
    memory(session, expected, report);
}

/// Whole outputs.
fn lines(session: &mut Session, expected: &Value, report: &mut Report) {
    let section = |name: &str| expected[name].as_object().cloned().unwrap_or_default();
    for (line, wanted) in section("dcmds") {
        let wanted: Vec<&str> =
            wanted.as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
        if wanted.is_empty() {
            continue;
        }
        let is = session.run(&line);
        let (mut is, wanted) = (words(&is), wanted.join("\n"));
        let wanted = words(&wanted);
        if line.ends_with("::dis") {
            // The rest of the function is not among what is expected.
            is.truncate(wanted.len());
        }
        report.equal("dcmds", &line, is, wanted);
    }
    for (line, wanted) in section("talk") {
        let is = session.run(&line);
        let mut rest = words(&is).into_iter();
        for one in wanted.as_array().unwrap() {
            let one: Vec<&str> = one.as_str().unwrap().split_whitespace().collect();
            if !one.is_empty() {
                let found = rest.any(|line| line == one);
                report.equal("talk", &format!("{line}: {one:?}"), found, true);
            }
        }
    }
    for (line, wanted) in section("print") {
        report.equal("print", &line, session.run(&line).trim(), wanted.as_str().unwrap());
    }
    for (line, wanted) in section("walks") {
        let (mut is, mut addresses) = (hex(session, &line), numbers(&wanted["addrs"]));
        if wanted["ordered"] == false {
            is.sort_unstable();
            addresses.sort_unstable();
        }
        report.equal("walks", &line, is, addresses);
    }
    for one in expected["whatis"].as_array().unwrap() {
        let line = format!("{:x}::whatis", number(&one["addr"]).unwrap());
        let is = session.run(&line);
        if let Some(first) = one["first_line"].as_str() {
            report.equal("whatis", &line, is.lines().next().unwrap_or(""), first);
        }
        if let Some(part) = one["text_has"].as_str() {
            report.equal("whatis", &format!("{line}: {is}"), is.contains(part), true);
        }
    }
    for one in expected["stacks"].as_array().unwrap() {
        let threads: Vec<String> =
            numbers(&one["threads"]).iter().map(|at| format!("{at:x}")).collect();
        let is = session.run("::stacks");
        let found = threads.iter().any(|at| is.contains(at));
        report.equal("stacks", &format!("{threads:?}"), found, true);
    }
}

fn names(session: &mut Session, expected: &Value, report: &mut Report) {
    let kernel = session.kernel.clone();
    for (name, wanted) in expected["symbols"].as_object().unwrap() {
        let found = kernel.symbol(name);
        let is = found.as_ref().map(|found| (found.address, found.size));
        report.equal(
            "symbols",
            name,
            is,
            Some((number(&wanted["addr"]).unwrap(), number(&wanted["size"]).unwrap())),
        );
        let kind = match found.map(|found| found.kind) {
            Some(SymbolType::Function) => "func",
            Some(SymbolType::Object) => "object",
            _ => "other",
        };
        report.equal("symbols", &format!("{name}'s kind"), kind, wanted["type"].as_str().unwrap());
        let module = wanted["module"].as_str().unwrap();
        let qualified = format!("{module}`{name}");
        let is = kernel.symbol(&qualified).map(|found| found.address);
        report.equal("symbols", &qualified, is, number(&wanted["addr"]));
    }
    for one in expected["duplicate_symbols"].as_array().unwrap() {
        let (name, module) = (one[0].as_str().unwrap(), one[2].as_str().unwrap());
        let qualified = format!("{module}`{name}");
        let is = kernel.symbol(&qualified).map(|found| found.address);
        report.equal("duplicate symbols", &qualified, is, number(&one[1]));
    }
    for (address, wanted) in expected["addr2sym"].as_object().unwrap() {
        let at = u64::from_str_radix(address, 16).unwrap();
        report.equal("addr2sym", address, &kernel.name_or_hex(at)[..], wanted.as_str().unwrap());
    }
    for (name, wanted) in expected["functions"].as_object().unwrap() {
        let at = number(&wanted["addr"]).unwrap();
        let is = kernel.function_type(at).map(|ty| kernel.types().display(ty).replace(" (", "("));
        let module = wanted["module"].as_str().unwrap();
        let has_types = kernel.module(module).is_some_and(|module| module.ctf.0 != 0);
        if let Some(proto) = wanted["proto"].as_str().filter(|_| has_types) {
            report.equal("functions", name, is.as_deref(), Some(proto));
        }
    }
    for wanted in expected["modules"].as_array().unwrap() {
        let name = wanted["name"].as_str().unwrap();
        let Some(module) = kernel.module(name) else {
            report.equal("modules", name, false, true);
            continue;
        };
        let field = |name: &str| number(&wanted[name]).unwrap_or(0);
        let (rev, info) = kernel.module_info(module.linkage).unwrap_or_default();
        for (what, is) in [
            ("modctl", module.modctl),
            ("module", module.module),
            ("id", module.id as u64),
            ("text", module.text.start),
            ("text_size", module.text.end - module.text.start),
            ("data", module.data.start),
            ("data_size", module.data.end - module.data.start),
            ("ctfdata", module.ctf.0),
            ("ctfsize", module.ctf.1),
            ("rev", rev),
        ] {
            report.equal("modules", &format!("{name}: {what}"), is, field(what));
        }
        let text = |name: &str| wanted[name].as_str().unwrap_or("");
        report.equal("modules", name, &info[..], text("info"));
        report.equal("modules", name, &module.filename[..], text("filename"));
    }
}

fn types(session: &mut Session, expected: &Value, report: &mut Report) {
    let kernel = session.kernel.clone();
    for (name, wanted) in expected["types"].as_object().unwrap() {
        let Ok(ty) = kernel.type_named(name) else {
            report.equal("types", name, false, true);
            continue;
        };
        let types = kernel.types();
        report.equal("types", name, types.size_of(ty), number(&wanted["size"]));
        for (path, wanted) in wanted["members"].as_object().unwrap() {
            let member = types.member(ty, path);
            // Bits of a bit-field, else bytes.
            let size = |member: &necropsy_debuginfo::MemberPath| match wanted["bits"] {
                Value::Null => types.size_of(member.ty).unwrap_or(0),
                _ => member.bit_size.into(),
            };
            let is = member.map(|member| (member.bit_offset, size(&member)));
            let size = number(&wanted["size"]).or_else(|| number(&wanted["bits"])).unwrap();
            let wanted = (number(&wanted["bit_offset"]).unwrap(), size);
            report.equal("types", &format!("{name}.{path}"), is, Some(wanted));
        }
        let line = format!("::sizeof {name}");
        let is = session.run(&line);
        let size = format!("= {:#x}", number(&wanted["size"]).unwrap());
        report.equal("types", &line, is.contains(&size), true);
    }
    for one in expected["values"].as_array().unwrap() {
        let (name, at) = (one["type"].as_str().unwrap(), number(&one["addr"]).unwrap());
        let Ok(ty) = kernel.type_named(name) else { continue };
        for (path, wanted) in one["members"].as_object().unwrap() {
            let Some(wanted) = number(wanted) else { continue };
            let line = format!("{at:x}::print -t {name} {path}");
            let is = kernel.types().member(ty, path).map(|member| {
                let size = kernel.types().size_of(member.ty).unwrap_or(8).clamp(1, 8);
                let value = kernel.read_uint(at + member.bit_offset / 8, size as usize).ok()?;
                let width = match member.bit_size {
                    0 => 8 * size as u32,
                    bits => bits,
                };
                let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
                let value = value >> (member.bit_offset % 8) & mask;
                Some((value, wanted & mask))
            });
            match is.flatten() {
                Some((value, wanted)) => report.equal("values", &line, value, wanted),
                None => report.equal("values", &line, false, true),
            }
        }
    }
}

fn objects(session: &mut Session, expected: &Value, report: &mut Report) {
    let kernel = session.kernel.clone();
    let header = kernel.dump().header().clone();
    let of = |name: &str| number(&expected["header"][name]);
    report.equal("header", "npages", Some(header.npages), of("npages"));
    report.equal("header", "nvtop", Some(header.nvtop), of("nvtop"));
    report.equal("header", "hashmask", Some(header.hashmask), of("hashmask"));
    report.equal("header", "crashtime", Some(header.crashtime), number(&expected["crashtime"]));
    for (what, is) in [
        ("platform", &header.platform),
        ("uuid", &header.uuid),
        ("panicstring", &header.panicstring),
    ] {
        report.equal("header", what, &is[..], expected["header"][what].as_str().unwrap());
    }
    let panic = kernel.panic();
    report.equal("panic", "cpu", panic.cpu, number(&expected["panic"]["cpu"]));
    report.equal("panic", "thread", panic.thread, number(&expected["panic"]["thread"]));
    report.equal(
        "panic",
        "message",
        &panic.message[..],
        expected["panic"]["message"].as_str().unwrap(),
    );
    let registers: BTreeMap<String, u64> = panic.registers.into_iter().collect();
    for (name, wanted) in expected["panic"]["regs"].as_object().unwrap() {
        report.equal("panic", name, registers.get(name).copied(), number(wanted));
    }
    let frames = kernel.panic_frames(&necropsy_illumos::stack::SavedArguments::default());
    for (index, wanted) in expected["panic"]["stack"].as_array().unwrap().iter().enumerate() {
        let is = frames.get(index).map(|frame| (frame.fp, frame.pc, frame.args.clone()));
        let wanted = (
            number(&wanted["fp"]).unwrap(),
            number(&wanted["pc"]).unwrap(),
            numbers(&wanted["args"]),
        );
        report.equal("panic", &format!("frame {index}"), is, Some(wanted));
    }
    let (messages, _) = kernel.messages().unwrap();
    let wanted = expected["msgbuf"].as_array().unwrap();
    report.equal("msgbuf", "count", messages.len(), wanted.len());
    for (message, wanted) in messages.iter().zip(wanted) {
        let is = (message.address, message.control, message.time as u64);
        let numbers = ["addr", "log_ctl", "time"].map(|name| number(&wanted[name]).unwrap());
        report.equal("msgbuf", "entry", is, numbers.into());
        let text = wanted["text"].as_str().unwrap();
        report.equal("msgbuf", "text", &message.text[..], text.trim_start_matches('\r'));
    }
    for wanted in expected["ps"].as_array().unwrap() {
        let at = number(&wanted["addr"]).unwrap();
        let Ok(is) = kernel.process(at) else {
            report.equal("ps", "process", false, true);
            continue;
        };
        let numbers =
            [is.pid as u64, is.ppid as u64, is.pgid as u64, is.sid as u64, is.uid as u64, is.flags];
        let names = ["pid", "ppid", "pgid", "sid", "uid", "flags"];
        report.equal("ps", &is.comm, numbers, names.map(|name| number(&wanted[name]).unwrap()));
        let text = |name: &str| wanted[name].as_str().unwrap().to_owned();
        report.equal(
            "ps",
            &is.comm,
            [is.state.to_string(), is.comm.clone(), is.psargs.clone()],
            [text("state"), text("comm"), text("psargs")],
        );
    }
    for wanted in expected["threads"].as_array().unwrap() {
        let at = number(&wanted["addr"]).unwrap();
        let shape = &kernel.shapes().thread;
        let name = format!("{at:x}");
        let get = |field: necropsy_illumos::shapes::Field| field.get(&kernel, at).ok();
        for (what, is) in [
            ("proc", get(shape.procp)),
            ("lwp", get(shape.lwp)),
            ("tid", get(shape.tid)),
            ("pri", shape.pri.signed(&kernel, at).ok().map(|pri| pri as u64)),
            ("cid", get(shape.cid)),
            ("wchan", get(shape.wchan)),
            ("stk", get(shape.stk)),
            ("stkbase", get(shape.stkbase)),
            ("startpc", get(shape.startpc)),
            ("flag", get(shape.flag)),
            ("schedflag", get(shape.schedflag)),
        ] {
            report.equal("threads", &format!("{name}.{what}"), is, number(&wanted[what]));
        }
        let state = get(shape.state).map(necropsy_illumos::thread::state_name);
        report.equal("threads", &name, state.as_deref(), wanted["state"].as_str());
        let found = kernel.find_stack(at).unwrap();
        let stack = &wanted["findstack"];
        match found {
            Ok(found) => {
                report.equal("threads", &name, found.pcs, numbers(&stack["pcs"]));
                report.equal("threads", &name, Some(found.sp), number(&stack["sp"]));
                let pc = number(&stack["pc"]).filter(|&pc| pc != 0);
                report.equal("threads", &format!("{name} pc"), found.pc, pc);
            }
            Err(no) => {
                report.equal("threads", &name, Some(no.text()), stack["failed"].as_str());
            }
        }
    }
    let cpus = kernel.cpus().found;
    for (index, wanted) in expected["cpus"].as_array().unwrap().iter().enumerate() {
        let Some(is) = cpus.get(index).and_then(|&at| kernel.cpu(at).ok()) else {
            report.equal("cpus", "CPU", false, true);
            continue;
        };
        let numbers = [
            is.id as u64,
            is.address,
            is.thread,
            is.idle,
            is.runnable as u64,
            is.switched.unwrap_or(-1) as u64,
        ];
        let names = ["id", "shown_at", "thread", "idle", "nrunnable", "switch"];
        report.equal(
            "cpus",
            &format!("{index}"),
            numbers,
            names.map(|name| number(&wanted[name]).unwrap()),
        );
        report.equal("cpus", "process", &is.process[..], wanted["proc"].as_str().unwrap());
    }
    for wanted in expected["zones"].as_array().unwrap() {
        let is = kernel.zone(number(&wanted["addr"]).unwrap()).unwrap();
        report.equal("zones", &is.name, Some(is.id as u64), number(&wanted["id"]));
        report.equal("zones", &is.name, &is.name[..], wanted["name"].as_str().unwrap());
        report.equal("zones", &is.name, &is.path[..], wanted["path"].as_str().unwrap());
    }
}

fn memory(session: &mut Session, expected: &Value, report: &mut Report) {
    let kernel = session.kernel.clone();
    for wanted in expected["kmem"]["caches"].as_array().unwrap() {
        let at = number(&wanted["addr"]).unwrap();
        let Ok(cache) = kernel.kmem_cache(at) else {
            report.equal("kmem", "cache", false, true);
            continue;
        };
        let used = kernel.kmem_use(&cache).unwrap();
        let field = |name: &str| number(&wanted[name]);
        for (what, is) in [
            ("flags", cache.flags),
            ("cflags", cache.cflags),
            ("bufsize", cache.bufsize),
            ("chunksize", cache.chunksize),
            ("slabsize", cache.slabsize),
            ("buftotal", cache.buftotal),
            ("in_use", used.in_use),
            ("memory", used.memory),
            ("alloc", used.alloc),
            ("alloc_fail", used.fail),
        ] {
            report.equal("kmem", &format!("{} {what}", cache.name), Some(is), field(what));
        }
        report.equal("kmem", "name", &cache.name[..], wanted["name"].as_str().unwrap());
        let buffers = kernel.kmem_buffers(&cache);
        report.equal("kmem", &cache.name, buffers.problem, None);
        let addresses = |found: &[(u64, u64)]| {
            let mut all: Vec<u64> = found.iter().map(|&(at, _)| at).collect();
            all.sort_unstable();
            all
        };
        for (kind, is) in [("allocated", &buffers.allocated), ("free", &buffers.free)] {
            if let Some(wanted) = expected["kmem"][kind].get(&cache.name) {
                let mut wanted = numbers(wanted);
                wanted.sort_unstable();
                report.equal("kmem", &format!("{} {kind}", cache.name), addresses(is), wanted);
            }
        }
    }
    let (arenas, _) = kernel.arenas();
    for wanted in expected["vmem"].as_array().unwrap() {
        let at = number(&wanted["addr"]).unwrap();
        report.equal("vmem", "listed", arenas.iter().any(|&(arena, _)| arena == at), true);
        let is = kernel.arena(at, 0).unwrap();
        let names = ["inuse", "total", "import", "alloc", "fail"];
        report.equal(
            "vmem",
            &is.name,
            [is.inuse, is.total, is.import, is.alloc, is.fail],
            names.map(|name| number(&wanted[name]).unwrap()),
        );
        report.equal("vmem", "name", &is.name[..], wanted["name"].as_str().unwrap());
    }
    let Some(wanted) = expected["kmalog"].as_array() else { return };
    let log = kernel.pointer("kmem_transaction_log").unwrap();
    let records = kernel.kmem_log(log).unwrap();
    report.equal("kmalog", "count", records.len(), wanted.len());
    let newest = records.first().map_or(0, |record| record.timestamp);
    for (is, wanted) in records.iter().zip(wanted) {
        let numbers = [is.address, newest - is.timestamp, is.buffer, is.thread];
        let names = ["at", "delta_ns", "addr", "thread"];
        report.equal("kmalog", "record", numbers, names.map(|name| number(&wanted[name]).unwrap()));
        report.equal("kmalog", "stack", &is.stack[..], &crate::numbers(&wanted["stack"])[..]);
    }
}

fn expanding_gives_what_savecore_gives() {
    for case in corpus() {
        let n = case.number;
        let folder = tempfile::tempdir().unwrap();
        let file = case.folder.join(format!("vmdump.{n}"));
        let dump = IllumosDump::open(&[file], &OpenOptions::default()).unwrap();
        let done = dump.expand(folder.path(), &mut |_| {}).unwrap();
        assert_eq!(done.pages, done.expected);
        for name in [format!("unix.{n}"), format!("vmcore.{n}")] {
            let same = fs::read(folder.path().join(&name)).unwrap()
                == fs::read(Path::new(&case.folder).join(&name)).unwrap();
            assert!(same, "{name}");
        }
    }
}
