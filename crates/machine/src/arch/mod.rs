//! What is different on each architecture, and nothing else: one folder for one architecture.
//!
//! Everything outside this folder speaks of *the program counter*, *the size of a page*, *the
//! registers that a call preserves*, and asks an [`Architecture`] for them. To teach necropsy
//! another one, make a folder beside `x86_64` and add a line to [`of`]. The stages below are in
//! the order in which they pay; after each one something works that did not before, and what is
//! not there yet says so in place of guessing.
//!
//! 1. **Recognise.** [`Arch`] (`crates/lexicon`) names it, the dump formats tell it, and [`of`]
//!    finds the folder. Byte order and the size of a pointer are the dump's.
//! 2. **Registers.** A table of names in `crates/lexicon/src/reg.rs`, general registers first;
//!    their roles in [`Abi`], DWARF's numbers in [`Abi::dwarf`]. [`Architecture::saved_regs`] reads
//!    `struct pt_regs`, [`Architecture::note_regs`] the notes of the dump. `bt` shows CPUs.
//! 3. **Page size and walk.** A format in `paging/` (many are there) and its page shift
//!    ([`PagingFormat::page_shift`]): 4, 16 or 64 KiB. [`Layout::root`] is the table of kernel
//!    addresses (TTBR1 on arm64, the only one elsewhere); tables of processes come from their
//!    `mm`, so that two roots need nothing more. `vtop` works.
//! 4. **Address classes.** [`Architecture::address_class`] says what an address can be with the
//!    paging in force; [`Architecture::kernel_start`] is the lowest one of the kernel's half.
//! 5. **Layout and KASLR.** [`Architecture::find_layout`]: the root table, the offset of the
//!    image, the direct map, from VMCOREINFO where it has them and from the page tables or the
//!    registers of a CPU where it has not. Symbols, types and every command that only reads
//!    memory work from here on.
//! 6. **Stacks and entry frames.** Where the stacks of interrupts and exceptions lie, and how a
//!    sleeping task saved its registers: `crates/linux/src/stacks.rs` and the shapes beside it.
//!    [`Architecture::exception_frame`] tells saved registers from other words on a stack.
//! 7. **One step of unwinding.** [`Architecture::step`]: by ORC on x86, by frame records (arm64,
//!    riscv64) or back chains (s390x, ppc64) elsewhere; [`Architecture::frame_pointer`],
//!    [`Architecture::direct_call`] and [`Architecture::follows_call`] for what has no tables.
//! 8. **Calling convention.** The rest of [`Abi`]: arguments, result, what a call preserves and
//!    whether it pushes the return address. With the effects of instructions (`crates/disasm`)
//!    `explain` follows values; without them it names the frame and stops.
//! 9. **Disassembly.** `Isa::of` in `crates/disasm`, and the text that objdump would print.
//! 10. **Tests.** A row in `paging/`'s corpus, stacks put together by hand for each way that a
//!     frame is found (`unwind/tests.rs` shows how), one small dump of a real machine.

pub mod aarch64;
pub mod i386;
pub mod ppc64;
pub mod riscv64;
pub mod s390x;
mod words;
pub mod x86_64;

use necropsy_disasm::Isa;
use necropsy_dump::{Dump, PrStatus, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Arch, Reg};

use crate::{
    Target,
    layout::{self, AddressRange, Layout, Overrides},
    paging::PagingFormat,
    regs::Regs,
    stack::{Frame, Stack, Step},
    target::Fact,
};

/// What registers and calls are for: the part of an architecture that is plain data.
#[derive(Debug)]
pub struct Abi {
    /// The architecture.
    pub arch: Arch,
    /// Where the next instruction is.
    pub program_counter: Reg,
    /// Where the stack ends.
    pub stack_pointer: Reg,
    /// What holds the frame pointer in code that has one.
    pub frame_pointer: Reg,
    /// What holds a function's result.
    pub result: Reg,
    /// The registers that carry the first integer or pointer arguments, in order.
    pub arguments: &'static [Reg],
    /// The registers that carry the arguments of a system call, in order; of the first, what keeps it
    /// where the result takes its register.
    pub system_call_arguments: &'static [Reg],
    /// The registers that a function preserves for its caller, the stack pointer apart.
    pub preserved: &'static [Reg],
    /// The general registers, each at its own number.
    pub general: &'static [Reg],
    /// What holds the number of the system call that a process made.
    pub system_call: Reg,
    /// What holds the base of the CPU's own variables while the kernel runs.
    pub per_cpu_base: Option<Reg>,
    /// What a call leaves the return address in, where it does not push it, and the number that
    /// DWARF has for it.
    pub link: Option<(Reg, u16)>,
    /// Bytes that a call pushes, which is how far the stack pointer lies below the frame's canonical
    /// address (CFA) on entry; 0 where the return address goes into a register.
    pub pushed: i64,
    /// Bytes at the stack pointer that functions keep free for those they call: a frame's own words
    /// end so far above its caller's stack pointer.
    pub save_area: u64,
    /// Length of the longest instruction in bytes.
    pub longest_instruction: usize,
    /// Length of a direct call in bytes.
    pub direct_call: u64,
    /// The furthest from its beginning that a function calls the tracer, in bytes.
    pub tracer_offset: u64,
    /// The entries of the function tracer, which preserve every register.
    pub tracers: &'static [&'static str],
    /// What the names begin with of the code by which interrupts enter the kernel.
    pub interrupt_entries: &'static [&'static str],
    /// What the handlers of faults in the kernel's own accesses may change, besides the register
    /// that the exception table names.
    pub fixup_changes: &'static [Reg],
    /// Registers by the numbers that DWARF has for them.
    pub dwarf: &'static [Reg],
    /// What says in which mode the processor was.
    pub flags: Reg,
    /// How a set of registers is shown, row by row, the program counter first: each with its label
    /// and its least digits.
    pub listing: &'static [&'static [(&'static str, Reg, usize)]],
}

impl Abi {
    /// Where a call left the return address of a frame with this CFA; `None` where calls do not
    /// push it.
    pub fn return_slot(&self, cfa: u64) -> Option<u64> {
        if self.pushed == 0 { None } else { cfa.checked_add_signed(-self.pushed) }
    }

    /// Whether a function preserves the register for its caller.
    pub fn is_preserved(&self, reg: Reg) -> bool {
        self.preserved.contains(&reg)
    }

    /// The registers that a call leaves changed.
    pub fn scratch(&self) -> impl Iterator<Item = Reg> {
        let kept = |reg: &Reg| *reg == self.stack_pointer || self.is_preserved(*reg);
        self.general.iter().copied().filter(move |reg| !kept(reg))
    }

    /// The register of a DWARF number.
    pub fn from_dwarf(&self, number: u16) -> Option<Reg> {
        self.dwarf.get(usize::from(number)).copied()
    }

    /// The number that DWARF has for a register.
    pub fn dwarf_number(&self, reg: Reg) -> Option<u16> {
        self.dwarf.iter().position(|r| *r == reg).and_then(|n| u16::try_from(n).ok())
    }
}

/// No image of a kernel takes more, in bytes.
const LARGEST_IMAGE: u64 = 128 << 20;

/// One architecture. The stages in the documentation of this module say what each part is for.
pub trait Architecture: Send + Sync {
    /// Roles of registers, and the calling convention.
    fn abi(&self) -> &'static Abi;

    /// The instruction set that its kernels are made of, by their byte order.
    fn isa(&self, big_endian: bool) -> Isa;

    /// Whether the kernel keeps the most significant byte of a word first. The dump's own byte order
    /// is that of its headers.
    fn big_endian(&self, dump: &Dump, _info: Option<&VmCoreInfo>) -> bool {
        dump.big_endian()
    }

    /// How page tables look as long as nothing says it better.
    fn paging(&self) -> PagingFormat;

    /// Finds the kernel's image, its page tables and its offset, and says how in `facts`.
    ///
    /// # Errors
    /// What is missing, in words for the user.
    fn find_layout(
        &self,
        dump: &Dump,
        info: Option<&VmCoreInfo>,
        overrides: &Overrides,
        facts: &mut Vec<Fact>,
    ) -> Result<Layout, String>;

    /// The part of the kernel's map that the page tables map, gaps included: from its first address
    /// to one past the last. As long as nothing is known of it, so much as no image is larger.
    fn mapped_image(&self, layout: &Layout, _dump: &Dump) -> (u64, u64) {
        let start = layout.image.start & !((1 << layout.paging.page_shift()) - 1);
        (start, layout.image.end.max(start.saturating_add(LARGEST_IMAGE)))
    }

    /// Completes the layout by what only the kernel's own variables tell.
    fn set_bases(&self, layout: &mut Layout, target: &Target, facts: &mut Vec<Fact>);

    /// The first virtual address that modules may have; 0 where they are among other allocations.
    fn modules_base(&self, info: Option<&VmCoreInfo>) -> u64 {
        let start = info.and_then(|info| info.number("MODULES_VADDR"));
        start.unwrap_or(0)
    }

    /// What the virtual addresses of a machine are for, ascending; those whose extent is known.
    fn address_map(&self, layout: &Layout, _modules: u64) -> Vec<AddressRange> {
        let direct = layout.direct.iter().map(|map| AddressRange::linear(map, layout::DIRECT));
        let image = [AddressRange::linear(&layout.image, layout::IMAGE)];
        let mut ranges: Vec<_> = direct.chain(image).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }

    /// Whether the kernel and each process share one address space, of which each has a part.
    fn splits_addresses(&self) -> bool {
        true
    }

    /// The lowest address of the kernel's half of the address space, whatever the paging.
    fn kernel_start(&self) -> u64;

    /// What an address can be, with the paging that is in force.
    fn address_class(&self, layout: Option<&Layout>, address: u64) -> AddressClass;

    /// Bytes of the set of registers that the kernel saves on entry (`struct pt_regs`), as far as
    /// they are read here.
    fn saved_size(&self) -> usize;

    /// That set of registers; `None` when there are not enough bytes.
    fn saved_regs(&self, bytes: &[u8], big_endian: bool) -> Option<Regs>;

    /// The registers in a note of the dump; `None` without a program counter.
    fn note_regs(&self, note: &PrStatus) -> Option<Regs> {
        words::of_note(self.abi(), note)
    }

    /// Whether the registers are of a user program.
    fn user_mode(&self, regs: &Regs) -> bool;

    /// What holds the address of the running task's `task_struct` while the kernel runs.
    fn task_register(&self) -> Option<Reg> {
        None
    }

    /// The number of the system call that a process made with these registers; `None` for a program of
    /// another word size, whose calls have numbers of their own.
    fn system_call(&self, regs: &Regs) -> Option<u64> {
        regs.get(self.abi().system_call)
    }

    /// Whether interrupts were off where these registers were saved; `None` when they do not tell.
    fn interrupts_off(&self, regs: &Regs) -> Option<bool>;

    /// The register in which the processor left the address of the access that failed, and whether it
    /// was a write; `None` where saved registers do not tell, or something else failed.
    fn failed_access(&self, _: &Regs) -> Option<(Reg, bool)> {
        None
    }

    /// Whether an exception can have saved these registers on a stack.
    fn saved_by_exception(&self, target: &Target, regs: &Regs) -> bool;

    /// Registers that an exception saved at a stack address, if the words there look like that.
    fn exception_frame(&self, target: &Target, at: u64) -> Option<Regs> {
        target.saved_regs(at).ok().filter(|regs| self.saved_by_exception(target, regs))
    }

    /// Whether kernels carry tables to unwind by.
    fn has_unwind_tables(&self) -> bool {
        false
    }

    /// The caller of a frame by what this architecture's kernels keep for that.
    fn step(&self, target: &Target, frame: &Frame) -> Step;

    /// The caller of a frame by its frame pointer, or what an exception interrupted that left its
    /// registers where the frame pointer says.
    /// Nothing where that is what [`Architecture::step`] goes by.
    fn frame_pointer(&self, _target: &Target, _frame: &Frame, _stack: &Stack) -> Step {
        Step::Unknown
    }

    /// Whether the function that begins at an address keeps a frame pointer.
    fn sets_frame_pointer(&self, _target: &Target, _function: u64) -> bool {
        false
    }

    /// The return address in a word of the stack, without what a processor signs it with.
    fn code_address(&self, _layout: Option<&Layout>, word: u64) -> u64 {
        word
    }

    /// Where the direct call leads that returns to `pc`, if there is one.
    fn direct_call(&self, target: &Target, pc: u64) -> Option<u64>;

    /// Whether the instruction before `pc` could be a call.
    fn follows_call(&self, target: &Target, pc: u64) -> bool;

    /// The register by which the code at an offset from a symbol jumps on, if that is what the
    /// compiler or the kernel puts in place of an indirect jump (retpolines).
    fn thunk(&self, _symbol: &str, _offset: u64) -> Option<Reg> {
        None
    }

    /// The register that a fixup sets, by the data word of the exception table's entry.
    fn fixup_register(&self, data: u32) -> Reg;
}

/// The folder of an architecture; `None` when it has none yet.
pub fn of(arch: Arch) -> Option<&'static dyn Architecture> {
    match arch {
        Arch::X86_64 => Some(&x86_64::X86_64),
        Arch::I386 => Some(&i386::I386),
        Arch::Aarch64 => Some(&aarch64::Aarch64),
        Arch::Riscv64 => Some(&riscv64::Riscv64),
        Arch::Ppc64 => Some(&ppc64::Ppc64),
        Arch::S390x => Some(&s390x::S390x),
        _ => None,
    }
}

/// What is taken for the architecture of a dump that does not name its own.
pub fn assumed() -> &'static dyn Architecture {
    &x86_64::X86_64
}
