//! IBM Z, 64-bit.

mod layout;
mod unwind;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, PrStatus, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg, reg::s390x::*};

use super::{Abi, Architecture, words};
use crate::{
    Target,
    layout::{Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Step},
    target::Fact,
};

/// IBM Z, 64-bit.
#[derive(Debug)]
pub struct S390x;

/// The general registers by their numbers.
const GENERAL: [Reg; 16] = [R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, R13, R14, R15];

/// The beginning of `struct pt_regs` (arch/s390/include/asm/ptrace.h): `args[1]`, the program status
/// word, the general registers, `orig_gpr2`, and the code of the interruption.
const PSW: usize = 8;
const GPRS: usize = 24;
const ORIG: usize = GPRS + 16 * 8;
const INT_CODE_AT: usize = ORIG + 8;

/// The calling convention (s390x ELF ABI).
pub static ABI: Abi = Abi {
    arch: Arch::S390x,
    program_counter: PSWA,
    stack_pointer: R15,
    frame_pointer: R11,
    result: R2,
    arguments: &[R2, R3, R4, R5, R6],
    system_call_arguments: &[ORIG_R2, R3, R4, R5, R6, R7],
    preserved: &[R6, R7, R8, R9, R10, R11, R12, R13],
    general: &GENERAL,
    system_call: INT_CODE,
    per_cpu_base: None,
    link: Some((R14, 14)),
    pushed: 0,
    save_area: 160,
    longest_instruction: 6,
    direct_call: 6,
    tracer_offset: 6,
    tracers: &["ftrace_caller", "ftrace_regs_caller", "ftrace_stub", "_mcount"],
    interrupt_entries: &["ext_int_handler", "io_int_handler", "mcck_int_handler"],
    fixup_changes: &[],
    dwarf: &GENERAL,
    flags: PSWM,
    listing: &[
        &[("PSWA", PSWA, 16), ("PSWM", PSWM, 16)],
        &[(" R0", R0, 16), (" R1", R1, 16), (" R2", R2, 16), (" R3", R3, 16)],
        &[(" R4", R4, 16), (" R5", R5, 16), (" R6", R6, 16), (" R7", R7, 16)],
        &[(" R8", R8, 16), (" R9", R9, 16), ("R10", R10, 16), ("R11", R11, 16)],
        &[("R12", R12, 16), ("R13", R13, 16), ("R14", R14, 16), ("R15", R15, 16)],
        &[("ORIG_R2", ORIG_R2, 16), ("INT_CODE", INT_CODE, 8)],
    ],
};

impl Architecture for S390x {
    fn abi(&self) -> &'static Abi {
        &ABI
    }

    fn isa(&self, _: bool) -> Isa {
        Isa::S390x
    }

    fn paging(&self) -> PagingFormat {
        PagingFormat::S390x { levels: 4 }
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

    fn splits_addresses(&self) -> bool {
        false
    }

    fn kernel_start(&self) -> u64 {
        // Processes have address spaces of their own.
        0
    }

    fn address_class(&self, layout: Option<&Layout>, address: u64) -> AddressClass {
        layout::address_class(layout, address)
    }

    fn saved_size(&self) -> usize {
        INT_CODE_AT + 8
    }

    fn saved_regs(&self, bytes: &[u8], big_endian: bool) -> Option<Regs> {
        let mut regs = words::registers(bytes.get(GPRS..)?, &GENERAL, 8, big_endian)?;
        let word = |at| words::word(bytes, at, 8, big_endian);
        regs.set(PSWM, word(PSW)?);
        regs.set(PSWA, word(PSW + 8)?);
        regs.set(ORIG_R2, word(ORIG)?);
        regs.set(INT_CODE, words::word(bytes, INT_CODE_AT, 4, big_endian)?);
        Some(regs)
    }

    fn note_regs(&self, note: &PrStatus) -> Option<Regs> {
        let mut regs = words::of_note(&ABI, note)?;
        regs.put(ORIG_R2, note.reg("orig_gpr2"));
        Some(regs)
    }

    fn user_mode(&self, regs: &Regs) -> bool {
        // PSW_MASK_PSTATE: problem state, a process.
        regs.get(PSWM).is_some_and(|mask| mask & 0x0001_0000_0000_0000 != 0)
    }

    fn system_call(&self, regs: &Regs) -> Option<u64> {
        // Above it stands the length of the instruction.
        regs.get(INT_CODE).map(|code| code & 0xffff)
    }

    fn interrupts_off(&self, regs: &Regs) -> Option<bool> {
        // The masks of input and output, and of external interruptions.
        regs.get(PSWM).map(|mask| mask >> 56 & 3 == 0)
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
        GENERAL[(data & 15) as usize]
    }
}
