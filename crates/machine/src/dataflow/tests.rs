//! The analyses on small functions.

use necropsy_dump::{Fault, Read, Reason};
use necropsy_lexicon::reg::x86_64::*;

use super::{
    Holder,
    frames::holder,
    function::Function,
    source::{Fixup, Region, Source},
    state::{Origin, Place},
};
use crate::{Architecture, arch, regs::Reg};

const AT: u64 = 0xffff_ffff_8100_0000;

/// One function at [`AT`]; its last bytes belong to its cold part if there is one.
#[derive(Default)]
struct Fake {
    bytes: Vec<u8>,
    cold: usize,
    fixups: Vec<Fixup>,
}

impl Source for Fake {
    fn architecture(&self) -> &'static dyn Architecture {
        &arch::x86_64::X86_64
    }
    fn page_size(&self) -> u64 {
        4096
    }
    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        let start = address.wrapping_sub(AT) as usize;
        let bytes = start.checked_add(buf.len()).and_then(|end| self.bytes.get(start..end));
        buf.copy_from_slice(bytes.ok_or(Fault::kernel(address, Reason::Excluded))?);
        Ok(())
    }
    fn region(&self, address: u64) -> Option<Region> {
        let hot = AT + (self.bytes.len() - self.cold) as u64;
        let end = AT + self.bytes.len() as u64;
        if (AT..hot).contains(&address) {
            Some(Region { start: AT, end: hot, cold: false })
        } else if (hot..end).contains(&address) {
            Some(Region { start: hot, end, cold: true })
        } else {
            Some(Region { start: address, end: address + 16, cold: false })
        }
    }
    fn fixups(&self, start: u64, end: u64) -> Option<Vec<Fixup>> {
        let inside = |fixup: &&Fixup| (start..end).contains(&fixup.at);
        Some(self.fixups.iter().filter(inside).copied().collect())
    }
    fn thunk(&self, _: u64) -> Option<Reg> {
        None
    }
    fn never_returns(&self, _: u64) -> bool {
        false
    }
    fn traces(&self, _: u64) -> bool {
        false
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn analyse(hex: &str) -> Option<Function> {
    Function::analyse(&Fake { bytes: bytes(hex), ..Fake::default() }, AT)
}

fn entry(register: Reg) -> Origin {
    Origin::Entry { register, bytes: 8 }
}

/// A call to far away.
const CALL: &str = "e8 00 00 10 00";

#[test]
fn pushes_are_slots_of_the_callers_registers() {
    // push %rbp; push %rbx; sub $0x8,%rsp; mov %rdi,%rbx; call; add $0x8,%rsp; pop %rbx; pop
    // %rbp; ret
    let code = format!("55 53 48 83 ec 08 48 89 fb {CALL} 48 83 c4 08 5b 5d c3");
    let function = analyse(&code).unwrap();
    let behind = function.state_at(AT + 14, false).unwrap();
    assert_eq!(behind.stack_pointer(), Some(-32));
    assert_eq!(behind.slots_with(entry(RBP)).collect::<Vec<_>>(), [-16]);
    assert_eq!(behind.slots_with(entry(RBX)).collect::<Vec<_>>(), [-24]);
    // Not touched at all.
    assert_eq!(behind.registers_with(entry(R12)).collect::<Vec<_>>(), [R12]);
    // The argument outlives the call in rbx, and not in rdi.
    assert_eq!(holder(&behind, RDI), Some(Holder::Register(RBX)));
    assert_eq!(behind.register(RDI), Origin::Defined { at: AT + 9, register: RDI });
    assert_eq!(holder(&behind, RSI), None);
    // Before the return all is as it was.
    let end = function.state_before(AT + 20).unwrap();
    assert_eq!(end.stack_pointer(), Some(-8));
    assert_eq!(end.register(RBX), entry(RBX));
    assert_eq!(end.register(RBP), entry(RBP));
    assert_eq!(end.slots().count(), 0, "what lies below the stack pointer is not ours");
}

#[test]
fn moves_save_registers_too() {
    // sub $0x28,%rsp; mov %rbx,0x10(%rsp); mov %rdi,0x8(%rsp); call; ret
    let code = format!("48 83 ec 28 48 89 5c 24 10 48 89 7c 24 08 {CALL} c3");
    let behind = analyse(&code).unwrap().state_at(AT + 19, false).unwrap();
    assert_eq!(behind.slots_with(entry(RBX)).collect::<Vec<_>>(), [-0x20]);
    assert_eq!(holder(&behind, RDI), Some(Holder::Stack(-0x28)));
}

#[test]
fn a_frame_whose_address_is_known_elsewhere_may_change() {
    // sub $0x28,%rsp; mov %rbx,0x10(%rsp); mov %rdi,0x8(%rsp); lea 0x8(%rsp),%rdi; call; ret
    let code = format!("48 83 ec 28 48 89 5c 24 10 48 89 7c 24 08 48 8d 7c 24 08 {CALL} c3");
    let function = analyse(&code).unwrap();
    let before = function.state_before(AT + 19).unwrap();
    assert_eq!(holder(&before, RDI), Some(Holder::Stack(-0x28)));
    let behind = function.state_at(AT + 24, false).unwrap();
    assert_eq!(holder(&behind, RDI), None);
    assert_eq!(behind.slots_with(entry(RBX)).count(), 1, "no variable has rbx's value");
}

#[test]
fn pushed_arguments_belong_to_the_function_called() {
    // push %rdi; call; ret
    let behind = analyse(&format!("57 {CALL} c3")).unwrap().state_at(AT + 6, false).unwrap();
    assert_eq!(holder(&behind, RDI), None);
}

#[test]
fn paths_that_differ_merge_and_equal_ones_do_not() {
    // test %rsi,%rsi; je 1f; mov %rdi,%rax; mov %rsi,%rcx; jmp 2f; 1: mov %rdi,%rax; xor
    // %ecx,%ecx; 2: ret
    let function = analyse("48 85 f6 74 08 48 89 f8 48 89 f1 eb 05 48 89 f8 31 c9 c3").unwrap();
    let end = function.state_before(AT + 18).unwrap();
    assert_eq!(end.register(RAX), entry(RDI));
    let place = Place::Register(RCX.number() as u8);
    assert_eq!(end.register(RCX), Origin::Merged { at: AT + 18, place });
}

#[test]
fn what_an_earlier_round_of_a_loop_computed_is_not_what_this_one_did() {
    // xor %eax,%eax; 1: mov %rax,%rcx; mov (%rdi),%rax; test %rax,%rax; jne 1b; ret
    let function = analyse("31 c0 48 89 c1 48 8b 07 48 85 c0 75 f5 c3").unwrap();
    let end = function.state_before(AT + 13).unwrap();
    assert_eq!(end.register(RAX), Origin::Defined { at: AT + 5, register: RAX });
    assert_ne!(end.register(RCX), end.register(RAX));
    assert!(function.reaches(AT + 5, AT + 2, AT + 5));
    assert!(!function.reaches(AT + 13, AT + 2, AT + 5));
}

#[test]
fn the_cold_part_belongs_to_its_function() {
    // push %rbx; mov %rdi,%rbx; test %rsi,%rsi; je cold; 1: pop %rbx; ret; cold: ud2; jmp 1b
    let code = bytes("53 48 89 fb 48 85 f6 74 02 5b c3 0f 0b eb fa");
    let function =
        Function::analyse(&Fake { bytes: code, cold: 4, ..Fake::default() }, AT).unwrap();
    let trap = function.state_before(AT + 11).unwrap();
    assert_eq!(holder(&trap, RDI), Some(Holder::Register(RBX)));
}

#[test]
fn jumps_that_are_computed_end_the_analysis() {
    // jmp *table(,%rdi,8)
    assert!(analyse("ff 24 fd 00 00 00 82 c3").is_none());
    // push %rbx; jmp *%rax
    assert!(analyse("53 ff e0").is_none());
    // mov 0x8(%rdi),%rax; jmp *%rax: a call at the end.
    assert!(analyse("48 8b 47 08 ff e0").is_some());
    // movslq (%rdx,%rdi,4),%rax; add %rdx,%rax; jmp *%rax
    assert!(analyse("48 63 04 ba 48 01 d0 ff e0").is_none());
}

#[test]
fn a_fault_that_is_fixed_up_brings_its_own_values() {
    // xor %eax,%eax; mov (%rdi),%edx; 1: ret; fixup: jmp 1b
    let code = bytes("31 c0 8b 17 c3 eb fd");
    let fixups = vec![Fixup { at: AT + 2, to: AT + 5, register: RAX }];
    let function = Function::analyse(&Fake { bytes: code, cold: 0, fixups }, AT).unwrap();
    let end = function.state_before(AT + 4).unwrap();
    assert!(!matches!(end.register(RAX), Origin::Constant(0)));
    assert_eq!(end.register(RSI), entry(RSI));
}

#[test]
fn a_missing_end_hurts_only_if_it_is_reached() {
    assert!(analyse("48 89 f8 c3").is_some());
    assert!(analyse("48 89 f8 e9 10").is_none());
    assert!(analyse("").is_none());
}

#[test]
fn any_bytes_are_safe() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..3000 {
        let mut code = Vec::new();
        for _ in 0..24 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            code.extend_from_slice(&(seed >> 33).to_le_bytes()[..4]);
        }
        let _ = Function::analyse(&Fake { bytes: code, ..Fake::default() }, AT);
    }
}
