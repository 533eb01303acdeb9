//! C expressions over a stopped machine: `((struct task_struct *)0xffff…)->mm->mmap_base`.
//!
//! The language is that of gdb's `print`, as `crash` users type it: C's operators but assignment
//! and calls, C's integer types and conversions (`int` is 32 bits; `-1 > 0u` holds), casts to any
//! type the kernel has, `sizeof`, `offsetof(struct a, b.c)`, `container_of(pointer, struct a,
//! member)`, `{struct a}address`, `*pointer@3` (an array of three), `$register`, `$` and `$3`
//! (values printed before), and per-CPU variables as `symbol:cpu`.
//!
//! Where gdb and C part, this follows gdb: `.` and `->` both work on structures and pointers;
//! the name of a function is its address; a character literal is a `char`. A variable whose type
//! is not known can be cast (`(long)symbol` reads a `long` there) or have its address taken, and
//! nothing else. Unlike gdb, a shift by more than the width of its type is an error, since the 0
//! that gdb answers to `1 << 40` is never what was meant.

mod arith;
mod eval;
mod lexer;
mod parser;
mod syntax;

#[cfg(test)]
mod tests;

use std::fmt;

use necropsy_dump::Fault;

use crate::{
    scope::Scope,
    value::{Value, ValueError},
};

/// Longest expression that is looked at, in bytes.
const MAX_LENGTH: usize = 1 << 16;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// Where in the text, in bytes from its start.
    pub position: usize,
    /// Why.
    pub reason: ValueError,
}

impl ExprError {
    fn new(position: usize, message: impl Into<String>) -> Self {
        ExprError { position, reason: ValueError::Type(message.into()) }
    }

    /// The fault, if it was memory that could not be read.
    pub fn fault(&self) -> Option<Fault> {
        match self.reason {
            ValueError::Fault(fault) => Some(fault),
            ValueError::Type(_) => None,
        }
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for ExprError {}

/// Evaluates `text`. Memory is read only where an operator needs the bytes: the value of
/// `*pointer` or of a symbol is a place, still unread. Errors are syntax, unknown names, types
/// that do not fit, and faults of memory that had to be read.
pub fn evaluate(scope: &dyn Scope, text: &str) -> Result<Value, ExprError> {
    if text.len() > MAX_LENGTH {
        return Err(ExprError::new(MAX_LENGTH, "the expression is too long"));
    }
    let tree = parser::parse(scope, text)?;
    eval::evaluate(scope, &tree)
}
