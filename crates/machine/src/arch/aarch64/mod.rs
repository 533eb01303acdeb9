//! 64-bit Arm.

mod code;
mod layout;
mod regs;
mod unwind;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg, reg::aarch64::*};

use super::{Abi, Architecture};
use crate::{
    Target,
    layout::{Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Step},
    target::Fact,
};

pub use regs::GENERAL;

/// 64-bit Arm.
#[derive(Debug)]
pub struct Aarch64;

/// The procedure call standard (AAPCS64), as the kernel keeps to it.
pub static ABI: Abi = Abi {
    arch: Arch::Aarch64,
    program_counter: PC,
    stack_pointer: SP,
    frame_pointer: X29,
    result: X0,
    arguments: &[X0, X1, X2, X3, X4, X5, X6, X7],
    system_call_arguments: &[ORIG_X0, X1, X2, X3, X4, X5],
    preserved: &[X19, X20, X21, X22, X23, X24, X25, X26, X27, X28, X29],
    general: &GENERAL,
    system_call: SYSCALLNO,
    per_cpu_base: Some(TPIDR_EL1),
    link: Some((X30, 30)),
    pushed: 0,
    save_area: 0,
    longest_instruction: 4,
    direct_call: 4,
    // Behind `bti c`, a `mov x9, lr`.
    tracer_offset: 8,
    // arch/arm64/kernel/entry-ftrace.S
    tracers: &["ftrace_caller", "ftrace_stub", "_mcount"],
    // arch/arm64/kernel/entry.S; until 5.12 `el1_irq`
    interrupt_entries: &["el1h_64_irq", "el1h_64_fiq", "el1_irq", "el1_fiq"],
    fixup_changes: &[],
    // DWARF for the Arm 64-bit architecture, 4.1.
    dwarf: &GENERAL,
    flags: PSTATE,
    listing: &[
        &[(" PC", PC, 16), (" LR", X30, 16)],
        &[(" SP", SP, 16), ("PSTATE", PSTATE, 8)],
        &[("X29", X29, 16), ("X28", X28, 16), ("X27", X27, 16)],
        &[("X26", X26, 16), ("X25", X25, 16), ("X24", X24, 16)],
        &[("X23", X23, 16), ("X22", X22, 16), ("X21", X21, 16)],
        &[("X20", X20, 16), ("X19", X19, 16), ("X18", X18, 16)],
        &[("X17", X17, 16), ("X16", X16, 16), ("X15", X15, 16)],
        &[("X14", X14, 16), ("X13", X13, 16), ("X12", X12, 16)],
        &[("X11", X11, 16), ("X10", X10, 16), (" X9", X9, 16)],
        &[(" X8", X8, 16), (" X7", X7, 16), (" X6", X6, 16)],
        &[(" X5", X5, 16), (" X4", X4, 16), (" X3", X3, 16)],
        &[(" X2", X2, 16), (" X1", X1, 16), (" X0", X0, 16)],
        &[("ORIG_X0", ORIG_X0, 16), ("SYSCALLNO", SYSCALLNO, 1)],
    ],
};

impl Architecture for Aarch64 {
    fn abi(&self) -> &'static Abi {
        &ABI
    }

    fn isa(&self, _: bool) -> Isa {
        Isa::Aarch64
    }

    fn paging(&self) -> PagingFormat {
        layout::paging(12, 48)
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
        regs::SAVED
    }

    fn saved_regs(&self, bytes: &[u8], big_endian: bool) -> Option<Regs> {
        regs::from_pt_regs(bytes, big_endian)
    }

    fn user_mode(&self, regs: &Regs) -> bool {
        regs::user_mode(regs)
    }

    fn system_call(&self, regs: &Regs) -> Option<u64> {
        // PSR_MODE32_BIT
        regs.get(ABI.system_call).filter(|_| regs.get(PSTATE).is_none_or(|state| state & 0x10 == 0))
    }

    fn interrupts_off(&self, regs: &Regs) -> Option<bool> {
        // PSTATE.I
        regs.get(PSTATE).map(|pstate| pstate & 1 << 7 != 0)
    }

    fn saved_by_exception(&self, target: &Target, regs: &Regs) -> bool {
        regs::saved_by_exception(target, regs)
    }

    fn step(&self, target: &Target, frame: &Frame) -> Step {
        unwind::step(target, frame)
    }

    fn code_address(&self, layout: Option<&Layout>, word: u64) -> u64 {
        layout::unsigned(layout, word)
    }

    fn direct_call(&self, target: &Target, pc: u64) -> Option<u64> {
        code::direct_call(target, pc)
    }

    fn follows_call(&self, target: &Target, pc: u64) -> bool {
        code::follows_call(target, pc)
    }

    fn fixup_register(&self, data: u32) -> Reg {
        // EX_DATA_REG_ERR (arch/arm64/include/asm/asm-extable.h)
        GENERAL[(data & 31) as usize]
    }
}
