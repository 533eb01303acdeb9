//! Functions of the kernel that carry out what their caller asked for, or check it: whoever called
//! them is to blame.

/// Checks and carriers that the decoder of panic texts, which sees no stack of a dump, does not know.
const CARRIERS: [&str; 72] = [
    "__check_object_size",
    "__check_heap_object",
    "check_stack_object",
    "__ubsan_handle_out_of_bounds",
    "__list_add_valid_or_report",
    "__list_del_entry_valid_or_report",
    "__list_add_valid",
    "__list_del_entry_valid",
    "usercopy_abort",
    "usercopy_warn",
    "cache_from_obj",
    "warn_free_bad_obj",
    "__alloc_skb",
    "__netdev_alloc_skb",
    "napi_alloc_skb",
    "alloc_skb_with_frags",
    "proc_register",
    "_proc_mkdir",
    "proc_mkdir",
    "proc_mkdir_data",
    "proc_mkdir_mode",
    "proc_create",
    "proc_create_data",
    "msleep",
    "msleep_interruptible",
    "ssleep",
    "usleep_range",
    "usleep_range_state",
    "mdelay",
    "schedule_timeout",
    "schedule_timeout_interruptible",
    "schedule_timeout_uninterruptible",
    "schedule_timeout_killable",
    "smp_call_function",
    "smp_call_function_many",
    "smp_call_function_many_cond",
    "smp_call_function_single",
    "on_each_cpu_cond_mask",
    "generic_exec_single",
    "csd_lock_wait",
    "__schedule_bug",
    "rcu_note_context_switch",
    "vfree",
    "remove_vm_area",
    "object_err",
    "slab_err",
    "slab_bug",
    "check_bytes_and_report",
    "check_object",
    "alloc_debug_processing",
    "free_debug_processing",
    "alloc_consistency_checks",
    "free_consistency_checks",
    "on_freelist",
    "refill_objects",
    "__pcs_replace_empty_main",
    "__refcount_add",
    "preempt_schedule_irq",
    "kthread",
    "ret_from_fork",
    "ret_from_fork_asm",
    "die",
    "oops_end",
    "delay_tsc",
    "__delay",
    "__const_udelay",
    "cpu_relax",
    "out_of_memory",
    "oom_kill_process",
    "__out_of_memory",
    "__die_body",
    "__die",
];

/// Whether a function of the kernel itself is never to blame.
pub(crate) fn carries_out(function: &str) -> bool {
    // A part that the compiler made is its function's.
    let whole = whole(function);
    let carries = |name: &str| CARRIERS.contains(&name) || necropsy_oops::carries_out(name);
    carries(function) || carries(&whole) || frees(&whole)
}

/// Whether a function frees objects of slabs.
pub(crate) fn frees(function: &str) -> bool {
    const FREES: [&str; 12] = [
        "kfree",
        "kmem_cache_free",
        "__kmem_cache_free",
        "kmem_cache_free_bulk",
        "__slab_free",
        "___cache_free",
        "slab_free",
        "do_slab_free",
        "__kmem_cache_do_free",
        "free_to_partial_list",
        "slab_free_after_rcu_debug",
        "kfree_nolock",
    ];
    let bare = function.split('.').next().unwrap_or(function);
    FREES.contains(&bare)
}

/// A function by its own name: the compiler makes parts of it.
pub(crate) fn whole(name: &str) -> String {
    let part = [".cold", ".part.", ".isra.", ".constprop.", ".llvm."];
    let end = part.iter().filter_map(|part| name.find(part)).min().unwrap_or(name.len());
    name[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::carries_out;

    #[test]
    fn whoever_asked_is_to_blame() {
        for function in [
            "kmem_cache_free",
            "kfree",
            "memcpy",
            "strcmp",
            "__stack_chk_fail",
            "refcount_warn_saturate",
            "__mutex_lock.constprop.0",
            "schedule",
            "asm_exc_page_fault",
            "usercopy_abort",
            "native_queued_spin_lock_slowpath",
            "_raw_spin_lock",
            "vsnprintf",
            "process_one_work",
            "out_of_memory.cold",
            "vfree.part.0",
        ] {
            assert!(carries_out(function), "{function}");
        }
        for function in ["__shm_close", "ext4_writepages", "proc_reg_write", "waiter_main"] {
            assert!(!carries_out(function), "{function}");
        }
    }
}
