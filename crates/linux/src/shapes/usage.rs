//! include/linux/vmalloc.h, fs.h, dcache.h, kernel/resource.c

shapes! {
    /// The pages of an area of vmalloc.
    VmPages = "vm_struct" for oomkill {
        pages: "pages",
    }
    /// What the pages of a file belong to.
    MappingOf = "address_space" for oomkill pagecache {
        host: "host",
        operations: "a_ops",
    }
    /// Names of an inode.
    InodeNames = "inode" for oomkill pagecache {
        names: "i_dentry",
        data: "i_data",
    }
    /// A name of an inode.
    DentryAlias = "dentry" for oomkill pagecache {
        alias: "d_u.d_alias" | "d_alias",                   // without a union's name since 7.1
    }
}

variables! {
    /// Where memory is told.
    UsageVariables = "tables of memory" for oomkill {
        iomem: "iomem_resource",
    }
}
