//! The prompt: a line editor on a terminal, plain lines otherwise.

#[cfg(feature = "desk")]
mod completer;
#[cfg(feature = "desk")]
mod editor;
mod recall;

use std::io::{self, BufRead, IsTerminal};

use crate::{
    CommandError,
    language::{report, run_line},
    session::Session,
};
use recall::recall;

#[cfg(feature = "desk")]
pub(crate) use editor::line_editor;

/// Runs lines until the user quits or the input ends.
pub fn run(session: &mut Session) {
    let result = if io::stdin().is_terminal() && io::stdout().is_terminal() {
        session.interactive = true;
        #[cfg(feature = "desk")]
        let read = editor::edit_lines(session);
        // Without an editor, lines as the terminal has them.
        #[cfg(not(feature = "desk"))]
        let read = read_lines(session);
        read
    } else {
        read_lines(session)
    };
    if let Err(error) = result {
        report(session, "", &CommandError::Io(error), None);
    }
}

/// Input that is no terminal: no prompt, no echo, no pager.
fn read_lines(session: &mut Session) -> io::Result<()> {
    let mut line = Vec::new();
    while !session.quit {
        line.clear();
        // The lock is not kept: a command may read the rest of the input itself (`!cat`).
        if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
            break;
        }
        run_recalled(session, String::from_utf8_lossy(&line).trim());
    }
    Ok(())
}

/// Runs what was typed, or the earlier line that it recalls.
fn run_recalled(session: &mut Session, line: &str) {
    match recall(&session.history, line) {
        Ok(None) => {
            remember(session, line);
            run_line(session, line);
        }
        Ok(Some(earlier)) => {
            if session.interactive {
                say!("{earlier}");
            }
            remember(session, &earlier);
            run_line(session, &earlier);
        }
        Err(error) => report(session, "r", &error, None),
    }
}

fn remember(session: &mut Session, line: &str) {
    if !line.is_empty() {
        session.history.push(line.to_owned());
    }
}
