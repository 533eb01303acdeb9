//! Where bytes go: the terminal, a pager, a file, a shell pipeline.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, IsTerminal, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
};

/// A shared buffer that tests read output from.
#[derive(Debug, Clone, Default)]
pub struct Capture {
    output: Arc<Mutex<Vec<u8>>>,
    notes: Arc<Mutex<String>>,
}

impl Capture {
    /// What was written so far, and forgets it.
    pub fn take(&self) -> String {
        let mut bytes = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&std::mem::take(&mut *bytes)).into_owned()
    }

    /// What was told beside the output (on standard error, when there is a person), and forgets it.
    pub fn take_notes(&self) -> String {
        let mut notes = self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut *notes)
    }
}

impl Write for Capture {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut bytes = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        bytes.extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reader of a command's output.
#[derive(Debug)]
pub struct Sink(Inner);

#[derive(Debug)]
enum Inner {
    Stdout(BufWriter<io::Stdout>),
    File(BufWriter<File>),
    Pipe(Pipe),
    Pager(Pager),
    Capture(Capture),
}

impl Sink {
    /// Standard output.
    pub fn stdout() -> Self {
        Sink(Inner::Stdout(BufWriter::new(io::stdout())))
    }

    /// Standard output, through `pager` once there is more than one screen of it.
    pub fn paged(pager: &str) -> Self {
        let height = terminal_size::terminal_size().map_or(24, |(_, height)| height.0);
        let lines_left = usize::from(height).saturating_sub(2);
        let held = Vec::new();
        Sink(Inner::Pager(Pager { command: pager.to_owned(), held, lines_left, pipe: None }))
    }

    /// A file, written anew or added to.
    ///
    /// # Errors
    /// The file cannot be opened for writing; the message names it.
    pub fn file(path: &Path, append: bool) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(append)
            .truncate(!append)
            .open(path)
            .map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
        Ok(Sink(Inner::File(BufWriter::new(file))))
    }

    /// The standard input of a shell pipeline.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub fn pipe(pipeline: &str) -> io::Result<Self> {
        Ok(Sink(Inner::Pipe(Pipe::start(pipeline)?)))
    }

    /// A buffer in memory.
    pub fn capture(capture: Capture) -> Self {
        Sink(Inner::Capture(capture))
    }

    /// Tells something beside the output.
    pub(super) fn note(&self, text: &str) {
        match &self.0 {
            Inner::Capture(capture) => {
                let notes = capture.notes.lock();
                let mut notes = notes.unwrap_or_else(std::sync::PoisonError::into_inner);
                notes.push_str(text);
                notes.push('\n');
            }
            _ => complain!("{text}"),
        }
    }

    /// Whether the reader is a person at a terminal that shows colours.
    pub(super) fn takes_colour(&self) -> bool {
        matches!(self.0, Inner::Stdout(_))
            && io::stdout().is_terminal()
            && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Inner::Stdout(stdout) => stdout,
            Inner::File(file) => file,
            Inner::Pipe(pipe) => pipe,
            Inner::Pager(pager) => pager,
            Inner::Capture(capture) => capture,
        }
    }

    /// Flushes, closes, and waits for the reader to end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let flushed = self.writer().flush();
        match self.0 {
            Inner::Pipe(pipe) => pipe.wait()?,
            Inner::Pager(Pager { pipe: Some(pipe), .. }) => pipe.wait()?,
            Inner::Pager(Pager { held, .. }) => {
                let mut stdout = io::stdout();
                stdout.write_all(&held)?;
                stdout.flush()?;
            }
            Inner::Stdout(_) | Inner::File(_) | Inner::Capture(_) => {}
        }
        flushed
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer().write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }
}

/// A shell pipeline that reads from us.
#[derive(Debug)]
struct Pipe {
    child: Child,
    stdin: Option<BufWriter<ChildStdin>>,
}

impl Pipe {
    fn start(pipeline: &str) -> io::Result<Self> {
        let mut child =
            Command::new("/bin/sh").arg("-c").arg(pipeline).stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().map(BufWriter::new);
        Ok(Pipe { child, stdin })
    }

    fn wait(mut self) -> io::Result<()> {
        drop(self.stdin.take());
        self.child.wait().map(drop)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.stdin {
            Some(stdin) => stdin.write(buf),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stdin.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// Holds the first screen back; starts the pager when there is more.
#[derive(Debug)]
struct Pager {
    command: String,
    held: Vec<u8>,
    lines_left: usize,
    pipe: Option<Pipe>,
}

impl Write for Pager {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Some(pipe) = &mut self.pipe {
            return pipe.write(buf);
        }
        self.held.extend_from_slice(buf);
        let lines = memchr::memchr_iter(b'\n', buf).count();
        match self.lines_left.checked_sub(lines) {
            Some(left) => self.lines_left = left,
            None => {
                let mut pipe = Pipe::start(&self.command)?;
                pipe.write_all(&std::mem::take(&mut self.held))?;
                self.pipe = Some(pipe);
            }
        }
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.pipe.as_mut().map_or(Ok(()), Write::flush)
    }
}
