//! Watching a log grow.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use necropsy_oops::{Options, Report, Scanner};

use super::{Printer, scan::CHUNK};
use crate::{CommandError, Outcome};

/// How often a file is looked at.
const TICK: Duration = Duration::from_millis(100);
/// After so much silence a report is complete.
const SILENCE: Duration = Duration::from_secs(1);
/// A log that never falls silent is searched this often all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pieces of a pipe that may wait for the decoder.
const QUEUE: usize = 4;

/// Prints reports as they come, until Ctrl-C or the end of the pipe. `None` is standard input.
///
/// # Errors
/// The log cannot be read, the reports not be printed.
pub(super) fn follow(
    path: Option<&Path>,
    options: Options,
    printer: &mut Printer<'_>,
) -> Result<(), CommandError> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, stop.clone())?;
    let name = path.map(|path| path.display().to_string());
    printer.begin(name.clone(), Vec::new());
    let mut watch = Watch::new(options, printer);
    let watched = match path {
        Some(path) if fs::metadata(path).is_ok_and(|meta| meta.is_file()) => {
            watch_file(path, &mut watch, &stop)
        }
        Some(path) => {
            let path = path.to_owned();
            watch_pipe(move || File::open(path), &mut watch, &stop)
        }
        None => watch_pipe(|| Ok(io::stdin()), &mut watch, &stop),
    };
    watched.map_err(|error| match (error, name) {
        (CommandError::Io(error), Some(name)) => CommandError::failed(format!("{name}: {error}")),
        (error, _) => error,
    })?;
    watch.finish()
}

/// A file that grows, is cut, or is replaced by a new one.
fn watch_file(path: &Path, watch: &mut Watch<'_, '_>, stop: &AtomicBool) -> Outcome {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    while !stop.load(Ordering::Relaxed) {
        let length = file.read(&mut buffer)?;
        if length > 0 {
            watch.push(&buffer[..length])?;
            continue;
        }
        let meta = file.metadata()?;
        if meta.len() < file.stream_position()? {
            watch.finish()?;
            file.seek(SeekFrom::Start(0))?;
        } else if let Ok(now) = fs::metadata(path)
            && (now.dev(), now.ino()) != (meta.dev(), meta.ino())
        {
            watch.finish()?;
            file = File::open(path)?;
        } else {
            watch.silence()?;
            thread::sleep(TICK);
        }
    }
    Ok(())
}

/// Standard input, a FIFO, a device: reading may block, and is left to a thread.
fn watch_pipe<R: Read>(
    open: impl FnOnce() -> io::Result<R> + Send + 'static,
    watch: &mut Watch<'_, '_>,
    stop: &AtomicBool,
) -> Outcome {
    let (sender, pieces) = mpsc::sync_channel(QUEUE);
    thread::spawn(move || {
        let mut pipe = match open() {
            Ok(pipe) => pipe,
            Err(error) => return drop(sender.send(Err(error))),
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            let piece = match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(buffer[..length].to_vec()),
                // /dev/kmsg says that records were overwritten before they were read.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => continue,
                Err(error) => Err(error),
            };
            let failed = piece.is_err();
            if sender.send(piece).is_err() || failed {
                return;
            }
        }
    });
    while !stop.load(Ordering::Relaxed) {
        match pieces.recv_timeout(TICK) {
            Ok(piece) => watch.push(&piece?)?,
            Err(RecvTimeoutError::Timeout) => watch.silence()?,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// The decoder, and since when it has heard nothing.
struct Watch<'w, 'p> {
    options: Options,
    scanner: Scanner,
    printer: &'w mut Printer<'p>,
    heard: Instant,
    /// When all that was heard had been searched.
    searched: Instant,
    /// Something came since then.
    pending: bool,
}

impl<'w, 'p> Watch<'w, 'p> {
    fn new(options: Options, printer: &'w mut Printer<'p>) -> Self {
        let now = Instant::now();
        Watch {
            options,
            scanner: Scanner::new(options),
            printer,
            heard: now,
            searched: now,
            pending: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Outcome {
        self.heard = Instant::now();
        if !std::mem::replace(&mut self.pending, true) {
            self.searched = self.heard;
        }
        let reports = self.scanner.push(bytes);
        self.print(reports)?;
        if self.searched.elapsed() > PATIENCE { self.search() } else { Ok(()) }
    }

    fn silence(&mut self) -> Outcome {
        if self.pending && self.heard.elapsed() > SILENCE { self.search() } else { Ok(()) }
    }

    fn search(&mut self) -> Outcome {
        self.pending = false;
        let reports = self.scanner.idle();
        self.print(reports)
    }

    /// The log is over, or another one begins.
    fn finish(&mut self) -> Outcome {
        self.pending = false;
        let mut ended = std::mem::replace(&mut self.scanner, Scanner::new(self.options));
        let reports = ended.finish();
        self.print(reports)
    }

    fn print(&mut self, reports: Vec<Report>) -> Outcome {
        if reports.is_empty() {
            return Ok(());
        }
        for report in reports {
            self.printer.report(report)?;
        }
        self.printer.flush()
    }
}
