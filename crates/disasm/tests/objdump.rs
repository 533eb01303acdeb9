//! Kernels' code against GNU objdump 2.40, instruction by instruction.
//!
//! Needs `NECROPSY_LAB`, a directory with `k510/vmlinux`, `k612/vmlinux` and `k72/vmlinux`; of other
//! machines, `arch/arm64-k612/vmlinux` and so on, and the objdump of their cross binutils.

use necropsy_synth::Needs;
use std::{collections::HashMap, env, fs, path::Path, process::Command};

use necropsy_disasm::{Isa, decode_all};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

/// Pieces of `.text` that are compared, and the bytes of each: some 2000 functions a kernel.
const PIECES: u64 = 8;
const PIECE: u64 = 128 << 10;

/// Address and text of each line, without comments, symbols and padding at the end.
fn objdump(tool: &str, vmlinux: &Path, start: u64, end: u64) -> HashMap<u64, String> {
    let output = Command::new(tool)
        .args(["-d", "--no-show-raw-insn", "-j", ".text"])
        .arg(format!("--start-address={start:#x}"))
        .arg(format!("--stop-address={end:#x}"))
        .arg(vmlinux)
        .output()
        .expect("objdump runs");
    let mut lines = HashMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((address, text)) = line.split_once(":\t") else { continue };
        let Ok(address) = u64::from_str_radix(address.trim(), 16) else { continue };
        let text = text.split(" <").next().unwrap_or(text);
        lines.insert(address, text.trim_end().to_owned());
    }
    lines
}

/// How many lines were compared, and those that differ.
fn compare(isa: Isa, tool: &str, path: &Path, file: &[u8]) -> (u32, Vec<String>) {
    let elf = object::File::parse(file).expect("an ELF file");
    let text = elf.section_by_name(".text").expect(".text");
    let (base, data) = (text.address(), text.data().expect("its bytes"));
    let mut starts: Vec<u64> = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| symbol.address())
        .filter(|address| (base..base + data.len() as u64).contains(address))
        .collect();
    starts.sort_unstable();
    let (mut total, mut different) = (0u32, Vec::new());
    // Spaces and comments are not compared.
    let bare = |text: &str| {
        let comment = if isa == Isa::X86_64 { "#" } else { "//" };
        let text = text.split(comment).next().unwrap_or(text);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for piece in 0..PIECES {
        let start = starts[starts.len() * piece as usize / PIECES as usize];
        let end = (start + PIECE).min(base + data.len() as u64);
        let bytes = &data[(start - base) as usize..(end - base) as usize];
        let ours: HashMap<u64, String> = decode_all(isa, bytes, start)
            .into_iter()
            .map(|i| (i.address, i.text(&|_| None)))
            .collect();
        for (address, theirs) in objdump(tool, path, start, end) {
            // What objdump leaves out, and what an end within an instruction makes of it.
            if theirs == "..." || end - address < 8 {
                continue;
            }
            total += 1;
            let ours = ours.get(&address).map_or("", String::as_str);
            if bare(ours) != bare(&theirs) {
                different.push(format!("{address:x}: {theirs} | {ours}"));
            }
        }
    }
    (total, different)
}

fn kernels_of_other_machines_disassemble_as_by_objdump() {
    let Some(lab) = env::var_os("NECROPSY_LAB") else { return };
    for (name, isa, tool) in [
        ("arm64", Isa::Aarch64, "aarch64-linux-gnu-objdump"),
        ("ppc64el", Isa::Ppc64le, "powerpc64le-linux-gnu-objdump"),
        ("s390x", Isa::S390x, "s390x-linux-gnu-objdump"),
    ] {
        let path = Path::new(&lab).join(format!("arch/{name}-k612/vmlinux"));
        let Ok(file) = fs::read(&path) else {
            eprintln!("SKIPPED: no {}", path.display());
            continue;
        };
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("SKIPPED: no {tool}");
            continue;
        }
        let (total, different) = compare(isa, tool, &path, &file);
        eprintln!("{name}: {} of {total} lines differ", different.len());
        assert!(different.len() as u32 * 1000 <= total, "{name}: {different:#?}");
    }
}

fn kernels_disassemble_as_by_objdump() {
    let Some(lab) = env::var_os("NECROPSY_LAB") else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return;
    };
    let version = Command::new("objdump").arg("--version").output();
    if !version.is_ok_and(|v| String::from_utf8_lossy(&v.stdout).contains(" 2.40")) {
        eprintln!("SKIPPED: objdump 2.40 is not here");
        return;
    }
    for kernel in ["k510", "k612", "k72"] {
        let path = Path::new(&lab).join(kernel).join("vmlinux");
        let Ok(file) = fs::read(&path) else {
            eprintln!("SKIPPED: no {}", path.display());
            continue;
        };
        let (total, different) = compare(Isa::X86_64, "objdump", &path, &file);
        eprintln!("{kernel}: {} of {total} lines differ", different.len());
        assert!(total > 100_000, "{kernel}: objdump printed {total} lines");
        assert!(different.len() as u32 * 1000 <= total, "{kernel}: {different:#?}");
    }
}

necropsy_synth::data_tests! {
    kernels_disassemble_as_by_objdump: [Needs::Lab("k612/vmlinux")],
    kernels_of_other_machines_disassemble_as_by_objdump: [Needs::Lab("arch/arm64-k612/vmlinux")],
}
