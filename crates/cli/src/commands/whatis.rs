//! Types: of symbols and expressions, by name, by size, by what they hold.

use std::ops::RangeInclusive;

use necropsy_debuginfo::{Kind, Type, TypeId, Types};
use necropsy_linux::Kernel;
use necropsy_machine::{
    expr::evaluate,
    format::{self, Offsets, Radix},
    scope::Scope,
};
use necropsy_rows::Row;

use crate::rows::types::{FoundTypeRow, WhatisRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::Output,
    session::Session,
};

const OFFSETS: Opt = Opt::flag("-o", "offsets of members");
const SIZES: Opt = Opt::value("-r", "size", "structures and unions of so many bytes");
const HOLDING: Opt = Opt::value("-m", "type", "structures and unions that hold this type");

pub(crate) static COMMAND: Command = Command {
    names: &["whatis"],
    summary: "the type of a symbol or expression, a type's definition, or types by size or member",
    synopsis: "[-o] type | symbol | expression\n[-r size[-size]] [-m type]",
    options: &[OFFSETS, SIZES, HOLDING],
    rows: &[WhatisRow::TYPE, FoundTypeRow::TYPE],
    args: &[Arg::Expression],
    description: "\
For -m, the type is a struct, union or typedef by its name; a member that is a pointer to it, or an
array of it, counts.",
    examples: &[
        Example { about: "A type.", line: "whatis pid_t", output: "" },
        Example { about: "A variable.", line: "whatis init_task", output: "" },
        Example { about: "What may lie in a slab of this size.", line: "whatis -r 24", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    if parsed.has(SIZES) || parsed.has(HOLDING) {
        kernel.load_module_types();
        let sizes = parsed.value(SIZES).map(|text| sizes(session, text)).transpose()?;
        return search(kernel.types(), sizes, parsed.value(HOLDING), out);
    }
    parsed.need(0, "a type, symbol or expression")?;
    let text = parsed.text();
    let types = kernel.types();
    let offsets =
        if parsed.has(OFFSETS) { Offsets::Relative(Radix::Decimal) } else { Offsets::None };
    let mut definition = String::new();
    let ty = match (named_type(kernel, &text), member_of(kernel, &text)) {
        (None, Some((ty, path))) => {
            format::write_member_offsets(
                &mut definition,
                types,
                ty,
                &[path],
                Offsets::Relative(Radix::Decimal),
            )
            .map_err(|_| CommandError::failed("the definition cannot be shown"))?;
            ty
        }
        (Some(ty), _) => {
            format::write_definition(&mut definition, types, ty, offsets)
                .map_err(|_| CommandError::failed("the definition cannot be shown"))?;
            ty
        }
        (None, None) => {
            let symbol = Scope::symbol(kernel, &text);
            let ty = match symbol {
                Some(found) => found.ty.ok_or_else(|| {
                    CommandError::missing(format!(
                        "{text}: its type is not in the dump; it is at {:x}",
                        found.address
                    ))
                })?,
                None => {
                    let value = evaluate(kernel, &text)
                        .map_err(|error| CommandError::failed(error.to_string()))?;
                    value.ty
                }
            };
            let declared = match symbol {
                Some(_) => format::declaration(types, ty, &text),
                None => format::type_name(types, ty),
            };
            let end = if symbol.is_some() { ";" } else { "" };
            definition = format!("{declared}{end}\n");
            ty
        }
    };
    let row = WhatisRow { name: &text, size: types.size_of(ty), definition };
    out.record(&row, |line| line.write_str(&row.definition))
}

/// `struct list_head`, `union x`, `enum y`, or any of them and typedefs without the keyword.
fn named_type(kernel: &Kernel, text: &str) -> Option<TypeId> {
    let (kinds, name): (&[Kind], _) = match text.split_once(char::is_whitespace) {
        Some(("struct", name)) => (&[Kind::Struct], name.trim()),
        Some(("union", name)) => (&[Kind::Union], name.trim()),
        Some(("enum", name)) => (&[Kind::Enum], name.trim()),
        _ => (&[Kind::Struct, Kind::Union, Kind::Typedef, Kind::Enum], text),
    };
    let find = || kinds.iter().find_map(|kind| kernel.types().find(*kind, name));
    find()
        .or_else(|| {
            kernel.load_module_types();
            find()
        })
        .or_else(|| {
            kernel.load_debug_types(name);
            find()
        })
}

/// `task_struct.pid`: the type and the member's path.
fn member_of<'t>(kernel: &Kernel, text: &'t str) -> Option<(TypeId, &'t str)> {
    let (name, path) = text.split_once('.')?;
    let ty = named_type(kernel, name)?;
    kernel.types().member(ty, path).map(|_| (ty, path))
}

fn sizes(session: &Session, text: &str) -> Result<RangeInclusive<u64>, CommandError> {
    match text.split_once('-') {
        Some((low, high)) => Ok(session.number(low)?..=session.number(high)?),
        None => {
            let size = session.number(text)?;
            Ok(size..=size)
        }
    }
}

fn search(
    types: &Types,
    sizes: Option<RangeInclusive<u64>>,
    member: Option<&str>,
    out: &mut Output,
) -> Outcome {
    let mut found: Vec<FoundTypeRow<'_>> = Vec::new();
    for kind in [Kind::Struct, Kind::Union] {
        for (name, ty) in types.names(kind) {
            let Some(composite) = types.as_composite(ty) else { continue };
            if sizes.as_ref().is_some_and(|sizes| !sizes.contains(&composite.size)) {
                continue;
            }
            let holds = |wanted| composite.members.iter().any(|m| mentions(types, m.ty, wanted, 0));
            if member.is_none_or(holds) {
                found.push(FoundTypeRow { size: composite.size, r#type: name });
            }
        }
    }
    if found.is_empty() {
        return Err(CommandError::failed("no such type"));
    }
    found.sort_by_key(|found| (found.size, found.r#type));
    found.dedup_by_key(|found| (found.size, found.r#type));
    let mut columns = FoundTypeRow::columns();
    necropsy_rows::fit(&mut columns, &found);
    out.heading(&columns)?;
    found.iter().try_for_each(|row| out.row(&columns, row))
}

/// Anonymous members are looked into, so deep.
const MAX_NESTING: u32 = 16;

/// Whether a member of type `ty` is of the type called `wanted`, or leads to it.
fn mentions(types: &Types, ty: TypeId, wanted: &str, depth: u32) -> bool {
    if depth > MAX_NESTING {
        return false;
    }
    match types.get(ty) {
        Type::Pointer(target) | Type::Qualified { target, .. } => {
            mentions(types, *target, wanted, depth + 1)
        }
        Type::Array { element, .. } => mentions(types, *element, wanted, depth + 1),
        Type::Typedef { target, name } => {
            types.name(*name) == wanted || mentions(types, *target, wanted, depth + 1)
        }
        Type::Composite(composite) if composite.name.is_none() => {
            composite.members.iter().any(|m| mentions(types, m.ty, wanted, depth + 1))
        }
        Type::Composite(composite) => types.name(composite.name) == wanted,
        _ => types.type_name(ty) == wanted,
    }
}
