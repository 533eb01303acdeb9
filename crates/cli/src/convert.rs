//! `necropsy convert`: a dump in another format, or less of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use necropsy_dump::{Dump, Keep, Origin, Packing, Stats, Uts, write_elf, write_kdump};
use necropsy_linux::Kernel;
use necropsy_loader::{DebugFiles, attach};

use crate::{
    CommandError, Status,
    language::{read_lines, run_captured},
    opening::Request,
    render::{Capture, Form, Size},
    session::Session,
};

/// makedumpfile's level of a dump that holds no page but those that were asked for.
const LEVEL_ALL: u32 = 31;

/// Options of `convert`.
#[derive(Debug, clap::Args)]
pub struct ConvertArgs {
    #[command(flatten)]
    request: Request,
    /// The new dump
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Format of the new dump
    #[arg(long, value_enum, default_value_t = OutputFormat::Kdump)]
    format: OutputFormat,
    /// How pages are compressed, with a level if need be: none, zlib, zlib:9, zstd, zstd:19
    #[arg(long, value_name = "METHOD", default_value = "zstd", value_parser = parse_packing)]
    compress: Packing,
    /// What to leave out, as makedumpfile's -d: 0 nothing, 1 pages of zeros (of which the kdump
    /// format needs only one, and keeps it)
    #[arg(long, value_name = "LEVEL", default_value_t = 0, value_parser = parse_level)]
    level: u32,
    /// Keep only the pages that the commands in FILE read, and those that opening the dump does
    #[arg(long, value_name = "FILE")]
    touched_by: Option<PathBuf>,
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// kdump-compressed, as makedumpfile writes it
    Kdump,
    /// An ELF core, not compressed
    Elf,
}

fn parse_packing(text: &str) -> Result<Packing, String> {
    let (name, level) = match text.split_once(':') {
        None => (text, None),
        Some((name, level)) => {
            (name, Some(level.parse::<u8>().map_err(|_| format!("{level:?} is no level"))?))
        }
    };
    match (name, level) {
        ("none", None) => Ok(Packing::None),
        ("zlib", None) => Ok(Packing::Zlib(1)),
        ("zlib", Some(level @ 1..=9)) => Ok(Packing::Zlib(level.into())),
        ("zstd", None) => Ok(Packing::Zstd(3)),
        ("zstd", Some(level @ 1..=22)) => Ok(Packing::Zstd(level.into())),
        _ => Err("none, zlib (levels 1 to 9) or zstd (levels 1 to 22)".into()),
    }
}

fn parse_level(text: &str) -> Result<u32, String> {
    match text {
        "0" => Ok(0),
        "1" => Ok(1),
        _ => Err("only 0 (everything) and 1 (no pages of zeros) are known; makedumpfile -d \
                  filters by what pages are used for"
            .into()),
    }
}

/// Writes the new dump, and tells what became of the pages.
pub(crate) fn run(args: &ConvertArgs) -> Status {
    if args.request.files.iter().any(|file| same_file(file, &args.out)) {
        complain!("necropsy: {}: is one of the files to read", args.out.display());
        return Status::Usage;
    }
    let mut dump = match args.request.open_dump() {
        Ok(dump) => dump,
        Err(error) => {
            complain!("necropsy: {error}");
            return Status::CannotOpen;
        }
    };
    if args.touched_by.is_some() {
        dump.record();
    }
    let kernel = args.request.opening().kernel_in(dump);
    let mut status = Status::Done;
    if let Some(file) = &args.touched_by {
        match touch(&kernel, &Arc::new(args.request.debug_files()), file) {
            Ok(ran) => status = ran,
            Err(error) => {
                complain!("necropsy: {error}");
                return error.status();
            }
        }
    }
    match write(args, &kernel) {
        Ok(stats) => {
            complain!("{}", summary(args, &stats));
            status
        }
        Err(error) => {
            complain!("necropsy: {}: {error}", args.out.display());
            Status::Failed
        }
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(a).is_some() && real(a) == real(b)
}

/// Runs the lines of `file` as text and as JSON, for what they read. A line that fails is told,
/// and the others run.
fn touch(
    kernel: &Arc<Kernel>,
    files: &Arc<DebugFiles>,
    file: &Path,
) -> Result<Status, CommandError> {
    attach(kernel, files.clone());
    let mut status = Status::Done;
    for form in [Form::Text, Form::Json] {
        let mut session = Session::on(kernel.clone());
        session.debug_files = Some(files.clone());
        session.settings.form = form;
        for line in read_lines(file)? {
            let line = line?;
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let capture = Capture::default();
            let ran = run_captured(&mut session, line, &capture);
            if ran != Status::Done && form == Form::Text {
                let said = capture.take();
                complain!("{}: {line}: {}", file.display(), said.lines().last().unwrap_or(""));
            }
            status = status.then(ran);
        }
    }
    Ok(status)
}

fn write(args: &ConvertArgs, kernel: &Kernel) -> std::io::Result<Stats> {
    let target = kernel.target();
    let dump = target.dump();
    let memory = dump.unrecorded();
    let no_zeros = args.format == OutputFormat::Elf && args.level & 1 != 0;
    let keep = |pfn: u64| {
        let touched = dump.recorder().is_none_or(|recorder| recorder.was_read(pfn));
        let zero = || no_zeros && memory.page(pfn).is_ok_and(|page| is_zero(&page));
        if touched && !zero() { Keep::Store } else { Keep::Exclude }
    };
    let bar = progress_bar();
    let progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let origin = origin(args, kernel, dump);
    let stats = match args.format {
        OutputFormat::Elf => write_elf(&args.out, memory, &origin, &keep, Some(&progress)),
        OutputFormat::Kdump => {
            write_kdump(&args.out, memory, &origin, args.compress, &keep, Some(&progress))
        }
    };
    bar.finish_and_clear();
    stats
}

/// What the new dump says about itself. What headers lack is taken from memory.
fn origin(args: &ConvertArgs, kernel: &Kernel, dump: &Dump) -> Origin {
    let mut origin = Origin::of(dump);
    if let (None, Ok(uts)) = (&dump.header().uts, kernel.uts()) {
        origin.uts = Uts {
            sysname: uts.sysname,
            nodename: uts.nodename,
            release: uts.release,
            version: uts.version,
            machine: uts.machine,
            domainname: uts.domainname,
        };
    }
    if origin.vmcoreinfo.is_none() {
        origin.vmcoreinfo = kernel.target().vmcoreinfo().map(|info| info.text().to_owned());
    }
    if let Some(layout) = kernel.target().layout() {
        origin.phys_base = layout.phys_base;
    }
    origin.dump_level |= if args.touched_by.is_some() { LEVEL_ALL } else { args.level };
    origin
}

fn is_zero(page: &[u8]) -> bool {
    page.iter().all(|&byte| byte == 0)
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("writing {wide_bar} {percent}% {eta}") {
        bar.set_style(style);
    }
    bar
}

fn summary(args: &ConvertArgs, stats: &Stats) -> String {
    let mut text = format!(
        "{}: {} of {} pages, {}",
        args.out.display(),
        stats.written,
        stats.frames,
        Size(stats.bytes)
    );
    if stats.excluded > 0 {
        text += &format!("; {} left out", stats.excluded);
    }
    if stats.unreadable > 0 {
        text += &format!("; {} could not be read and are not in it", stats.unreadable);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_compression() {
        assert_eq!(parse_packing("none"), Ok(Packing::None));
        assert_eq!(parse_packing("zlib"), Ok(Packing::Zlib(1)));
        assert_eq!(parse_packing("zstd:19"), Ok(Packing::Zstd(19)));
        for wrong in ["", "none:1", "zlib:0", "zlib:10", "zstd:23", "zstd:", "lzo", "zstd:-1"] {
            assert!(parse_packing(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn levels_that_are_not_known_are_refused() {
        assert_eq!(parse_level("1"), Ok(1));
        for wrong in ["31", "2", "", "01"] {
            assert!(parse_level(wrong).is_err(), "{wrong}");
        }
    }
}
