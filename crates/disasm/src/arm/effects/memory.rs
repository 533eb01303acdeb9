//! Loads and stores.

use necropsy_lexicon::{Reg, reg::aarch64::SP};

use super::{GENERAL, field, set, signed, unknown, value};
use crate::{
    MemoryOperand,
    effects::{Assignment, Effects, Expression, Operation},
};

/// An operand at a base and a displacement; number 31 is the stack pointer.
fn operand(base: u32, displacement: i64, bytes: u32) -> MemoryOperand {
    let base: Reg = GENERAL.get(base as usize).copied().unwrap_or(SP);
    MemoryOperand {
        base: Some(base),
        index: None,
        index_bytes: 8,
        index_signed: false,
        scale: 1,
        displacement: displacement as u64,
        segment: None,
        address_bytes: 8,
        size_bytes: bytes,
        read: false,
        write: false,
    }
}

/// A store of something somewhere by a base register.
pub(super) fn unknown_store(base: u32, effects: &mut Effects) {
    let memory = MemoryOperand { write: true, ..operand(base, 0, 0) };
    effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
}

/// The new value of a base register that is moved on the way.
fn write_back(base: u32, by: i64, effects: &mut Effects) {
    let register = GENERAL.get(base as usize).copied().unwrap_or(SP);
    let value = Expression::Binary(
        Operation::Add,
        Box::new(Expression::register(register)),
        Box::new(Expression::Constant(by as u64)),
    );
    effects.assignments.push(Assignment::Register { register, value });
}

fn load(effects: &mut Effects, into: u32, wide: bool, memory: MemoryOperand, sign: bool) {
    let memory = MemoryOperand { read: true, ..memory };
    let value = Expression::Load { memory, signed: sign };
    set(effects, into, wide, value);
}

fn store(effects: &mut Effects, from: u32, memory: MemoryOperand) {
    let memory = MemoryOperand { write: true, ..memory };
    let wide = memory.size_bytes == 8;
    effects.assignments.push(Assignment::Memory { memory, value: value(from, wide) });
}

pub(super) fn access(word: u32, address: u64, effects: &mut Effects) {
    let (rt, rn) = (word & 31, word >> 5 & 31);
    let is_vector = word >> 26 & 1 == 1;
    match field(word, 27, 3) {
        // Pairs.
        0b101 => pair(word, effects),
        0b111 => single(word, effects),
        0b011 if word >> 24 & 1 == 0 => literal(word, address, effects),
        // Exclusive and ordered accesses, compare and swap.
        0b001 if !is_vector && word >> 24 & 1 == 0 => ordered(word, effects),
        // Vectors by structure, tags, copies of memory.
        _ => {
            if !is_vector {
                unknown(effects, rt);
                unknown(effects, word >> 16 & 31);
            }
            unknown(effects, rn);
            unknown_store(rn, effects);
        }
    }
}

fn pair(word: u32, effects: &mut Effects) {
    let (rt, rn, other) = (word & 31, word >> 5 & 31, word >> 10 & 31);
    let (kind, is_load, is_vector) = (field(word, 30, 2), word >> 22 & 1 == 1, word >> 26 & 1 == 1);
    let bytes: u32 = match (is_vector, kind) {
        (true, kind) => 4 << kind.min(2),
        (false, 2) => 8,
        (false, _) => 4,
    };
    let offset = signed(word, 15, 7) * i64::from(bytes);
    let mode = field(word, 23, 2);
    let at = if mode == 1 { 0 } else { offset };
    let second = at + i64::from(bytes);
    if is_vector {
        if !is_load {
            let memory = MemoryOperand { write: true, ..operand(rn, at, bytes * 2) };
            effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
        }
    } else if is_load {
        // LDPSW
        let (wide, sign) = (kind != 0, kind == 1);
        load(effects, rt, wide, operand(rn, at, bytes), sign);
        load(effects, other, wide, operand(rn, second, bytes), sign);
    } else {
        store(effects, rt, operand(rn, at, bytes));
        store(effects, other, operand(rn, second, bytes));
    }
    if mode & 1 == 1 {
        write_back(rn, offset, effects);
    }
}

fn single(word: u32, effects: &mut Effects) {
    let (rt, rn) = (word & 31, word >> 5 & 31);
    let (size, kind, is_vector) = (field(word, 30, 2), field(word, 22, 2), word >> 26 & 1 == 1);
    let bytes: u32 = match is_vector {
        true if kind & 2 != 0 => 16,
        _ => 1 << size,
    };
    let (memory, moved) = if word >> 24 & 1 == 1 {
        (operand(rn, i64::from(field(word, 10, 12)) * i64::from(bytes), bytes), None)
    } else if word >> 21 & 1 == 0 {
        let offset = signed(word, 12, 9);
        match field(word, 10, 2) {
            1 => (operand(rn, 0, bytes), Some(offset)),
            3 => (operand(rn, offset, bytes), Some(offset)),
            _ => (operand(rn, offset, bytes), None),
        }
    } else if field(word, 10, 2) == 2 {
        let option = field(word, 13, 3);
        let memory = MemoryOperand {
            index: GENERAL.get((word >> 16 & 31) as usize).copied(),
            index_bytes: if option & 1 == 1 { 8 } else { 4 },
            index_signed: option & 4 != 0 && option & 1 == 0,
            scale: if word >> 12 & 1 == 1 { bytes as u8 } else { 1 },
            ..operand(rn, 0, bytes)
        };
        (memory, None)
    } else if word & 0x3fff_fc00 == 0x38bf_c000 {
        // LDAPR
        (operand(rn, 0, bytes), None)
    } else {
        // Atomic changes, and loads by an address with its authentication.
        unknown(effects, rt);
        let memory = MemoryOperand { read: true, write: true, ..operand(rn, 0, bytes) };
        effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
        if word & 0x21_0400 == 0x20_0400 && word >> 11 & 1 == 1 {
            unknown(effects, rn);
        }
        return;
    };
    let is_ldapr = word & 0x3fff_fc00 == 0x38bf_c000;
    match (is_vector, kind) {
        (true, 0 | 2) => {
            let memory = MemoryOperand { write: true, ..memory };
            effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
        }
        (true, _) => {}
        (false, _) if is_ldapr => load(effects, rt, size == 3, memory, false),
        (false, 0) => store(effects, rt, memory),
        (false, 1) => load(effects, rt, size == 3, memory, false),
        // PRFM
        (false, 2) if size == 3 => {}
        (false, 2) => load(effects, rt, true, memory, true),
        (false, _) => load(effects, rt, false, memory, true),
    }
    if let Some(by) = moved {
        write_back(rn, by, effects);
    }
}

fn literal(word: u32, address: u64, effects: &mut Effects) {
    if word >> 26 & 1 == 1 {
        return;
    }
    let target = address.wrapping_add_signed(signed(word, 5, 19) << 2);
    let (wide, bytes, sign) = match field(word, 30, 2) {
        0 => (false, 4, false),
        1 => (true, 8, false),
        2 => (true, 4, true),
        _ => return,
    };
    let memory = MemoryOperand { base: None, displacement: target, ..operand(31, 0, bytes) };
    load(effects, word & 31, wide, memory, sign);
}

fn ordered(word: u32, effects: &mut Effects) {
    let (rt, rn, rs) = (word & 31, word >> 5 & 31, word >> 16 & 31);
    let (size, is_load) = (field(word, 30, 2), word >> 22 & 1 == 1);
    let memory = operand(rn, 0, 1 << size);
    match (word >> 23 & 1, word >> 21 & 1, is_load) {
        // LDAR, LDXR, LDAXR
        (_, 0, true) => load(effects, rt, size == 3, memory, false),
        // STLR
        (1, 0, false) => store(effects, rt, memory),
        // STXR, STLXR: it may not have stored.
        (0, 0, false) => {
            let memory = MemoryOperand { write: true, ..memory };
            effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
            unknown(effects, rs);
        }
        // LDXP, STXP, CAS, CASP
        _ => {
            for number in [rs, rs + 1, rt, rt + 1, word >> 10 & 31] {
                unknown(effects, number & 31);
            }
            let memory = MemoryOperand { read: true, write: true, ..operand(rn, 0, 2 << size) };
            effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
        }
    }
}
