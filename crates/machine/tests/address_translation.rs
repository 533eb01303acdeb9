//! Page walks against facts taken from another implementation's test-suite, when they are there:
//! NECROPSY_CORPORA, or `shared/corpora` beside the workspace.

use necropsy_synth::Needs;
use std::{collections::HashMap, path::PathBuf};

use necropsy_dump::{Fault, Reason};
use necropsy_machine::paging::{Fields, Lpa, PagingFormat};

fn vectors() -> Option<String> {
    let dir = std::env::var_os("NECROPSY_CORPORA").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora")
    });
    std::fs::read_to_string(dir.join("address-translation.tsv")).ok()
}

fn number(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

fn format(text: &str) -> Option<PagingFormat> {
    let (text, mask) = match text.split_once(" -k ") {
        Some((text, mask)) => (text, number(mask.trim())),
        None => (text, 0),
    };
    let (name, widths) = text.split_once(':')?;
    let widths: Vec<u8> = widths.split(',').map(|w| w.parse().unwrap()).collect();
    let levels = widths.len() as u8 - 1;
    let fields = Fields::new(&widths)?;
    Some(match name {
        "x86_64" => PagingFormat::X86_64 { levels, mask },
        "ia32" => PagingFormat::Ia32,
        "ia32_pae" => PagingFormat::Ia32Pae,
        "arm" => PagingFormat::Arm,
        "aarch64" => PagingFormat::Aarch64 { fields, lpa: Lpa::None },
        "aarch64_lpa" => PagingFormat::Aarch64 { fields, lpa: Lpa::Lpa },
        "aarch64_lpa2" => PagingFormat::Aarch64 { fields, lpa: Lpa::Lpa2 },
        "riscv64" => PagingFormat::Riscv64 { levels },
        "s390x" => PagingFormat::S390x { levels },
        "ppc64_linux_rpn30" => PagingFormat::Ppc64Rpn30 { fields },
        "pfn32" => PagingFormat::Pfn { entry_size: 4, fields },
        "pfn64" => PagingFormat::Pfn { entry_size: 8, fields },
        _ => return None,
    })
}

fn walks_end_where_another_walker_ends() {
    let Some(text) = vectors() else {
        eprintln!("SKIPPED: no address-translation.tsv (set NECROPSY_CORPORA)");
        return;
    };
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in text.lines().skip(1) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or("");
        let (test, form, entries, va, pa) = (next(), next(), next(), next(), next());
        let Some(format) = format(form) else { panic!("unknown format {form}") };
        let memory: HashMap<u64, u64> = entries
            .split_whitespace()
            .map(|e| e.split_once(':').unwrap())
            .map(|(at, value)| (number(at), number(value)))
            .collect();
        let walk = format.walk(0, number(va), &|at, _| {
            memory.get(&at).copied().ok_or(Fault::physical(at, Reason::NotSaved))
        });
        let got = walk.end.map(|m| format!("{:#x}", m.physical)).unwrap_or("FAULT".into());
        let expected = if pa == "FAULT" { pa.to_owned() } else { format!("{:#x}", number(pa)) };
        count += 1;
        if got != expected {
            wrong.push(format!("{test} {form} {va}: {got}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
    eprintln!("{count} page walks as expected");
}

necropsy_synth::data_tests! {
    walks_end_where_another_walker_ends: [Needs::Corpora("address-translation.tsv")],
}
