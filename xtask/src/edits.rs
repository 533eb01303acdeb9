//! How good `check` is: a raw dump is damaged in one place after the other, each chosen by a seed,
//! and what `check` says is compared with what was done.
//!
//! Each edit is a row of a manifest: which kind of place, in which object, how (a bit, a byte, a
//! word, a page), what was there and what is there now. Found counts when a finding that the
//! undamaged dump has not is about that object; elsewhere, when one has nothing to do with it.

mod victims;

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    sync::atomic::AtomicBool,
};

use anyhow::{Context, Result, bail};
use necropsy_linux::{
    Kernel,
    check::{self, Finding},
};
use victims::{KINDS, Kind, Victim};

/// A small generator with a fixed seed (Knuth's MMIX constants): edits can be repeated.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0.rotate_left(32)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 1) % end.max(1)
    }

    pub(crate) fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }
}

/// Where the bytes of physical memory lie in a raw ELF dump: start, end, place in the file.
struct Segments(Vec<(u64, u64, u64)>);

impl Segments {
    fn read(path: &Path) -> Result<Segments> {
        let mut head = vec![0; 1 << 16];
        let count = File::open(path)?.read(&mut head)?;
        head.truncate(count);
        if !head.starts_with(b"\x7fELF\x02\x01") {
            bail!("{}: no raw ELF dump of a little-endian 64-bit machine", path.display());
        }
        let number = |at: usize, size: usize| -> u64 {
            let bytes = head.get(at..at + size).unwrap_or_default();
            bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        let mut segments = Vec::new();
        for index in 0..count {
            let at = (first + index * size) as usize;
            const PT_LOAD: u64 = 1;
            if number(at, 4) == PT_LOAD {
                let (offset, physical, bytes) =
                    (number(at + 8, 8), number(at + 24, 8), number(at + 32, 8));
                segments.push((physical, physical.saturating_add(bytes), offset));
            }
        }
        Ok(Segments(segments))
    }

    fn place(&self, physical: u64) -> Option<u64> {
        let inside = |(start, end, _): &&(u64, u64, u64)| (*start..*end).contains(&physical);
        let (start, _, offset) = self.0.iter().find(inside)?;
        Some(offset + (physical - start))
    }
}

/// How a place is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    Bit,
    Byte,
    Word,
    Page,
}

/// What was done, for the manifest.
struct Edit {
    victim: Victim,
    how: How,
    address: u64,
    offset: u64,
    before: Vec<u8>,
    after: Vec<u8>,
}

#[derive(Default, Clone, Copy)]
struct Score {
    edits: u32,
    found: u32,
    named: u32,
    elsewhere: u32,
}

/// Damages a copy of `dump` in so many places, one after the other. `files` are debug information.
pub(crate) fn run(dump: &str, seed: u64, count: u32, files: &[&str]) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("edits").tempdir_in(home()?)?;
    let copy = folder.path().join("vmcore");
    std::fs::copy(dump, &copy).with_context(|| dump.to_owned())?;
    let segments = Segments::read(&copy)?;
    let whole = open(&copy, files)?;
    let baseline: Vec<Finding> = check::run(&whole, &[], &AtomicBool::new(false)).findings;
    eprintln!("{dump}: {} findings before any edit", baseline.len());
    let mut random = Random(seed);
    let mut scores: BTreeMap<&'static str, Score> = BTreeMap::new();
    let mut total = Score::default();
    let mut file = OpenOptions::new().read(true).write(true).open(&copy)?;
    let mut kinds = KINDS.iter().cycle();
    let (mut number, mut tries) = (0, 0);
    while number < count && tries < count * 20 {
        tries += 1;
        let Some(kind) = kinds.next() else { break };
        let Some(edit) = choose(&whole, &segments, &mut file, kind, &mut random)? else { continue };
        number += 1;
        write_at(&mut file, edit.offset, &edit.after)?;
        let found = open(&copy, files)
            .map(|kernel| check::run(&kernel, &[], &AtomicBool::new(false)).findings)
            .unwrap_or_default();
        write_at(&mut file, edit.offset, &edit.before)?;
        let score = scores.entry(kind.name).or_default();
        judge(number, &edit, &baseline, &found, score, &mut total);
    }
    println!("\n{:<24} {:>5} {:>5} {:>5} {:>9}", "kind", "edits", "found", "named", "elsewhere");
    for (kind, score) in scores.iter().chain([(&"all", &total)]) {
        let Score { edits, found, named, elsewhere } = score;
        println!("{kind:<24} {edits:>5} {found:>5} {named:>5} {elsewhere:>9}");
    }
    Ok(())
}

fn home() -> Result<std::path::PathBuf> {
    let path = std::env::var_os("NECROPSY_EDITS").map(std::path::PathBuf::from);
    Ok(path.unwrap_or_else(std::env::temp_dir))
}

fn open(path: &Path, files: &[&str]) -> Result<std::sync::Arc<Kernel>> {
    let files = std::iter::once(path).chain(files.iter().map(Path::new));
    necropsy_loader::open(files).map_err(|error| anyhow::anyhow!("{error}"))
}

fn write_at(file: &mut File, offset: u64, bytes: &[u8]) -> Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)?;
    file.flush()?;
    Ok(())
}

/// Chooses a place of that kind, and what to write there; `None` where the dump has none, or the
/// same would be written.
fn choose(
    kernel: &Kernel,
    segments: &Segments,
    file: &mut File,
    kind: &Kind,
    random: &mut Random,
) -> Result<Option<Edit>> {
    let Some(victim) = (kind.choose)(kernel, random) else { return Ok(None) };
    let how = match random.below(10) {
        0..=3 => How::Bit,
        4..=5 => How::Byte,
        6..=8 => How::Word,
        _ if victim.page => How::Page,
        _ => How::Word,
    };
    let size = victim.size.max(1);
    let (address, len) = match how {
        How::Bit | How::Byte => {
            let byte = victim.low_byte + random.below(size - victim.low_byte.min(size - 1));
            (victim.address + byte.min(size - 1), 1)
        }
        How::Word => (victim.address, size),
        How::Page => (victim.address & !4095, 4096),
    };
    let Ok(physical) = kernel.target().translate(address) else { return Ok(None) };
    let Some(offset) = segments.place(physical) else { return Ok(None) };
    let mut before = vec![0; len as usize];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut before)?;
    let mut after = before.clone();
    match how {
        How::Bit => after[0] ^= 1 << random.below(8),
        How::Byte => after[0] ^= (1 + random.below(255)) as u8,
        How::Word => {
            let value = match random.below(4) {
                0 => 0x6b6b_6b6b_6b6b_6b6b,
                1 => 0x4141_4141_4141_4141,
                _ => random.next(),
            };
            after
                .iter_mut()
                .zip(value.to_le_bytes().iter().cycle())
                .for_each(|(to, from)| *to = *from);
        }
        How::Page => {
            let byte = [0x00, 0xff, 0x6b, b'?'][random.below(4) as usize];
            after.fill(byte);
        }
    }
    Ok((after != before).then_some(Edit { victim, how, address, offset, before, after }))
}

/// Whether a finding is about an object, or names it as the value that is wrong.
fn about(finding: &Finding, start: u64, end: u64) -> bool {
    let within = |at: u64| (start..end).contains(&at);
    within(finding.address) || finding.start.is_some_and(within)
}

fn judge(
    number: u32,
    edit: &Edit,
    baseline: &[Finding],
    found: &[Finding],
    score: &mut Score,
    total: &mut Score,
) {
    let Edit { victim, how, address, .. } = edit;
    let is_new = |finding: &&Finding| {
        !baseline.iter().any(|known| {
            known.check == finding.check
                && known.address == finding.address
                && known.found == finding.found
        })
    };
    let new: Vec<&Finding> = found.iter().filter(is_new).collect();
    // A page takes with it what lies on it.
    let (start, end) = match how {
        How::Page => (address & !4095, (address & !4095) + 4096),
        _ => (victim.start, victim.start + victim.extent.max(8)),
    };
    let named = new.iter().any(|finding| about(finding, start, end));
    // What points at the object, or where a damaged pointer leads, is a consequence.
    let linked = |finding: &Finding| {
        let related = |value: Option<u64>| value.is_some_and(|value| (start..end).contains(&value));
        let now = edit
            .after
            .get(..8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()));
        about(finding, start, end)
            || related(finding.expected)
            || related(finding.found)
            || victim
                .relatives
                .iter()
                .any(|other| finding.start == Some(*other) || finding.address == *other)
            || (now.is_some() && finding.found == now)
    };
    let elsewhere: Vec<&&Finding> =
        new.iter().filter(|finding| *how != How::Page && !linked(finding)).collect();
    for score in [score, total] {
        score.edits += 1;
        score.found += u32::from(!new.is_empty());
        score.named += u32::from(named);
        score.elsewhere += u32::from(named && !elsewhere.is_empty());
    }
    let hex = |bytes: &[u8]| bytes.iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
    let verdict = match (new.is_empty(), named) {
        (true, _) => "missed",
        (false, true) => "named",
        (false, false) => "found",
    };
    println!(
        "{{\"edit\":{number},\"kind\":{:?},\"object\":{:?},\"start\":\"{:x}\",\"how\":\"{how:?}\",\
         \"address\":\"{address:x}\",\"before\":\"{}\",\"after\":\"{}\",\"verdict\":\"{verdict}\",\
         \"findings\":{},\"elsewhere\":{},\"first\":{:?}}}",
        victim.kind,
        victim.object,
        victim.start,
        hex(&edit.before),
        hex(&edit.after),
        new.len(),
        elsewhere.len(),
        elsewhere.first().map_or_else(
            || new
                .first()
                .map_or(String::new(), |finding| format!("{} {}", finding.check, finding.object)),
            |finding| format!(
                "ELSEWHERE {} {} {}",
                finding.check, finding.object, finding.statement
            )
        ),
    );
}
