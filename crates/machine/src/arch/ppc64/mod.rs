//! 64-bit Power, of either byte order.

mod layout;
mod unwind;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, PrStatus, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg, reg::ppc64::*};

use super::{Abi, Architecture, words};
use crate::{
    Target,
    layout::{Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Step},
    target::Fact,
};

/// 64-bit Power.
#[derive(Debug)]
pub struct Ppc64;

/// The general registers by their numbers.
const GENERAL: [Reg; 32] = [
    R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13, R14, R15, R16, R17, R18, R19, R20,
    R21, R22, R23, R24, R25, R26, R27, R28, R29, R30, R31,
];

/// What follows them in `struct pt_regs` (arch/powerpc/include/uapi/asm/ptrace.h).
const SPECIAL: [Reg; 12] = [NIP, MSR, ORIG_R3, CTR, LR, XER, CCR, SOFTE, TRAP, DAR, DSISR, RESULT];

/// MSR.PR: problem state, a process.
const PROBLEM_STATE: u64 = 1 << 14;

/// The calling convention (OpenPOWER ELF V2 ABI).
pub static ABI: Abi = Abi {
    arch: Arch::Ppc64,
    program_counter: NIP,
    stack_pointer: R1,
    frame_pointer: R1,
    result: R3,
    arguments: &[R3, R4, R5, R6, R7, R8, R9, R10],
    system_call_arguments: &[ORIG_R3, R4, R5, R6, R7, R8],
    preserved: &[
        R2, R14, R15, R16, R17, R18, R19, R20, R21, R22, R23, R24, R25, R26, R27, R28, R29, R30,
        R31,
    ],
    general: &GENERAL,
    system_call: R0,
    per_cpu_base: Some(R13),
    link: Some((LR, 65)),
    pushed: 0,
    save_area: 32,
    longest_instruction: 8,
    direct_call: 4,
    tracer_offset: 16,
    tracers: &["ftrace_caller", "ftrace_regs_caller", "ftrace_stub", "_mcount"],
    interrupt_entries: &["hardware_interrupt", "decrementer", "doorbell", "performance_monitor"],
    fixup_changes: &[],
    dwarf: &GENERAL,
    flags: MSR,
    listing: &[
        &[("NIP", NIP, 16), ("MSR", MSR, 16), (" LR", LR, 16)],
        &[(" R0", R0, 16), (" R1", R1, 16), (" R2", R2, 16)],
        &[(" R3", R3, 16), (" R4", R4, 16), (" R5", R5, 16)],
        &[(" R6", R6, 16), (" R7", R7, 16), (" R8", R8, 16)],
        &[(" R9", R9, 16), ("R10", R10, 16), ("R11", R11, 16)],
        &[("R12", R12, 16), ("R13", R13, 16), ("R14", R14, 16)],
        &[("R15", R15, 16), ("R16", R16, 16), ("R17", R17, 16)],
        &[("R18", R18, 16), ("R19", R19, 16), ("R20", R20, 16)],
        &[("R21", R21, 16), ("R22", R22, 16), ("R23", R23, 16)],
        &[("R24", R24, 16), ("R25", R25, 16), ("R26", R26, 16)],
        &[("R27", R27, 16), ("R28", R28, 16), ("R29", R29, 16)],
        &[("R30", R30, 16), ("R31", R31, 16)],
        &[("OR3", ORIG_R3, 16), ("CTR", CTR, 16), ("XER", XER, 16)],
        &[("CCR", CCR, 16), ("TRAP", TRAP, 4), ("RES", RESULT, 16)],
        &[("DAR", DAR, 16), ("DSISR", DSISR, 16), ("SOFTE", SOFTE, 1)],
    ],
};

impl Architecture for Ppc64 {
    fn abi(&self) -> &'static Abi {
        &ABI
    }

    fn isa(&self, big_endian: bool) -> Isa {
        if big_endian { Isa::Ppc64 } else { Isa::Ppc64le }
    }

    fn big_endian(&self, dump: &Dump, info: Option<&VmCoreInfo>) -> bool {
        layout::big_endian(dump, info)
    }

    fn paging(&self) -> PagingFormat {
        layout::radix(12)
    }

    fn find_layout(
        &self,
        dump: &Dump,
        info: Option<&VmCoreInfo>,
        overrides: &Overrides,
        facts: &mut Vec<Fact>,
    ) -> Result<Layout, String> {
        layout::find(dump, info, overrides, facts)
    }

    fn set_bases(&self, layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
        layout::set_bases(layout, target, facts);
    }

    fn kernel_start(&self) -> u64 {
        layout::KERNEL
    }

    fn address_class(&self, layout: Option<&Layout>, address: u64) -> AddressClass {
        layout::address_class(layout, address)
    }

    fn saved_size(&self) -> usize {
        (GENERAL.len() + SPECIAL.len()) * 8
    }

    fn saved_regs(&self, bytes: &[u8], big_endian: bool) -> Option<Regs> {
        let mut regs = words::registers(bytes, &GENERAL, 8, big_endian)?;
        let rest = words::registers(bytes.get(GENERAL.len() * 8..)?, &SPECIAL, 8, big_endian)?;
        rest.iter().for_each(|(reg, value)| regs.set(reg, value));
        Some(regs)
    }

    fn note_regs(&self, note: &PrStatus) -> Option<Regs> {
        let mut regs = words::of_note(&ABI, note).unwrap_or_default();
        // The note calls some of them otherwise.
        for (reg, name) in [(NIP, "pc"), (ORIG_R3, "or3"), (RESULT, "res")] {
            regs.put(reg, note.reg(name));
        }
        regs.get(NIP).is_some().then_some(regs)
    }

    fn user_mode(&self, regs: &Regs) -> bool {
        regs.get(MSR).is_some_and(|msr| msr & PROBLEM_STATE != 0)
    }

    fn interrupts_off(&self, regs: &Regs) -> Option<bool> {
        // The kernel turns them off in its own variable (IRQS_DISABLED); MSR.EE follows late.
        let soft = regs.get(SOFTE).is_some_and(|softe| softe & 1 != 0);
        regs.get(MSR).map(|msr| msr & 1 << 15 == 0 || soft)
    }

    fn failed_access(&self, regs: &Regs) -> Option<(Reg, bool)> {
        // Data storage and data segment interrupts; DSISR_ISSTORE (Power ISA, book III 7.5.3).
        let vector = regs.get(TRAP)? & !0xf;
        let write = regs.get(DSISR)? & 0x0200_0000 != 0;
        matches!(vector, 0x300 | 0x380).then_some((DAR, write))
    }

    fn saved_by_exception(&self, target: &Target, regs: &Regs) -> bool {
        unwind::plausible(target, regs)
    }

    fn step(&self, target: &Target, frame: &Frame) -> Step {
        unwind::step(target, frame)
    }

    fn direct_call(&self, target: &Target, pc: u64) -> Option<u64> {
        unwind::direct_call(target, pc)
    }

    fn follows_call(&self, target: &Target, pc: u64) -> bool {
        unwind::follows_call(target, pc)
    }

    fn fixup_register(&self, data: u32) -> Reg {
        GENERAL[(data & 31) as usize]
    }
}
