//! Arithmetic, of registers and constants.

use super::{condition, field, is_wide, set, set_or_sp, signed, unknown, value, value_or_sp};
use crate::effects::{Effects, Expression, Flags, Operation};

fn binary(operation: Operation, left: Expression, right: Expression) -> Expression {
    match (&left, &right) {
        (Expression::Constant(left), Expression::Constant(right)) => {
            Expression::Constant(operation.apply(*left, *right))
        }
        // `mov` is `orr` with zero, or `add` of it.
        (Expression::Constant(0), _) if matches!(operation, Operation::Or | Operation::Xor) => {
            right
        }
        (_, Expression::Constant(0))
            if matches!(operation, Operation::Or | Operation::Xor | Operation::Add) =>
        {
            left
        }
        _ => Expression::Binary(operation, Box::new(left), Box::new(right)),
    }
}

/// The constant of an immediate of logical instructions (`DecodeBitMasks`).
fn mask(word: u32) -> Option<u64> {
    let (n, rotate, ones) = (field(word, 22, 1), field(word, 16, 6), field(word, 10, 6));
    let length = 31 - ((n << 6) | (!ones & 0x3f)).checked_ilog2().map_or(31, |log| 31 - log);
    let size = 1u32.checked_shl(length).filter(|size| (2..=64).contains(size))?;
    let (ones, rotate) = (ones & (size - 1), rotate & (size - 1));
    if ones == size - 1 {
        return None;
    }
    let element = u64::MAX >> (63 - ones);
    let all = u64::MAX >> (64 - size);
    let turned = match rotate {
        0 => element,
        _ => (element >> rotate | element << (size - rotate)) & all,
    };
    let mut whole = 0;
    for at in (0..64).step_by(size as usize) {
        whole |= turned << at;
    }
    Some(whole)
}

/// Addition or subtraction, with the flags that it sets.
fn sum(effects: &mut Effects, word: u32, left: Expression, right: Expression, into_sp: bool) {
    let (wide, subtract) = (is_wide(word), word >> 30 & 1 == 1);
    let operation = if subtract { Operation::Subtract } else { Operation::Add };
    if word >> 29 & 1 == 1 {
        let bytes = if wide { 8 } else { 4 };
        effects.flags = match subtract {
            true => Flags::Compared { left: left.clone(), right: right.clone(), bytes },
            false => Flags::Unknown,
        };
        set(effects, word & 31, wide, binary(operation, left, right));
    } else if into_sp {
        set_or_sp(effects, word & 31, wide, binary(operation, left, right));
    } else {
        set(effects, word & 31, wide, binary(operation, left, right));
    }
}

/// With a constant.
pub(super) fn immediate(word: u32, address: u64, effects: &mut Effects) {
    let (rd, rn, wide) = (word & 31, word >> 5 & 31, is_wide(word));
    match field(word, 23, 3) {
        // ADR, ADRP
        0 | 1 => {
            let distance = signed(word, 5, 19) << 2 | i64::from(field(word, 29, 2));
            let target = match wide {
                true => (address & !0xfff).wrapping_add_signed(distance << 12),
                false => address.wrapping_add_signed(distance),
            };
            set(effects, rd, true, Expression::Constant(target));
        }
        2 => {
            let shift = if word >> 22 & 1 == 1 { 12 } else { 0 };
            let constant = Expression::Constant(u64::from(field(word, 10, 12)) << shift);
            sum(effects, word, value_or_sp(rn, wide), constant, true);
        }
        4 => {
            let Some(constant) = mask(word) else { return unknown(effects, rd) };
            let constant = if wide { constant } else { constant & u64::from(u32::MAX) };
            logical(effects, word, value(rn, wide), Expression::Constant(constant), true);
        }
        5 => {
            let (shift, constant) = (field(word, 21, 2) * 16, u64::from(field(word, 5, 16)));
            let moved = match field(word, 29, 2) {
                0 => Expression::Constant(!(constant << shift)),
                2 => Expression::Constant(constant << shift),
                3 => {
                    let rest = Expression::Constant(!(0xffff << shift));
                    let kept = binary(Operation::And, value(rd, wide), rest);
                    binary(Operation::Or, kept, Expression::Constant(constant << shift))
                }
                _ => Expression::Unknown,
            };
            set(effects, rd, wide, moved);
        }
        6 => bit_field(word, effects),
        // Tags, minimum and maximum, EXTR.
        _ => unknown(effects, rd),
    }
}

fn bit_field(word: u32, effects: &mut Effects) {
    let (rd, rn, wide) = (word & 31, word >> 5 & 31, is_wide(word));
    let width = if wide { 64 } else { 32 };
    let (rotate, last) = (field(word, 16, 6), field(word, 10, 6));
    let source = value(rn, wide);
    let shift =
        |operation, by: u32, source| binary(operation, source, Expression::Constant(by.into()));
    let taken = match field(word, 29, 2) {
        // UBFM: LSR, LSL, UXTB, UBFX, UBFIZ
        2 if last == width - 1 => shift(Operation::ShiftRight, rotate, source),
        2 if last + 1 == rotate => shift(Operation::ShiftLeft, width - rotate, source),
        2 if last >= rotate => {
            let moved = match rotate {
                0 => source,
                by => shift(Operation::ShiftRight, by, source),
            };
            match last - rotate {
                7 => Expression::cut(moved, 1),
                15 => Expression::cut(moved, 2),
                31 => Expression::cut(moved, 4),
                bits => {
                    let mask = Expression::Constant(u64::MAX >> (63 - bits));
                    binary(Operation::And, moved, mask)
                }
            }
        }
        2 => {
            let mask = Expression::Constant(u64::MAX >> (63 - last));
            let kept = binary(Operation::And, source, mask);
            shift(Operation::ShiftLeft, width - rotate, kept)
        }
        // SBFM: SXTB, SXTH, SXTW, ASR
        0 if rotate == 0 && matches!(last, 7 | 15 | 31) => {
            let bytes = (last as u8 + 1) / 8;
            match source {
                Expression::Register { register, .. } => {
                    Expression::Register { register, bytes, signed: true }
                }
                source => source,
            }
        }
        0 if last == width - 1 && wide => shift(Operation::ShiftRightSigned, rotate, source),
        _ => Expression::Unknown,
    };
    set(effects, rd, wide, taken);
}

fn logical(effects: &mut Effects, word: u32, left: Expression, right: Expression, into_sp: bool) {
    let wide = is_wide(word);
    let operation = match field(word, 29, 2) {
        0 | 3 => Operation::And,
        1 => Operation::Or,
        _ => Operation::Xor,
    };
    let result = if operation == Operation::And && left == right {
        left
    } else {
        binary(operation, left, right)
    };
    if field(word, 29, 2) == 3 {
        let bytes = if wide { 8 } else { 4 };
        effects.flags = Flags::Tested { value: result.clone(), bytes };
        set(effects, word & 31, wide, result);
    } else if into_sp {
        set_or_sp(effects, word & 31, wide, result);
    } else {
        set(effects, word & 31, wide, result);
    }
}

/// A shifted register.
fn shifted(word: u32) -> Expression {
    let (wide, amount) = (is_wide(word), field(word, 10, 6));
    let source = value(word >> 16 & 31, wide);
    if amount == 0 {
        return source;
    }
    let operation = match field(word, 22, 2) {
        0 => Operation::ShiftLeft,
        1 => Operation::ShiftRight,
        2 if wide => Operation::ShiftRightSigned,
        _ => return Expression::Unknown,
    };
    let moved = binary(operation, source, Expression::Constant(amount.into()));
    if wide { moved } else { Expression::cut(moved, 4) }
}

/// An extended register, as operands and indexes have it.
pub(super) fn extended(number: u32, option: u32) -> Expression {
    let bytes = 1 << (option & 3);
    match value(number, true) {
        Expression::Register { register, .. } => {
            Expression::Register { register, bytes, signed: option & 4 != 0 && bytes < 8 }
        }
        zero => zero,
    }
}

/// With registers alone.
pub(super) fn registers(word: u32, effects: &mut Effects) {
    let (rd, rn, rm, wide) = (word & 31, word >> 5 & 31, word >> 16 & 31, is_wide(word));
    let known = |left: &Expression, right: &Expression| {
        *left != Expression::Unknown && *right != Expression::Unknown
    };
    if word & 0x1f00_0000 == 0x0a00_0000 {
        let right = match (shifted(word), word >> 21 & 1) {
            (Expression::Unknown, _) => return unknown_with_flags(word, effects),
            (right, 0) => right,
            (right, _) => binary(Operation::Xor, right, Expression::Constant(u64::MAX)),
        };
        logical(effects, word, value(rn, wide), right, false);
    } else if word & 0x1f20_0000 == 0x0b00_0000 {
        let (left, right) = (value(rn, wide), shifted(word));
        match known(&left, &right) {
            true => sum(effects, word, left, right, false),
            false => unknown_with_flags(word, effects),
        }
    } else if word & 0x1f20_0000 == 0x0b20_0000 {
        let amount = field(word, 10, 3);
        let right = match amount {
            0 => extended(rm, field(word, 13, 3)),
            by => binary(
                Operation::ShiftLeft,
                extended(rm, field(word, 13, 3)),
                Expression::Constant(by.into()),
            ),
        };
        sum(effects, word, value_or_sp(rn, wide), right, true);
    } else if word & 0x1f00_0000 == 0x1b00_0000 {
        let add = |product| {
            let operation = if word >> 15 & 1 == 1 { Operation::Subtract } else { Operation::Add };
            let third = value(word >> 10 & 31, wide);
            match (&third, operation) {
                (Expression::Constant(0), Operation::Add) => product,
                _ => binary(operation, third, product),
            }
        };
        let result = match field(word, 21, 3) {
            0 => add(binary(Operation::Multiply, value(rn, wide), value(rm, wide))),
            // SMADDL, UMADDL
            1 | 5 => {
                let option = if field(word, 21, 3) == 1 { 6 } else { 2 };
                add(binary(Operation::Multiply, extended(rn, option), extended(rm, option)))
            }
            _ => Expression::Unknown,
        };
        set(effects, rd, wide, result);
    } else if word & 0x5fe0_0000 == 0x1ac0_0000 {
        let operation = match field(word, 10, 6) {
            8 => Operation::ShiftLeft,
            9 => Operation::ShiftRight,
            10 => Operation::ShiftRightSigned,
            _ => return unknown(effects, rd),
        };
        // By the count modulo 32 where it is not wide.
        let result = match wide {
            true => binary(operation, value(rn, true), value(rm, true)),
            false => Expression::Unknown,
        };
        set(effects, rd, wide, result);
    } else if word & 0x1fe0_0000 == 0x1a40_0000 {
        // CCMP, CCMN
        effects.flags = Flags::Unknown;
        effects.condition = condition(word >> 12);
    } else {
        // CSEL and its kin, carries, and what turns bits about.
        if word & 0x1fe0_0000 == 0x1a80_0000 {
            effects.condition = condition(word >> 12);
        }
        unknown_with_flags(word, effects);
        if word & 0x1fe0_0000 == 0x1a80_0000 {
            effects.flags = Flags::Unchanged;
        }
    }
}

fn unknown_with_flags(word: u32, effects: &mut Effects) {
    unknown(effects, word & 31);
    if word >> 29 & 1 == 1 {
        effects.flags = Flags::Unknown;
    }
}
