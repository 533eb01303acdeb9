//! 64-bit x86.

mod code;
mod frame_pointer;
mod layout;
mod regs;
#[cfg(test)]
mod tests;
mod unwind;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, PrStatus, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg, reg::x86_64::*};

use super::{Abi, Architecture};
use crate::{
    Target,
    layout::{AddressRange, Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Stack, Step},
    target::Fact,
};

pub use regs::{PT_REGS_SIZE, from_iret_frame, from_pt_regs};

/// 64-bit x86.
#[derive(Debug)]
pub struct X86_64;

/// The System V calling convention, as compiled C and assembly that C calls keep to it.
pub static ABI: Abi = Abi {
    arch: Arch::X86_64,
    program_counter: RIP,
    stack_pointer: RSP,
    frame_pointer: RBP,
    result: RAX,
    arguments: &[RDI, RSI, RDX, RCX, R8, R9],
    system_call_arguments: &[RDI, RSI, RDX, R10, R8, R9],
    preserved: &[RBX, RBP, R12, R13, R14, R15],
    general: &[RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15],
    system_call: ORIG_RAX,
    per_cpu_base: Some(GS_BASE),
    link: None,
    pushed: 8,
    save_area: 0,
    longest_instruction: 15,
    direct_call: 5,
    // Behind an `endbr64`, if any.
    tracer_offset: 4,
    // arch/x86/kernel/ftrace_64.S
    tracers: &["__fentry__", "ftrace_caller", "ftrace_regs_caller", "ftrace_stub"],
    interrupt_entries: &[
        "asm_sysvec",
        "asm_common_interrupt",
        "asm_spurious",
        "asm_exc_nmi",
        "nmi",
        "end_repeat_nmi",
    ],
    fixup_changes: &[RAX, RCX, RDX],
    // System V ABI for x86_64, figure 3.36.
    dwarf: &[RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15, RIP],
    flags: RFLAGS,
    listing: &[
        &[("RIP", RIP, 16), ("RSP", RSP, 16), ("RFLAGS", RFLAGS, 8)],
        &[("RAX", RAX, 16), ("RBX", RBX, 16), ("RCX", RCX, 16)],
        &[("RDX", RDX, 16), ("RSI", RSI, 16), ("RDI", RDI, 16)],
        &[("RBP", RBP, 16), (" R8", R8, 16), (" R9", R9, 16)],
        &[("R10", R10, 16), ("R11", R11, 16), ("R12", R12, 16)],
        &[("R13", R13, 16), ("R14", R14, 16), ("R15", R15, 16)],
        &[("ORIG_RAX", ORIG_RAX, 16), ("CS", CS, 4), ("SS", SS, 4)],
    ],
};

impl Architecture for X86_64 {
    fn abi(&self) -> &'static Abi {
        &ABI
    }

    fn isa(&self, _: bool) -> Isa {
        Isa::X86_64
    }

    fn paging(&self) -> PagingFormat {
        PagingFormat::X86_64 { levels: 4, mask: 0 }
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

    fn mapped_image(&self, layout: &Layout, dump: &Dump) -> (u64, u64) {
        layout::mapped_image(layout, dump)
    }

    fn set_bases(&self, layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>) {
        layout::set_bases(layout, target, facts);
    }

    fn modules_base(&self, info: Option<&VmCoreInfo>) -> u64 {
        layout::modules_base(info)
    }

    fn system_call(&self, regs: &Regs) -> Option<u64> {
        // __USER32_CS
        regs.get(ABI.system_call).filter(|_| regs.get(CS) != Some(0x23))
    }

    fn address_map(&self, layout: &Layout, modules: u64) -> Vec<AddressRange> {
        layout::address_map(layout, modules)
    }

    fn kernel_start(&self) -> u64 {
        layout::KERNEL_HALF
    }

    fn address_class(&self, layout: Option<&Layout>, address: u64) -> AddressClass {
        layout::address_class(layout, address)
    }

    fn saved_size(&self) -> usize {
        PT_REGS_SIZE
    }

    fn saved_regs(&self, bytes: &[u8], _: bool) -> Option<Regs> {
        from_pt_regs(bytes)
    }

    fn note_regs(&self, note: &PrStatus) -> Option<Regs> {
        regs::of_note(note)
    }

    fn user_mode(&self, regs: &Regs) -> bool {
        regs::user_mode(regs)
    }

    fn interrupts_off(&self, regs: &Regs) -> Option<bool> {
        regs.get(RFLAGS).map(|flags| flags & 1 << 9 == 0)
    }

    fn saved_by_exception(&self, target: &Target, regs: &Regs) -> bool {
        regs::saved_by_exception(target, regs)
    }

    fn has_unwind_tables(&self) -> bool {
        true
    }

    fn step(&self, target: &Target, frame: &Frame) -> Step {
        unwind::step(target, frame)
    }

    fn frame_pointer(&self, target: &Target, frame: &Frame, stack: &Stack) -> Step {
        frame_pointer::step(target, frame, stack)
    }

    fn sets_frame_pointer(&self, target: &Target, function: u64) -> bool {
        frame_pointer::set_up(target, function).is_some()
    }

    fn direct_call(&self, target: &Target, pc: u64) -> Option<u64> {
        code::direct_call(target, pc)
    }

    fn follows_call(&self, target: &Target, pc: u64) -> bool {
        code::follows_call(target, pc)
    }

    fn thunk(&self, symbol: &str, offset: u64) -> Option<Reg> {
        code::thunk_register(symbol, offset)
    }

    fn fixup_register(&self, data: u32) -> Reg {
        code::fixup_register(data)
    }
}
