//! C's integer types, promotions and operators.

use necropsy_debuginfo::{Kind, Type, TypeId, Types, parse_type};

use super::lexer::Literal;
use crate::{
    scope::Scope,
    value::{Integer, Value, ValueError},
};

type Result<T> = std::result::Result<T, ValueError>;

/// A type of arithmetic: what integers are promoted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rank {
    /// 4 or 8 bytes.
    size: u32,
    signed: bool,
}

impl Rank {
    pub(super) const INT: Rank = Rank { size: 4, signed: true };
    pub(super) const LONG: Rank = Rank { size: 8, signed: true };
    pub(super) const UNSIGNED_LONG: Rank = Rank { size: 8, signed: false };

    /// What an operand of this type is promoted to. A bit-field that fits is an `int`.
    pub(super) fn promoted(integer: Integer) -> Rank {
        if integer.width < 32 {
            return Rank::INT;
        }
        Rank { size: if integer.size <= 4 { 4 } else { 8 }, signed: integer.signed }
    }

    /// The usual arithmetic conversions.
    pub(super) fn common(self, other: Rank) -> Rank {
        if self.size == other.size {
            return Rank { size: self.size, signed: self.signed && other.signed };
        }
        if self.size > other.size { self } else { other }
    }

    /// The type of a literal: the first of C's list that holds it.
    pub(super) fn of_literal(literal: Literal) -> Rank {
        let fits = |rank: Rank| {
            let most = match (rank.size, rank.signed) {
                (4, true) => i32::MAX as u64,
                (4, false) => u32::MAX.into(),
                (_, true) => i64::MAX as u64,
                (_, false) => u64::MAX,
            };
            literal.value <= most
                && !(literal.long && rank.size == 4)
                && !(literal.unsigned && rank.signed)
                // A decimal one is unsigned only by its suffix.
                && (rank.signed || literal.unsigned || !literal.decimal)
        };
        let unsigned_int = Rank { size: 4, signed: false };
        [Rank::INT, unsigned_int, Rank::LONG]
            .into_iter()
            .find(|&rank| fits(rank))
            .unwrap_or(Rank::UNSIGNED_LONG)
    }

    /// Its type in the graph, made if the debug information lacks it.
    pub(super) fn ty(self, types: &Types) -> TypeId {
        let name = match (self.size, self.signed, types.pointer_size()) {
            (4, true, _) => "int",
            (4, false, _) => "unsigned int",
            (_, true, 8) => "long int",
            (_, false, 8) => "long unsigned int",
            (_, true, _) => "long long int",
            (_, false, _) => "long long unsigned int",
        };
        base_type(types, name, self.size, self.signed)
    }

    /// `bits` as a value of this type holds them: cut to its size and extended by its sign.
    fn wrap(self, bits: u64) -> u64 {
        match (self.size, self.signed) {
            (4, true) => bits as i32 as u64,
            (4, false) => bits as u32 as u64,
            _ => bits,
        }
    }

    pub(super) fn value(self, scope: &dyn Scope, bits: u64) -> Value {
        Value::from_bits(scope, self.ty(scope.types()), self.wrap(bits))
    }
}

/// The base type `name`, made if the debug information lacks it.
pub(super) fn base_type(types: &Types, name: &str, size: u32, signed: bool) -> TypeId {
    parse_type(types, name).unwrap_or_else(|| {
        let name = types.add_name(name);
        let ty = types.add(Type::Int { name, size, signed, char: size == 1, bool: false });
        types.index([(Kind::Typedef, name, ty)]);
        ty
    })
}

/// An integer operator on two promoted operands.
pub(super) fn binary(
    scope: &dyn Scope,
    operator: &str,
    left: Integer,
    right: Integer,
) -> Result<Value> {
    let (left_rank, right_rank) = (Rank::promoted(left), Rank::promoted(right));
    if matches!(operator, "<<" | ">>") {
        return shift(scope, operator, left, left_rank, right);
    }
    let rank = left_rank.common(right_rank);
    let (a, b) = (rank.wrap(left.bits), rank.wrap(right.bits));
    let (sa, sb) = (a as i64, b as i64);
    let truth = |holds: bool| Ok(Rank::INT.value(scope, holds.into()));
    let bits = match operator {
        "+" => a.wrapping_add(b),
        "-" => a.wrapping_sub(b),
        "*" => a.wrapping_mul(b),
        "/" | "%" if b == 0 => return Err(ValueError::ty("division by zero")),
        "/" if rank.signed => sa.wrapping_div(sb) as u64,
        "%" if rank.signed => sa.wrapping_rem(sb) as u64,
        "/" => a / b,
        "%" => a % b,
        "&" => a & b,
        "|" => a | b,
        "^" => a ^ b,
        "==" => return truth(a == b),
        "!=" => return truth(a != b),
        "<" => return truth(if rank.signed { sa < sb } else { a < b }),
        ">" => return truth(if rank.signed { sa > sb } else { a > b }),
        "<=" => return truth(if rank.signed { sa <= sb } else { a <= b }),
        ">=" => return truth(if rank.signed { sa >= sb } else { a >= b }),
        _ => return Err(ValueError::ty(format!("{operator} does not work on numbers"))),
    };
    Ok(rank.value(scope, bits))
}

fn shift(
    scope: &dyn Scope,
    operator: &str,
    left: Integer,
    rank: Rank,
    right: Integer,
) -> Result<Value> {
    let width = rank.size * 8;
    if right.bits >= width.into() {
        let count = right.bits as i64;
        let hint = if width == 32 && (32..64).contains(&count) {
            ": make the left side a long (1ul << …)"
        } else {
            ""
        };
        return Err(ValueError::ty(format!("{width} bits cannot be shifted by {count}{hint}")));
    }
    let bits = rank.wrap(left.bits);
    Ok(rank.value(
        scope,
        match (operator, rank.signed) {
            ("<<", _) => bits << right.bits,
            (_, true) => ((bits as i64) >> right.bits) as u64,
            (_, false) => bits >> right.bits,
        },
    ))
}
