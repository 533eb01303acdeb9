//! Cut, flipped and shuffled logs, noise, and lines without end: nothing may
//! panic, and a report stays found while its header stands.

use necropsy_oops::{Options, Scanner, TitleStyle, render, reports};

const OOPS: &str =
    "[   12.000001][   T77] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   12.000002][   T77] #PF: supervisor write access in kernel mode
[   12.000003][   T77] #PF: error_code(0x0002) - not-present page
[   12.000004][   T77] Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI
[   12.000005][   T77] CPU: 1 UID: 0 PID: 77 Comm: test Tainted: G        W  O       6.12.0 #1
[   12.000006][   T77] Tainted: [W]=WARN, [O]=OOT_MODULE
[   12.000007][   T77] Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2
[   12.000008][   T77] RIP: 0010:guilty+0x12/0x40 [culprit]
[   12.000009][   T77] Code: 90 90 48 89 f8 90 90 <c7> 40 08 3f 00 00 00 c3 90 90
[   12.000010][   T77] RSP: 0018:ffffc90000123d88 EFLAGS: 00010246
[   12.000011][   T77] RAX: 0000000000000000 RBX: ffff888012345678 RCX: 6b6b6b6b6b6b6b6b
[   12.000012][   T77] RDX: dead000000000122 RSI: ffffffffffffffea RDI: 6f6c6c6568206968
[   12.000013][   T77] FS:  0000000000000000(0000) GS:ffff88807dc00000(0000) knlGS:0000000000000000
[   12.000014][   T77] CR2: 0000000000000008 CR3: 0000000018f4c000 CR4: 0000000000750ef0
[   12.000015][   T77] Call Trace:
[   12.000016][   T77]  <TASK>
[   12.000017][   T77]  ? maybe+0x1/0x2
[   12.000018][   T77]  caller+0x22/0x80 [culprit]
[   12.000019][   T77]  vfs_write+0xf8/0x400
[   12.000020][   T77]  do_syscall_64+0x87/0x1a0
[   12.000021][   T77]  entry_SYSCALL_64_after_hwframe+0x76/0x7e
[   12.000022][   T77] RIP: 0033:0x7f1234567890
[   12.000023][   T77] RSP: 002b:00007ffd12345678 EFLAGS: 00000246 ORIG_RAX: 0000000000000001
[   12.000024][   T77] RAX: ffffffffffffffda RBX: 0000000000000005 RCX: 00007f1234567890
[   12.000025][   T77]  </TASK>
[   12.000026][   T77] Modules linked in: culprit(OE+) other [last unloaded: gone]
[   12.000027][   T77] ---[ end trace 0000000000000000 ]---
[   12.000028][   T77] Kernel panic - not syncing: Fatal exception
";

/// A generator of its own, so that a failure can be made again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

fn exercise(log: &[u8]) -> usize {
    let mut found = 0;
    for style in [TitleStyle::Plain, TitleStyle::Syzkaller] {
        let all = reports(log, &Options { style });
        found = all.len();
        for report in &all {
            serde_json::to_string(report).unwrap();
        }
        render::page(&all, render::Show { colour: true, all: true });
    }
    found
}

#[test]
fn whole() {
    let all = reports(OOPS.as_bytes(), &Options::default());
    assert_eq!(all.len(), 1, "{:?}", all.iter().map(|report| &report.title).collect::<Vec<_>>());
    let report = &all[0];
    assert_eq!(report.title, "NULL pointer dereference (write) in guilty");
    assert!(report.panicked && !report.corrupted && report.first);
    assert_eq!((report.start_line, report.end_line), (1, 28));
    assert_eq!(
        report.cause.as_deref(),
        Some("movl $0x3f,0x8(%rax): %rax = 0x0: a write at NULL + 0x8")
    );
    let meaning = |name: &str| {
        let register = report.registers.iter().find(|register| register.name == name);
        register.map(|register| register.meaning.as_str())
    };
    assert_eq!(meaning("rcx"), Some("freed slab object (POISON_FREE)"));
    assert_eq!(meaning("rdx"), Some("LIST_POISON2: prev pointer of a deleted list entry"));
    assert_eq!(meaning("rsi"), Some("-22: EINVAL as an error pointer"));
    assert_eq!(meaning("rdi"), Some("text \"hi hello\""));
    assert_eq!(meaning("rbx"), Some("direct map"));
    assert_eq!(meaning("rsp"), Some("vmalloc"));
    assert_eq!(report.user.as_ref().and_then(|user| user.name), Some("write"));
    let functions: Vec<&str> = report.trace.iter().map(|frame| frame.function.as_str()).collect();
    assert_eq!(functions[..3], ["guilty", "maybe", "caller"]);
    assert_eq!(report.modules[0].flags, "OE+");
    assert_eq!(report.modules[0].meaning.last(), Some(&"loading"));
}

#[test]
fn cut_after_any_line() {
    let lines: Vec<&str> = OOPS.lines().collect();
    for end in 1..=lines.len() {
        let log = lines[..end].join("\n");
        let all = reports(log.as_bytes(), &Options::default());
        assert_eq!(all.len(), 1, "after line {end}");
        if end < 16 {
            assert!(all[0].corrupted, "no trace after line {end}");
        }
    }
}

#[test]
fn flipped_and_shuffled() {
    let mut dice = Dice(7);
    for _ in 0..150 {
        let mut log = OOPS.as_bytes().to_vec();
        for _ in 0..dice.roll(40) {
            let at = dice.roll(log.len());
            log[at] = dice.roll(256) as u8;
        }
        exercise(&log);
        let mut lines: Vec<&str> = OOPS.lines().collect();
        for _ in 0..10 {
            let (a, b) = (dice.roll(lines.len()), dice.roll(lines.len()));
            lines.swap(a, b);
        }
        exercise(lines.join("\n").as_bytes());
    }
}

#[test]
fn in_pieces_as_at_once() {
    let log =
        "[    1.000000] harmless\n".repeat(9000) + OOPS + &"[   99.000000] harmless\n".repeat(9000);
    let whole = reports(log.as_bytes(), &Options::default());
    for size in [1000, 65_536, 1 << 20] {
        let mut scanner = Scanner::new(Options::default());
        let mut found = Vec::new();
        for piece in log.as_bytes().chunks(size) {
            found.extend(scanner.push(piece));
        }
        found.extend(scanner.finish());
        assert_eq!(found.len(), whole.len());
        assert_eq!(found[0].title, whole[0].title);
        assert_eq!(found[0].start_line, 9001);
        assert_eq!(found[0].end_line, whole[0].end_line);
    }
}

#[test]
fn a_growing_log_reports_when_it_falls_silent() {
    let mut scanner = Scanner::new(Options::default());
    assert!(scanner.push(OOPS.as_bytes()).is_empty());
    assert_eq!(scanner.idle().len(), 1);
    assert!(scanner.push(b"[   99.000000] harmless\n").is_empty());
    assert!(scanner.finish().is_empty());
}

#[test]
fn noise_and_endless_lines() {
    let mut dice = Dice(1);
    let garbage: Vec<u8> = (0..4 << 20).map(|_| dice.roll(256) as u8).collect();
    exercise(&garbage);
    let line = vec![b'x'; 8 << 20];
    assert_eq!(exercise(&line), 0);
    let headers = "BUG: WARNING: ".repeat(1 << 18);
    exercise(headers.as_bytes());
    let many = "WARNING: x\n".repeat(3000);
    exercise(many.as_bytes());
}
