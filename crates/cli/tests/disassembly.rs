//! `dis` against objdump: functions spread over vmlinux, as they lie in a dump's memory.
//!
//! Needs `NECROPSY_LAB` (dumps and their kernels) and `objdump`, for other machines that of the cross
//! binutils. Instructions whose bytes in memory are not those of the file are left out: the kernel patched
//! them (alternatives, static calls and keys, ftrace, addresses moved by KASLR).

use necropsy_synth::Needs;
use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use necropsy::{language::run_captured, opening::Request, render::Capture, session::Session};

const FUNCTIONS: usize = 200;

/// A kernel's dump and file in the lab.
struct Case {
    dump: &'static str,
    vmlinux: &'static str,
    /// That of its machine.
    objdump: &'static str,
    /// One instruction in so many may differ.
    tolerated: usize,
}

const CASES: [Case; 8] = [
    Case::new("out/k510-null/vmcore", "k510/vmlinux", "objdump", 1000),
    Case::new("out/k612-null/vmcore", "k612/vmlinux", "objdump", 1000),
    Case::new("out/k72-null/vmcore", "k72/vmlinux", "objdump", 1000),
    Case::new("out/arch/arm64-k612-null/vmcore", "arch/arm64-k612/vmlinux", "aarch64", 1000),
    Case::new("out/arch/arm64-k72-null/vmcore", "arch/arm64-k72/vmlinux", "aarch64", 1000),
    Case::new("out/arch/s390x-k612-null/dump.kdump", "arch/s390x-k612/vmlinux", "s390x", 100),
    Case::new("out/arch/ppc64el-k612-null/vmcore", "arch/ppc64el-k612/vmlinux", "powerpc64le", 100),
    Case::new("out/arch/riscv64-k612-null/dump.kdump", "arch/riscv64-k612/vmlinux", "riscv64", 100),
];

impl Case {
    const fn new(
        dump: &'static str,
        vmlinux: &'static str,
        objdump: &'static str,
        tolerated: usize,
    ) -> Case {
        Case { dump, vmlinux, objdump, tolerated }
    }

    fn objdump(&self) -> String {
        match self.objdump {
            native @ "objdump" => native.to_owned(),
            machine => format!("{machine}-linux-gnu-objdump"),
        }
    }
}

fn two_hundred_functions_are_as_objdump_prints_them() {
    let Some(lab) = std::env::var_os("NECROPSY_LAB").map(PathBuf::from) else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return;
    };
    for case in &CASES {
        let (dump, vmlinux) = (lab.join(case.dump), lab.join(case.vmlinux));
        if Command::new(case.objdump()).arg("--version").output().is_err() {
            eprintln!("SKIPPED: there is no {}", case.objdump());
        } else if dump.is_file() && vmlinux.is_file() {
            compare(case, &dump, &vmlinux);
        } else {
            eprintln!("SKIPPED: no {}, or no vmlinux of it", case.dump);
        }
    }
}

/// An instruction: its bytes, and its text without comment.
type Line = (String, String);

fn compare(case: &Case, dump: &Path, vmlinux: &Path) {
    let name = case.dump;
    let kernel = Request { files: vec![dump.to_owned()], ..Request::default() }
        .open()
        .expect("the dump opens");
    let kaslr = kernel.target().layout().expect("a kernel").kaslr.unwrap_or_default();
    let text: Vec<_> = {
        let symbols = &kernel.target().kernel().symbols;
        let text = symbols.iter().filter(|s| s.is_text() && s.size > 16);
        let text = text.filter(|s| kernel.target().is_text(s.address));
        text.filter(|s| symbols.all_by_name(s.name).len() == 1).map(|s| s.name.to_owned()).collect()
    };
    let step = (text.len() / FUNCTIONS).max(1);
    let mut session = Session::on(kernel);
    let mut ours: BTreeMap<u64, Line> = BTreeMap::new();
    for name in text.iter().step_by(step).take(FUNCTIONS) {
        let capture = Capture::default();
        run_captured(&mut session, &format!("dis --json {name}"), &capture);
        for row in capture.take().lines() {
            let row: serde_json::Value = serde_json::from_str(row)
                .unwrap_or_else(|error| panic!("dis {name}: {error}: {row}"));
            let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let address = u64::from_str_radix(field("address").trim_start_matches("0x"), 16)
                .expect("an address");
            let text = format!("{} {}", field("mnemonic"), field("operands"));
            let text = linked(text.trim_end(), kaslr);
            ours.insert(address.wrapping_sub(kaslr), (field("bytes"), text));
        }
    }
    let theirs = objdump(&case.objdump(), vmlinux, &ours);
    let (mut equal, mut patched, mut different) = (0, 0, 0);
    for (address, (bytes, text)) in &ours {
        match theirs.get(address) {
            Some((other, _)) if other != bytes => patched += 1,
            Some((_, other)) if other == text => equal += 1,
            // Behind a patched instruction the two may be out of step.
            None => patched += 1,
            Some((_, other)) => {
                different += 1;
                eprintln!("{name}: {address:x}: {bytes}: objdump {other:?}, dis {text:?}");
            }
        }
    }
    eprintln!("{name}: {equal} instructions equal, {different} differ, {patched} patched");
    assert!(equal > 5000, "{name}: only {equal} instructions were compared");
    assert!(patched < equal, "{name}: {patched} instructions are not those of the file");
    assert!(different * case.tolerated <= equal + different, "{name}: too many differ");
}

/// With the target of a branch moved to where the kernel was linked.
fn linked(text: &str, kaslr: u64) -> String {
    let Some((before, target)) = text.rsplit_once([' ', ',']) else { return text.to_owned() };
    match u64::from_str_radix(target, 16) {
        // Addresses of kernels, which are no small numbers: IBM Z has eleven digits of them.
        Ok(address) if target.len() >= 11 => {
            let separator = &text[before.len()..before.len() + 1];
            format!("{before}{separator}{:x}", address.wrapping_sub(kaslr))
        }
        _ => text.to_owned(),
    }
}

/// What objdump prints for the addresses that are asked for.
fn objdump(program: &str, vmlinux: &Path, wanted: &BTreeMap<u64, Line>) -> HashMap<u64, Line> {
    let mut child = Command::new(program)
        .args(["-d", "-w"])
        .arg(vmlinux)
        .stdout(Stdio::piped())
        .spawn()
        .expect("objdump runs");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut found = HashMap::new();
    for line in output.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let mut parts = line.splitn(3, '\t');
        let (Some(address), Some(bytes)) = (parts.next(), parts.next()) else { continue };
        let Ok(address) = u64::from_str_radix(address.trim().trim_end_matches(':'), 16) else {
            continue;
        };
        if !wanted.contains_key(&address) {
            continue;
        }
        let text = parts.next().unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Comments: `# address <symbol>`, on Arm `// #number`.
        let text = [" // ", " # ", " <"]
            .iter()
            .fold(text.as_str(), |text, comment| text.split(comment).next().unwrap_or_default());
        let text = spelled(program, text);
        found.insert(address, (in_memory(program, bytes), text));
    }
    child.wait().expect("objdump ends");
    found
}

/// RISC-V's instructions with a constant as binutils spell them since 2.41: `addi`, not `add`.
fn spelled(program: &str, text: &str) -> String {
    const SHORT: [&str; 19] = [
        "add", "and", "or", "xor", "sll", "srl", "sra", "slt", "sltu", "addw", "sllw", "srlw",
        "sraw", "csrs", "csrc", "csrw", "csrrs", "csrrc", "csrrw",
    ];
    let last = text.rsplit([' ', ',']).next().unwrap_or_default();
    let constant = last.trim_start_matches('-').starts_with(|first: char| first.is_ascii_digit());
    match text.split_once(' ') {
        Some((name, operands))
            if program.starts_with("riscv64") && constant && SHORT.contains(&name) =>
        {
            // The letter comes before what tells the width or the sign.
            let plain = name.trim_end_matches(['w', 'u']);
            match name.starts_with("csr") {
                true => format!("{name}i {operands}"),
                false => format!("{plain}i{} {operands}", &name[plain.len()..]),
            }
        }
        _ => text.to_owned(),
    }
}

/// The bytes of an instruction as they lie in memory: of Arm and RISC-V, objdump prints them as a number.
fn in_memory(program: &str, bytes: &str) -> String {
    let bytes = bytes.replace(' ', "");
    if !["aarch64", "riscv64"].iter().any(|machine| program.starts_with(machine)) {
        return bytes;
    }
    let pairs: Vec<&str> =
        (0..bytes.len() / 2).rev().map(|at| &bytes[2 * at..2 * at + 2]).collect();
    pairs.concat()
}

necropsy_synth::data_tests! {
    two_hundred_functions_are_as_objdump_prints_them: [Needs::Lab("out")],
}
