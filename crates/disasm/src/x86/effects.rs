//! The effects of x86_64 instructions: those that compilers use to move values about are spelled
//! out, of all others iced tells what they write.

use iced_x86::{
    Code, ConditionCode, FlowControl, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
    RflagsBits,
};

use necropsy_lexicon::{
    Reg,
    reg::x86_64::{RAX, RBP, RSP},
};

use super::{
    access::{self, full, segment_base},
    branch_target, decode, flow,
};
use crate::{
    Isa, MemoryOperand,
    effects::{Assignment, Condition, Effects, Expression, Flags, Operation},
};

type Decoded = iced_x86::Instruction;

pub(crate) fn effects(bytes: &[u8], address: u64) -> Option<Effects> {
    let decoded = decode(Isa::X86_64, bytes, address)?;
    let mut effects = Effects::none();
    effects.length = decoded.len() as u8;
    effects.flow = flow(&decoded);
    effects.target = branch_target(&decoded);
    effects.traps = matches!(decoded.mnemonic(), Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2);
    effects.condition = condition(decoded.condition_code());
    effects.indirect =
        matches!(decoded.flow_control(), FlowControl::IndirectBranch | FlowControl::IndirectCall)
            .then(|| source(&decoded, 0, false));
    if matches!(decoded.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) {
        let signed = decoded.mnemonic() == Mnemonic::Idiv;
        effects.divisor = Some(source(&decoded, 0, signed));
    }
    if !modelled(&decoded, &mut effects) {
        effects.assignments.clear();
        whatever_is_written(&decoded, &mut effects);
    }
    Some(effects)
}

/// Spells out what the instruction does. `false`: it is not one of those.
fn modelled(decoded: &Decoded, effects: &mut Effects) -> bool {
    // Repeated string instructions change more than their operands.
    if decoded.has_rep_prefix() || decoded.has_repne_prefix() {
        return false;
    }
    match decoded.mnemonic() {
        Mnemonic::Mov | Mnemonic::Movzx => assign(decoded, source(decoded, 1, false), effects),
        Mnemonic::Movsx | Mnemonic::Movsxd => assign(decoded, source(decoded, 1, true), effects),
        Mnemonic::Lea => assign(decoded, Expression::Address(memory(decoded, 0)), effects),
        Mnemonic::Add => arithmetic(decoded, Operation::Add, effects),
        Mnemonic::Sub => arithmetic(decoded, Operation::Subtract, effects),
        Mnemonic::And => arithmetic(decoded, Operation::And, effects),
        Mnemonic::Or => arithmetic(decoded, Operation::Or, effects),
        Mnemonic::Xor => arithmetic(decoded, Operation::Xor, effects),
        Mnemonic::Imul => multiply(decoded, effects),
        Mnemonic::Shl | Mnemonic::Sal => shift(decoded, Operation::ShiftLeft, effects),
        Mnemonic::Shr => shift(decoded, Operation::ShiftRight, effects),
        Mnemonic::Sar => shift(decoded, Operation::ShiftRightSigned, effects),
        Mnemonic::Inc => step(decoded, Operation::Add, effects),
        Mnemonic::Dec => step(decoded, Operation::Subtract, effects),
        Mnemonic::Neg => {
            let value =
                binary(Operation::Subtract, Expression::Constant(0), source(decoded, 0, false));
            effects.flags = Flags::Unknown;
            assign(decoded, value, effects)
        }
        Mnemonic::Not => {
            let value =
                binary(Operation::Xor, source(decoded, 0, false), Expression::Constant(u64::MAX));
            assign(decoded, value, effects)
        }
        Mnemonic::Cdqe => set(effects, RAX, register(RAX, 4, true)),
        Mnemonic::Cwde => set(
            effects,
            RAX,
            Expression::Extend { value: Box::new(register(RAX, 2, true)), bytes: 4, signed: false },
        ),
        Mnemonic::Cmp => {
            effects.flags = Flags::Compared {
                left: source(decoded, 0, false),
                right: source(decoded, 1, false),
                bytes: width(decoded, 0),
            };
            true
        }
        Mnemonic::Test => {
            let (left, right) = (source(decoded, 0, false), source(decoded, 1, false));
            let value = if left == right { left } else { binary(Operation::And, left, right) };
            effects.flags = Flags::Tested { value, bytes: width(decoded, 0) };
            true
        }
        Mnemonic::Push => {
            let value = source(decoded, 0, true);
            push(decoded, value, effects)
        }
        Mnemonic::Pop => pop(decoded, effects),
        Mnemonic::Pushfq => push(decoded, Expression::Unknown, effects),
        Mnemonic::Popfq => {
            effects.flags = Flags::Unknown;
            add_to_stack_pointer(effects, 8)
        }
        Mnemonic::Leave => {
            if decoded.code() != Code::Leaveq {
                return false;
            }
            let saved = stack_operand(RBP, 0);
            set(
                effects,
                RSP,
                binary(Operation::Add, Expression::register(RBP), Expression::Constant(8)),
            );
            set(effects, RBP, Expression::Load { memory: saved, signed: false })
        }
        Mnemonic::Xchg => exchange(decoded, effects),
        Mnemonic::Call => {
            let next = Expression::Constant(decoded.next_ip());
            push(decoded, next, effects)
        }
        Mnemonic::Ret => {
            let more = if decoded.op_count() == 1 { decoded.immediate(0) } else { 0 };
            effects.flags = Flags::Unchanged;
            add_to_stack_pointer(effects, more.wrapping_add(8))
        }
        Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Pause | Mnemonic::Jmp => true,
        Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 => true,
        _ => false,
    }
}

/// Assigns to operand 0, whose width says what happens to the rest of a register.
fn assign(decoded: &Decoded, value: Expression, effects: &mut Effects) -> bool {
    match decoded.op0_kind() {
        OpKind::Register => {
            let Some(reg) = full(Isa::X86_64, decoded.op0_register()) else {
                // A segment, control or debug register: none of ours.
                return false;
            };
            let bytes = width(decoded, 0);
            // Narrow writes keep the other bits.
            let value = if bytes < 4 { Expression::Unknown } else { Expression::cut(value, bytes) };
            set(effects, reg, value)
        }
        OpKind::Memory => {
            let memory = MemoryOperand { write: true, ..memory(decoded, width(decoded, 0).into()) };
            effects.assignments.push(Assignment::Memory { memory, value });
            true
        }
        _ => false,
    }
}

fn set(effects: &mut Effects, register: Reg, value: Expression) -> bool {
    effects.assignments.push(Assignment::Register { register, value });
    true
}

fn arithmetic(decoded: &Decoded, operation: Operation, effects: &mut Effects) -> bool {
    let (left, right) = (source(decoded, 0, false), source(decoded, 1, false));
    let bytes = width(decoded, 0);
    // The idiom for zero.
    let clears = left == right && matches!(operation, Operation::Xor | Operation::Subtract);
    let value = if clears {
        Expression::Constant(0)
    } else {
        binary(operation, left.clone(), right.clone())
    };
    effects.flags = match operation {
        Operation::Subtract => Flags::Compared { left, right, bytes },
        Operation::And | Operation::Or | Operation::Xor => {
            Flags::Tested { value: value.clone(), bytes }
        }
        _ => Flags::Unknown,
    };
    assign(decoded, value, effects)
}

fn step(decoded: &Decoded, operation: Operation, effects: &mut Effects) -> bool {
    effects.flags = Flags::Unknown;
    let value = binary(operation, source(decoded, 0, false), Expression::Constant(1));
    assign(decoded, value, effects)
}

fn multiply(decoded: &Decoded, effects: &mut Effects) -> bool {
    effects.flags = Flags::Unknown;
    let value = match decoded.op_count() {
        2 => binary(Operation::Multiply, source(decoded, 0, false), source(decoded, 1, false)),
        3 => binary(Operation::Multiply, source(decoded, 1, false), source(decoded, 2, false)),
        _ => return false,
    };
    assign(decoded, value, effects)
}

fn shift(decoded: &Decoded, operation: Operation, effects: &mut Effects) -> bool {
    effects.flags = Flags::Unknown;
    let bytes = width(decoded, 0);
    let mask = if bytes == 8 { 63 } else { 31 };
    let count = match source(decoded, 1, false) {
        Expression::Constant(count) => Expression::Constant(count & mask),
        Expression::Unknown => return false,
        count => binary(Operation::And, count, Expression::Constant(mask)),
    };
    let signed = operation == Operation::ShiftRightSigned;
    let value = binary(operation, source(decoded, 0, signed), count);
    assign(decoded, value, effects)
}

fn push(decoded: &Decoded, value: Expression, effects: &mut Effects) -> bool {
    if width_of_stack(decoded) != 8 {
        return false;
    }
    let memory = MemoryOperand { write: true, ..stack_operand(RSP, -8) };
    effects.assignments.push(Assignment::Memory { memory, value });
    add_to_stack_pointer(effects, -8i64 as u64)
}

fn pop(decoded: &Decoded, effects: &mut Effects) -> bool {
    if width_of_stack(decoded) != 8 {
        return false;
    }
    if decoded.op0_kind() == OpKind::Memory {
        // The address is that of the stack pointer after the pop, if it is made of that.
        let mut memory = MemoryOperand { write: true, ..memory(decoded, 8) };
        if memory.base == Some(RSP) {
            memory.displacement = memory.displacement.wrapping_add(8);
        }
        let value = Expression::Load { memory: stack_operand(RSP, 0), signed: false };
        effects.assignments.push(Assignment::Memory { memory, value });
        return add_to_stack_pointer(effects, 8);
    }
    let Some(reg) = full(Isa::X86_64, decoded.op0_register()) else { return false };
    let value = Expression::Load { memory: stack_operand(RSP, 0), signed: false };
    if reg != RSP {
        add_to_stack_pointer(effects, 8);
    }
    set(effects, reg, value)
}

fn exchange(decoded: &Decoded, effects: &mut Effects) -> bool {
    if width(decoded, 0) < 4 || decoded.op1_kind() != OpKind::Register {
        return false;
    }
    let (left, right) = (source(decoded, 0, false), source(decoded, 1, false));
    let Some(second) = full(Isa::X86_64, decoded.op1_register()) else { return false };
    assign(decoded, right, effects) && set(effects, second, left)
}

fn add_to_stack_pointer(effects: &mut Effects, amount: u64) -> bool {
    let value = binary(Operation::Add, Expression::register(RSP), Expression::Constant(amount));
    set(effects, RSP, value)
}

/// Bytes that a push or pop moves the stack pointer by.
fn width_of_stack(decoded: &Decoded) -> u32 {
    decoded.stack_pointer_increment().unsigned_abs()
}

fn binary(operation: Operation, left: Expression, right: Expression) -> Expression {
    if left == Expression::Unknown || right == Expression::Unknown {
        return Expression::Unknown;
    }
    Expression::Binary(operation, Box::new(left), Box::new(right))
}

fn register(register: Reg, bytes: u8, signed: bool) -> Expression {
    Expression::Register { register, bytes, signed: signed && bytes < 8 }
}

/// An operand that is read.
fn source(decoded: &Decoded, operand: u32, signed: bool) -> Expression {
    match decoded.op_kind(operand) {
        OpKind::Register => {
            let of = decoded.op_register(operand);
            let high = matches!(of, Register::AH | Register::BH | Register::CH | Register::DH);
            match full(Isa::X86_64, of) {
                Some(reg) if !high => register(reg, of.size() as u8, signed),
                _ => Expression::Unknown,
            }
        }
        OpKind::Memory => {
            let bytes = decoded.memory_size().size() as u32;
            if !matches!(bytes, 1 | 2 | 4 | 8) {
                return Expression::Unknown;
            }
            let memory = MemoryOperand { read: true, ..memory(decoded, bytes) };
            Expression::Load { memory, signed: signed && bytes < 8 }
        }
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            Expression::Constant(decoded.near_branch_target())
        }
        OpKind::Immediate8
        | OpKind::Immediate16
        | OpKind::Immediate32
        | OpKind::Immediate64
        | OpKind::Immediate8to16
        | OpKind::Immediate8to32
        | OpKind::Immediate8to64
        | OpKind::Immediate32to64 => Expression::Constant(decoded.immediate(operand)),
        _ => Expression::Unknown,
    }
}

/// Width of an operand in bytes.
fn width(decoded: &Decoded, operand: u32) -> u8 {
    match decoded.op_kind(operand) {
        OpKind::Register => decoded.op_register(operand).size() as u8,
        _ => decoded.memory_size().size().min(255) as u8,
    }
}

/// The memory operand, of which there is one at most in what is modelled.
fn memory(decoded: &Decoded, size_bytes: u32) -> MemoryOperand {
    let base = decoded.memory_base();
    let index = decoded.memory_index();
    let narrow = base.is_gpr32() || index.is_gpr32() || base == Register::EIP;
    MemoryOperand {
        base: full(Isa::X86_64, base),
        index: full(Isa::X86_64, index),
        index_bytes: 8,
        index_signed: false,
        scale: decoded.memory_index_scale() as u8,
        // Relative to the instruction pointer it is absolute already.
        displacement: decoded.memory_displacement64(),
        segment: segment_base(Isa::X86_64, decoded.memory_segment()),
        address_bytes: if narrow { 4 } else { 8 },
        size_bytes,
        read: false,
        write: false,
    }
}

fn stack_operand(base: Reg, displacement: i64) -> MemoryOperand {
    MemoryOperand {
        base: Some(base),
        index: None,
        index_bytes: 8,
        index_signed: false,
        scale: 1,
        displacement: displacement as u64,
        segment: None,
        address_bytes: 8,
        size_bytes: 8,
        read: displacement >= 0,
        write: false,
    }
}

/// The registers and memory that iced says are written become unknown.
fn whatever_is_written(decoded: &Decoded, effects: &mut Effects) {
    if decoded.rflags_modified() & (RflagsBits::ZF | RflagsBits::CF | RflagsBits::SF) != 0 {
        effects.flags = Flags::Unknown;
    }
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(decoded);
    for used in info.used_registers() {
        let written = !matches!(
            used.access(),
            OpAccess::None | OpAccess::NoMemAccess | OpAccess::Read | OpAccess::CondRead
        );
        if !written {
            continue;
        }
        if let Some(register) = full(Isa::X86_64, used.register()) {
            set(effects, register, Expression::Unknown);
        }
    }
    for memory in access::operands_of(Isa::X86_64, decoded) {
        if memory.write {
            effects.assignments.push(Assignment::Memory { memory, value: Expression::Unknown });
        }
    }
}

fn condition(code: ConditionCode) -> Option<Condition> {
    Some(match code {
        ConditionCode::None => return None,
        ConditionCode::o => Condition::Overflow,
        ConditionCode::no => Condition::NoOverflow,
        ConditionCode::b => Condition::Below,
        ConditionCode::ae => Condition::AboveOrEqual,
        ConditionCode::e => Condition::Equal,
        ConditionCode::ne => Condition::NotEqual,
        ConditionCode::be => Condition::BelowOrEqual,
        ConditionCode::a => Condition::Above,
        ConditionCode::s => Condition::Sign,
        ConditionCode::ns => Condition::NoSign,
        ConditionCode::p => Condition::Parity,
        ConditionCode::np => Condition::NoParity,
        ConditionCode::l => Condition::Less,
        ConditionCode::ge => Condition::GreaterOrEqual,
        ConditionCode::le => Condition::LessOrEqual,
        ConditionCode::g => Condition::Greater,
    })
}
