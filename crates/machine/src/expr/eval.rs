//! A tree to a value.

use necropsy_debuginfo::{Type, TypeId, Types};
use necropsy_dump::Read;

use super::{
    ExprError,
    arith::{Rank, base_type, binary},
    syntax::{Kind, Node, Unary},
};
use crate::{
    scope::{Scope, SymbolValue},
    value::{Place, Value, ValueError},
};

/// Deepest tree that is evaluated: chains of operators nest, too.
const MAX_DEPTH: u32 = 300;

/// Longest array that `@` makes.
const MAX_REPEAT: u64 = 1 << 24;

type Result<T> = std::result::Result<T, ExprError>;

pub(super) fn evaluate(scope: &dyn Scope, tree: &Node) -> Result<Value> {
    Evaluator { scope, depth: 0 }.node(tree)
}

struct Evaluator<'a> {
    scope: &'a dyn Scope,
    depth: u32,
}

impl Evaluator<'_> {
    fn types(&self) -> &Types {
        self.scope.types()
    }

    fn node(&mut self, node: &Node) -> Result<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExprError::new(node.position, "the expression is nested too deeply"));
        }
        let value = match &node.kind {
            Kind::And(left, right) => self.and_or(left, right, false)?,
            Kind::Or(left, right) => self.and_or(left, right, true)?,
            Kind::Conditional(condition, then, otherwise) => {
                let chosen = if self.truth(condition)? { then } else { otherwise };
                self.node(chosen)?
            }
            Kind::Comma(left, right) => {
                self.node(left)?;
                self.node(right)?
            }
            Kind::Unary(operator, operand) => {
                let value = self.node(operand)?;
                self.at(node, |e| e.unary(*operator, &value))?
            }
            Kind::Binary(operator, left, right) => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                self.at(node, |e| e.binary(operator, &left, &right))?
            }
            Kind::Repeat(object, count) => {
                let (object, count) = (self.node(object)?, self.node(count)?);
                self.at(node, |e| e.repeat(&object, &count))?
            }
            Kind::Index(array, index) => {
                let (array, index) = (self.node(array)?, self.node(index)?);
                self.at(node, |e| e.index(&array, &index))?
            }
            Kind::Member(object, name) => {
                let object = self.node(object)?;
                self.at(node, |e| object.member(e.scope, name))?
            }
            Kind::Cast(ty, operand) => {
                let operand = self.node(operand)?;
                self.at(node, |e| operand.cast(e.scope, *ty))?
            }
            Kind::At(ty, operand) => {
                let operand = self.node(operand)?;
                let address = self.at(node, |e| e.number(&operand))?;
                Value::at(*ty, address)
            }
            Kind::SizeOf(operand) => {
                // The type alone counts: nothing is read.
                let blank = Unread(self.scope);
                let value = Evaluator { scope: &blank, depth: self.depth }.node(operand)?;
                self.at(node, |e| e.size_of(value.ty))?
            }
            Kind::ContainerOf(pointer, ty, path) => {
                let pointer = self.node(pointer)?;
                self.at(node, |e| e.container_of(&pointer, *ty, path))?
            }
            _ => self.at(node, |e| e.leaf(&node.kind))?,
        };
        self.depth -= 1;
        Ok(value)
    }

    /// Runs a step and says, if it fails, where in the text it stands.
    fn at<T>(
        &self,
        node: &Node,
        step: impl FnOnce(&Self) -> std::result::Result<T, ValueError>,
    ) -> Result<T> {
        step(self).map_err(|reason| ExprError { position: node.position, reason })
    }

    fn truth(&mut self, node: &Node) -> Result<bool> {
        let value = self.node(node)?;
        self.at(node, |e| Ok(e.number(&value)? != 0))
    }

    fn and_or(&mut self, left: &Node, right: &Node, or: bool) -> Result<Value> {
        let decided = self.truth(left)? == or;
        let holds = if decided { or } else { self.truth(right)? };
        Ok(Rank::INT.value(self.scope, holds.into()))
    }

    /// The bits of an integer or pointer; of an array or function its address.
    fn number(&self, value: &Value) -> std::result::Result<u64, ValueError> {
        known(value)?.decay(self.scope)?.to_u64(self.scope)
    }

    fn leaf(&self, kind: &Kind) -> std::result::Result<Value, ValueError> {
        let scope = self.scope;
        match kind {
            Kind::Number(literal) => Ok(Rank::of_literal(*literal).value(scope, literal.value)),
            Kind::Char(byte) => {
                let ty = base_type(self.types(), "char", 1, true);
                Ok(Value { ty, place: Place::Bytes([*byte].into()) })
            }
            Kind::Str(bytes) => {
                let mut bytes = bytes.clone();
                bytes.push(0);
                let char = base_type(self.types(), "char", 1, true);
                let ty = self.types().array_of(char, bytes.len() as u64);
                Ok(Value { ty, place: Place::Bytes(bytes.into()) })
            }
            Kind::Name(name) => self.variable(name),
            Kind::PerCpu(name, cpu) => {
                let symbol = scope
                    .symbol(name)
                    .ok_or_else(|| ValueError::ty(format!("there is no symbol {name}")))?;
                let offset = scope
                    .per_cpu_offset(*cpu)
                    .ok_or_else(|| ValueError::ty(format!("there is no CPU {cpu}")))?;
                let ty = symbol.ty.unwrap_or(TypeId::VOID);
                Ok(Value::at(ty, symbol.address.wrapping_add(offset)))
            }
            Kind::Register(name) => {
                let bits = scope
                    .register(name)
                    .ok_or_else(|| ValueError::ty(format!("register ${name} is not known here")))?;
                let pointer = self.types().pointer_to(TypeId::VOID);
                Ok(match necropsy_lexicon::reg::names_an_address(name) {
                    true => Value::from_bits(scope, pointer, bits),
                    false => Rank::UNSIGNED_LONG.value(scope, bits),
                })
            }
            Kind::History(number) => scope.history(*number).ok_or_else(|| {
                let number = number.map_or(String::new(), |n| n.to_string());
                ValueError::ty(format!("there is no value ${number}"))
            }),
            Kind::SizeOfType(ty) => self.size_of(*ty),
            Kind::OffsetOf(ty, path) => {
                Ok(Rank::UNSIGNED_LONG.value(scope, self.offset_of(*ty, path)?))
            }
            _ => Err(ValueError::ty("not a value")),
        }
    }

    /// A local variable, a global one, a function, or an enum constant.
    fn variable(&self, name: &str) -> std::result::Result<Value, ValueError> {
        if let Some(value) = self.scope.local(name) {
            return Ok(value);
        }
        let types = self.types();
        if let Some(SymbolValue { address, ty, text, .. }) = self.scope.symbol(name) {
            let ty =
                ty.unwrap_or_else(|| if text { unknown_function(types) } else { TypeId::VOID });
            return Ok(Value::at(ty, address));
        }
        if let Some((value, ty)) = types.enumerator(name) {
            return Ok(Value::from_bits(self.scope, ty, value as u64));
        }
        Err(ValueError::ty(format!("there is no symbol {name}")))
    }

    fn unary(&self, operator: Unary, value: &Value) -> std::result::Result<Value, ValueError> {
        let scope = self.scope;
        match operator {
            Unary::AddressOf => return value.address_of(scope),
            Unary::Deref => {
                let value = known(value)?;
                // gdb reads an int where a number is dereferenced.
                if matches!(self.types().resolve(value.ty), Type::Int { .. }) {
                    let ty = if value.integer(scope)?.size == 8 { Rank::LONG } else { Rank::INT };
                    return Ok(Value::at(ty.ty(self.types()), value.to_u64(scope)?));
                }
                return value.deref(scope);
            }
            Unary::Not => return Ok(Rank::INT.value(scope, (self.number(value)? == 0).into())),
            Unary::Plus | Unary::Minus | Unary::Complement => {}
        }
        let integer = known(value)?.integer(scope)?;
        let rank = Rank::promoted(integer);
        Ok(rank.value(
            scope,
            match operator {
                Unary::Minus => integer.bits.wrapping_neg(),
                Unary::Complement => !integer.bits,
                _ => integer.bits,
            },
        ))
    }

    fn binary(
        &self,
        operator: &str,
        left: &Value,
        right: &Value,
    ) -> std::result::Result<Value, ValueError> {
        let scope = self.scope;
        let left = known(left)?.decay(scope)?;
        let right = known(right)?.decay(scope)?;
        match (self.stride(&left), self.stride(&right), operator) {
            (None, None, _) => binary(scope, operator, left.integer(scope)?, right.integer(scope)?),
            (Some(stride), None, "+" | "-") => {
                let step = right.to_u64(scope)?.wrapping_mul(stride?);
                let step = if operator == "-" { step.wrapping_neg() } else { step };
                let address = left.to_u64(scope)?.wrapping_add(step);
                Ok(Value::from_bits(scope, left.ty, address))
            }
            (None, Some(stride), "+") => {
                let step = left.to_u64(scope)?.wrapping_mul(stride?);
                let address = right.to_u64(scope)?.wrapping_add(step);
                Ok(Value::from_bits(scope, right.ty, address))
            }
            (Some(stride), Some(other), "-") => {
                let (stride, other) = (stride?, other?);
                if stride != other || stride == 0 {
                    return Err(ValueError::ty("pointers to types of different sizes"));
                }
                let distance = left.to_u64(scope)?.wrapping_sub(right.to_u64(scope)?) as i64;
                Ok(Rank::LONG.value(scope, distance.wrapping_div(stride as i64) as u64))
            }
            // Pointers compare as the unsigned numbers that they are; masks are tried on them.
            _ => {
                let mut left = left.integer(scope)?;
                let mut right = right.integer(scope)?;
                (left.signed, right.signed) = (false, false);
                binary(scope, operator, left, right)
            }
        }
    }

    /// What a pointer moves by when 1 is added; `None` if it is no pointer. Pointers to `void`
    /// and to functions move by one byte.
    fn stride(&self, value: &Value) -> Option<std::result::Result<u64, ValueError>> {
        let types = self.types();
        let Type::Pointer(target) = types.resolve(value.ty) else { return None };
        Some(match types.resolve(*target) {
            Type::Void | Type::Function { .. } => Ok(1),
            _ => types.size_of(*target).ok_or_else(|| {
                let name = types.display(*target);
                ValueError::ty(format!("the size of {name} is not known"))
            }),
        })
    }

    fn index(&self, array: &Value, index: &Value) -> std::result::Result<Value, ValueError> {
        let (array, index) = (known(array)?, known(index)?);
        let is_array =
            matches!(self.types().resolve(array.ty), Type::Array { .. } | Type::Pointer(_));
        if is_array {
            array.index(self.scope, index.to_i64(self.scope)?)
        } else {
            index.index(self.scope, array.to_i64(self.scope)?)
        }
    }

    fn repeat(&self, object: &Value, count: &Value) -> std::result::Result<Value, ValueError> {
        let count = known(count)?.to_u64(self.scope)?;
        if count == 0 || count > MAX_REPEAT {
            return Err(ValueError::ty(format!("an array of {count} elements")));
        }
        let object = known(object)?;
        let address = object
            .address()
            .ok_or_else(|| ValueError::ty("only what is in memory can be taken as an array (@)"))?;
        Ok(Value::at(self.types().array_of(object.ty, count), address))
    }

    fn size_of(&self, ty: TypeId) -> std::result::Result<Value, ValueError> {
        let types = self.types();
        let size = match types.resolve(ty) {
            Type::Void | Type::Function { .. } => 1,
            _ => types.size_of(ty).ok_or_else(|| {
                ValueError::ty(format!("the size of {} is not known", types.display(ty)))
            })?,
        };
        Ok(Rank::UNSIGNED_LONG.value(self.scope, size))
    }

    fn offset_of(&self, ty: TypeId, path: &str) -> std::result::Result<u64, ValueError> {
        let types = self.types();
        let found = types
            .member(ty, path)
            .ok_or_else(|| ValueError::ty(format!("{} has no member {path}", types.display(ty))))?;
        Ok(found.offset())
    }

    fn container_of(
        &self,
        pointer: &Value,
        ty: TypeId,
        path: &str,
    ) -> std::result::Result<Value, ValueError> {
        let address = self.number(pointer)?.wrapping_sub(self.offset_of(ty, path)?);
        Ok(Value::from_bits(self.scope, self.types().pointer_to(ty), address))
    }
}

/// Refuses a variable whose type is not known.
fn known(value: &Value) -> std::result::Result<&Value, ValueError> {
    if value.ty == TypeId::VOID && value.address().is_some() {
        return Err(ValueError::ty(
            "the type of this variable is not known: cast it, or take its address",
        ));
    }
    Ok(value)
}

/// `int ()`: what is known of a function without debug information.
fn unknown_function(types: &Types) -> TypeId {
    let int = Rank::INT.ty(types);
    necropsy_debuginfo::parse_type(types, "int (...)").unwrap_or(int)
}

/// A scope whose memory is not looked at: for `sizeof`.
struct Unread<'a>(&'a dyn Scope);

impl Scope for Unread<'_> {
    fn types(&self) -> &Types {
        self.0.types()
    }
    fn read(&self, _address: u64, buf: &mut [u8]) -> Read<()> {
        buf.fill(0);
        Ok(())
    }
    fn symbol(&self, name: &str) -> Option<SymbolValue> {
        self.0.symbol(name)
    }
    fn symbolize(&self, _address: u64) -> Option<(String, u64)> {
        None
    }
    fn register(&self, name: &str) -> Option<u64> {
        self.0.register(name)
    }
    fn per_cpu_offset(&self, cpu: u32) -> Option<u64> {
        self.0.per_cpu_offset(cpu)
    }
    fn local(&self, name: &str) -> Option<Value> {
        self.0.local(name)
    }
    fn history(&self, number: Option<u32>) -> Option<Value> {
        self.0.history(number)
    }
    fn is_little_endian(&self) -> bool {
        self.0.is_little_endian()
    }
}
