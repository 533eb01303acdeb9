//! Names of Rust's symbols as they were written.

use crate::{
    Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    render::Output,
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["rustfilt"],
    summary: "names of Rust's symbols as they were written",
    synopsis: "symbol ...",
    options: &[],
    rows: &[],
    args: &[Arg::Symbol],
    description: "\
Turns symbols that the Rust compiler made back into the names in the source. What is none stays as it
is.",
    examples: &[Example {
        about: "A function of a crate.",
        line: "rustfilt _RNvCs1234_7mycrate3foo",
        output: "mycrate::foo\n",
    }],
    run,
};

fn run(_: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    parsed.need(0, "a symbol")?;
    // Without the hash, which tells builds apart and says nothing.
    parsed
        .args
        .iter()
        .try_for_each(|word| out.line(format_args!("{:#}", rustc_demangle::demangle(word))))
}
