//! Types as C writes them, with or without the offsets of their members.

use std::fmt::{self, Write as _};

use necropsy_debuginfo::{Composite, CompositeKind, Enumerator, Type, TypeId, Types};

use super::Radix;

/// Deepest nesting of anonymous types that is written out.
const MAX_DEPTH: usize = 32;

/// Longest text of a type in bytes: real ones have some ten thousand; damaged ones could be
/// nested without end.
const MAX_TEXT: usize = 1 << 20;

/// What stands in front of each member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offsets {
    /// Nothing.
    None,
    /// The offset in bytes.
    Relative(Radix),
    /// The address, if the structure lies at this one.
    Absolute(u64),
}

/// The name of a type as gdb writes it: `unsigned long` where debug information says
/// `long unsigned int`.
pub fn type_name(types: &Types, ty: TypeId) -> String {
    c_words(types.display(ty))
}

/// A declaration of `name`, in the same way.
pub fn declaration(types: &Types, ty: TypeId, name: &str) -> String {
    c_words(types.declare(ty, name))
}

fn c_words(mut text: String) -> String {
    for qualifier in ["const", "volatile", "restrict"] {
        if text.contains(&format!("*{qualifier}")) {
            text = text.replace(&format!("*{qualifier}"), &format!("* {qualifier}"));
        }
    }
    if !text.contains(" int") {
        return text;
    }
    [
        ("long long unsigned int", "unsigned long long"),
        ("long long int", "long long"),
        ("long unsigned int", "unsigned long"),
        ("long int", "long"),
        ("short unsigned int", "unsigned short"),
        ("short int", "short"),
    ]
    .into_iter()
    .fold(text, |text, (written, usual)| text.replace(written, usual))
}

/// Writes the definition of a type as crash's `struct`, `union` and `whatis` do: members, one a
/// line, and the size in bytes. Anonymous types of members are written out in place.
pub fn write_definition(
    out: &mut dyn fmt::Write,
    types: &Types,
    ty: TypeId,
    offsets: Offsets,
) -> fmt::Result {
    let (mut body_of, mut name) = (ty, None);
    for _ in 0..MAX_DEPTH {
        let Type::Typedef { target, name: own } = types.get(body_of) else { break };
        body_of = *target;
        name = name.or(Some(types.name(*own)));
    }
    if let Some(name) = name {
        write!(out, "typedef ")?;
        match types.get(body_of) {
            Type::Composite(_) | Type::Enum { .. } => {}
            _ => {
                writeln!(out, "{};", declaration(types, body_of, name))?;
                return write_size(out, types, ty, offsets);
            }
        }
    }
    match types.get(body_of) {
        Type::Composite(composite) => {
            let mut writer = Writer {
                types,
                offsets,
                root: body_of,
                digits: composite.size.to_string().len(),
                text: String::new(),
            };
            writer.composite(composite, 0, 1, Some(0));
            match name {
                Some(name) => writeln!(out, "{} {name};", writer.text)?,
                None => writeln!(out, "{}", writer.text)?,
            }
        }
        Type::Enum { values, .. } => {
            writeln!(out, "{} {{", type_name(types, body_of).replace(" {...}", ""))?;
            for value in values {
                writeln!(out, "  {} = {}", types.name(value.name), value.value)?;
            }
            match name {
                Some(name) => writeln!(out, "}} {name};")?,
                None => writeln!(out, "}};")?,
            }
            return Ok(());
        }
        _ => writeln!(out, "{};", type_name(types, body_of))?,
    }
    write_size(out, types, ty, offsets)
}

fn write_size(
    out: &mut dyn fmt::Write,
    types: &Types,
    ty: TypeId,
    offsets: Offsets,
) -> fmt::Result {
    match (types.size_of(ty), offsets) {
        (Some(size), Offsets::Relative(Radix::Hexadecimal)) => writeln!(out, "SIZE: {size:#x}"),
        (Some(size), _) => writeln!(out, "SIZE: {size}"),
        (None, _) => Ok(()),
    }
}

/// Writes `struct task_struct {`, a line `  [2304] struct mm_struct *mm;` for each of `paths`,
/// and `}`. Members that do not exist are returned and not written.
pub fn write_member_offsets<'a>(
    out: &mut dyn fmt::Write,
    types: &Types,
    ty: TypeId,
    paths: &[&'a str],
    offsets: Offsets,
) -> Result<Vec<&'a str>, fmt::Error> {
    let digits = types.size_of(ty).unwrap_or(0).to_string().len();
    let writer = Writer { types, offsets, root: ty, digits, text: String::new() };
    let mut missing = Vec::new();
    writeln!(out, "{} {{", type_name(types, ty))?;
    for &path in paths {
        let Some(found) = types.member(ty, path) else {
            missing.push(path);
            continue;
        };
        let prefix = writer.prefix(Some(found.offset()));
        let mut line = declaration(types, found.ty, path);
        if found.bit_size != 0 {
            let _ = write!(line, " : {}", found.bit_size);
        }
        writeln!(out, "{prefix}{line};")?;
    }
    writeln!(out, "}}")?;
    Ok(missing)
}

struct Writer<'a> {
    types: &'a Types,
    offsets: Offsets,
    /// The outermost type.
    root: TypeId,
    /// Digits of the whole type's size: offsets are aligned to them.
    digits: usize,
    text: String,
}

impl<'a> Writer<'a> {
    /// What stands before a line: an offset, or blanks of the same width.
    fn prefix(&self, offset: Option<u64>) -> String {
        let (width, shown) = match (self.offsets, offset) {
            (Offsets::None, _) => return "    ".into(),
            (Offsets::Relative(Radix::Decimal), offset) => {
                (self.digits + 2, offset.map(|offset| format!("[{offset}]")))
            }
            (Offsets::Relative(Radix::Hexadecimal), offset) => {
                (self.digits + 4, offset.map(|offset| format!("[{offset:#x}]")))
            }
            (Offsets::Absolute(base), offset) => {
                (18, offset.map(|offset| format!("[{:x}]", base.wrapping_add(offset))))
            }
        };
        format!("  {:>width$} ", shown.unwrap_or_default())
    }

    /// Appends a composite from its keyword to its closing brace. Its lines are indented by
    /// `level` steps; `show` counts how many named levels of anonymous types are still written
    /// out, as in gdb; `base` is its own offset in bytes, unless it lies elsewhere (behind a
    /// pointer).
    fn composite(&mut self, composite: &Composite, level: usize, show: i32, base: Option<u64>) {
        self.text.push_str(composite.kind.keyword());
        if !composite.name.is_none() {
            self.text.push(' ');
            self.text.push_str(self.types.name(composite.name));
        }
        self.text.push_str(" {\n");
        let indent = " ".repeat(level * 4);
        if composite.members.is_empty() {
            let prefix = self.prefix(None);
            let _ = writeln!(self.text, "{prefix}{indent}<no data fields>");
        }
        for (index, member) in composite.members.iter().enumerate() {
            if self.text.len() > MAX_TEXT {
                break;
            }
            let name = self.types.name(member.name);
            let offset = base.map(|base| base.wrapping_add(member.bit_offset / 8));
            // As in crash, an offset stands where the name alone leads from the outermost type.
            let shown = offset.filter(|&offset| {
                name.is_empty()
                    || self.types.member(self.root, name).is_some_and(|m| m.offset() == offset)
            });
            let anonymous = self.anonymous_base(member.ty);
            // A member without a name shows its own members as if they were the outer ones'.
            let newshow = if member.name.is_none() { show } else { show - 1 };
            let mut line = declaration(self.types, member.ty, name);
            if member.bit_size != 0 {
                let _ = write!(line, " : {}", member.bit_size);
            }
            // BTF does not tell `[]` from `[0]`; only the end of a structure can be flexible.
            let is_last = index + 1 == composite.members.len();
            if !is_last || composite.kind == CompositeKind::Union {
                line = line.replacen(&format!("{name}[]"), &format!("{name}[0]"), 1);
            }
            match anonymous {
                Some(Type::Composite(inner)) if newshow >= 0 && level < MAX_DEPTH => {
                    // `const struct {...} *name` is written around its body.
                    let hole = format!("{} {{...}}", inner.kind.keyword());
                    let (before, after) = line.split_once(&hole).unwrap_or(("", ""));
                    let prefix = self.prefix(None);
                    self.text.push_str(&prefix);
                    self.text.push_str(&indent);
                    self.text.push_str(before);
                    let within = matches!(
                        self.types.get(member.ty),
                        Type::Composite(_) | Type::Array { .. }
                    );
                    self.composite(inner, level + 1, newshow, offset.filter(|_| within));
                    // The offset of a named one stands where its name is.
                    let closes_here = shown.filter(|_| !name.is_empty());
                    self.close(closes_here, &indent);
                    self.text.push_str(after);
                    self.text.push_str(";\n");
                }
                Some(Type::Enum { values, .. }) if newshow >= 0 => {
                    let body = format!("enum {{{}}}", self.enumerators(values));
                    let line = line.replacen("enum {...}", &body, 1);
                    let prefix = self.prefix(shown);
                    let _ = writeln!(self.text, "{prefix}{indent}{line};");
                }
                _ => {
                    let prefix = self.prefix(shown);
                    let _ = writeln!(self.text, "{prefix}{indent}{line};");
                }
            }
        }
        if level == 0 {
            self.text.push('}');
        }
    }

    /// The line on which a nested composite ends, up to its brace.
    fn close(&mut self, offset: Option<u64>, indent: &str) {
        let prefix = self.prefix(offset);
        let _ = write!(self.text, "{prefix}{indent}}}");
    }

    /// The anonymous struct, union or enum that a declaration of `ty` has to spell out.
    fn anonymous_base(&self, mut ty: TypeId) -> Option<&'a Type> {
        for _ in 0..MAX_DEPTH {
            ty = match self.types.get(ty) {
                Type::Pointer(target) => *target,
                Type::Array { element, .. } => *element,
                Type::Qualified { target, .. } => *target,
                Type::Function { result, .. } => *result,
                found @ (Type::Composite(Composite { name, .. }) | Type::Enum { name, .. }) => {
                    return name.is_none().then_some(found);
                }
                _ => return None,
            };
        }
        None
    }

    fn enumerators(&self, values: &[Enumerator]) -> String {
        let mut out = String::new();
        let mut expected = 0;
        for value in values {
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(self.types.name(value.name));
            if value.value != expected {
                let _ = write!(out, " = {}", value.value);
            }
            expected = value.value.wrapping_add(1);
        }
        out
    }
}
