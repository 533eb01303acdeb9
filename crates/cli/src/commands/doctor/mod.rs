mod costs;

use std::fmt::Write;

use necropsy_debuginfo::Kind;
use necropsy_linux::{Kernel, shapes::Field};
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Command, Example},
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["doctor"],
    summary: "what of this kernel necropsy understands, and what the rest costs",
    synopsis: "",
    options: &[],
    args: &[],
    description: "\
First the tables that everything comes from: symbols, types, unwind data, of the kernel and of its
modules; with debug information, whether it describes the same structures as the kernel's own BTF.
Then every structure that commands read, with each member's offset and size in bytes and the name
that it has in this kernel. A member marked - is one that some kernels rightly lack; one marked !
should be there. What is missing is listed once more at the end, with the commands that it harms.",
    examples: &[Example { about: "Is this kernel understood?", line: "doctor", output: "" }],
    run,
};

#[derive(Serialize)]
struct Table {
    table: &'static str,
    found: bool,
    detail: String,
    needed_by: &'static str,
}

#[derive(Serialize)]
struct Member {
    /// Its names through time.
    names: &'static [&'static str],
    /// The one that it has here.
    name: Option<&'static str>,
    offset: Option<u64>,
    size: Option<u64>,
    optional: bool,
}

#[derive(Serialize)]
struct Shape {
    shape: &'static str,
    size: Option<u64>,
    members: Vec<Member>,
    needed_by: &'static [&'static str],
}

impl Member {
    fn of(field: &Field) -> Self {
        Member {
            names: field.names,
            name: field.name(),
            offset: field.offset().ok(),
            size: field.size().ok(),
            optional: field.optional,
        }
    }

    fn is_missed(&self) -> bool {
        self.name.is_none() && !self.optional
    }
}

fn run(session: &mut Session, _parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel.clone().ok_or_else(|| {
        CommandError::Missing("no dump is open: start with `necropsy doctor DUMP`".into())
    })?;
    if let Some(problem) = kernel.target().problem() {
        let row = Table {
            table: "kernel",
            found: false,
            detail: problem.to_owned(),
            needed_by: "every command but info, rd -p and those that need no dump",
        };
        return show_table(&row, out);
    }
    let tables = tables(&kernel);
    for table in &tables {
        show_table(table, out)?;
    }
    let mut shapes: Vec<Shape> = Vec::new();
    for (shape, size, fields) in kernel.shapes().all() {
        let members = fields.into_iter().map(Member::of).collect();
        let shape = Shape { shape, size, members, needed_by: costs::needed_by(shape) };
        out.record(&shape, |text| write_shape(text, &shape))?;
        shapes.push(shape);
    }
    summary(&tables, &shapes, out)
}

fn show_table(table: &Table, out: &mut Output) -> Outcome {
    out.record(table, |text| {
        let mark = if table.found { ' ' } else { '!' };
        writeln!(text, "{mark} {:<15} {}", table.table, table.detail)
    })
}

fn write_shape(text: &mut dyn std::fmt::Write, shape: &Shape) -> std::fmt::Result {
    match shape.size {
        Some(size) => writeln!(text, "\n{}  {size} bytes", shape.shape)?,
        None => return writeln!(text, "\n{}  not a type of this kernel", shape.shape),
    }
    for member in &shape.members {
        let names = member.names.join(" | ");
        match (member.name, member.offset, member.size) {
            (Some(name), Some(offset), Some(size)) => {
                writeln!(text, "  {offset:>6} {size:>5}  {name}")?;
            }
            _ if member.optional => writeln!(text, "-               {names}")?,
            _ => writeln!(text, "!               {names}")?,
        }
    }
    Ok(())
}

fn summary(tables: &[Table], shapes: &[Shape], out: &mut Output) -> Outcome {
    let lost = tables.iter().filter(|table| !table.found);
    let lost: Vec<String> =
        lost.map(|table| format!("  {}: {}", table.table, table.needed_by)).collect();
    let mut missed = Vec::new();
    let mut resolved = 0;
    for shape in shapes {
        resolved += shape.members.iter().filter(|member| member.name.is_some()).count();
        for member in shape.members.iter().filter(|member| member.is_missed()) {
            let names = member.names.join(" | ");
            missed.push(format!("  {}.{names}: {}", shape.shape, shape.needed_by.join(" ")));
        }
    }
    let members: usize = shapes.iter().map(|shape| shape.members.len()).sum();
    out.line(format_args!("\n{resolved} of {members} members resolved"))?;
    if lost.is_empty() && missed.is_empty() {
        return out.line("nothing that this kernel should have is missing");
    }
    out.line("missing, and who needs it:")?;
    for line in lost.iter().chain(&missed) {
        out.line(line)?;
    }
    Ok(())
}

/// The tables that everything comes from.
fn tables(kernel: &Kernel) -> Vec<Table> {
    let target = kernel.target();
    let symbols = target.kernel().symbols.len();
    let types = target.btf_base().map_or(0, necropsy_debuginfo::btf::BtfBase::len);
    let unwind = target.kernel().orc(target).map_or(0, |orc| orc.len());
    let (modules, problem) = kernel.modules();
    let images = target.modules();
    let with_symbols = images.iter().filter(|image| !image.symbols.is_empty()).count();
    let with_unwind = images.iter().filter(|image| image.orc(target).is_some()).count();
    let module_types = kernel.load_module_types();
    let why = match (module_types.errors.len(), module_types.errors.first()) {
        (0, _) | (_, None) => String::new(),
        (1, Some(error)) => format!("; {error}"),
        (count, Some(error)) => format!("; {count} failed: {error}"),
    };
    let (globals, typed) = globals(kernel);
    let row = |table, found, detail, needed_by| Table { table, found, detail, needed_by };
    let of = |count: usize| format!("{count} of {} modules", modules.len());
    let mut tables = vec![
        row("symbols", symbols > 0, format!("{symbols} of the kernel"), "every command"),
        row(
            "types",
            types > 0,
            format!("{types} of the kernel, from its BTF"),
            "every command but log, sym, dis, rd",
        ),
        row(
            "unwind table",
            unwind > 0,
            format!("{unwind} ORC entries of the kernel"),
            "bt: without it frames are guessed from the stack's words",
        ),
        row(
            "modules",
            problem.is_none(),
            problem.map_or(format!("{} loaded", modules.len()), ToString::to_string),
            "mod, and bt, sym, dis in modules",
        ),
        row(
            "module symbols",
            with_symbols == modules.len(),
            of(with_symbols),
            "bt, sym, dis in modules",
        ),
        row(
            "module types",
            module_types.errors.is_empty(),
            format!("{}{why}", of(module_types.loaded)),
            "struct, p, list with the modules' own types",
        ),
        row(
            "module unwind",
            with_unwind == modules.len(),
            of(with_unwind),
            "bt through modules: frames are guessed",
        ),
        row(
            "global types",
            typed > 0,
            format!("{typed} of {globals} global variables that are known by name"),
            "p, and names in expressions",
        ),
    ];
    tables.extend(debug_information(kernel));
    tables
}

/// What debug information there is, and whether it speaks of this kernel's types.
fn debug_information(kernel: &Kernel) -> Vec<Table> {
    let target = kernel.target();
    let table = |table, found, detail, needed_by| Table { table, found, detail, needed_by };
    let Some(debug) = target.debug(target.kernel()) else {
        let detail = "none found: no lines, inlined functions and variables".into();
        return vec![table("debug info", true, detail, "bt -l, bt -v, locals, dis -l, dis -s")];
    };
    let path = debug.path.display();
    let mut tables =
        vec![table("debug info", true, format!("{path} ({})", debug.how), "bt -l, bt -v, locals")];
    if target.btf_base().is_some() {
        let comparison = debug.dwarf.compare(kernel.types());
        let mut detail = format!(
            "{} structures as in BTF, {} differ",
            comparison.same,
            comparison.differences.len()
        );
        for difference in comparison.differences.iter().take(MAX_DIFFERENCES) {
            let keyword = if difference.kind == Kind::Union { "union" } else { "struct" };
            let _ = write!(detail, "; {keyword} {}: {}", difference.name, difference.what);
        }
        let right = comparison.differences.is_empty();
        tables.push(table("debug types", right, detail, "variables of these types"));
    }
    tables
}

/// Structures on which debug information and BTF disagree that are named.
const MAX_DIFFERENCES: usize = 10;

/// Globals of the shipped table that this kernel has, and how many of those have a type.
fn globals(kernel: &Kernel) -> (usize, usize) {
    let names = necropsy_debuginfo::globals::names();
    let here = names.filter(|name| kernel.target().address_of(name).is_some());
    here.fold((0, 0), |(all, typed), name| {
        (all + 1, typed + usize::from(kernel.global_type(name).is_some()))
    })
}
