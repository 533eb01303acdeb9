//! Members that only `check` reads: include/linux/sched.h, cred.h, dcache.h, fs.h, ipc/shm.c

shapes! {
    /// A task.
    TaskLinks = "task_struct" for check {
        thread_pid: maybe "thread_pid",                     // 4.19
        real_cred: "real_cred",
    }
    /// Who may do what.
    Cred = "cred" for check {
        usage: "usage",
    }
    /// A number in a namespace.
    Upid = "upid" for check {
        nr: "nr",
    }
    /// A name in a directory.
    DentryLinks = "dentry" for check {
        name_length: "d_name.len",
        count: maybe "d_lockref.count",
        alias: maybe "d_u.d_alias" | "d_alias",             // anonymous since 7.1
    }
    /// What a name stands for.
    InodeLinks = "inode" for check {
        count: "i_count",
        mode: "i_mode",
        data: "i_data",
        names: "i_dentry.first",
    }
    /// The pages of a file.
    MappingHost = "address_space" for check kmem {
        host: "host",
    }
    /// An open file.
    FileLinks = "file" for check {
        inode: "f_inode",
        operations: "f_op",
        count: maybe "f_count" | "f_ref.refcnt",            // 6.13
    }
    /// A file system.
    SuperBlockLinks = "super_block" for check {
        list: "s_list",
        root: "s_root",
    }
    /// A place where BUG() or WARN() traps (include/asm-generic/bug.h).
    BugEntry = "bug_entry" for check {
        displacement: maybe "bug_addr_disp",                // CONFIG_GENERIC_BUG_RELATIVE_POINTERS
    }
    /// A call that is written into the code (include/linux/static_call_types.h): the distance to its
    /// place comes first.
    StaticCallSite = "static_call_site" for check {
        place: "addr",
    }
    /// A branch that is written into the code (include/linux/jump_label.h), relative likewise.
    JumpEntry = "jump_entry" for check {
        place: "code",
    }
    /// An access that may fail, and where it goes on (arch/x86/include/asm/extable.h), relative to
    /// each.
    ExceptionEntry = "exception_table_entry" for check {
        access: "insn",
        fixup: "fixup",
    }
    /// Functions that can be traced (kernel/trace/ftrace.c).
    FtracePage = "ftrace_page" for check {
        next: "next",
        records: "records",
        used: "index",
    }
    /// One of them (include/linux/ftrace.h).
    TracedFunction = "dyn_ftrace" for check {
        place: "ip",
    }
    /// An instruction that is replaced (arch/x86/include/asm/alternative.h).
    Alternative = "alt_instr" for check {
        instruction: "instr_offset",
        length: "instrlen",
    }
    /// An instruction that a trap was put on (include/linux/kprobes.h).
    Kprobe = "kprobe" for check {
        link: "hlist",
        address: "addr",
        opcode: "opcode",
    }
    /// One that became a jump.
    OptimizedKprobe = "optimized_kprobe" for check {
        copied: maybe array "optinsn.copied_insn",
    }
    /// A file of a segment of shared memory, as a process has it.
    ShmFileData = "shm_file_data" for check refs {
        id: "id",
        namespace: "ns",
        file: "file",
    }
}

variables! {
    /// Where the functions that can be traced are listed.
    FtraceVariables = "traced functions" for check {
        pages: maybe "ftrace_pages_start",
    }
}

variables! {
    /// Where the probes are listed.
    KprobeVariables = "kprobes" for check {
        table: maybe "kprobe_table",
    }
}
