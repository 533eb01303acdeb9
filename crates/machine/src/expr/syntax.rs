//! The tree of an expression.

use necropsy_debuginfo::TypeId;

use super::lexer::Literal;

/// A node and its place in the text.
#[derive(Debug)]
pub(super) struct Node {
    /// Bytes from the start of the text.
    pub(super) position: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Number(Literal),
    Char(u8),
    Str(Vec<u8>),
    /// A symbol, local variable or enum constant.
    Name(String),
    /// A per-CPU variable of a CPU.
    PerCpu(String, u32),
    /// `$rip`.
    Register(String),
    /// `$`, `$3`.
    History(Option<u32>),
    Unary(Unary, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Conditional(Box<Node>, Box<Node>, Box<Node>),
    /// `a, b`
    Comma(Box<Node>, Box<Node>),
    /// `object@count`
    Repeat(Box<Node>, Box<Node>),
    Index(Box<Node>, Box<Node>),
    Member(Box<Node>, String),
    Cast(TypeId, Box<Node>),
    /// `{type}address`
    At(TypeId, Box<Node>),
    SizeOfType(TypeId),
    SizeOf(Box<Node>),
    OffsetOf(TypeId, String),
    ContainerOf(Box<Node>, TypeId, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Plus,
    Minus,
    Not,
    Complement,
    Deref,
    AddressOf,
}
