//! The checks of a corpus of small dumps (`dump-formats/checks.tsv` under `NECROPSY_CORPORA`).

use necropsy_synth::Needs;
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use necropsy_dump::{Arch, Dump, FormatKind, OpenOptions, PhysicalMemory, PrStatus, Reason};

/// Checks of other layers: address translation and what it is inferred from.
const OUT_OF_SCOPE: [(&str, &str); 3] = [
    ("layout", "early-version-code"),
    ("read virt", "elf-vmcoreinfo"),
    ("read virt", "multixlat-same"),
];

struct Check<'a> {
    files: Vec<PathBuf>,
    kind: &'a str,
    argument: &'a str,
    expected: &'a str,
    dir: &'a Path,
}

fn checks_of_the_corpus() {
    let Some(corpora) = std::env::var_os("NECROPSY_CORPORA") else {
        eprintln!("SKIPPED: NECROPSY_CORPORA does not name the corpora");
        return;
    };
    let dir = PathBuf::from(corpora).join("dump-formats");
    let table = fs::read_to_string(dir.join("checks.tsv")).expect("checks.tsv");
    let (mut done, mut skipped, mut failures) = (0, 0, Vec::new());
    for line in table.lines().skip(1) {
        let [test, files, kind, argument, expected] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("not five columns: {line}")
        };
        let scope = |&(what, name): &(&str, &str)| {
            name == test && format!("{kind} {argument}").starts_with(what)
        };
        if OUT_OF_SCOPE.iter().any(scope) {
            skipped += 1;
            continue;
        }
        let files = files.split(' ').map(|name| dir.join(name)).collect();
        done += 1;
        if let Err(what) = (Check { files, kind, argument, expected, dir: &dir }).run() {
            failures.push(format!("{test}: {kind} {argument}: {what}"));
        }
    }
    assert!(failures.is_empty(), "{} of {done} fail:\n{}", failures.len(), failures.join("\n"));
    eprintln!("{done} checks pass, {skipped} belong to other crates");
}

impl Check<'_> {
    fn run(&self) -> Result<(), String> {
        let zero_excluded = self.argument.starts_with("phys-zero-excluded");
        let options = OpenOptions { zero_excluded, ..OpenOptions::default() };
        let dump = Dump::open(&self.files, options).map_err(|error| error.to_string())?;
        match self.kind {
            "attr" => same(&attribute(&dump, self.argument)?, &normal(self.expected)),
            "read" => self.read(&dump),
            kind => Err(format!("unknown check {kind}")),
        }
    }

    fn read(&self, dump: &Dump) -> Result<(), String> {
        if self.argument == "phys page n, n = 0..127, 8 threads at once" {
            return read_from_threads(dump);
        }
        // `phys 0x1ffc 8 + 0x2ffc 8`, `phys 0x0 4 items of 4 bytes, target byte order`
        let argument = self.argument.split_once(' ').ok_or("no address")?.1;
        let mut bytes = Vec::new();
        let mut item = 1;
        for piece in argument.split(" + ") {
            let words: Vec<&str> = piece.split(' ').collect();
            let count = number(words[1])? as usize;
            if let [_, _, "items", "of", size, ..] = words[..] {
                item = number(size)? as usize;
            }
            let mut buffer = vec![0; count * item];
            match (dump.read(number(words[0])?, &mut buffer), self.expected.strip_prefix("FAIL ")) {
                (Ok(()), None) => bytes.extend(buffer),
                (Ok(()), Some(kinds)) => return Err(format!("read, should be {kinds}")),
                (Err(fault), None) => return Err(fault.to_string()),
                (Err(fault), Some(kinds)) => {
                    let kind = match fault.reason {
                        Reason::NotSaved => "nodata",
                        reason => reason.name(),
                    };
                    return match kinds.split('|').any(|expected| expected == kind) {
                        true => Ok(()),
                        false => Err(format!("{kind}, should be {kinds}")),
                    };
                }
            }
        }
        let expected = match self.expected.strip_prefix('@') {
            Some(file) => fs::read_to_string(self.dir.join(file)).map_err(|e| e.to_string())?,
            None => self.expected.into(),
        };
        if let Some(fill) = expected.strip_prefix("fill ") {
            let fill = u8::from_str_radix(fill, 16).map_err(|e| e.to_string())?;
            return if bytes.iter().all(|&b| b == fill) {
                Ok(())
            } else {
                Err("other bytes".into())
            };
        }
        if item > 1 && !dump.big_endian() {
            bytes.chunks_mut(item).for_each(<[u8]>::reverse);
        }
        let expected: String = expected.split_whitespace().collect();
        same(&hex(&bytes), &expected.to_lowercase())
    }
}

fn read_from_threads(dump: &Dump) -> Result<(), String> {
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..128u64).all(|n| {
                        dump.page(n).is_ok_and(|page| page.iter().all(|&b| u64::from(b) == n))
                    })
                })
            })
            .collect();
        let good = readers.into_iter().all(|reader| reader.join().unwrap_or(false));
        if good { Ok(()) } else { Err("a page differs".into()) }
    })
}

/// An attribute of the table's naming, as text.
fn attribute(dump: &Dump, name: &str) -> Result<String, String> {
    let header = dump.header();
    let uts = header.uts.clone().unwrap_or_default();
    let text = match name {
        "format" => match dump.format().kind {
            FormatKind::Elf | FormatKind::QemuElf => "elf".into(),
            FormatKind::Kdump { .. } | FormatKind::QemuKdump { .. } => "diskdump".into(),
            FormatKind::Lkcd { .. } => "lkcd".into(),
            FormatKind::Sadump { .. } => "sadump".into(),
            other => format!("{other:?}"),
        },
        "description" => dump.format().description(),
        "files" => dump.files().len().to_string(),
        "arch" => match dump.arch() {
            Some(Arch::I386) => "ia32".into(),
            Some(arch) => arch.name().into(),
            None => "none".into(),
        },
        "endian" => if dump.big_endian() { "big" } else { "little" }.into(),
        "ptr_size" => dump.pointer_size().to_string(),
        "page_size" => dump.page_size().to_string(),
        "page_shift" => dump.page_size().trailing_zeros().to_string(),
        "phys_base" => header.phys_base.ok_or("none")?.to_string(),
        "max_pfn" => dump.max_pfn().to_string(),
        "uts.sysname" => uts.sysname,
        "uts.nodename" => uts.nodename,
        "uts.release" => uts.release,
        "uts.version" => uts.version,
        "uts.machine" => uts.machine,
        "uts.domainname" => uts.domainname,
        "version_code" => version_code(&uts.release).to_string(),
        "eraseinfo" => hex(header.eraseinfo.as_deref().ok_or("none")?),
        "note.task_struct" => {
            let note = dump.notes().iter().find(|note| note.is_task_struct());
            hex(&note.ok_or("none")?.desc)
        }
        "cpus" => dump.prstatus().len().to_string(),
        "stored_pfns" => pfns(|from| dump.stored_run(from)),
        "memory_pfns" => pfns(|from| dump.memory_run(from)),
        _ => return cpu_or_vmcoreinfo(dump, name),
    };
    Ok(text)
}

fn cpu_or_vmcoreinfo(dump: &Dump, name: &str) -> Result<String, String> {
    if let Some(key) = name.strip_prefix("vmcoreinfo.") {
        return Ok(dump.vmcoreinfo().and_then(|info| info.get(key)).ok_or("none")?.into());
    }
    let rest = name.strip_prefix("cpu").ok_or("unknown attribute")?;
    let (cpu, what) = rest.split_once('.').ok_or("unknown attribute")?;
    let cpu: &PrStatus = dump.prstatus().get(number(cpu)? as usize).ok_or("no such CPU")?;
    Ok(match what {
        "pid" => cpu.pid.to_string(),
        "prstatus" => hex(&cpu.desc),
        what => {
            let name = what.strip_prefix("reg.").ok_or("unknown attribute")?;
            cpu.reg(name).ok_or("no such register")?.to_string()
        }
    })
}

fn pfns(next: impl Fn(u64) -> Option<(u64, u64)>) -> String {
    let mut list = Vec::new();
    let mut at = 0;
    while let Some((first, end)) = next(at) {
        list.extend((first..end).map(|pfn| pfn.to_string()));
        at = end;
    }
    if list.is_empty() { "none".into() } else { list.join(",") }
}

fn version_code(release: &str) -> u64 {
    let part = |text: &str| -> u64 {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    };
    release.split('.').take(3).fold(0, |code, text| code << 8 | part(text))
}

/// Numbers in decimal, bytes in lower-case hexadecimal, other text as it is.
fn normal(expected: &str) -> String {
    match (expected.strip_prefix("hex:"), expected.strip_prefix("0x")) {
        (Some(bytes), _) => bytes.to_lowercase(),
        (_, Some(digits)) => {
            u64::from_str_radix(digits, 16).map_or(expected.into(), |n| n.to_string())
        }
        _ => expected.into(),
    }
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{text}: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn same(found: &str, expected: &str) -> Result<(), String> {
    // A table of facts may cut a long byte string short.
    let cut = expected.len() >= 200 && found.starts_with(expected);
    if found == expected || cut {
        return Ok(());
    }
    Err(format!("{found:?}, should be {expected:?}"))
}

necropsy_synth::data_tests! {
    checks_of_the_corpus: [Needs::Corpora("dump-formats/checks.tsv")],
}
