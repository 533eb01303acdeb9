//! The repository's dumps, made from full-size ones.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use necropsy::{Status, opening::Request, registry::COMMANDS};

use crate::slim;

/// The dump in the repository, and the full-size one that it is made from.
const FIXTURES: &[(&str, &str)] = &[
    ("linux-5.10-deadlock.kdump", "k510-deadlock"),
    ("linux-6.12-shm.kdump", "k612-shm"),
    ("linux-7.2-null.kdump", "k72-null"),
];

/// They are part of every clone.
const LARGEST: u64 = 8 << 20;

/// Writes the dumps into `crates/cli/tests/dumps`.
pub(crate) fn write() -> Result<()> {
    let lab = env::var_os("NECROPSY_LAB").context(
        "set NECROPSY_LAB to the directory that holds out/k612-shm/vmcore and the others",
    )?;
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/tests");
    let mut lines = tempfile::NamedTempFile::new()?;
    lines.write_all(all_lines(&tests)?.as_bytes())?;
    for (name, from) in FIXTURES {
        let source = Path::new(&lab).join("out").join(from).join("vmcore");
        let dump = tests.join("dumps").join(name);
        let mut words = vec!["necropsy".into(), "convert".into(), source.into_os_string()];
        words.extend([dump.clone().into_os_string(), "--touched-by".into()]);
        words.extend([lines.path().into(), "--compress".into(), "zstd:19".into()]);
        // What commands read when they have debug information belongs to the dump as well.
        let kernel = from.split('-').next().unwrap_or_default();
        for file in [format!("{kernel}/vmlinux"), format!("mod-{kernel}")] {
            words.extend(["--symbols".into(), Path::new(&lab).join(file).into_os_string()]);
        }
        // Some lines ask in vain, and what they read meanwhile belongs to the dump as well.
        let status = necropsy::run(words);
        if !matches!(status, Status::Done | Status::Failed | Status::Missing | Status::Usage) {
            bail!("{name}: not written");
        }
        let size = fs::metadata(&dump).with_context(|| dump.display().to_string())?.len();
        if size > LARGEST {
            bail!("{name}: {size} bytes are too many for the repository");
        }
    }
    Ok(())
}

/// A dump in the repository, and the kernel and module of the lab that it is of.
const DEBUG: &[(&str, &str)] = &[("linux-6.12-shm", "k612"), ("linux-7.2-null", "k72")];

/// Writes the debug information of the panicking task's stack into `crates/cli/tests/debug`.
pub(crate) fn write_debug() -> Result<()> {
    let lab = env::var_os("NECROPSY_LAB").context("set NECROPSY_LAB")?;
    let lab = Path::new(&lab);
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/tests");
    for (name, kernel) in DEBUG {
        let folder = tests.join("debug").join(name);
        fs::create_dir_all(&folder)?;
        let dump = tests.join("dumps").join(format!("{name}.kdump"));
        let vmlinux = lab.join(kernel).join("vmlinux");
        let addresses = stack(&dump, &vmlinux)?;
        let slim = slim::make(&vmlinux, &addresses)?;
        pack(&slim, &folder.join("vmlinux.zst"))?;
        let module = fs::read(lab.join(format!("mod-{kernel}")).join("crashme.ko"))?;
        let module = elsewhere(module, lab.parent().unwrap_or(lab));
        pack(&module, &folder.join("crashme.ko.zst"))?;
    }
    Ok(())
}

/// The module as if built below another folder, whose name is as long: debug information names the
/// builder's, which is nobody's business.
fn elsewhere(mut module: Vec<u8>, folder: &Path) -> Vec<u8> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let shown = format!("{:_<1$.1$}", "/usr/src/lab", folder.len());
    let found: Vec<usize> = memchr::memmem::find_iter(&module, folder).collect();
    for at in found {
        module[at..at + folder.len()].copy_from_slice(shown.as_bytes());
    }
    module
}

fn pack(bytes: &[u8], path: &Path) -> Result<()> {
    let packed = zstd::bulk::compress(bytes, 19)?;
    println!("{}: {} KB, {} KB packed", path.display(), bytes.len() >> 10, packed.len() >> 10);
    if packed.len() as u64 > LARGEST {
        bail!("{}: too large for the repository", path.display());
    }
    Ok(fs::write(path, packed)?)
}

/// The addresses of the kernel on the stack of the task that panicked, as its file has them.
fn stack(dump: &Path, vmlinux: &Path) -> Result<Vec<u64>> {
    use object::{Object, ObjectSymbol};
    let request = Request { files: vec![dump.to_owned()], ..Request::default() };
    let kernel = request.open()?;
    let bytes = fs::read(vmlinux).with_context(|| vmlinux.display().to_string())?;
    let elf = object::File::parse(&*bytes)?;
    let linked = elf.symbol_by_name("_stext").context("no _stext")?.address();
    let running = kernel.target().address_of("_stext").context("no _stext in the dump")?;
    let task = kernel.panic_task().context("nobody panicked")?;
    let trace = task.trace().map_err(|error| anyhow::anyhow!("{error}"))?;
    let pcs = trace.frames.iter().map(|frame| frame.lookup_pc());
    Ok(pcs.map(|pc| pc.wrapping_sub(running.wrapping_sub(linked))).collect())
}

/// What the dumps must answer: the lines of `touch.cmd`, those of the golden tests, and the
/// examples of the registry.
fn all_lines(tests: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(tests.join("commands"))?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    for file in fs::read_dir(tests.join("commands-debug"))? {
        files.push(file?.path());
    }
    files.push(tests.join("touch.cmd"));
    files.sort();
    let mut text = String::new();
    for file in files {
        text += &fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    }
    for example in COMMANDS.iter().filter(|c| c.name() != "q").flat_map(|c| c.examples) {
        writeln!(text, "{}", example.line)?;
    }
    Ok(text)
}
