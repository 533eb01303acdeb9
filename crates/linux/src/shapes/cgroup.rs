//! include/linux/cgroup-defs.h, memcontrol.h, page_counter.h, psi_types.h, kernel/cgroup/pids.c

shapes! {
    /// A tree of control groups.
    CgroupRoot = "cgroup_root" for cgroups {
        list: "root_list",
        group: "cgrp",
        name: "name",
        controllers: maybe "subsys_mask",
    }
    /// A control group.
    CgroupOf = "cgroup" for cgroups {
        own: "self",
        states: "subsys",
        pressure: maybe embedded "psi" | pointer "psi",      // a pointer since 6.1
    }
    /// What a controller has of a group.
    CgroupState = "cgroup_subsys_state" for cgroups {
        group: "cgroup",
        children: "children",
        sibling: "sibling",
        parent: "parent",
    }
    /// The memory of a group.
    MemCgroup = "mem_cgroup" for cgroups {
        state: "css",
        memory: "memory",
        swap: maybe "swap",
        high: maybe "memory.high" | "high",
    }
    /// A count with limits, in pages.
    PageCounter = "page_counter" for cgroups {
        usage: "usage",
        min: maybe "min",
        low: maybe "low",
        max: "max" | "limit",                               // renamed in 4.19
        peak: maybe "watermark",
        failures: maybe "failcnt",
    }
    /// How many tasks a group has.
    PidsCgroup = "pids_cgroup" for cgroups {
        state: "css",
        count: "counter",
        limit: "limit",
    }
    /// How much tasks had to wait.
    PsiGroup = "psi_group" for cgroups {
        averages: "avg",
    }
    /// The groups of a task.
    CssSet = "css_set" for cgroups {
        links: "cgrp_links",
    }
    /// That a group is one of them.
    GroupOfSet = "cgrp_cset_link" for cgroups {
        group: "cgrp",
        entry: "cgrp_link",
    }
    /// Where a task has them.
    TaskCgroups = "task_struct" for cgroups {
        groups: maybe "cgroups",
    }
}

constants! {
    /// Numbers of controllers.
    CgroupIds = "numbers of controllers" for cgroups {
        memory: maybe "memory_cgrp_id",
        pids: maybe "pids_cgrp_id",
        cpuset: maybe "cpuset_cgrp_id",
        cpu: maybe "cpu_cgrp_id",
        cpuacct: maybe "cpuacct_cgrp_id",
        blkio: maybe "io_cgrp_id",
        devices: maybe "devices_cgrp_id",
        freezer: maybe "freezer_cgrp_id",
        net_cls: maybe "net_cls_cgrp_id",
        perf_event: maybe "perf_event_cgrp_id",
        net_prio: maybe "net_prio_cgrp_id",
        hugetlb: maybe "hugetlb_cgrp_id",
    }
}

variables! {
    /// All trees of groups.
    CgroupVariables = "trees of control groups" for cgroups {
        roots: "cgroup_roots",
        default: maybe "cgrp_dfl_root",
        system_pressure: maybe "psi_system",
    }
}
