//! Arguments and local variables: which there are, and where DWARF says that they are.
//!
//! A place is computed for a [`Frame`], which the caller fills with what is known of the stopped
//! function: its registers, its canonical frame address, the memory, and the frame that called it.

use gimli::{
    AttributeValue, EvaluationResult, Expression, Location, Piece, UnitOffset, Value, ValueType,
    constants as dw,
};

use super::{Dwarf, Inner, Scope, Unit, file::Slice, source::Die};
use crate::types::{TypeId, Types};

/// A stopped function, as expressions need it. Addresses and registers are those of the running
/// kernel; DWARF numbers name the registers.
pub trait Frame {
    /// A register's value while the function was executing, if it is known.
    fn register(&self, number: u16) -> Option<u64>;
    /// The canonical frame address: the caller's stack pointer once this function has returned.
    fn cfa(&self) -> Option<u64>;
    /// Fills `buf` from memory; false if any byte of it is missing.
    fn read(&self, address: u64, buf: &mut [u8]) -> bool;
    /// What is added to an address of the file.
    fn bias(&self) -> u64;
    /// The value that a register had when this function was entered, as its caller can tell:
    /// see [`Dwarf::call_argument`].
    fn entry_register(&self, number: u16) -> Option<u64>;
    /// The value that the caller gave for an argument which the compiler removed from the function
    /// (`foo.isra.0`): see [`Dwarf::call_parameter`].
    fn entry_parameter(&self, argument: u32) -> Option<u64>;
}

/// An argument or a local variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: TypeId,
    /// It is an argument.
    pub argument: bool,
    /// Its number among the arguments, from 0.
    pub position: Option<usize>,
    /// Blocks of the function that it is in: 0 for the function itself.
    pub depth: usize,
    /// Where it is.
    pub place: Placed,
}

/// Where a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// At an address.
    Memory(u64),
    /// Nowhere as a whole: these are its bytes. `entry`: as the caller's call tells them.
    Bytes {
        /// In the machine's order.
        bytes: Vec<u8>,
        /// Whether the value is what the function was called with.
        entry: bool,
    },
    /// Its value cannot be had.
    Lost(Lost),
}

/// Why a value cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// The compiler removed it.
    Removed,
    /// It is nowhere at this address, though elsewhere in the function it is.
    NotHere,
    /// It was in this register, which was not saved.
    Register(u16),
    /// It is what the function was called with in this register, which the call does not tell.
    Entry(u16),
    /// It is part of what could not be read at this address.
    Memory(u64),
    /// It points to a variable that the compiler removed.
    Pointer,
    /// It takes an operation that is not supported.
    Unsupported,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lost::Removed => f.write_str("optimized out"),
            Lost::NotHere => f.write_str("optimized out at this address"),
            Lost::Register(number) => write!(f, "was in %{}, not saved", register_name(*number)),
            Lost::Entry(number) => {
                write!(f, "was in %{} at the call, lost since", register_name(*number))
            }
            Lost::Memory(address) => write!(f, "memory at {address:#x} cannot be read"),
            Lost::Pointer => f.write_str("points to a variable that was optimized out"),
            Lost::Unsupported => f.write_str("its place takes an operation that is not supported"),
        }
    }
}

/// The DWARF registers of x86_64 by number (System V ABI, figure 3.36).
const REGISTERS: [&str; 17] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip",
];

/// The name of a DWARF register of x86_64.
pub fn register_name(number: u16) -> &'static str {
    REGISTERS.get(usize::from(number)).copied().unwrap_or("?")
}

/// A register's DWARF number by its name.
pub fn register_number(name: &str) -> Option<u16> {
    REGISTERS.iter().position(|register| *register == name).and_then(|n| u16::try_from(n).ok())
}

/// Operations of one expression that are carried out.
const MAX_OPERATIONS: u32 = 10_000;
/// Expressions within each other.
const MAX_NESTED: u32 = 16;
/// The largest variable that is put together from pieces, in bytes.
const MAX_BYTES: u64 = 1 << 16;
/// Variables listed of one function.
const MAX_LOCALS: usize = 4096;
/// Entries of one function that are looked through.
const MAX_ENTRIES: usize = 1 << 18;
/// Entries of one list of places.
const MAX_PLACES: usize = 1 << 14;

/// Where a call leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// To the function of this name.
    Named(String),
    /// To this address of the running kernel, which a pointer told.
    At(u64),
    /// Wherever a pointer led that is lost.
    Unknown,
}

/// A jump to another function in place of a call and a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailCall {
    /// Address of the file behind the jump.
    pub address: u64,
    /// The call's entry in `.debug_info`.
    site: u32,
    /// The function's that jumps.
    function: u32,
}

impl Dwarf {
    /// The arguments and variables of a function at an address, with their places. Types go into
    /// `types`.
    pub fn locals(
        &self,
        types: &Types,
        scope: &Scope,
        address: u64,
        frame: &dyn Frame,
    ) -> Vec<Local> {
        self.with(|inner| inner.locals(types, scope, address, frame)).unwrap_or_default()
    }

    /// The variable, of the innermost function first, whose whole value is in a register before
    /// the instruction at an address is executed.
    pub fn variable_in(
        &self,
        types: &Types,
        address: u64,
        register: u16,
    ) -> Option<(String, TypeId)> {
        self.with(|inner| inner.variable_in(types, address, register))
    }

    /// Where the call leads that returns to `address`, as its frame tells.
    pub fn callee(&self, address: u64, caller: &dyn Frame) -> Option<Callee> {
        self.with(|inner| {
            let (unit, site) = inner.call_site(address)?;
            if let Some(name) = inner.callee_name(unit, &site) {
                return Some(Callee::Named(name));
            }
            let value = site
                .attr_value(dw::DW_AT_call_target)
                .or_else(|| site.attr_value(dw::DW_AT_GNU_call_site_target))
                .and_then(|value| value.exprloc_value());
            let inside = address.checked_sub(1)?;
            let function = inner.index.function_at(inside)?;
            let at = Evaluation { inner, unit, function, address: inside, frame: caller, depth: 0 };
            Some(value.and_then(|value| at.number(value).ok()).map_or(Callee::Unknown, Callee::At))
        })
    }

    /// The jumps in the function at `address` that stand for calls of a function by one of these
    /// names.
    pub fn tail_calls(&self, address: u64, callee: &[String]) -> Vec<TailCall> {
        self.with(|inner| inner.tail_calls(address, callee)).unwrap_or_default()
    }

    /// As [`Dwarf::call_argument`], for such a jump. `frame` is the one of the function that jumps:
    /// all that is left of it is what it was called with.
    pub fn tail_argument(&self, call: &TailCall, register: u16, frame: &dyn Frame) -> Option<u64> {
        self.with(|inner| {
            let (unit, at) = inner.place(call.site)?;
            let site = unit.unit.entry(at).ok()?;
            let evaluation = Evaluation {
                inner,
                unit,
                function: call.function,
                address: call.address.checked_sub(1)?,
                frame,
                depth: 0,
            };
            inner.argument_of(unit, &site, &evaluation, &|unit, parameter| {
                let place = parameter.attr_value(dw::DW_AT_location);
                place.and_then(|place| register_of(unit, &place)) == Some(register)
            })
        })
    }

    /// The value that a call which returns to `address` put into a register, told by the frame
    /// that makes the call.
    pub fn call_argument(&self, address: u64, register: u16, caller: &dyn Frame) -> Option<u64> {
        self.with(|inner| {
            inner.call_value(address, caller, &|unit, parameter| {
                let place = parameter.attr_value(dw::DW_AT_location);
                place.and_then(|place| register_of(unit, &place)) == Some(register)
            })
        })
    }

    /// As [`Dwarf::call_argument`], for an argument by its entry's offset in `.debug_info`.
    pub fn call_parameter(&self, address: u64, argument: u32, caller: &dyn Frame) -> Option<u64> {
        self.with(|inner| {
            inner.call_value(address, caller, &|unit, parameter| {
                let named = parameter
                    .attr_value(dw::DW_AT_call_parameter)
                    .or_else(|| parameter.attr_value(dw::DW_AT_abstract_origin));
                named.and_then(|named| inner.reference(unit, &named)) == Some(argument)
            })
        })
    }
}

/// The register that an expression is.
fn register_of(unit: &Unit<'_>, value: &AttributeValue<Slice<'_>>) -> Option<u16> {
    let expression = value.exprloc_value()?;
    register_in(unit, expression)
}

fn register_in(unit: &Unit<'_>, expression: Expression<Slice<'_>>) -> Option<u16> {
    let mut operations = expression.operations(unit.unit.encoding());
    match (operations.next().ok()??, operations.next().ok()?) {
        (gimli::Operation::Register { register }, None) => Some(register.0),
        _ => None,
    }
}

impl<'a> Inner<'a> {
    fn locals(
        &self,
        types: &Types,
        scope: &Scope,
        address: u64,
        frame: &dyn Frame,
    ) -> Option<Vec<Local>> {
        let mut locals = Vec::new();
        for (depth, &die) in scope.dies.iter().enumerate() {
            let (unit, at) = self.place(die)?;
            let mut entries = Vec::new();
            self.children(unit, at, &mut |child| {
                if matches!(child.tag(), dw::DW_TAG_formal_parameter | dw::DW_TAG_variable) {
                    entries.push(child.clone());
                }
                locals.len() + entries.len() < MAX_LOCALS
            });
            let mut position = 0;
            for entry in entries {
                let Some(offset) = unit.global(entry.offset()) else { continue };
                let argument = entry.tag() == dw::DW_TAG_formal_parameter;
                let number = position;
                position += usize::from(argument);
                let Some(name) = self.name(offset) else { continue };
                // An `extern` within a function: the variable is global, and found as that.
                if entry.attr_value(dw::DW_AT_declaration).is_some() {
                    continue;
                }
                let Some(ty) = self.type_of(types, offset) else { continue };
                let size = types.size_of(ty);
                let evaluation = Evaluation {
                    inner: self,
                    unit,
                    function: scope.function,
                    address,
                    frame,
                    depth: 0,
                };
                let place = evaluation.variable(&entry, offset, size);
                let position = argument.then_some(number);
                locals.push(Local { name, ty, argument, position, depth, place });
            }
        }
        Some(locals)
    }

    fn variable_in(&self, types: &Types, address: u64, register: u16) -> Option<(String, TypeId)> {
        let function = self.index.function_at(address)?;
        let unit = self.unit(function)?;
        let scopes = self.scopes(unit, function, address)?;
        let evaluation =
            Evaluation { inner: self, unit, function, address, frame: &Nowhere, depth: 0 };
        for &die in scopes.iter().rev().flat_map(|scope| scope.dies.iter().rev()) {
            let mut found = None;
            self.children(unit, unit.local(die)?, &mut |child| {
                if !matches!(child.tag(), dw::DW_TAG_formal_parameter | dw::DW_TAG_variable) {
                    return true;
                }
                let place = child.attr_value(dw::DW_AT_location);
                let expression = place.and_then(|place| evaluation.expression_of(place).ok());
                if expression.and_then(|at| register_in(unit, at)) == Some(register) {
                    found = unit.global(child.offset());
                }
                found.is_none()
            });
            if let Some(at) = found {
                return Some((self.name(at)?, self.type_of(types, at)?));
            }
        }
        None
    }

    /// The value of the first argument of a call that `wanted` takes.
    fn call_value(
        &self,
        address: u64,
        caller: &dyn Frame,
        wanted: &dyn Fn(&Unit<'a>, &Die<'a>) -> bool,
    ) -> Option<u64> {
        let (unit, site) = self.call_site(address)?;
        let inside = address.checked_sub(1)?;
        let function = self.index.function_at(inside)?;
        let evaluation =
            Evaluation { inner: self, unit, function, address: inside, frame: caller, depth: 0 };
        self.argument_of(unit, &site, &evaluation, wanted)
    }

    fn argument_of(
        &self,
        unit: &Unit<'a>,
        site: &Die<'a>,
        evaluation: &Evaluation<'_, 'a>,
        wanted: &dyn Fn(&Unit<'a>, &Die<'a>) -> bool,
    ) -> Option<u64> {
        let mut value = None;
        self.children(unit, site.offset(), &mut |child| {
            let parameter = matches!(
                child.tag(),
                dw::DW_TAG_call_site_parameter | dw::DW_TAG_GNU_call_site_parameter
            );
            if !parameter || !wanted(unit, child) {
                return true;
            }
            value = child
                .attr_value(dw::DW_AT_call_value)
                .or_else(|| child.attr_value(dw::DW_AT_GNU_call_site_value))
                .and_then(|value| value.exprloc_value());
            false
        });
        evaluation.number(value?).ok()
    }

    /// The name of the function that a call names.
    fn callee_name(&self, unit: &Unit<'a>, site: &Die<'a>) -> Option<String> {
        let origin = site
            .attr_value(dw::DW_AT_call_origin)
            .or_else(|| site.attr_value(dw::DW_AT_abstract_origin))?;
        self.name(self.reference(unit, &origin)?)
    }

    /// Where the code of a call ends.
    fn call_address(&self, unit: &Unit<'a>, site: &Die<'a>) -> Option<u64> {
        let value = match site.tag() {
            dw::DW_TAG_call_site => site
                .attr_value(dw::DW_AT_call_return_pc)
                .or_else(|| site.attr_value(dw::DW_AT_low_pc))?,
            dw::DW_TAG_GNU_call_site => site.attr_value(dw::DW_AT_low_pc)?,
            _ => return None,
        };
        self.dwarf.attr_address(&unit.unit, value).ok()?
    }

    fn tail_calls(&self, address: u64, callee: &[String]) -> Option<Vec<TailCall>> {
        let function = self.index.function_at(address)?;
        let unit = self.unit(function)?;
        let mut found = Vec::new();
        let mut entries = unit.unit.entries_at_offset(unit.local(function)?).ok()?;
        // The function itself, then all that is in it.
        let mut depth = 0isize;
        for _ in 0..MAX_ENTRIES {
            if !entries.next_entry().ok()? {
                break;
            }
            let Some(entry) = entries.current() else {
                depth -= 1;
                if depth <= 0 {
                    break;
                }
                continue;
            };
            let tail = entry.attr_value(dw::DW_AT_call_tail_call).is_some()
                || entry.attr_value(dw::DW_AT_GNU_tail_call).is_some();
            if tail
                && self.callee_name(unit, entry).is_some_and(|name| callee.contains(&name))
                && let (Some(address), Some(site)) =
                    (self.call_address(unit, entry), unit.global(entry.offset()))
            {
                found.push(TailCall { address, site, function });
            }
            depth += isize::from(entry.has_children());
            if depth == 0 {
                break;
            }
        }
        Some(found)
    }

    /// The call that returns to an address, and its unit.
    fn call_site(&self, address: u64) -> Option<(&Unit<'a>, Die<'a>)> {
        let inside = address.checked_sub(1)?;
        let function = self.index.function_at(inside)?;
        let unit = self.unit(function)?;
        let scopes = self.scopes(unit, function, inside)?;
        // The call stands in the innermost block that holds it.
        for die in scopes.iter().rev().flat_map(|scope| scope.dies.iter().rev()) {
            let mut found = None;
            self.children(unit, unit.local(*die)?, &mut |child| {
                if self.call_address(unit, child) == Some(address) {
                    found = Some(child.clone());
                }
                found.is_none()
            });
            if let Some(found) = found {
                return Some((unit, found));
            }
        }
        None
    }
}

/// No frame: for questions about places alone.
struct Nowhere;

impl Frame for Nowhere {
    fn register(&self, _: u16) -> Option<u64> {
        None
    }
    fn cfa(&self) -> Option<u64> {
        None
    }
    fn read(&self, _: u64, _: &mut [u8]) -> bool {
        false
    }
    fn bias(&self) -> u64 {
        0
    }
    fn entry_register(&self, _: u16) -> Option<u64> {
        None
    }
    fn entry_parameter(&self, _: u32) -> Option<u64> {
        None
    }
}

/// One expression or list of places, at one address of one frame.
struct Evaluation<'e, 'a> {
    inner: &'e Inner<'a>,
    unit: &'e Unit<'a>,
    /// The function whose frame it is.
    function: u32,
    /// Of the file.
    address: u64,
    frame: &'e dyn Frame,
    depth: u32,
}

/// The pieces of a variable, and whether a value from the function's entry is in them.
type Pieces<'a> = (Vec<Piece<Slice<'a>>>, bool);

impl<'a> Evaluation<'_, 'a> {
    fn variable(&self, entry: &Die<'a>, offset: u32, size: Option<u64>) -> Placed {
        if let Some((_, constant)) = self.inner.attribute(offset, dw::DW_AT_const_value) {
            return constant_bytes(&constant, size);
        }
        let Some(value) = entry.attr_value(dw::DW_AT_location) else {
            return Placed::Lost(Lost::Removed);
        };
        match self.expression_of(value) {
            Ok(expression) => self.placed(expression, size),
            Err(lost) => Placed::Lost(lost),
        }
    }

    /// The expression that holds at the address.
    fn expression_of(
        &self,
        value: AttributeValue<Slice<'a>>,
    ) -> Result<Expression<Slice<'a>>, Lost> {
        if let Some(expression) = value.exprloc_value() {
            return match expression.0.is_empty() {
                true => Err(Lost::Removed),
                false => Ok(expression),
            };
        }
        let list = self.inner.dwarf.attr_locations(&self.unit.unit, value);
        let Ok(Some(mut list)) = list else { return Err(Lost::Unsupported) };
        for _ in 0..MAX_PLACES {
            match list.next() {
                Ok(Some(entry)) => {
                    if (entry.range.begin..entry.range.end).contains(&self.address) {
                        return match entry.data.0.is_empty() {
                            true => Err(Lost::NotHere),
                            false => Ok(entry.data),
                        };
                    }
                }
                Ok(None) => return Err(Lost::NotHere),
                Err(_) => return Err(Lost::Unsupported),
            }
        }
        Err(Lost::Unsupported)
    }

    fn placed(&self, expression: Expression<Slice<'a>>, size: Option<u64>) -> Placed {
        let (pieces, entry) = match self.evaluate(expression) {
            Ok(found) => found,
            Err(lost) => return Placed::Lost(lost),
        };
        if let [piece] = pieces.as_slice()
            && piece.size_in_bits.is_none()
            && let Location::Address { address } = piece.location
        {
            return Placed::Memory(address);
        }
        match self.assemble(&pieces, size) {
            Ok(bytes) => Placed::Bytes { bytes, entry },
            Err(lost) => Placed::Lost(lost),
        }
    }

    /// The bytes of a variable of `size` bytes. Kernels are little-endian here: registers are
    /// known for x86_64 alone.
    fn assemble(&self, pieces: &[Piece<Slice<'a>>], size: Option<u64>) -> Result<Vec<u8>, Lost> {
        let size = size.filter(|size| *size <= MAX_BYTES).ok_or(Lost::Unsupported)? as usize;
        let mut bytes: Vec<u8> = Vec::new();
        for piece in pieces {
            let want = match piece.size_in_bits {
                None => size.saturating_sub(bytes.len()),
                Some(bits) if bits % 8 == 0 && bits / 8 <= MAX_BYTES => (bits / 8) as usize,
                Some(_) => return Err(Lost::Unsupported),
            };
            if piece.bit_offset.is_some_and(|offset| offset != 0) || bytes.len() + want > size {
                return Err(Lost::Unsupported);
            }
            let word = |value: u64| {
                let mut part = value.to_le_bytes().to_vec();
                if want > part.len() {
                    return Err(Lost::Unsupported);
                }
                part.truncate(want);
                Ok(part)
            };
            let part = match &piece.location {
                Location::Empty => return Err(Lost::NotHere),
                Location::Register { register } => {
                    let value = self.frame.register(register.0);
                    word(value.ok_or(Lost::Register(register.0))?)?
                }
                Location::Address { address } => {
                    let mut part = vec![0; want];
                    if !self.frame.read(*address, &mut part) {
                        return Err(Lost::Memory(*address));
                    }
                    part
                }
                Location::Value { value } => word(bits_of(value).ok_or(Lost::Unsupported)?)?,
                Location::Bytes { value } => match value.slice().get(..want) {
                    Some(part) => part.to_vec(),
                    None => return Err(Lost::Unsupported),
                },
                Location::ImplicitPointer { value, byte_offset } => {
                    let address = self.pointed(value.0).ok_or(Lost::Pointer)?;
                    word(address.wrapping_add_signed(*byte_offset))?
                }
            };
            bytes.extend(part);
        }
        if bytes.len() == size { Ok(bytes) } else { Err(Lost::NotHere) }
    }

    /// Where the variable lies that an implicit pointer is said to point to.
    fn pointed(&self, die: usize) -> Option<u64> {
        let die = u32::try_from(die).ok()?;
        if self.depth >= MAX_NESTED {
            return None;
        }
        let (unit, at) = self.inner.place(die)?;
        let entry = unit.unit.entry(at).ok()?;
        let inner = Evaluation { unit, depth: self.depth + 1, ..*self };
        match inner.variable(&entry, die, None) {
            Placed::Memory(address) => Some(address),
            _ => None,
        }
    }

    /// The number that an expression computes.
    fn number(&self, expression: Expression<Slice<'a>>) -> Result<u64, Lost> {
        let (pieces, _) = self.evaluate(expression)?;
        match pieces.as_slice() {
            [Piece { location, .. }] => match location {
                Location::Address { address } => Ok(*address),
                Location::Value { value } => bits_of(value).ok_or(Lost::Unsupported),
                Location::Register { register } => {
                    self.frame.register(register.0).ok_or(Lost::Register(register.0))
                }
                _ => Err(Lost::Unsupported),
            },
            _ => Err(Lost::Unsupported),
        }
    }

    fn evaluate(&self, expression: Expression<Slice<'a>>) -> Result<Pieces<'a>, Lost> {
        if self.depth >= MAX_NESTED {
            return Err(Lost::Unsupported);
        }
        let mut entry = false;
        let mut machine = expression.evaluation(self.unit.unit.encoding());
        machine.set_max_iterations(MAX_OPERATIONS);
        let unsupported = |_| Lost::Unsupported;
        let mut state = machine.evaluate().map_err(unsupported)?;
        loop {
            state = match state {
                EvaluationResult::Complete => return Ok((machine.result(), entry)),
                EvaluationResult::RequiresRegister { register, base_type } => {
                    let bits = self.frame.register(register.0).ok_or(Lost::Register(register.0))?;
                    let value = Value::from_u64(self.value_type(base_type), bits);
                    machine.resume_with_register(value.map_err(unsupported)?)
                }
                EvaluationResult::RequiresMemory { address, size, base_type, .. } => {
                    let mut buf = [0; 8];
                    let part = buf.get_mut(..size.into()).ok_or(Lost::Unsupported)?;
                    if !self.frame.read(address, part) {
                        return Err(Lost::Memory(address));
                    }
                    let value =
                        Value::from_u64(self.value_type(base_type), u64::from_le_bytes(buf));
                    machine.resume_with_memory(value.map_err(unsupported)?)
                }
                EvaluationResult::RequiresFrameBase => {
                    let base = self.frame_base()?;
                    machine.resume_with_frame_base(base)
                }
                EvaluationResult::RequiresCallFrameCfa => {
                    let cfa = self.frame.cfa().ok_or(Lost::Register(7))?;
                    machine.resume_with_call_frame_cfa(cfa)
                }
                EvaluationResult::RequiresEntryValue(expression) => {
                    let register = register_in(self.unit, expression).ok_or(Lost::Unsupported)?;
                    let value = self.frame.entry_register(register).ok_or(Lost::Entry(register))?;
                    entry = true;
                    machine.resume_with_entry_value(Value::Generic(value))
                }
                EvaluationResult::RequiresParameterRef(offset) => {
                    let argument = self.unit.global(offset).ok_or(Lost::Unsupported)?;
                    let value = self.frame.entry_parameter(argument).ok_or(Lost::Removed)?;
                    entry = true;
                    machine.resume_with_parameter_ref(value)
                }
                EvaluationResult::RequiresRelocatedAddress(address) => {
                    machine.resume_with_relocated_address(address.wrapping_add(self.frame.bias()))
                }
                EvaluationResult::RequiresIndexedAddress { index, relocate } => {
                    let address =
                        self.inner.dwarf.address(&self.unit.unit, index).map_err(unsupported)?;
                    let bias = if relocate { self.frame.bias() } else { 0 };
                    machine.resume_with_indexed_address(address.wrapping_add(bias))
                }
                EvaluationResult::RequiresBaseType(offset) => {
                    machine.resume_with_base_type(self.value_type(offset))
                }
                _ => return Err(Lost::Unsupported),
            }
            .map_err(unsupported)?;
        }
    }

    fn frame_base(&self) -> Result<u64, Lost> {
        let base = self
            .inner
            .unit(self.function)
            .and_then(|unit| Some((unit, unit.entry(self.function)?)))
            .and_then(|(unit, entry)| Some((unit, entry.attr_value(dw::DW_AT_frame_base)?)));
        let (unit, value) = base.ok_or(Lost::Unsupported)?;
        let inner = Evaluation { unit, depth: self.depth + 1, ..*self };
        inner.number(inner.expression_of(value)?)
    }

    /// The type that an operation computes in.
    fn value_type(&self, offset: UnitOffset) -> ValueType {
        if offset.0 == 0 {
            return ValueType::Generic;
        }
        let Ok(entry) = self.unit.unit.entry(offset) else { return ValueType::Generic };
        let encoding = match entry.attr_value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => return ValueType::Generic,
        };
        let size = entry.attr_value(dw::DW_AT_byte_size).and_then(|size| size.udata_value());
        size.and_then(|size| ValueType::from_encoding(encoding, size)).unwrap_or(ValueType::Generic)
    }
}

/// A number as 64 bits, extended by its sign.
fn bits_of(value: &Value) -> Option<u64> {
    Some(match *value {
        Value::Generic(value) | Value::U64(value) => value,
        Value::I8(value) => value as i64 as u64,
        Value::U8(value) => value.into(),
        Value::I16(value) => value as i64 as u64,
        Value::U16(value) => value.into(),
        Value::I32(value) => value as i64 as u64,
        Value::U32(value) => value.into(),
        Value::I64(value) => value as u64,
        _ => return None,
    })
}

fn constant_bytes(value: &AttributeValue<Slice<'_>>, size: Option<u64>) -> Placed {
    let size = match size {
        Some(size) if size <= MAX_BYTES => size as usize,
        _ => return Placed::Lost(Lost::Unsupported),
    };
    let bytes = match value {
        AttributeValue::Block(block) => block.slice().to_vec(),
        value => {
            let Some(bits) =
                value.sdata_value().or_else(|| value.udata_value().map(|value| value as i64))
            else {
                return Placed::Lost(Lost::Unsupported);
            };
            let mut bytes = bits.to_le_bytes().to_vec();
            let fill = if bits < 0 { 0xff } else { 0 };
            bytes.resize(size.max(8), fill);
            bytes
        }
    };
    match bytes.get(..size) {
        Some(bytes) => Placed::Bytes { bytes: bytes.to_vec(), entry: false },
        None => Placed::Lost(Lost::Unsupported),
    }
}
