//! ARM and RISC-V in objdump's form.

use necropsy_disasm::{Arch, Flow, decode, decode_all};

const AT: u64 = 0xffff_8000_8000_0000;

fn line(arch: Arch, word: u32, len: usize) -> String {
    let Some(decoded) = decode(arch, &word.to_le_bytes()[..len], AT) else {
        return "none".into();
    };
    decoded.text(&|_| None)
}

#[test]
fn arm64() {
    for (word, text) in [
        (0xd65f03c0, "ret"),
        (0xa9bf7bfd, "stp\tx29, x30, [sp, #-16]!"),
        (0x94000002, "bl\tffff800080000008"),
        (0x17ffffff, "b\tffff80007ffffffc"),
        (0x54000042, "b.cs\tffff800080000008"),
        (0x54000043, "b.cc\tffff800080000008"),
        (0xb4000040, "cbz\tx0, ffff800080000008"),
        (0xd4210000, "brk\t#0x800"),
        (0xf9400000, "ldr\tx0, [x0]"),
        (0x90000000, "adrp\tx0, ffff800080000000"),
        (0xd503201f, "nop"),
        (0xa8c17bfd, "ldp\tx29, x30, [sp], #16"),
        (0x910083ff, "add\tsp, sp, #0x20"),
        (0x36180040, "tbz\tw0, #3, ffff800080000008"),
        (0xd5384100, "mrs\tx0, sp_el0"),
        (0xd37df000, "lsl\tx0, x0, #3"),
    ] {
        assert_eq!(line(Arch::Aarch64, word, 4), text, "{word:#x}");
    }
    let call = decode(Arch::Aarch64, &0x94000002u32.to_le_bytes(), AT).unwrap();
    assert_eq!((call.flow, call.target), (Flow::Call, Some(AT + 8)));
    assert_eq!(call.text(&|_| Some("f+0x8".into())), "bl\tffff800080000008 <f+0x8>");
}

#[test]
fn arm32() {
    for (word, text) in [
        (0xe12fff1e, "bx\tlr"),
        (0xe5910000, "ldr\tr0, [r1]"),
        (0xeb000000, "bl\t80000008"),
        (0xe24dd010, "sub\tsp, sp, #16"),
        (0xe59f0004, "ldr\tr0, [pc, #4]"),
        (0xeafffffe, "b\t80000000"),
    ] {
        assert_eq!(line(Arch::Arm, word, 4), text, "{word:#x}");
    }
    assert_eq!(line(Arch::Thumb, 0x4770, 2), "bx\tlr");
    for (word, length, text) in [
        (0xe7fe, 2, "b.n\t80000000"),
        (0xd0fe, 2, "beq.n\t80000000"),
        (0xb100, 2, "cbz\tr0, 80000004"),
        (0xf802_f000, 4, "bl\t80000008"),
    ] {
        assert_eq!(line(Arch::Thumb, word, length), text, "{word:#x}");
    }
    // Two registers from the last one on.
    assert_eq!(line(Arch::Arm, 0x808a_fafa, 4), "none");
}

#[test]
fn riscv64() {
    assert_eq!(line(Arch::Riscv64, 0x8082, 2), "ret");
    assert_eq!(line(Arch::Riscv64, 0x00100513, 4), "li\ta0,1");
    assert_eq!(line(Arch::Riscv64, 0x00053503, 4), "ld\ta0,0(a0)");
    assert_eq!(line(Arch::Riscv64, 0x008000ef, 4), "jal\tffff800080000008");
    let jump = decode(Arch::Riscv64, &0x008000efu32.to_le_bytes(), AT).unwrap();
    assert_eq!((jump.flow, jump.target), (Flow::Call, Some(AT + 8)));
}

#[test]
fn no_bytes_panic_or_stall() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::new();
    for _ in 0..50_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    for arch in [Arch::X86_64, Arch::I386, Arch::Aarch64, Arch::Arm, Arch::Thumb, Arch::Riscv64] {
        let all = decode_all(arch, &bytes, AT);
        assert_eq!(all.iter().map(|i| i.len()).sum::<usize>(), bytes.len(), "{arch:?}");
        for length in 0..20 {
            let _ = decode(arch, &bytes[..length], AT);
        }
    }
}
