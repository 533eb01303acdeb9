//! Lists, trees, run queues, interrupts and timers of real dumps: facts planted in the guests, and
//! rules that a kernel which died of something else does not break.

use necropsy_synth::Needs;
use std::{env, path::PathBuf};

use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::{
    Kernel,
    list::{list, list_backwards},
    maple,
    rbtree::{Order, rbtree},
    runq::RunQueue,
    xarray,
};
use necropsy_machine::{Target, layout::Overrides};

/// One dump of each kernel, and the one of 6.12 in which tasks wait for a CPU.
const DUMPS: [&str; 4] = ["k510-null", "k612-null", "k72-null", "k612-softlockup"];

fn each(check: impl Fn(&str, &Kernel)) {
    let Some(lab) = env::var_os("NECROPSY_LAB") else {
        eprintln!("SKIPPED: NECROPSY_LAB is not set");
        return;
    };
    for name in DUMPS {
        let file = PathBuf::from(&lab).join("out").join(name).join("vmcore");
        if !file.exists() {
            eprintln!("SKIPPED: {} is not there", file.display());
            continue;
        }
        let dump = Dump::open(&[file], OpenOptions::default()).expect("opens");
        check(name, &Kernel::new(Target::open(dump, &Overrides::default())));
    }
}

fn the_planted_list_has_its_sixteen_objects() {
    each(|name, kernel| {
        let target = kernel.target();
        let head = target.symbol("crashme_widgets").expect("the module is loaded").address;
        // struct crashme_widget { struct list_head link; int serial; … }
        let serials = |links: &[u64]| -> Vec<u32> {
            links.iter().map(|link| target.read_u32(link + 16).expect("there")).collect()
        };
        let forwards: Vec<u64> = list(target, head)
            .checked()
            .map(|l| l.unwrap_or_else(|e| panic!("{name}: {e}")))
            .collect();
        let mut backwards: Vec<u64> =
            list_backwards(target, head).checked().collect::<Result<_, _>>().expect("unbroken");
        assert_eq!(serials(&forwards), (1000..1016).collect::<Vec<_>>(), "{name}");
        backwards.reverse();
        assert_eq!(forwards, backwards, "{name}");
    });
}

fn every_address_space_is_a_sound_tree() {
    each(|name, kernel| {
        let target = kernel.target();
        let layout = maple::Layout::of(kernel);
        let start = kernel.offset_of("vm_area_struct", "vm_start").expect("typed");
        let end = kernel.offset_of("vm_area_struct", "vm_end").expect("typed");
        let mut areas = 0;
        for task in kernel.tasks().tasks {
            let Ok(Some(mm)) = task.mm() else { continue };
            let count = kernel.shapes().mm.map_count.read(target, mm).expect("read");
            let mut last = 0;
            let mut found = 0;
            let mut area = |at: u64| {
                let first = target.read_u64(at + start).expect("read");
                assert!(first >= last, "{name}: area {at:x} of mm {mm:x}");
                last = target.read_u64(at + end).expect("read");
                found += 1;
                (first, last)
            };
            if let Ok(layout) = layout.as_ref() {
                let tree = mm + kernel.offset_of("mm_struct", "mm_mt").expect("typed");
                for entry in maple::entries(target, *layout, tree) {
                    let entry = entry.unwrap_or_else(|e| panic!("{name}: mm {mm:x}: {e}"));
                    let (first, last) = area(entry.raw);
                    assert_eq!((entry.first, entry.last), (first, last - 1), "{name}");
                }
            } else {
                let root = mm + kernel.offset_of("mm_struct", "mm_rb").expect("typed");
                let node = kernel.offset_of("vm_area_struct", "vm_rb").expect("typed");
                for found in rbtree(target, root, Order::Sorted).checked() {
                    let found = found.unwrap_or_else(|e| panic!("{name}: mm {mm:x}: {e}"));
                    area(found.address - node);
                }
            }
            assert_eq!(found, count, "{name}: map_count of mm {mm:x}");
            areas += found;
        }
        assert!(areas > 100, "{name}: {areas} areas");
    });
}

fn the_page_cache_and_the_table_of_pids_are_sound_trees() {
    each(|name, kernel| {
        let target = kernel.target();
        let layout = xarray::Layout::of(kernel).expect("typed");
        let idr = kernel.symbol("init_pid_ns").expect("named")
            + kernel.shapes().pid_namespace.idr.offset().expect("typed");
        let mut last = None;
        for entry in xarray::entries(target, layout, idr).checked() {
            let entry = entry.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(last < Some(entry.index));
            last = Some(entry.index);
        }
        assert!(last > Some(100), "{name}");
        // Every inode of every file system.
        let of = |tag, path| kernel.offset_of(tag, path).expect("typed");
        let mut pages = 0;
        for sb in list(target, kernel.symbol("super_blocks").expect("named")) {
            let inodes =
                sb.expect("unbroken") - of("super_block", "s_list") + of("super_block", "s_inodes");
            for inode in list(target, inodes).checked() {
                let inode = inode.expect("unbroken") - of("inode", "i_sb_list");
                let tree = inode + of("inode", "i_data.i_pages");
                let expected =
                    target.read_u64(inode + of("inode", "i_data.nrpages")).expect("read");
                let mut found = 0;
                for entry in xarray::entries(target, layout, tree).checked() {
                    let entry = entry.unwrap_or_else(|e| panic!("{name}: inode {inode:x}: {e}"));
                    if entry.kind == xarray::Kind::Pointer {
                        found += entry.span;
                    }
                }
                assert_eq!(found, expected, "{name}: nrpages of inode {inode:x}");
                pages += found;
            }
        }
        assert!(pages > 1000, "{name}: {pages} pages");
    });
}

fn run_queues_hold_what_they_count() {
    each(|name, kernel| {
        let mut waiting = Vec::new();
        for cpu in kernel.online_cpus() {
            let rq = RunQueue::of(kernel, cpu).expect("named");
            let fair = rq.fair().expect("typed");
            let realtime = rq.realtime().expect("typed");
            assert!(fair.all_errors().is_empty() && realtime.all_errors().is_empty(), "{name}");
            let counted = kernel.shapes().rq.nr_running.read(kernel.target(), rq.address);
            let stopper = rq.waiting_stopper().expect("read");
            let queued =
                fair.tasks().len() + realtime.tasks().len() + usize::from(stopper.is_some());
            let deadline = rq.deadline().map_or(0, |queue| queue.tasks().len());
            assert_eq!(counted, Ok((queued + deadline) as u64), "{name}: CPU {cpu}");
            let others = fair.tasks().into_iter().filter(|task| !task.current);
            waiting.extend(stopper.map(|task| task.comm().expect("read")));
            waiting.extend(others.map(|task| task.task.comm().expect("read")));
            assert!(rq.clock_ns().expect("read") > 1_000_000_000, "{name}");
        }
        if name == "k612-softlockup" {
            // The stopper, which cannot run, and threads of the CPU that spins: which CPU and which
            // threads, chance decides.
            let spinning = waiting.first().and_then(|comm| comm.strip_prefix("migration/"));
            let spinning = format!("/{}", spinning.expect("the stopper waits"));
            assert!(waiting.iter().all(|comm| comm.contains(&spinning)), "{waiting:?}");
        }
    });
}

fn interrupts_have_their_handlers_and_counts() {
    each(|name, kernel| {
        let (irqs, errors) = kernel.irqs().expect("typed");
        assert!(errors.is_empty(), "{name}");
        let named: Vec<(u64, String)> = irqs
            .iter()
            .flat_map(|irq| irq.actions().into_iter().map(|action| (irq.number, action)))
            .map(|(irq, action)| (irq, action.expect("read").name.expect("read")))
            .collect();
        let expected = [(0, "timer"), (1, "i8042"), (4, "ttyS0"), (8, "rtc0"), (9, "acpi")];
        for (irq, action) in expected {
            assert!(named.contains(&(irq, action.to_owned())), "{name}: {irq} {action}");
        }
        let console = irqs.iter().find(|irq| irq.number == 4).expect("there");
        let count: u64 =
            kernel.online_cpus().iter().map(|c| console.count(*c).expect("read")).sum();
        assert!((1..100_000).contains(&count), "{name}: {count}");
        assert_eq!(console.affinity(), Ok(vec![0, 1]), "{name}");
        let target = kernel.target();
        let handler = |vector: usize| {
            let address = kernel.idt().expect("named")[vector].clone().expect("read");
            target.locate(address).expect("in the kernel").symbol.name
        };
        assert_eq!((handler(14), handler(8)), ("asm_exc_page_fault", "asm_exc_double_fault"));
        let softirqs = kernel.softirqs().expect("typed");
        assert_eq!(softirqs[1].name, "TIMER", "{name}");
        let function = target.locate(softirqs[1].action).expect("in the kernel").symbol.name;
        assert_eq!(function, "run_timer_softirq", "{name}");
    });
}

fn timers_lie_ahead_and_their_functions_are_code() {
    each(|name, kernel| {
        let target = kernel.target();
        assert_eq!(kernel.hz(), Ok(250), "{name}");
        let jiffies = kernel.jiffies().expect("read");
        // They start 300 seconds before the lower half overflows.
        let up = (jiffies - ((1 << 32) - 300 * 250)) / 250;
        let boot = kernel.clocks().expect("read").boot_ns / 1_000_000_000;
        assert!(up.abs_diff(boot) <= 1, "{name}: {up} s by jiffies, {boot} s by the clock");
        let mut timers = 0;
        for cpu in kernel.online_cpus() {
            for wheel in kernel.timer_wheels(cpu).expect("typed") {
                let (found, errors) = kernel.wheel_timers(&wheel).expect("typed");
                assert_eq!(errors, [], "{name}: {wheel:?}");
                timers += found.len();
                assert!(found.iter().all(|timer| target.is_text(timer.function)), "{name}");
            }
            for clock in kernel.clock_bases(cpu).expect("typed") {
                let (found, errors) = kernel.clock_timers(&clock).expect("typed");
                assert_eq!(errors, [], "{name}: {clock:?}");
                assert!(found.iter().all(|timer| target.is_text(timer.function)), "{name}");
                timers += found.len();
            }
        }
        assert!(timers > 10, "{name}: {timers}");
    });
}

necropsy_synth::data_tests! {
    the_planted_list_has_its_sixteen_objects: [Needs::Lab("out")],
    every_address_space_is_a_sound_tree: [Needs::Lab("out")],
    the_page_cache_and_the_table_of_pids_are_sound_trees: [Needs::Lab("out")],
    run_queues_hold_what_they_count: [Needs::Lab("out")],
    interrupts_have_their_handlers_and_counts: [Needs::Lab("out")],
    timers_lie_ahead_and_their_functions_are_code: [Needs::Lab("out")],
}
