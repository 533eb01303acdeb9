//! Printed values and types against crash, on a real dump.
//!
//! Needs `NECROPSY_LAB` and `NECROPSY_CRASH`: a command that, given `KERNEL-SCENARIO` and lines of
//! crash commands as its two last arguments, prints what crash answers.

use necropsy_synth::Needs;
use std::{env, fmt::Write as _, path::PathBuf, process::Command};

use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{
    Target,
    expr::evaluate,
    format::{self, Offsets, Radix, Style},
    layout::Overrides,
    value::Value,
};

/// The kernel of a scenario of the lab and crash's answers to `commands`; `None` without either.
fn both(scenario: &str, commands: &[String]) -> Option<(Kernel, Vec<String>)> {
    let (Some(lab), Some(crash)) = (env::var_os("NECROPSY_LAB"), env::var("NECROPSY_CRASH").ok())
    else {
        eprintln!("SKIPPED: NECROPSY_LAB or NECROPSY_CRASH is not set");
        return None;
    };
    // A value that is printed between the commands tells their answers apart.
    let script: String = commands.iter().fold(String::new(), |mut script, command| {
        let _ = writeln!(script, "{command}\np 987654321");
        script
    });
    let mut words = crash.split_whitespace();
    let output = Command::new(words.next().expect("a command"))
        .args(words)
        .args([scenario, &script])
        .output()
        .expect("crash runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut answers = vec![String::new()];
    for line in text.lines() {
        if line.starts_with('$') && line.ends_with("= 987654321") {
            answers.push(String::new());
        } else if let Some(answer) = answers.last_mut() {
            answer.push_str(line);
            answer.push('\n');
        }
    }
    answers.pop();
    assert_eq!(answers.len(), commands.len(), "crash answers every command");
    let vmcore = PathBuf::from(lab).join("out").join(scenario).join("vmcore");
    let dump = Dump::open(&[vmcore], OpenOptions::default()).expect("the dump opens");
    Some((Kernel::new(Target::open(dump, &Overrides::default())), answers))
}

/// Answers a command as the command line will.
fn answer(kernel: &Kernel, command: &str) -> String {
    let mut words = command.split_whitespace();
    let (verb, rest) = command.split_once(' ').expect("an argument");
    words.next();
    let mut style = Style::default();
    let mut out = String::new();
    match verb {
        "p" | "px" => {
            if verb == "px" {
                style.radix = Radix::Hexadecimal;
            }
            match evaluate(kernel, rest) {
                Ok(value) => writeln!(out, "{}", format::print(kernel, &value, &style)),
                Err(error) => writeln!(out, "{error}"),
            }
            .expect("a string");
        }
        "struct" | "union" | "whatis" => {
            let mut offsets = Offsets::None;
            let mut address = None;
            let mut name = "";
            for word in words {
                match word {
                    "-o" => offsets = Offsets::Relative(Radix::Decimal),
                    "-x" => style.radix = Radix::Hexadecimal,
                    "struct" | "union" | "enum" => {}
                    _ => match u64::from_str_radix(word, 16) {
                        Ok(at) if word.len() == 16 => address = Some(at),
                        _ => name = word,
                    },
                }
            }
            let (tag, members) = name.split_once('.').unwrap_or((name, ""));
            let kinds = [
                necropsy_debuginfo::Kind::Struct,
                necropsy_debuginfo::Kind::Union,
                necropsy_debuginfo::Kind::Typedef,
                necropsy_debuginfo::Kind::Enum,
            ];
            let ty = kinds.iter().find_map(|&kind| kernel.types().find(kind, tag));
            let Some(ty) = ty else { return format!("no type {tag}\n") };
            let paths: Vec<&str> = members.split(',').filter(|path| !path.is_empty()).collect();
            match (address, paths.is_empty()) {
                (Some(at), true) if offsets == Offsets::None => {
                    format::write_instance(&mut out, kernel, &Value::at(ty, at), &style)
                        .expect("a string");
                }
                (Some(at), false) if offsets == Offsets::None => {
                    format::write_members(&mut out, kernel, &Value::at(ty, at), &paths, &style)
                        .expect("a string");
                }
                (at, false) => {
                    let offsets = at.map_or(offsets, Offsets::Absolute);
                    format::write_member_offsets(&mut out, kernel.types(), ty, &paths, offsets)
                        .expect("a string");
                }
                (at, true) => {
                    let offsets = at.map_or(offsets, Offsets::Absolute);
                    format::write_definition(&mut out, kernel.types(), ty, offsets)
                        .expect("a string");
                }
            }
        }
        _ => panic!("{verb}"),
    }
    out
}

/// An answer without `name = ` and `$12 = ` in front, and without the line break that crash puts
/// between them and an array.
fn value_of(answer: &str) -> String {
    let mut rest = answer;
    if let Some(at) = rest.find('$') {
        let number = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if let Some(value) = rest[at + 1 + number..].strip_prefix(" = ") {
            rest = value.strip_prefix("\n ").unwrap_or(value);
        }
    }
    rest.to_owned()
}

fn compare(scenario: &str, commands: &[String]) {
    let Some((kernel, answers)) = both(scenario, commands) else { return };
    let mut different = 0;
    for (command, crash) in commands.iter().zip(&answers) {
        let crash = value_of(crash);
        let ours = answer(&kernel, command);
        if crash != ours {
            different += 1;
            eprintln!("==== {scenario}: {command}");
            let mut shown = 0;
            for (theirs, ours) in crash.lines().zip(ours.lines()) {
                if theirs != ours && shown < 6 {
                    eprintln!("  crash {theirs:.200}\n  ours  {ours:.200}");
                    shown += 1;
                }
            }
            if crash.lines().count() != ours.lines().count() {
                eprintln!("  {} and {} lines", crash.lines().count(), ours.lines().count());
            }
        }
    }
    assert_eq!(different, 0, "{different} of {} answers differ", commands.len());
}

fn types_print_as_in_crash() {
    let mut commands = Vec::new();
    for name in [
        "list_head",
        "page",
        "task_struct",
        "mm_struct",
        "vm_area_struct",
        "file",
        "inode",
        "dentry",
        "super_block",
        "zone",
        "rq",
        "cfs_rq",
        "sk_buff",
        "sock",
        "net_device",
        "file_operations",
        "spinlock",
        "mutex",
        "rw_semaphore",
        "module",
        "kmem_cache",
        "slab",
        "gendisk",
        "request_queue",
        "perf_event_attr",
        "seq_operations",
        "ctl_table",
        "file_lock",
        "in6_addr",
        "sockaddr",
        "cred",
        "pid",
        "signal_struct",
        "hrtimer_cpu_base",
        "xarray",
        "work_struct",
        "timer_list",
        "pt_regs",
        "thread_struct",
        "bpf_prog",
        "cgroup",
        "irq_desc",
        "device",
        "kobject",
        "cpumask",
        "maple_node",
        "pglist_data",
        "nsproxy",
    ] {
        commands.push(format!("struct {name}"));
        commands.push(format!("struct {name} -o"));
    }
    for name in ["spinlock_t", "pid_t", "atomic_t", "gfp_t", "pid_type", "system_states"] {
        commands.push(format!("whatis {name}"));
    }
    compare("k612-null", &commands);
}

fn values_print_as_in_crash() {
    let mut commands = Vec::new();
    for expression in [
        "jiffies",
        "init_task.comm",
        "&init_task",
        "init_task.tasks",
        "__per_cpu_offset",
        "saved_command_line",
        "schedule",
        "&schedule",
        "*schedule",
        "1+1",
        "(char)65",
        "init_task.thread_info",
        "init_task.cpus_mask",
        "init_task.se.load",
        "init_task.mm",
        "init_task.sched_class",
        "*init_task.sched_class",
        "init_mm.pgd",
        "init_task.nsproxy->uts_ns->name",
        "init_net",
        "modules",
        "tasklist_lock",
        "&init_task.tasks",
        "init_task.tasks.next",
        "*init_task.tasks.next",
        "system_state",
        "panic_on_oops",
        "init_uts_ns",
        "init_task.pending",
        "&init_task.comm",
        "init_task.comm[0]",
        "&init_task.comm[0]",
        "(char*)init_task.comm",
        "init_task.comm[0]@4",
        "*modules.next@2",
        "init_pid_ns.idr",
        "init_cred",
        "(bool)1",
        "(unsigned char)200",
        "'a'",
        "'a'+1",
        "1<<31",
        "2147483647+1",
        "0xffffffff+1",
        "~0ul",
        "sizeof(struct task_struct)",
        "(long)&((struct task_struct*)0)->comm",
        "&((struct task_struct*)0)->pid",
        "init_task.cpus_mask.bits[0]",
        "init_task.cpus_mask.bits[0]@3",
        "init_task.pid_links",
        "&init_task.pid_links",
        "schedule+4",
        "&schedule+1",
        "(void*)&init_task",
        "sysfs_fs_type",
        "softirq_vec",
        "softirq_to_name",
        "sys_call_table",
        "console_printk",
        "tainted_mask",
        "boot_cpu_data",
        "slab_state",
        "dl_task_timer",
        "panic_notifier_list",
        "init_task.thread.fpu",
        "kmalloc_caches",
        "init_task.signal",
        "*init_task.signal",
        "init_task.comm + 1",
        "SYSTEM_RUNNING",
        "SYSTEM_RUNNING + 1",
        "(enum pid_type)77",
        "{struct list_head}&init_task.tasks",
        "*init_task.comm@4",
        "init_task.prio + 0ul",
        "(u8)255",
        "(u64)-1",
        "root_task_group",
        "init_user_ns",
    ] {
        commands.push(format!("p {expression}"));
        commands.push(format!("px {expression}"));
    }
    compare("k612-null", &commands);
}

necropsy_synth::data_tests! {
    types_print_as_in_crash: [Needs::Lab("out"), Needs::Variable("NECROPSY_CRASH")],
    values_print_as_in_crash: [Needs::Lab("out"), Needs::Variable("NECROPSY_CRASH")],
}
