//! Stacks put together by hand: every way that a frame is found, every way that a trace ends.

use necropsy_debuginfo::dwarf::{DebugFile, Dwarf};
use necropsy_lexicon::reg::x86_64::*;
use necropsy_synth::ElfFile;

use super::{End, FoundBy, MAX_FRAMES, StackKind, Start, Trace, unwind};
use crate::{
    Target,
    debug::ImageDebug,
    testkit::{DIRECT, HEAP, MEMORY, Machine, OrcRule, STACK, STACK_SIZE, TEXT, regs, stack},
};

/// Functions of 64 bytes each: `inner`, `middle`, `outer`. Each calls the one before it at 16, so
/// that 21 is where the call returns to.
fn code(machine: Machine) -> Machine {
    let calling = |from: u64, to: u64| {
        let mut code = vec![0x90; 64];
        code[16] = 0xe8;
        let distance = to.wrapping_sub(from + 21) as u32;
        code[17..21].copy_from_slice(&distance.to_le_bytes());
        code
    };
    machine
        .function("inner", INNER, &[0x90; 64])
        .function("middle", MIDDLE, &calling(MIDDLE, INNER))
        .function("outer", OUTER, &calling(OUTER, MIDDLE))
}

const INNER: u64 = TEXT;
const MIDDLE: u64 = TEXT + 64;
const OUTER: u64 = TEXT + 128;
const IN_MIDDLE: u64 = MIDDLE + 21;
const IN_OUTER: u64 = OUTER + 21;
/// Where the stack pointer is in `inner`.
const SP: u64 = STACK + 0x1000;
const TOP: u64 = STACK + STACK_SIZE;

fn at(pc: u64, sp: u64) -> Start {
    Start { regs: regs(&[(RIP, pc), (RSP, sp)]), interrupted: true, saved_regs: false, slot: None }
}

fn trace(target: &Target) -> Trace {
    unwind(target, &at(INNER + 4, SP), &[stack()])
}

fn found(trace: &Trace) -> Vec<(u64, FoundBy)> {
    trace.frames.iter().map(|frame| (frame.pc, frame.found_by)).collect()
}

const FIRST: (u64, FoundBy) = (INNER + 4, FoundBy::Registers);

#[test]
fn by_the_kernels_table_to_the_end() {
    let target = code(Machine::new())
        .orc(INNER, OrcRule::call(8))
        .orc(MIDDLE, OrcRule { bp_reg: 1, bp_offset: -16, ..OrcRule::call(24) })
        .orc(OUTER, OrcRule::end())
        .words(SP, &[IN_MIDDLE, 0, 0x1234, IN_OUTER])
        .target();
    let trace = trace(&target);
    let expected = [FIRST, (IN_MIDDLE, FoundBy::Orc), (IN_OUTER, FoundBy::Orc)];
    assert_eq!(found(&trace), expected);
    assert_eq!(trace.end, End::Complete);
    let [_, middle, outer] = trace.frames.as_slice() else { panic!() };
    assert_eq!((middle.slot, middle.sp), (SP, SP + 8));
    assert_eq!((outer.slot, outer.sp), (SP + 24, SP + 32));
    assert_eq!(outer.regs.get(RBP), Some(0x1234), "saved by middle");
    assert_eq!(outer.stack, Some(StackKind::Task));
    assert!(trace.frames.iter().skip(1).all(|frame| !frame.interrupted));
}

#[test]
fn by_registers_that_an_exception_saved() {
    let mut saved = [0u64; 21];
    saved[4] = 0xb;
    saved[16..21].copy_from_slice(&[MIDDLE + 3, 0x10, 0x246, SP + 0x200, 0x18]);
    let target = code(Machine::new())
        .orc(INNER, OrcRule::regs())
        .orc(MIDDLE, OrcRule::end())
        .words(SP, &saved)
        .target();
    let trace = trace(&target);
    assert_eq!(found(&trace), [FIRST, (MIDDLE + 3, FoundBy::Registers)]);
    let interrupted = &trace.frames[1];
    assert!(interrupted.interrupted && interrupted.saved_regs);
    assert_eq!((interrupted.sp, interrupted.slot), (SP + 0x200, SP + 128));
    assert_eq!(interrupted.regs.get(RBP), Some(0xb));
    assert_eq!(trace.end, End::Complete);
}

#[test]
fn by_what_the_cpu_pushed() {
    let target = code(Machine::new())
        .orc(INNER, OrcRule::interrupt())
        .orc(MIDDLE, OrcRule::end())
        .words(SP, &[MIDDLE + 3, 0x10, 0x246, SP + 0x200, 0x18])
        .target();
    let mut start = at(INNER + 4, SP);
    start.regs.set(R10, 10);
    start.regs.set(RAX, 1);
    let trace = unwind(&target, &start, &[stack()]);
    assert_eq!(found(&trace), [FIRST, (MIDDLE + 3, FoundBy::Registers)]);
    let interrupted = &trace.frames[1];
    assert!(!interrupted.saved_regs, "only five of them");
    assert_eq!((interrupted.regs.get(R10), interrupted.regs.get(RAX)), (Some(10), None));
}

#[test]
fn to_a_user_program() {
    let mut saved = [0u64; 21];
    saved[14] = 7;
    saved[16..21].copy_from_slice(&[0x40_1000, 0x33, 0x246, 0x7fff_0000, 0x2b]);
    let target = code(Machine::new()).orc(INNER, OrcRule::regs()).words(SP, &saved).target();
    let trace = trace(&target);
    assert_eq!(found(&trace), [FIRST]);
    let (place, user) = trace.user.unwrap();
    assert_eq!((place, user.get(RDI), user.pc()), (SP, Some(7), Some(0x40_1000)));
    assert_eq!(trace.end, End::Complete);
    // One that begins there has no frames at all.
    let start = Start { regs: user, interrupted: true, saved_regs: true, slot: None };
    let trace = unwind(&target, &start, &[stack()]);
    assert!(trace.frames.is_empty() && trace.user.is_some() && trace.end == End::Complete);
}

#[test]
fn through_a_call_of_a_bad_pointer() {
    let target = code(Machine::new())
        .orc(INNER, OrcRule::call(8))
        .orc(MIDDLE, OrcRule::end())
        .words(SP, &[IN_MIDDLE])
        .target();
    let trace = unwind(&target, &at(0, SP), &[stack()]);
    assert_eq!(found(&trace), [(0, FoundBy::Registers), (IN_MIDDLE, FoundBy::Orc)]);
}

#[test]
fn by_the_rules_of_debug_information() {
    let target = code(Machine::new()).words(SP, &[0, 0xb, IN_MIDDLE]).target();
    let image = target.kernel();
    target.set_debug(image, Some(debug_frame(INNER, 24)));
    let trace = trace(&target);
    assert_eq!(found(&trace)[..2], [FIRST, (IN_MIDDLE, FoundBy::Cfi)]);
    let middle = &trace.frames[1];
    assert_eq!((middle.slot, middle.sp), (SP + 16, SP + 24));
    assert_eq!(middle.regs.get(RBX), Some(0xb), "saved at CFA - 16");
}

/// Unwind information of one function: its CFA is rsp + `offset`, the return address at CFA - 8,
/// rbx at CFA - 16 (DWARF 5, 6.4).
fn debug_frame(function: u64, offset: u8) -> ImageDebug {
    let mut section = Vec::new();
    let entry = |section: &mut Vec<u8>, mut content: Vec<u8>| {
        content.resize(content.len().next_multiple_of(8) + 4, 0);
        section.extend((content.len() as u32).to_le_bytes());
        section.extend(content);
    };
    // Version 1, no augmentation, factors 1 and -8, return address in 16.
    let mut cie = vec![0xff, 0xff, 0xff, 0xff, 1, 0, 1, 0x78, 16];
    cie.extend([0x0c, 7, offset, 0x80 | 16, 1, 0x80 | 3, 2]);
    entry(&mut section, cie);
    let mut fde = vec![0; 4];
    fde.extend(function.to_le_bytes());
    fde.extend(64u64.to_le_bytes());
    entry(&mut section, fde);
    let file = ElfFile::new(2)
        .section(".debug_frame", &section)
        .section(".debug_line", &[])
        .section(".debug_info", &[0; 16])
        .section(".debug_abbrev", &[0])
        .build();
    let file = DebugFile::open(Box::new(file)).expect("an ELF file");
    let dwarf = Dwarf::open(file, None).expect("debug information");
    ImageDebug { dwarf, bias: 0, path: "vmlinux".into(), how: "made", matches: true }
}

#[test]
fn by_the_call_that_leads_here() {
    // A word that follows another call lies below.
    let target = code(Machine::new()).words(SP, &[1, IN_OUTER, IN_MIDDLE]).target();
    let trace = trace(&target);
    assert_eq!(found(&trace)[..2], [FIRST, (IN_MIDDLE, FoundBy::Call)]);
    assert_eq!(trace.frames[1].slot, SP + 16);
    assert_eq!(trace.end, End::Lost);
}

#[test]
fn by_the_frame_pointer() {
    let target = code(Machine::new()).words(SP + 0x40, &[SP + 0x80, IN_OUTER]).target();
    let mut start = at(INNER + 4, SP);
    start.regs.set(RBP, SP + 0x40);
    let trace = unwind(&target, &start, &[stack()]);
    assert_eq!(found(&trace)[..2], [FIRST, (IN_OUTER, FoundBy::FramePointer)]);
    let outer = &trace.frames[1];
    assert_eq!((outer.sp, outer.regs.get(RBP)), (SP + 0x50, Some(SP + 0x80)));
    // One that points elsewhere is none.
    for bad in [SP + 0x41, SP - 8, TOP, 0] {
        start.regs.set(RBP, bad);
        let trace = unwind(&target, &start, &[stack()]);
        assert_ne!(trace.frames[1].found_by, FoundBy::FramePointer, "{bad:x}");
    }
}

#[test]
fn by_scanning() {
    // Text that follows no call is no return address.
    let target = code(Machine::new()).words(SP, &[MIDDLE + 2, IN_OUTER]).target();
    let trace = trace(&target);
    assert_eq!(found(&trace), [FIRST, (IN_OUTER, FoundBy::Scan)]);
    assert_eq!(trace.end, End::Lost);
}

#[test]
fn lost_and_complete_at_the_top() {
    let target = code(Machine::new()).target();
    assert_eq!(trace(&target).end, End::Lost);
    let none = unwind(&target, &Start { regs: regs(&[(RIP, INNER)]), ..at(0, 0) }, &[stack()]);
    assert!(none.frames.is_empty() && none.end == End::Lost);
    // The last return address is the stack's last word.
    let target = code(Machine::new())
        .orc(INNER, OrcRule::call(8))
        .orc(MIDDLE, OrcRule::default())
        .words(TOP - 8, &[IN_MIDDLE])
        .target();
    let stacks = [stack(), super::Stack { kind: StackKind::Irq, start: TOP, end: TOP }];
    let trace = unwind(&target, &at(INNER + 4, TOP - 8), &stacks);
    assert_eq!(trace.end, End::Lost, "nothing says that it is the outermost");
}

#[test]
fn a_fault_ends_it_and_is_told() {
    // The stack goes on beyond the memory that the dump holds.
    let start = DIRECT + MEMORY - 0x1000;
    let target = code(Machine::new()).orc(INNER, OrcRule::call(0x1008)).target();
    let kind = StackKind::Task;
    let stacks = [super::Stack { kind, start, end: start + 0x2000 }];
    let trace = unwind(&target, &at(INNER + 4, start), &stacks);
    let End::Fault(fault) = trace.end else { panic!("{:?}", trace.end) };
    assert_eq!(fault.address, DIRECT + MEMORY);
    assert_eq!(found(&trace), [FIRST]);
}

#[test]
fn it_goes_up_or_it_ends() {
    // A table that leads downwards, or round in a circle, is not followed.
    let target =
        code(Machine::new()).orc(INNER, OrcRule::call(-64)).words(SP - 72, &[IN_MIDDLE]).target();
    assert_eq!(found(&trace(&target)), [FIRST]);
    // Between two stacks it may go either way, as exceptions do, but not for ever.
    let other = super::Stack { kind: StackKind::Irq, start: HEAP, end: HEAP + 0x1000 };
    let mut there = [0u64; 21];
    there[16..21].copy_from_slice(&[INNER + 4, 0x10, 0x246, HEAP, 0x18]);
    let mut back = there;
    back[19] = SP;
    let target = code(Machine::new())
        .orc(INNER, OrcRule::regs())
        .words(SP, &there)
        .words(HEAP, &back)
        .target();
    let trace = unwind(&target, &at(INNER + 4, SP), &[stack(), other]);
    assert_eq!((trace.frames.len(), trace.end), (MAX_FRAMES, End::TooDeep));
}

/// A set of saved registers of `struct pt_regs`, in its order.
fn pt_regs(rip: u64, rsp: u64, rbp: u64) -> [u64; 21] {
    let mut saved = [0u64; 21];
    saved[4] = rbp;
    saved[16..21].copy_from_slice(&[rip, 0x10, 0x246, rsp, 0x18]);
    saved
}

/// A kernel with frame pointers: functions that begin with `push %rbp; mov %rsp,%rbp`, and no table.
fn with_frame_pointers() -> Machine {
    let function = |from: u64, calls: u64| {
        let mut code = vec![0x90; 64];
        code[..4].copy_from_slice(&[0x55, 0x48, 0x89, 0xe5]);
        code[16] = 0xe8;
        code[17..21].copy_from_slice(&(calls.wrapping_sub(from + 21) as u32).to_le_bytes());
        code
    };
    Machine::new()
        .function("inner", INNER, &function(INNER, INNER))
        .function("middle", MIDDLE, &function(MIDDLE, INNER))
        .function("outer", OUTER, &function(OUTER, MIDDLE))
        .function("schedule", OUTER + 64, &function(OUTER + 64, OUTER))
}

#[test]
fn by_frame_pointers_through_an_exception() {
    // inner <- middle <- (entry code, whose rbp is the marked address of the registers) <- outer,
    // interrupted within its body <- schedule.
    let saved = pt_regs(OUTER + 30, SP + 0x200, SP + 0x220);
    let target = with_frame_pointers()
        .words(SP + 0x40, &[SP + 0x60, IN_MIDDLE])
        .words(SP + 0x60, &[(SP + 0x80) | 1, IN_OUTER])
        .words(SP + 0x80, &saved)
        .words(SP + 0x220, &[0, OUTER + 64 + 21])
        .target();
    assert!(target.frame_pointers());
    let mut start = at(INNER + 30, SP);
    start.regs.set(RBP, SP + 0x40);
    let trace = unwind(&target, &start, &[stack()]);
    let expected = [
        (INNER + 30, FoundBy::Registers),
        (IN_MIDDLE, FoundBy::FramePointer),
        (IN_OUTER, FoundBy::FramePointer),
        (OUTER + 30, FoundBy::Registers),
        (OUTER + 64 + 21, FoundBy::FramePointer),
    ];
    assert_eq!(found(&trace), expected);
    assert!(trace.frames[3].saved_regs && trace.frames[3].interrupted);
    assert_eq!(trace.frames[3].sp, SP + 0x200);
}

#[test]
fn by_frame_pointers_of_a_function_that_has_not_set_up_its_own() {
    for (pc, words, caller) in [
        // Before the push, after it, and at the return.
        (INNER, [IN_MIDDLE, 0], SP),
        (INNER + 1, [SP + 0x40, IN_MIDDLE], SP + 8),
    ] {
        let target =
            with_frame_pointers().words(SP, &words).words(SP + 0x40, &[0, IN_OUTER]).target();
        let mut start = at(pc, SP);
        start.regs.set(RBP, SP + 0x40);
        let trace = unwind(&target, &start, &[stack()]);
        assert_eq!(
            found(&trace)[1..3],
            [(IN_MIDDLE, FoundBy::FramePointer), (IN_OUTER, FoundBy::FramePointer)]
        );
        assert_eq!(trace.frames[1].slot, caller, "{pc:x}");
    }
}

#[test]
fn by_frame_pointers_to_a_user_program() {
    let mut saved = pt_regs(0x40_1000, 0x7fff_0000, 7);
    (saved[17], saved[20]) = (0x33, 0x2b);
    // System calls leave 0 in rbp; their registers end the stack.
    let top = TOP - 168;
    let target = with_frame_pointers().words(top - 16, &[0, IN_MIDDLE]).words(top, &saved).target();
    let mut start = at(INNER + 30, SP);
    start.regs.set(RBP, top - 16);
    let trace = unwind(&target, &start, &[stack()]);
    assert_eq!(found(&trace)[1..], [(IN_MIDDLE, FoundBy::FramePointer)]);
    assert_eq!((trace.end, trace.user.map(|(at, _)| at)), (End::Complete, Some(top)));
    // A marked address out of the stack is none.
    start.regs.set(RBP, TOP + 1);
    assert_ne!(unwind(&target, &start, &[stack()]).end, End::Complete);
}

#[test]
fn what_ran_after_the_registers_were_saved() {
    // outer was interrupted; the handler, middle, called inner. Below lies what an earlier call of
    // middle left: the return address of a call that is over.
    let saved = pt_regs(OUTER + 30, SP + 0x200, 0);
    let code = code(Machine::new())
        .orc(INNER, OrcRule::call(8))
        .orc(MIDDLE, OrcRule::regs())
        .orc(OUTER, OrcRule::end());
    let target = code.words(SP - 0x18, &[IN_OUTER, 0, 0, IN_MIDDLE]).words(SP + 8, &saved).target();
    let start = Start {
        regs: regs(&[(RIP, OUTER + 30), (RSP, SP + 0x200)]),
        saved_regs: true,
        ..at(OUTER + 30, SP + 0x200)
    };
    let found = super::above(&target, &start, &[stack()]).0.expect("found");
    let pcs: Vec<u64> = found.frames.iter().map(|frame| frame.pc).collect();
    assert_eq!(pcs, [IN_MIDDLE]);
    assert_eq!(found.frames[0].found_by, FoundBy::Search);
    assert_eq!(found.meets, super::Meeting::Exception(SP + 8 + 128));
    assert!(super::exception_saved(&target, &start, &[stack()]));
    // Other registers are met by nothing.
    let other = Start { regs: regs(&[(RIP, OUTER + 31), (RSP, SP + 0x200)]), ..start };
    assert!(super::above(&target, &other, &[stack()]).0.is_none());
    assert!(!super::exception_saved(&target, &other, &[stack()]));
}

#[test]
fn a_function_that_noted_its_own_registers() {
    // outer noted where it was and called middle, which called inner.
    let target = code(Machine::new())
        .orc(MIDDLE, OrcRule::call(24))
        .orc(OUTER, OrcRule::end())
        .words(SP, &[IN_MIDDLE, 0, 0, IN_OUTER])
        .target();
    let at = at(OUTER + 2, SP + 32);
    let start = Start { saved_regs: true, ..at };
    let found = super::above(&target, &start, &[stack()]).0.expect("found");
    assert_eq!(found.frames.iter().map(|frame| frame.pc).collect::<Vec<_>>(), [IN_MIDDLE]);
    assert_eq!(found.meets, super::Meeting::Function { pc: IN_OUTER, slot: SP + 24 });
    assert!(!super::exception_saved(&target, &start, &[stack()]));
}
