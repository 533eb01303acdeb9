//! Disassembly in the form GNU objdump prints.
#![forbid(unsafe_code)]
