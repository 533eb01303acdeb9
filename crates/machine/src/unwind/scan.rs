//! Fallbacks: the search of the stack for return addresses.

use necropsy_dump::Fault;

use super::{FoundBy, Frame, Stack};
use crate::Target;

fn frame(target: &Target, pc: u64, slot: u64, found_by: FoundBy) -> Frame {
    let word = u64::from(target.pointer_size());
    Frame::returning(target.abi(), pc, slot.saturating_add(word), slot, found_by)
}

/// The first word above `sp` that a direct call of the function at hand would have left. Few
/// functions lack unwind information (`STACK_FRAME_NON_STANDARD`: `__crash_kexec` is one), and
/// this finds their callers for certain.
pub(super) fn called_from(target: &Target, at: &Frame, stack: Option<&Stack>) -> Option<Frame> {
    let stack = stack?;
    let function = target.locate(at.lookup_pc())?.symbol.address;
    slots(target, at, stack).find_map(|slot| {
        let word = target.read_pointer(slot).ok()?;
        (target.architecture().direct_call(target, word) == Some(function))
            .then(|| frame(target, word, slot, FoundBy::Call))
    })
}

/// The words of the stack above the stack pointer.
fn slots(target: &Target, at: &Frame, stack: &Stack) -> impl Iterator<Item = u64> + use<> {
    let word = u64::from(target.pointer_size());
    let first = at.sp.max(stack.start).checked_next_multiple_of(word).unwrap_or(u64::MAX);
    (first..stack.end.saturating_sub(word - 1)).step_by(word as usize)
}

/// The next word above `sp` that follows a call instruction.
pub(super) fn scan(target: &Target, at: &Frame, stack: Option<&Stack>) -> Option<Frame> {
    let stack = stack?;
    slots(target, at, stack).find_map(|slot| {
        let word = target.read_pointer(slot).ok()?;
        let called = target.architecture().follows_call(target, word);
        called.then(|| frame(target, word, slot, FoundBy::Scan))
    })
}

/// Why a word of the stack above the stack pointer and below `end` was not looked at: the first one
/// that could not be read.
pub(super) fn unread(
    target: &Target,
    at: &Frame,
    stack: Option<&Stack>,
    end: u64,
) -> Option<Fault> {
    let slots = slots(target, at, stack?).take_while(|slot| *slot < end);
    slots.map(|slot| target.read_pointer(slot)).find_map(Result::err)
}
