//! Builds dumps, BTF and ELF for tests.
#![forbid(unsafe_code)]
