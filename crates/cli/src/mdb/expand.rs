//! `necropsy expand`, and savecore's own command line.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use necropsy_dump::illumos::{ExpandError, IllumosDump, Step};

use crate::Status;

use super::file_name;

/// Arguments of `expand`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExpandArgs {
    /// The vmdump.N, or a copy of a dump device
    #[arg(value_name = "VMDUMP")]
    pub dump: PathBuf,
    /// Where unix.N and vmcore.N are written [default: where the dump lies]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Runs `necropsy expand`.
pub fn run_expand(args: &ExpandArgs) -> Status {
    let beside = args.dump.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = args.dir.clone().unwrap_or_else(|| beside.unwrap_or(Path::new(".")).to_owned());
    expand("necropsy", &args.dump, &dir)
}

/// Runs as savecore does: `savecore [-v] [-d] -f vmdump.N [DIR]`.
pub fn run_savecore(words: impl Iterator<Item = OsString>) -> Status {
    const USAGE: &str = "usage: savecore [-vd] -f VMDUMP [DIR]";
    let mut file: Option<PathBuf> = None;
    let mut dir: Option<PathBuf> = None;
    let mut words = words;
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("-v" | "-d" | "-vd" | "-dv") => {}
            Some("-f" | "-vf" | "-df") => file = words.next().map(PathBuf::from),
            Some(option) if option.starts_with('-') => {
                complain!("savecore: {option}: a dump is expanded from a file here\n{USAGE}");
                return Status::Usage;
            }
            _ => dir = Some(word.into()),
        }
    }
    let Some(file) = file else {
        complain!("{USAGE}");
        return Status::Usage;
    };
    expand("savecore", &file, &dir.unwrap_or_else(|| ".".into()))
}

fn expand(program: &str, file: &Path, dir: &Path) -> Status {
    let dump = match IllumosDump::open(&[file.to_owned()], &super::options()) {
        Ok(dump) => dump,
        Err(error) => {
            complain!("{program}: {error}");
            return Status::CannotOpen;
        }
    };
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let number = dump.number().unwrap_or(0);
    for problem in dump.problems() {
        complain!("{program}: warning: {}: {problem}", file_name(file));
    }
    say!("{program}: System dump time: {}", ctime(dump.header().crashtime));
    say!("{program}: saving system crash dump in {}/{{unix,vmcore}}.{number}", dir.display());
    let started = Instant::now();
    let mut tell = |step: Step<'_>| match step {
        Step::Namelist(path) => say!("Constructing namelist {}", path.display()),
        Step::Corefile(path) => say!("Constructing corefile {}", path.display()),
        // Progress is for those who watch; the last line is for all.
        Step::Pages(done, all) if done < all && !io::stdout().is_terminal() => {}
        Step::Pages(done, all) => {
            let seconds = started.elapsed().as_secs();
            let percent = (done * 100).checked_div(all).unwrap_or(100);
            let line = format!(
                "{:>3}:{:02} {percent:>3}% done: {done} of {all} pages saved",
                seconds / 60,
                seconds % 60
            );
            let _ = write!(io::stdout(), "\r{line}");
            let _ = io::stdout().flush();
        }
    };
    match dump.expand(&dir, &mut tell) {
        Ok(done) => {
            say!();
            if done.lost_translations > 0 {
                complain!(
                    "{program}: {} translations lead to pages that are not in the dump",
                    done.lost_translations
                );
            }
            if done.pages < done.expected {
                complain!("{program}: bad data after page {}", done.pages);
                return Status::Missing;
            }
            Status::Done
        }
        Err(error) => {
            complain!("{program}: {error}");
            match error {
                ExpandError::Symbols(_) | ExpandError::Sizes => Status::CannotOpen,
                _ => Status::Failed,
            }
        }
    }
}

/// As ctime(3) prints it, in the user's time zone.
fn ctime(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    match time {
        Some(time) => {
            let zoned = time.to_zoned(jiff::tz::TimeZone::system());
            zoned.strftime("%a %b %e %H:%M:%S %Y").to_string()
        }
        None => seconds.to_string(),
    }
}
