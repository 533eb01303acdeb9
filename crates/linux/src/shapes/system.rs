//! include/uapi/linux/utsname.h, include/linux/mmzone.h, include/linux/panic.h,
//! include/linux/nodemask.h, include/linux/mod_devicetable.h

shapes! {
    /// What `uname` tells; `name` of `init_uts_ns`.
    UtsNamespace = "uts_namespace" for sys {
        sysname: "name.sysname",
        nodename: "name.nodename",
        release: "name.release",
        version: "name.version",
        machine: "name.machine",
        domainname: "name.domainname",
    }
    /// A memory node.
    PglistData = "pglist_data" for sys mach {
        node_id: "node_id",
        start_pfn: "node_start_pfn",
        present_pages: "node_present_pages",
        spanned_pages: "node_spanned_pages",
    }
    /// A taint flag.
    TaintFlag = "taint_flag" for sys {
        set: "c_true",
    }
    /// A set of memory nodes.
    NodeMask = "nodemask_t" for sys mach {
        bits: "bits",
    }
}

constants! {
    /// Where sets and tables end.
    SystemConstants = "indexes of sets and tables" for sys mach {
        online_nodes: "N_ONLINE",
        dmi_strings: "DMI_STRING_MAX",
    }
}
