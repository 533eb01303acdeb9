//! Where a value came from, step by step: names, values and the instructions that made it.

use std::collections::HashSet;

use necropsy_disasm::effects::Expression;
use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{
    Reg,
    dataflow::{Certainty, Evaluator, Known, Lost, Origin, Place},
};

use super::{
    looks,
    names::Names,
    naming::Named,
    places::location,
    row::{Listed, Step},
    scene::{Context, Entered},
};
use crate::render::Hex;

/// The most steps of one explanation.
const MAX_STEPS: usize = 60;

/// How far one value is followed.
pub(super) const MAX_DEPTH: usize = 14;

/// The most ways that one value is followed on.
const MAX_WAYS: usize = 3;

pub(super) struct Teller<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) names: &'a dyn Names,
    pub(super) contexts: &'a [Context<'a>],
    pub(super) task: Task<'a>,
    pub(super) steps: Vec<Step>,
    seen: HashSet<(usize, Origin)>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        kernel: &'a Kernel,
        names: &'a dyn Names,
        contexts: &'a [Context<'a>],
        task: Task<'a>,
    ) -> Self {
        Teller { kernel, names, contexts, task, steps: Vec::new(), seen: HashSet::new() }
    }

    /// Values that were told of elsewhere need no second telling.
    pub(super) fn skip(&mut self, told: &HashSet<(usize, Origin)>) {
        self.seen.extend(told);
    }

    /// What was told of.
    pub(super) fn told(&self) -> HashSet<(usize, Origin)> {
        self.seen.clone()
    }

    /// Tells of the value that the instruction at `at` computes or compares.
    pub(super) fn tell_expression(
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
            Expression::Register { name, .. } => {
                let Some(reg) = Reg::by_name(name) else { return };
                let Some(state) = context.evaluator.function.state_before(at) else { return };
                let place = if place.is_empty() { name } else { place };
                self.tell(c, place, state.register(reg), depth);
            }
            value => {
                let named = self.expression(c, at, value, 0);
                let known = context.evaluator.expression(at, value);
                let mut step = self.step(c, place, &named, depth, known);
                step.instruction = self.listed(at);
                self.steps.push(step);
                self.tell_parts(c, at, value, depth + 1);
            }
        }
    }

    /// Tells of a value: what it is, and in turn of what it was made of.
    pub(super) fn tell(&mut self, c: usize, place: &str, origin: Origin, depth: usize) {
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
                        self.steps.push(step);
                        self.tell_parts(c, at, &value, depth + 1);
                    }
                    None => {
                        self.steps.push(step);
                        if register == Reg::Rax {
                            self.tell_call(c, at, depth + 1);
                        }
                    }
                }
            }
            Origin::Entry { register, bytes } => {
                let value = step.value.filter(|_| bytes == 8);
                self.steps.push(step);
                self.tell_entry(c, register, value, depth + 1);
            }
            Origin::Merged { at, place } => self.tell_merged(c, step, at, place, depth),
            _ => self.steps.push(step),
        }
    }

    /// A copy of the low half of a value that has no high half is the value itself.
    fn copied(&self, evaluator: &Evaluator<'_>, origin: Origin) -> Origin {
        let Origin::Defined { at, register } = origin else { return origin };
        let Some(Expression::Register { name, bytes: 4, signed: false }) =
            evaluator.function.definition(at, register)
        else {
            return origin;
        };
        let source = Reg::by_name(name)
            .zip(evaluator.function.state_before(at))
            .map(|(reg, state)| state.register(reg));
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
        let types = self.kernel.types();
        let context = self.contexts.get(c);
        let known = value.ok();
        Step {
            depth,
            frame: context.and_then(|context| context.frame),
            function: context
                .map(|context| super::places::function_name(self.kernel, &context.evaluator)),
            place: place.to_owned(),
            name: named.text.clone(),
            r#type: named.ty.map(|ty| types.display(ty)),
            inferred: named.inferred,
            value: known.map(|known| Hex(known.value)),
            known: known.map_or("lost", |known| certainty_name(known.certainty)),
            held_in: known.and_then(|known| match known.certainty {
                Certainty::Register(reg) => Some(reg.name().to_owned()),
                Certainty::Stack(address) => Some(format!("{address:#x}")),
                _ => None,
            }),
            lost: value.err().map(|lost| self.why_lost(lost)),
            looks: known.map_or(Vec::new(), |known| {
                looks::of(self.kernel, self.task, known.value, named.ty)
            }),
            instruction: None,
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
        if !matches!(step.known, "register" | "stack") || value.loads().is_empty() {
            return;
        }
        if let (Ok(now), Some(Hex(held))) = (evaluator.expression(at, value), step.value) {
            step.memory_agrees = Some(now.value == held);
            step.memory_now = (now.value != held).then_some(Hex(now.value));
        }
    }

    /// The registers that an expression is made of.
    pub(super) fn tell_parts(&mut self, c: usize, at: u64, value: &Expression, depth: usize) {
        let mut parts: Vec<&'static str> = Vec::new();
        value.visit(&mut |part| {
            let names = match part {
                Expression::Register { name, .. } => [Some(*name), None],
                Expression::Load { memory, .. } | Expression::Address(memory) => {
                    [memory.base, memory.index]
                }
                _ => [None, None],
            };
            for name in names.into_iter().flatten() {
                if !parts.contains(&name) {
                    parts.push(name);
                }
            }
        });
        let Some(context) = self.contexts.get(c) else { return };
        let Some(state) = context.evaluator.function.state_before(at) else { return };
        for name in parts {
            let Some(reg) = Reg::by_name(name) else { continue };
            let origin = state.register(reg);
            if !matches!(origin, Origin::Constant(_) | Origin::Frame(_)) {
                self.tell(c, name, origin, depth);
            }
        }
    }

    /// The arguments of the call at `call`.
    fn tell_call(&mut self, c: usize, call: u64, depth: usize) {
        let Some(callee) = self.direct_target(c, call) else { return };
        let Some(context) = self.contexts.get(c) else { return };
        let Some(state) = context.evaluator.function.state_before(call) else { return };
        for parameter in self.names.parameters(callee) {
            let origin = state.register(parameter.register);
            let place = format!("{} ({})", parameter.name, parameter.register.name());
            let before = self.steps.len();
            self.tell(c, &place, origin, depth);
            // What it is passed as tells the type that the code before did not.
            if let Some(step) = self.steps.get_mut(before)
                && step.r#type.is_none()
            {
                let types = self.kernel.types();
                step.r#type = Some(types.display(parameter.ty));
                step.inferred = false;
                if let Some(Hex(value)) = step.value {
                    step.looks = looks::of(self.kernel, self.task, value, Some(parameter.ty));
                }
            }
        }
    }

    fn tell_entry(&mut self, c: usize, register: Reg, value: Option<Hex>, depth: usize) {
        let contexts = self.contexts;
        let Some(context) = contexts.get(c) else { return };
        match (&context.entered, contexts.get(c + 1)) {
            (Entered::By | Entered::Maybe, Some(caller)) => {
                let at = caller.evaluator.at;
                let origin = caller.before(register);
                let before = self.steps.len();
                self.tell(c + 1, register.name(), origin, depth);
                let start = context.evaluator.function.start();
                let parameter = self.names.parameters(start);
                let parameter = parameter.iter().find(|found| found.register == register);
                if let Some(step) = self.steps.get_mut(before) {
                    let types = self.kernel.types();
                    if let (None, Some(parameter)) = (&step.r#type, parameter) {
                        step.r#type = Some(types.display(parameter.ty));
                    }
                    // What was passed is what the function called was given.
                    if let (None, Some(Hex(value))) = (step.value, value) {
                        let ty = parameter.map(|parameter| parameter.ty);
                        step.value = Some(Hex(value));
                        step.known = "callee";
                        step.lost = None;
                        step.looks = looks::of(self.kernel, self.task, value, ty);
                    }
                    // The jump is there; that it was the one taken is not proved.
                    step.inferred |= caller.frame.is_none();
                    let verb = if caller.frame.is_some() { "calls" } else { "jumps" };
                    step.note = Some(format!("{} {verb} here", location(self.kernel, at)));
                    if context.entered == Entered::Maybe {
                        step.inferred = true;
                        step.note = Some(format!(
                            "{} calls by a pointer that is lost",
                            location(self.kernel, at)
                        ));
                    }
                }
            }
            (Entered::Unknown(why), _) => {
                if let Some(last) = self.steps.last_mut() {
                    last.note = Some(why.clone());
                }
            }
            _ => {}
        }
    }

    /// A value that came on one of several ways: those that the value itself rules out are left
    /// out, and the only one that remains is told.
    fn tell_merged(&mut self, c: usize, mut step: Step, at: u64, place: Place, depth: usize) {
        let Some(context) = self.contexts.get(c) else { return };
        let function = &context.evaluator.function;
        let mut ways: Vec<Origin> = Vec::new();
        for from in function.code().before(at) {
            let Some(state) = function.state_behind(*from) else { continue };
            let origin = match place {
                Place::Register(number) => {
                    Reg::ALL.get(usize::from(number)).map(|reg| state.register(*reg))
                }
                Place::Slot(offset) => state.slot(offset, 8),
            };
            let origin = origin.unwrap_or(Origin::Unknown);
            if !ways.contains(&origin) {
                ways.push(origin);
            }
        }
        let value = step.value.map(|Hex(value)| value);
        if let Some(value) = value {
            ways.retain(|way| !matches!(way, Origin::Constant(other) if *other != value));
        }
        // Followed are the values that something is known of.
        let own = |way: &Origin| matches!(way, Origin::Merged { at: again, .. } if *again == at);
        ways.retain(|way| *way != Origin::Unknown && !own(way));
        let place = location(self.kernel, at);
        if let [only] = ways.as_slice()
            && value.is_some()
        {
            step.note = Some(format!("of the ways to {place} the only one that is followed"));
            step.inferred = true;
            self.steps.push(step);
            self.tell(c, "", *only, depth + 1);
            return;
        }
        if value.is_none() {
            // Of a value that is not known, nothing says which way it came.
            let all: Vec<String> =
                ways.iter().filter_map(|way| self.named(c, *way, 0).text).collect();
            step.note = (!all.is_empty()).then(|| all.join(", or "));
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
        let mut note = format!("{} ways lead to {place}", ways.len());
        if agreeing.len() == 1 {
            note.push_str("; memory agrees with this one");
            step.inferred = true;
            if !others.is_empty() {
                note.push_str(&format!(", else it were {}", others.join(" or ")));
            }
        }
        step.note = Some(note);
        self.steps.push(step);
        let several = chosen.len() > 1;
        for (number, way) in chosen.into_iter().enumerate() {
            let place = if several { format!("way {}", number + 1) } else { String::new() };
            let before = self.steps.len();
            self.tell(c, &place, way, depth + 1);
            if let Some(told) = self.steps.get_mut(before) {
                told.inferred = true;
            }
        }
    }

    pub(super) fn listed(&self, at: u64) -> Option<Listed> {
        super::places::listed(self.kernel, self.names, at)
    }

    fn why_lost(&self, lost: Lost) -> String {
        let place = |at| location(self.kernel, at);
        match lost {
            Lost::Entry(reg) => {
                format!("{} on entry: overwritten, and no caller knows it", reg.name())
            }
            Lost::Call(at) => format!("the call at {} left it, and it is overwritten", place(at)),
            Lost::Merged(at) => format!("several ways lead to {}", place(at)),
            Lost::Loop(at) => format!("a loop around {} changed what it was made of", place(at)),
            Lost::Unmodelled(at) => format!("what {} computes is not followed", place(at)),
            Lost::Frame => "the place of the frame is not known".into(),
            Lost::Segment(segment) => format!("the base of %{segment} is not known"),
            Lost::Fault(fault) => format!("memory cannot be read: {fault}"),
            Lost::TooDeep => "made in too many steps".into(),
            Lost::Unknown => "nothing is known of it".into(),
        }
    }
}

fn certainty_name(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Constant => "constant",
        Certainty::Register(_) => "register",
        Certainty::Stack(_) => "stack",
        Certainty::Computed => "computed",
        Certainty::Recomputed => "recomputed",
    }
}
