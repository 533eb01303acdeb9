//! Which architecture a text is of: told by names that only one has.
//!
//! Many registers go by the same name on several (`sp`, `ra`, `epc`, `status`): those tell
//! nothing. What stands here is printed by one architecture alone (`show_regs` and
//! `die` of each, `arch/*/kernel`).

use std::sync::LazyLock;

use necropsy_lexicon::Arch;
use regex::RegexSet;

use crate::naming::pattern::expand;

/// An architecture and what only its kernel prints.
const SIGNS: &[(Arch, &str)] = &[
    (
        Arch::X86_64,
        r"\bRIP: (?:[0-9a-f]{4}:|\[<|[0-9a-f]{16})|\bR(?:AX|BX|CX|DX|SP): (?:[0-9a-f]{4}:)?[0-9a-f]{8}|\bORIG_RAX: ",
    ),
    (
        Arch::X86_64,
        r"\bR(?:0?8|0?9|1[0-5]): [0-9a-f]{16}\b|^ *\? ?(?:__x64_sys_|asm_exc_)|\b(?:entry_SYSCALL_64|__x64_sys_[a-z])",
    ),
    (
        Arch::I386,
        r"\bEIP: |\bEIP is at |\bE(?:AX|BX|CX|DX|SI|DI): [0-9a-f]{8}\b|SS:ESP |\*pde = |\bentry_INT80_32\b",
    ),
    (
        Arch::Aarch64,
        r"\bpstate ?: |\bx(?:[0-9]|[12][0-9]) ?: ?[0-9a-f]{16}\b|Mem abort info|Data abort info|\bESR = 0x|\bESR_EL1",
    ),
    (
        Arch::Aarch64,
        r"Internal error: .*: (?:0{8})?[0-9a-f]{8} \[#|SError Interrupt on CPU|\bel[01]t?h?_(?:64_)?(?:sync|irq|fiq|error|svc|da|ia|dbg|undef)|\bel0_svc|-bit VAs, ",
    ),
    (
        Arch::Arm,
        r"\bpsr ?: ?[0-9a-f]{8}\b|\br(?:10|[0-9]) ?: ?[0-9a-f]{8}\b.*\br[0-9] ?: ?[0-9a-f]{8}\b|^\[[0-9a-f]{8}\] \*pgd=|Flags: [nN][zZ][cC][vV]",
    ),
    (
        Arch::Arm,
        r"\) from \[<[0-9a-f]{8}>\]|^ [a-z_0-9.]+ from [a-z_0-9.]+\+0x|\] (?:PREEMPT )?(?:SMP )?(?:ARM|THUMB2)$|\bret_fast_syscall\b|__(?:irq|dabt|und|pabt)_svc\b|\bDACR: |Exception stack\(0x[0-9a-f]{8} to",
    ),
    (
        Arch::Riscv64,
        r"\bepc ?: ?[0-9a-f]{8,16} +ra ?: |\bbadaddr: |^ *epc : [a-zA-Z_.]|\bgp ?: ?[0-9a-f]{8,16} +tp ?: |\bs1[01] ?: ?[0-9a-f]{8,16}\b|\bstval: |riscv-virtio",
    ),
    (
        Arch::Mips,
        r"^\$ ?[0-9]+ +: |^epc +: [0-9a-f]{8,16} |, epc == [0-9a-f]|\bBadVA +: |\bExcCode\b|^PrId +: |\btls=[0-9a-f]{8,16}\)",
    ),
    (
        Arch::Ppc64,
        r"\bNIP[: ] ?[\[ ]|\bGPR[0-9]{2}: [0-9a-f]{8,16} [0-9a-f]|\bDSISR: |\bXER: |Instruction dump:|Faulting instruction address:|, sig: [0-9]+ \[#|^REGS: |: Vector: [0-9a-f]+ \(|^ +dsisr: [0-9a-f]|^  paca    = 0x",
    ),
    (
        Arch::S390x,
        r"Krnl (?:PSW|GPRS|Code)|User PSW|\bilc:[0-9]|Last Breaking-Event-Address|\bTEID: ",
    ),
    (
        Arch::Loongarch64,
        r"\bERA ?: |\bCRMD ?: |\bESTAT ?: |, era == |\bBADV ?: |\bpc [0-9a-f]{16} ra [0-9a-f]{16} tp ",
    ),
    (
        Arch::Sparc64,
        r"\bTSTATE: |\bTPC[:<]|\bg[0-7]: [0-9a-f]{16}\b|\bl[0-7]: [0-9a-f]{16}\b|^I7: <|\\\|/ ____ \\\|/",
    ),
    (Arch::Sparc, r"\bPSR: [0-9a-f]{8} PC: |^%[GOLI]: [0-9a-f]{8}"),
    (
        Arch::Openrisc,
        r"\bCPU #: [0-9]|\bGPR[0-9]{2}: [0-9a-f]{8} GPR[0-9]{2}: |oGPR11: |\bPC: [0-9a-f]{8} +SR: [0-9a-f]{8} +SP: ",
    ),
    (Arch::Alpha, r"\bpc = \[<[0-9a-f]{16}>\] +ra = |\bv0 = [0-9a-f]{16}"),
    (Arch::Ia64, r"\bpsr : [0-9a-f]{16} ifs : |\bip is at |\bb0  : [0-9a-f]{16} b6  : "),
    (Arch::Parisc, r"\bIASQ: |\bIAOQ|\bIIR: [0-9a-f]{8}|^r[0-9]{2}-[0-9]{2} "),
    (Arch::M68k, r"\bSR: [0-9a-f]{4} +SP: |^d0: [0-9a-f]{8} +d1: "),
    (Arch::Sh, r"\bPR is at |^PC +: [0-9a-f]{8} SP +: |^MACH: "),
    (Arch::Xtensa, r"\bdepc: [0-9a-f]{8}, excvaddr|^a0?0: [0-9a-f]{8} "),
    (Arch::Microblaze, r"Registers dump: mode=|^ r1=[0-9A-F]{8}, r2="),
    (Arch::Arc, r"\[ECR   \]:|\bBLINK: |\bECR: 0x|\bEFA: 0x"),
    (Arch::Csky, r"^\[0x[0-9a-f]+\] epc:|^EPC: "),
];

/// What tells the architecture where no register does: what distributions append to a release,
/// where a file lies, the entry code's names, and how a trace is written.
const LESSER_SIGNS: &[(Arch, &str)] = &[
    (
        Arch::X86_64,
        r"\b[2-9]\.[0-9]+[^ ]*[._-](?:x86_64|amd64)\b|\barch/x86/[a-z/]*_64\.[cS]:|\b(?:do_syscall_64|system_call_fastpath|x86_64_start_[a-z]+|sysret_check|tracesys|ret_from_fork_asm|asm_sysvec_[a-z_]+|asm_common_interrupt|return_from_SYSCALL_64|stub_clone)\+0x",
    ),
    // only x86 marks what its unwinder doubts, and its stacks
    (
        Arch::X86_64,
        r"^ *\[<ffffffff[89a-c][0-9a-f]{7}>\] \? |^ *(?:<[A-Z]+> *)?\[<ffffffff[89a-c][0-9a-f]{7}>\] (?:apic_timer_interrupt|kernel_thread_helper|call_softirq|page_fault|general_protection|common_interrupt|ret_from_intr|do_IRQ)\+0x|^ *<(?:IRQ|EOI|NMI|TASK)> +\[<ffffffff",
    ),
    (
        Arch::I386,
        r"\b[2-9]\.[0-9]+[^ ]*[._-]i[3-6]86\b|\b(?:sysenter_do_call|syscall_call|do_fast_syscall_32|entry_SYSENTER_32|do_int80_syscall_32|sysenter_past_esp|i386_start_kernel)\+0x|^ *\[<[cdf][0-9a-f]{7}>\] \? ",
    ),
    (
        Arch::Aarch64,
        r"\b[2-9]\.[0-9]+[^ ]*[._-](?:aarch64|arm64)\b|\barch/arm64/|^ *\[<(?:ffff0000|ffffffc0|ffffff80)[0-9a-f]{8}>\] [a-z_]|\b(?:el0_svc_naked|__sys_trace_return|el1_irq|el0_irq_naked|__primary_switched|el0_sync_handler)\+0x",
    ),
    (
        Arch::Arm,
        r"\b[2-9]\.[0-9]+[^ ]*[._-](?:armv[5-8][a-z]*|armhf|armmp|kirkwood)\b|\barch/arm/|\bkernel_thread_exit\+0x",
    ),
    (
        Arch::Ppc64,
        r"\b[2-9]\.[0-9]+[^ ]*[._-](?:ppc64(?:le)?|powerpc64(?:le)?)\b|\barch/powerpc/|^\[c[0-9a-f]{7,15}\] \[c[0-9a-f]{7,15}\] ",
    ),
    (
        Arch::S390x,
        r"\b[2-9]\.[0-9]+[^ ]*[._-]s390x\b|\barch/s390/|\b(?:sysc_tracego|sysc_nr_ok|sysc_noemu|sysc_do_svc|system_call_entry)\+0x",
    ),
    (
        Arch::Riscv64,
        r"\b[2-9]\.[0-9]+[^ ]*[._-]riscv64\b|\barch/riscv/|\b(?:ret_from_syscall|do_trap_ecall_u)\+0x",
    ),
    (
        Arch::Mips,
        r"\b[2-9]\.[0-9]+[^ ]*[._-](?:mips64(?:el)?|mips(?:el)?|octeon|loongson-[23])\b|\barch/mips/|-Octeon\b|^Stack : [0-9a-f]{8} [0-9a-f]{8} |\bhandle_(?:int|ri_int|tlbl)\+0x",
    ),
    (Arch::Loongarch64, r"\b[2-9]\.[0-9]+[^ ]*[._-](?:loongarch64|loong64)\b|\barch/loongarch/"),
    (Arch::Sparc64, r"\b[2-9]\.[0-9]+[^ ]*[._-]sparc64\b|\barch/sparc/"),
];

static SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(SIGNS.iter().map(|(_, sign)| expand(sign))).ok());
static LESSER_SET: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(LESSER_SIGNS.iter().map(|(_, sign)| expand(sign))).ok());

/// The architecture that most lines tell of. User space's registers count as the kernel's do:
/// both run on one machine.
pub(super) fn of(lines: &[&str]) -> Option<Arch> {
    most(SIGNS, SET.as_ref()?, lines).or_else(|| most(LESSER_SIGNS, LESSER_SET.as_ref()?, lines))
}

fn most(signs: &[(Arch, &str)], set: &RegexSet, lines: &[&str]) -> Option<Arch> {
    let mut votes = vec![0u32; signs.len()];
    for line in lines {
        for sign in set.matches(line) {
            votes[sign] += 1;
        }
    }
    let count = |arch: Arch| -> u32 {
        signs.iter().zip(&votes).filter(|((of, _), _)| *of == arch).map(|(_, votes)| votes).sum()
    };
    let mut best: Option<(Arch, u32)> = None;
    for (arch, _) in signs {
        let votes = count(*arch);
        if votes > best.map_or(0, |(_, most)| most) {
            best = Some((*arch, votes));
        }
    }
    best.map(|(arch, _)| arch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_compile() {
        assert!(SET.is_some() && LESSER_SET.is_some());
    }

    #[test]
    fn by_names_that_only_one_has() {
        for (line, arch) in [
            ("epc : ffffffff8007dbb0 ra : ffffffff80ed8120 sp : ff2000000013bed0", Arch::Riscv64),
            ("x29: ffff80000a5bbd10 x28: ffff00009ac7d700", Arch::Aarch64),
            (
                "sp : e8a59dd8  ip : 2d2f9000  fp : 00000000\nr3 : ee1a44a0  r2 : 00000009",
                Arch::Arm,
            ),
            ("$ 0   : 00000000 00000015 00000000 825b0830", Arch::Mips),
            (
                "pc 9000000000222f5c ra 9000000000222f50 tp 9000000100450000 sp 9000000100453c60",
                Arch::Loongarch64,
            ),
            ("GPR00: 00000000 GPR01: c1a5bf14 GPR02: c1a5bf70 GPR03: 00000000", Arch::Openrisc),
            (
                "GPR00: c000000000151318 c000003fe35b7050 c0000000016eb000 c000003fefa58580",
                Arch::Ppc64,
            ),
            (
                "TSTATE: 0000004411001603 TPC: 00000000004a3f2c TNPC: 00000000004a3f30 Y: 00000000",
                Arch::Sparc64,
            ),
            ("Krnl PSW : 0704d00180000000 00000000009e59e4 (f+0x464/0x5d0)", Arch::S390x),
            ("EAX: 00000000 EBX: c0000000 ECX: 00000001 EDX: 00000000", Arch::I386),
            ("RAX: 0000000000000000 RBX: ffffad8549157b40 RCX: 0000000002888000", Arch::X86_64),
        ] {
            assert_eq!(of(&line.lines().collect::<Vec<_>>()), Some(arch), "{line}");
        }
        assert_eq!(of(&["sp : 12345678", "ra : 12345678", "just words"]), None);
        for (line, arch) in [
            ("CPU: 1 PID: 42 Comm: kswapd0 Not tainted 3.10.4-100.fc18.x86_64 #1", Arch::X86_64),
            ("Pid: 5, comm: x Not tainted 3.0.0-3.fc16.i686.PAE #1", Arch::I386),
            (" [<ffffffff8119fdc2>] ? drop_super+0x22/0x30", Arch::X86_64),
            (" [<c05fcc7a>] ? check_unmap+0x9c/0x67f", Arch::I386),
            ("[<ffff000008089bd0>] dump_backtrace+0x0/0x1b8", Arch::Aarch64),
            ("WARNING: at arch/powerpc/platforms/pseries/eeh.c:390", Arch::Ppc64),
        ] {
            assert_eq!(of(&[line]), Some(arch), "{line}");
        }
    }
}
