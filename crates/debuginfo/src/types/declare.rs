//! Types as C writes them.

use std::{cell::Cell, fmt::Write as _};

use super::{CompositeKind, MAX_DEPTH, Name, Qualifier, Type, TypeId, Types};

/// Most types that one declaration is made of: in damaged types every parameter of a function can
/// be a function again.
const MAX_PARTS: u32 = 1000;

impl Types {
    /// The type as C writes it without a declarator: `struct list_head *`.
    pub fn display(&self, id: TypeId) -> String {
        self.declare(id, "")
    }

    /// A declaration of `name` with this type, as C writes it: `int (*cmp)(const void *, …)`.
    pub fn declare(&self, id: TypeId, name: &str) -> String {
        let mut out = self.declare_at(id, name.to_owned(), 0, &Cell::new(MAX_PARTS));
        let trimmed = out.trim_end().len();
        out.truncate(trimmed);
        out
    }

    fn declare_at(&self, id: TypeId, inner: String, depth: u32, parts: &Cell<u32>) -> String {
        parts.set(parts.get().saturating_sub(1));
        if depth > MAX_DEPTH || parts.get() == 0 {
            return format!("... {inner}");
        }
        let join = |specifier: &str, inner: String| {
            if inner.is_empty() { specifier.to_owned() } else { format!("{specifier} {inner}") }
        };
        let tagged = |keyword: &str, name: Name| {
            if name.is_none() {
                format!("{keyword} {{...}}")
            } else {
                format!("{keyword} {}", self.name(name))
            }
        };
        match self.get(id) {
            Type::Void => join("void", inner),
            Type::Lost => join("<lost type>", inner),
            Type::Int { name, .. } | Type::Float { name, .. } | Type::Typedef { name, .. } => {
                join(self.name(*name), inner)
            }
            Type::Composite(c) => join(&tagged(c.kind.keyword(), c.name), inner),
            Type::Enum { name, .. } => join(&tagged("enum", *name), inner),
            Type::Forward { name, kind } => {
                join(&tagged(kind.map_or("enum", CompositeKind::keyword), *name), inner)
            }
            Type::Pointer(target) => {
                let wrap =
                    matches!(self.skip_tags(*target), Type::Array { .. } | Type::Function { .. });
                let inner = if wrap { format!("(*{inner})") } else { format!("*{inner}") };
                self.declare_at(*target, inner, depth + 1, parts)
            }
            Type::Array { element, count } => {
                let inner =
                    if *count == 0 { format!("{inner}[]") } else { format!("{inner}[{count}]") };
                self.declare_at(*element, inner, depth + 1, parts)
            }
            Type::Qualified { qualifier, target } => {
                let word = match qualifier {
                    Qualifier::Const => "const",
                    Qualifier::Volatile => "volatile",
                    Qualifier::Restrict => "restrict",
                    Qualifier::Tag => return self.declare_at(*target, inner, depth + 1, parts),
                };
                if matches!(self.skip_tags(*target), Type::Pointer(_)) {
                    self.declare_at(*target, join(word, inner), depth + 1, parts)
                } else {
                    format!("{word} {}", self.declare_at(*target, inner, depth + 1, parts))
                }
            }
            Type::Function { result, params, variadic } => {
                let mut list = String::new();
                for param in params {
                    if parts.get() == 0 {
                        break;
                    }
                    if !list.is_empty() {
                        list.push_str(", ");
                    }
                    list.push_str(
                        self.declare_at(param.ty, String::new(), depth + 1, parts).trim_end(),
                    );
                }
                if *variadic {
                    list.push_str(if list.is_empty() { "..." } else { ", ..." });
                }
                if list.is_empty() {
                    list.push_str("void");
                }
                let mut out = inner;
                let _ = write!(out, "({list})");
                self.declare_at(*result, out, depth + 1, parts)
            }
        }
    }

    fn skip_tags(&self, mut id: TypeId) -> &Type {
        for _ in 0..MAX_DEPTH {
            match self.get(id) {
                Type::Qualified { qualifier: Qualifier::Tag, target } => id = *target,
                ty => return ty,
            }
        }
        &Type::Lost
    }
}
