//! Loaded modules.

use necropsy_linux::module::{Module, taint_letters};
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["mod", "lsmod"],
    summary: "loaded modules",
    synopsis: "[-t]\n-s module [object]\n-S [directory]\n-d module\n-D",
    options: &[
        Opt { flag: "-t", value: None, help: "modules that taint the kernel, and how" },
        Opt {
            flag: "-s",
            value: Some("module"),
            help: "types and symbols come from the dump: not needed",
        },
        Opt { flag: "-S", value: None, help: "as -s, of all modules" },
        Opt { flag: "-d", value: Some("module"), help: "there is nothing to unload" },
        Opt { flag: "-D", value: None, help: "there is nothing to unload" },
    ],
    args: &[Arg::Text("object")],
    description: "\
Symbols, types (from 5.11 on) and unwind tables of modules are in the dump and need no file.

The column OBJECT FILE is crash's: (not loaded) says that no debug information of the module was
read, and [CONFIG_KALLSYMS] that its symbols are the kernel's own.",
    examples: &[
        Example { about: "All modules.", line: "mod", output: "" },
        Example { about: "Which are not the kernel's own.", line: "mod -t", output: "" },
    ],
    run,
};

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    module: Hex,
    base: Hex,
    size: u64,
    taints: String,
    build_id: Option<&'a str>,
    debuginfo: Option<&'a str>,
}

/// Columns as wide as their widest cell.
struct Widths {
    name: usize,
    size: usize,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let loads = parsed.one_of(&["-s", "-S", "-d", "-D", "-t"])?;
    if let Some(flag @ ("-s" | "-S")) = loads {
        // Files of commands do this as a matter of course; what it is for is there already.
        return out.line(format_args!(
            "mod {flag}: symbols and types of modules come from the dump; line numbers and locals \
             would need --symbols, which does not read modules yet"
        ));
    }
    if let Some("-d" | "-D") = loads {
        return Ok(());
    }
    let (modules, problem) = kernel.modules();
    let mut modules: Vec<&Module> = modules.iter().collect();
    modules.sort_by_key(|m| m.base);
    let tainted = loads == Some("-t");
    if tainted {
        modules.retain(|m| m.taints != 0);
    }
    let widths = Widths {
        name: modules.iter().map(|m| m.name.len()).max().unwrap_or(0).max(4),
        size: modules.iter().map(|m| m.size.to_string().len()).max().unwrap_or(0).max(4),
    };
    let (name, size) = (widths.name, widths.size);
    if tainted {
        if modules.is_empty() {
            return out.line("no tainted modules");
        }
        out.title(&format!("{:<name$}  TAINTS", "NAME"))?;
    } else {
        // Code and data have bases of their own since 6.4.
        let base = if kernel.shapes().module.mem.exists() { "TEXT_BASE" } else { "BASE" };
        out.title(&format!(
            "{:^16}  {:<name$}  {:^16}  {:>size$}  OBJECT FILE",
            "MODULE", "NAME", base, "SIZE"
        ))?;
    }
    for module in modules {
        show(module, tainted, &widths, out)?;
    }
    match problem {
        None => Ok(()),
        Some(problem) => {
            Err(CommandError::failed(format!("the list of modules ends early: {problem}")))
        }
    }
}

fn show(module: &Module, tainted: bool, widths: &Widths, out: &mut Output) -> Outcome {
    let row = Row {
        name: &module.name,
        module: Hex(module.address),
        base: Hex(module.base),
        size: module.size,
        taints: taint_letters(module.taints),
        build_id: module.build_id.as_deref(),
        debuginfo: None,
    };
    let (name, size) = (widths.name, widths.size);
    out.record(&row, |line| {
        if tainted {
            return writeln!(line, "{:<name$}  {}", row.name, row.taints);
        }
        writeln!(
            line,
            "{:016}  {:<name$}  {:016}  {:>size$}  (not loaded)  [CONFIG_KALLSYMS]",
            row.module, row.name, row.base, row.size
        )
    })
}
