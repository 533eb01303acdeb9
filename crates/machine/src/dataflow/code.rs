//! The instructions of a function and how control passes between them.

use std::collections::{BTreeMap, BTreeSet};

use necropsy_disasm::{Effects, Flow};

use super::{
    source::{Fixup, Region, Source},
    state::{Origin, State},
    transfer,
};
use crate::{Architecture, Target};

/// The longest piece of code that is believed to be one function, in bytes.
const MAX_FUNCTION: u64 = 256 << 10;

/// The most instructions of one function, its moved parts included.
const MAX_INSTRUCTIONS: usize = 30_000;

/// The most parts that a function may have elsewhere.
const MAX_REGIONS: usize = 6;

/// One reachable instruction.
#[derive(Debug, Clone)]
pub struct Insn {
    /// What it does.
    pub effects: Effects,
    /// Address of the instruction behind it.
    pub end: u64,
    /// Where control may pass to within the function, exceptions aside.
    pub next: Vec<u64>,
    /// It calls the tracer, which preserves every register.
    pub traced: bool,
}

/// A function's reachable code.
#[derive(Clone)]
pub struct Code {
    pub(super) architecture: &'static dyn Architecture,
    /// Address of the first instruction.
    pub start: u64,
    /// Reachable instructions by address.
    pub instructions: BTreeMap<u64, Insn>,
    /// Direct jumps out of the function to the beginning of another: where, and to which.
    pub tail_calls: Vec<(u64, u64)>,
    /// Instructions that more than one other, or none before them, lead to.
    pub(super) leaders: BTreeSet<u64>,
    /// Jumps to an address that is computed.
    pub(super) indirect: Vec<u64>,
    pub(super) fixups: Vec<Fixup>,
    /// Whom control comes from: the mirror of `Insn::next`.
    pub(super) previous: BTreeMap<u64, Vec<u64>>,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("start", &self.start).finish_non_exhaustive()
    }
}

/// Bytes of one region.
struct Piece {
    region: Region,
    bytes: Vec<u8>,
}

impl Code {
    /// Explores the function at `start`. `None` if its extent is not known, or control may reach
    /// what is no code or cannot be read.
    pub(super) fn explore(source: &dyn Source, start: u64) -> Option<Code> {
        let mut pieces = vec![Piece::read(source, start)?];
        if pieces[0].region.start != start {
            return None;
        }
        let mut code = Code {
            architecture: source.architecture(),
            start,
            instructions: BTreeMap::new(),
            tail_calls: Vec::new(),
            leaders: BTreeSet::from([start]),
            indirect: Vec::new(),
            fixups: source.fixups(start, pieces[0].region.end)?,
            previous: BTreeMap::new(),
        };
        let mut todo = vec![start];
        while let Some(at) = todo.pop() {
            if code.instructions.contains_key(&at) {
                continue;
            }
            if code.instructions.len() >= MAX_INSTRUCTIONS {
                return None;
            }
            let piece = pieces.iter().find(|piece| piece.holds(at))?;
            let offset = usize::try_from(at - piece.region.start).ok()?;
            let rest = piece.bytes.get(offset..)?;
            // What is no instruction was never meant to be reached: it follows a call or a trap
            // that does not come back, or we are astray.
            let effects = decode(code.architecture, rest, at)?;
            let end = at.wrapping_add(effects.length.into());
            let next = code.successors(source, &mut pieces, at, end, &effects)?;
            let fixups = code.fixups.iter().filter(|fixup| fixup.at == at);
            for to in fixups.map(|fixup| fixup.to).collect::<Vec<_>>() {
                code.enter(source, &mut pieces, to)?;
                code.leaders.insert(to);
                todo.push(to);
            }
            if next.as_slice() != [end] {
                code.leaders.extend(&next);
            }
            todo.extend(&next);
            for to in &next {
                let previous = code.previous.entry(*to).or_default();
                previous.push(at);
                if previous.len() > 1 {
                    code.leaders.insert(*to);
                }
            }
            // ftrace patches its call in where a function begins.
            let traced = effects.flow == Flow::Call
                && at.wrapping_sub(start) <= code.architecture.abi().tracer_offset
                && effects.target.is_some_and(|target| source.traces(target));
            code.instructions.insert(at, Insn { effects, end, next, traced });
        }
        Some(code)
    }

    /// Where control passes to from the instruction at `at`.
    fn successors(
        &mut self,
        source: &dyn Source,
        pieces: &mut Vec<Piece>,
        at: u64,
        end: u64,
        effects: &Effects,
    ) -> Option<Vec<u64>> {
        let behind = || {
            // Only a call that does not return stands at the very end.
            let inside = pieces.iter().any(|piece| piece.holds(at) && piece.holds(end));
            if inside { vec![end] } else { Vec::new() }
        };
        match effects.flow {
            Flow::Next => Some(behind()),
            Flow::Call => {
                let returns = !effects.target.is_some_and(|target| source.never_returns(target));
                Some(if returns { behind() } else { Vec::new() })
            }
            // WARN goes on behind its ud2, BUG does not: either is possible.
            Flow::Trap if effects.traps => Some(
                behind()
                    .into_iter()
                    .filter(|next| decodes(self.architecture, pieces, *next))
                    .collect(),
            ),
            Flow::Trap | Flow::Return => Some(Vec::new()),
            Flow::Jump | Flow::ConditionalJump => {
                let mut next =
                    if effects.flow == Flow::ConditionalJump { behind() } else { Vec::new() };
                match effects.target {
                    None => self.indirect.push(at),
                    Some(target) if source.thunk(target).is_some() => self.indirect.push(at),
                    Some(target) => {
                        if self.enter(source, pieces, target)? {
                            next.push(target);
                        } else {
                            self.tail_calls.push((at, target));
                        }
                    }
                }
                next.dedup();
                Some(next)
            }
        }
    }

    /// Makes sure that the code at `target` is at hand. `false` if it is another function.
    fn enter(&mut self, source: &dyn Source, pieces: &mut Vec<Piece>, target: u64) -> Option<bool> {
        if pieces.iter().any(|piece| piece.holds(target)) {
            return Some(true);
        }
        let region = source.region(target)?;
        if region.start == target && !region.cold {
            return Some(false);
        }
        if pieces.len() >= MAX_REGIONS {
            return None;
        }
        let piece = Piece::read(source, target)?;
        self.fixups.extend(source.fixups(piece.region.start, piece.region.end)?);
        pieces.push(piece);
        Some(true)
    }

    /// The call instruction that returns to `address`.
    pub fn call_before(&self, address: u64) -> Option<(u64, &Insn)> {
        let first = address.saturating_sub(self.architecture.abi().longest_instruction as u64);
        self.instructions
            .range(first..address)
            .find(|(_, insn)| insn.end == address && insn.effects.flow == Flow::Call)
            .map(|(at, insn)| (*at, insn))
    }

    /// The instructions that lead to the one at `address`.
    pub fn before(&self, address: u64) -> &[u64] {
        self.previous.get(&address).map_or(&[], Vec::as_slice)
    }
}

impl Piece {
    fn read(source: &dyn Source, address: u64) -> Option<Piece> {
        let region = source.region(address)?;
        let len = region.end.checked_sub(region.start).filter(|len| *len <= MAX_FUNCTION)?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let page = source.page_size();
        // A page that is missing hurts only if control may reach it.
        let mut read = 0;
        while read < bytes.len() {
            let at = region.start.checked_add(read as u64)?;
            let n = ((page - (at & (page - 1))) as usize).min(bytes.len() - read);
            if source.read(at, &mut bytes[read..read + n]).is_err() {
                break;
            }
            read += n;
        }
        bytes.truncate(read);
        Some(Piece { region, bytes })
    }

    fn holds(&self, address: u64) -> bool {
        (self.region.start..self.region.end).contains(&address)
    }
}

/// What the instruction at the start of `bytes` does.
fn decode(architecture: &dyn Architecture, bytes: &[u8], at: u64) -> Option<Effects> {
    let longest = bytes.len().min(architecture.abi().longest_instruction);
    necropsy_disasm::effects(architecture.isa(false), &bytes[..longest], at)
}

/// Whether an instruction stands at `at`.
fn decodes(architecture: &dyn Architecture, pieces: &[Piece], at: u64) -> bool {
    let Some(piece) = pieces.iter().find(|piece| piece.holds(at)) else { return false };
    let offset = usize::try_from(at - piece.region.start).ok();
    let rest = offset.and_then(|offset| piece.bytes.get(offset..)).unwrap_or_default();
    decode(architecture, rest, at).is_some()
}

/// Instructions of an entry of a table of far calls.
const LONGEST_ENTRY: usize = 5;

/// The function that a call to `address` reaches in the end, where that is an entry of a module's
/// table of far calls: code without a name that only loads an address and jumps there
/// (arch/arm64/kernel/module-plts.c). `None` for everything else.
pub fn far_call(target: &Target, address: u64) -> Option<u64> {
    if target.locate(address).is_some_and(|found| found.offset == 0) {
        return None;
    }
    let mut state = State::entry(target.abi());
    let mut at = address;
    for _ in 0..LONGEST_ENTRY {
        let longest = target.abi().longest_instruction as u64;
        let effects = decode(target.architecture(), &target.read_bytes(at, longest).ok()?, at)?;
        match (effects.flow, effects.target, &effects.indirect) {
            (Flow::Next, ..) => {}
            (Flow::Jump, Some(to), _) => return Some(to),
            (Flow::Jump, None, Some(pointer)) => {
                return match transfer::evaluate(&state, pointer)? {
                    Origin::Constant(to) => Some(to),
                    _ => None,
                };
            }
            _ => return None,
        }
        let end = at.wrapping_add(effects.length.into());
        let insn = Insn { effects, end, next: vec![end], traced: false };
        transfer::step(&mut state, at, &insn);
        at = end;
    }
    None
}
