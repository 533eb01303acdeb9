//! The Linux kernel as objects.
#![forbid(unsafe_code)]
