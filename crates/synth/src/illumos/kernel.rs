//! A kernel's memory image, and what was put into it.

use super::{
    container::Dump,
    ctf::Ctf,
    layout::Layouts,
    memory::Memory,
    symbols::{Symbol, ksyms, table},
};

const TEXT: u64 = 0xffff_ffff_fb80_0000;
const DATA: u64 = 0xffff_ffff_fbc0_0000;
const DRIVER: u64 = 0xffff_ffff_f800_0000;
const HEAP: u64 = 0xffff_ff00_c000_0000;
const STACKS: u64 = 0xffff_ff00_0200_0000;
const STACK_SIZE: u64 = 0x5000;
/// Return addresses lie this far into functions.
const INSIDE: u64 = 0x10;

/// What kernel is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many threads sleep, with the same stack.
    pub sleepers: usize,
    /// Members of the large structures lie so many bytes further on: another release.
    pub shift: u64,
    /// Threads have names, as since 2018.
    pub named: bool,
    /// Types are packed.
    pub packed: bool,
    /// The list of modules, that of threads and a hash chain run in circles.
    pub circles: bool,
    /// The first two sleepers wait for each other, the third for the fourth.
    pub deadlock: bool,
    /// How many CPUs; the first one panicked, the others are idle.
    pub cpus: u64,
    /// Modules have types.
    pub typed: bool,
    /// The system did not panic: `savecore -L`.
    pub live: bool,
    /// The panic message.
    pub message: &'static str,
    /// The function that panicked called a null pointer.
    pub jumped: bool,
    /// More messages in the log, the last ones.
    pub said: &'static [&'static str],
    /// The checks of kernel memory (`kmem_flags`) were on at boot. Else no transaction is recorded,
    /// and what was written where it should not be is there all the same.
    pub checked: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sleepers: 20,
            shift: 0,
            named: true,
            packed: true,
            circles: false,
            deadlock: false,
            cpus: 1,
            typed: true,
            live: false,
            message: "BAD TRAP: synthetic",
            jumped: false,
            said: &[],
            checked: true,
        }
    }
}

/// What was put in.
#[derive(Debug, Default, Clone)]
pub struct Planted {
    /// Name, number, parent's number, address.
    pub processes: Vec<(String, u32, u32, u64)>,
    /// Addresses of all threads, in the order of the list.
    pub threads: Vec<u64>,
    /// The thread that panicked.
    pub panic_thread: u64,
    /// Its functions, the innermost first, with arguments.
    pub panic_stack: Vec<(&'static str, Vec<u64>)>,
    /// The functions of a sleeping thread.
    pub sleeping_stack: Vec<&'static str>,
    /// Messages, as they are printed.
    pub messages: Vec<String>,
    /// Buffers of the cache `checked_64`: allocated and good.
    pub good: Vec<u64>,
    /// Allocated, written beyond its end.
    pub overrun: u64,
    /// Free, written after that; and where.
    pub written_after_free: (u64, u64),
    /// Allocated, with a state that does not fit.
    pub bad_tag: u64,
    /// Free and good.
    pub free: Vec<u64>,
    /// Allocated, and nothing points to it.
    pub leaked: u64,
    /// The cache's address.
    pub cache: u64,
    /// Who freed the buffer last: the innermost function that is not the allocator's.
    pub freed_by: &'static str,
    /// The thread whose chain of frames is broken.
    pub broken: u64,
    /// The thread whose chain of frames is a ring.
    pub ring: u64,
    /// Address of a variable of type `struct utsname`.
    pub utsname: u64,
    /// What pages are used for, by the words of `::memstat`, and how many.
    pub pages: &'static [(&'static str, u64)],
}

/// A kernel.
#[derive(Debug)]
pub struct Kernel {
    /// The dump of it.
    pub dump: Dump,
    /// What was put in.
    pub planted: Planted,
}

/// Pages by what they are used for.
const PAGES: &[(&str, u64)] = &[
    ("Kernel", 500),
    ("ZFS File Data", 300),
    ("Anon", 100),
    ("Exec and libs", 40),
    ("Page cache", 30),
    ("Free (cachelist)", 10),
    ("Free (freelist)", 20),
];

/// Functions of each module: name, number of arguments if its type is known.
const UNIX: &[(&str, Option<u16>)] = &[
    ("_locore_start", None),
    ("resume_from_idle", None),
    ("swtch", Some(0)),
    ("cv_wait", Some(2)),
    ("thread_start", None),
    ("cmntrap", None),
    ("trap", Some(2)),
    ("panic", None),
    ("sys_syscall", None),
];
const GENUNIX: &[(&str, Option<u16>)] = &[
    ("read", Some(3)),
    ("kmem_cache_free", Some(2)),
    ("kmem_free", Some(2)),
    ("taskq_thread", Some(1)),
    ("waiter", Some(1)),
];
const BROKEN_DRIVER: &[(&str, Option<u16>)] =
    &[("broken_read", Some(1)), ("broken_ioctl", Some(2))];

pub(super) struct Builder {
    pub(super) memory: Memory,
    layouts: Layouts,
    symbols: Vec<Symbol>,
    planted: Planted,
    next_data: u64,
}

impl Kernel {
    /// Makes a kernel.
    pub fn new(options: Options) -> Kernel {
        let mut builder = Builder {
            memory: Memory::new(HEAP),
            layouts: Layouts::new(options.shift, options.named),
            symbols: Vec::new(),
            planted: Planted::default(),
            next_data: DATA,
        };
        let kas = builder.variable("kas", 256);
        builder.text(UNIX, TEXT);
        builder.text(GENUNIX, TEXT + 0x10_0000);
        builder.text(BROKEN_DRIVER, DRIVER);
        builder.machine();
        let cv_ops = builder.object("sobj_ops");
        builder.set("sobj_ops", cv_ops, "sobj_type", 3);
        let processes = builder.processes();
        builder.threads(options, &processes, cv_ops);
        if options.deadlock {
            let threads = builder.planted.threads.clone();
            builder.locks(&threads);
        }
        builder.files(processes[2], &[("/devices/pseudo/broken@0:broken", 4), ("/etc/motd", 1)]);
        builder.devices();
        builder.stream();
        builder.mounts();
        builder.pages(PAGES);
        builder.planted.pages = PAGES;
        builder.messages(options.said);
        builder.kmem(options.checked);
        builder.modules(options);
        let mut dump = builder.finish(kas, options.message);
        if options.live {
            dump.live = true;
            dump.message.clear();
        }
        Kernel { dump, planted: builder.planted }
    }
}

impl Builder {
    /// A variable in the kernel's data.
    pub(super) fn variable(&mut self, name: &str, size: u64) -> u64 {
        let address = self.next_data;
        self.next_data = (address + size).next_multiple_of(16);
        self.memory.put(address, &vec![0; size as usize]);
        self.symbols.push(Symbol { name: name.into(), address, size, is_function: false });
        address
    }

    pub(super) fn pointer(&mut self, name: &str, value: u64) -> u64 {
        let at = self.variable(name, 8);
        self.memory.word(at, value);
        at
    }

    pub(super) fn size(&self, layout: &str) -> u64 {
        self.layouts.size(layout)
    }

    pub(super) fn object(&mut self, layout: &str) -> u64 {
        let size = self.size(layout);
        self.memory.room(size)
    }

    pub(super) fn set(&mut self, layout: &str, at: u64, member: &str, value: u64) {
        let (offset, size) = self.layouts.place(layout, member);
        self.memory.put(at + offset, &value.to_le_bytes()[..size as usize]);
    }

    pub(super) fn place(&self, layout: &str, member: &str) -> u64 {
        self.layouts.place(layout, member).0
    }

    pub(super) fn set_text(&mut self, layout: &str, at: u64, member: &str, text: &str) {
        let (offset, _) = self.layouts.place(layout, member);
        self.memory.put(at + offset, text.as_bytes());
    }

    fn text(&mut self, functions: &[(&'static str, Option<u16>)], base: u64) {
        for (index, (name, args)) in functions.iter().enumerate() {
            let address = base + index as u64 * 0x80;
            self.symbols.push(Symbol {
                name: (*name).into(),
                address,
                size: 0x80,
                is_function: true,
            });
            // A frame, and each argument saved where -msave-args has it.
            let mut code = vec![0x55, 0x48, 0x89, 0xe5];
            const SAVES: [[u8; 3]; 3] =
                [[0x48, 0x89, 0x7d], [0x48, 0x89, 0x75], [0x48, 0x89, 0x55]];
            for (index, save) in (1i32..).zip(&SAVES[..args.unwrap_or(0) as usize]) {
                code.extend(save);
                code.push((-8 * index) as i8 as u8);
            }
            code.resize(0x80, 0x90);
            self.memory.put(address, &code);
        }
    }

    fn at(&self, function: &str) -> u64 {
        let found = self.symbols.iter().find(|symbol| symbol.name == function);
        found.unwrap_or_else(|| panic!("no {function}")).address
    }

    fn machine(&mut self) {
        let name = self.variable("utsname", 1285);
        for (member, text) in [("sysname", "SunOS"), ("nodename", "synth"), ("machine", "i86pc")] {
            self.set_text("utsname", name, member, text);
        }
        self.planted.utsname = name;
        let ncpus = self.variable("max_ncpus", 4);
        self.memory.put(ncpus, &1u32.to_le_bytes());
        self.pointer("lbolt64", 5000);
        self.pointer("ctf_arena", HEAP);
    }

    /// sched, init, cat (which panics), a zombie: addresses.
    fn processes(&mut self) -> Vec<u64> {
        let session = self.object("sess");
        let zone = self.object("zone");
        let zones = self.variable("zone_active", 32);
        let global = self.memory.text("global");
        let slash = self.memory.text("/");
        self.set("zone", zone, "zone_name", global);
        self.set("zone", zone, "zone_rootpath", slash);
        self.set("zone", zone, "zone_status", 4);
        self.list(zones, "zone", "zone_linkage", &[zone]);
        let wanted =
            [("sched", 0, 0, 2u64), ("init", 1, 0, 1), ("cat", 1234, 1, 2), ("gone", 1300, 1, 3)];
        let size = self.layouts.size("proc");
        let p0 = self.variable("p0", size);
        let mut found = vec![p0];
        for _ in 1..wanted.len() {
            let at = self.object("proc");
            found.push(at);
        }
        for (&at, &(name, pid, ppid, stat)) in found.iter().zip(&wanted) {
            let id = self.object("pid");
            let cred = self.object("cred");
            self.set("pid", id, "pid_id", pid);
            self.set("cred", cred, "cr_uid", 0);
            if pid == 0 {
                self.set("sess", session, "s_sidp", id);
            }
            for (member, value) in [
                ("p_stat", stat),
                ("p_ppid", ppid),
                ("p_pidp", id),
                ("p_pgidp", id),
                ("p_sessp", session),
                ("p_cred", cred),
                ("p_zone", zone),
                ("p_flag", 0x4200_0000),
            ] {
                self.set("proc", at, member, value);
            }
            self.set_text("proc", at, "p_user.u_comm", name);
            self.set_text("proc", at, "p_user.u_psargs", &format!("/usr/bin/{name} -x"));
            self.planted.processes.push((name.into(), pid as u32, ppid as u32, at));
        }
        self.set("proc", found[0], "p_child", found[1]);
        self.set("proc", found[1], "p_parent", found[0]);
        self.set("proc", found[1], "p_child", found[2]);
        self.set("proc", found[2], "p_sibling", found[3]);
        for &at in &found[2..] {
            self.set("proc", at, "p_parent", found[1]);
        }
        self.pointer("practive", found[1]);
        found
    }

    /// Links objects into a `list_t`.
    fn list(&mut self, list: u64, layout: &str, node: &str, objects: &[u64]) {
        let (offset, _) = self.layouts.place(layout, node);
        let head = list + self.layouts.place("list", "list_head").0;
        let size = self.layouts.size(layout);
        self.set("list", list, "list_size", size);
        self.set("list", list, "list_offset", offset);
        let mut ring = vec![head];
        ring.extend(objects.iter().map(|object| object + offset));
        for (index, &at) in ring.iter().enumerate() {
            let next = ring[(index + 1) % ring.len()];
            let before = ring[(index + ring.len() - 1) % ring.len()];
            self.memory.word(at, next);
            self.memory.word(at + 8, before);
        }
    }

    /// Frames from the top of a stack down: functions, the innermost first. Returns the frame
    /// pointers in the same order, and the address below them.
    fn frames(&mut self, top: u64, functions: &[(&'static str, Vec<u64>)]) -> Vec<u64> {
        let mut at = top;
        let mut outer = top;
        let mut pointers = Vec::new();
        for (depth, (_, args)) in functions.iter().enumerate().rev() {
            // The outermost frame lies at the very top, where the search for stacks expects it.
            at -= if depth + 1 == functions.len() { 0x10 } else { 0x40 };
            let caller = functions.get(depth + 1).map(|(name, _)| self.at(name) + INSIDE);
            self.memory.word(at, outer);
            self.memory.word(at + 8, caller.unwrap_or(0));
            for (index, arg) in args.iter().enumerate() {
                self.memory.word(at - 8 * (index as u64 + 1), *arg);
            }
            outer = at;
            pointers.insert(0, at);
        }
        pointers
    }

    fn threads(&mut self, options: Options, processes: &[u64], cv_ops: u64) {
        let sleeping: Vec<(&'static str, Vec<u64>)> = vec![
            ("swtch", vec![]),
            ("cv_wait", vec![0x1111, 0x2222]),
            ("waiter", vec![0x77]),
            ("thread_start", vec![]),
        ];
        self.planted.sleeping_stack = sleeping.iter().map(|(name, _)| *name).collect();
        let panicking: Vec<(&'static str, Vec<u64>)> = vec![
            ("broken_read", vec![0xabcd]),
            ("read", vec![3, 0x8000, 0x2000]),
            ("sys_syscall", vec![]),
        ];
        let mut all = Vec::new();
        // Sleepers, a free one, a broken one, one that runs round, the idle one; the panic last.
        let kinds = options.sleepers + 5;
        for number in 0..kinds {
            let at = self.object("_kthread");
            let base = STACKS + number as u64 * 2 * STACK_SIZE;
            let top = base + STACK_SIZE;
            self.memory.put(top - 0x1000, &[0; 0x1000]);
            let special = number.checked_sub(options.sleepers);
            let panics = special == Some(4);
            let process = if panics { processes[2] } else { processes[0] };
            let stack = if panics { &panicking } else { &sleeping };
            let frames = self.frames(top, stack);
            // What switched away has a frame of its own, which leads to the first function.
            let sp = frames[0] - 0x30;
            self.memory.word(sp, frames[0]);
            let first = self.at(stack[0].0) + INSIDE;
            self.memory.word(sp + 8, first);
            let state = match special {
                None => 1,
                Some(0) => 0,
                Some(3 | 4) => 4,
                Some(_) => 1,
            };
            let start = self.at("waiter");
            for (member, value) in [
                ("t_stk", top),
                ("t_stkbase", base),
                ("t_startpc", start),
                ("t_state", state),
                ("t_schedflag", 1),
                ("t_pri", 60),
                ("t_procp", process),
                ("t_tid", u64::from(panics)),
            ] {
                self.set("_kthread", at, member, value);
            }
            if special.is_none() {
                self.set("_kthread", at, "t_sobj_ops", cv_ops);
                self.set("_kthread", at, "t_lwpchan.lc_wchan", 0x1111);
            }
            let pcb = at + self.layouts.place("_kthread", "t_pcb").0;
            let pc = self.at("resume_from_idle") + INSIDE;
            self.memory.word(pcb, if panics { 0 } else { pc });
            self.memory.word(pcb + 8, sp);
            match special {
                Some(1) => {
                    self.memory.word(sp, 0x1234_5678);
                    for frame in &frames {
                        self.memory.word(*frame, 0x1234_5678);
                    }
                    self.planted.broken = at;
                }
                Some(2) => {
                    self.memory.word(frames[1], sp);
                    self.memory.word(frames[2], sp);
                    self.memory.word(frames[3], sp);
                    self.planted.ring = at;
                }
                Some(4) => {
                    self.planted.panic_thread = at;
                    if !options.live {
                        self.panic(frames[0], options.message, options.jumped);
                    }
                }
                _ => {}
            }
            if options.named && special.is_none() {
                let name = self.memory.text("sleeper");
                self.set("_kthread", at, "t_name", name);
            }
            all.push(at);
        }
        self.planted.panic_stack = panicking;
        let mut of_process = vec![Vec::new(); 2];
        for (index, &at) in all.iter().enumerate() {
            let next = all[(index + 1) % all.len()];
            let next = if options.circles && index + 1 == all.len() { all[1] } else { next };
            self.set("_kthread", at, "t_next", next);
            of_process[usize::from(at == self.planted.panic_thread)].push(at);
        }
        for (process, list) in [(processes[0], &of_process[0]), (processes[2], &of_process[1])] {
            self.set("proc", process, "p_tlist", list[0]);
            for (index, &at) in list.iter().enumerate() {
                self.set("_kthread", at, "t_forw", list[(index + 1) % list.len()]);
            }
        }
        self.pointer("allthreads", all[0]);
        let panicked = if options.live { 0 } else { self.planted.panic_thread };
        self.pointer("panic_thread", panicked);
        self.cpus(options.cpus, all[all.len() - 2]);
        self.planted.threads = all;
    }

    fn panic(&mut self, fp: u64, text: &str, jumped: bool) {
        let buffer = self.variable("panicbuf", 8192);
        // Where the stack begins lies the frame that a switch would have left, its return address
        // above.
        let (rip, sp) = match jumped {
            true => (0, fp - 0x28),
            false => (self.at("broken_read") + INSIDE, fp - 0x30),
        };
        let pairs = [("rax", 0), ("rbp", fp), ("rip", rip), ("rsp", sp), ("trapno", 14)];
        let message = 48 + 24 * pairs.len() as u64;
        self.memory.put(buffer, &2u32.to_le_bytes());
        self.memory.put(buffer + 4, &(message as u32).to_le_bytes());
        for (index, (name, value)) in pairs.iter().enumerate() {
            let at = buffer + 48 + 24 * index as u64;
            self.memory.put(at, name.as_bytes());
            self.memory.word(at + 16, *value);
        }
        self.memory.put(buffer + message, text.as_bytes());
    }

    /// The first CPU runs the thread that panicked, and was copied by the panic.
    fn cpus(&mut self, count: u64, idle: u64) {
        let size = self.layouts.size("cpu");
        let copy = self.variable("panic_cpu", size);
        let listed: Vec<u64> = (0..count).map(|_| self.object("cpu")).collect();
        let disp = self.object("disp");
        let panicked = self.planted.panic_thread;
        let numbered = listed.iter().zip(0..).map(|(&at, number)| (at, number));
        for (at, number) in numbered.chain([(copy, 0)]).collect::<Vec<_>>() {
            let next = listed[(number as usize + 1) % listed.len()];
            for (member, value) in [
                ("cpu_id", number),
                ("cpu_flags", 0x1b),
                ("cpu_thread", if number == 0 { panicked } else { idle }),
                ("cpu_idle_thread", idle),
                ("cpu_next", next),
                ("cpu_disp", disp),
                ("cpu_last_swtch", 4990),
            ] {
                self.set("cpu", at, member, value);
            }
        }
        // What runs after the panic leaves its traces in the list.
        self.set("cpu", listed[0], "cpu_runrun", 1);
        self.pointer("cpu_list", listed[0]);
    }

    fn messages(&mut self, more: &[&str]) {
        let queue = self.object("queue");
        let texts = ["NOTICE: a first message\n", "\rpanic[cpu0]/thread=1: \n", "a last one\n"];
        let mut before = 0;
        for text in texts.iter().chain(more) {
            let message = self.object("msgb");
            let body = self.object("msgb");
            let control = self.object("log_ctl");
            let at = self.memory.text(text);
            self.set("log_ctl", control, "ttime", 1_500_000_000);
            self.set("msgb", message, "b_rptr", control);
            self.set("msgb", message, "b_cont", body);
            self.set("msgb", body, "b_rptr", at);
            match before {
                0 => self.set("queue", queue, "q_first", message),
                before => self.set("msgb", before, "b_next", message),
            }
            before = message;
            self.planted.messages.push(text.trim_matches(['\r', '\n']).to_owned());
        }
        self.pointer("log_recentq", queue);
    }

    /// A cache of ten buffers of 64 bytes, one slab, and a log; with all checks on, or without.
    fn kmem(&mut self, checked: bool) {
        const COUNT: usize = 10;
        const CHUNK: u64 = 96;
        let cache = self.object("kmem_cache");
        let slab = self.object("kmem_slab");
        let magtype = self.object("kmem_magtype");
        let table = self.memory.room(8);
        let base = self.memory.room(4096);
        self.set("kmem_magtype", magtype, "mt_magsize", 3);
        self.set_text("kmem_cache", cache, "cache_name", "checked_64");
        for (member, value) in [
            ("cache_flags", if checked { 0x20f } else { 0x200 }),
            ("cache_cflags", 0x20_0000),
            ("cache_bufsize", 64),
            ("cache_chunksize", CHUNK),
            ("cache_slabsize", 4096),
            ("cache_slab_create", 1),
            ("cache_slab_alloc", 50),
            ("cache_buftotal", COUNT as u64),
            ("cache_buftag", 64),
            ("cache_verify", 64),
            ("cache_hash_table", table),
            ("cache_magtype", magtype),
        ] {
            self.set("kmem_cache", cache, member, value);
        }
        let list = cache + self.layouts.place("kmem_cache", "cache_complete_slabs").0;
        self.list(list, "kmem_slab", "slab_link", &[]);
        let tree = cache + self.layouts.place("kmem_cache", "cache_partial_slabs").0;
        let node = self.layouts.place("kmem_slab", "slab_link").0;
        self.set("avl_tree", tree, "avl_root", slab + node);
        self.set("avl_tree", tree, "avl_offset", node);
        self.set("avl_tree", tree, "avl_numnodes", 1);
        for (member, value) in [
            ("slab_cache", cache),
            ("slab_base", base),
            ("slab_chunks", COUNT as u64),
            ("slab_refcnt", 6),
        ] {
            self.set("kmem_slab", slab, member, value);
        }
        let stack = ["kmem_cache_free", "kmem_free", "broken_ioctl", "read"];
        let pcs: Vec<u64> = stack.iter().map(|name| self.at(name) + INSIDE).collect();
        let (mut chain, mut free_chain) = (0, 0);
        let mut records = Vec::new();
        for index in 0..COUNT {
            let buffer = base + index as u64 * CHUNK;
            let bufctl = self.object("kmem_bufctl_audit");
            let allocated = index < 6;
            for (member, value) in [
                ("bc_addr", buffer),
                ("bc_slab", slab),
                ("bc_cache", cache),
                ("bc_timestamp", 1_000_000_000 * (index as u64 + 1)),
                ("bc_thread", self.planted.panic_thread),
                ("bc_depth", pcs.len() as u64),
                ("bc_next", if allocated { chain } else { free_chain }),
            ] {
                self.set("kmem_bufctl_audit", bufctl, member, value);
            }
            let at = bufctl + self.layouts.place("kmem_bufctl_audit", "bc_stack").0;
            for (depth, pc) in pcs.iter().enumerate() {
                self.memory.word(at + 8 * depth as u64, *pc);
            }
            *(if allocated { &mut chain } else { &mut free_chain }) = bufctl;
            records.push(bufctl);
            let state = if allocated { 0xa110_c8edu64 } else { 0xf4ee_f4ee };
            self.memory.word(buffer + 64, 0xfeed_face_feed_face);
            self.memory.word(buffer + 72, bufctl);
            self.memory.word(buffer + 80, bufctl ^ state);
            if allocated {
                // 60 bytes were asked for.
                self.memory.put(buffer + 60, &[0xbb]);
                self.memory.put(buffer + 68, &(251u32 * 60 + 1).to_le_bytes());
                self.planted.good.push(buffer);
            } else {
                let pattern = 0xdead_beef_dead_beefu64.to_le_bytes().repeat(8);
                self.memory.put(buffer, &pattern);
                self.planted.free.push(buffer);
            }
        }
        self.memory.word(table, chain);
        self.set("kmem_slab", slab, "slab_head", free_chain);
        self.planted.overrun = self.planted.good.remove(1);
        self.memory.put(self.planted.overrun + 60, &[0x41]);
        self.planted.bad_tag = self.planted.good.remove(1);
        self.memory.word(self.planted.bad_tag + 80, 1);
        let damaged = self.planted.free.remove(1);
        self.planted.written_after_free = (damaged, damaged + 16);
        self.memory.word(damaged + 16, 0x3f3f_3f3f_3f3f_3f3f);
        self.planted.freed_by = "broken_ioctl";
        self.planted.cache = cache;
        // All but one buffer are pointed to, from a variable or from each other.
        let good = self.planted.good.clone();
        self.planted.leaked = good[good.len() - 1];
        self.pointer("broken_state", self.planted.overrun + 8);
        self.memory.word(self.planted.overrun, self.planted.bad_tag);
        self.memory.word(self.planted.bad_tag, good[0]);
        for pair in good[..good.len() - 1].windows(2) {
            self.memory.word(pair[0], pair[1]);
        }
        let caches = self.variable("kmem_caches", 32);
        self.list(caches, "kmem_cache", "cache_link", &[cache]);
        let log = self.object("kmem_log_header");
        let chunk = self.memory.room(192 * 8);
        for (index, _) in records.iter().enumerate().take(3) {
            let at = chunk + 192 * index as u64;
            for (member, value) in [
                ("bc_addr", base + index as u64 * CHUNK),
                ("bc_cache", cache),
                ("bc_timestamp", 2_000_000_000 + 500 * index as u64),
                ("bc_depth", 1),
            ] {
                self.set("kmem_bufctl_audit", at, member, value);
            }
            let stack = at + self.layouts.place("kmem_bufctl_audit", "bc_stack").0;
            self.memory.word(stack, pcs[2]);
        }
        self.set("kmem_log_header", log, "lh_base", chunk);
        self.set("kmem_log_header", log, "lh_chunksize", 192 * 8);
        self.set("kmem_log_header", log, "lh_nchunks", 1);
        self.pointer("kmem_transaction_log", if checked { log } else { 0 });
    }

    fn modules(&mut self, options: Options) {
        let parent = Ctf::of(&self.layouts);
        let pointer = parent.id("ptr");
        let utsname = parent.id("struct:utsname");
        let first = self.variable("modules", 144);
        let second = self.memory.room(144);
        let third = self.memory.room(144);
        let ring = [first, second, third];
        type Functions<'a> = &'a [(&'a str, Option<u16>)];
        let parts: [(&str, Functions<'_>, u64); 3] = [
            ("unix", UNIX, TEXT),
            ("genunix", GENUNIX, TEXT + 0x10_0000),
            ("broken", BROKEN_DRIVER, DRIVER),
        ];
        let mut parent = Some(parent);
        for (index, (name, functions, text)) in parts.into_iter().enumerate() {
            let mut ctf =
                if name == "genunix" { parent.take().expect("one genunix") } else { Ctf::child() };
            let mut own: Vec<Symbol> = self
                .symbols
                .iter()
                .filter(|symbol| functions.iter().any(|(name, _)| *name == symbol.name))
                .cloned()
                .collect();
            for symbol in &own {
                let args = functions.iter().find(|(name, _)| *name == symbol.name);
                ctf.function(args.and_then(|(_, args)| *args), pointer);
            }
            if name == "genunix" {
                let variable = self.symbols.iter().find(|symbol| symbol.name == "utsname");
                own.extend(variable.cloned());
                ctf.object(utsname);
            }
            let module = self.memory.room(384);
            let at = ring[index];
            let next = if options.circles && index == 2 { ring[1] } else { ring[(index + 1) % 3] };
            let text_name = self.memory.text(name);
            let file = self.memory.text(&format!("/kernel/{name}"));
            self.memory.word(at, next);
            self.memory.put(at + 16, &(index as u32).to_le_bytes());
            self.memory.word(at + 24, module);
            self.memory.word(at + 56, file);
            self.memory.word(at + 64, text_name);
            let (entries, strings) = table(&own);
            let space = self.memory.room((entries.len() + strings.len()) as u64);
            self.memory.put(space, &entries);
            self.memory.put(space + entries.len() as u64, &strings);
            let headers = self.memory.room(128);
            self.memory.word(headers + 32, entries.len() as u64);
            self.memory.word(headers + 64 + 32, strings.len() as u64);
            let types = if options.typed { ctf.finish(options.packed) } else { Vec::new() };
            let types_at = self.memory.room(types.len() as u64);
            self.memory.put(types_at, &types);
            // The kernel's variables are genunix's.
            let (data, data_size) =
                if name == "genunix" { (DATA, self.next_data - DATA) } else { (0, 0) };
            for (offset, value) in [
                (80, headers),
                (88, headers + 64),
                (104, (entries.len() + strings.len()) as u64),
                (112, space),
                (128, functions.len() as u64 * 0x80),
                (136, data_size),
                (144, text),
                (152, data),
                (168, space),
                (176, space + entries.len() as u64),
                (272, if options.typed { types_at } else { 0 }),
                (280, types.len() as u64),
            ] {
                self.memory.word(module + offset, value);
            }
        }
    }

    /// Frames are neither contiguous nor in the order of addresses.
    fn finish(&mut self, kas: u64, message: &str) -> Dump {
        let mut dump =
            Dump { ksyms: ksyms(&self.symbols), message: message.into(), ..Dump::default() };
        let pages: Vec<(u64, Vec<u8>)> =
            self.memory.pages().map(|(page, bytes)| (page, bytes.clone())).collect();
        let count = pages.len() as u64;
        for (index, (page, bytes)) in pages.into_iter().enumerate() {
            let frame = 0x100 + (count - index as u64) * 3 + index as u64 % 2;
            dump.translations.push((kas, page << 12, frame));
            dump.pages.push((frame, bytes));
        }
        dump.pages.sort_by_key(|&(frame, _)| frame);
        // Another address space sees one of the pages, too.
        if let Some(&(_, address, frame)) = dump.translations.first() {
            dump.translations.push((kas + 0x1000, address & 0xfff_ffff, frame));
        }
        dump
    }
}
