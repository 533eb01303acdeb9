//! What instructions compute.

use necropsy_disasm::{
    Effects, Isa, MemoryOperand, effects,
    effects::{Assignment, Condition, Expression, Flags, Operation},
    memory_operands, registers_used,
};
use necropsy_lexicon::{Arch, Reg};

const AT: u64 = 0xffff_ffff_8100_0000;

fn of(hex: &str) -> Effects {
    let bytes: Vec<u8> = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    effects(Isa::X86_64, &bytes, AT).unwrap()
}

/// The only assignment, to a register.
fn value(hex: &str, to: &str) -> Expression {
    let mut all = of(hex).assignments;
    assert_eq!(all.len(), 1, "{hex}: {all:?}");
    match all.pop() {
        Some(Assignment::Register { register, value }) if register == reg(to) => value,
        other => panic!("{hex}: {other:?}"),
    }
}

fn reg(name: &str) -> Reg {
    Reg::by_name(Arch::X86_64, name).unwrap()
}

fn register(name: &str, bytes: u8, signed: bool) -> Expression {
    Expression::Register { register: reg(name), bytes, signed }
}

fn memory(base: &str, displacement: i64, size_bytes: u32) -> MemoryOperand {
    MemoryOperand {
        base: Some(reg(base)),
        index: None,
        index_bytes: 8,
        index_signed: false,
        scale: 1,
        displacement: displacement as u64,
        segment: None,
        address_bytes: 8,
        size_bytes,
        read: true,
        write: false,
    }
}

fn binary(operation: Operation, left: Expression, right: Expression) -> Expression {
    Expression::Binary(operation, Box::new(left), Box::new(right))
}

#[test]
fn copies_and_constants() {
    assert_eq!(value("48 89 fb", "rbx"), register("rdi", 8, false)); // mov %rdi,%rbx
    assert_eq!(value("89 de", "rsi"), register("rbx", 4, false)); // mov %ebx,%esi
    assert_eq!(value("48 63 c7", "rax"), register("rdi", 4, true)); // movslq %edi,%rax
    assert_eq!(value("0f b6 c3", "rax"), register("rbx", 1, false)); // movzbl %bl,%eax
    assert_eq!(value("31 c0", "rax"), Expression::Constant(0)); // xor %eax,%eax
    assert_eq!(value("b8 ea ff ff ff", "rax"), Expression::Constant(0xffff_ffea));
    assert_eq!(value("48 c7 c0 ea ff ff ff", "rax"), Expression::Constant(-22i64 as u64));
    // mov %al,%bl keeps the rest of rbx.
    assert_eq!(value("88 c3", "rbx"), Expression::Unknown);
    // mov %ah,%cl, movzbl %ah,%ecx: high bytes are not modelled.
    assert_eq!(value("0f b6 cc", "rcx"), Expression::Unknown);
    // movsbl %al,%eax: the sign goes up to 32 bits only.
    let low = Box::new(register("rax", 1, true));
    assert_eq!(
        value("0f be c0", "rax"),
        Expression::Extend { value: low, bytes: 4, signed: false }
    );
}

#[test]
fn loads_and_addresses() {
    // mov 0x8(%rdi),%r12
    let load = Expression::Load { memory: memory("rdi", 8, 8), signed: false };
    assert_eq!(value("4c 8b 67 08", "r12"), load);
    // mov (%rbx),%ebx
    let load = Expression::Load { memory: memory("rbx", 0, 4), signed: false };
    assert_eq!(value("8b 1b", "rbx"), load);
    // movslq (%rbx),%rax
    let load = Expression::Load { memory: memory("rbx", 0, 4), signed: true };
    assert_eq!(value("48 63 03", "rax"), load);
    // lea 0x1c8(%r12),%r13
    let address = MemoryOperand { read: false, ..memory("r12", 0x1c8, 0) };
    assert_eq!(value("4d 8d ac 24 c8 01 00 00", "r13"), Expression::Address(address));
    // mov 0x10(%rip),%rax is absolute.
    let Expression::Load { memory, .. } = value("48 8b 05 10 00 00 00", "rax") else { panic!() };
    assert_eq!((memory.base, memory.displacement), (None, AT + 7 + 0x10));
    // mov %gs:0x28,%rax
    let Expression::Load { memory, .. } = value("65 48 8b 04 25 28 00 00 00", "rax") else {
        panic!()
    };
    assert_eq!((memory.segment, memory.displacement), (Some(reg("gs_base")), 0x28));
}

#[test]
fn arithmetic() {
    let rax = || register("rax", 8, false);
    assert_eq!(
        value("48 83 c0 08", "rax"), // add $0x8,%rax
        binary(Operation::Add, rax(), Expression::Constant(8))
    );
    assert_eq!(
        value("48 c1 e8 24", "rax"), // shr $0x24,%rax
        binary(Operation::ShiftRight, rax(), Expression::Constant(0x24))
    );
    // sar %cl,%eax shifts the sign of the low half, and clears the high half.
    let count = binary(Operation::And, register("rcx", 1, false), Expression::Constant(31));
    let shifted = binary(Operation::ShiftRightSigned, register("rax", 4, true), count);
    assert_eq!(
        value("d3 f8", "rax"),
        Expression::Extend { value: Box::new(shifted), bytes: 4, signed: false }
    );
    assert_eq!(
        value("4d 69 e4 60 10 00 00", "r12"), // imul $0x1060,%r12,%r12
        binary(Operation::Multiply, register("r12", 8, false), Expression::Constant(0x1060))
    );
    assert_eq!(Operation::ShiftRightSigned.apply(-8i64 as u64, 1), -4i64 as u64);
}

#[test]
fn the_stack() {
    let moved = |by: i64| {
        binary(Operation::Add, register("rsp", 8, false), Expression::Constant(by as u64))
    };
    // push %rbx
    assert_eq!(
        of("53").assignments,
        [
            Assignment::Memory {
                memory: MemoryOperand { read: false, write: true, ..memory("rsp", -8, 8) },
                value: register("rbx", 8, false),
            },
            Assignment::Register { register: reg("rsp"), value: moved(-8) },
        ]
    );
    // pop %rbx
    assert_eq!(
        of("5b").assignments,
        [
            Assignment::Register { register: reg("rsp"), value: moved(8) },
            Assignment::Register {
                register: reg("rbx"),
                value: Expression::Load { memory: memory("rsp", 0, 8), signed: false },
            },
        ]
    );
    // leave
    assert_eq!(
        of("c9").assignments,
        [
            Assignment::Register {
                register: reg("rsp"),
                value: binary(Operation::Add, register("rbp", 8, false), Expression::Constant(8)),
            },
            Assignment::Register {
                register: reg("rbp"),
                value: Expression::Load { memory: memory("rbp", 0, 8), signed: false },
            },
        ]
    );
    // pop 0x90(%rsp): addressed by the stack pointer after the pop.
    assert!(matches!(&of("8f 84 24 90 00 00 00").assignments[0],
        Assignment::Memory { memory, .. } if memory.displacement == 0x98));
    // pushf, popf
    assert_eq!(
        of("9c").assignments[1],
        Assignment::Register { register: reg("rsp"), value: moved(-8) }
    );
    assert_eq!(
        of("9d").assignments,
        [Assignment::Register { register: reg("rsp"), value: moved(8) }]
    );
    // call: the return address goes onto the stack.
    assert!(matches!(&of("e8 00 00 00 00").assignments[0],
        Assignment::Memory { value: Expression::Constant(at), .. } if *at == AT + 5));
}

#[test]
fn what_is_not_modelled_is_unknown_and_not_left_out() {
    // cmove %rdx,%rax
    let cmov = of("48 0f 44 c2");
    assert_eq!(
        cmov.assignments,
        [Assignment::Register { register: reg("rax"), value: Expression::Unknown }]
    );
    assert_eq!(cmov.condition, Some(Condition::Equal));
    // rep movsq
    let written: Vec<_> = of("f3 48 a5")
        .assignments
        .iter()
        .map(|assignment| match assignment {
            Assignment::Register { register, value } => {
                assert_eq!(*value, Expression::Unknown);
                register.name()
            }
            Assignment::Memory { value, .. } => {
                assert_eq!(*value, Expression::Unknown);
                "memory"
            }
        })
        .collect();
    for what in ["rcx", "rsi", "rdi", "memory"] {
        assert!(written.contains(&what), "{what}: {written:?}");
    }
    // div %rcx
    let div = of("48 f7 f1");
    assert_eq!(div.divisor, Some(register("rcx", 8, false)));
    assert_eq!(div.assignments.len(), 2);
    // lock xadd %eax,0x0(%rbp) writes both.
    assert_eq!(of("f0 0f c1 45 00").assignments.len(), 2);
    // cpuid
    assert_eq!(of("0f a2").assignments.len(), 4);
}

#[test]
fn comparisons_and_conditions() {
    // cmp $0xfffffffffffff000,%rax
    assert_eq!(
        of("48 3d 00 f0 ff ff").flags,
        Flags::Compared {
            left: register("rax", 8, false),
            right: Expression::Constant(-4096i64 as u64),
            bytes: 8,
        }
    );
    // cmpb $0x0,0x4(%rbx)
    assert_eq!(
        of("80 7b 04 00").flags,
        Flags::Compared {
            left: Expression::Load { memory: memory("rbx", 4, 1), signed: false },
            right: Expression::Constant(0),
            bytes: 1,
        }
    );
    // test %rax,%rax
    let tested = Flags::Tested { value: register("rax", 8, false), bytes: 8 };
    assert_eq!(of("48 85 c0").flags, tested);
    // ja
    assert_eq!(of("77 10").condition, Some(Condition::Above));
    assert_eq!(Condition::Above.holds(-22i64 as u64, -4096i64 as u64, 8), Some(true));
    assert_eq!(Condition::Above.negated().holds(0, -4096i64 as u64, 8), Some(true));
    assert_eq!(Condition::Less.holds(0xffff_ffff, 0, 4), Some(true));
    assert_eq!(Condition::Parity.holds(0, 0, 8), None);
    // call *%rax, jmp *0x8(%rax)
    assert_eq!(of("ff d0").indirect, Some(register("rax", 8, false)));
    assert!(matches!(of("ff 60 08").indirect, Some(Expression::Load { .. })));
}

/// Whatever the instruction, nothing that iced says is written may be left out.
#[test]
fn all_that_is_written_is_told() {
    let tail = [0x84, 0xd8, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4, 5];
    let mut checked = 0;
    for prefix in [&[][..], &[0x48], &[0x66], &[0xf3], &[0xf2], &[0x0f], &[0x48, 0x0f], &[0x4d]] {
        for opcode in 0..=255u8 {
            for second in 0..=255u8 {
                let mut bytes = prefix.to_vec();
                bytes.extend([opcode, second]);
                bytes.extend(tail);
                let Some(effects) = effects(Isa::X86_64, &bytes, AT) else { continue };
                let (_, written) = registers_used(Isa::X86_64, &bytes, AT);
                for name in written {
                    let told = effects.assignments.iter().any(|assignment| {
                        matches!(assignment,
                            Assignment::Register { register, .. } if *register == name)
                    });
                    assert!(told, "{bytes:x?}: {name} is left out of {effects:?}");
                }
                let stores = memory_operands(Isa::X86_64, &bytes, AT).iter().any(|m| m.write);
                let told = effects
                    .assignments
                    .iter()
                    .any(|assignment| matches!(assignment, Assignment::Memory { .. }));
                assert!(told || !stores, "{bytes:x?}: a store is left out of {effects:?}");
                checked += 1;
            }
        }
    }
    assert!(checked > 100_000);
}

#[test]
fn any_bytes_are_safe() {
    for first in 0..=255u8 {
        for second in 0..=255u8 {
            let bytes = [first, second, 0x84, 0xd8, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4, 5, 6, 7];
            let _ = effects(Isa::X86_64, &bytes, u64::MAX - 4);
        }
    }
    assert_eq!(effects(Isa::Aarch64, &[0; 4], 0), None);
}
