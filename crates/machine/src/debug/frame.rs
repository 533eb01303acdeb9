//! A frame of a trace as debug information sees it: its variables, and how its function was entered.

use std::{cell::Cell, fmt, sync::Arc};

use necropsy_debuginfo::{
    Types,
    dwarf::{self, Callee, Local, Lost, SourceFrame, TailCall},
};

use super::{ImageDebug, Known, Variable, cfa, infer};
use crate::{
    Target,
    regs::Reg,
    stack::{FoundBy, Frame},
    value::Value,
};

/// A frame of a trace, as places of variables are computed for it.
#[derive(Clone, Copy)]
pub struct StackFrame<'a> {
    pub(super) target: &'a Target,
    frames: &'a [Frame],
    index: usize,
    /// How many callers have been asked for what a function was called with.
    asked: u32,
    work: &'a Work,
}

/// Questions that may still be asked for one frame. Each caller that is asked may have to ask its
/// own, several times: without a bound on all of them the time grows with a power of the depth.
#[derive(Debug)]
pub struct Work(Cell<u32>);

impl Default for Work {
    fn default() -> Self {
        Work(Cell::new(MAX_QUESTIONS))
    }
}

/// A real stack takes fewer than a hundred.
const MAX_QUESTIONS: u32 = 2000;

/// Callers asked in a row: each knows from its own what it was given.
const MAX_ASKED: u32 = 32;

impl fmt::Debug for StackFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackFrame").field("index", &self.index).finish_non_exhaustive()
    }
}

impl<'a> StackFrame<'a> {
    /// The frame `index` of a trace.
    pub fn new(target: &'a Target, frames: &'a [Frame], index: usize, work: &'a Work) -> Self {
        StackFrame { target, frames, index, asked: 0, work }
    }

    pub(super) fn frame(&self) -> Option<&'a Frame> {
        self.frames.get(self.index)
    }

    /// The arguments and variables of the function `source`, which is one of this frame's.
    pub fn variables(&self, types: &Types, source: &SourceFrame) -> Vec<Variable> {
        let Some(frame) = self.frame() else { return Vec::new() };
        let Some((debug, at)) = self.target.debug_at(frame.lookup_pc()) else { return Vec::new() };
        let locals = debug.dwarf.locals(types, &source.scope, at, self);
        let function = debug.dwarf.function_type(types, at);
        let registers = infer::argument_registers(self.target.abi(), types, &locals, function);
        // The clone of a function that was made for some calls may take other arguments.
        let located = self.target.locate(frame.lookup_pc());
        let whole = !source.inlined
            && located.map(|located| located.symbol.name) == source.function.as_deref();
        let find = |(local, register): (Local, Option<Reg>)| {
            let mut variable = Variable::of(local);
            let reg = match &variable.value {
                Err(Lost::Entry(number)) => self.target.abi().from_dwarf(*number),
                Err(_) => register.filter(|_| whole),
                Ok(_) => None,
            };
            // What is lost here may have been given another value since the function was entered.
            let stale = !matches!(&variable.value, Err(Lost::Entry(_)));
            if let Some(mut inferred) = reg.and_then(|reg| infer::entry(self, reg)) {
                if stale {
                    inferred.how.insert_str(0, "on entry, ");
                }
                variable.infer(types, inferred);
            }
            variable
        };
        locals.into_iter().zip(registers).map(find).collect()
    }

    /// The frame that this one returns to, if that made a call.
    fn caller(&self) -> Option<StackFrame<'a>> {
        let this = self.frame()?;
        let next = self.frames.get(self.index + 1)?;
        let called = !next.interrupted
            && !matches!(next.found_by, FoundBy::Scan)
            && this.stack == next.stack
            && self.asked < MAX_ASKED;
        called.then_some(StackFrame { index: self.index + 1, asked: self.asked + 1, ..*self })
    }

    /// How this frame's function was entered: by the call that it returns to, or by a jump from
    /// the function which that call called. `None` when nobody knows.
    pub fn entered(&self) -> Option<Entered<'a>> {
        self.work.0.set(self.work.0.get().checked_sub(1)?);
        let caller = self.caller()?;
        let pc = caller.frame()?.pc;
        let (debug, _) = self.target.debug_at(pc.wrapping_sub(1))?;
        let at = pc.wrapping_sub(debug.bias);
        let names = self.names()?;
        let direct = Entered { caller, debug: debug.clone(), at, jump: None };
        let start = match debug.dwarf.callee(at, &caller) {
            Some(Callee::Named(called)) if names.contains(&called) => return Some(direct),
            Some(Callee::Named(called)) => self.target.symbol(&called)?.address,
            Some(Callee::At(address)) => address,
            // What debug information does not tell, the code may. It has no calls of assembly.
            Some(Callee::Unknown) | None => infer::call_target(&caller)?,
        };
        if Some(start) == self.start() {
            return Some(direct);
        }
        let (other, inside) = self.target.debug_at(start)?;
        let jumps = other.dwarf.tail_calls(inside, &names);
        let [jump] = jumps.as_slice() else { return None };
        Some(Entered { jump: Some((other, *jump)), ..direct })
    }

    /// Where the function of this frame begins.
    fn start(&self) -> Option<u64> {
        Some(self.target.locate(self.frame()?.lookup_pc())?.symbol.address)
    }

    /// The names of the function of this frame: one piece of code may be several functions of the
    /// source (`__x64_sys_pause`, `__do_sys_pause`).
    fn names(&self) -> Option<Vec<String>> {
        let located = self.target.locate(self.frame()?.lookup_pc())?;
        let here = located.image.symbols.at(located.symbol.address);
        // What the compiler appends when it clones a function is not in the source.
        let plain = |name: &str| name.split('.').next().unwrap_or(name).to_owned();
        let mut names: Vec<String> = here.map(|symbol| plain(symbol.name)).collect();
        let told = self.target.source_frames(self.frame()?.lookup_pc());
        names.extend(told.last().and_then(|told| told.function.clone()));
        Some(names)
    }
}

/// How a function was entered.
#[derive(Debug, Clone)]
pub struct Entered<'a> {
    /// The frame that it returns to.
    pub(super) caller: StackFrame<'a>,
    /// The debug information of that frame.
    debug: Arc<ImageDebug>,
    /// The return address in its file.
    at: u64,
    /// The jump of the function that was called.
    jump: Option<(Arc<ImageDebug>, TailCall)>,
}

impl Entered<'_> {
    /// Where a function jumped to this one in place of calling it: the address behind the jump.
    pub fn jump(&self) -> Option<u64> {
        self.jump.as_ref().map(|(debug, jump)| jump.address.wrapping_add(debug.bias))
    }

    /// The arguments and variables of the function that jumped.
    pub fn variables(&self, types: &Types, source: &SourceFrame) -> Vec<Variable> {
        let Some((debug, jump)) = &self.jump else { return Vec::new() };
        let gone = Gone { entered: self, bias: debug.bias };
        let at = jump.address.wrapping_sub(1);
        let locals = debug.dwarf.locals(types, &source.scope, at, &gone);
        let find = |local| {
            let mut variable = Variable::of(local);
            // Others have used its frame since.
            let address = variable.value.as_ref().ok().and_then(Value::address);
            if address.is_some_and(|address| gone.was_its(address)) {
                variable.value = Err(Lost::NotHere);
                variable.known = Known::Lost;
            }
            if let Err(Lost::Entry(number)) = variable.value
                && let Some(reg) = self.caller.target.abi().from_dwarf(number)
                && let Some(inferred) = infer::at_call(&self.caller, reg)
            {
                variable.infer(types, inferred);
            }
            variable
        };
        locals.into_iter().map(find).collect()
    }

    fn register(&self, number: u16) -> Option<u64> {
        match &self.jump {
            None => self.debug.dwarf.call_argument(self.at, number, &self.caller),
            Some((debug, jump)) => {
                debug.dwarf.tail_argument(jump, number, &Gone { entered: self, bias: debug.bias })
            }
        }
    }

    fn parameter(&self, argument: u32) -> Option<u64> {
        match &self.jump {
            None => self.debug.dwarf.call_parameter(self.at, argument, &self.caller),
            Some(_) => None,
        }
    }
}

/// The frame of a function that jumped to another: it is no more on the stack. What it gave back
/// before it jumped is its caller's, and its caller knows what it was called with.
struct Gone<'e, 'a> {
    entered: &'e Entered<'a>,
    bias: u64,
}

/// Bytes below its caller's frame that may have been a frame's.
const FRAME_BYTES: u64 = 1 << 16;

impl Gone<'_, '_> {
    /// Whether an address was in the frame that is gone.
    fn was_its(&self, address: u64) -> bool {
        let end = self.entered.caller.frame().map_or(0, |frame| frame.sp);
        (end.saturating_sub(FRAME_BYTES)..end).contains(&address)
    }
}

impl dwarf::Frame for Gone<'_, '_> {
    fn register(&self, number: u16) -> Option<u64> {
        let abi = self.entered.caller.target.abi();
        let saved = abi.is_preserved(abi.from_dwarf(number)?);
        saved.then(|| dwarf::Frame::register(&self.entered.caller, number)).flatten()
    }

    fn cfa(&self) -> Option<u64> {
        self.entered.caller.frame().map(|frame| frame.sp)
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        !self.was_its(address) && self.entered.caller.read(address, buf)
    }

    fn bias(&self) -> u64 {
        self.bias
    }

    fn entry_register(&self, number: u16) -> Option<u64> {
        let Entered { debug, at, caller, .. } = self.entered;
        debug.dwarf.call_argument(*at, number, caller)
    }

    fn entry_parameter(&self, argument: u32) -> Option<u64> {
        let Entered { debug, at, caller, .. } = self.entered;
        debug.dwarf.call_parameter(*at, argument, caller)
    }
}

impl dwarf::Frame for StackFrame<'_> {
    fn register(&self, number: u16) -> Option<u64> {
        self.frame()?.regs.get(self.target.abi().from_dwarf(number)?)
    }

    fn cfa(&self) -> Option<u64> {
        let frame = self.frame()?;
        let told = self
            .target
            .cfi(frame.lookup_pc())
            .and_then(|cfi| cfa(self.target.abi(), &cfi, &frame.regs));
        told.or_else(|| {
            let next = self.caller()?.frame()?;
            (self.target.abi().return_slot(next.sp) == Some(next.slot)).then_some(next.sp)
        })
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.target.read(address, buf).is_ok()
    }

    fn bias(&self) -> u64 {
        let pc = self.frame().map_or(0, Frame::lookup_pc);
        self.target.debug_at(pc).map_or(0, |(debug, _)| debug.bias)
    }

    fn entry_register(&self, number: u16) -> Option<u64> {
        self.entered()?.register(number)
    }

    fn entry_parameter(&self, argument: u32) -> Option<u64> {
        self.entered()?.parameter(argument)
    }
}
