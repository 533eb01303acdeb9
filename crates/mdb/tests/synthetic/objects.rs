//! Kernel objects: what was planted is found.

use necropsy_synth::illumos::Options;

use super::Session;

#[test]
fn the_panic_and_the_log() {
    let (mut session, made) = Session::made(Options::default());
    let status = session.lines("::status");
    assert_eq!(status[0], "debugging crash dump vmcore.0 (64-bit) from synth");
    assert_eq!(status[1], "operating system: 5.11 necropsy_test (i86pc)");
    assert_eq!(status[2], "image uuid: 01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(status[3], "panic message: BAD TRAP: synthetic");
    assert_eq!(status[4], "dump content: kernel pages only");
    let stack: Vec<String> = made
        .planted
        .panic_stack
        .iter()
        .map(|(name, args)| {
            let args: Vec<String> = args.iter().map(|arg| format!("{arg:x}")).collect();
            format!("{name}+0x10({})", args.join(", "))
        })
        .collect();
    assert_eq!(session.lines("$c"), stack);
    assert_eq!(session.lines("::msgbuf")[1..], made.planted.messages);
    assert!(session.run("::panicinfo").contains(&format!("{:x}", made.planted.panic_thread)));
}

#[test]
fn processes_and_threads() {
    for options in [
        Options::default(),
        // Another release: members elsewhere, threads without names, types not packed.
        Options { shift: 24, named: false, packed: false, ..Options::default() },
    ] {
        let (mut session, made) = Session::made(options);
        let planted = &made.planted;
        let walked: Vec<String> =
            planted.processes.iter().map(|&(.., at)| format!("{at:x}")).collect();
        assert_eq!(session.lines("::walk proc"), walked);
        let ps = session.lines("::ps -f");
        for ((name, pid, ppid, at), line) in planted.processes.iter().zip(&ps[1..]) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert_eq!(words[1..3], [pid.to_string(), ppid.to_string()]);
            assert!(line.ends_with(&format!("{at:016x} /usr/bin/{name} -x")), "{line}");
        }
        assert!(ps[4].starts_with('Z'));
        let threads: Vec<String> = planted.threads.iter().map(|at| format!("{at:x}")).collect();
        assert_eq!(session.lines("::walk thread"), threads);
        assert_eq!(session.lines("::pgrep -x cat | ::walk thread").len(), 1);
        assert_eq!(session.lines("::pgrep cat | ::ptree").len(), 3);
        let stack = session.run(&format!("{}::findstack -v", threads[0]));
        for name in &planted.sleeping_stack {
            assert!(stack.contains(&format!("{name}+0x10")), "{stack}");
        }
        assert!(stack.contains("cv_wait+0x10(1111, 2222)"), "{stack}");
        assert_eq!(stack.contains("(sleeper)"), options.named);
        // The stacks that lead nowhere say so.
        let broken = session.warnings(&format!("{:x}::findstack", planted.broken));
        assert!(broken.contains("no consistent stack found"), "{broken}");
        let stacks = session.run("::stacks -c cv_wait");
        assert!(stacks.contains(&format!("SLEEP    CV               {:>8}", options.sleepers)));
        assert!(session.run("::cpuinfo").contains("cat"));
        assert!(session.run("::modinfo").contains("broken"));
        assert!(session.run("::zone").contains("global"));
    }
}

#[test]
fn kernel_memory_that_is_corrupt() {
    let (mut session, made) = Session::made(Options::default());
    let planted = &made.planted;
    let verdict = session.run(&format!("{:x}::kmem_verify", planted.cache));
    let overrun =
        format!("buffer {:x} (allocated) has a corrupt redzone size encoding", planted.overrun);
    let tag = format!("buffer {:x} (allocated) has a corrupt buftag", planted.bad_tag);
    let (buffer, at) = planted.written_after_free;
    let freed = format!("buffer {buffer:x} (free) seems corrupted, at {at:x}");
    for wanted in [overrun, tag, freed] {
        assert!(verdict.contains(&wanted), "{wanted}: {verdict}");
    }
    assert_eq!(verdict.lines().count(), 4);
    assert!(session.run("::kmem_verify").contains("3 corrupt buffers"));
    let free = session.lines(&format!("{:x}::walk freemem", planted.cache));
    assert_eq!(free.len(), planted.free.len() + 1);
    let whatis = session.run(&format!("{:x}::whatis", buffer + 16));
    assert!(whatis.contains(&format!("is {buffer:x}+10, freed from checked_64:")), "{whatis}");
    assert!(whatis.contains(planted.freed_by), "{whatis}");
    assert!(session.run("::kmalog").contains("T-0.000000500"));
    let leaks = session.run("::findleaks");
    assert!(leaks.contains("1 buffer, 64 bytes"), "{leaks}");
    let users = session.run("::kmausers -e");
    assert!(users.contains("384 bytes for 6 allocations with data size 64:"), "{users}");
    let found = session.lines(&format!("{:x}::kgrep", planted.overrun + 8));
    assert_eq!(found.len(), 1);
}

#[test]
fn sizes_are_in_the_form_of_the_kernel_s_time() {
    for (named, size, memory) in [(true, "64", "4K"), (false, "64", "4096B")] {
        let (mut session, _) = Session::made(Options { named, ..Options::default() });
        let lines = session.lines("::kmastat");
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(words, ["checked_64", size, "6", "10", memory, "50", "0"]);
    }
}

#[test]
fn types_with_all_their_oddities() {
    let (mut session, made) = Session::made(Options::default());
    let names = session.run(&format!("{:x}::print", made.planted.utsname));
    assert!(names.contains("    sysname = [ \"SunOS\" ]"), "{names}");
    assert!(session.run("utsname::print nodename").contains("[ \"synth\" ]"));
    assert!(session.run("::offsetof struct large_demo last").contains("0x2324"));
    assert!(session.run("::offsetof struct flags_demo high").contains("0x3, 0x5 bits"));
    assert!(session.run("::sizeof struct flags_demo").contains("0x10"));
    assert!(session.run("::enum vtype").contains("1 = VREG"));
    let comm = session.run("p0::print proc_t p_user.u_comm");
    assert!(comm.contains("sched"));
    // Every member that was moved is found by its name, and a kernel's lack is named.
    let check = session.run("::self_check");
    assert!(check.contains("missing member           proc_t.p_task"), "{check}");
}

#[test]
fn lists_that_run_in_circles_end() {
    let (mut session, _) = Session::made(Options { circles: true, ..Options::default() });
    assert!(session.warnings("::walk thread").contains("circle"));
    assert_eq!(session.lines("::modinfo").len(), 4);
    assert!(session.warnings("::modinfo").contains("the list of modules runs in a circle"));
}

#[test]
fn files_and_devices() {
    let (mut session, _) = Session::made(Options::default());
    let files = session.lines("::pgrep -x cat | ::pfiles");
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files[1].starts_with("   0  CHR ") && files[1].ends_with("/pseudo/broken@0:broken"));
    assert!(files[2].starts_with("   2  REG ") && files[2].ends_with(" /etc/motd"));
    let paths = session.lines("::pgrep -x cat|::walk file|::print file_t f_vnode|::vnode2path");
    assert_eq!(paths, ["/devices/pseudo/broken@0:broken", "/etc/motd"]);
    let tree: Vec<String> = session
        .lines("::prtconf")
        .iter()
        .map(|line| line[line.len() - line.trim_start().len()..].to_owned())
        .collect();
    assert_eq!(session.lines("::walk devinfo").len(), 4);
    assert!(tree[1].ends_with(" i86pc") && tree[3].ends_with(" disk, instance #1"), "{tree:?}");
}

#[test]
fn the_report_gives_a_verdict() {
    let (mut session, made) = Session::made(Options::default());
    let report = session.run("::report");
    let verdict = report.lines().find(|line| line.starts_with("verdict")).unwrap();
    let (buffer, _) = made.planted.written_after_free;
    let wanted = format!("buffer modified after being freed: {buffer:x} of checked_64");
    assert!(verdict.contains(&wanted), "{verdict}");
    assert!(verdict.contains("freed last by broken_ioctl+0x10"), "{verdict}");
    let (mut session, made) = Session::made(Options { deadlock: true, ..Options::default() });
    let report = session.run("::report");
    let [first, second, third, fourth, ..] = made.planted.threads[..] else { panic!() };
    let deadlock = report.lines().find(|line| line.starts_with("deadlock")).unwrap();
    for thread in [first, second] {
        assert!(deadlock.contains(&format!("held by thread {thread:x} (sleeper)")), "{deadlock}");
    }
    assert!(deadlock.contains("mutex lock_a") && deadlock.contains("mutex lock_b"), "{deadlock}");
    let waits = report.lines().find(|line| line.starts_with("waits")).unwrap();
    assert!(waits.contains(&format!("thread {third:x} (sleeper) waits for readers-writer lock")));
    assert!(waits.contains(&format!("held by thread {fourth:x}")), "{waits}");
    assert!(session.run("lock_rw::rwlock").contains(&format!("{fourth:x}")));
    // A deadlock explains why somebody asked for a dump, and no trap.
    for (message, wanted) in [
        ("forced crash dump initiated at user request", "verdict      deadlock: thread "),
        ("BAD TRAP: type=6 (#ud Invalid opcode)", "verdict      a trap (#ud Invalid opcode) in "),
    ] {
        let options = Options { deadlock: true, checked: false, message, ..Options::default() };
        let report = Session::made(options).0.run("::report");
        assert!(report.contains(wanted), "{report}");
        assert!(report.lines().any(|line| line.starts_with("deadlock")), "{report}");
    }
}

#[test]
fn the_verdict_is_that_of_the_panic_s_own_kind() {
    let verdict = |message| {
        let options = Options { message, checked: false, ..Options::default() };
        let (mut session, _) = Session::made(options);
        let report = session.run("::report");
        assert!(report.contains("caches are not checked: kmem_flags"), "{report}");
        let line = report.lines().find(|line| line.starts_with("verdict")).unwrap();
        line.trim_start_matches("verdict").trim().to_owned()
    };
    for (message, wanted) in [
        (
            "BAD TRAP: type=e (#pf Page fault) rp=ffffff00025b7a80 addr=8 occurred in module \
             \"broken\" due to a NULL pointer dereference",
            "a NULL pointer was used in broken_read+0x10",
        ),
        (
            "BAD TRAP: type=e (#pf Page fault) rp=ffffff00025b7a80 addr=80632c0 occurred in module \
             \"broken\" due to an illegal access to a user address",
            "a trap (#pf Page fault) at address 80632c0, which is of a process in broken_read+0x10",
        ),
        (
            "BAD TRAP: type=d (#gp General protection) rp=ffffff00025b7a80 addr=fffffffffbc2f8e0",
            "a trap (#gp General protection) in broken_read+0x10",
        ),
        (
            "BAD TRAP: type=8 (#df Double fault) rp=fffffffffbc2f8e0 addr=0",
            "a trap (#df Double fault) in broken_read+0x10",
        ),
        (
            "assertion failed: rc->rc_count == number (0x0 == 0x2), file: ../../zfs/refcount.c, \
             line: 75",
            "an assertion failed in broken_read+0x10: rc->rc_count == number (0x0 == 0x2), file: \
             ../../zfs/refcount.c, line: 75",
        ),
        (
            "deadman: timed out after 50 seconds of clock inactivity",
            "the clock stood still (deadman: timed out after 50 seconds of clock inactivity): what \
             kept the CPUs busy is shown by ::cpuinfo -v",
        ),
        (
            "forced crash dump initiated at user request",
            "somebody asked for this dump: forced crash dump initiated at user request",
        ),
        (
            "I/O to pool 'zones' appears to be hung.",
            "the kernel panicked in broken_read+0x10: I/O to pool 'zones' appears to be hung.",
        ),
    ] {
        assert_eq!(verdict(message), wanted);
    }
}

#[test]
fn a_call_of_a_null_pointer_names_the_caller() {
    let options = Options { jumped: true, checked: false, ..Options::default() };
    let (mut session, _) = Session::made(options);
    assert!(session.lines("$c")[0].starts_with("0()"), "{:?}", session.lines("$c"));
    let report = session.run("::report");
    let wanted = "the kernel jumped to 0x0, where there is no code, called from broken_read+0x10";
    assert!(report.contains(wanted), "{report}");
}

#[test]
fn what_the_allocator_said_is_the_verdict_even_where_nothing_is_recorded() {
    const SAID: &[&str] = &[
        "kernel memory allocator: ",
        "duplicate free: buffer freed twice\n",
        "buffer=ffffff00f18794c0  bufctl=ffffff00f18aaec8  cache: kmem_alloc_256\n",
    ];
    let message = "kernel heap corruption detected";
    for checked in [true, false] {
        let options = Options { said: SAID, checked, message, ..Options::default() };
        let (mut session, _) = Session::made(options);
        let report = session.lines("::report");
        let verdict = report.iter().find(|line| line.starts_with("verdict")).unwrap();
        let wanted = "kernel memory is corrupt: duplicate free: buffer freed twice: \
                      ffffff00f18794c0 of kmem_alloc_256";
        assert!(verdict.ends_with(wanted), "{verdict}");
        let panic = report.iter().find(|line| line.starts_with("panic  ")).unwrap();
        assert!(panic.ends_with("kernel heap corruption detected"), "{panic}");
    }
    // Nothing is recorded: each dcmd that asks for a record says so.
    let (mut session, made) = Session::made(Options { checked: false, ..Options::default() });
    let line = format!("{:x}::kmem_verify", made.planted.cache);
    assert!(session.warnings("::kmalog").contains("kmem_flags was not set"));
    assert!(session.warnings("::kmausers").contains("KMF_AUDIT is not enabled"));
    assert_eq!(session.lines("::kmem_verify").len(), 1);
    assert!(session.warnings(&line).contains("does not have KMF_REDZONE"));
}

#[test]
fn pages_by_what_they_are_used_for() {
    let (mut session, made) = Session::made(Options::default());
    let lines = session.lines("::memstat");
    assert_eq!(lines[0], "Page Summary                Pages                MB  %Tot");
    for (line, (what, count)) in lines[2..].iter().zip(made.planted.pages) {
        let percent = count / 10;
        assert_eq!(*line, format!("{what:<16} {count:>16}  {:>16}  {percent:>3}%", count / 256));
    }
    assert_eq!(lines.last().unwrap().split_whitespace().nth(1), Some("1000"));
}

#[test]
fn streams_mounts_pools_and_accounts() {
    let (mut session, made) = Session::made(Options::default());
    let queues = session.lines("*stream_head::walk qnext | ::queue -v");
    assert_eq!(queues[0].split_whitespace().nth(1), Some("MODULE"));
    assert!(queues[1].contains(" ldterm        000021    1 "), "{queues:?}");
    assert!(queues[2].ends_with("| QENAB") && queues[3].ends_with("| QUSE"), "{queues:?}");
    assert!(queues[4].contains(" ptem "), "{queues:?}");
    let message = session.lines("*stream_head::print queue_t q_first | ::walk b_next | ::mblk");
    assert!(message[1].contains(" proto   12    64 "), "{message:?}");

    let mounts = session.lines("::fsinfo");
    assert!(mounts[1].ends_with(" zfs             /"), "{mounts:?}");
    assert_eq!(session.lines("::walk vfs").len(), 1);
    assert!(session.lines("::spa")[1].ends_with(" ACTIVE zones"));

    let file = session.run("::pgrep -x cat | ::fd 2");
    assert!(file.starts_with("ffffff"), "{file}");
    let open = session.lines("::pgrep -x cat | ::fd 2 | ::print file_t f_vnode | ::whereopen");
    assert_eq!(open, [format!("{:x}", made.planted.processes[2].3)]);
    assert!(session.warnings("::pgrep -x cat | ::fd 1").contains("no open file"));

    let cred = session.lines("p0::print proc_t p_cred | ::cred");
    let words: Vec<&str> = cred[1].split_whitespace().skip(1).collect();
    assert_eq!(words, ["0"; 4]);
    assert_eq!(session.lines("0::zid2zone | ::zone").len(), 2);
    assert!(session.warnings("7::zid2zone").contains("no zone has the number 0t7"));

    let disk = session.lines("::devbindings 5b");
    assert!(disk[1].ends_with(" disk, instance #1"), "{disk:?}");
    assert_eq!(session.lines("::devbindings disk"), disk);
    assert_eq!(session.lines("*top_devinfo::devinfo -s").len(), 2);
    let number = session.lines("5b00000003::devt");
    assert_eq!(number[1].split_whitespace().collect::<Vec<_>>(), ["91", "3"]);
}

#[test]
fn every_macro_leads_to_a_dcmd() {
    let (mut session, _) = Session::made(Options::default());
    for line in session.lines("$M") {
        let (name, text) = line.split_once(' ').unwrap();
        let dcmd = text.rsplit("::").next().unwrap().split_whitespace().next().unwrap();
        assert!(session.run(&format!("::help {dcmd}")).contains("SYNOPSIS"), "{name}: {text}");
    }
}

#[test]
fn cpus_are_shown_as_they_were_when_the_kernel_panicked() {
    let (mut session, _) = Session::made(Options { cpus: 4, ..Options::default() });
    let all = session.lines("::cpuinfo");
    assert_eq!(all.len(), 5);
    let numbers: Vec<&str> = all[1..].iter().filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(numbers, ["0", "1", "2", "3"]);
    assert!(all[2].ends_with("(idle)"));
    // The list's own entry of the first one was disturbed since.
    for line in ["0::cpuinfo", "*cpu_list::cpuinfo", "::walk cpu | ::head -1 | ::cpuinfo"] {
        assert_eq!(session.lines(line)[1], all[1], "{line}");
    }
    let one = session.lines("2::cpuinfo");
    assert_eq!(one[1], all[3]);
}

#[test]
fn a_live_dump_has_no_panic() {
    let (mut session, _) = Session::made(Options { live: true, ..Options::default() });
    let status = session.lines("::status");
    assert_eq!(status[0], "debugging crash dump vmcore.0 (64-bit) from synth");
    assert_eq!(status[3], "panic message:");
    assert!(session.warnings("::status").contains("savecore -L"));
    assert!(session.warnings("::panicinfo").contains("did not panic"));
    assert!(session.warnings("$C").contains("no registers of a panic"));
    assert!(session.warnings("$r").contains("no registers"));
    assert_eq!(session.lines("::ps").len(), 5);
    assert!(session.run("::stacks -c cv_wait").contains("SLEEP"));
    assert!(session.run("::report").contains("kernel memory is corrupt"));
}

#[test]
fn a_kernel_without_types_still_has_names_and_a_stack() {
    let (mut session, made) = Session::made(Options { typed: false, ..Options::default() });
    let stack = session.lines("$c");
    let functions = made.planted.panic_stack.iter().map(|(name, _)| format!("{name}+0x10()"));
    assert_eq!(stack, functions.collect::<Vec<_>>());
    assert_eq!(session.lines("::status").len(), 5);
    assert!(session.run("::modinfo").contains("broken"));
    assert!(session.run("read::dis").contains("pushq  %rbp"));
    assert!(session.run("utsname/s").contains("SunOS"));
    for line in ["::ps", "::walk thread", "::cpuinfo", "::kmastat", "::msgbuf", "::zone"] {
        let told = session.warnings(line);
        assert!(told.contains("no member") || told.contains("there is no"), "{line}: {told}");
    }
    assert!(session.warnings("p0::print proc_t").contains("unknown type"));
}

/// Each page in turn is not there: what needs it says so, and the rest is answered.
#[test]
fn dumps_with_pages_missing_answer_what_they_can() {
    let whole = necropsy_synth::illumos::Kernel::new(Options { sleepers: 4, ..Options::default() });
    for every in 0..whole.dump.pages.len() {
        let mut dump = whole.dump.clone();
        dump.pages.remove(every);
        let mut session = Session::on(super::open(dump.vmcore()));
        for line in ["::status", "::ps", "::walk thread | ::findstack", "::stacks", "::report"] {
            session.run(line);
        }
        assert!(session.run("::status").contains("debugging crash dump"));
    }
}
