//! 32-bit x86.

mod layout;
mod unwind;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg, reg::i386::*};

use super::{Abi, Architecture, words};
use crate::{
    Target,
    layout::{Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Stack, Step},
    target::Fact,
};

/// 32-bit x86.
#[derive(Debug)]
pub struct I386;

/// The general registers by their numbers.
const GENERAL: [Reg; 8] = [EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI];

/// The words of `struct pt_regs` (arch/x86/include/asm/ptrace.h) that hold a register that we know,
/// and which word each is.
const PT_REGS: [(Reg, usize); 13] = [
    (EBX, 0),
    (ECX, 1),
    (EDX, 2),
    (ESI, 3),
    (EDI, 4),
    (EBP, 5),
    (EAX, 6),
    (ORIG_EAX, 11),
    (EIP, 12),
    (CS, 13),
    (EFLAGS, 14),
    (ESP, 15),
    (SS, 16),
];

/// Words of the whole set.
const WORDS: usize = 17;

/// The calling convention of the kernel (`-mregparm=3`).
pub static ABI: Abi = Abi {
    arch: Arch::I386,
    program_counter: EIP,
    stack_pointer: ESP,
    frame_pointer: EBP,
    result: EAX,
    arguments: &[EAX, EDX, ECX],
    system_call_arguments: &[EBX, ECX, EDX, ESI, EDI, EBP],
    preserved: &[EBX, EBP, ESI, EDI],
    general: &GENERAL,
    system_call: ORIG_EAX,
    per_cpu_base: Some(FS_BASE),
    link: None,
    pushed: 4,
    save_area: 0,
    longest_instruction: 15,
    direct_call: 5,
    tracer_offset: 0,
    tracers: &["__fentry__", "ftrace_caller", "ftrace_regs_caller", "ftrace_stub"],
    interrupt_entries: &["asm_sysvec", "asm_common_interrupt", "asm_spurious", "asm_exc_nmi"],
    fixup_changes: &[EAX, ECX, EDX],
    // System V ABI for i386, figure 2.14.
    dwarf: &[EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, EIP],
    flags: EFLAGS,
    listing: &[
        &[("EIP", EIP, 8), ("ESP", ESP, 8), ("EFLAGS", EFLAGS, 8)],
        &[("EAX", EAX, 8), ("EBX", EBX, 8), ("ECX", ECX, 8), ("EDX", EDX, 8)],
        &[("ESI", ESI, 8), ("EDI", EDI, 8), ("EBP", EBP, 8)],
        &[("ORIG_EAX", ORIG_EAX, 8), ("CS", CS, 4), ("SS", SS, 4)],
    ],
};

impl Architecture for I386 {
    fn abi(&self) -> &'static Abi {
        &ABI
    }

    fn isa(&self, _: bool) -> Isa {
        Isa::I386
    }

    fn paging(&self) -> PagingFormat {
        PagingFormat::Ia32Pae
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
        WORDS * 4
    }

    fn saved_regs(&self, bytes: &[u8], big_endian: bool) -> Option<Regs> {
        let mut regs = Regs::new();
        for (reg, index) in PT_REGS {
            let mut value = words::word(bytes, index * 4, 4, big_endian)?;
            // The upper half of the words of selectors is the kernel's own.
            if matches!(reg, CS | SS) {
                value &= 0xffff;
            }
            regs.set(reg, value);
        }
        Some(regs)
    }

    fn user_mode(&self, regs: &Regs) -> bool {
        regs.get(CS).is_some_and(|cs| cs & 3 == 3)
    }

    fn interrupts_off(&self, regs: &Regs) -> Option<bool> {
        regs.get(EFLAGS).map(|flags| flags & 1 << 9 == 0)
    }

    fn saved_by_exception(&self, target: &Target, regs: &Regs) -> bool {
        unwind::plausible(target, regs)
    }

    fn step(&self, target: &Target, frame: &Frame) -> Step {
        unwind::step(target, frame)
    }

    fn frame_pointer(&self, target: &Target, frame: &Frame, stack: &Stack) -> Step {
        unwind::frame_pointer(target, frame, stack).map_or(Step::Unknown, Step::Frame)
    }

    fn direct_call(&self, target: &Target, pc: u64) -> Option<u64> {
        unwind::direct_call(target, pc)
    }

    fn follows_call(&self, target: &Target, pc: u64) -> bool {
        unwind::follows_call(target, pc)
    }

    fn fixup_register(&self, data: u32) -> Reg {
        GENERAL[(data >> 8 & 7) as usize]
    }
}
