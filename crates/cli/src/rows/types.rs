//! C types and values.

use necropsy_rows::{Any, Hex, row};

row! {
    /// A structure's part, as `list` and `tree` show it with `-s`.
    #[derive(Debug)]
    pub struct Part {
        /// The type's tag.
        pub(crate) tag: String [key "struct"],
        /// As the text form shows it.
        pub(crate) text: String,
    }

    /// A structure in memory.
    #[derive(Debug)]
    pub struct StructRow<'a> {
        /// The type's name.
        pub r#type: &'a str [key "type"],
        /// Where it lies.
        pub address: Hex,
        /// The CPU, of a per-CPU variable.
        pub cpu: Option<u32> [maybe],
        /// Its members by name: numbers, texts, `"0x…"` for pointers, objects and lists. What
        /// could not be read is a fault in its place.
        pub value: Any,
    }

    /// The definition of a type.
    #[derive(Debug)]
    pub struct DefinitionRow<'a> {
        /// The type's name.
        pub r#type: &'a str [key "type"],
        /// Its size.
        pub size: Option<u64> [bytes],
        /// In C.
        pub definition: String,
    }

    /// The value of a C expression.
    #[derive(Debug)]
    pub struct ValueRow<'a> {
        /// The expression.
        pub expression: &'a str,
        /// The value's type.
        pub r#type: String [key "type"],
        /// Where the value lies, if it does in memory.
        pub address: Option<Hex>,
        /// The CPU, of a per-CPU variable.
        pub cpu: Option<u32> [maybe],
        /// The value, as of `struct`.
        pub value: Any,
    }

    /// Where a CPU has a per-CPU variable.
    #[derive(Debug)]
    pub struct PerCpuRow<'a> {
        /// The variable.
        pub expression: &'a str,
        /// Its type.
        pub r#type: Option<String> [key "type"],
        /// The CPU.
        pub cpu: u32,
        /// Where it lies.
        pub address: Hex,
    }

    /// What something is in C.
    #[derive(Debug)]
    pub struct WhatisRow<'a> {
        /// What was asked for.
        pub name: &'a str,
        /// Its size.
        pub size: Option<u64> [bytes],
        /// Its definition or declaration.
        pub definition: String,
    }

    /// A type that was searched for by size or member.
    #[derive(Debug)]
    pub struct FoundTypeRow<'a> {
        /// Its size.
        pub size: u64 [bytes] => "SIZE" right 4,
        /// Its name.
        pub r#type: &'a str [key "type"] => "TYPE" left 0,
    }
}
