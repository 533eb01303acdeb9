//! Lines that go to the shell.

use std::process::Command;

use crate::{CommandError, error::Outcome};

/// First words which crash hands to the shell without a `!`.
pub(crate) const SHELL_WORDS: &[&str] =
    &["vi", "pwd", "grep", "cat", "more", "less", "echo", "ls", "clear"];

/// Runs `text` by `/bin/sh`; an empty one opens the user's own shell.
pub(crate) fn run_shell(text: &str) -> Outcome {
    let mut command = if text.is_empty() {
        Command::new(std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into()))
    } else {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(text);
        shell
    };
    let status = command.status()?;
    // An interactive shell ends with the status of its last command, which is nobody's failure.
    if status.success() || text.is_empty() {
        Ok(())
    } else {
        Err(CommandError::failed(format!("{text}: {status}")))
    }
}
