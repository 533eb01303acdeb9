//! Files of commands: `< file`, `-i file`, and the rc files.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{first_word, read_lines, report, run_line};
use crate::{CommandError, aliases::Origin, error::Outcome, registry, session::Session};

/// Files may run files, so deep.
const MAX_DEPTH: usize = 16;

/// Runs every line of `file`. A line that fails is reported, and the next one runs.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn run_file(session: &mut Session, file: &Path) -> Outcome {
    if session.depth >= MAX_DEPTH {
        return Err(CommandError::failed(format!(
            "{}: input files are nested too deeply",
            file.display()
        )));
    }
    session.depth += 1;
    let result = run_lines(session, file);
    session.depth -= 1;
    result
}

fn run_lines(session: &mut Session, file: &Path) -> Outcome {
    for line in read_lines(file)? {
        run_line(session, &line?);
        // Ctrl-C ends the whole file, not just the line it interrupted.
        session.check_interrupt()?;
        if session.quit {
            break;
        }
    }
    Ok(())
}

/// Reads the rc files as crash does: our own, `~/.crashrc`, then `./.crashrc`; each only if it
/// belongs to the user and others cannot write to it.
pub(crate) fn run_rc_files(session: &mut Session) {
    for file in rc_files() {
        match std::fs::metadata(&file) {
            Err(_) => continue,
            Ok(metadata) => {
                if let Err(why) = is_trustworthy(&metadata) {
                    complain!("necropsy: {} ignored: {why}", file.display());
                    continue;
                }
            }
        }
        let lines = match read_lines(&file) {
            Ok(lines) => lines,
            Err(error) => {
                complain!("necropsy: {error}");
                continue;
            }
        };
        session.origin = Origin::RcFile;
        for (number, line) in (1..).zip(lines.map_while(Result::ok)) {
            run_rc_line(session, &format!("{}:{number}", file.display()), &line);
        }
        session.origin = Origin::Runtime;
    }
}

/// A line of an rc file that was written for crash may use what only crash has: a warning, no
/// failure.
fn run_rc_line(session: &mut Session, place: &str, line: &str) {
    let line = line.trim();
    let word = first_word(line);
    let comment = line.is_empty() || line.starts_with('#') || line.starts_with("//");
    if comment || is_known(session, word) {
        // `set vi`, `set emacs` and the rest run as anywhere.
        run_line(session, line);
    } else {
        complain!("necropsy: {place}: {word}: no command of necropsy, skipped");
    }
}

/// Whether a line that begins with the word would run at all.
fn is_known(session: &Session, word: &str) -> bool {
    let name = word.trim_start_matches(['\\', '*', '!']);
    let base = name.split(['.', '-', '[', ':']).next().unwrap_or("");
    name.is_empty()
        || word.starts_with('!')
        || registry::COMMANDS.find(name).is_some()
        || session.aliases.get(name).is_some()
        || super::gdb::is_formatted(name)
        || super::SHELL_WORDS.contains(&name)
        || session.is_symbol(base)
        || session.is_type(base).is_some()
}

fn rc_files() -> Vec<PathBuf> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.filter(|p| p.is_absolute()).or(home.as_ref().map(|h| h.join(".config")));
    let mut files: Vec<_> = config.map(|config| config.join("necropsy/rc")).into_iter().collect();
    let here = PathBuf::from(".crashrc");
    files.extend(home.map(|home| home.join(".crashrc")));
    let resolve = |path: &Path| path.canonicalize().ok();
    if !files.iter().any(|file| resolve(file).is_some() && resolve(file) == resolve(&here)) {
        files.push(here);
    }
    files
}

/// crash's rule, against rc files planted in shared directories.
fn is_trustworthy(metadata: &Metadata) -> Result<(), &'static str> {
    // The owner of our own process, as the kernel shows it.
    let user = std::fs::metadata("/proc/self").map(|own| own.uid()).ok();
    if user.is_some_and(|user| user != metadata.uid()) {
        return Err("it belongs to another user");
    }
    if metadata.mode() & 0o002 != 0 {
        return Err("everybody can write to it");
    }
    Ok(())
}

/// Runs the lines of `file` whose failure must be told, as for `-i`.
pub(crate) fn run_input(session: &mut Session, file: &Path) {
    if let Err(error) = run_file(session, file) {
        report(session, "-i", &error, None);
    }
}
