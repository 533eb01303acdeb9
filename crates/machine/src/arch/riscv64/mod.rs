//! 64-bit RISC-V.

mod layout;
mod unwind;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg, reg::riscv64::*};

use super::{Abi, Architecture, words};
use crate::{
    Target,
    layout::{Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Step},
    target::Fact,
};

/// 64-bit RISC-V.
#[derive(Debug)]
pub struct Riscv64;

/// The general registers by their numbers.
const GENERAL: [Reg; 32] = [
    ZERO, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5, A6, A7, S2, S3, S4, S5, S6,
    S7, S8, S9, S10, S11, T3, T4, T5, T6,
];

/// `struct pt_regs` (arch/riscv/include/asm/ptrace.h): the program counter where `zero` would be.
const PT_REGS: [Reg; 36] = [
    PC, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5, A6, A7, S2, S3, S4, S5, S6, S7,
    S8, S9, S10, S11, T3, T4, T5, T6, STATUS, BADADDR, CAUSE, ORIG_A0,
];

/// SSTATUS.SPP: the trap came from the kernel.
const FROM_KERNEL: u64 = 1 << 8;

/// The calling convention (RISC-V ELF psABI).
pub static ABI: Abi = Abi {
    arch: Arch::Riscv64,
    program_counter: PC,
    stack_pointer: SP,
    frame_pointer: S0,
    result: A0,
    arguments: &[A0, A1, A2, A3, A4, A5, A6, A7],
    system_call_arguments: &[ORIG_A0, A1, A2, A3, A4, A5],
    preserved: &[S0, S1, S2, S3, S4, S5, S6, S7, S8, S9, S10, S11],
    general: &GENERAL,
    system_call: A7,
    per_cpu_base: None,
    link: Some((RA, 1)),
    pushed: 0,
    save_area: 0,
    longest_instruction: 4,
    direct_call: 4,
    tracer_offset: 16,
    tracers: &["ftrace_caller", "ftrace_stub", "_mcount"],
    interrupt_entries: &["do_irq"],
    fixup_changes: &[],
    dwarf: &GENERAL,
    flags: STATUS,
    listing: &[
        &[(" PC", PC, 16), (" RA", RA, 16), (" SP", SP, 16)],
        &[(" GP", GP, 16), (" TP", TP, 16), (" T0", T0, 16)],
        &[(" T1", T1, 16), (" T2", T2, 16), (" S0", S0, 16)],
        &[(" S1", S1, 16), (" A0", A0, 16), (" A1", A1, 16)],
        &[(" A2", A2, 16), (" A3", A3, 16), (" A4", A4, 16)],
        &[(" A5", A5, 16), (" A6", A6, 16), (" A7", A7, 16)],
        &[(" S2", S2, 16), (" S3", S3, 16), (" S4", S4, 16)],
        &[(" S5", S5, 16), (" S6", S6, 16), (" S7", S7, 16)],
        &[(" S8", S8, 16), (" S9", S9, 16), ("S10", S10, 16)],
        &[("S11", S11, 16), (" T3", T3, 16), (" T4", T4, 16)],
        &[(" T5", T5, 16), (" T6", T6, 16)],
        &[("STATUS", STATUS, 16), ("BADADDR", BADADDR, 16), ("CAUSE", CAUSE, 16)],
        &[("ORIG_A0", ORIG_A0, 16)],
    ],
};

impl Architecture for Riscv64 {
    fn abi(&self) -> &'static Abi {
        &ABI
    }

    fn isa(&self, _: bool) -> Isa {
        Isa::Riscv64
    }

    fn paging(&self) -> PagingFormat {
        PagingFormat::Riscv64 { levels: 3 }
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
        layout::KERNEL_HALF
    }

    fn address_class(&self, layout: Option<&Layout>, address: u64) -> AddressClass {
        layout::address_class(layout, address)
    }

    fn saved_size(&self) -> usize {
        PT_REGS.len() * 8
    }

    fn saved_regs(&self, bytes: &[u8], big_endian: bool) -> Option<Regs> {
        words::registers(bytes, &PT_REGS, 8, big_endian)
    }

    fn user_mode(&self, regs: &Regs) -> bool {
        regs.get(STATUS).is_some_and(|status| status & FROM_KERNEL == 0)
    }

    fn task_register(&self) -> Option<Reg> {
        Some(TP)
    }

    fn interrupts_off(&self, regs: &Regs) -> Option<bool> {
        // SSTATUS.SPIE: whether they were on before the trap.
        regs.get(STATUS).map(|status| status & 1 << 5 == 0)
    }

    fn failed_access(&self, regs: &Regs) -> Option<(Reg, bool)> {
        // Access and page faults of loads and of stores (privileged specification, scause).
        let cause = regs.get(CAUSE)?;
        matches!(cause, 5 | 7 | 13 | 15).then_some((BADADDR, matches!(cause, 7 | 15)))
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
        // EX_DATA_REG_ERR (arch/riscv/include/asm/asm-extable.h)
        GENERAL[(data & 31) as usize]
    }
}
