//! Loaded modules.

use std::path::PathBuf;

use necropsy_linux::{
    Kernel,
    module::{Module, taint_letters},
    shapes::Form,
};
use necropsy_machine::Image;

use crate::rows::code::ModuleRow;
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

const TAINTED: Opt = Opt::flag("-t", "modules that taint the kernel, and how");
const LOAD: Opt = Opt::value(
    "-s",
    "module",
    "read the debug information of this module, from the given file or folder",
);
const LOAD_ALL: Opt = Opt::flag("-S", "as -s, of all modules");
const FORGET: Opt = Opt::value("-d", "module", "forget the debug information of this module");
const FORGET_ALL: Opt = Opt::flag("-D", "as -d, of all modules");
const ACCEPTED: [Opt; 4] = [
    Opt::flag("-r", "accepted: symbols are always read anew"),
    Opt::flag("-R", "accepted: the dump does not change"),
    Opt::flag("-o", "accepted: there is no old method"),
    Opt::flag("-g", "accepted: sections are known without"),
];

pub(crate) static COMMAND: Command = Command {
    names: &["mod", "lsmod"],
    summary: "loaded modules",
    synopsis: "[-t]\n-s module [object]\n-S [directory]\n-d module\n-D",
    options: &[
        TAINTED,
        LOAD,
        LOAD_ALL,
        FORGET,
        FORGET_ALL,
        ACCEPTED[0],
        ACCEPTED[1],
        ACCEPTED[2],
        ACCEPTED[3],
    ],
    rows: &[ModuleRow::TYPE],
    args: &[Arg::File],
    description: "\
Symbols, types (from 5.11 on) and unwind tables of modules are in the dump and need no file. Lines,
inlined functions and variables need debug information, which is looked for when it is first asked
for: among the files given with --symbols, by build ID below /usr/lib/debug, beside the dump, and at
debuginfod servers. With -s and -S it is read from the file or folder given, as .ko, .ko.debug, or
one of them packed (.xz, .zst, .gz). A file of another build ID is refused. Sections are placed as
the module's own table in the dump says.

The column OBJECT FILE is crash's: the file with the module's debug information, or (not loaded);
[CONFIG_KALLSYMS] says that the module's symbols are the kernel's own.",
    examples: &[
        Example { about: "All modules.", line: "mod", output: "" },
        Example { about: "Which are not the kernel's own.", line: "mod -t", output: "" },
    ],
    run,
};

/// Columns as wide as their widest cell.
struct Widths {
    name: usize,
    size: usize,
}

impl Widths {
    fn of(modules: &[&Module]) -> Self {
        Widths {
            name: modules.iter().map(|m| m.name.len()).max().unwrap_or(0).max(4),
            size: modules.iter().map(|m| m.size.to_string().len()).max().unwrap_or(0).max(4),
        }
    }
}

fn heading(kernel: &Kernel, widths: &Widths, out: &mut Output) -> Outcome {
    let (name, size) = (widths.name, widths.size);
    // Code and data have bases of their own since 6.4.
    let base = if kernel.shapes().module.ranges.form() == Some(Form::Array) {
        "TEXT_BASE"
    } else {
        "BASE"
    };
    out.title(&format!(
        "{:^16}  {:<name$}  {:^16}  {:>size$}  OBJECT FILE",
        "MODULE", "NAME", base, "SIZE"
    ))
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let loads = parsed.one_of(&[LOAD, LOAD_ALL, FORGET, FORGET_ALL, TAINTED])?;
    match loads {
        Some(LOAD) => return load(session, &kernel, parsed, parsed.value(LOAD), out),
        Some(LOAD_ALL) => return load(session, &kernel, parsed, None, out),
        Some(FORGET) => return forget(&kernel, parsed.value(FORGET)),
        Some(FORGET_ALL) => return forget(&kernel, None),
        _ => {}
    }
    let (modules, problem) = kernel.modules();
    let mut modules: Vec<&Module> = modules.iter().collect();
    modules.sort_by_key(|m| m.base);
    let tainted = loads == Some(TAINTED);
    if tainted {
        modules.retain(|m| m.taints != 0);
    }
    let widths = Widths::of(&modules);
    if tainted {
        if modules.is_empty() {
            return out.line("no tainted modules");
        }
        out.title(&format!("{:<1$}  TAINTS", "NAME", widths.name))?;
    } else {
        heading(&kernel, &widths, out)?;
    }
    for module in modules {
        show(module, object(&kernel, &module.name), tainted, &widths, out)?;
    }
    match problem {
        None => Ok(()),
        Some(problem) => {
            Err(CommandError::failed(format!("the list of modules ends early: {problem}")))
        }
    }
}

/// The file that a module's debug information is in, where it was read or is at hand.
fn object(kernel: &Kernel, name: &str) -> Option<String> {
    let target = kernel.target();
    let image = target.modules().iter().find(|image| image.name == name)?;
    Some(target.debug(image)?.path.display().to_string())
}

/// Reads the debug information of one module, or of all.
fn load(
    session: &Session,
    kernel: &Kernel,
    parsed: &Parsed,
    name: Option<&str>,
    out: &mut Output,
) -> Outcome {
    let files = session.debug_files.clone();
    let files = files.ok_or_else(|| CommandError::missing("no dump is open".to_owned()))?;
    let place = parsed.arg(0).map(PathBuf::from);
    if let Some(path) = &place
        && let Err(error) = std::fs::metadata(path)
    {
        return Err(CommandError::failed(format!("{}: {error}", path.display())));
    }
    let target = kernel.target();
    let wanted = |image: &&Image| name.is_none_or(|name| image.name == name.replace('-', "_"));
    let images: Vec<&Image> = target.modules().iter().filter(wanted).collect();
    if let (Some(name), true) = (name, images.is_empty()) {
        return Err(CommandError::failed(format!("{name}: no such module")));
    }
    let mut missing = Vec::new();
    for image in &images {
        out.check_interrupt()?;
        match necropsy_loader::load_module(kernel, &files, &image.name, place.as_deref()) {
            Some(debug) => target.set_debug(image, Some(debug)),
            None if target.loaded_debug(image).is_none() => missing.push(image.name.as_str()),
            None => {}
        }
    }
    list(kernel, &images, out)?;
    match missing.as_slice() {
        [] => Ok(()),
        names => Err(CommandError::missing(format!(
            "no debug information found of {}{}",
            names.iter().take(5).copied().collect::<Vec<_>>().join(", "),
            if names.len() > 5 {
                format!(" and {} others", names.len() - 5)
            } else {
                String::new()
            }
        ))),
    }
}

/// crash's answer to -s and -S: the modules that were loaded.
fn list(kernel: &Kernel, images: &[&Image], out: &mut Output) -> Outcome {
    let (modules, _) = kernel.modules();
    let loaded = images.iter().filter(|image| kernel.target().loaded_debug(image).is_some());
    let loaded: Vec<&Module> = loaded
        .filter_map(|image| modules.iter().find(|module| module.name == image.name))
        .collect();
    if loaded.is_empty() {
        return Ok(());
    }
    let widths = Widths::of(&loaded);
    heading(kernel, &widths, out)?;
    for module in loaded {
        show(module, object(kernel, &module.name), false, &widths, out)?;
    }
    Ok(())
}

fn forget(kernel: &Kernel, name: Option<&str>) -> Outcome {
    let target = kernel.target();
    let mut any = false;
    for image in target.modules() {
        if name.is_none_or(|name| image.name == name.replace('-', "_")) {
            target.set_debug(image, None);
            any = true;
        }
    }
    match (any, name) {
        (false, Some(name)) => Err(CommandError::failed(format!("{name}: no such module"))),
        _ => Ok(()),
    }
}

fn show(
    module: &Module,
    object: Option<String>,
    tainted: bool,
    widths: &Widths,
    out: &mut Output,
) -> Outcome {
    let row = ModuleRow {
        name: &module.name,
        module: Hex(module.address),
        base: Hex(module.base),
        size: module.size,
        taints: taint_letters(module.taints),
        build_id: module.build_id.as_deref(),
        debuginfo: object,
    };
    let (name, size) = (widths.name, widths.size);
    out.record(&row, |line| {
        if tainted {
            return writeln!(line, "{:<name$}  {}", row.name, row.taints);
        }
        let object = row.debuginfo.as_deref().unwrap_or("(not loaded)  [CONFIG_KALLSYMS]");
        writeln!(
            line,
            "{:016}  {:<name$}  {:016}  {:>size$}  {object}",
            row.module, row.name, row.base, row.size
        )
    })
}
