//! Whether code hangs together, from the code alone: each function is instructions up to the next
//! symbol, and every branch leads to where one begins.

use std::sync::atomic::{AtomicU64, Ordering};

use necropsy_disasm::{Branch, Isa, outline};
use necropsy_machine::Image;
use rayon::prelude::*;

use super::{
    super::{Checker, Class, Confidence},
    function, given_back,
};
use crate::Kernel;

/// More code than all images have, in bytes: it is held while it is looked at.
const MOST: u64 = 128 << 20;
/// Of so many one may be wrong, and of few some: more are not damage, but code of another kind.
const RIGHT_FOR_ONE: usize = 1000;
const WRONG_OF_FEW: usize = 2;
const PAGE: usize = 4096;
/// Behind it may stand words to a hypervisor, which are no instruction (XEN_EMULATE_PREFIX of
/// arch/x86/include/asm/emulate_prefix.h).
const UD2: [u8; 2] = [0x0f, 0x0b];

pub(super) fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let gone = given_back(kernel);
    let mut left = MOST;
    for image in kernel.target().images() {
        for range in image.ranges.iter().filter(|range| range.text) {
            if gone.contains(&range.start) {
                continue;
            }
            let end = if range.contains(gone.start) { gone.start } else { range.end };
            // Lengths are the dump's: what they claim together is bounded.
            let Some(rest) = left.checked_sub(end.saturating_sub(range.start)) else {
                checker.unread("ranges of code", 1, None);
                continue;
            };
            left = rest;
            if let Some(code) = Code::read(kernel, image, range.start, end) {
                look(checker, &code);
            }
            if checker.stopped() {
                return;
            }
        }
    }
}

/// A range of code of one image.
struct Code {
    start: u64,
    bytes: Vec<u8>,
    /// Which pieces of it, a page long, can be read.
    read: Vec<bool>,
    /// Where each symbol begins, and the next, ascending.
    functions: Vec<(u64, u64)>,
    isa: Isa,
    /// A bit for each byte at which an instruction begins.
    begins: Vec<AtomicU64>,
}

impl Code {
    fn read(kernel: &Kernel, image: &Image, start: u64, end: u64) -> Option<Code> {
        let len = usize::try_from(end.checked_sub(start)?).ok()?;
        let mut bytes = vec![0; len];
        let at = |index: usize| start.wrapping_add((index * PAGE) as u64);
        let pieces = bytes.chunks_mut(PAGE).enumerate();
        let read = pieces.map(|(index, piece)| kernel.target().read(at(index), piece).is_ok());
        let read: Vec<bool> = read.collect();
        // What a probe replaced is what was meant.
        for probe in kernel.kprobes().iter().filter(|probe| (start..end).contains(&probe.address)) {
            let at = (probe.address - start) as usize;
            let here = bytes.get_mut(at..at + probe.original.len());
            here.into_iter().for_each(|here| here.copy_from_slice(&probe.original));
        }
        let symbols = image.symbols.iter().filter(|symbol| symbol.is_text());
        let within = symbols.map(|symbol| symbol.address).filter(|at| (start..end).contains(at));
        let mut symbols: Vec<u64> = within.chain([end]).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let two_ways = |start: u64| is_two_ways(&function(kernel, start));
        let functions = symbols.array_windows().filter(|[start, _]| !two_ways(*start));
        let functions = functions.map(|[start, next]| (*start, *next)).collect();
        let begins = std::iter::repeat_with(AtomicU64::default).take(len / 64 + 1).collect();
        Some(Code { start, bytes, read, functions, isa: kernel.target().isa(), begins })
    }

    /// The code from `start` to `end`, if all of it was read.
    fn get(&self, (start, end): (u64, u64)) -> Option<&[u8]> {
        let (from, to) = ((start - self.start) as usize, (end - self.start) as usize);
        let pages = self.read.get(from / PAGE..to.div_ceil(PAGE))?;
        pages.iter().all(|read| *read).then(|| self.bytes.get(from..to))?
    }

    /// Notes where instructions of a function begin; the first byte that cannot be decoded. `None` of a
    /// function that could not be read.
    fn begin(&self, of: (u64, u64)) -> Option<Option<u64>> {
        let bytes = self.get(of)?;
        let broken = outline(self.isa, bytes, of.0, |at, _| {
            let at = (of.0 - self.start) as usize + at;
            if let Some(word) = self.begins.get(at / 64) {
                word.fetch_or(1 << (at % 64), Ordering::Relaxed);
            }
        });
        // Between the sections of a module, and behind the last, there are zeros.
        let filled = |at: &usize| bytes.get(*at..).is_some_and(|rest| rest.iter().all(|b| *b == 0));
        Some(broken.filter(|at| !filled(at)).map(|at| of.0.wrapping_add(at as u64)))
    }

    fn begins_at(&self, address: u64) -> bool {
        let at = address.wrapping_sub(self.start) as usize;
        let word = self.begins.get(at / 64).map(|word| word.load(Ordering::Relaxed));
        word.is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Whether it is known where instructions begin there: not in a function that could not be read, or
    /// that is decoded in more than one way.
    fn knows(&self, address: u64) -> bool {
        let next = self.functions.partition_point(|(start, _)| *start <= address);
        let of = next.checked_sub(1).and_then(|at| self.functions.get(at));
        of.is_some_and(|of| address < of.1 && self.get(*of).is_some())
    }

    /// How many branches a function has, and those that lead to where no instruction begins: from where
    /// to where.
    fn astray(&self, of: (u64, u64)) -> (usize, Vec<(u64, u64)>) {
        let (mut count, mut found) = (0, Vec::new());
        let Some(bytes) = self.get(of) else { return (count, found) };
        outline(self.isa, bytes, of.0, |at, branch| {
            let Some(Branch::Call(to) | Branch::Jump(to)) = branch else { return };
            let words = bytes.get(..at).is_some_and(|before| before.ends_with(&UD2));
            if !words && self.knows(to) {
                count += 1;
                if !self.begins_at(to) && found.len() < WRONG_OF_FEW {
                    found.push((of.0.wrapping_add(at as u64), to));
                }
            }
        });
        (count, found)
    }
}

fn look(checker: &mut Checker<'_>, code: &Code) {
    let functions = &code.functions;
    let begun: Vec<Option<Option<u64>>> = functions.par_iter().map(|of| code.begin(*of)).collect();
    let missing = begun.iter().filter(|function| function.is_none()).count();
    if missing != 0 {
        checker.unread("functions", missing as u64, None);
    }
    checker.count("functions", (begun.len() - missing) as u64);
    let broken = functions.iter().zip(begun).filter_map(|(of, begun)| Some((of.0, begun??)));
    let broken: Vec<(u64, u64)> = broken.collect();
    let text = "its bytes are not instructions up to the next symbol";
    tell(
        checker,
        "instructions",
        text,
        broken.iter().map(|(of, at)| (*of, *at, None)),
        functions.len(),
    );
    let led: Vec<(usize, Vec<(u64, u64)>)> =
        functions.par_iter().map(|of| code.astray(*of)).collect();
    let branches = led.iter().map(|(count, _)| count).sum();
    checker.count("branches", branches as u64);
    let astray = functions
        .iter()
        .zip(&led)
        .flat_map(|(of, (_, astray))| astray.iter().map(|(from, to)| (of.0, *from, Some(*to))));
    tell(checker, "branch", "a branch leads into the middle of an instruction", astray, branches);
}

/// Tells what is wrong: in which function, where, and what was found. Of too much it is said that it
/// was left out.
fn tell(
    checker: &mut Checker<'_>,
    check: &'static str,
    text: &str,
    wrong: impl Iterator<Item = (u64, u64, Option<u64>)>,
    all: usize,
) {
    let wrong: Vec<(u64, u64, Option<u64>)> = wrong.collect();
    if wrong.len() > (all / RIGHT_FOR_ONE).max(WRONG_OF_FEW) {
        return checker.unknown_here("places of an unknown kind in code", wrong.len() as u64);
    }
    for (start, at, found) in wrong {
        let name = function(checker.kernel, start);
        let finding = checker.find(check, Class::Text, name, at, text).start(start);
        found.iter().for_each(|found| {
            finding.found(*found);
        });
        finding.confidence(Confidence::Likely);
    }
}

/// Whether a function is made to be decoded in more than one way: thunks that keep the processor
/// from guessing (arch/x86/lib/retpoline.S), and what begins in 32-bit mode.
fn is_two_ways(name: &str) -> bool {
    name.starts_with("__x86_") || name.ends_with("_untrain_ret") || name == "pvh_start_xen"
}
