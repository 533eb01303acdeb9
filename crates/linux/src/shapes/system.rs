//! include/uapi/linux/utsname.h, include/linux/mmzone.h, include/linux/panic.h

shapes! {
    /// What `uname` tells; `name` of `init_uts_ns`.
    UtsNamespace = "uts_namespace" {
        sysname: "name.sysname",
        nodename: "name.nodename",
        release: "name.release",
        version: "name.version",
        machine: "name.machine",
        domainname: "name.domainname",
    }
    /// A memory node.
    PglistData = "pglist_data" {
        node_id: "node_id",
        start_pfn: "node_start_pfn",
        present_pages: "node_present_pages",
        spanned_pages: "node_spanned_pages",
    }
    /// A taint flag.
    TaintFlag = "taint_flag" {
        set: "c_true",
    }
}
