//! include/linux/sched.h, arch/x86/include/asm/cpu_entry_area.h, asm/fred.h

shapes! {
    /// A task's kernel stack.
    ThreadUnion = "thread_union" for bt {
        stack: maybe "stack",
    }
    /// The stacks of a CPU for exceptions that trust no other, since 5.2.
    ExceptionStacks = "cea_exception_stacks" for bt {
        double_fault: maybe "DF_stack",
        nmi: maybe "NMI_stack",
        debug: maybe "DB_stack",
        machine_check: maybe "MCE_stack",
        vmm_communication: maybe "VC_stack",                // SEV-ES, 5.10
        vmm_communication2: maybe "VC2_stack",
    }
    /// What a CPU needs mapped to enter the kernel.
    CpuEntryArea = "cpu_entry_area" for bt {
        entry_stack: "entry_stack_page",
    }
    /// The frame of an event with FRED, since 6.9: its two last words lie above `pt_regs`.
    FredFrame = "fred_frame" for bt {
        regs: maybe "regs",
    }
}
