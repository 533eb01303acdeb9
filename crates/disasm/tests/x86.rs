//! x86 against lines that GNU objdump 2.40 printed.

use necropsy_disasm::{
    Flow, Isa, decode, decode_all, effective_address, memory_operands, registers_used,
};
use necropsy_lexicon::{
    Reg,
    reg::x86_64::{GS_BASE, RAX, RBX, RCX},
};

fn bytes(hex: &str) -> Vec<u8> {
    hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn text(arch: Isa, hex: &str) -> String {
    decode(arch, &bytes(hex), 0xffff_ffff_8100_0000).unwrap().text(&|_| None)
}

#[test]
fn prints_what_objdump_prints() {
    for (hex, line) in [
        ("48 89 44 24 18", "mov    %rax,0x18(%rsp)"),
        ("66 66 2e 0f 1f 84 00 00 00 00 00", "data16 cs nopw 0x0(%rax,%rax,1)"),
        ("0f 1f 00", "nopl   (%rax)"),
        ("66 90", "xchg   %ax,%ax"),
        ("f3 90", "pause"),
        ("f3 48 ab", "rep stos %rax,%es:(%rdi)"),
        ("f3 48 a5", "rep movsq %ds:(%rsi),%es:(%rdi)"),
        ("f0 48 0f b1 0f", "lock cmpxchg %rcx,(%rdi)"),
        ("49 d1 ec", "shr    %r12"),
        ("4d 69 e4 60 10 00 00", "imul   $0x1060,%r12,%r12"),
        ("ff 73 70", "push   0x70(%rbx)"),
        ("2e e8 68 34 ca 00", "cs call ffffffff81ca346e"),
        ("c3", "ret"),
        ("cb", "lret"),
        ("ff 68 24", "ljmp   *0x24(%rax)"),
        ("ee", "out    %al,(%dx)"),
        ("0f 21 d0", "mov    %db2,%rax"),
        ("0f 01 c9", "mwait  %eax,%ecx"),
        ("0f 0b", "ud2"),
        ("48 8b 04 c5 00 00 00 82", "mov    -0x7e000000(,%rax,8),%rax"),
        ("65 48 8b 04 25 28 00 00 00", "mov    %gs:0x28,%rax"),
    ] {
        assert_eq!(text(Isa::X86_64, hex), line, "{hex}");
    }
}

#[test]
fn names_targets_and_ip_relative_operands() {
    let symbolize = |address: u64| Some(format!("sym+{:#x}", address & 0xfff));
    let call = decode(Isa::X86_64, &bytes("e8 10 00 00 00"), 0xffff_ffff_8100_0000).unwrap();
    assert_eq!(call.text(&symbolize), "call   ffffffff81000015 <sym+0x15>");
    assert_eq!((call.target, call.flow), (Some(0xffff_ffff_8100_0015), Flow::Call));
    let lea = decode(Isa::X86_64, &bytes("48 8d 3d 02 f0 54 01"), 0xffff_ffff_8100_0057).unwrap();
    assert_eq!(
        lea.text(&symbolize),
        "lea    0x154f002(%rip),%rdi        # ffffffff8254f060 <sym+0x60>"
    );
    assert_eq!(lea.rip_memory, Some(0xffff_ffff_8254_f060));
}

#[test]
fn goes_on_behind_what_is_no_instruction() {
    let all = decode_all(Isa::X86_64, &[0x06, 0x90, 0xe8, 0x00], 0x1000);
    let lines: Vec<String> = all.iter().map(|i| i.text(&|_| None)).collect();
    assert_eq!(lines[..2], ["(bad)", "nop"]);
    assert_eq!(all.iter().map(|i| i.len()).sum::<usize>(), 4);
    assert!(!all[0].valid && all[1].valid);
}

#[test]
fn a_write_to_null_is_a_write_to_null() {
    let mut regs = |reg: Reg| match reg {
        RAX => Some(0),
        GS_BASE => Some(0xffff_8880_0000_0000),
        _ => None,
    };
    let write = memory_operands(Isa::X86_64, &bytes("48 c7 00 3f 00 00 00"), 0);
    assert_eq!(write.len(), 1);
    assert!(write[0].write && !write[0].read);
    assert_eq!((write[0].base, write[0].size_bytes), (Some(RAX), 8));
    assert_eq!(effective_address(&write[0], &mut regs), Some(0));

    let per_cpu = memory_operands(Isa::X86_64, &bytes("65 48 8b 04 25 28 00 00 00"), 0);
    assert_eq!(effective_address(&per_cpu[0], &mut regs), Some(0xffff_8880_0000_0028));

    let unknown = memory_operands(Isa::X86_64, &bytes("48 8b 03"), 0);
    assert_eq!(effective_address(&unknown[0], &mut regs), None);
    assert!(memory_operands(Isa::X86_64, &bytes("48 8d 40 08"), 0).is_empty());
}

#[test]
fn lists_the_registers_by_their_full_names() {
    let (read, written) = registers_used(Isa::X86_64, &bytes("8b 44 8b 08"), 0);
    assert_eq!(read, [RBX, RCX]);
    assert_eq!(written, [RAX]);
}
