//! The necropsy command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    necropsy::run(std::env::args_os()).into()
}
