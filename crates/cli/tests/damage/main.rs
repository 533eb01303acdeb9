//! Damage: whatever is wrong in a dump, no command panics, hangs or eats the machine's memory, and
//! the answers that the damage does not touch still come.
//!
//! Real dumps (those of `tests/dumps`; with `NECROPSY_LAB`, also some of `out/*/kdump-c` there) are
//! hurt in chosen places and asked what a session asks. By default a few cases; `NECROPSY_DAMAGE=N`
//! makes it N, and `NECROPSY_DAMAGE=N..M` runs only those (a failure names its number).

mod base;
mod places;

use std::{
    collections::BTreeMap,
    fmt::Write,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use base::Base;
use necropsy::{language::run_captured, registry::COMMANDS, render::Capture, session::Session};
use necropsy_dump::{Dump, OpenError, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{Target, layout::Overrides};
use places::{AREAS, Area, Places};

const LINES: &[&str] =
    &["sys", "log", "ps", "bt", "foreach bt", "mod", "struct task_struct", "report", "check"];
/// Commands whose examples have nothing to do with the dump, or only wait.
const NO_DUMP_NEEDED: &[&str] = &["alias", "ascii", "eval", "h", "help", "oops", "q", "repeat"];
const TIME_LIMIT: Duration = Duration::from_secs(10);
const MEMORY_LIMIT: u64 = 1 << 30;
/// Cases without `NECROPSY_DAMAGE`: a few seconds' worth.
const DEFAULT_CASES: u64 = 90;

/// A small generator with a fixed seed (Knuth's MMIX constants): failures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0.rotate_left(32)
    }

    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 1) % end.max(1)
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }
}

/// What each line answered, in order, as far as it came.
type Answers = BTreeMap<&'static str, String>;

/// What a session asks first, and every example of the registry.
fn lines() -> impl Iterator<Item = &'static str> {
    let commands = COMMANDS.iter().filter(|command| !NO_DUMP_NEEDED.contains(&command.name()));
    let examples = commands.flat_map(|command| command.examples.iter().map(|example| example.line));
    LINES.iter().copied().chain(examples)
}

/// Asks a dump everything, under a watch.
fn ask(open: impl FnOnce() -> Result<Dump, OpenError> + Send + 'static) -> Result<Answers, String> {
    let (sender, receiver) = mpsc::channel();
    let asking = thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let Ok(dump) = open() else { return };
        let kernel = Arc::new(Kernel::new(Target::open(dump, &Overrides::default())));
        let _ = sender.send(("open", String::new()));
        let mut session = Session::on(kernel);
        let capture = Capture::default();
        for line in lines() {
            run_captured(&mut session, line, &capture);
            let _ = sender.send((line, capture.take()));
        }
    });
    let mut answers = Answers::new();
    let mut last = "nothing";
    loop {
        match receiver.recv_timeout(TIME_LIMIT) {
            Ok((line, answer)) => {
                answers.insert(line, answer);
                last = line;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(format!("hangs after `{last}`"));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    match asking.map(thread::JoinHandle::join) {
        Ok(Ok(())) => Ok(answers),
        _ => Err(format!("panics after `{last}`: {}", take_panic())),
    }
}

static PANIC: Mutex<String> = Mutex::new(String::new());

fn take_panic() -> String {
    std::mem::take(&mut *PANIC.lock().unwrap())
}

fn note_panics() {
    std::panic::set_hook(Box::new(|info| {
        let mut note = PANIC.lock().unwrap();
        let _ = write!(note, "{info}").and_then(|()| write!(note, " "));
        if std::env::var_os("NECROPSY_DAMAGE_TRACE").is_some() {
            eprintln!("{info}\n{}", std::backtrace::Backtrace::force_capture());
        }
    }));
}

/// One dump, what it answers when whole, and where to hurt it.
struct Patient {
    base: Base,
    places: Places,
    whole: Answers,
}

impl Patient {
    fn new(source: &Path) -> Patient {
        let base = Base::new(source);
        let open = opener(base.path.clone());
        let dump = open().unwrap();
        let kernel = Kernel::new(Target::open(dump, &Overrides::default()));
        assert_eq!(kernel.target().problem(), None);
        let places = Places::find(&kernel);
        drop(kernel);
        let whole = ask(open).unwrap();
        for line in LINES {
            let command = line.split(' ').next().unwrap_or_default();
            let answer = whole.get(line).map_or("", String::as_str);
            let failed = answer.is_empty() || answer.starts_with(&format!("{command}: "));
            assert!(!failed, "{}: `{line}` on the undamaged dump: {answer}", base.name);
        }
        Patient { base, places, whole }
    }

    /// Does one damage and asks; what went wrong.
    fn case(&mut self, area: Area, random: &mut Random) -> Vec<String> {
        let answers = match area {
            Area::Packed => {
                let mut bytes = self.base.packed.clone();
                spoil_file(&mut bytes, random);
                ask(move || Dump::from_bytes(vec![("damaged".into(), bytes)], options()))
            }
            Area::Cut => {
                let len = random.below(self.base.size());
                let bytes = self.base.read(0, len as usize);
                ask(move || Dump::from_bytes(vec![("damaged".into(), bytes)], options()))
            }
            _ => {
                self.hurt(area, random);
                let answers = ask(opener(self.base.path.clone()));
                self.base.heal();
                answers
            }
        };
        let answers = match answers {
            Ok(answers) => answers,
            Err(failure) => return vec![failure],
        };
        let changed = |line: &&&str| answers.get(**line) != self.whole.get(**line);
        area.untouched()
            .iter()
            .filter(changed)
            .map(|line| {
                let (whole, now) = (self.whole.get(line), answers.get(line));
                format!("`{line}` answers otherwise: {}", difference(whole, now))
            })
            .collect()
    }

    fn hurt(&mut self, area: Area, random: &mut Random) {
        for _ in 0..[1, 1, 2, 4, 16][random.below(5) as usize] {
            let place = self.place(area, random).filter(|(_, room)| *room > 0);
            let Some((offset, room)) = place else { continue };
            let before = self.base.read(offset, room.min(4096) as usize);
            let other = random.one_of(self.places.of(area)).and_then(|range| {
                let bytes = self.base.read(self.base.offset(range.start)?, 8);
                Some(u64::from_le_bytes(bytes.try_into().ok()?))
            });
            self.base.hurt(offset, &spoiled(before, other, random));
        }
    }

    /// An offset in the file, and how many bytes from there belong to the same thing.
    fn place(&self, area: Area, random: &mut Random) -> Option<(u64, u64)> {
        match area {
            Area::Headers => {
                let at = random.below(self.base.headers());
                Some((at, self.base.headers() - at))
            }
            Area::Anywhere => {
                let at = self.base.physical(random.below(self.base.stored()) & !7);
                Some((self.base.offset(at)?, 4096 - (at & 4095)))
            }
            _ => {
                let Range { start, end } = random.one_of(self.places.of(area))?.clone();
                let at = start + (random.below(end - start) & !7);
                Some((self.base.offset(at)?, end - at))
            }
        }
    }
}

fn options() -> OpenOptions {
    OpenOptions::default()
}

fn opener(path: PathBuf) -> impl Fn() -> Result<Dump, OpenError> + Send + 'static {
    move || Dump::open(std::slice::from_ref(&path), options())
}

/// Other bytes for these. `other` is a word from the same kind of structure: it makes cycles.
fn spoiled(mut bytes: Vec<u8>, other: Option<u64>, random: &mut Random) -> Vec<u8> {
    let len = bytes.len() as u64;
    match random.below(8) {
        0 => {
            let at = random.below(len.min(16)) as usize;
            bytes.truncate(at + 1);
            bytes[at] ^= 1 << random.below(8);
        }
        1 => {
            let word = match random.below(7) {
                0 => 0,
                1 => u64::MAX,
                2 => u64::MAX - random.below(1 << 16),
                3 => random.next(),
                4 => 0x6b6b_6b6b_6b6b_6b6b,
                5 => 1 << 63 | random.below(1 << 40),
                _ => u64::from(random.next() as u32),
            };
            bytes.truncate(8);
            let len = bytes.len();
            bytes.copy_from_slice(&word.to_le_bytes()[..len]);
        }
        2 | 3 => {
            let word = other.unwrap_or(1).wrapping_add(random.below(2) * 8);
            bytes.truncate(8);
            let len = bytes.len();
            bytes.copy_from_slice(&word.to_le_bytes()[..len]);
        }
        4 => bytes.fill(0),
        5 => bytes.fill(0xff),
        6 => bytes.iter_mut().for_each(|byte| *byte = random.next() as u8),
        _ => {
            for _ in 0..1 + len / 32 {
                let (a, b) = (random.below(len), random.below(len));
                bytes.swap(a as usize, b as usize);
            }
        }
    }
    bytes
}

/// Damage to a compressed dump's own structures: headers, bitmaps, page descriptors, page data.
fn spoil_file(bytes: &mut Vec<u8>, random: &mut Random) {
    if random.below(6) == 0 {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
    }
    for _ in 0..1 + random.below(32) {
        let reach = [512, 4608, 1 << 16, 1 << 20, u64::MAX][random.below(5) as usize];
        let at = random.below(reach.min(bytes.len() as u64)) as usize;
        let end = (at + 1 + random.below(16) as usize).min(bytes.len());
        let word = [0, u64::MAX, random.next(), 1 << random.below(64)][random.below(4) as usize];
        for (byte, new) in bytes[at..end].iter_mut().zip(word.to_le_bytes()) {
            *byte = new;
        }
    }
}

fn difference(whole: Option<&String>, now: Option<&String>) -> String {
    let (Some(whole), Some(now)) = (whole, now) else { return "no answer".to_owned() };
    let pair = whole.lines().zip(now.lines().chain(std::iter::repeat("(end)")));
    let pair = pair.into_iter().find(|(a, b)| a != b);
    pair.map_or("more lines".to_owned(), |(a, b)| format!("{a:?} is now {b:?}"))
}

/// The most memory that this process ever used, in bytes; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// Which cases to run.
fn wanted() -> Range<u64> {
    let Ok(text) = std::env::var("NECROPSY_DAMAGE") else { return 0..DEFAULT_CASES };
    match text.split_once("..") {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => 0..text.parse().unwrap(),
    }
}

fn sources() -> Vec<PathBuf> {
    let list = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let mut sources = list(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps"));
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "kdump"));
    if let Some(lab) = std::env::var_os("NECROPSY_LAB") {
        let folders = list(Path::new(&lab).join("out"));
        let nulls = folders.iter().filter(|f| f.to_string_lossy().ends_with("-null"));
        sources.extend(nulls.map(|folder| folder.join("kdump-c")).filter(|path| path.exists()));
    }
    sources
}

#[test]
fn nothing_panics_hangs_or_swells() {
    let sources = sources();
    if sources.is_empty() {
        eprintln!("SKIPPED: no dump in tests/dumps, and no NECROPSY_LAB");
        return;
    }
    note_panics();
    let (wanted, begun) = (wanted(), Instant::now());
    let mut failures = Vec::new();
    let mut opened = 0;
    let mut slowest = (Duration::ZERO, String::new());
    let count = sources.len() as u64;
    for (index, source) in (0..).zip(&sources) {
        let mut patient = Patient::new(source);
        for number in wanted.clone().filter(|number| number % count == index) {
            let area = AREAS[(number / count % AREAS.len() as u64) as usize];
            let started = Instant::now();
            let wrong = patient.case(area, &mut Random(number));
            let name = format!("case {number} ({area:?} of {})", patient.base.name);
            slowest = slowest.max((started.elapsed(), name.clone()));
            opened += 1;
            for failure in wrong {
                eprintln!("{name}: {failure}");
                failures.push(format!("{name}: {failure}"));
            }
        }
    }
    let peak = peak_memory();
    eprintln!(
        "{opened} damaged dumps in {:.0?}, the slowest {:.1?} ({}), peak {} MB",
        begun.elapsed(),
        slowest.0,
        slowest.1,
        peak >> 20
    );
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(peak < MEMORY_LIMIT, "{} MB of memory", peak >> 20);
}
