//! The program from its arguments to its exit code.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::Path,
    sync::Arc,
};

use clap::error::ErrorKind;
use necropsy_dump::OpenError;

use crate::{
    CommandError, Status,
    aliases::Origin,
    args::{self, Action, Invocation, SessionArgs},
    cache,
    command::Command,
    commands::{report::on_text, schema},
    convert, crash_args,
    language::{files, report, run_command, run_line},
    mdb, oops,
    opening::Request,
    prompt, registry,
    render::{Form, Output, Sink},
    session::Session,
};

/// Runs the program on its arguments, its own name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Status {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let called = arguments.first().and_then(|name| Path::new(name).file_name());
    match called.and_then(|name| name.to_str()) {
        Some("mdb") => return mdb::run_mdb(arguments.into_iter().skip(1)),
        Some("savecore") => return mdb::run_savecore(arguments.into_iter().skip(1)),
        _ => {}
    }
    let invocation = if called.is_some_and(|name| name == "crash") {
        crash_args::parse(arguments.into_iter().skip(1)).map_err(|error| {
            complain!("crash: {error}");
            Status::Usage
        })
    } else {
        args::parse(arguments).map_err(|error| {
            // A closed output is nothing to tell anybody.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Status::Done,
                _ => Status::Usage,
            }
        })
    };
    match invocation {
        Err(status) => status,
        Ok(Invocation::Session(request, options)) if mdb::is_dump(&request) => {
            mdb::run_session(&request, &options)
        }
        Ok(Invocation::Session(request, options)) if options.mdb => {
            mdb::run_on_linux(&request, &options)
        }
        Ok(Invocation::Session(request, options)) => {
            with_session(&request, |session| start(session, &options))
        }
        Ok(Invocation::OnDump(request, command, words)) if mdb::is_dump(&request) => {
            mdb::run_command(&request, command.name(), words.iter().any(|word| word == "--json"))
        }
        Ok(Invocation::OnDump(request, command, words)) => on_dump(&request, command, words),
        Ok(Invocation::VmCoreInfo(request, key)) => vmcoreinfo(&request, key),
        Ok(Invocation::Action(Action::Convert(args))) => convert::run(&args),
        Ok(Invocation::Action(Action::Expand(args))) => mdb::run_expand(&args),
        Ok(Invocation::Action(Action::Oops(args))) => oops::run(&args),
        Ok(Invocation::Action(Action::Schema { command })) => {
            let mut out = Output::new(Sink::stdout(), Form::Text, Arc::default());
            let shown = schema::show(registry::COMMANDS, command.as_slice(), &mut out)
                .and_then(|()| out.finish());
            match shown {
                Ok(()) | Err(CommandError::BrokenPipe) => Status::Done,
                Err(error) => {
                    complain!("necropsy: {error}");
                    error.status()
                }
            }
        }
        Ok(Invocation::Action(Action::Cache(args))) => cache::run(&args),
        Ok(Invocation::Action(Action::Completions { shell })) => {
            clap_complete::generate(shell, &mut args::command(), "necropsy", &mut io::stdout());
            Status::Done
        }
        Ok(Invocation::Action(Action::Man)) => {
            written(clap_mangen::Man::new(args::command()).render(&mut io::stdout()))
        }
        Ok(Invocation::Version) => {
            written(writeln!(io::stdout(), "necropsy {}", env!("CARGO_PKG_VERSION")))
        }
    }
}

/// One command of the registry on a dump; `report` on a text, too.
fn on_dump(request: &Request, command: &'static Command, words: Vec<String>) -> Status {
    if command.name() == "report"
        && let [file] = request.files.as_slice()
    {
        let mut out = Output::new(Sink::stdout(), Form::Text, Arc::default());
        if let Some(shown) = on_text(file, &words, &mut out) {
            return match shown.and_then(|()| out.finish()) {
                Ok(()) | Err(CommandError::BrokenPipe) => Status::Done,
                Err(error) => {
                    complain!("necropsy: {error}");
                    error.status()
                }
            };
        }
    }
    with_session(request, |session| {
        let mut out = Output::new(Sink::stdout(), Form::Text, session.interrupted.clone());
        let ran = run_command(session, command, words, &mut out);
        let closed = out.finish();
        if let Err(error) = ran.and(closed) {
            report(session, command.name(), &error, None);
        }
    })
}

/// The status of having written to standard output.
fn written(result: io::Result<()>) -> Status {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain!("necropsy: {error}");
            Status::Failed
        }
        _ => Status::Done,
    }
}

fn with_session(request: &Request, work: impl FnOnce(&mut Session)) -> Status {
    match request.session() {
        // A crash folder whose dump was not written still has the kernel's own words.
        Err(OpenError::OnlyLog { folder, log }) => {
            complain!(
                "necropsy: {}: no dump is in it, only a kernel's log: necropsy oops {}",
                folder.display(),
                log.display()
            );
            oops::run(&oops::OopsArgs::of(log))
        }
        Err(error) => {
            complain!("necropsy: {error}");
            Status::CannotOpen
        }
        Ok(mut session) => {
            work(&mut session);
            session.status()
        }
    }
}

/// Banner, rc files, input files, then commands or the prompt.
fn start(session: &mut Session, options: &SessionArgs) {
    session.settings.silent = options.silent;
    if let Some(form) = Form::of(options.json, options.csv) {
        session.settings.form = form;
    }
    if !options.no_rc {
        files::run_rc_files(session);
    }
    if options.no_scroll {
        session.settings.scroll = false;
    }
    session.origin = Origin::RcFile;
    for line in &options.setup {
        run_line(session, line);
    }
    session.origin = Origin::Runtime;
    let at_prompt = options.exec.is_empty() && io::stdin().is_terminal();
    if at_prompt && !session.settings.silent && registry::COMMANDS.find("sys").is_some() {
        run_line(session, "sys");
        run_line(session, "set");
    }
    for file in &options.input {
        if !session.quit {
            files::run_input(session, file);
        }
    }
    for line in &options.exec {
        if !session.quit {
            run_line(session, line);
        }
    }
    if options.exec.is_empty() && !session.quit {
        prompt::run(session);
    }
}

/// crash's `--osrelease` and `--build-id`: answered from the dump's headers.
fn vmcoreinfo(request: &Request, key: &str) -> Status {
    let dump = match request.open_dump() {
        Ok(dump) => dump,
        Err(error) => {
            complain!("crash: {error}");
            return Status::CannotOpen;
        }
    };
    match dump.vmcoreinfo().and_then(|info| info.get(key)) {
        Some(value) => written(writeln!(io::stdout(), "{value}")),
        None => {
            // crash prints this word, and scripts look for it.
            say!("unknown");
            Status::Missing
        }
    }
}
