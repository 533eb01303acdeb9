//! `necropsy oops`: the kernel reports in a text, from any channel.

mod follow;
mod input;
mod print;
mod scan;
mod symbols;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use necropsy_diagnose::log;
use necropsy_oops::{Options, TitleStyle, channel, reports_of_lines};

use crate::{
    CommandError, Status,
    opening::Request,
    render::{Form, Output, Sink},
};
use input::{Content, Input};
pub(crate) use print::Printer;
use symbols::{SymbolFiles, Symbols};

/// Options of `oops`.
#[derive(Debug, clap::Args)]
pub struct OopsArgs {
    /// Logs as any channel left them, packed or not, folders of pstore records, and dumps; `-` and
    /// none are standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object a report
    #[arg(long)]
    json: bool,
    /// Comma-separated values, one line for each innermost element
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// How reports are titled
    #[arg(long, value_enum, default_value_t = Style::Plain)]
    title_style: Style,
    /// Every report in full, with every register and doubtful frame
    #[arg(long)]
    all: bool,
    /// vmlinux, System.map or a module (packed or not), or a folder of them; may be repeated
    #[arg(long, value_name = "PATH")]
    symbols: Vec<PathBuf>,
    /// Watch a growing file or a pipe, and show each report as it is complete
    #[arg(short, long)]
    follow: bool,
}

impl OopsArgs {
    /// One log, nothing else asked for.
    pub(crate) fn of(log: PathBuf) -> Self {
        OopsArgs {
            files: vec![log],
            json: false,
            csv: false,
            title_style: Style::Plain,
            all: false,
            symbols: Vec::new(),
            follow: false,
        }
    }
}

/// [`TitleStyle`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// As a person would say it
    Plain,
    /// As syzkaller's dashboard says it
    Syzkaller,
}

impl From<Style> for TitleStyle {
    fn from(style: Style) -> Self {
        match style {
            Style::Plain => TitleStyle::Plain,
            Style::Syzkaller => TitleStyle::Syzkaller,
        }
    }
}

/// Reads, decodes and shows.
pub(crate) fn run(args: &OopsArgs) -> Status {
    if args.follow && args.files.len() > 1 {
        complain!("necropsy: --follow watches one file");
        return Status::Usage;
    }
    let files = match SymbolFiles::find(&args.symbols) {
        Ok(files) => files,
        Err(error) => {
            complain!("necropsy: {error}");
            return Status::Failed;
        }
    };
    let symbols = Symbols::of(&files);
    let form = Form::of(args.json, args.csv).unwrap_or(Form::Text);
    let mut out = Output::new(Sink::stdout(), form, Arc::default());
    let mut printer = Printer::new(&mut out, args.all);
    if !files.is_empty() {
        printer.symbols = Some(&symbols);
    }
    let options = Options { style: args.title_style.into() };
    let mut work = Work { printer, options, status: Status::Done };
    let done = match (args.follow, args.files.as_slice()) {
        (true, files) => {
            let file = files.first().filter(|file| !is_stdin(file));
            follow::follow(file.map(PathBuf::as_path), options, &mut work.printer)
        }
        (false, []) => work.read(&["-".into()]),
        (false, files) => work.read(files),
    };
    let Work { printer, status, .. } = work;
    let found = printer.count();
    let (silent, texts) = printer.silent();
    let status = match done.and_then(|()| out.finish()) {
        Ok(()) | Err(CommandError::BrokenPipe) => status,
        Err(error) => {
            complain!("necropsy: {error}");
            status.then(error.status())
        }
    };
    for problem in symbols.problems() {
        complain!("necropsy: {problem}");
    }
    if found == 0 && status == Status::Done {
        complain!("no kernel report found");
    } else if silent > 0 && texts > 1 {
        complain!("no kernel report in {silent} of {texts} texts");
    }
    status
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// So many bytes of short inputs are looked at together, as the parts of one dump in pstore are.
const TOGETHER: usize = input::SHORT;

struct Work<'a> {
    printer: Printer<'a>,
    options: Options,
    status: Status,
}

impl Work<'_> {
    /// Reads all inputs; those that cannot be read are told and passed over.
    fn read(&mut self, paths: &[PathBuf]) -> Result<(), CommandError> {
        let mut together: Vec<(Option<String>, Vec<u8>)> = Vec::new();
        for input in input::inputs(paths) {
            let opened = input.and_then(Input::open);
            let Some((name, content)) = self.tell(opened) else { continue };
            match content {
                Content::Dump(request) => {
                    self.unwrap(&std::mem::take(&mut together))?;
                    self.dump(name, &request)?;
                }
                Content::Short(bytes) => {
                    together.push((name, bytes));
                    if together.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > TOGETHER {
                        self.unwrap(&std::mem::take(&mut together))?;
                    }
                }
                Content::Long(mut reader) => {
                    self.unwrap(&std::mem::take(&mut together))?;
                    self.printer.begin(name.clone(), Vec::new());
                    let read = scan::scan(&mut reader, self.options, &mut self.printer)?;
                    self.tell(read.map_err(|error| input::named(name.as_deref(), &error)));
                }
            }
        }
        self.unwrap(&together)
    }

    /// Reads the log of a dump.
    fn dump(&mut self, name: Option<String>, request: &Request) -> Result<(), CommandError> {
        let kernel = request.open().map_err(|error| error.to_string());
        let log = kernel.and_then(|kernel| {
            kernel.log().map_err(|error| format!("{}: {error}", name.as_deref().unwrap_or("")))
        });
        let Some(log) = self.tell(log) else { return Ok(()) };
        let notes = match log.errors.len() {
            0 => Vec::new(),
            damaged => vec![format!("{damaged} messages are damaged")],
        };
        self.printer.begin(name, notes);
        for report in reports_of_lines(log::lines(&log), &self.options) {
            self.printer.report(report)?;
        }
        Ok(())
    }

    /// Opens containers, and reads what is in them.
    fn unwrap(&mut self, files: &[(Option<String>, Vec<u8>)]) -> Result<(), CommandError> {
        let files: Vec<_> =
            files.iter().map(|(name, bytes)| (name.as_deref(), bytes.as_slice())).collect();
        for stream in channel::unwrap(&files) {
            self.printer.begin(stream.name, stream.notes);
            // A slice cannot fail to be read.
            let _ = scan::scan(&mut &*stream.text, self.options, &mut self.printer)?;
        }
        Ok(())
    }

    /// Tells what went wrong with a file.
    fn tell<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|error| {
                complain!("necropsy: {error}");
                self.status = Status::Failed;
            })
            .ok()
    }
}
