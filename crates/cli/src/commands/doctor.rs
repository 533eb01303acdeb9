use std::fmt::Write;

use necropsy_debuginfo::Kind;
use necropsy_linux::{
    Kernel,
    shape::{Described, Found, Part, ShapeKind},
};

use necropsy_machine::Target;

use crate::rows::machine::{MemberRow, ShapeRow, TableRow};
use crate::{
    CommandError, Outcome,
    command::{Command, Example},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["doctor"],
    summary: "what of this kernel necropsy understands, and what the rest costs",
    synopsis: "",
    options: &[],
    rows: &[TableRow::TYPE, ShapeRow::TYPE],
    args: &[],
    description: "\
First the tables that everything comes from: symbols, types, unwind data, of the kernel and of its
modules; with debug information, whether it describes the same structures as the kernel's own BTF.
Then every structure that commands read, with each member's offset and size in bytes and the name
that it has in this kernel; constants with their values, and variables with their addresses. A word
in front of a name says which of several ways of keeping the same thing this kernel has chosen:
array, embedded, pointer. A member marked - is one that some kernels rightly lack; one marked !
should be there. What is missing is listed once more at the end, with the commands that it harms.",
    examples: &[Example { about: "Is this kernel understood?", line: "doctor", output: "" }],
    run,
};

impl MemberRow {
    fn of(part: &Part) -> Self {
        let names = part.alternatives.iter().map(ToString::to_string).collect();
        let mut member = MemberRow {
            names,
            name: part.found.map(|(alternative, _)| alternative.to_string()),
            offset: None,
            size: None,
            value: None,
            address: None,
            optional: part.optional,
        };
        match part.found {
            Some((_, Found::Member { offset, size })) => {
                (member.offset, member.size) = (Some(offset), Some(size));
            }
            Some((_, Found::Value(value))) => member.value = Some(value),
            Some((_, Found::Address(address))) => member.address = Some(Hex(address)),
            None => {}
        }
        member
    }

    fn is_missed(&self) -> bool {
        self.name.is_none() && !self.optional
    }
}

impl ShapeRow {
    fn of(described: &Described) -> Self {
        let (kind, size) = match described.kind {
            ShapeKind::Structure(size) => ("structure", size),
            ShapeKind::Constants => ("constants", None),
            ShapeKind::Variables => ("variables", None),
        };
        ShapeRow {
            shape: described.name,
            kind,
            size,
            members: described.parts.iter().map(MemberRow::of).collect(),
            needed_by: described.needed_by,
        }
    }
}

fn run(session: &mut Session, _parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel.clone().ok_or_else(|| {
        CommandError::Missing("no dump is open: start with `necropsy doctor DUMP`".into())
    })?;
    if let Some(problem) = kernel.target().problem() {
        let row = TableRow {
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
    let mut shapes: Vec<ShapeRow> = Vec::new();
    for described in kernel.shapes().all() {
        let shape = ShapeRow::of(&described);
        out.record(&shape, |text| write_shape(text, &shape))?;
        shapes.push(shape);
    }
    summary(&tables, &shapes, out)
}

fn show_table(table: &TableRow, out: &mut Output) -> Outcome {
    out.record(table, |text| {
        let mark = if table.found { ' ' } else { '!' };
        writeln!(text, "{mark} {:<15} {}", table.table, table.detail)
    })
}

fn write_shape(text: &mut dyn std::fmt::Write, shape: &ShapeRow) -> std::fmt::Result {
    match (shape.kind, shape.size) {
        ("structure", Some(size)) => writeln!(text, "\n{}  {size} bytes", shape.shape)?,
        ("structure", None) if shape.members.iter().all(|member| member.name.is_none()) => {
            return writeln!(text, "\n{}  not a type of this kernel", shape.shape);
        }
        _ => writeln!(text, "\n{}", shape.shape)?,
    }
    for member in &shape.members {
        let Some(name) = &member.name else {
            let mark = if member.optional { '-' } else { '!' };
            writeln!(text, "{mark}               {}", member.names.join(" | "))?;
            continue;
        };
        match (member.offset.zip(member.size), member.value, member.address) {
            (Some((offset, size)), ..) => writeln!(text, "  {offset:>6} {size:>5}  {name}")?,
            (_, Some(value), _) => writeln!(text, "  {value:>12}  {name}")?,
            (_, _, Some(address)) => writeln!(text, "  {address}  {name}")?,
            _ => writeln!(text, "                {name}")?,
        }
    }
    Ok(())
}

fn summary(tables: &[TableRow], shapes: &[ShapeRow], out: &mut Output) -> Outcome {
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
fn tables(kernel: &Kernel) -> Vec<TableRow> {
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
    let by_pointers = target.frame_pointers() || !target.architecture().has_unwind_tables();
    let (globals, typed) = globals(kernel);
    let row = |table, found, detail, needed_by| TableRow { table, found, detail, needed_by };
    let of = |count: usize| format!("{count} of {} modules", modules.len());
    let mut tables = vec![
        row("symbols", symbols > 0, format!("{symbols} of the kernel"), "every command"),
        row(
            "types",
            types > 0,
            format!("{types} of the kernel, from its BTF"),
            "every command but log, sym, dis, rd",
        ),
        unwinder(target, unwind),
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
            with_unwind == modules.len() || by_pointers,
            match by_pointers {
                true => "by frame pointers".to_owned(),
                false => of(with_unwind),
            },
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

/// What the kernel was built with to unwind stacks: a kernel that never had a table lacks none.
fn unwinder(target: &Target, entries: usize) -> TableRow {
    let has_table = target.kernel().orc_tables.is_some();
    let (found, detail) = if has_table || entries > 0 {
        (entries > 0, format!("{entries} ORC entries of the kernel"))
    } else if !target.architecture().has_unwind_tables() {
        (true, "no kernel of this machine has one: frames are chained on the stack".to_owned())
    } else if target.frame_pointers() {
        (true, "the kernel was built with frame pointers in place of ORC".to_owned())
    } else {
        (false, "the kernel was built with neither ORC nor frame pointers".to_owned())
    };
    TableRow {
        table: "unwind table",
        found,
        detail,
        needed_by: "bt: without it frames are guessed from the stack's words",
    }
}

/// What debug information there is, and whether it speaks of this kernel's types.
fn debug_information(kernel: &Kernel) -> Vec<TableRow> {
    let target = kernel.target();
    let table = |table, found, detail, needed_by| TableRow { table, found, detail, needed_by };
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

#[cfg(test)]
mod tests {
    use necropsy_debuginfo::Types;
    use necropsy_linux::{shape::Sources, shapes::Shapes};

    use crate::registry;

    #[test]
    fn every_shape_is_needed_by_commands_that_exist() {
        let types = Types::new(8);
        let nothing = Sources {
            types: &types,
            info: None,
            hidden: None,
            hidden_symbols: None,
            big_endian: false,
            symbols: &|_| None,
        };
        for shape in Shapes::resolve(&nothing).all() {
            assert!(shape.parts.iter().all(|part| part.found.is_none()));
            for command in shape.needed_by {
                assert!(registry::COMMANDS.find(command).is_some(), "{}: {command}", shape.name);
            }
        }
    }
}
