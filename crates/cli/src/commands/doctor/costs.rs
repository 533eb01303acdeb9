//! Which commands read which structures.

/// Structures, by tag, and the commands that read them.
const COSTS: &[(&str, &[&str])] = &[
    ("bin_attribute", &["mod"]),
    ("btf", &["struct", "p", "whatis"]),
    ("btf_module", &["struct", "p", "whatis"]),
    ("cfs_rq", &["runq"]),
    ("cgroup", &["runq"]),
    ("e820_entry", &["mach"]),
    ("e820_table", &["mach"]),
    ("elf64_sym", &["sym", "dis", "bt"]),
    ("gate_struct", &["irq"]),
    ("hrtimer", &["timer"]),
    ("hrtimer_clock_base", &["timer"]),
    ("hrtimer_cpu_base", &["timer"]),
    ("inactive_task_frame", &["bt", "foreach"]),
    ("irq_chip", &["irq"]),
    ("irq_desc", &["irq"]),
    ("irqaction", &["irq"]),
    ("irqstat", &["irq"]),
    ("kernfs_node", &["runq"]),
    ("kmem_cache", &["bt", "rd"]),
    ("maple_node", &["tree"]),
    ("maple_tree", &["tree"]),
    ("mm_struct", &["ps", "vtop", "rd"]),
    ("mod_kallsyms", &["sym", "dis", "bt"]),
    ("module", &["mod", "sym", "dis", "bt"]),
    ("module_layout", &["mod", "sym", "dis", "bt"]),
    ("module_memory", &["mod", "sym", "dis", "bt"]),
    ("module_sect_attr", &["mod"]),
    ("module_sect_attrs", &["mod"]),
    ("page", &["bt", "rd"]),
    ("pcpu_hot", &["ps", "bt"]),
    ("percpu_counter", &["ps"]),
    ("pglist_data", &["sys", "mach"]),
    ("pid", &["ps", "foreach"]),
    ("pid_namespace", &["ps", "foreach"]),
    ("printk_safe_seq_buf", &["log"]),
    ("radix_tree_node", &["ps", "tree"]),
    ("radix_tree_root", &["ps", "tree"]),
    ("rq", &["ps", "bt", "runq"]),
    ("rt_prio_array", &["runq"]),
    ("rt_rq", &["runq"]),
    ("sched_dl_entity", &["runq"]),
    ("dl_rq", &["runq"]),
    ("sched_entity", &["runq"]),
    ("sched_rt_entity", &["runq"]),
    ("signal_struct", &["ps"]),
    ("sk_buff", &["log"]),
    ("sk_buff_head", &["log"]),
    ("slab", &["bt", "rd"]),
    ("softirq_action", &["irq"]),
    ("taint_flag", &["sys"]),
    ("task_group", &["runq"]),
    ("task_struct", &["ps", "bt", "foreach", "task", "runq"]),
    ("timekeeper", &["sys", "log", "ps", "timer"]),
    ("timer_base", &["timer"]),
    ("timer_list", &["timer"]),
    ("tk_data", &["sys", "log", "ps", "timer"]),
    ("tk_read_base", &["sys", "log", "ps", "timer"]),
    ("uts_namespace", &["sys"]),
    ("xa_node", &["ps", "tree"]),
    ("xarray", &["ps", "tree"]),
];

/// The commands that read the structure.
pub(super) fn needed_by(tag: &str) -> &'static [&'static str] {
    COSTS.iter().find(|(shape, _)| *shape == tag).map_or(&[], |(_, commands)| commands)
}

#[cfg(test)]
mod tests {
    use necropsy_debuginfo::Types;
    use necropsy_linux::shapes::Shapes;

    use super::*;
    use crate::registry;

    #[test]
    fn every_structure_costs_something_and_every_command_exists() {
        for (tag, size, _) in Shapes::resolve(&Types::new(8)).all() {
            assert_eq!(size, None);
            assert!(!needed_by(tag).is_empty(), "who reads struct {tag}?");
        }
        for (tag, commands) in COSTS {
            for command in *commands {
                assert!(registry::find(command).is_some(), "{tag}: {command} is no command");
            }
        }
    }
}
