//! include/linux/fs.h, dcache.h, fdtable.h, fs_struct.h, mount.h, fs/mount.h, nsproxy.h

shapes! {
    /// An open file.
    File = "file" for files fuser net vm swap {
        dentry: "f_path.dentry",
        mount: "f_path.mnt",
        private_data: "private_data",
    }
    /// The files that a process has open.
    FilesStruct = "files_struct" for files fuser net {
        table: "fdt",
    }
    /// The table of them.
    FdTable = "fdtable" for files fuser net {
        max: "max_fds",
        files: "fd",
        open: "open_fds",
    }
    /// Root and working directory of a process.
    FsStruct = "fs_struct" for files fuser {
        root_dentry: "root.dentry",
        root_mount: "root.mnt",
        cwd_dentry: "pwd.dentry",
        cwd_mount: "pwd.mnt",
    }
    /// A name in a directory.
    Dentry = "dentry" for files vm mount fuser {
        parent: "d_parent",
        name: "d_name.name",
        inode: "d_inode",
        superblock: "d_sb",
    }
    /// What a name stands for.
    Inode = "inode" for files fuser ipcs {
        mode: "i_mode",
        superblock: "i_sb",
        mapping: "i_mapping",
        number: "i_ino",
        on_superblock: "i_sb_list",
    }
    /// The pages of a file.
    AddressSpace = "address_space" for files ipcs {
        pages: "nrpages",
        tree: radix "i_pages" | radix "page_tree",
    }
    /// A file system.
    SuperBlock = "super_block" for mount files dev {
        kind: "s_type",
        inodes: "s_inodes",
    }
    /// A kind of file system.
    FileSystemType = "file_system_type" for mount files {
        name: "name",
    }
    /// A file system's place in the tree of names.
    Mount = "mount" for mount files vm fuser {
        parent: "mnt_parent",
        mountpoint: "mnt_mountpoint",
        inner: "mnt",                                       // what struct path points to
        root: "mnt.mnt_root",
        superblock: "mnt.mnt_sb",
        device: "mnt_devname",
        list: maybe "mnt_list",
        node: maybe "mnt_node",                             // 6.8: a tree instead of a list
    }
    /// The mounts that processes see.
    MountNamespace = "mnt_namespace" for mount {
        tree: maybe "mounts.rb_node",                       // 6.8
        list: maybe "list",
    }
    /// The namespaces of a task.
    NsProxy = "nsproxy" for mount ipcs net {
        mount: "mnt_ns",
        ipc: "ipc_ns",
        net: "net_ns",
    }
}
