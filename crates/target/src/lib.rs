//! A stopped machine: memory, types, symbols, registers, stacks.
#![forbid(unsafe_code)]
