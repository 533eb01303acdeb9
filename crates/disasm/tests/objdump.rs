//! Kernels' code against GNU objdump 2.40, instruction by instruction.
//!
//! Needs `NECROPSY_LAB`, a directory with `k510/vmlinux`, `k612/vmlinux` and `k72/vmlinux`.

use std::{collections::HashMap, env, fs, path::Path, process::Command};

use necropsy_disasm::{Arch, decode_all};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SymbolKind};

/// Pieces of `.text` that are compared, and the bytes of each: some 2000 functions a kernel.
const PIECES: u64 = 8;
const PIECE: u64 = 128 << 10;

/// Address and text of each line, without comments, symbols and padding at the end.
fn objdump(vmlinux: &Path, start: u64, end: u64) -> HashMap<u64, String> {
    let output = Command::new("objdump")
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
        let text = text.split('#').next().unwrap_or(text);
        lines.insert(address, text.trim_end().to_owned());
    }
    lines
}

#[test]
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
        let elf = object::File::parse(&*file).expect("an ELF file");
        let text = elf.section_by_name(".text").expect(".text");
        let (base, data) = (text.address(), text.data().expect("its bytes"));
        let mut starts: Vec<u64> = elf
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text)
            .map(|symbol| symbol.address())
            .filter(|address| (base..base + data.len() as u64).contains(address))
            .collect();
        starts.sort_unstable();
        let (mut total, mut different) = (0u32, Vec::new());
        for piece in 0..PIECES {
            let start = starts[starts.len() * piece as usize / PIECES as usize];
            let end = (start + PIECE).min(base + data.len() as u64);
            let bytes = &data[(start - base) as usize..(end - base) as usize];
            let ours: HashMap<u64, String> = decode_all(Arch::X86_64, bytes, start)
                .into_iter()
                .map(|i| (i.address, i.text(&|_| None)))
                .collect();
            for (address, theirs) in objdump(&path, start, end) {
                total += 1;
                let ours =
                    ours.get(&address).map_or("", |text| text.split('#').next().unwrap_or(""));
                if ours.trim_end() != theirs {
                    different.push(format!("{address:x}: {theirs} | {ours}"));
                }
            }
        }
        eprintln!("{kernel}: {} of {total} lines differ", different.len());
        assert!(total > 100_000, "{kernel}: objdump printed {total} lines");
        assert!(different.len() as u32 * 1000 <= total, "{kernel}: {different:#?}");
    }
}
