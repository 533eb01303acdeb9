//! The frames that a value may come through, innermost first, each with what its code says.

use std::sync::Arc;

use necropsy_disasm::{Flow, effects::Expression};
use necropsy_linux::Kernel;
use necropsy_machine::{
    Reg, Regs,
    dataflow::{
        Evaluator, Function, Origin, beginning_at, far_call, function_of, retpoline_register,
    },
    reg::MAX_REGISTERS,
    unwind::Frame,
};

use super::explanation::NotFollowed;
use crate::case::Case;

/// How many callers are looked at.
const MAX_CALLERS: usize = 10;

/// The longest chain of functions that hand on to each other by jumps.
const MAX_TAILS: usize = 3;

/// The most functions that are looked through for such a chain.
const MAX_TAIL_FUNCTIONS: usize = 1500;

/// The most functions whose jumps by pointers are looked at.
const MAX_JUMPERS: usize = 64;

/// Functions, and where each jumps to the next.
type Chain = Vec<(Arc<Function>, u64)>;

/// How control entered a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entered {
    /// From the next context, whose instruction calls it or jumps to it.
    By,
    /// As [`Entered::By`], but the pointer that was called is not known any more.
    Maybe,
    /// That is not known.
    Unknown(NotFollowed),
}

/// A function in progress: a frame, or a function that left by a jump and so has none.
pub(crate) struct Context<'a> {
    /// Index in the trace.
    pub(crate) frame: Option<usize>,
    pub(crate) evaluator: Evaluator<'a>,
    pub(super) entered: Entered,
}

impl Context<'_> {
    /// Origin of a register before the instruction that control is at.
    pub(super) fn before(&self, reg: Reg) -> Origin {
        let evaluator = &self.evaluator;
        evaluator
            .function
            .state_before(evaluator.at)
            .map_or(Origin::Unknown, |state| state.register(reg))
    }
}

/// The contexts from the frame `first` on. The error says why there is none.
pub(crate) fn contexts<'a>(
    case: &'a Case<'_>,
    first: usize,
) -> Result<Vec<Context<'a>>, NotFollowed> {
    let (kernel, frames) = (case.kernel, &case.trace.frames);
    let target = kernel.target();
    let rest = frames.get(first..).unwrap_or_default();
    let called = rest.iter().skip(1).take(MAX_CALLERS);
    let count = 1 + called.take_while(|frame| !frame.saved_regs && !frame.interrupted).count();
    let mut built: Vec<Context<'a>> = Vec::new();
    let mut missing = None;
    for (index, frame) in rest.iter().enumerate().take(count).rev() {
        let evaluator = function_of(target, frame.lookup_pc()).and_then(|function| {
            Evaluator::new(target, function, frame.pc, frame.interrupted, &frame.regs)
        });
        let Some(mut evaluator) = evaluator else {
            built.clear();
            missing = Some(not_followed(kernel, frame));
            continue;
        };
        evaluator.per_cpu = case.per_cpu_base;
        let entered = match built.is_empty() {
            false => enter(kernel, &mut built, &mut evaluator),
            true => Entered::Unknown(missing.clone().unwrap_or(NotFollowed::NoCaller)),
        };
        built.push(Context { frame: Some(first + index), evaluator, entered });
    }
    built.reverse();
    match built.first().and_then(|context| context.frame) {
        Some(frame) if frame == first => Ok(built),
        _ => Err(missing.unwrap_or(NotFollowed::Outer)),
    }
}

/// Why the function of a frame could not be analysed.
fn not_followed(kernel: &Kernel, frame: &Frame) -> NotFollowed {
    let at = frame.lookup_pc();
    let code = kernel.target().read_u8(at);
    let at = super::code::location(kernel, frame.pc);
    match code {
        Err(fault) => NotFollowed::NoCode { at, fault },
        Ok(_) => NotFollowed::NotUnderstood { at },
    }
}

/// Says how the last of `built` came to call the function of `inner`, and hands the arguments on.
fn enter<'a>(
    kernel: &'a Kernel,
    built: &mut Vec<Context<'a>>,
    inner: &mut Evaluator<'a>,
) -> Entered {
    let Some(caller) = built.last() else { return Entered::Unknown(NotFollowed::Outer) };
    let outer = &caller.evaluator;
    let start = inner.function.start();
    let entered = match called(kernel, outer) {
        Some(callee) if callee == start => Entered::By,
        None => Entered::Maybe,
        Some(callee) => {
            let Some(path) = tail_path(kernel, callee, start) else {
                let name = |at| super::code::location(kernel, at);
                return Entered::Unknown(NotFollowed::OtherCallee {
                    caller: name(outer.at),
                    callee: name(callee),
                    function: name(start),
                });
            };
            for (index, (function, jump)) in path.into_iter().enumerate() {
                if !leave(kernel, built, function, jump, index > 0) {
                    return Entered::Unknown(NotFollowed::LeftByJump);
                }
            }
            Entered::By
        }
    };
    if let Some(caller) = built.last() {
        hand_on(caller, inner);
        forget_disputed(caller, inner, caller.frame.is_none());
    }
    entered
}

/// Adds a function that left by the jump at `jump`, and so has no frame. `jumped`: the last of `built` came
/// to it by a jump, too.
fn leave<'a>(
    kernel: &'a Kernel,
    built: &mut Vec<Context<'a>>,
    function: Arc<Function>,
    jump: u64,
    jumped: bool,
) -> bool {
    let Some(state) = function.state_before(jump) else { return false };
    let Some(caller) = built.last() else { return false };
    let mut evaluator = Evaluator {
        target: kernel.target(),
        function,
        at: jump,
        state,
        regs: Regs::new(),
        // Its frame has been used again since.
        cfa: None,
        entry: [None; MAX_REGISTERS],
        per_cpu: caller.evaluator.per_cpu,
    };
    hand_on(caller, &mut evaluator);
    forget_disputed(caller, &mut evaluator, jumped);
    built.push(Context { frame: None, evaluator, entered: Entered::By });
    true
}

/// Adds the functions between a call, which the first of `contexts` made, and `to`, where control came:
/// the function that was called, or one that it left to by a jump, jumped there by a pointer, and is not on
/// the stack. Only if its code shows that, and of no other: the pointer of that jump was `to`.
pub(super) fn add_jumper<'a>(kernel: &'a Kernel, contexts: &mut Vec<Context<'a>>, to: u64) {
    let Some(callee) = contexts.first().and_then(|caller| called(kernel, &caller.evaluator)) else {
        return;
    };
    contexts.reverse();
    let frames = contexts.len();
    let mut found: Vec<Chain> = Vec::new();
    let mut ways: Vec<(Chain, u64)> = vec![(Vec::new(), callee)];
    let mut left = MAX_JUMPERS;
    for _ in 0..=MAX_TAILS {
        let mut longer = Vec::new();
        for (way, start) in ways {
            let function = beginning_at(kernel.target(), start).filter(|_| left > 0);
            let Some(function) = function else { continue };
            left -= 1;
            let jumps = function.code().instructions.iter();
            let jumps = jumps.filter(|(_, insn)| insn.effects.flow == Flow::Jump);
            for jump in jumps.map(|(at, _)| *at) {
                let mut way = way.clone();
                way.push((function.clone(), jump));
                if walk(kernel, contexts, &way) && leads_to(kernel, contexts, to) {
                    found.push(way);
                }
                contexts.truncate(frames);
            }
            longer.extend(function.code().tail_calls.iter().map(|(jump, next)| {
                let mut way = way.clone();
                way.push((function.clone(), *jump));
                (way, *next)
            }));
        }
        ways = longer;
    }
    if let [way] = found.as_slice() {
        walk(kernel, contexts, way);
    }
    contexts.reverse();
}

/// Adds functions that handed on to each other by jumps.
fn walk<'a>(kernel: &'a Kernel, built: &mut Vec<Context<'a>>, way: &Chain) -> bool {
    way.iter()
        .enumerate()
        .all(|(index, (function, jump))| leave(kernel, built, function.clone(), *jump, index > 0))
}

/// Whether the last of `built` jumps by a pointer, and that is `to`.
fn leads_to(kernel: &Kernel, built: &[Context<'_>], to: u64) -> bool {
    let value = built.last().and_then(|context| {
        let evaluator = &context.evaluator;
        evaluator.expression(evaluator.at, &pointer(kernel, evaluator)?).ok()
    });
    value.is_some_and(|known| known.value == to)
}

/// Where a function jumps to the beginning of another.
fn jumps(function: &Function, to: u64) -> impl Iterator<Item = u64> + '_ {
    function.code().tail_calls.iter().filter(move |(_, target)| *target == to).map(|(at, _)| *at)
}

/// A function that jumps to the next from several places may bring other arguments from each.
fn forget_disputed(caller: &Context<'_>, inner: &mut Evaluator<'_>, jumped: bool) {
    if !jumped {
        return;
    }
    let function = &caller.evaluator.function;
    for reg in inner.state.abi().arguments.iter().copied() {
        let origin = |at| function.state_before(at).map(|state| state.register(reg));
        let first = caller.before(reg);
        if !jumps(function, inner.function.start()).all(|at| origin(at) == Some(first)) {
            inner.entry[reg.number()] = None;
        }
    }
}

/// What the registers held when `caller` passed control to the function of `inner`.
fn hand_on(caller: &Context<'_>, inner: &mut Evaluator<'_>) {
    let abi = inner.state.abi();
    for reg in abi.arguments.iter().copied() {
        inner.entry[reg.number()] = caller.evaluator.value(caller.before(reg)).ok();
    }
    for reg in abi.preserved.iter().copied() {
        let known = caller.evaluator.register(reg).ok();
        inner.entry[reg.number()] = known;
    }
}

/// The function that a caller's call instruction leads to.
fn called(kernel: &Kernel, outer: &Evaluator<'_>) -> Option<u64> {
    let target = kernel.target();
    let insn = outer.function.instruction(outer.at)?;
    let pointer = match insn.effects.target {
        Some(address) => match retpoline_register(target, address) {
            Some(reg) => Expression::register(reg),
            None => return Some(far_call(target, address).unwrap_or(address)),
        },
        None => insn.effects.indirect.clone()?,
    };
    outer.expression(outer.at, &pointer).ok().map(|known| known.value)
}

/// The pointer that the instruction calls or jumps by.
pub(super) fn pointer(kernel: &Kernel, evaluator: &Evaluator<'_>) -> Option<Expression> {
    let insn = evaluator.function.instruction(evaluator.at)?;
    match insn.effects.target {
        Some(address) => retpoline_register(kernel.target(), address).map(Expression::register),
        None => insn.effects.indirect.clone(),
    }
}

/// The functions from `callee` to `wanted` that hand on to each other by a jump at their end, and
/// where each jumps. `None` if there is no way, or several of one length.
fn tail_path(kernel: &Kernel, callee: u64, wanted: u64) -> Option<Chain> {
    let mut left = MAX_TAIL_FUNCTIONS;
    // Each way ends with the function that is to be looked at.
    let mut ways: Vec<(Chain, u64)> = vec![(Vec::new(), callee)];
    for _ in 0..MAX_TAILS {
        let mut found = None;
        let mut longer = Vec::new();
        for (way, start) in &ways {
            left = left.checked_sub(1)?;
            let Some(function) = beginning_at(kernel.target(), *start) else { continue };
            if let Some(jump) = jumps(&function, wanted).next() {
                if found.is_some() {
                    return None;
                }
                let mut way = way.clone();
                way.push((function.clone(), jump));
                found = Some(way);
            }
            let mut seen: Vec<u64> = Vec::new();
            for (jump, to) in &function.code().tail_calls {
                if !seen.contains(to) && longer.len() < MAX_TAIL_FUNCTIONS {
                    seen.push(*to);
                    let mut way = way.clone();
                    way.push((function.clone(), *jump));
                    longer.push((way, *to));
                }
            }
        }
        if found.is_some() {
            return found;
        }
        ways = longer;
    }
    None
}
