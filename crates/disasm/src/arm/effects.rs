//! The effects of 64-bit Arm instructions, by their encoding (Arm Architecture Reference Manual,
//! C4.1): those that compilers use to move values about are spelled out, of all others it is told
//! what they write.

mod arithmetic;
mod memory;

use necropsy_lexicon::{Reg, reg::aarch64::*};

use crate::{
    Flow,
    effects::{Assignment, Condition, Effects, Expression, Flags},
};

/// The general registers by the numbers that instructions have for them.
const GENERAL: [Reg; 31] = [
    X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X14, X15, X16, X17, X18, X19, X20,
    X21, X22, X23, X24, X25, X26, X27, X28, X29, X30,
];

pub(crate) fn effects(bytes: &[u8], address: u64) -> Option<Effects> {
    let word = u32::from_le_bytes(*bytes.first_chunk()?);
    // What is no instruction: UDF and its neighbours.
    if word >> 16 == 0 {
        return None;
    }
    let mut effects = Effects::none();
    effects.length = 4;
    match word >> 25 & 0xf {
        0b1000 | 0b1001 => arithmetic::immediate(word, address, &mut effects),
        0b1010 | 0b1011 => branch(word, address, &mut effects),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory::access(word, address, &mut effects),
        0b0101 | 0b1101 => arithmetic::registers(word, &mut effects),
        0b0111 | 0b1111 => vector(word, &mut effects),
        // SVE: addresses of memory, and some general registers.
        0b0010 => anything(word, &mut effects),
        _ => return None,
    }
    Some(effects)
}

/// A field of `bits` bits from bit `at` on.
fn field(word: u32, at: u32, bits: u32) -> u32 {
    word >> at & ((1 << bits) - 1)
}

/// The same, extended by its sign.
fn signed(word: u32, at: u32, bits: u32) -> i64 {
    i64::from(field(word, at, bits)) << (64 - bits) >> (64 - bits)
}

fn is_wide(word: u32) -> bool {
    word >> 31 == 1
}

/// A register as an operand; number 31 is zero.
fn value(number: u32, wide: bool) -> Expression {
    match GENERAL.get(number as usize) {
        Some(register) => {
            let bytes = if wide { 8 } else { 4 };
            Expression::Register { register: *register, bytes, signed: false }
        }
        None => Expression::Constant(0),
    }
}

/// The same where number 31 is the stack pointer.
fn value_or_sp(number: u32, wide: bool) -> Expression {
    match number {
        31 => {
            let bytes = if wide { 8 } else { 4 };
            Expression::Register { register: SP, bytes, signed: false }
        }
        _ => value(number, wide),
    }
}

/// Puts a value into a register; number 31 takes none.
fn set(effects: &mut Effects, number: u32, wide: bool, value: Expression) {
    if let Some(register) = GENERAL.get(number as usize) {
        let value = if wide { value } else { Expression::cut(value, 4) };
        effects.assignments.push(Assignment::Register { register: *register, value });
    }
}

/// The same where number 31 is the stack pointer.
fn set_or_sp(effects: &mut Effects, number: u32, wide: bool, value: Expression) {
    match number {
        31 => effects.assignments.push(Assignment::Register { register: SP, value }),
        _ => set(effects, number, wide, value),
    }
}

fn unknown(effects: &mut Effects, number: u32) {
    set(effects, number, true, Expression::Unknown);
}

/// An instruction of which it is not known what it writes: its register and memory.
fn anything(word: u32, effects: &mut Effects) {
    unknown(effects, word & 31);
    memory::unknown_store(word >> 5 & 31, effects);
}

fn condition(number: u32) -> Option<Condition> {
    use Condition as C;
    Some(match number & 15 {
        0 => C::Equal,
        1 => C::NotEqual,
        2 => C::AboveOrEqual,
        3 => C::Below,
        4 => C::Sign,
        5 => C::NoSign,
        6 => C::Overflow,
        7 => C::NoOverflow,
        8 => C::Above,
        9 => C::BelowOrEqual,
        10 => C::GreaterOrEqual,
        11 => C::Less,
        12 => C::Greater,
        13 => C::LessOrEqual,
        _ => return None,
    })
}

fn branch(word: u32, address: u64, effects: &mut Effects) {
    let to = |offset: i64| Some(address.wrapping_add_signed(offset << 2));
    if word & 0x7c00_0000 == 0x1400_0000 {
        effects.flow = if word >> 31 == 1 { Flow::Call } else { Flow::Jump };
        effects.target = to(signed(word, 0, 26));
    } else if word & 0x7e00_0000 == 0x3400_0000 {
        // CBZ, CBNZ
        let bytes = if is_wide(word) { 8 } else { 4 };
        effects.flow = Flow::ConditionalJump;
        effects.target = to(signed(word, 5, 19));
        effects.flags = Flags::Tested { value: value(word & 31, bytes == 8), bytes };
        effects.condition =
            Some(if word >> 24 & 1 == 0 { Condition::Equal } else { Condition::NotEqual });
    } else if word & 0x7e00_0000 == 0x3600_0000 {
        // TBZ, TBNZ: the flags stay, but nobody reads them across.
        effects.flow = Flow::ConditionalJump;
        effects.target = to(signed(word, 5, 14));
        let bit = field(word, 19, 5) | word >> 31 << 5;
        let tested = Expression::Binary(
            crate::effects::Operation::And,
            Box::new(value(word & 31, true)),
            Box::new(Expression::Constant(1 << bit)),
        );
        effects.flags = Flags::Tested { value: tested, bytes: 8 };
        effects.condition =
            Some(if word >> 24 & 1 == 0 { Condition::Equal } else { Condition::NotEqual });
    } else if word & 0xff00_0000 == 0x5400_0000 {
        effects.condition = condition(word);
        effects.flow = if effects.condition.is_some() { Flow::ConditionalJump } else { Flow::Jump };
        effects.target = to(signed(word, 5, 19));
    } else if word & 0xfe00_0000 == 0xd600_0000 {
        // BR, BLR, RET, ERET, and those that authenticate.
        effects.flow = match field(word, 21, 4) {
            0b0000 | 0b1000 => Flow::Jump,
            0b0001 | 0b1001 => Flow::Call,
            _ => Flow::Return,
        };
        if effects.flow != Flow::Return {
            effects.indirect = Some(value(word >> 5 & 31, true));
        }
    } else if word & 0xffe0_001f == 0xd420_0000 {
        // BRK: WARN goes on behind it, as do checks that only tell.
        effects.flow = Flow::Trap;
        effects.traps = true;
    } else if word & 0xff00_0000 == 0xd400_0000 {
        // SVC, HVC, SMC and HLT: firmware answers in the first registers.
        (0..18).for_each(|number| unknown(effects, number));
        effects.flags = Flags::Unknown;
    } else if word & 0xfff0_0000 == 0xd530_0000 || word & 0xfff8_0000 == 0xd528_0000 {
        // MRS of what holds the CPU's base is followed as a register of its own.
        let value = match word >> 5 & 0x7fff {
            // TPIDR_EL1, TPIDR_EL2
            0x4684 | 0x6682 => Expression::register(TPIDR_EL1),
            _ => Expression::Unknown,
        };
        set(effects, word & 31, true, value);
    } else if word & 0xffff_f01f == 0xd503_201f {
        // Hints: those that sign or check the return address change nothing that is followed.
    } else if word & 0xfff8_0000 == 0xd508_0000 && word >> 12 & 15 == 7 {
        // Operations on caches; DC ZVA clears memory.
        memory::unknown_store(word & 31, effects);
    }
}

/// Floating point and vectors: what they put into general registers.
fn vector(word: u32, effects: &mut Effects) {
    let to_general = word & 0x5f20_0000 == 0x1e20_0000 && word & 0xfc00 == 0
        || word & 0xbfe0_8400 == 0x0e00_0400 && field(word, 11, 4) & 0b1011 != 0b0011;
    if to_general {
        unknown(effects, word & 31);
    }
    if word & 0xff20_0000 == 0x1e20_0000 && matches!(field(word, 10, 2), 0 | 1) {
        effects.flags = Flags::Unknown;
    }
}
