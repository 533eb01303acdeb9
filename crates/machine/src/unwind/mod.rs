//! One unwinder, honest frames: each says how it was found, and a trace says why it ended.
//!
//! What the kernel itself keeps for that comes first (ORC on x86, or frame pointers in a kernel built with
//! them), then the rules of debug information, then the return address of a call of the function at hand,
//! then the frame pointer, then a scan for words that a call instruction could have left. A frame found by
//! scanning is a candidate, and is marked so.

mod cfi;
mod deepest;
mod scan;
#[cfg(test)]
mod tests;

use necropsy_dump::Fault;

use crate::{Target, regs::Regs};

pub use deepest::{Above, Meeting, above, exception_saved};

pub use crate::stack::{FoundBy, Frame, Stack, StackKind, Step};

/// Why a trace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The outermost frame.
    Complete,
    /// The stack could not be read on.
    Fault(Fault),
    /// Nothing says how to go on from here, and the stack above holds no return address.
    Lost,
    /// More frames than any stack holds.
    TooDeep,
}

/// A stack trace.
#[derive(Debug, Clone)]
pub struct Trace {
    /// What ran after the registers were saved that the trace begins with, innermost first: how the
    /// kernel left, or was stopped.
    pub above: Vec<Frame>,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// The registers with which user space entered the kernel, at this address on the stack.
    pub user: Option<(u64, Regs)>,
    /// Why it ended.
    pub end: End,
    /// The first thing that could not be read on the way. The frames behind were looked for, so a
    /// complete trace, too, can lack one.
    pub fault: Option<Fault>,
    /// What could not be read of that which tells what ran last: there may be frames further in.
    pub unread: Option<Fault>,
}

impl Trace {
    /// All frames, those above among them: their indexes are the numbers that a frame is called by.
    pub fn all(&self) -> Vec<Frame> {
        self.above.iter().chain(&self.frames).copied().collect()
    }

    /// The number that a frame of [`Trace::frames`] is called by.
    pub fn number(&self, index: usize) -> usize {
        self.above.len() + index
    }
}

/// No real stack is deeper: 32 KiB of the smallest frames.
const MAX_FRAMES: usize = 4096;

/// Where to begin.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// At least the program counter and the stack pointer.
    pub regs: Regs,
    /// The program counter is at the interrupted instruction, not a return address.
    pub interrupted: bool,
    /// The registers are a whole set.
    pub saved_regs: bool,
    /// Where the program counter was found; the stack pointer when on no stack.
    pub slot: Option<u64>,
}

/// Walks a stack from `start`. `stacks` are those which this CPU or task can be on.
pub fn unwind(target: &Target, start: &Start, stacks: &[Stack]) -> Trace {
    let (above, frames) = (Vec::new(), Vec::new());
    let mut trace = Trace { above, frames, user: None, end: End::Lost, fault: None, unread: None };
    let (Some(pc), Some(sp)) = (start.regs.pc(), start.regs.sp()) else {
        return trace;
    };
    let on = |sp: u64| stacks.iter().find(|s| (s.start..s.end).contains(&sp));
    if start.regs.user_mode() {
        trace.user = Some((sp, start.regs));
        trace.end = End::Complete;
        return trace;
    }
    let mut frame = Frame {
        pc,
        sp,
        slot: start.slot.unwrap_or(sp),
        found_by: FoundBy::Registers,
        interrupted: start.interrupted,
        regs: start.regs,
        saved_regs: start.saved_regs,
        stack: on(sp).map(|s| s.kind),
    };
    loop {
        trace.frames.push(frame);
        if trace.frames.len() >= MAX_FRAMES {
            trace.end = End::TooDeep;
            return trace;
        }
        let here = on(frame.sp);
        // A kernel with frame pointers has no tables: they come first then.
        let pointers = target.frame_pointers().then_some(here).flatten();
        let step = match target.architecture().step(target, &frame) {
            Step::Unknown => pointers.map_or(Step::Unknown, |stack| {
                target.architecture().frame_pointer(target, &frame, stack)
            }),
            step => step,
        };
        let next = match step {
            Step::Frame(next) => Some(next),
            Step::User(at, regs) => {
                trace.user = Some((at, regs));
                trace.end = End::Complete;
                return trace;
            }
            Step::End => {
                trace.end = End::Complete;
                return trace;
            }
            Step::Fault(fault) => {
                trace.fault = trace.fault.or(Some(fault));
                None
            }
            Step::Unknown => None,
        };
        let advances = |next: &Frame| {
            let there = on(next.sp);
            match (here, there) {
                // What has no frame of its own leaves the stack pointer alone, and goes on by
                // what is on the stack.
                (Some(a), Some(b)) if a == b && next.found_by == FoundBy::Link => {
                    next.sp >= frame.sp && frame.interrupted
                }
                (Some(a), Some(b)) if a == b => next.sp > frame.sp,
                (_, Some(_)) => true,
                (None, None) => next.sp > frame.sp,
                // What an exception interrupted may have run over the end of its stack.
                (Some(_), None) => next.saved_regs,
            }
        };
        let next = next
            .filter(advances)
            .or_else(|| cfi::step(target, &frame).filter(advances))
            .or_else(|| scan::called_from(target, &frame, here))
            .or_else(|| match target.architecture().frame_pointer(target, &frame, here?) {
                Step::Frame(next) => Some(next).filter(advances),
                _ => None,
            })
            .or_else(|| scan::scan(target, &frame, here));
        // What was looked through for a return address may hold another, nearer one.
        if next.as_ref().is_none_or(|next| matches!(next.found_by, FoundBy::Call | FoundBy::Scan)) {
            let end = next.as_ref().map_or(u64::MAX, |next| next.slot);
            trace.fault = trace.fault.or_else(|| scan::unread(target, &frame, here, end));
        }
        match next {
            Some(mut next) => {
                next.stack = on(next.sp).map(|s| s.kind);
                cfi::recover(target, &frame, &mut next);
                crate::dataflow::recover(target, &frame, &mut next);
                frame = next;
            }
            None => {
                trace.end = match trace.fault {
                    Some(fault) => End::Fault(fault),
                    // A stack that ends exactly at its top has been walked to its end.
                    None if here.is_some_and(|s| frame.sp >= s.end) => End::Complete,
                    None => End::Lost,
                };
                return trace;
            }
        }
    }
}
