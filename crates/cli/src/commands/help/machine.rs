//! The reference card of a machine: what one looks up while reading its dump.

use necropsy_disasm::Isa;
use necropsy_linux::Kernel;
use necropsy_machine::{Reg, paging::PagingFormat, unwind::StackKind};

use crate::{CommandError, Outcome, render::Output, session::Session, words::whole_size};

pub(super) fn show(session: &Session, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let target = kernel.target();
    if target.isa() != Isa::X86_64 {
        return Err(CommandError::missing(format!(
            "there is no reference card of {} yet",
            target.abi().arch
        )));
    }
    registers(&kernel, out)?;
    addresses(&kernel, out)?;
    stacks(&kernel, out)?;
    out.line(PAGE_TABLES)?;
    page_table_flags(&kernel, out)?;
    out.line(ERROR_CODES)
}

fn registers(kernel: &Kernel, out: &mut Output) -> Outcome {
    let abi = kernel.target().abi();
    let names = |regs: &[Reg]| regs.iter().map(|reg| reg.name()).collect::<Vec<_>>().join(" ");
    out.line(format_args!(
        "REGISTERS OF A CALL\n  arguments        {}, then on the stack\n  result           {}",
        names(abi.arguments),
        abi.result.name()
    ))?;
    out.line(format_args!(
        "  kept by a call   {} {}\n  changed by it    {}",
        names(abi.preserved),
        abi.stack_pointer.name(),
        names(&abi.scratch().collect::<Vec<_>>())
    ))?;
    out.line(
        "  system call      number rax; arguments rdi rsi rdx r10 r8 r9; result rax, -1 to -4095 an \
         error\n                   (the processor itself changes rcx and r11)\n  this CPU         \
         gs_base, in the kernel the offset of its own variables\n  RFLAGS           0x1 CF  0x4 PF  \
         0x10 AF  0x40 ZF  0x80 SF  0x100 TF  0x200 IF  0x400 DF  0x800 OF  0x40000 AC\n  \
         selectors        CS 10 kernel, 33 user (23 in 32 bits); SS 18 or 0 kernel, 2b user\n",
    )
}

/// The map of kernel addresses, with this kernel's places where they are known
/// (Documentation/arch/x86/x86_64/mm.rst).
fn addresses(kernel: &Kernel, out: &mut Output) -> Outcome {
    let target = kernel.target();
    let Some(layout) = target.layout() else { return Ok(()) };
    let levels = match target.paging() {
        PagingFormat::X86_64 { levels, .. } => levels,
        _ => 4,
    };
    out.line(format_args!("ADDRESSES ({levels} levels of page tables)"))?;
    for range in target.address_map() {
        out.line(format_args!(
            "  {:016x} - {:016x}  {:>9}  {}",
            range.start,
            range.end.wrapping_sub(1),
            whole_size(range.end.wrapping_sub(range.start)),
            range.what
        ))?;
    }
    let moved = layout.kaslr.map_or_else(|| "(unknown)".into(), |moved| format!("{moved:#x}"));
    out.line(format_args!(
        "  moved by KASLR: the image by {moved}; physical = virtual - {:#x} + {:#x} in the image\n",
        layout.image_map, layout.phys_base
    ))
}

fn stacks(kernel: &Kernel, out: &mut Output) -> Outcome {
    out.line(format_args!(
        "STACKS\n  {:>6} bytes  of each task; of user space the registers are at its top",
        kernel.thread_size()
    ))?;
    let cpu = kernel.online_cpus().first().copied().unwrap_or(0);
    let mut shown: Vec<StackKind> = Vec::new();
    for stack in kernel.cpu_stacks(cpu) {
        if !shown.contains(&stack.kind) {
            shown.push(stack.kind);
            let bytes = stack.end.saturating_sub(stack.start);
            out.line(format_args!("  {bytes:>6} bytes  each CPU's {}", stack.kind.title()))?;
        }
    }
    out.line("")
}

const PAGE_TABLES: &str = "\
ENTRIES OF PAGE TABLES
  bits 0 to 11 and 52 to 63 are flags, the others the address of a page";

fn page_table_flags(kernel: &Kernel, out: &mut Output) -> Outcome {
    let paging = kernel.target().paging();
    let named = |value: u64| paging.entry_flags(value, 1 << paging.page_shift()).join("|");
    for bit in 0..64 {
        // A flag is told of an entry that is present.
        let (without, with) = (named(1), named(1 | 1 << bit));
        let name = match bit {
            0 => with,
            _ => with.strip_prefix(&without).unwrap_or(&with).trim_start_matches('|').to_owned(),
        };
        if !name.is_empty() {
            out.line(format_args!("  {:#018x}  {name}", 1u64 << bit))?;
        }
    }
    out.line("  not present: PROT_NONE, in swap (see pte), or nothing\n")
}

const ERROR_CODES: &str = "\
ERROR CODE OF A PAGE FAULT
  0x1  the page is there and may not be used so (else it is not there)
  0x2  a write
  0x4  from user mode
  0x8  a reserved bit of an entry is set
  0x10 an instruction was fetched
  0x20 protection keys
  0x40 shadow stack
  0x8000 SGX
ERROR CODE OF A GENERAL PROTECTION FAULT
  0 not by a selector (a non-canonical address, a privileged instruction); else selector: 0x1
  external, 0x2 an entry of the IDT, 0x4 of the LDT, the rest its index
EXCEPTIONS
   0 divide error      1 debug           2 NMI                   3 breakpoint       4 overflow
   5 bound             6 invalid opcode  7 no FPU                8 double fault    10 invalid TSS
  11 no segment       12 stack segment  13 general protection   14 page fault      16 FPU
  17 alignment        18 machine check  19 SIMD                 20 virtualisation  21 control protection
  29 VMM communication (SEV-ES)";
