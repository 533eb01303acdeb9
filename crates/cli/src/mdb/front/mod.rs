//! The front end of the mdb language: what is opened, the prompt, and lines from anywhere.

mod args;
mod complete;
mod linux;

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
};

use necropsy_dump::{
    OpenError,
    illumos::{Container, IllumosDump},
};
use necropsy_illumos::Kernel;
use necropsy_mdb::{
    Failure, Mdb, Registry,
    illumos::{self, IllumosSystem},
};
use reedline::{DefaultPrompt, DefaultPromptSegment, Signal};

use super::{file_name, files_of, options as open_options};
use crate::{Status, args::SessionArgs, opening::Request, prompt::line_editor, settings::EditMode};

pub use args::run_mdb;

/// Opens an illumos dump.
pub(super) fn open(files: &[PathBuf]) -> Result<IllumosSystem, OpenError> {
    let dump = IllumosDump::open(files, &open_options())?;
    let name = shown_name(&dump);
    Ok(IllumosSystem::new(Arc::new(Kernel::new(Arc::new(dump))), name))
}

/// What mdb calls the dump: a `vmdump.N` needs no expanding here, and has its name after it.
fn shown_name(dump: &IllumosDump) -> String {
    match (dump.container(), dump.number()) {
        (Container::Vmdump, Some(number)) => format!("vmcore.{number}"),
        _ => {
            let name = dump.path().file_name().unwrap_or(dump.path().as_os_str());
            name.to_string_lossy().into_owned()
        }
    }
}

/// A session on an illumos dump, as the command line asks for it.
pub fn run_session(request: &Request, options: &SessionArgs) -> Status {
    let system = match open(&files_of(request)) {
        Ok(system) => system,
        Err(error) => {
            complain!("necropsy: {error}");
            return Status::CannotOpen;
        }
    };
    let mut lines = Vec::new();
    for file in &options.input {
        match std::fs::read_to_string(file) {
            Ok(text) => lines.push(text),
            Err(error) => {
                complain!("necropsy: {}: {error}", file.display());
                return Status::Failed;
            }
        }
    }
    lines.extend(options.exec.iter().cloned());
    let ends = !options.exec.is_empty();
    run(Arc::new(system), &illumos::REGISTRY, &lines, options.json, options.silent, ends)
}

/// One of the program's commands, in the words of mdb.
pub fn run_command(request: &Request, command: &str, json: bool) -> Status {
    let line = match command {
        "report" => "::report",
        "log" => "::msgbuf",
        "info" => "::status; ::self_check",
        "doctor" => "::self_check",
        other => {
            complain!("necropsy: {other}: not for illumos dumps: open the dump and see ::dcmds");
            return Status::Usage;
        }
    };
    let options = SessionArgs { exec: vec![line.into()], json, ..SessionArgs::default() };
    run_session(request, &options)
}

/// The same language on a Linux dump.
pub fn run_on_linux(request: &Request, options: &SessionArgs) -> Status {
    let kernel = match request.open() {
        Ok(kernel) => kernel,
        Err(error) => {
            complain!("necropsy: {error}");
            return Status::CannotOpen;
        }
    };
    let name = request.files.first().map(|path| file_name(path)).unwrap_or_default();
    let system = linux::LinuxSystem::new(kernel, name);
    let ends = !options.exec.is_empty();
    run(Arc::new(system), &linux::REGISTRY, &options.exec, options.json, options.silent, ends)
}

/// Standard output that text is written to, and which is flushed before others write to it.
fn stdout_sink() -> necropsy_mdb::Sink {
    let out = Mutex::new(io::BufWriter::with_capacity(1 << 16, io::stdout()));
    Box::new(move |text| {
        let mut out = out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // An empty text asks for what was written to be seen.
        if text.is_empty() { out.flush().is_ok() } else { out.write_all(text.as_bytes()).is_ok() }
    })
}

/// Runs lines, then the prompt unless `ends`.
pub(crate) fn run(
    system: Arc<dyn necropsy_mdb::System>,
    registry: &'static Registry,
    lines: &[String],
    json: bool,
    silent: bool,
    ends: bool,
) -> Status {
    let interrupted = Arc::new(AtomicBool::new(false));
    let warn = Box::new(|text: &str| complain!("mdb: {text}"));
    let mut mdb = Mdb::new(system, registry, stdout_sink(), warn, interrupted.clone());
    mdb.set_json(json);
    let status = |mdb: &Mdb| if mdb.has_failed() { Status::Failed } else { Status::Done };
    for line in lines {
        if run_lines(&mut mdb, line).is_err() {
            return status(&mdb);
        }
    }
    if !ends {
        let done = if io::stdin().is_terminal() && io::stdout().is_terminal() {
            if !silent {
                introduce(&mdb);
            }
            edit_lines(&mut mdb, interrupted)
        } else {
            read_lines(&mut mdb)
        };
        if let Err(error) = done {
            complain!("mdb: {error}");
            return Status::Failed;
        }
    }
    status(&mdb)
}

/// What mdb says first: the modules that it knows.
fn introduce(mdb: &Mdb) {
    let system = mdb.system().as_any().downcast_ref::<IllumosSystem>();
    let Some(system) = system else { return };
    let names: Vec<&str> =
        system.kernel().modules().iter().map(|module| module.name.as_str()).collect();
    say!("Loading modules: [ {} ]", names.join(" "));
    for problem in system.kernel().problems() {
        say!("mdb: warning: {problem}");
    }
}

/// Runs each line of a text and shows what it wrote.
fn run_lines(mdb: &mut Mdb, text: &str) -> Result<(), Failure> {
    let mut ran = Ok(());
    for line in text.lines() {
        ran = mdb.run_line(line);
        if ran.is_err() {
            break;
        }
    }
    let _ = mdb.flush();
    ran
}

fn read_lines(mdb: &mut Mdb) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        // The lock is not kept: a shell command may read the rest of the input itself.
        if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if run_lines(mdb, &String::from_utf8_lossy(&line)).is_err() {
            return Ok(());
        }
    }
}

fn edit_lines(mdb: &mut Mdb, interrupted: Arc<AtomicBool>) -> io::Result<()> {
    // While a line is edited the terminal hands Ctrl-C to the editor; while a command runs it
    // arrives as a signal, and sets the flag that the command looks at.
    signal_hook::flag::register(signal_hook::consts::SIGINT, interrupted)?;
    let completer = complete::Completer::new(mdb);
    let mut editor = line_editor(Box::new(completer), EditMode::Emacs, "mdb_history");
    loop {
        let text = mdb.prompt().trim_end_matches("> ").to_owned();
        let left = if text.is_empty() {
            DefaultPromptSegment::Empty
        } else {
            DefaultPromptSegment::Basic(text)
        };
        let prompt = DefaultPrompt::new(left, DefaultPromptSegment::Empty);
        match editor.read_line(&prompt).map_err(io::Error::other)? {
            Signal::Success(line) if run_lines(mdb, &line).is_err() => {
                return Ok(());
            }
            Signal::CtrlD => return Ok(()),
            _ => {}
        }
    }
}
