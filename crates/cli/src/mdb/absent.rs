//! A program that was built without the mdb language says so.

use std::ffi::OsString;

use crate::{Status, args::SessionArgs, opening::Request};

fn refuse() -> Status {
    complain!(
        "necropsy: this is the program for capture kernels, built without the mdb language and illumos: \
         take the whole one (docs/capture-kernel.md)"
    );
    Status::Usage
}

/// Would run as mdb does.
pub fn run_mdb(_: impl Iterator<Item = OsString>) -> Status {
    refuse()
}

/// Would open an illumos dump.
pub fn run_session(_: &Request, _: &SessionArgs) -> Status {
    refuse()
}

/// Would run one of the program's commands on an illumos dump.
pub fn run_command(_: &Request, _: &str, _: bool) -> Status {
    refuse()
}

/// Would speak the language on a Linux dump.
pub fn run_on_linux(_: &Request, _: &SessionArgs) -> Status {
    refuse()
}
