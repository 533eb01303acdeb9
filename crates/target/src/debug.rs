//! Debug information of a target's images: which functions an address lies in, what a frame's
//! variables are, where a frame's registers were saved.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, RwLock},
};

use necropsy_debuginfo::{
    TypeId, Types,
    dwarf::{self, Callee, Cfi, Dwarf, Local, Lost, Placed, Rule, SourceFrame, TailCall},
};

use crate::{
    Image, Target,
    regs::{Reg, Regs},
    unwind,
    value::{Place, Value},
};

/// The debug information of an image.
#[derive(Debug)]
pub struct ImageDebug {
    /// What the file tells.
    pub dwarf: Dwarf,
    /// What is added to its addresses to have those of the running kernel.
    pub bias: u64,
    /// The file.
    pub path: PathBuf,
    /// How it was found.
    pub how: &'static str,
}

/// Finds an image's debug information when it is first asked for.
pub type DebugLoader = Box<dyn Fn(&Target, &Image) -> Option<ImageDebug> + Send + Sync>;

/// An image's debug information, once it was looked for.
#[derive(Debug, Default)]
pub(crate) struct DebugSlot(RwLock<Option<Option<Arc<ImageDebug>>>>);

impl DebugSlot {
    fn known(&self) -> Option<Option<Arc<ImageDebug>>> {
        self.0.read().unwrap_or_else(|error| error.into_inner()).clone()
    }

    fn get(&self, load: impl FnOnce() -> Option<ImageDebug>) -> Option<Arc<ImageDebug>> {
        if let Some(known) = self.known() {
            return known;
        }
        let mut slot = self.0.write().unwrap_or_else(|error| error.into_inner());
        slot.get_or_insert_with(|| load().map(Arc::new)).clone()
    }

    fn put(&self, debug: Option<ImageDebug>) {
        *self.0.write().unwrap_or_else(|error| error.into_inner()) = Some(debug.map(Arc::new));
    }
}

impl Target {
    /// Says how debug information is found; called once.
    pub fn set_debug_loader(&self, loader: DebugLoader) {
        let _ = self.debug_loader.set(loader);
    }

    /// An image's debug information, looked for when first asked; `None` when there is none.
    pub fn debug(&self, image: &Image) -> Option<Arc<ImageDebug>> {
        image.debug.get(|| self.debug_loader.get().and_then(|load| load(self, image)))
    }

    /// What of it is loaded already.
    pub fn loaded_debug(&self, image: &Image) -> Option<Arc<ImageDebug>> {
        image.debug.known().flatten()
    }

    /// Replaces an image's debug information, or drops it.
    pub fn set_debug(&self, image: &Image, debug: Option<ImageDebug>) {
        image.debug.put(debug);
    }

    /// The debug information at an address, and the address in the file.
    pub fn debug_at(&self, address: u64) -> Option<(Arc<ImageDebug>, u64)> {
        let debug = self.debug(self.image_at(address)?)?;
        let inside = address.wrapping_sub(debug.bias);
        Some((debug, inside))
    }

    /// The functions that an address lies in, the innermost inlined one first; empty without
    /// debug information.
    pub fn source_frames(&self, address: u64) -> Vec<SourceFrame> {
        self.debug_at(address).map_or_else(Vec::new, |(debug, at)| debug.dwarf.frames_at(at))
    }

    /// File and line of an address.
    pub fn source_line(&self, address: u64) -> Option<(String, u32)> {
        let (debug, at) = self.debug_at(address)?;
        debug.dwarf.line_at(at)
    }

    /// Unwind rules of an address.
    pub(crate) fn cfi(&self, address: u64) -> Option<Cfi> {
        let (debug, at) = self.debug_at(address)?;
        debug.dwarf.cfi_at(at)
    }

    /// The type of the global variable `name` at an address, as the debug information of its image
    /// tells it.
    pub fn debug_variable(&self, types: &Types, name: &str, address: u64) -> Option<TypeId> {
        // A per-CPU variable lies in no image until the offset of a CPU is added.
        let image = self.image_at(address).unwrap_or(self.kernel());
        let debug = self.debug(image)?;
        let found = debug.dwarf.variables_named(types, name);
        let here = |v: &&dwarf::Variable| {
            v.address.is_some_and(|linked| linked.wrapping_add(debug.bias) == address)
        };
        let only = if let [only] = found.as_slice() { Some(only) } else { None };
        found.iter().find(here).or(only).map(|variable| variable.ty)
    }
}

impl Reg {
    /// The number that DWARF has for it (System V ABI for x86_64, figure 3.36).
    pub fn dwarf_number(self) -> Option<u16> {
        dwarf::register_number(self.name())
    }

    /// The register of a DWARF number.
    pub fn from_dwarf(number: u16) -> Option<Reg> {
        Reg::by_name(dwarf::register_name(number))
    }
}

/// Registers that a function gives back as it got them (System V ABI for x86_64).
pub const CALLEE_SAVED: [Reg; 6] = [Reg::Rbx, Reg::Rbp, Reg::R12, Reg::R13, Reg::R14, Reg::R15];

/// The canonical frame address of a frame, by its rules.
pub(crate) fn cfa(cfi: &Cfi, regs: &Regs) -> Option<u64> {
    let (register, offset) = cfi.cfa?;
    Some(regs.get(Reg::from_dwarf(register)?)?.wrapping_add_signed(offset))
}

/// The caller's registers that survive a call, by the rules of the called function.
pub(crate) fn restore(target: &Target, cfi: &Cfi, cfa: u64, inner: &Regs, outer: &mut Regs) {
    for reg in CALLEE_SAVED {
        let number = reg.dwarf_number();
        let rule = cfi.registers.iter().find(|(at, _)| Some(*at) == number).map(|(_, rule)| *rule);
        let value = match rule {
            None | Some(Rule::Same) => inner.get(reg),
            Some(Rule::AtCfa(offset)) => target.read_u64(cfa.wrapping_add_signed(offset)).ok(),
            Some(Rule::IsCfa(offset)) => Some(cfa.wrapping_add_signed(offset)),
            Some(Rule::Register(other)) => Reg::from_dwarf(other).and_then(|r| inner.get(r)),
            Some(Rule::Undefined | Rule::Expression) => None,
        };
        if value.is_some() {
            outer.put(reg, value);
        }
    }
}

/// An argument or local variable of a frame.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// It is an argument.
    pub argument: bool,
    /// How many blocks of its function it is in.
    pub depth: usize,
    /// Its value, or why it cannot be had.
    pub value: Result<Value, Lost>,
    /// How the value is known.
    pub known: Known,
}

/// How a variable's value is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Debug information says where it is at this address.
    Located,
    /// It is what the caller passed, as debug information tells of the call.
    Entry,
    /// It was found by following the code; the text says how.
    Inferred(String),
    /// It is not known.
    Lost,
}

impl Known {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Known::Located => "located",
            Known::Entry => "entry",
            Known::Inferred(_) => "inferred",
            Known::Lost => "lost",
        }
    }
}

impl Variable {
    fn of(local: Local) -> Variable {
        let Local { name, ty, argument, depth, place, .. } = local;
        let (value, known) = match place {
            Placed::Memory(address) => (Ok(Value::at(ty, address)), Known::Located),
            Placed::Bytes { bytes, entry } => {
                let value = Value { ty, place: Place::Bytes(bytes.into()) };
                (Ok(value), if entry { Known::Entry } else { Known::Located })
            }
            Placed::Lost(lost) => (Err(lost), Known::Lost),
        };
        Variable { name, ty, argument, depth, value, known }
    }
}

/// A frame of a trace, as places of variables are computed for it.
#[derive(Clone, Copy)]
pub struct StackFrame<'a> {
    target: &'a Target,
    frames: &'a [unwind::Frame],
    index: usize,
    /// How many callers have been asked for what a function was called with.
    asked: u32,
}

/// Callers asked in a row: each knows from its own what it was given.
const MAX_ASKED: u32 = 32;

impl fmt::Debug for StackFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackFrame").field("index", &self.index).finish_non_exhaustive()
    }
}

impl<'a> StackFrame<'a> {
    /// The frame `index` of a trace.
    pub fn new(target: &'a Target, frames: &'a [unwind::Frame], index: usize) -> Self {
        StackFrame { target, frames, index, asked: 0 }
    }

    fn frame(&self) -> Option<&'a unwind::Frame> {
        self.frames.get(self.index)
    }

    /// The arguments and variables of the function `source`, which is one of this frame's.
    pub fn variables(&self, types: &Types, source: &SourceFrame) -> Vec<Variable> {
        let Some(frame) = self.frame() else { return Vec::new() };
        let Some((debug, at)) = self.target.debug_at(frame.lookup_pc()) else { return Vec::new() };
        let locals = debug.dwarf.locals(types, &source.scope, at, self);
        locals.into_iter().map(Variable::of).collect()
    }

    /// The frame that this one returns to, if that made a call.
    fn caller(&self) -> Option<StackFrame<'a>> {
        let this = self.frame()?;
        let next = self.frames.get(self.index + 1)?;
        let called = !next.interrupted
            && !matches!(next.found_by, unwind::FoundBy::Scan)
            && this.stack == next.stack
            && self.asked < MAX_ASKED;
        called.then_some(StackFrame { index: self.index + 1, asked: self.asked + 1, ..*self })
    }

    /// The function of this frame, which is not inlined.
    fn function(&self) -> Option<String> {
        self.target.source_frames(self.frame()?.lookup_pc()).pop()?.function
    }

    /// How this frame's function was entered: by the call that it returns to, or by a jump from
    /// the function which that call called. `None` when nobody knows.
    pub fn entered(&self) -> Option<Entered<'a>> {
        let caller = self.caller()?;
        let pc = caller.frame()?.pc;
        let (debug, _) = self.target.debug_at(pc.wrapping_sub(1))?;
        let at = pc.wrapping_sub(debug.bias);
        let name = self.function()?;
        let start = match debug.dwarf.callee(at, &caller)? {
            Callee::Named(called) if called == name => {
                return Some(Entered { caller, debug, at, jump: None });
            }
            Callee::Named(called) => self.target.symbol(&called)?.address,
            Callee::At(address) => address,
            Callee::Unknown => return None,
        };
        let (other, inside) = self.target.debug_at(start)?;
        if other.dwarf.frames_at(inside).pop()?.function? == name {
            return Some(Entered { caller, debug, at, jump: None });
        }
        let jumps = other.dwarf.tail_calls(inside, &name);
        let [jump] = jumps.as_slice() else { return None };
        Some(Entered { caller, debug, at, jump: Some((other, *jump)) })
    }
}

/// How a function was entered.
#[derive(Debug, Clone)]
pub struct Entered<'a> {
    /// The frame that it returns to.
    caller: StackFrame<'a>,
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
        locals.into_iter().map(Variable::of).collect()
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

impl dwarf::Frame for Gone<'_, '_> {
    fn register(&self, number: u16) -> Option<u64> {
        let reg = Reg::from_dwarf(number)?;
        let saved = CALLEE_SAVED.contains(&reg);
        saved.then(|| dwarf::Frame::register(&self.entered.caller, number)).flatten()
    }

    fn cfa(&self) -> Option<u64> {
        self.entered.caller.frame().map(|frame| frame.sp)
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.entered.caller.read(address, buf)
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
        self.frame()?.regs.get(Reg::from_dwarf(number)?)
    }

    fn cfa(&self) -> Option<u64> {
        let frame = self.frame()?;
        let told = self.target.cfi(frame.lookup_pc()).and_then(|cfi| cfa(&cfi, &frame.regs));
        told.or_else(|| {
            let next = self.frames.get(self.index + 1)?;
            (next.slot.wrapping_add(8) == next.sp).then_some(next.sp)
        })
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.target.read(address, buf).is_ok()
    }

    fn bias(&self) -> u64 {
        let pc = self.frame().map_or(0, unwind::Frame::lookup_pc);
        self.target.debug_at(pc).map_or(0, |(debug, _)| debug.bias)
    }

    fn entry_register(&self, number: u16) -> Option<u64> {
        self.entered()?.register(number)
    }

    fn entry_parameter(&self, argument: u32) -> Option<u64> {
        self.entered()?.parameter(argument)
    }
}
