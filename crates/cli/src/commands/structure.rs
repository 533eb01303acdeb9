//! Structures and unions: their definition, or what lies in memory.

use std::fmt;

use necropsy_debuginfo::{Kind, Type, TypeId, Types};
use necropsy_linux::Kernel;
use necropsy_machine::{
    format::{self, Offsets, Radix, Style},
    scope::Scope,
    value::Value,
};

use crate::rows::{
    memory::MemoryRow,
    types::{DefinitionRow, StructRow},
};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    cpus::cpu_list,
    fields,
    memory::Memory,
    numbers,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    values::{self, Json, View},
    words,
};

const OFFSETS: Opt = Opt::flag("-o", "offsets of members; with an address, their addresses");
const EMBEDDED: Opt =
    Opt::value("-l", "offset", "the address is that of a member: at this offset, or struct.member");
const RAW: Opt = Opt::flag("-r", "the bytes, as rd shows them");
const USER: Opt = Opt::flag("-u", "a user address of the current task");
const POINTERS: Opt = Opt::flag("-p", "with members: also what pointers lead to");
const COUNT: Opt = Opt::value("-c", "count", "so many in a row; negative: that end here");
const FILE_OFFSET: Opt = Opt::flag("-f", "refused: offsets of the dump file");

pub(crate) static COMMAND: Command = Command {
    names: &["struct", "union", "*"],
    summary: "definition of a structure or union, or its contents at an address",
    synopsis: "[-o] [-x] type[.member[,member]]\n\
               [-o | -r | -p] [-l offset] [-u] [-x | -d] [-c count] type[.member,...] address [count]\n\
               type[.member,...] symbol:cpus",
    options: &[
        OFFSETS,
        EMBEDDED,
        RAW,
        USER,
        POINTERS,
        values::HEXADECIMAL,
        values::DECIMAL,
        COUNT,
        FILE_OFFSET,
    ],
    rows: &[StructRow::TYPE, DefinitionRow::TYPE, MemoryRow::TYPE],
    args: &[Arg::Type, Arg::Symbol, Arg::Number],
    description: "\
A type's name alone is enough at the prompt: `task_struct.pid,comm ffff888003a68000`. Members may
lie within members and arrays: `task_struct.se.load.weight`, `task_struct.comm[0]`.

A per-CPU variable takes its CPUs behind a colon: `:a` all, `:1,3-5` some, `:` that of the current
task.",
    examples: &[
        Example { about: "A definition.", line: "struct list_head", output: "" },
        Example { about: "Offsets.", line: "struct -o list_head", output: "" },
        Example { about: "Members.", line: "struct task_struct.pid,comm init_task", output: "" },
        Example { about: "On every CPU.", line: "struct rq.nr_running runqueues:a", output: "" },
    ],
    run,
};

/// Most structures of one command.
const MAX_COUNT: u64 = 1 << 24;

/// What to show of each structure.
struct Request<'a> {
    name: &'a str,
    ty: TypeId,
    members: Vec<&'a str>,
    style: Style,
    pointers: bool,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has(FILE_OFFSET) {
        return Err(CommandError::missing(
            "offsets of the dump file are not memory: use rd -p with a physical address",
        ));
    }
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let word = parsed.need(0, "a type")?;
    // `struct struct task_struct`, as it is written in C.
    let keyword = matches!(word, "struct" | "union");
    let first = usize::from(keyword);
    let (name, members) = split_members(parsed.need(first, "a type")?);
    let types = kernel.types();
    let ty = find(kernel, name).ok_or_else(|| {
        CommandError::failed(format!(
            "invalid data structure reference: {}",
            fields::no_type(kernel, name)
        ))
    })?;
    if types.as_composite(ty).is_none() {
        return Err(CommandError::failed(format!(
            "data type mismatch: {name} is not a struct or union"
        )));
    }
    let style = values::style(session, parsed)?;
    // A member that this kernel does not have costs none of the others.
    let (members, wrong): (Vec<&str>, Vec<&str>) =
        members.into_iter().partition(|path| types.member(ty, path).is_some());
    if let (Some(wrong), true) = (wrong.first(), members.is_empty()) {
        return Err(no_member(kernel, types.type_name(ty), wrong));
    }
    let request = Request { name, ty, members, style, pointers: parsed.has(POINTERS) };
    let shown = show(session, kernel, parsed, &request, first + 1, out);
    shown.and(
        wrong.first().map_or(Ok(()), |wrong| Err(no_member(kernel, types.type_name(ty), wrong))),
    )
}

/// In crash's words, which scripts look for.
fn no_member(kernel: &Kernel, tag: &str, path: &str) -> CommandError {
    let what = fields::no_member(kernel, tag, path);
    CommandError::failed(format!("invalid data structure reference: {what}"))
}

/// The type, or what lies at the place that the word at `position` names.
fn show(
    session: &Session,
    kernel: &Kernel,
    parsed: &Parsed,
    request: &Request<'_>,
    position: usize,
    out: &mut Output,
) -> Outcome {
    let (types, ty, style) = (kernel.types(), request.ty, request.style);
    let Some(place) = parsed.arg(position) else {
        let base = if style.radix == Radix::Hexadecimal { style.radix } else { Radix::Decimal };
        let offsets = if parsed.has(OFFSETS) { Offsets::Relative(base) } else { Offsets::None };
        return define(types, request, offsets, out);
    };
    let count = match (parsed.value(COUNT), parsed.arg(position + 1)) {
        (Some(text), _) | (None, Some(text)) => count(session, text)?,
        _ => 1,
    };
    let back = match parsed.value(EMBEDDED) {
        Some(text) => offset(session, kernel, text)?,
        None => 0,
    };
    let (places, with_cpu) = places(session, kernel, place)?;
    let size = types.size_of(ty).unwrap_or(0).max(1);
    let mut first = true;
    for (cpu, address) in places {
        let mut address = address.wrapping_sub(back);
        if count < 0 {
            address = address.wrapping_sub((count.unsigned_abs() - 1).wrapping_mul(size));
        }
        for index in 0..count.unsigned_abs() {
            let at = address.wrapping_add(index.wrapping_mul(size));
            if !std::mem::take(&mut first) && !with_cpu {
                out.line("")?;
            }
            if with_cpu {
                out.line(format_args!("[{}]: {at:x}", cpu.unwrap_or(0)))?;
            }
            if parsed.has(OFFSETS) {
                define(types, request, Offsets::Absolute(at), out)?;
                continue;
            }
            let memory = if parsed.has(USER) {
                Memory::of_user(session, kernel)?
            } else {
                Memory::of_kernel(kernel)
            };
            if parsed.has(RAW) {
                for (offset, size) in raw_parts(types, &request.members, ty, size) {
                    words::dump(kernel, &memory, at.wrapping_add(offset), size, out)?;
                }
            } else {
                let view = View::new(kernel, memory);
                instance(&view, request, cpu, at, size, out)?;
            }
        }
    }
    Ok(())
}

/// The struct, union or typedef of one that is called `name`.
pub(super) fn find(kernel: &Kernel, name: &str) -> Option<TypeId> {
    let types = kernel.types();
    let found = || {
        let kinds = [Kind::Struct, Kind::Union, Kind::Typedef];
        kinds.into_iter().find_map(|kind| types.find(kind, name))
    };
    found().or_else(|| {
        kernel.load_module_types();
        found()
    })
}

/// `task_struct.pid,se.on_rq` as the type and its members.
fn split_members(word: &str) -> (&str, Vec<&str>) {
    match word.split_once('.') {
        None => (word, Vec::new()),
        Some((name, members)) => {
            (name, members.split(',').filter(|member| !member.is_empty()).collect())
        }
    }
}

fn count(session: &Session, text: &str) -> Result<i64, CommandError> {
    let count = match numbers::parse_count(text) {
        Some(count) => count,
        None => session.number(text)?.cast_signed(),
    };
    if count == 0 || count.unsigned_abs() > MAX_COUNT {
        return Err(CommandError::usage(format!("{text}: not a count")));
    }
    Ok(count)
}

/// A number, or `struct.member`.
pub(super) fn offset(session: &Session, kernel: &Kernel, text: &str) -> Result<u64, CommandError> {
    match text.split_once('.') {
        Some((name, path)) => find(kernel, name)
            .and_then(|ty| kernel.types().member(ty, path))
            .map(|member| member.offset())
            .ok_or_else(|| {
                CommandError::failed(format!("invalid data structure reference: {text}"))
            }),
        None => session.number(text),
    }
}

/// Offsets and sizes of what `-r` shows: the members that were named, else all.
fn raw_parts(types: &Types, members: &[&str], ty: TypeId, size: u64) -> Vec<(u64, u64)> {
    if members.is_empty() {
        return vec![(0, size)];
    }
    let part = |path: &&str| {
        let member = types.member(ty, path)?;
        Some((member.offset(), types.size_of(member.ty)?))
    };
    members.iter().filter_map(part).collect()
}

type Places = Vec<(Option<u32>, u64)>;

/// Addresses, and whether they are those of a per-CPU variable.
fn places(session: &Session, kernel: &Kernel, text: &str) -> Result<(Places, bool), CommandError> {
    let Some((symbol, cpus)) = text.split_once(':').filter(|_| !text.starts_with('(')) else {
        return Ok((vec![(None, session.address(text)?)], false));
    };
    let base = session.address(symbol)?;
    let cpus = match cpus {
        "" => vec![session.context(kernel)?.cpu()?],
        cpus => cpu_list(kernel, cpus)?,
    };
    let place = |cpu| Some((Some(cpu), base.wrapping_add(kernel.per_cpu_offset(cpu)?)));
    Ok((cpus.into_iter().filter_map(place).collect(), true))
}

fn define(types: &Types, request: &Request<'_>, offsets: Offsets, out: &mut Output) -> Outcome {
    let mut definition = String::new();
    let written = if request.members.is_empty() {
        format::write_definition(&mut definition, types, request.ty, offsets)
    } else {
        // As in crash, members stand with their offsets, asked for or not.
        let offsets = match offsets {
            Offsets::None => Offsets::Relative(request.style.radix),
            offsets => offsets,
        };
        format::write_member_offsets(&mut definition, types, request.ty, &request.members, offsets)
            .map(drop)
    };
    written.map_err(|_| CommandError::failed("the definition cannot be shown"))?;
    let size = types.size_of(request.ty);
    let row = DefinitionRow { r#type: request.name, size, definition };
    out.record(&row, |line| line.write_str(&row.definition))
}

fn instance(
    view: &View<'_>,
    request: &Request<'_>,
    cpu: Option<u32>,
    address: u64,
    size: u64,
    out: &mut Output,
) -> Outcome {
    values::readable(view, address, size)?;
    let value = Value::at(request.ty, address);
    let json = if !out.is_text() {
        let shown = [(value.clone(), request.members.clone())];
        values::json_members(view, &shown, &request.style)
    } else {
        Json::Null
    };
    let row = StructRow { r#type: request.name, address: Hex(address), cpu, value: json };
    out.record(&row, |line| {
        if request.members.is_empty() {
            return format::write_instance(line, view, &value, &request.style);
        }
        for path in &request.members {
            match pointed_to(view, &value, path).filter(|_| request.pointers) {
                Some((ty, address, target)) => {
                    let name = format::type_name(view.types(), ty);
                    let gap = if name.ends_with('*') { "" } else { " " };
                    writeln!(line, "  {name}{gap}{path} = {address:#x}")?;
                    write_target(line, view, &target, &request.style)?;
                }
                None => format::write_members(line, view, &value, &[path], &request.style)?,
            }
        }
        Ok(())
    })
}

/// The type of a pointer, its value, and the structure that it leads to, if it does.
fn pointed_to(view: &View<'_>, value: &Value, path: &str) -> Option<(TypeId, u64, Value)> {
    let member = value.member(view, path).ok()?;
    let Type::Pointer(target) = *view.types().resolve(member.ty) else { return None };
    view.types().as_composite(target)?;
    let address = member.to_u64(view).ok().filter(|&address| address != 0)?;
    Some((member.ty, address, Value::at(target, address)))
}

/// `  -> {`, and the structure five columns to the right.
fn write_target(
    line: &mut dyn fmt::Write,
    view: &View<'_>,
    target: &Value,
    style: &Style,
) -> fmt::Result {
    let text = format::render(view, target, style).to_string();
    for (index, text) in text.lines().enumerate() {
        writeln!(line, "{}{text}", if index == 0 { "  -> " } else { "     " })?;
    }
    Ok(())
}
