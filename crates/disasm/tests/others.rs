//! ARM, RISC-V, Power and IBM Z in objdump's form.

use necropsy_disasm::{Flow, Isa, decode, decode_all};

const AT: u64 = 0xffff_8000_8000_0000;

fn line(arch: Isa, word: u32, len: usize) -> String {
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
        (0xd5034fdf, "msr\tdaifset, #0xf"),
        (0xd503415f, "msr\tdit, #0x1"),
        (0xd5182116, "msr\tapiakeylo_el1, x22"),
        (0xd5385636, "mrs\tx22, tfsre0_el1"),
        (0xd518fef6, "msr\ts3_0_c15_c14_7, x22"),
        (0xd5130500, "msr\tdbgdtrtx_el0, x0"),
        (0xd5330500, "mrs\tx0, dbgdtrrx_el0"),
        (0x85be0000, "ldr\tp0, [x0, #-16, mul vl]"),
        (0xe5bb5800, "str\tz0, [x0, #-34, mul vl]"),
        (0x2518e401, "pfalse\tp1.b"),
        (0x04bf5020, "rdvl\tx0, #1"),
        (0xd2c00002, "movz\tx2, #0x0, lsl #32"),
        (0xd50320df, "hint\t#0x6"),
        (0xd50c8021, "tlbi\tipas2e1is, x1"),
        (0xd5087942, "sys\t#0, C7, C9, #2, x2"),
        (0xd5031015, "wfet\tx21"),
    ] {
        assert_eq!(line(Isa::Aarch64, word, 4), text, "{word:#x}");
    }
    let call = decode(Isa::Aarch64, &0x94000002u32.to_le_bytes(), AT).unwrap();
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
        assert_eq!(line(Isa::Arm, word, 4), text, "{word:#x}");
    }
    assert_eq!(line(Isa::Thumb, 0x4770, 2), "bx\tlr");
    for (word, length, text) in [
        (0xe7fe, 2, "b.n\t80000000"),
        (0xd0fe, 2, "beq.n\t80000000"),
        (0xb100, 2, "cbz\tr0, 80000004"),
        (0xf802_f000, 4, "bl\t80000008"),
    ] {
        assert_eq!(line(Isa::Thumb, word, length), text, "{word:#x}");
    }
    // Two registers from the last one on.
    assert_eq!(line(Isa::Arm, 0x808a_fafa, 4), "none");
}

#[test]
fn riscv64() {
    assert_eq!(line(Isa::Riscv64, 0x8082, 2), "ret");
    assert_eq!(line(Isa::Riscv64, 0x00100513, 4), "li\ta0,1");
    assert_eq!(line(Isa::Riscv64, 0x00053503, 4), "ld\ta0,0(a0)");
    assert_eq!(line(Isa::Riscv64, 0x008000ef, 4), "jal\tffff800080000008");
    let jump = decode(Isa::Riscv64, &0x008000efu32.to_le_bytes(), AT).unwrap();
    assert_eq!((jump.flow, jump.target), (Flow::Call, Some(AT + 8)));
}

#[test]
fn power() {
    for (word, text) in [
        (0x7c9b2379, "mr.\tr27,r4"),
        (0x4c400420, "bcctr\t2,lt"),
        (0x7c0004ac, "hwsync"),
        (0x7c2004ac, "lwsync"),
        (0x7db04aa6, "mfhsprg0\tr13"),
        (0x7db04ba6, "mthsprg0\tr13"),
        (0x7db142a6, "mfsprg\tr13,1"),
        (0x7908a302, "srdi\tr8,r8,12"),
        (0x782106e4, "clrrdi\tr1,r1,4"),
        (0x57ff0038, "clrrwi\tr31,r31,3"),
        (0x7d2948f8, "not\tr9,r9"),
        (0x7c40003c, "pause_short"),
        (0x7c4ff120, "mtcr\tr2"),
        (0x429f0005, "bcl\t20,4*cr7+so,ffff800080000004"),
        (0x7d4b4a24, "tlbiel\tr9,r10,2,1,1"),
        (0x7cc003e4, "slbia\t6"),
        (0x4c0000a4, "rfscv"),
        (0x4c461382, "cror\teq,4*cr1+eq,eq"),
        (0x01006b69, ".long\t0x1006b69"),
    ] {
        let all = decode_all(Isa::Ppc64le, &u32::to_le_bytes(word), AT);
        assert_eq!(all[0].text(&|_| None), text, "{word:#x}");
    }
}

#[test]
fn ibm_z() {
    for (bytes, text) in [
        (&[0x07, 0x07][..], "nopr\t%r7"),
        (&[0xc0, 0x04, 0, 0, 0, 0], "jgnop\t3ff80000000"),
        (&[0xec, 0x2b, 0x3f, 0xbf, 0, 0x55], "risbgz\t%r2,%r11,63,63,0"),
        (&[0xec, 0xa6, 0, 0x75, 0, 0x7e], "cijne\t%r10,0,3ff800000ea"),
        (&[0xec, 0x1c, 0, 0x4b, 9, 0x7e], "cijnh\t%r1,9,3ff80000096"),
        (&[0x47, 0, 0, 0], "nop\t0"),
        (&[0xe7, 0x8f, 0x10, 0, 0x3c, 0x36], "vlm\t%v24,%v31,0(%r1),3"),
    ] {
        let decoded = decode(Isa::S390x, bytes, 0x3ff_8000_0000).expect("an instruction");
        assert_eq!(decoded.text(&|_| None), text, "{bytes:x?}");
    }
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
    for arch in [Isa::X86_64, Isa::I386, Isa::Aarch64, Isa::Arm, Isa::Thumb, Isa::Riscv64] {
        let all = decode_all(arch, &bytes, AT);
        assert_eq!(all.iter().map(|i| i.len()).sum::<usize>(), bytes.len(), "{arch:?}");
        for length in 0..20 {
            let _ = decode(arch, &bytes[..length], AT);
        }
    }
}
