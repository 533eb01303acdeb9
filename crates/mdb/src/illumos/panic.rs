//! What the dump is, and the panic.

use necropsy_dump::illumos::{DF_ALL, DF_CURPROC, DF_KERNEL};
use serde_json::json;

use crate::{Dcmd, Mdb, Outcome};

use super::{IllumosSystem, kernel};

pub(super) const STATUS: Dcmd =
    Dcmd::new(&["status"], "", "print summary of current target", |mdb, _| {
        let kernel = kernel(mdb)?;
        let name = mdb
            .system
            .as_any()
            .downcast_ref::<IllumosSystem>()
            .map(|system| system.name().to_owned())
            .unwrap_or_default();
        let header = kernel.dump().header();
        let [_, node, release, version, machine] = &header.utsname;
        let uuid = if header.uuid.is_empty() { "(not set)" } else { &header.uuid };
        let panic = kernel.panic();
        let content = match () {
            () if header.flags & DF_CURPROC != 0 => match dumped_pid(&kernel) {
                Some(pid) => format!("kernel pages and pages from PID {pid}"),
                None => "kernel pages and pages from one process".to_owned(),
            },
            () if header.flags & DF_ALL != 0 => "all kernel and user pages".to_owned(),
            () if header.flags & DF_KERNEL != 0 => "kernel pages only".to_owned(),
            () => "unknown".to_owned(),
        };
        let problems = kernel.problems();
        if mdb.out.json {
            return mdb.row(
                "",
                json!({
                    "dumpfile": name, "node": node, "release": release, "version": version,
                    "machine": machine, "uuid": header.uuid, "panic": panic.message,
                    "content": content, "time": header.crashtime, "problems": problems,
                }),
            );
        }
        mdb.line(&format!("debugging crash dump {name} (64-bit) from {node}"))?;
        mdb.line(&format!("operating system: {release} {version} ({machine})"))?;
        for line in build_version(&kernel) {
            mdb.line(&line)?;
        }
        mdb.line(&format!("image uuid: {uuid}"))?;
        mdb.line(format!("panic message: {}", panic.message.trim_end()).trim_end())?;
        mdb.line(&format!("dump content: {content}"))?;
        if header.is_live() {
            mdb.note("the system did not panic: the dump is of a running one (savecore -L)");
        }
        // What mdb prints is not to be mixed with what is our own.
        for problem in problems {
            mdb.note(&format!("warning: {problem}"));
        }
        Ok(())
    });

/// The process whose pages were dumped, in kernels that keep its number where it can be found.
fn dumped_pid(kernel: &necropsy_illumos::Kernel) -> Option<u32> {
    let list = kernel.pointer("dump_pids").ok().filter(|&list| list != 0)?;
    kernel.read_u32(list).ok()
}

/// Branch and revision that the kernel was built from, in kernels that tell.
fn build_version(kernel: &necropsy_illumos::Kernel) -> Vec<String> {
    let Ok(address) = kernel.address_of("buildversion") else { return Vec::new() };
    let Ok(text) = kernel.read_string(address, 4096) else { return Vec::new() };
    let mut lines = Vec::new();
    for line in text.lines() {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let word = |key: &str| value.get(key).and_then(|word| word.as_str());
        if let (Some(repo), Some(branch), Some(rev)) = (word("repo"), word("branch"), word("rev")) {
            lines.push(format!("git branch: {branch} ({repo})"));
            lines.push(format!("git rev: {rev}"));
        }
    }
    lines
}

pub(super) const PANICINFO: Dcmd =
    Dcmd::new(&["panicinfo"], "", "print panic information", |mdb, _| {
        let panic = kernel(mdb)?.panic();
        let Some(thread) = panic.thread else {
            return crate::failure::fail("the system did not panic: the dump is of a running one");
        };
        if mdb.out.json {
            let registers: serde_json::Map<_, _> = panic
                .registers
                .iter()
                .map(|(name, value)| (name.clone(), json!(format!("{value:#x}"))))
                .collect();
            return mdb.row(
                "",
                json!({
                    "cpu": panic.cpu, "thread": format!("{thread:#x}"),
                    "message": panic.message, "registers": registers,
                }),
            );
        }
        if let Some(cpu) = panic.cpu {
            mdb.line(&format!("{:>16} {cpu:>16}", "cpu"))?;
        }
        mdb.line(&format!("{:>16} {thread:>16x}", "thread"))?;
        mdb.line(&format!("{:>16} {}", "message", panic.message))?;
        for (name, value) in &panic.registers {
            mdb.line(&format!("{name:>16} {value:>16x}"))?;
        }
        Ok(())
    });

pub(super) const SELF_CHECK: Dcmd = Dcmd::new(
    &["self_check"],
    "",
    "counts, and what of this kernel was not found: no data of the dump",
    |mdb, _| {
        let kernel = kernel(mdb)?;
        let dump = kernel.dump();
        let header = dump.header();
        let line = |mdb: &mut Mdb, what: &str, value: String| -> Outcome {
            mdb.row(&format!("{what:<24} {value}"), json!({ "what": what, "value": value }))
        };
        line(mdb, "container", dump.container().name().into())?;
        line(mdb, "codec", dump.codec().name().into())?;
        line(mdb, "flags", format!("{:#x}", header.flags))?;
        line(mdb, "pages", header.npages.to_string())?;
        line(mdb, "translations", header.nvtop.to_string())?;
        line(mdb, "address spaces", dump.address_spaces().len().to_string())?;
        line(mdb, "symbols", kernel.all_symbols().count().to_string())?;
        line(mdb, "modules", kernel.modules().len().to_string())?;
        let with_types = kernel.modules().iter().filter(|module| kernel.has_types(module)).count();
        line(mdb, "modules with types", with_types.to_string())?;
        line(mdb, "types", kernel.all_types().len().to_string())?;
        for (what, expected) in kernel.check_layouts() {
            line(mdb, &what, expected)?;
        }
        let all = kernel.shapes().all();
        let missing: Vec<String> =
            all.iter().filter(|field| !field.exists()).map(|field| field.path()).collect();
        line(mdb, "members", format!("{} of {}", all.len() - missing.len(), all.len()))?;
        for path in missing {
            line(mdb, "missing member", path)?;
        }
        for problem in kernel.problems() {
            line(mdb, "problem", problem)?;
        }
        Ok(())
    },
);
