//! Any report with any prefix of a list gives the same answer: what stands before messages is
//! learned from the log itself.

use necropsy_oops::{Options, Report, reports};

const PREFIXES: &str = include_str!("prefixes.txt");

const LOGS: &[&str] = &[
    "BUG: kernel NULL pointer dereference, address: 0000000000000010
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 0 P4D 0
Oops: Oops: 0000 [#1] SMP NOPTI
CPU: 3 UID: 0 PID: 1234 Comm: demo Tainted: G           OE      6.17.0 #1 PREEMPT(full)
Tainted: [O]=OOT_MODULE, [E]=UNSIGNED_MODULE
Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.3 04/01/2014
RIP: 0010:memcpy+0x12/0x40
Code: 18 65 48 8b 04 25 28 00 00 00 48 89 44 24 08 31 c0 <4c> 8b 70 08 41 8b 44 24 08
RSP: 0018:ffffb18ac0b0fd80 EFLAGS: 00010246
RAX: 0000000000000008 RBX: ffff8b2a4123e000 RCX: 0000000000000005
RDX: ffffb18ac0b0fd90 RSI: 000000000000000f RDI: 0000000000000000
FS:  00007f2a5c894740(0000) GS:ffff8b2abfd00000(0000) knlGS:0000000000000000
CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033
CR2: 0000000000000010 CR3: 000000010239c000 CR4: 00000000001606f0
Call Trace:
 <TASK>
 ? demo_other+0x1/0x20 [demo]
 demo_ioctl+0x33/0x70 [demo]
 __x64_sys_ioctl+0x82/0xb0
 do_syscall_64+0x5c/0x90
 entry_SYSCALL_64_after_hwframe+0x76/0x7e
 </TASK>
Modules linked in: demo(OE) e1000 ext4
---[ end trace 0000000000000000 ]---
",
    "Unable to handle kernel paging request at virtual address dead000000000108
Mem abort info:
  ESR = 0x0000000096000044
  EC = 0x25: DABT (current EL), IL = 32 bits
Internal error: Oops: 0000000096000044 [#1] PREEMPT SMP
Modules linked in: demo
CPU: 1 PID: 88 Comm: reader Not tainted 6.1.0 #1
Hardware name: linux,dummy-virt (DT)
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : demo_unlink+0x18/0x40 [demo]
lr : demo_close+0x20/0x80 [demo]
sp : ffff80000a5bbd10
x29: ffff80000a5bbd10 x28: ffff00009ac7d700 x27: 0000000000000000
x2 : 0000000000000003 x1 : dead000000000100 x0 : ffff0001008a3000
Call trace:
 demo_unlink+0x18/0x40 [demo]
 demo_close+0x20/0x80 [demo]
 __fput+0x78/0x230
 ____fput+0x18/0x24
Code: d503201f a9bf7bfd 910003fd aa0003f3 (f9000420)
---[ end trace 0000000000000000 ]---
",
    "==================================================================
BUG: KASAN: slab-use-after-free in demo_walk+0x1cd/0x250 [demo]
Read of size 4 at addr ffff8881148d0034 by task demo/1101

CPU: 7 UID: 0 PID: 1101 Comm: demo Not tainted 6.19.0 #47 PREEMPT(lazy)
Hardware name: QEMU
Call Trace:
 <TASK>
 dump_stack_lvl+0xc6/0x120
 print_report+0xce/0x660
 kasan_report+0xe0/0x110
 demo_walk+0x1cd/0x250 [demo]
 demo_ioctl+0x44/0x270 [demo]
 __x64_sys_ioctl+0x82/0xb0
 </TASK>

Allocated by task 1100:
 kasan_save_stack+0x33/0x60
 __kasan_kmalloc+0xaa/0xb0
 demo_new+0x22/0x60 [demo]

Freed by task 1099:
 kasan_save_stack+0x33/0x60
 kfree+0x131/0x3c0
 demo_put+0x12/0x30 [demo]

The buggy address belongs to the object at ffff8881148d0000
 which belongs to the cache kmalloc-256 of size 256
The buggy address is located 52 bytes inside of
 freed 256-byte region [ffff8881148d0000, ffff8881148d0100)
==================================================================
",
    "------------[ cut here ]------------
refcount_t: underflow; use-after-free.
WARNING: CPU: 0 PID: 304 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110
Modules linked in: demo(O) ext4
CPU: 0 PID: 304 Comm: demo Tainted: G           O       6.1.0 #1
Hardware name: QEMU
RIP: 0010:refcount_warn_saturate+0xba/0x110
Code: 01 01 e8 9f 8b 4f 00 <0f> 0b c3 cc cc cc cc 80 3d
RSP: 0018:ffffb18ac0b0fd80 EFLAGS: 00010282
RAX: 0000000000000000 RBX: ffff8b2a4123e000 RCX: 0000000000000027
Call Trace:
 <TASK>
 demo_put+0x5b/0x60 [demo]
 demo_release+0x1c/0x30 [demo]
 __fput+0x8e/0x250
 task_work_run+0x59/0x90
 </TASK>
---[ end trace 0000000000000000 ]---
",
];

fn prefixed(log: &str, prefix: &str) -> String {
    let mut out = String::new();
    for (index, line) in log.lines().enumerate() {
        let stamp = format!("{:5}.{:06}", 95 + index, 120 * index + 1);
        let clock = format!("10:{:02}:{:02}", index / 30, 2 * index % 60);
        let prefix = prefix
            .replace("{stamp}", &stamp)
            .replace("{clock}", &clock)
            .replace("{n}", &format!("{:6}", 98 + index));
        out.push_str(&prefix);
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// What must not depend on the prefix.
fn essence(report: &Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap();
    let object = value.as_object_mut().unwrap();
    for field in ["time", "start_line", "end_line", "index"] {
        object.remove(field);
    }
    value
}

fn only(text: &str, what: &str) -> Result<serde_json::Value, String> {
    let found = reports(text.as_bytes(), &Options::default());
    match found.as_slice() {
        [report] => Ok(essence(report)),
        found => Err(format!("{what}: {} reports", found.len())),
    }
}

#[test]
fn any_prefix() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in PREFIXES.lines().filter(|row| !row.starts_with("# ") || row.contains('\t')) {
        let (prefix, who) = row.rsplit_once('\t').expect(row);
        count += 1;
        for (index, log) in LOGS.iter().enumerate() {
            let expected = only(log, "bare").unwrap();
            let what = format!("{prefix:?} ({who}), log {index}");
            match only(&prefixed(log, prefix), &what) {
                Err(fault) => wrong.push(fault),
                Ok(found) if found != expected => {
                    let fields: Vec<String> = expected
                        .as_object()
                        .unwrap()
                        .iter()
                        .filter(|(name, value)| found.get(name.as_str()) != Some(value))
                        .map(|(name, value)| {
                            let other = found.get(name.as_str()).map(ToString::to_string);
                            let short = |text: String| text.chars().take(90).collect::<String>();
                            format!(
                                "{name}: {} not {}",
                                short(other.unwrap_or_default()),
                                short(value.to_string())
                            )
                        })
                        .collect();
                    wrong.push(format!("{what}: {}", fields.join("; ")));
                }
                Ok(_) => {}
            }
        }
    }
    assert!(count >= 60, "{count} prefixes");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
