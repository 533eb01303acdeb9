//! What `struct NAME ADDRESS` and `struct NAME.member,… ADDRESS` print.

use std::fmt;

use necropsy_debuginfo::{Type, TypeId, Types};

use super::{Rendered, Style, render, type_name};
use crate::{scope::Scope, value::Value};

/// Writes a whole structure or union: `struct list_head {`, a line for each member, `}`.
pub fn write_instance(
    out: &mut dyn fmt::Write,
    scope: &dyn Scope,
    value: &Value,
    style: &Style,
) -> fmt::Result {
    write!(out, "{} ", type_name(scope.types(), value.ty))?;
    render(scope, value, style).write(out, 0)?;
    out.write_char('\n')
}

/// Writes the members that `paths` name (`comm`, `se.load.weight`, `pids[1]`), each as it stands
/// in the whole structure: `  comm = "init\000…",`, with the comma that the last member lacks.
pub fn write_members(
    out: &mut dyn fmt::Write,
    scope: &dyn Scope,
    value: &Value,
    paths: &[&str],
    style: &Style,
) -> fmt::Result {
    for path in paths {
        let rendered = match value.member(scope, path) {
            Ok(member) => render(scope, &member, style),
            Err(error) => Rendered::Fault(error),
        };
        write!(out, "  {path} = ")?;
        rendered.write(out, 1)?;
        out.write_str(if is_last(scope.types(), value.ty, path) { "\n" } else { ",\n" })?;
    }
    Ok(())
}

/// Whether the member at `path` is the last of the structure that directly holds it.
fn is_last(types: &Types, ty: TypeId, path: &str) -> bool {
    let (holder, name) = match path.rsplit_once('.') {
        Some((outer, name)) => match types.member(ty, outer) {
            Some(found) => (found.ty, name),
            None => return false,
        },
        None => (ty, path),
    };
    let name = name.split('[').next().unwrap_or(name);
    last_of(types, holder, name, 0)
}

fn last_of(types: &Types, holder: TypeId, name: &str, depth: u32) -> bool {
    let Type::Composite(composite) = types.resolve(holder) else { return false };
    if depth > 32 {
        return false;
    }
    // A member of an anonymous structure is followed by what follows there.
    let count = composite.members.len();
    composite.members.iter().enumerate().any(|(index, member)| {
        if member.name.is_none() {
            last_of(types, member.ty, name, depth + 1)
        } else {
            index + 1 == count && types.name(member.name) == name
        }
    })
}
