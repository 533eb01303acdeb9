//! Where a value came from, step by step: names, values and the instructions that made it.

use std::collections::HashSet;

use necropsy_debuginfo::{Type, TypeId};
use necropsy_disasm::{
    MemoryOperand,
    effects::{Expression, Operation},
};
use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{
    Reg,
    dataflow::{Certainty, Evaluator, Known, Lost, Origin, Place},
};

use super::{
    location, looks, members,
    names::Names,
    row::{Listed, Step},
    scene::{Context, Entered},
};
use crate::render::Hex;

/// The most steps of one explanation.
const MAX_STEPS: usize = 60;

/// How far one value is followed.
const MAX_DEPTH: usize = 14;

/// The most ways that one value is followed on.
const MAX_WAYS: usize = 3;

/// The longest name that is worth reading.
const MAX_NAME: usize = 96;

/// What the source may call a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) text: Option<String>,
    pub(super) ty: Option<TypeId>,
    /// The type is that of a parameter the value was passed as, or of a union's member.
    pub(super) inferred: bool,
}

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

    // ---- names ----

    /// What the value of an origin is called in a context.
    pub(super) fn named(&self, c: usize, origin: Origin, depth: usize) -> Named {
        let Some(context) = self.contexts.get(c).filter(|_| depth < MAX_DEPTH) else {
            return Named::default();
        };
        let evaluator = &context.evaluator;
        let mut named = match origin {
            Origin::Entry { register, .. } => self.parameter(c, register, depth),
            Origin::Constant(value) => Named { text: self.constant(value), ..Named::default() },
            Origin::Defined { at, register } => match evaluator.function.definition(at, register) {
                Some(value) => self.expression(c, at, value, depth + 1),
                None => self.result(c, at, register),
            },
            Origin::Frame(_) => {
                Named { text: Some("(its own stack frame)".into()), ..Named::default() }
            }
            Origin::Merged { .. } | Origin::Unknown => Named::default(),
        };
        if named.text.as_ref().is_some_and(|text| text.len() > MAX_NAME) {
            named.text = None;
        }
        named
    }

    fn parameter(&self, c: usize, register: Reg, depth: usize) -> Named {
        let Some(context) = self.contexts.get(c) else { return Named::default() };
        let start = context.evaluator.function.start();
        let parameters = self.names.parameters(start);
        let found = parameters.into_iter().find(|parameter| parameter.register == register);
        let mut named = match found {
            Some(found) => Named {
                text: Some(found.name).filter(|name| !name.is_empty()),
                ty: Some(found.ty),
                inferred: false,
            },
            None => Named::default(),
        };
        // What a `void *` leads to, the caller may know.
        if named.ty.is_none_or(|ty| self.is_void_pointer(ty))
            && context.entered == Entered::By
            && let Some(caller) = self.contexts.get(c + 1)
        {
            let passed = self.named(c + 1, caller.before(register), depth + 1);
            if passed.ty.is_some() {
                named.ty = passed.ty;
                named.inferred = true;
            }
        }
        named
    }

    fn is_void_pointer(&self, ty: TypeId) -> bool {
        let types = self.kernel.types();
        let Type::Pointer(target) = types.resolve(ty) else { return false };
        matches!(types.resolve(*target), Type::Void)
    }

    /// What a call left in a register.
    fn result(&self, c: usize, call: u64, register: Reg) -> Named {
        if register != Reg::Rax {
            return Named::default();
        }
        let target = self.direct_target(c, call);
        let text = target
            .and_then(|target| self.kernel.target().locate(target))
            .map(|located| format!("{}()", located.symbol.name));
        let ty = target.and_then(|target| self.names.result(target));
        Named { text, ty, inferred: false }
    }

    fn direct_target(&self, c: usize, call: u64) -> Option<u64> {
        let function = &self.contexts.get(c)?.evaluator.function;
        let insn = function.instruction(call)?;
        insn.effects.target.filter(|target| {
            necropsy_target::dataflow::retpoline_register(self.kernel.target(), *target).is_none()
        })
    }

    fn constant(&self, value: u64) -> Option<String> {
        let located = self.kernel.target().locate(value)?;
        // Literals have no symbols: what lies far behind one is not part of it.
        let near = located.offset == 0 || located.offset < located.symbol.size.min(1 << 16);
        (near && located.offset == 0).then(|| format!("&{}", located.symbol.name))
    }

    /// What an expression of the instruction at `at` is called.
    pub(super) fn expression(&self, c: usize, at: u64, value: &Expression, depth: usize) -> Named {
        if depth >= MAX_DEPTH {
            return Named::default();
        }
        match value {
            Expression::Constant(value) => {
                Named { text: self.constant(*value), ..Named::default() }
            }
            Expression::Register { name, bytes, .. } => {
                let mut named = self.register(c, at, name, depth);
                if *bytes < 4 {
                    named.ty = None;
                }
                named
            }
            Expression::Extend { value, bytes, .. } => {
                let mut named = self.expression(c, at, value, depth + 1);
                if *bytes < 4 {
                    named.ty = None;
                }
                named
            }
            Expression::Load { memory, .. } => {
                self.place(c, at, memory, u64::from(memory.size_bytes), depth)
            }
            Expression::Address(memory) => {
                let mut named = self.place(c, at, memory, 0, depth);
                named.text = named.text.map(|text| format!("&{text}"));
                named.ty = named.ty.map(|ty| self.kernel.types().pointer_to(ty));
                named
            }
            Expression::Binary(operation, left, right) => {
                self.binary(c, at, *operation, left, right, depth)
            }
            Expression::Unknown => Named::default(),
        }
    }

    fn binary(
        &self,
        c: usize,
        at: u64,
        operation: Operation,
        left: &Expression,
        right: &Expression,
        depth: usize,
    ) -> Named {
        let of_left = self.expression(c, at, left, depth + 1);
        let of_right = self.expression(c, at, right, depth + 1);
        // A pointer into the template of per-CPU data plus the offset of a CPU.
        for (pointer, offset) in [(&of_left, &of_right), (&of_right, &of_left)] {
            let per_cpu = offset.text.as_deref() == Some("this_cpu_off");
            if operation == Operation::Add && per_cpu && pointer.ty.is_some() {
                let text = pointer.text.as_ref().map(|text| format!("this_cpu_ptr({text})"));
                return Named { text, ..pointer.clone() };
            }
        }
        if let (Operation::Add, Expression::Constant(offset)) = (operation, right)
            && let Some((text, ty)) = self.member(&of_left, *offset, 0)
        {
            let ty = Some(self.kernel.types().pointer_to(ty));
            return Named { text: Some(format!("&{text}")), ty, inferred: of_left.inferred };
        }
        let side = |named: &Named, value: &Expression| match (&named.text, value) {
            (Some(text), _) => Some(text.clone()),
            (None, Expression::Constant(value)) => Some(format!("{value:#x}")),
            _ => None,
        };
        let text = match (side(&of_left, left), side(&of_right, right)) {
            (Some(a), Some(b)) => {
                // Adding a negative constant is a subtraction.
                let negative = match right {
                    Expression::Constant(value) if (*value as i64) < 0 => {
                        Some(value.wrapping_neg())
                    }
                    _ => None,
                };
                Some(match negative.filter(|_| operation == Operation::Add) {
                    Some(value) => format!("({a} - {value:#x})"),
                    None => format!("({a} {} {b})", operation.symbol()),
                })
            }
            _ => None,
        };
        Named { text, ..Named::default() }
    }

    /// What the value of a register before the instruction at `at` is called.
    fn register(&self, c: usize, at: u64, name: &str, depth: usize) -> Named {
        let Some((context, reg)) = self.contexts.get(c).zip(Reg::by_name(name)) else {
            return Named::default();
        };
        if let Some((name, ty)) = self.names.variable(at, reg) {
            return Named { text: Some(name), ty: Some(ty), inferred: false };
        }
        let origin = context.evaluator.function.state_before(at);
        origin.map_or(Named::default(), |state| self.named(c, state.register(reg), depth + 1))
    }

    /// What lies at a memory operand: `size` bytes, or 0 for its address alone.
    fn place(&self, c: usize, at: u64, memory: &MemoryOperand, size: u64, depth: usize) -> Named {
        let Some(base) = memory.base else {
            return match memory.segment {
                None if memory.index.is_none() => self.global(memory.displacement, size),
                Some("gs") if memory.index.is_none() => self.per_cpu(memory.displacement, size),
                _ => Named::default(),
            };
        };
        if memory.segment.is_some() {
            return Named::default();
        }
        let base = self.register(c, at, base, depth + 1);
        if let Some(index) = memory.index {
            return self.element(c, at, &base, memory, index, depth);
        }
        match self.member(&base, memory.displacement, size) {
            Some((text, ty)) => Named { text: Some(text), ty: Some(ty), inferred: base.inferred },
            None => Named::default(),
        }
    }

    fn element(
        &self,
        c: usize,
        at: u64,
        base: &Named,
        memory: &MemoryOperand,
        index: &str,
        depth: usize,
    ) -> Named {
        let types = self.kernel.types();
        let Some(pointee) = base.ty.and_then(|ty| types.pointee(ty)) else {
            return Named::default();
        };
        let step = u64::from(memory.scale);
        let Some((path, ty)) = members::array_at(types, pointee, memory.displacement, step) else {
            return Named::default();
        };
        let index = self.register(c, at, index, depth + 1).text.unwrap_or_else(|| index.into());
        let text = base.text.as_ref().map(|text| format!("{text}->{path}[{index}]"));
        Named { text, ty: Some(ty), inferred: base.inferred }
    }

    /// The member at an offset of what a pointer leads to: `vma->vm_file`.
    fn member(&self, base: &Named, offset: u64, size: u64) -> Option<(String, TypeId)> {
        let types = self.kernel.types();
        let pointee = types.pointee(base.ty?)?;
        let text = base.text.as_ref()?;
        if types.as_composite(pointee).is_none() {
            let same = offset == 0 && (size == 0 || types.size_of(pointee) == Some(size));
            return same.then(|| (format!("*{text}"), pointee));
        }
        let (path, ty) = members::at(types, pointee, offset, size)?;
        Some(match text.strip_prefix('&') {
            Some(object) => (format!("{object}.{path}"), ty),
            None => (format!("{text}->{path}"), ty),
        })
    }

    fn global(&self, address: u64, size: u64) -> Named {
        let found = self.kernel.target().locate(address);
        let Some(located) = found.filter(|located| located.offset < located.symbol.size.max(1))
        else {
            return Named::default();
        };
        self.variable(located.symbol.name, located.offset, size)
    }

    /// A per-CPU variable, by the address to which a CPU's offset is added.
    fn per_cpu(&self, address: u64, size: u64) -> Named {
        let symbols = &self.kernel.target().kernel().symbols;
        // Where per-CPU addresses begin at zero, their symbols come before all others.
        let low = || symbols.iter().take_while(|symbol| symbol.address < 1 << 32);
        let highest = low().map(|symbol| symbol.address).filter(|below| *below <= address).max();
        let mut names: Vec<_> =
            low().filter(|symbol| Some(symbol.address) == highest).take(16).collect();
        if names.is_empty() {
            names.extend(symbols.at(address).take(16));
        }
        if names.is_empty() {
            names.extend(symbols.lookup(address));
        }
        // Of several names the one whose type is known.
        let typed = names.iter().find(|symbol| self.kernel.global_type(symbol.name).is_some());
        let Some(symbol) = typed.or(names.first()) else { return Named::default() };
        let offset = address.wrapping_sub(symbol.address);
        let ty = self.kernel.global_type(symbol.name);
        let extent = ty.and_then(|ty| self.kernel.types().size_of(ty)).unwrap_or(8);
        if offset >= extent {
            return Named::default();
        }
        self.variable(symbol.name, offset, size)
    }

    fn variable(&self, name: &str, offset: u64, size: u64) -> Named {
        let types = self.kernel.types();
        let ty = self.kernel.global_type(name);
        if offset == 0 && ty.is_none_or(|ty| size == 0 || types.size_of(ty) == Some(size)) {
            return Named { text: Some(name.to_owned()), ty, inferred: false };
        }
        match ty.and_then(|ty| members::at(types, ty, offset, size)) {
            Some((path, ty)) => {
                let text = format!("{name}.{path}").replace(".[", "[");
                Named { text: Some(text), ty: Some(ty), inferred: false }
            }
            None => Named::default(),
        }
    }

    /// What the source may call a memory operand of the interrupted instruction.
    pub(super) fn operand_name(&self, at: u64, operand: &MemoryOperand) -> Option<String> {
        self.place(0, at, operand, operand.size_bytes.into(), 0).text
    }

    // ---- steps ----

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
            function: context.map(|context| super::function_name(self.kernel, &context.evaluator)),
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
        super::listed(self.kernel, self.names, at)
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
