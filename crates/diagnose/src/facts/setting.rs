//! For whom the code that failed was run: a system call, a work item, a timer, an interrupt, a kernel
//! thread. The stack tells.

use crate::case::Case;

/// Functions that run others, which stand just inside them, and what those are.
const RUNNERS: [(&str, &str); 16] = [
    ("process_one_work", "work item"),
    ("call_timer_fn", "timer"),
    ("expire_timers", "timer"),
    ("__run_timers", "timer"),
    ("__hrtimer_run_queues", "high-resolution timer"),
    ("tasklet_action_common", "tasklet"),
    ("tasklet_action", "tasklet"),
    ("rcu_do_batch", "RCU callback"),
    ("__handle_irq_event_percpu", "interrupt handler"),
    ("irq_thread", "threaded interrupt handler"),
    ("handle_softirqs", "softirq"),
    ("__do_softirq", "softirq"),
    ("multi_cpu_stop", "CPU stopper"),
    ("do_one_initcall", "initcall"),
    ("do_init_module", "initcall of a module"),
    ("kthread", "kernel thread"),
];

/// `work item work_main`, from the stack of a task; `None` where it runs for nobody in particular.
pub(super) fn of(case: &Case<'_>) -> Option<String> {
    let failed = case.failed()?;
    let outer = failed + 1..case.trace().frames.len();
    outer.into_iter().find_map(|number| {
        let name = case.function(number)?;
        let bare = name.split('.').next().unwrap_or(name);
        let (_, what) = RUNNERS.iter().find(|(runner, _)| *runner == bare)?;
        let ran = case.function(number - 1)?;
        Some(format!("{what} {}", crate::blame::whole(ran)))
    })
}
