//! What the source may call a value: `vma->vm_file->private_data`.

use necropsy_debuginfo::{Type, TypeId};
use necropsy_disasm::{
    MemoryOperand,
    effects::{Expression, Operation},
};
use necropsy_machine::{
    Reg,
    dataflow::{Origin, retpoline_register},
};

use super::{
    contexts::Entered,
    members,
    slicer::{MAX_DEPTH, Slicer},
    words,
};

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

impl Named {
    /// Whether it is how far a CPU's own variables are from the template: a variable, or what the
    /// function that reads it from a register returned (arch/arm64/include/asm/percpu.h).
    fn is_cpu_offset(&self) -> bool {
        matches!(self.text.as_deref(), Some("this_cpu_off" | "__kern_my_cpu_offset()"))
    }

    /// What a pointer into the template leads to once that is added.
    fn of_this_cpu(&self) -> Named {
        let text = self.text.as_ref().map(|text| words::this_cpu(text));
        Named { text, ..self.clone() }
    }
}

impl Slicer<'_> {
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
            Origin::Frame(_) => Named { text: Some(words::OWN_FRAME.into()), ..Named::default() },
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
        let parameters = self.case.names.parameters(start);
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
        let types = self.case.kernel.types();
        let Type::Pointer(target) = types.resolve(ty) else { return false };
        matches!(types.resolve(*target), Type::Void)
    }

    /// What a call left in a register.
    fn result(&self, c: usize, call: u64, register: Reg) -> Named {
        if register != self.case.kernel.target().abi().result {
            return Named::default();
        }
        let target = self.direct_target(c, call);
        let text = target
            .and_then(|target| self.case.kernel.target().locate(target))
            .map(|located| format!("{}()", located.symbol.name));
        let ty = target.and_then(|target| self.case.names.result(target));
        Named { text, ty, inferred: false }
    }

    pub(super) fn direct_target(&self, c: usize, call: u64) -> Option<u64> {
        let function = &self.contexts.get(c)?.evaluator.function;
        let insn = function.instruction(call)?;
        insn.effects
            .target
            .filter(|target| retpoline_register(self.case.kernel.target(), *target).is_none())
    }

    fn constant(&self, value: u64) -> Option<String> {
        let located = self.case.kernel.target().locate(value)?;
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
            Expression::Register { register, bytes, .. } => {
                let mut named = self.register(c, at, *register, depth);
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
                named.ty = named.ty.map(|ty| self.case.kernel.types().pointer_to(ty));
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
            if operation == Operation::Add && offset.is_cpu_offset() && pointer.ty.is_some() {
                return pointer.of_this_cpu();
            }
        }
        if let (Operation::Add, Expression::Constant(offset)) = (operation, right)
            && let Some((text, ty)) = self.member(&of_left, *offset, 0)
        {
            let ty = Some(self.case.kernel.types().pointer_to(ty));
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
    fn register(&self, c: usize, at: u64, reg: Reg, depth: usize) -> Named {
        let Some(context) = self.contexts.get(c) else { return Named::default() };
        if let Some((name, ty)) = self.case.names.variable(at, reg) {
            return Named { text: Some(name), ty: Some(ty), inferred: false };
        }
        let origin = context.evaluator.function.state_before(at);
        origin.map_or(Named::default(), |state| self.named(c, state.register(reg), depth + 1))
    }

    /// What lies at a memory operand: `size` bytes, or 0 for its address alone.
    fn place(&self, c: usize, at: u64, memory: &MemoryOperand, size: u64, depth: usize) -> Named {
        let Some(base) = memory.base else {
            return match memory.segment {
                None => match memory.index {
                    None => self.global(memory.displacement, size),
                    Some(index) => self.global_element(c, at, memory, index, depth),
                },
                base if base == self.case.kernel.target().abi().per_cpu_base
                    && memory.index.is_none() =>
                {
                    self.per_cpu(memory.displacement, size)
                }
                _ => Named::default(),
            };
        };
        if memory.segment.is_some() {
            return Named::default();
        }
        let base = self.register(c, at, base, depth + 1);
        let mut base = base;
        if let Some(index) = memory.index {
            let offset = self.register(c, at, index, depth + 1);
            if memory.scale != 1 || base.ty.is_none() || !offset.is_cpu_offset() {
                return self.element(c, at, &base, memory, index, depth);
            }
            base = base.of_this_cpu();
        }
        match self.member(&base, memory.displacement, size) {
            Some((text, ty)) => Named { text: Some(text), ty: Some(ty), inferred: base.inferred },
            None => Named::default(),
        }
    }

    /// An element of a global array: `mem_section[rax]`.
    fn global_element(
        &self,
        c: usize,
        at: u64,
        memory: &MemoryOperand,
        index: Reg,
        depth: usize,
    ) -> Named {
        let types = self.case.kernel.types();
        let located = self.case.kernel.target().locate(memory.displacement);
        let Some(array) = located.filter(|located| located.offset == 0) else {
            return Named::default();
        };
        let name = array.symbol.name;
        let element = self.case.kernel.global_type(name).and_then(|ty| match types.resolve(ty) {
            Type::Array { element, .. } => Some(*element),
            _ => None,
        });
        let fits = |ty: &TypeId| types.size_of(*ty) == Some(memory.scale.into());
        let index =
            self.register(c, at, index, depth + 1).text.unwrap_or_else(|| index.to_string());
        Named { text: Some(format!("{name}[{index}]")), ty: element.filter(fits), inferred: false }
    }

    fn element(
        &self,
        c: usize,
        at: u64,
        base: &Named,
        memory: &MemoryOperand,
        index: Reg,
        depth: usize,
    ) -> Named {
        let types = self.case.kernel.types();
        let Some(pointee) = base.ty.and_then(|ty| types.pointee(ty)) else {
            return Named::default();
        };
        let step = u64::from(memory.scale);
        let Some((path, ty)) = members::array_at(types, pointee, memory.displacement, step) else {
            return Named::default();
        };
        let index =
            self.register(c, at, index, depth + 1).text.unwrap_or_else(|| index.to_string());
        let text = base.text.as_ref().map(|text| format!("{text}->{path}[{index}]"));
        Named { text, ty: Some(ty), inferred: base.inferred }
    }

    /// The member at an offset of what a pointer leads to: `vma->vm_file`.
    fn member(&self, base: &Named, offset: u64, size: u64) -> Option<(String, TypeId)> {
        let types = self.case.kernel.types();
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
        let found = self.case.kernel.target().locate(address);
        let Some(located) = found.filter(|located| located.offset < located.symbol.size.max(1))
        else {
            return Named::default();
        };
        self.variable(located.symbol.name, located.offset, size)
    }

    /// A per-CPU variable, by the address to which a CPU's offset is added.
    fn per_cpu(&self, address: u64, size: u64) -> Named {
        let symbols = &self.case.kernel.target().kernel().symbols;
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
        let typed = names.iter().find(|symbol| self.case.kernel.global_type(symbol.name).is_some());
        let Some(symbol) = typed.or(names.first()) else { return Named::default() };
        let offset = address.wrapping_sub(symbol.address);
        let ty = self.case.kernel.global_type(symbol.name);
        let extent = ty.and_then(|ty| self.case.kernel.types().size_of(ty)).unwrap_or(8);
        if offset >= extent {
            return Named::default();
        }
        self.variable(symbol.name, offset, size)
    }

    fn variable(&self, name: &str, offset: u64, size: u64) -> Named {
        let types = self.case.kernel.types();
        let ty = self.case.kernel.global_type(name);
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
}
