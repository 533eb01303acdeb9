//! What ran after the registers were saved: the frames by which a kernel leaves lie below them.
//!
//! What a dying CPU notes are the registers of the moment it was interrupted, not those of the code that
//! wrote the note. The deepest live frame is looked for: a word of a stack that follows a call, from which
//! the tables lead, call by call, to the very registers that were noted. Leftovers of calls that have
//! returned do not: somewhere on their way lies the return address of another call, made later.

use std::cell::Cell;

use necropsy_dump::Fault;

use super::{FoundBy, Frame, Stack, Start, Step, cfi, scan};
use crate::{Target, dataflow};

/// The frames below noted registers, and where the two meet.
#[derive(Debug)]
pub struct Above {
    /// Innermost first; the last one is called by, or entered from, the noted registers.
    pub frames: Vec<Frame>,
    /// Where the trace goes on.
    pub meets: Meeting,
}

/// How the frames below lead to noted registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// An exception saved those registers, at this stack address.
    Exception(u64),
    /// The function that noted its own registers: it goes on from this return address, which lies in
    /// this slot.
    Function {
        /// The return address.
        pc: u64,
        /// Where it lies.
        slot: u64,
    },
}

/// Frames on the way from the deepest one to the registers.
const MAX_DEPTH: usize = 64;

/// Looks for the deepest frame from which the tables lead to the registers of `start`. The fault is of the
/// first code or table that could not be read where a deeper one may be, for [`super::Trace::unread`].
pub fn above(target: &Target, start: &Start, stacks: &[Stack]) -> (Option<Above>, Option<Fault>) {
    let search = Search { target, start, stacks, fault: Cell::new(None) };
    let found = stacks.iter().filter_map(|stack| search.on_stack(stack));
    let found = found.max_by_key(|above| above.frames.len());
    // Who calls whom is told by names: where some are missing, a way may be that is not seen.
    (found, search.fault.get().or_else(|| target.symbols_fault()))
}

/// Whether an exception saved the registers of `start`: what the processor pushes of them lies on another
/// stack, or below their stack pointer. What a function notes of itself lies in its own frame.
pub fn exception_saved(target: &Target, start: &Start, stacks: &[Stack]) -> bool {
    let (Some(pc), Some(sp)) = (start.regs.pc(), start.regs.sp()) else { return false };
    let word = u64::from(target.pointer_size());
    stacks.iter().any(|stack| {
        let end = if (stack.start..stack.end).contains(&sp) { sp } else { stack.end };
        let last = end.saturating_sub(target.architecture().saved_size() as u64);
        (stack.start..last).step_by(word as usize).any(|at| {
            let saved = target.architecture().exception_frame(target, at);
            saved.is_some_and(|regs| regs.pc() == Some(pc) && regs.sp() == Some(sp))
        })
    })
}

/// A search for the deepest frame.
struct Search<'a> {
    target: &'a Target,
    start: &'a Start,
    stacks: &'a [Stack],
    /// The first thing that could not be read.
    fault: Cell<Option<Fault>>,
}

impl Search<'_> {
    fn note(&self, fault: Fault) {
        self.fault.set(self.fault.get().or(Some(fault)));
    }

    /// Notes it if the code before a return address cannot be read, and so not told whether it is one.
    fn note_unread(&self, pc: u64) {
        if self.target.is_text(pc)
            && let Err(fault) = self.target.read_u8(pc.wrapping_sub(1))
        {
            self.note(fault);
        }
    }

    fn on(&self, sp: u64) -> Option<&Stack> {
        self.stacks.iter().find(|stack| (stack.start..stack.end).contains(&sp))
    }

    fn on_stack(&self, stack: &Stack) -> Option<Above> {
        let (target, start) = (self.target, self.start);
        let word = u64::from(target.pointer_size());
        // The frames of what noted its own registers lie below them.
        let end = match start.regs.sp() {
            Some(sp) if (stack.start..stack.end).contains(&sp) => sp,
            _ => stack.end,
        };
        let slots = (stack.start..end.saturating_sub(word - 1)).step_by(word as usize);
        slots.into_iter().find_map(|slot| {
            let pc = target.read_pointer(slot).ok()?;
            if !target.architecture().follows_call(target, pc) {
                self.note_unread(pc);
                return None;
            }
            let sp = slot.saturating_add(word);
            let mut first = Frame::returning(target.abi(), pc, sp, slot, FoundBy::Search);
            first.stack = Some(stack.kind);
            if target.frame_pointers() {
                // What was called saved it right below.
                let saved = target.read_pointer(slot.saturating_sub(word)).ok();
                first.regs.put(target.abi().frame_pointer, saved);
            }
            self.lead(first)
        })
    }

    /// Follows calls from a frame to the registers.
    fn lead(&self, first: Frame) -> Option<Above> {
        let target = self.target;
        let (pc, sp) = (self.start.regs.pc()?, self.start.regs.sp()?);
        let function = target.locate(pc).map(|at| at.symbol.address);
        let same_function = |frame: &Frame| {
            let at = target.locate(frame.lookup_pc()).map(|at| at.symbol.address);
            frame.sp == sp && at.is_some() && at == function
        };
        let mut frames = vec![first];
        // What noted its own registers has called the function that is looked for.
        if same_function(&first) {
            return None;
        }
        while frames.len() < MAX_DEPTH {
            let frame = frames.last()?;
            let here = self.on(frame.sp)?;
            let step = match target.architecture().step(target, frame) {
                Step::Unknown if target.frame_pointers() => {
                    target.architecture().frame_pointer(target, frame, here)
                }
                step => step,
            };
            let next = match step {
                Step::Frame(next) => Some(next),
                Step::User(at, regs) => {
                    let meets = regs.pc() == Some(pc) && regs.sp() == Some(sp);
                    return meets.then_some(Above { frames, meets: Meeting::Exception(at) });
                }
                Step::End => return None,
                Step::Fault(fault) => {
                    self.note(fault);
                    cfi::step(target, frame)
                }
                Step::Unknown => cfi::step(target, frame),
            };
            let mut next = next.or_else(|| scan::called_from(target, frame, Some(here)))?;
            next.stack = self.on(next.sp).map(|stack| stack.kind);
            if next.saved_regs {
                if next.pc == pc && next.sp == sp {
                    return Some(Above { frames, meets: Meeting::Exception(next.slot) });
                }
            } else if !next.interrupted && !self.called(frame, &next) {
                return None;
            }
            if self.on(next.sp) == Some(here) && next.sp <= frame.sp {
                return None;
            }
            if !next.interrupted && same_function(&next) {
                let meets = Meeting::Function { pc: next.pc, slot: next.slot };
                return Some(Above { frames, meets });
            }
            cfi::recover(target, frame, &mut next);
            dataflow::recover(target, frame, &mut next);
            frames.push(next);
        }
        None
    }

    /// Whether the call that `caller` made can have led to the function of `callee`. What a call by a
    /// pointer called is not known.
    fn called(&self, callee: &Frame, caller: &Frame) -> bool {
        let target = self.target;
        let architecture = target.architecture();
        let Some(called) = architecture.direct_call(target, caller.pc) else {
            self.note_unread(caller.pc);
            return architecture.follows_call(target, caller.pc);
        };
        let called = dataflow::far_call(target, called).unwrap_or(called);
        let (Some(to), Some(callee)) = (target.locate(called), target.locate(callee.lookup_pc()))
        else {
            return false;
        };
        // Parts of a function that the compiler put elsewhere go by its name: `panic.cold`.
        let plain = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
        let name = plain(callee.symbol.name);
        let is_callee = |address: u64| {
            address == callee.symbol.address
                || target.locate(address).is_some_and(|at| plain(at.symbol.name) == name)
        };
        is_callee(called)
            || architecture.thunk(to.symbol.name, to.offset).is_some()
            || self.jumps(called, is_callee)
    }

    /// Whether a function may leave by a jump to a certain one, or by one to another that does.
    fn jumps(&self, from: u64, is_it: impl Fn(u64) -> bool) -> bool {
        /// Jumps in a row, and functions that are looked at.
        const MAX_JUMPS: usize = 6;
        const MAX_FUNCTIONS: usize = 64;
        let mut unread = None;
        let mut reached = vec![from];
        let mut first = 0;
        for _ in 0..MAX_JUMPS {
            let mut next: Vec<u64> = Vec::new();
            for start in &reached[first..] {
                match dataflow::beginning_at(self.target, *start) {
                    Some(function) => {
                        next.extend(function.code().tail_calls.iter().map(|(_, to)| *to));
                    }
                    None => unread = unread.or_else(|| dataflow::unread(self.target, *start)),
                }
            }
            if next.iter().any(|to| is_it(*to)) {
                return true;
            }
            first = reached.len();
            for start in next {
                if !reached.contains(&start) && reached.len() < MAX_FUNCTIONS {
                    reached.push(start);
                }
            }
        }
        // It may have jumped where it cannot be read.
        if let Some(fault) = unread {
            self.note(fault);
        }
        false
    }
}
