//! include/linux/fs.h, dcache.h, mm_types.h (saved_auxv), arch/x86/include/asm/processor.h

shapes! {
    /// The pages of a file in memory.
    PageCache = "address_space" for pagecache gcore check {
        host: "host",
        pages: "i_pages" | "page_tree",                     // renamed in 4.17
    }
    /// A file's length.
    InodeSize = "inode" for pagecache {
        bytes: "i_size",
    }
    /// What is below a directory.
    DentryTree = "dentry" for pagecache {
        children: embedded "d_children" | embedded "d_subdirs",  // an hlist since 6.8
        sibling: "d_sib" | "d_child",
    }
    /// What a program was told when it began.
    MmStart = "mm_struct" for gcore {
        auxiliary: "saved_auxv",
    }
    /// Registers of a thread that the kernel keeps by themselves.
    ThreadBases = "task_struct" for gcore {
        fs: maybe "thread.fsbase",
        gs: maybe "thread.gsbase",
    }
}
