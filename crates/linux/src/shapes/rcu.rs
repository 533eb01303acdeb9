//! kernel/rcu/tree.h, kernel/rcu/rcu_segcblist.h, include/linux/rcu_segcblist.h

shapes! {
    /// All of RCU.
    RcuState = "rcu_state" for rcu locks {
        nodes: "node",
        levels: "level",
        grace_period: "gp_seq",
        state: maybe "gp_state",
        thread: maybe "gp_kthread",
        began: maybe "gp_start",                            // jiffies
        active: maybe "gp_activity",                        // jiffies
        expedited: maybe "expedited_sequence",
    }
    /// A part of the CPUs, or of such parts.
    RcuNode = "rcu_node" for rcu locks {
        waits_for: "qsmask",
        waits_expedited: maybe "expmask",
        first_cpu: "grplo",
        last_cpu: "grphi",
        tasks: maybe "blkd_tasks",
        blocking: maybe "gp_tasks",
        blocking_expedited: maybe "exp_tasks",
    }
    /// What a CPU has.
    RcuData = "rcu_data" for rcu {
        grace_period: "gp_seq",
        callbacks: maybe "cblist.len",
        needs_report: maybe "core_needs_qs",
    }
    /// How a task stands in the list of a node.
    RcuTask = "task_struct" for rcu locks {
        entry: maybe "rcu_node_entry",
        nesting: maybe "rcu_read_lock_nesting",
    }
}

variables! {
    /// Where RCU is.
    RcuVariables = "state of RCU" for rcu locks {
        state: "rcu_state" | "rcu_preempt_state" | "rcu_sched_state",
        data: maybe "rcu_data",
    }
}
