//! Why a register has the value it has: a slice backwards from an instruction, through its
//! function, its arguments and its callers.

mod classify;
pub(crate) mod code;
pub(crate) mod contexts;
mod explanation;
mod failure;
mod members;
mod naming;
mod paths;
mod slicer;
mod story;
mod trap;
mod words;

use std::collections::HashSet;

use necropsy_disasm::MemoryOperand;
use necropsy_linux::{Kernel, freelist::Overwritten};
use necropsy_machine::{dataflow::Origin, unwind::End};

use crate::case::{Case, is_leaving};
use code::{code_at, control, formula, is_canonical, listed};
use contexts::Context;
pub use explanation::{
    Access, BadAddress, Comparison, Doubt, Explanation, Happened, Held, Kind, Known, Likelihood,
    Listed, Look, Loss, NoCode, NotFollowed, Note, Operand, Step, StepNote, Way,
};
use failure::Failure;
use slicer::Slicer;

/// Explains a frame, by its number on the stack; without one, the innermost exception. Of an
/// interrupted frame the instruction is explained, of any other what its function was called with.
pub fn explain(case: &Case<'_>, frame: Option<usize>) -> Explanation {
    let mut explanation = find(case, frame);
    mark_per_cpu(&mut explanation);
    explanation.story = story::tell(case.kernel, &explanation);
    explanation
}

/// What a CPU's base is added to is an offset, whatever lies at such an address.
fn mark_per_cpu(explanation: &mut Explanation) {
    let steps = explanation.steps.iter().chain(&explanation.arguments);
    let offsets: HashSet<String> = steps
        .filter_map(|step| {
            let name = step.name.as_deref()?;
            Some(name.strip_prefix("this_cpu_ptr(")?.split(')').next()?.to_owned())
        })
        .collect();
    for step in explanation.steps.iter_mut().chain(&mut explanation.arguments) {
        if step.name.as_ref().is_some_and(|name| offsets.contains(name)) {
            step.looks = vec![Look::PerCpuOffset];
        }
    }
}

fn find(case: &Case<'_>, frame: Option<usize>) -> Explanation {
    if frame.is_some_and(|frame| frame >= case.trace.frames.len()) {
        return Explanation::new(Happened::NoSuchFrame);
    }
    if frame.is_none()
        && let Some((caller, panic)) = case.called_in_interrupt()
    {
        return panicked(case, caller, panic);
    }
    match frame.or_else(|| case.exception()) {
        Some(index) if case.trace.frames[index].interrupted => interrupted(case, index),
        Some(index) => call(case, index),
        // Nobody was interrupted: panic() was called.
        None => match case.panic_caller() {
            Some((caller, panic)) => panicked(case, caller, panic),
            None if case.trace.end != End::Complete => Explanation::new(Happened::NotKnown),
            None => Explanation::new(Happened::NotInterrupted),
        },
    }
}

/// An explanation of a frame that has only begun.
fn begun(case: &Case<'_>, index: usize, what: Happened) -> Explanation {
    let mut explanation = Explanation::new(what);
    explanation.frame = Some(index);
    explanation.instruction = listed(case, control(case.kernel, &case.trace.frames[index]));
    explanation
}

/// A frame that waits for a call.
fn call(case: &Case<'_>, index: usize) -> Explanation {
    let function = case.functions[index].clone();
    let mut explanation = begun(case, index, Happened::Call { function });
    match contexts::contexts(case, index) {
        Ok(contexts) => explanation.arguments = arguments(case, &contexts, &HashSet::new()),
        Err(why) => explanation.notes.push(Note::NotFollowed(why)),
    }
    explanation
}

/// A frame that an exception or an interrupt interrupted.
fn interrupted(case: &Case<'_>, index: usize) -> Explanation {
    let (kernel, frame) = (case.kernel, &case.trace.frames[index]);
    let bytes = code_at(kernel, frame.pc);
    let failure = failure::find(case, index, &bytes);
    if let Failure::Jump { to, why, here } = failure {
        let mut explanation = begun(case, index, Happened::BadJump { to, why });
        bad_jump(case, if here { index } else { index + 1 }, to, &mut explanation);
        return explanation;
    }
    let mut not_followed = None;
    let mut contexts = contexts::contexts(case, index).unwrap_or_else(|why| {
        not_followed = Some(Note::NoValues(why));
        Vec::new()
    });
    let mut explanation;
    let mut followed = HashSet::new();
    match failure {
        Failure::Trap { warning } => {
            explanation = begun(case, index, Happened::Trap { warning });
            explanation.notes.extend(not_followed);
            followed = trap::explain(case, &mut contexts, frame.pc, &mut explanation);
        }
        Failure::Division => {
            explanation = begun(case, index, Happened::Division);
            explanation.notes.extend(not_followed);
            let mut slicer = Slicer::new(case, &contexts);
            let divisor = necropsy_disasm::effects(kernel.target().isa(), &bytes, frame.pc)
                .and_then(|effects| effects.divisor);
            if let Some(divisor) = divisor {
                slicer.follow_expression(0, frame.pc, "divisor", &divisor, 0);
            }
            followed = slicer.followed();
            explanation.steps = slicer.steps;
        }
        Failure::Access { operand, address, why } => {
            let mut slicer = Slicer::new(case, &contexts);
            let access = Access {
                write: operand.write,
                size_bytes: operand.size_bytes,
                address,
                formula: formula(&operand, frame),
                why,
                name: slicer.operand_name(frame.pc, &operand),
                constant: operand.base.is_none() && operand.index.is_none(),
            };
            explanation = begun(case, index, Happened::Access(access));
            explanation.notes.extend(not_followed);
            follow_registers(&mut slicer, &operand);
            followed = slicer.followed();
            explanation.steps = slicer.steps;
            let mangled = mangled(kernel, &explanation.steps);
            explanation.notes.extend(mangled.map(Note::Overwritten));
        }
        Failure::Interrupt { by } => {
            explanation = begun(case, index, Happened::Interrupt { by });
            explanation.notes.extend(not_followed);
            let panic = case.functions[..index].iter().rposition(|name| is_leaving(name));
            if let Some(by) = panic.and_then(|panic| case.functions.get(panic + 1)) {
                explanation.notes.push(Note::PanicWithin { by: crate::blame::whole(by) });
            }
        }
        Failure::Told { register, address, write, why } => {
            let access = Access {
                write,
                size_bytes: 0,
                address,
                formula: format!(" = {}", register.name().to_uppercase()),
                why,
                name: None,
                constant: false,
            };
            return begun(case, index, Happened::Access(access));
        }
        Failure::NotAnalysed => {
            let machine = kernel.target().abi().arch;
            return begun(case, index, Happened::NotAnalysed { machine });
        }
        Failure::Nothing | Failure::Jump { .. } => {
            explanation = begun(case, index, Happened::Nothing);
            explanation.notes.extend(not_followed);
            let operands =
                necropsy_disasm::memory_operands(kernel.target().isa(), &bytes, frame.pc);
            let mut slicer = Slicer::new(case, &contexts);
            for operand in &operands {
                follow_registers(&mut slicer, operand);
            }
            followed = slicer.followed();
            explanation.steps = slicer.steps;
        }
    }
    explanation.arguments = arguments(case, &contexts, &followed);
    explanation
}

/// Whether one of the values is a pointer of SLUB's free list that was written over. The cache is
/// among them, by its type or by where it lies.
fn mangled(kernel: &Kernel, steps: &[Step]) -> Option<Overwritten> {
    let is_cache = |step: &&Step| {
        let by_type = step.r#type.as_deref() == Some("struct kmem_cache *");
        let lies = || {
            let cache = step.value.and_then(|value| kernel.slab_cache_of(value).ok().flatten());
            cache.as_deref() == Some("kmem_cache")
        };
        by_type || lies()
    };
    let cache = steps.iter().find(is_cache).and_then(|step| step.value)?;
    let wild = steps.iter().filter_map(|step| step.value);
    wild.filter(|value| !is_canonical(kernel, *value))
        .find_map(|value| kernel.overwritten_free_object(cache, value))
}

/// Control came to `to`, which is no code: the pointer by which the frame `index` called, or by which a
/// function jumped that it had called.
fn bad_jump(case: &Case<'_>, index: usize, to: u64, explanation: &mut Explanation) {
    let contexts = match contexts::contexts(case, index) {
        Ok(mut contexts) => {
            contexts::add_jumper(case.kernel, &mut contexts, to);
            contexts
        }
        Err(why) => {
            explanation.notes.push(Note::NotFollowed(why));
            return;
        }
    };
    let Some(caller) = contexts.first() else { return };
    let Some(pointer) = contexts::pointer(case.kernel, &caller.evaluator) else {
        explanation.notes.push(Note::NoPointer);
        return;
    };
    let at = caller.evaluator.at;
    if caller.frame.is_none() {
        explanation.instruction = listed(case, at);
    }
    let mut slicer = Slicer::new(case, &contexts);
    slicer.follow_expression(0, at, "pointer", &pointer, 0);
    explanation.steps = slicer.steps;
}

/// `panic()` was called on purpose: by whom, and with which text.
fn panicked(case: &Case<'_>, caller: usize, panic: &str) -> Explanation {
    let function = panic.to_owned();
    let by = crate::blame::whole(&case.functions[caller]);
    let what = Happened::PanicCalled { by, panic: function.clone() };
    let mut explanation = begun(case, caller, what);
    match contexts::contexts(case, caller - 1) {
        Ok(contexts) => {
            explanation.arguments = arguments(case, &contexts, &HashSet::new());
            explanation.notes.push(Note::ArgumentsOf { function });
        }
        Err(why) => explanation.notes.push(Note::NoArguments { function, why }),
    }
    explanation
}

/// The registers that an address is made of.
fn follow_registers(slicer: &mut Slicer<'_>, operand: &MemoryOperand) {
    let Some(context) = slicer.contexts.first() else { return };
    for reg in [operand.base, operand.index].into_iter().flatten() {
        slicer.follow(0, reg.name(), context.before(reg), 0);
    }
}

/// The parameters of the function, but for what was followed already.
fn arguments(
    case: &Case<'_>,
    contexts: &[Context<'_>],
    followed: &HashSet<(usize, Origin)>,
) -> Vec<Step> {
    let Some(context) = contexts.first() else { return Vec::new() };
    let mut slicer = Slicer::new(case, contexts);
    slicer.skip(followed);
    for parameter in case.names.parameters(context.evaluator.function.start()) {
        let origin = Origin::Entry { register: parameter.register, bytes: 8 };
        let place = format!("{} ({})", parameter.name, parameter.register.name());
        slicer.follow(0, &place, origin, 0);
    }
    slicer.steps
}
