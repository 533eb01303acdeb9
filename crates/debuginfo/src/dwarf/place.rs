//! The machine that computes where a variable is: expressions and lists of places.

use gimli::{
    AttributeValue, EvaluationResult, Expression, Location, Piece, UnitOffset, Value, ValueType,
    constants as dw,
};

use super::{Frame, Inner, Lost, Placed, Unit, file::Slice, source::Die};

/// Operations of one expression that are carried out.
const MAX_OPERATIONS: u32 = 10_000;
/// Expressions within each other.
const MAX_NESTED: u32 = 16;
/// The largest variable that is put together from pieces, in bytes.
const MAX_BYTES: u64 = 1 << 16;
/// Entries of one list of places.
const MAX_PLACES: usize = 1 << 14;

/// The register that an expression is.
pub(super) fn register_in(unit: &Unit<'_>, expression: Expression<Slice<'_>>) -> Option<u16> {
    let mut operations = expression.operations(unit.unit.encoding());
    match (operations.next().ok()??, operations.next().ok()?) {
        (gimli::Operation::Register { register }, None) => Some(register.0),
        _ => None,
    }
}

/// One expression or list of places, at one address of one frame.
pub(super) struct Evaluation<'e, 'a> {
    pub(super) inner: &'e Inner<'a>,
    pub(super) unit: &'e Unit<'a>,
    /// The function whose frame it is.
    pub(super) function: u32,
    /// Of the file.
    pub(super) address: u64,
    pub(super) frame: &'e dyn Frame,
    pub(super) depth: u32,
}

/// The pieces of a variable, and whether a value from the function's entry is in them.
type Pieces<'a> = (Vec<Piece<Slice<'a>>>, bool);

impl<'a> Evaluation<'_, 'a> {
    pub(super) fn variable(&self, entry: &Die<'a>, offset: u32, size: Option<u64>) -> Placed {
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
    pub(super) fn expression_of(
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
    pub(super) fn number(&self, expression: Expression<Slice<'a>>) -> Result<u64, Lost> {
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

/// The number that a constant is. Only the signed form has a sign: compilers write what is not
/// negative in as few bytes as it takes.
pub(super) fn constant(value: &AttributeValue<Slice<'_>>) -> Option<i64> {
    Some(match *value {
        AttributeValue::Sdata(value) => value,
        AttributeValue::Data1(value) => value.into(),
        AttributeValue::Data2(value) => value.into(),
        AttributeValue::Data4(value) => value.into(),
        AttributeValue::Data8(value) | AttributeValue::Udata(value) => value as i64,
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
            let Some(bits) = constant(value) else { return Placed::Lost(Lost::Unsupported) };
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
