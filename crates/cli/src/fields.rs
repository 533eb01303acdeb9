//! `struct.member` among a command's words: as an offset, and as what to show of structures.

use necropsy_debuginfo::{Type, TypeId};
use necropsy_linux::Kernel;
use necropsy_machine::{
    expr::evaluate,
    format::{Radix, Style, write_instance, write_members},
    value::Value,
};

use crate::rows::types::Part;
use crate::values::{DECIMAL, HEXADECIMAL};
use crate::{CommandError, names::Names, near, parsed::Parsed, session::Session, settings};

/// A struct, union or typedef by tag; the modules' types are loaded where vmlinux has none.
pub(crate) fn composite(kernel: &Kernel, tag: &str) -> Result<TypeId, CommandError> {
    let found = kernel.types().composite(tag).or_else(|| {
        kernel.load_module_types();
        kernel.types().composite(tag)
    });
    let found = found.or_else(|| {
        kernel.load_debug_types(tag);
        kernel.types().composite(tag)
    });
    found.ok_or_else(|| CommandError::missing(no_type(kernel, tag)))
}

/// The address that an expression of C with a variable in it names, where it is typed bare:
/// `&init_task.tasks`, `init_task.tasks`, `init_task.real_parent->children`.
pub(crate) fn place(kernel: &Kernel, word: &str) -> Option<u64> {
    let name = word.strip_prefix('&').unwrap_or(word);
    let base = name.split(['.', '-', '[']).next().unwrap_or(name);
    let is_expression = word.starts_with('&') || name.len() > base.len();
    if !is_expression || kernel.target().symbol(base).is_none() {
        return None;
    }
    let value = evaluate(kernel, word).ok()?;
    match kernel.types().resolve(value.ty) {
        Type::Pointer(_) => value.to_u64(kernel).ok(),
        _ => value.address(),
    }
}

/// That there is no such type, and which it may have been; a variable of that name says how it is used.
pub(crate) fn no_type(kernel: &Kernel, tag: &str) -> String {
    if kernel.target().symbol(tag).is_some() {
        return format!("{tag}: a variable, not a structure: its address is &{tag}");
    }
    let names = Names::types(kernel, "", usize::MAX);
    format!(
        "{tag}: no such structure or union{}",
        near::hint(tag, names.iter().map(String::as_str))
    )
}

/// That a type has no such member, and which it may have been.
pub(crate) fn no_member(kernel: &Kernel, tag: &str, path: &str) -> String {
    let (holder, name) = path
        .rsplit_once('.')
        .map_or((tag.to_owned(), path), |(path, name)| (format!("{tag}.{path}"), name));
    let names = Names::members(kernel, &holder, "", usize::MAX);
    // Members that code should not touch bare have been given underscores (`__state`).
    let marked = format!("__{name}");
    let hint = match names.contains(&marked) {
        true => format!(" (did you mean {marked}?)"),
        false => near::hint(name, names.iter().map(String::as_str)),
    };
    format!("{tag}.{path}: no such member{hint}")
}

/// A number of bytes, or the offset of a member: `task_struct.tasks`, `24`, `0x18`.
pub(crate) fn offset(session: &Session, kernel: &Kernel, text: &str) -> Result<u64, CommandError> {
    match text.split_once('.') {
        None => session.number(text),
        Some((tag, path)) => {
            let ty = composite(kernel, tag)?;
            let member = kernel.types().member(ty, path);
            let missing = || CommandError::missing(no_member(kernel, tag, path));
            Ok(member.ok_or_else(missing)?.offset())
        }
    }
}

/// How `-x`, `-d` and the session's settings want values.
pub(crate) fn style(session: &Session, parsed: &Parsed) -> Result<Style, CommandError> {
    let hexadecimal = match parsed.one_of(&[HEXADECIMAL, DECIMAL])? {
        None => session.settings.radix == settings::Radix::Hexadecimal,
        flag => flag == Some(HEXADECIMAL),
    };
    let radix = if hexadecimal { Radix::Hexadecimal } else { Radix::Decimal };
    let print_max = u32::try_from(session.settings.print_max).unwrap_or(u32::MAX);
    Ok(Style { radix, print_max, ..Style::default() })
}

/// What is shown of each structure: all of it, or some members (`-s struct.member,member`).
#[derive(Debug)]
pub(crate) struct Shown {
    parts: Vec<(TypeId, Vec<String>)>,
    style: Style,
}

impl Shown {
    /// From the values of `-s` and `-S`.
    ///
    /// # Errors
    /// A type or member that does not exist.
    pub(crate) fn new<'a>(
        kernel: &Kernel,
        specs: impl Iterator<Item = &'a str>,
        style: Style,
    ) -> Result<Shown, CommandError> {
        let mut parts = Vec::new();
        for spec in specs {
            let (tag, members) = match spec.split_once('.') {
                None => (spec, Vec::new()),
                Some((tag, members)) => (tag, members.split(',').map(str::to_owned).collect()),
            };
            let ty = composite(kernel, tag)?;
            for member in &members {
                if kernel.types().member(ty, member).is_none() {
                    return Err(CommandError::missing(no_member(kernel, tag, member)));
                }
            }
            parts.push((ty, members));
        }
        Ok(Shown { parts, style })
    }

    /// The parts of the structure at `address`.
    pub(crate) fn parts(&self, kernel: &Kernel, address: u64) -> Vec<Part> {
        let part = |(ty, members): &(TypeId, Vec<String>)| {
            let value = Value::at(*ty, address);
            let mut text = String::new();
            // Writing into a string does not fail; faults stand in the text.
            let _ = if members.is_empty() {
                write_instance(&mut text, kernel, &value, &self.style)
            } else {
                let paths: Vec<&str> = members.iter().map(String::as_str).collect();
                write_members(&mut text, kernel, &value, &paths, &self.style)
            };
            Part { tag: kernel.types().type_name(*ty).to_owned(), text }
        };
        self.parts.iter().map(part).collect()
    }
}

/// Writes parts below each other.
pub(crate) fn write_parts(line: &mut dyn std::fmt::Write, parts: &[Part]) -> std::fmt::Result {
    parts.iter().try_for_each(|part| line.write_str(&part.text))
}
