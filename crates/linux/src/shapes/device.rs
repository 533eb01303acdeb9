//! fs/char_dev.c, block/genhd.c, include/linux/{cdev,blkdev,ioport,swap}.h, drivers/base/map.c

shapes! {
    /// Numbers of character devices that somebody asked for.
    CharDevice = "char_device_struct" for dev {
        next: "next",
        major: "major",
        first: "baseminor",
        name: "name",
        cdev: "cdev",
    }
    /// A character device.
    Cdev = "cdev" for dev {
        operations: "ops",
    }
    /// Character devices by number.
    KobjMap = "kobj_map" for dev {
        probes: "probes",
    }
    /// One of them.
    Probe = "probe" for dev {
        next: "next",
        number: "dev",
        data: "data",
    }
    /// Numbers of block devices that somebody asked for.
    BlockMajor = "blk_major_name" for dev {
        next: "next",
        major: "major",
        name: "name",
    }
    /// A disk.
    GenDisk = "gendisk" for dev {
        major: "major",
        name: "disk_name",
        operations: "fops",
        queue: "queue",
        whole: pointer "part0" | embedded "part0",
    }
    /// Counters of a disk as a whole, where it is no block device of its own.
    DiskPart = "hd_struct" for dev {
        counters: maybe "dkstats",
    }
    /// Counters of a disk, each CPU's.
    DiskStats = "disk_stats" for dev {
        in_flight: "in_flight",
    }
    /// A block device with its inode.
    BdevInode = "bdev_inode" for dev {
        device: "bdev",
        inode: "vfs_inode",
    }
    /// A block device.
    BlockDevice = "block_device" for dev block {
        disk: "bd_disk",
        counters: maybe "bd_stats",
    }
    /// A range of ports or memory.
    Resource = "resource" for dev {
        start: "start",
        end: "end",
        name: "name",
        sibling: "sibling",
        child: "child",
    }
    /// A device on a PCI bus.
    PciDevice = "pci_dev" for dev {
        bus: "bus",
        on_bus: "bus_list",
        slot_function: "devfn",
        vendor: "vendor",
        device: "device",
        class: "class",
        header: maybe "hdr_type",
        express: maybe "pcie_cap",
        express_flags: maybe "pcie_flags_reg",
        below: maybe "subordinate",
    }
    /// A PCI bus.
    PciBus = "pci_bus" for dev {
        on_parent: "node",
        children: "children",
        devices: "devices",
        number: "number",
        name: "dev.kobj.name",
    }
    /// Where pages are swapped to.
    SwapInfo = "swap_info_struct" for swap {
        flags: "flags",
        priority: "prio",
        pages: "pages",
        used: "inuse_pages",
        file: "swap_file",
    }
}

variables! {
    /// Tables of devices.
    DeviceTables = "tables of devices, swap areas and neighbours" for dev swap net ipcs {
        char_devices: "chrdevs",
        cdevs: maybe "cdev_map",
        disks: maybe "bdev_map",
        block_majors: "major_names",
        block_superblock: "blockdev_superblock",
        ports: "ioport_resource",
        memory: "iomem_resource",
        pci_buses: maybe "pci_root_buses",
        swap: maybe "swap_info",
        swap_count: maybe "nr_swapfiles",
        init_net: maybe "init_net",
        arp: maybe "arp_tbl",
    }
}
