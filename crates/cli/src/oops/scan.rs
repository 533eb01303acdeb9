//! A text of any length through the decoder, in bounded memory.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use necropsy_oops::{Options, Scanner};

use super::Printer;
use crate::CommandError;

/// Bytes read at once.
pub(super) const CHUNK: usize = 1 << 20;

/// Reports held back, so that they can tell of a panic that comes after them.
const HELD: usize = 256;

/// Prints the reports of a text. The inner result is that of reading: what came before the error
/// is printed.
///
/// # Errors
/// Those of printing.
pub(super) fn scan(
    text: &mut dyn Read,
    options: Options,
    printer: &mut Printer<'_>,
) -> Result<io::Result<()>, CommandError> {
    let mut scanner = Scanner::new(options);
    let mut held = VecDeque::new();
    let mut buffer = vec![0; CHUNK];
    let read = loop {
        match text.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => held.extend(scanner.push(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
        while held.len() > HELD
            && let Some(mut report) = held.pop_front()
        {
            scanner.update(&mut report);
            printer.report(report)?;
        }
    };
    held.extend(scanner.finish());
    for mut report in held {
        scanner.update(&mut report);
        printer.report(report)?;
    }
    Ok(read)
}
