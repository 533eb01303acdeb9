//! Logs to test with, and the re-wrapper that puts them into other captures.
//! It is written apart from the reader: nothing of the crate is used here.

// Each test uses a part of it.
#![allow(dead_code, unreachable_pub)]

pub mod containers;
pub mod forms;

use std::path::PathBuf;

/// Random numbers that are the same in every run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 11) as usize % limit.max(1)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// One line of a console log.
#[derive(Clone, Debug)]
pub struct Record {
    /// Time in µs; None for a line without prefix.
    pub time_us: Option<u64>,
    /// `T123` or `C4`.
    pub caller: Option<String>,
    pub text: String,
}

/// A console log with its label.
pub struct Log {
    pub name: String,
    pub records: Vec<Record>,
    /// The log as it was.
    pub text: String,
    /// The expected title, in syzkaller's style.
    pub title: Option<String>,
    pub alternatives: Vec<String>,
    pub corrupted: bool,
}

impl Log {
    pub fn new(name: &str, text: &str) -> Log {
        Log {
            name: name.to_owned(),
            records: text.lines().map(Record::of).collect(),
            text: text.to_owned(),
            title: None,
            alternatives: Vec::new(),
            corrupted: false,
        }
    }
}

impl Record {
    fn of(line: &str) -> Record {
        let plain = Record { time_us: None, caller: None, text: line.to_owned() };
        let Some((inner, rest)) = line.strip_prefix('[').and_then(|l| l.split_once(']')) else {
            return plain;
        };
        let Some((seconds, micros)) = inner.trim().split_once('.') else { return plain };
        let (Ok(s), Ok(us)) = (seconds.parse::<u64>(), micros.parse::<u64>()) else { return plain };
        if micros.len() != 6 {
            return plain;
        }
        let (caller, rest) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((who, tail)) if who.trim().starts_with(['T', 'C']) => {
                (Some(who.trim().to_owned()), tail)
            }
            _ => (None, rest),
        };
        Record {
            time_us: Some(s * 1_000_000 + us),
            caller,
            text: rest.strip_prefix(' ').unwrap_or(rest).to_owned(),
        }
    }
}

/// The labelled examples, all that are there, by name.
pub fn examples() -> Vec<Log> {
    let root = match std::env::var_os("NECROPSY_CORPORA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
    };
    let folder = root.join("oops-examples/linux");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no examples in {} (set NECROPSY_CORPORA)", folder.display());
        return Vec::new();
    };
    let mut logs: Vec<Log> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let bytes: Vec<u8> =
                std::fs::read(&path).ok()?.into_iter().filter(|b| *b != b'\r').collect();
            let whole = String::from_utf8_lossy(&bytes).into_owned();
            let (head, body) = match whole.strip_prefix('\n') {
                Some(body) => ("", body),
                None => whole.split_once("\n\n")?,
            };
            let body = body.split("\n\nREPORT:\n").next().unwrap_or(body);
            let mut log = Log::new(&path.file_name()?.to_string_lossy(), body);
            for line in head.lines() {
                match line.split_once(": ") {
                    Some(("TITLE", title)) => log.title = Some(title.to_owned()),
                    Some(("ALT", title)) => log.alternatives.push(title.to_owned()),
                    Some(("CORRUPTED", _)) => log.corrupted = true,
                    _ => {}
                }
            }
            Some(log)
        })
        .collect();
    logs.sort_by(|a, b| a.name.cmp(&b.name));
    logs
}

/// The console logs of real crashes, where `NECROPSY_LAB` says.
pub fn consoles() -> Vec<Log> {
    let Some(lab) = std::env::var_os("NECROPSY_LAB").map(PathBuf::from) else {
        eprintln!("skipped: no console logs (set NECROPSY_LAB)");
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(lab.join("out")) else { return Vec::new() };
    let mut logs: Vec<Log> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let bytes = std::fs::read(folder.join("console.log")).ok()?;
            let text = String::from_utf8_lossy(&bytes).replace('\r', "");
            // What the firmware drew before the kernel came.
            let start = text.find("[    0.000000]")?;
            Some(Log::new(&folder.file_name()?.to_string_lossy(), &text[start..]))
        })
        .collect();
    logs.sort_by(|a, b| a.name.cmp(&b.name));
    logs
}
