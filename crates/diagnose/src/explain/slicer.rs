//! Where a value came from, step by step: names, values and the instructions that made it.

use std::collections::HashSet;

use necropsy_debuginfo::TypeId;
use necropsy_disasm::{
    MemoryOperand,
    effects::{Assignment, Expression},
};
use necropsy_machine::{
    Reg,
    dataflow::{Certainty, Evaluator, Insn, Known, Lost, Origin, Place},
};

use super::{
    classify,
    code::{self, location},
    contexts::{Context, Entered},
    explanation::{self, Listed, Look, Loss, Step, StepNote},
    naming::Named,
};
use crate::case::Case;

/// The most steps of one explanation.
const MAX_STEPS: usize = 60;

/// How far one value is followed.
pub(super) const MAX_DEPTH: usize = 14;

/// The most ways that one value is followed on.
const MAX_WAYS: usize = 3;

/// A slice backwards from an instruction: the values that a value was made of.
pub(super) struct Slicer<'a> {
    pub(super) case: &'a Case<'a>,
    pub(super) contexts: &'a [Context<'a>],
    pub(super) steps: Vec<Step>,
    seen: HashSet<(usize, Origin)>,
}

impl<'a> Slicer<'a> {
    pub(super) fn new(case: &'a Case<'a>, contexts: &'a [Context<'a>]) -> Self {
        Slicer { case, contexts, steps: Vec::new(), seen: HashSet::new() }
    }

    /// Values that were followed elsewhere need not be followed again.
    pub(super) fn skip(&mut self, followed: &HashSet<(usize, Origin)>) {
        self.seen.extend(followed);
    }

    /// What was followed.
    pub(super) fn followed(&self) -> HashSet<(usize, Origin)> {
        self.seen.clone()
    }

    /// Follows the value that the instruction at `at` computes or compares.
    pub(super) fn follow_expression(
        &mut self,
        c: usize,
        at: u64,
        place: &str,
        value: &Expression,
        depth: usize,
    ) {
        let contexts = self.contexts;
        let Some(context) = contexts.get(c) else { return };
        match value {
            Expression::Constant(_) => {}
            Expression::Register { register, .. } => {
                let Some(state) = context.evaluator.function.state_before(at) else { return };
                let place = if place.is_empty() { register.name() } else { place };
                self.follow(c, place, state.register(*register), depth);
            }
            value => {
                let named = self.expression(c, at, value, 0);
                let known = context.evaluator.expression(at, value);
                let mut step = self.step(c, place, &named, depth, known);
                step.instruction = self.listed(at);
                self.steps.push(step);
                self.follow_parts(c, at, value, depth + 1);
            }
        }
    }

    /// Follows a value: what it is, and in turn what it was made of.
    pub(super) fn follow(&mut self, c: usize, place: &str, origin: Origin, depth: usize) {
        let contexts = self.contexts;
        let Some(context) = contexts.get(c) else { return };
        if self.steps.len() >= MAX_STEPS || depth > MAX_DEPTH {
            return;
        }
        let evaluator = &context.evaluator;
        let origin = self.copied(evaluator, origin);
        let named = self.named(c, origin, 0);
        let mut step = self.step(c, place, &named, depth, evaluator.value(origin));
        step.inferred |=
            context.entered == Entered::Maybe && matches!(origin, Origin::Entry { .. });
        let fresh = !matches!(origin, Origin::Constant(_) | Origin::Frame(_) | Origin::Unknown);
        if fresh && !self.seen.insert((c, origin)) {
            step.above = true;
            self.steps.push(step);
            return;
        }
        match origin {
            Origin::Defined { at, register } => {
                step.instruction = self.listed(at);
                match evaluator.function.definition(at, register) {
                    Some(value) => {
                        let value = value.clone();
                        self.check_memory(evaluator, at, &value, &mut step);
                        if step.known == explanation::Known::Recomputed
                            && let Some(store) = rewritten(evaluator, at, &value)
                        {
                            // What memory holds now is not what was read.
                            step.value = None;
                            step.known = explanation::Known::Lost;
                            step.looks.clear();
                            let at = location(self.case.kernel, store);
                            step.note = Some(StepNote::Rewritten { at });
                        }
                        self.steps.push(step);
                        self.follow_parts(c, at, &value, depth + 1);
                    }
                    None => {
                        self.steps.push(step);
                        if register == evaluator.state.abi().result {
                            self.follow_call(c, at, depth + 1);
                        }
                    }
                }
            }
            Origin::Entry { register, bytes } => {
                let value = step.value.filter(|_| bytes == 8);
                self.steps.push(step);
                self.follow_entry(c, register, value, depth + 1);
            }
            Origin::Merged { at, place } => self.follow_merged(c, step, at, place, depth),
            _ => self.steps.push(step),
        }
    }

    /// A copy of the low half of a value that has no high half is the value itself.
    fn copied(&self, evaluator: &Evaluator<'_>, origin: Origin) -> Origin {
        let Origin::Defined { at, register } = origin else { return origin };
        let Some(Expression::Register { register, bytes: 4, signed: false }) =
            evaluator.function.definition(at, register)
        else {
            return origin;
        };
        let source = evaluator.function.state_before(at).map(|state| state.register(*register));
        match source.map(|source| (source, evaluator.value(source))) {
            Some((source, Ok(known)))
                if known.value <= u64::from(u32::MAX) && source != Origin::Unknown =>
            {
                source
            }
            _ => origin,
        }
    }

    fn step(
        &self,
        c: usize,
        place: &str,
        named: &Named,
        depth: usize,
        value: Result<Known, Lost>,
    ) -> Step {
        let types = self.case.kernel.types();
        let context = self.contexts.get(c);
        let known = value.ok();
        Step {
            depth,
            frame: context.and_then(|context| context.frame),
            function: context
                .map(|context| code::function_name(self.case.kernel, &context.evaluator)),
            place: place.to_owned(),
            name: named.text.clone(),
            r#type: named.ty.map(|ty| types.display(ty)),
            inferred: named.inferred,
            value: known.map(|known| known.value),
            known: known.map_or(explanation::Known::Lost, |known| how_known(known.certainty)),
            held_in: known.and_then(|known| match known.certainty {
                Certainty::Register(reg) => Some(reg.name().to_owned()),
                Certainty::Stack(address) => Some(format!("{address:#x}")),
                _ => None,
            }),
            lost: value.err().map(|lost| self.loss(lost)),
            looks: known.map_or(Vec::new(), |known| looks(self.case, known.value, named.ty)),
            instruction: None,
            read_from: None,
            memory_now: None,
            memory_agrees: None,
            note: None,
            above: false,
        }
    }

    /// Compares a value that is still in a register with what the code would read now.
    fn check_memory(
        &self,
        evaluator: &Evaluator<'_>,
        at: u64,
        value: &Expression,
        step: &mut Step,
    ) {
        let loads = value.loads();
        if let Some(memory) = loads.first() {
            let place = evaluator.expression(at, &Expression::Address((*memory).clone()));
            step.read_from = place.ok().map(|known| known.value);
        }
        if !matches!(step.known, explanation::Known::Register | explanation::Known::Stack)
            || loads.is_empty()
        {
            return;
        }
        if let (Ok(now), Some(held)) = (evaluator.expression(at, value), step.value) {
            step.memory_agrees = Some(now.value == held);
            step.memory_now = (now.value != held).then_some(now.value);
        }
    }

    /// The registers that an expression is made of.
    pub(super) fn follow_parts(&mut self, c: usize, at: u64, value: &Expression, depth: usize) {
        let mut parts: Vec<Reg> = Vec::new();
        value.visit(&mut |part| {
            let registers = match part {
                Expression::Register { register, .. } => [Some(*register), None],
                Expression::Load { memory, .. } | Expression::Address(memory) => {
                    [memory.base, memory.index]
                }
                _ => [None, None],
            };
            for register in registers.into_iter().flatten() {
                if !parts.contains(&register) {
                    parts.push(register);
                }
            }
        });
        let Some(context) = self.contexts.get(c) else { return };
        let Some(state) = context.evaluator.function.state_before(at) else { return };
        for reg in parts {
            let origin = state.register(reg);
            if !matches!(origin, Origin::Constant(_) | Origin::Frame(_)) {
                self.follow(c, reg.name(), origin, depth);
            }
        }
    }

    /// The arguments of the call at `call`.
    fn follow_call(&mut self, c: usize, call: u64, depth: usize) {
        let Some(callee) = self.direct_target(c, call) else { return };
        let Some(context) = self.contexts.get(c) else { return };
        let Some(state) = context.evaluator.function.state_before(call) else { return };
        for parameter in self.case.names.parameters(callee) {
            let origin = state.register(parameter.register);
            let place = format!("{} ({})", parameter.name, parameter.register.name());
            let before = self.steps.len();
            self.follow(c, &place, origin, depth);
            // What it is passed as tells the type that the code before did not.
            if let Some(step) = self.steps.get_mut(before)
                && step.r#type.is_none()
            {
                let types = self.case.kernel.types();
                step.r#type = Some(types.display(parameter.ty));
                step.inferred = false;
                if let Some(value) = step.value {
                    step.looks = looks(self.case, value, Some(parameter.ty));
                }
            }
        }
    }

    fn follow_entry(&mut self, c: usize, register: Reg, value: Option<u64>, depth: usize) {
        let contexts = self.contexts;
        let Some(context) = contexts.get(c) else { return };
        match (&context.entered, contexts.get(c + 1)) {
            (Entered::By | Entered::Maybe, Some(caller)) => {
                let at = caller.evaluator.at;
                let origin = caller.before(register);
                let before = self.steps.len();
                self.follow(c + 1, register.name(), origin, depth);
                let start = context.evaluator.function.start();
                let parameter = self.case.names.parameters(start);
                let parameter = parameter.iter().find(|found| found.register == register);
                if let Some(step) = self.steps.get_mut(before) {
                    let types = self.case.kernel.types();
                    if let (None, Some(parameter)) = (&step.r#type, parameter) {
                        step.r#type = Some(types.display(parameter.ty));
                    }
                    // What was passed is what the function called was given.
                    if let (None, Some(value)) = (step.value, value) {
                        let ty = parameter.map(|parameter| parameter.ty);
                        step.value = Some(value);
                        step.known = explanation::Known::Callee;
                        step.lost = None;
                        step.looks = looks(self.case, value, ty);
                    }
                    // The jump is there; that it was the one taken is not proved.
                    step.inferred |= caller.frame.is_none();
                    let (at, jump) = (location(self.case.kernel, at), caller.frame.is_none());
                    step.note = Some(if context.entered == Entered::Maybe {
                        step.inferred = true;
                        StepNote::CalledByLostPointer { at }
                    } else {
                        StepNote::Called { at, jump }
                    });
                }
            }
            (Entered::Unknown(why), _) => {
                if let Some(last) = self.steps.last_mut() {
                    last.note = Some(StepNote::NotFollowed(why.clone()));
                }
            }
            _ => {}
        }
    }

    /// A value that came on one of several ways: those that the value itself rules out are left
    /// out, and the only one that remains is followed.
    fn follow_merged(&mut self, c: usize, mut step: Step, at: u64, place: Place, depth: usize) {
        let Some(context) = self.contexts.get(c) else { return };
        let function = &context.evaluator.function;
        let mut ways: Vec<Origin> = Vec::new();
        for from in function.code().before(at) {
            let Some(state) = function.state_behind(*from) else { continue };
            let origin = match place {
                Place::Register(number) => {
                    state.abi().general.get(usize::from(number)).map(|reg| state.register(*reg))
                }
                Place::Slot(offset) => state.slot(offset, 8),
            };
            let origin = origin.unwrap_or(Origin::Unknown);
            if !ways.contains(&origin) {
                ways.push(origin);
            }
        }
        let value = step.value;
        if let Some(value) = value {
            ways.retain(|way| !matches!(way, Origin::Constant(other) if *other != value));
        }
        // A way on which the value would surely be another was not taken.
        let other = |way: &Origin| {
            context.evaluator.value(*way).is_ok_and(|known| {
                !known.certainty.is_loaded() && value.is_some_and(|value| value != known.value)
            })
        };
        if ways.iter().any(|way| !other(way)) {
            ways.retain(|way| !other(way));
        }
        // Followed are the values that something is known of.
        let own = |way: &Origin| matches!(way, Origin::Merged { at: again, .. } if *again == at);
        ways.retain(|way| *way != Origin::Unknown && !own(way));
        let place = location(self.case.kernel, at);
        if let [only] = ways.as_slice()
            && value.is_some()
        {
            step.note = Some(StepNote::OnlyWay { place });
            step.inferred = true;
            self.steps.push(step);
            self.follow(c, "", *only, depth + 1);
            return;
        }
        if value.is_none() {
            // Of a value that is not known, nothing says which way it came.
            let all: Vec<String> =
                ways.iter().filter_map(|way| self.named(c, *way, 0).text).collect();
            step.note = (!all.is_empty()).then_some(StepNote::OneOf(all));
            self.steps.push(step);
            return;
        }
        let agrees = |way: &&Origin| {
            let known = context.evaluator.value(**way);
            value.is_some_and(|value| known.is_ok_and(|known| known.value == value))
        };
        let agreeing: Vec<Origin> = ways.iter().filter(agrees).copied().collect();
        let chosen = match agreeing.as_slice() {
            [one] => vec![*one],
            _ => ways.iter().copied().take(MAX_WAYS).collect(),
        };
        let others: Vec<String> = ways
            .iter()
            .filter(|way| !chosen.contains(way))
            .filter_map(|way| self.named(c, *way, 0).text)
            .collect();
        let agrees = agreeing.len() == 1;
        step.inferred |= agrees;
        let others = agrees.then_some(others);
        step.note = Some(StepNote::Ways { count: ways.len(), place, others });
        self.steps.push(step);
        let several = chosen.len() > 1;
        for (number, way) in chosen.into_iter().enumerate() {
            let place = if several { format!("way {}", number + 1) } else { String::new() };
            let before = self.steps.len();
            self.follow(c, &place, way, depth + 1);
            if let Some(first) = self.steps.get_mut(before) {
                first.inferred = true;
                // What lies there now is not what came.
                if first.value.is_some() && first.value != value {
                    first.note = Some(StepNote::OtherValue);
                }
            }
        }
    }

    pub(super) fn listed(&self, at: u64) -> Option<Listed> {
        code::listed(self.case, at)
    }

    fn loss(&self, lost: Lost) -> Loss {
        let place = match lost {
            Lost::Call(at) | Lost::Merged(at) | Lost::Loop(at) | Lost::Unmodelled(at) => {
                location(self.case.kernel, at)
            }
            _ => String::new(),
        };
        Loss { lost, place }
    }
}

/// Where the function itself writes to what it read at `at`, if it does.
fn rewritten(evaluator: &Evaluator<'_>, at: u64, value: &Expression) -> Option<u64> {
    let function = &evaluator.function;
    let loads = value.loads();
    let read = loads.first()?;
    let base = |at: u64, memory: &MemoryOperand| {
        let state = function.state_before(at)?;
        Some(memory.base.map(|base| state.register(base)))
    };
    let from = base(at, read)?;
    if from == Some(Origin::Unknown) || read.index.is_some() {
        return None;
    }
    let writes = |store: u64, insn: &Insn| {
        insn.effects.assignments.iter().any(|assignment| match assignment {
            Assignment::Memory { memory, .. } => {
                memory.displacement == read.displacement
                    && memory.index.is_none()
                    && memory.segment == read.segment
                    && base(store, memory) == Some(from)
            }
            Assignment::Register { .. } => false,
        })
    };
    let stores = function.code().instructions.iter();
    let mut stores = stores.filter(|(store, insn)| **store != at && writes(**store, insn));
    stores.next().map(|(store, _)| *store)
}

fn how_known(certainty: Certainty) -> explanation::Known {
    match certainty {
        Certainty::Constant => explanation::Known::Constant,
        Certainty::Register(_) => explanation::Known::Register,
        Certainty::Stack(_) => explanation::Known::Stack,
        Certainty::Computed => explanation::Known::Computed,
        Certainty::Recomputed => explanation::Known::Recomputed,
    }
}

fn looks(case: &Case<'_>, value: u64, ty: Option<TypeId>) -> Vec<Look> {
    classify::of(case.kernel, case.task, value, ty)
}
