//! One small report of each kind, in the words of the kernel: what it is
//! called in the well-known style, and whether it is whole.

use necropsy_oops::{Options, TitleStyle, reports};

/// A trace of a system call that ends in `guilty`.
const TRACE: &str = "Call Trace:
 <TASK>
 dump_stack_lvl+0x1dc/0x2d8
 guilty+0x12/0x40
 caller+0x22/0x80
 vfs_write+0x11d/0xe00
 do_syscall_64+0x3d/0xb0
 entry_SYSCALL_64_after_hwframe+0x63/0xcd
 </TASK>
";
const RIP: &str = "CPU: 1 PID: 77 Comm: test Not tainted 6.1.0 #1
RIP: 0010:guilty+0x12/0x40
RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000000
";

struct Kind {
    head: String,
    title: &'static str,
    corrupted: bool,
}

fn traced(head: &str, title: &'static str) -> Kind {
    Kind { head: format!("{head}\n{TRACE}"), title, corrupted: false }
}

fn pointed(head: &str, title: &'static str) -> Kind {
    Kind { head: format!("{head}\n{RIP}{TRACE}"), title, corrupted: false }
}

fn alone(head: &str, title: &'static str) -> Kind {
    Kind { head: format!("{head}\n"), title, corrupted: false }
}

fn lost(head: &str, title: &'static str) -> Kind {
    Kind { corrupted: true, ..traced(head, title) }
}

fn kinds() -> Vec<Kind> {
    vec![
        pointed(
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "BUG: unable to handle kernel NULL pointer dereference in guilty",
        ),
        pointed(
            "BUG: unable to handle page fault for address: ffffffffffffffe8",
            "BUG: unable to handle kernel paging request in guilty",
        ),
        pointed(
            "BUG: unable to handle kernel paging request at ffff88000000f000",
            "BUG: unable to handle kernel paging request in guilty",
        ),
        lost("BUG: unable to handle kernel ", "BUG: unable to handle kernel"),
        pointed(
            "Oops: general protection fault, probably for non-canonical address 0xdffffc0000000003: 0000 [#1] SMP KASAN",
            "general protection fault in guilty",
        ),
        pointed("stack segment: 0000 [#1] PREEMPT SMP", "stack segment fault in guilty"),
        pointed("divide error: 0000 [#1] PREEMPT SMP", "divide error in guilty"),
        pointed("Oops: divide error: 0000 [#1] PREEMPT SMP", "divide error in guilty"),
        pointed("invalid opcode: 0000 [#1] PREEMPT SMP", "invalid opcode in guilty"),
        pointed("int3: 0000 [#1] PREEMPT SMP", "int3 in guilty"),
        pointed("PANIC: double fault, error_code: 0x0", "PANIC: double fault in guilty"),
        pointed(
            "kernel BUG at fs/inode.c:123!\ninvalid opcode: 0000 [#1] SMP",
            "kernel BUG in guilty",
        ),
        pointed(
            "kernel BUG at lib/list_debug.c:53!\ninvalid opcode: 0000 [#1] SMP",
            "BUG: corrupted list in guilty",
        ),
        pointed(
            "kernel BUG at mm/usercopy.c:99!\ninvalid opcode: 0000 [#1] SMP",
            "BUG: bad usercopy in guilty",
        ),
        pointed(
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [test:77]",
            "BUG: soft lockup in caller",
        ),
        traced(
            "BUG: scheduling while atomic: test/77/0x00000002",
            "BUG: scheduling while atomic in guilty",
        ),
        traced(
            "BUG: sleeping function called from invalid context at mm/slab.h:1",
            "BUG: sleeping function called from invalid context in guilty",
        ),
        traced(
            "BUG: using smp_processor_id() in preemptible [00000000] code: test/77\ncaller is guilty+0x12/0x40",
            "BUG: using smp_processor_id() in preemptible code in guilty",
        ),
        traced("BUG: spinlock bad magic on CPU#1, test/77", "BUG: spinlock bad magic in guilty"),
        traced(
            "BUG: KASAN: slab-use-after-free in guilty+0x12/0x40\nRead of size 8 at addr ffff888012345678 by task test/77\n",
            "KASAN: slab-use-after-free Read in guilty",
        ),
        traced(
            "BUG: KASAN: slab-out-of-bounds in memcpy+0x12/0x40\nWrite of size 8 at addr ffff888012345678 by task test/77\n",
            "KASAN: slab-out-of-bounds Write in guilty",
        ),
        traced(
            "BUG: KASAN: double-free in kfree+0x12/0x40\nFree of addr ffff888012345678 by task test/77\n",
            "KASAN: invalid-free in guilty",
        ),
        alone("BUG: KCSAN: data-race in reader / writer", "KCSAN: data-race in reader / writer"),
        traced(
            "BUG: KFENCE: use-after-free read in guilty+0x12/0x40\n",
            "KFENCE: use-after-free read in guilty",
        ),
        traced(
            "BUG: KFENCE: memory corruption in guilty+0x12/0x40\n",
            "KFENCE: memory corruption in guilty",
        ),
        alone(
            "BUG: KMSAN: uninit-value in guilty+0x12/0x40\n guilty+0x12/0x40\n caller+0x22/0x80\n",
            "KMSAN: uninit-value in guilty",
        ),
        alone(
            "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 32s!",
            "BUG: workqueue lockup",
        ),
        alone(
            "BUG: Bad rss-counter state mm:00000000 type:MM_ANONPAGES val:1",
            "BUG: Bad rss-counter state",
        ),
        alone(
            "BUG: memory leak\nunreferenced object 0xffff888012345678 (size 32):\n  comm \"test\", pid 77, jiffies 4294\n  backtrace (crc 0):\n    [<0000000012345678>] kmalloc+0x1/0x2\n    [<0000000012345678>] guilty+0x12/0x40\n    [<0000000012345678>] caller+0x22/0x80\n",
            "memory leak in guilty",
        ),
        alone(
            "BUG: Bad page state in process test  pfn:12345\npage last allocated via order 0, migratetype Unmovable\n prep_new_page+0x1/0x2\n guilty+0x12/0x40\n caller+0x22/0x80\nCall Trace:\n dump_stack+0x1/0x2\n bad_page+0x1/0x2\n other+0x1/0x2\n",
            "BUG: Bad page state in guilty",
        ),
        traced(
            "BUG: Dentry 0000000012345678{i=0,n=x} still in use (1) [unmount of proc proc]",
            "BUG: Dentry still in use in unmount",
        ),
        pointed(
            "BUG: TASK stack guard page was hit at 0000000012345678 (stack is 0000000012345678..0000000012345678)",
            "BUG: stack guard page was hit in caller",
        ),
        pointed("WARNING: CPU: 1 PID: 77 at fs/inode.c:12 guilty+0x12/0x40", "WARNING in guilty"),
        pointed(
            "WARNING: CPU: 0 PID: 9 at include/linux/cpumask.h:143 cpumask_check+0x1/0x2",
            "WARNING in guilty",
        ),
        pointed("WARNING: fs/inode.c:12 at guilty+0x12/0x40, CPU#1: test/77", "WARNING in guilty"),
        pointed(
            "WARNING: [some text] fs/inode.c:12 at guilty+0x12/0x40, CPU#1: test/77",
            "WARNING in guilty",
        ),
        pointed(
            "WARNING: CPU: 1 PID: 77 at lib/refcount.c:28 refcount_warn_saturate+0x1/0x2",
            "WARNING: refcount bug in guilty",
        ),
        pointed(
            "WARNING: CPU: 1 PID: 77 at lib/debugobjects.c:505 debug_print_object+0x1/0x2",
            "WARNING: ODEBUG bug in guilty",
        ),
        pointed(
            "WARNING: CPU: 1 PID: 77 at lib/kobject.c:1 kobject_get+0x1/0x2",
            "WARNING: kobject bug in guilty",
        ),
        pointed(
            "WARNING: CPU: 1 PID: 77 at mm/util.c:1 kvmalloc_node+0x1/0x2",
            "WARNING: kmalloc bug in guilty",
        ),
        pointed(
            "WARNING: CPU: 1 PID: 77 at drivers/usb/core/urb.c:1 usb_submit_urb+0x1/0x2",
            "WARNING in guilty/usb_submit_urb",
        ),
        alone(
            "WARNING: kernel stack regs at 0000000012345678 in test:77 has bad 'bp' value 0000000012345678",
            "WARNING: kernel stack regs has bad 'bp' value",
        ),
        traced("WARNING: suspicious RCU usage", "WARNING: suspicious RCU usage in guilty"),
        traced(
            "WARNING: possible recursive locking detected\n6.1.0 #1 Not tainted\ntest/77 is trying to acquire lock:\nffff888012345678 (&a){+.+.}-{3:3}, at: guilty+0x12/0x40\n\nbut task is already holding lock:\nffff888012345678 (&b){+.+.}-{3:3}, at: other+0x1/0x2\n",
            "possible deadlock in guilty",
        ),
        traced(
            "WARNING: possible circular locking dependency detected\n6.1.0 #1 Not tainted\ntest/77 is trying to acquire lock:\nffff888012345678 (&a){+.+.}-{3:3}, at: guilty+0x12/0x40\n",
            "possible deadlock in guilty",
        ),
        traced(
            "WARNING: inconsistent lock state\n6.1.0 #1 Not tainted",
            "inconsistent lock state in guilty",
        ),
        traced(
            "WARNING: bad unlock balance detected!\n6.1.0 #1 Not tainted\n-----\ntest/77 is trying to release lock (&a) at:\n[<ffffffff81234567>] guilty+0x12/0x40\n",
            "WARNING: bad unlock balance in guilty",
        ),
        traced(
            "INFO: task test:77 blocked for more than 143 seconds.",
            "INFO: task hung in guilty",
        ),
        traced(
            "INFO: task test:77 can't die for more than 143 seconds.",
            "INFO: task can't die in guilty",
        ),
        alone(
            "rcu: INFO: rcu_preempt self-detected stall on CPU\nCall Trace:\n <IRQ>\n dump_stack+0x1/0x2\n sysvec_apic_timer_interrupt+0x1/0x2\n </IRQ>\n asm_sysvec_apic_timer_interrupt+0x1/0x2\nRIP: 0010:inner+0x1/0x2\n guilty+0x12/0x40\n vfs_write+0x1/0x2\n do_syscall_64+0x1/0x2\n",
            "INFO: rcu detected stall in guilty",
        ),
        traced(
            "UBSAN: shift-out-of-bounds in fs/inode.c:12:3",
            "UBSAN: shift-out-of-bounds in guilty",
        ),
        traced(
            "UBSAN: array-index-out-of-bounds in fs/inode.c:12:3",
            "UBSAN: array-index-out-of-bounds in guilty",
        ),
        traced(
            "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009",
            "kernel panic: Attempted to kill init!",
        ),
        lost(
            "Kernel panic - not syncing: Fatal exception in interrupt",
            "kernel panic: Fatal exception",
        ),
        lost(
            "Kernel panic - not syncing: panic_on_warn set ...",
            "kernel panic: panic_on_warn set",
        ),
        traced(
            "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: guilty+0x12/0x40",
            "kernel panic: stack is corrupted in guilty",
        ),
        traced(
            "Kernel panic - not syncing: VFS: Unable to mount root fs",
            "kernel panic: VFS: Unable to mount root fs",
        ),
        alone(
            "unregister_netdevice: waiting for lo to become free. Usage count = 2",
            "unregister_netdevice: waiting for DEV to become free",
        ),
        alone(
            "VFS: Busy inodes after unmount of loop0. Self-destruct in 5 seconds.  Have a nice day...",
            "VFS: Busy inodes after unmount (use-after-free)",
        ),
        traced(
            "rust_kernel: panicked at drivers/x.rs:1:2:\nindex out of bounds",
            "index out of bounds in guilty",
        ),
        // other architectures
        alone(
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008\nInternal error: Oops: 0000000096000005 [#1] PREEMPT SMP\npc : guilty+0x12/0x40\nlr : caller+0x22/0x80\nCall trace:\n guilty+0x12/0x40 (P)\n caller+0x22/0x80 (L)\n el0_svc+0x1/0x2\n",
            "BUG: unable to handle kernel NULL pointer dereference in guilty",
        ),
        alone(
            "Unable to handle kernel access to user memory outside uaccess routines at virtual address 0000000000000008\nInternal error: Oops: 96000005 [#1] PREEMPT SMP\npc : guilty+0x12/0x40\nCall trace:\n guilty+0x12/0x40\n caller+0x22/0x80\n el0_svc+0x1/0x2\n",
            "BUG: unable to handle kernel access to user memory in guilty",
        ),
        alone(
            "8<--- cut here ---\nUnable to handle kernel paging request at virtual address 12345678\nInternal error: Oops: 5 [#1] PREEMPT SMP ARM\nPC is at guilty+0x12/0x40\nLR is at caller+0x22/0x80\npc : [<80165504>]    lr : [<825e31d8>]    psr: 60010013\nBacktrace:\n guilty from caller+0x22/0x80\n caller from ret_fast_syscall+0x0/0x1c\nException stack(0x8a895fb0 to 0x8a895ff8)\n",
            "BUG: unable to handle kernel paging request in guilty",
        ),
        alone(
            "Unable to handle kernel paging request at virtual address 0000000012345678\nOops [#1]\nepc : guilty+0x12/0x40\n ra : caller+0x22/0x80\nstatus: 0000000000000120 badaddr: 0000000012345678 cause: 000000000000000d\nCall Trace:\n[<ffffffff80001234>] guilty+0x12/0x40\n[<ffffffff80001234>] caller+0x22/0x80\n",
            "BUG: unable to handle kernel paging request in guilty",
        ),
        alone(
            "BUG: Kernel NULL pointer dereference on read at 0x00000008\nFaulting instruction address: 0xc000000000123456\nOops: Kernel access of bad area, sig: 11 [#1]\nNIP [c000000000123456] guilty+0x12/0x40\nLR [c000000000123456] caller+0x22/0x80\nCall Trace:\n[c00000000f123456] [c000000000123456] guilty+0x12/0x40 (unreliable)\n[c00000000f123456] [c000000000123456] caller+0x22/0x80\n[c00000000f123456] [c000000000123456] system_call+0x1/0x2\n",
            "BUG: unable to handle kernel NULL pointer dereference in guilty",
        ),
        alone(
            "Unable to handle kernel pointer dereference in virtual kernel address space\nFailing address: 0000000000000000 TEID: 0000000000000483\nOops: 0004 ilc:2 [#1] SMP\nKrnl PSW : 0704c00180000000 0000000000123456 (guilty+0x12/0x40)\nCall Trace:\n [<0000000000123456>] guilty+0x12/0x40\n([<0000000000123456>] maybe+0x1/0x2)\n [<0000000000123456>] caller+0x22/0x80\n",
            "BUG: unable to handle kernel paging request in guilty",
        ),
        alone(
            "CPU 0 Unable to handle kernel paging request at virtual address 00000008, epc == 80123456, ra == 80123456\nOops[#1]:\nepc   : 80123456 guilty+0x12/0x40\nra    : 80123456 caller+0x22/0x80\nCall Trace:\n[<80123456>] guilty+0x12/0x40\n[<80123456>] caller+0x22/0x80\n",
            "BUG: unable to handle kernel paging request in guilty",
        ),
        alone(
            "CPU 1 Unable to handle kernel paging request at virtual address 0000000000000008, era == 9000000000123456, ra == 9000000000123456\nOops[#1]:\n  ERA: 9000000000123456 guilty+0x12/0x40\n   ra: 9000000000123456 caller+0x22/0x80\nCall Trace:\n[<9000000000123456>] guilty+0x12/0x40\n[<9000000000123456>] caller+0x22/0x80\n",
            "BUG: unable to handle kernel paging request in guilty",
        ),
    ]
}

#[test]
fn titles() {
    let mut wrong = Vec::new();
    for kind in kinds() {
        let log: String = kind
            .head
            .lines()
            .enumerate()
            .map(|(index, line)| format!("[   12.{index:06}][   T77] {line}\n"))
            .collect();
        let options = Options { style: TitleStyle::Syzkaller };
        let found = reports(log.as_bytes(), &options);
        let got = found.first().map(|report| (report.title.clone(), report.corrupted_why));
        let right = matches!(&got, Some((title, why))
            if title == kind.title && why.is_some() == kind.corrupted);
        if !right {
            wrong.push(format!("{}\n    {got:?}", kind.title));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn silent() {
    for line in [
        "INFO: lockdep is turned off.",
        "INFO: Stall ended before state dump start",
        "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 3.457 msecs",
        "EXT4-fs (sda1): INFO: recovery required on readonly filesystem",
        "traps: test[77] general protection fault ip:7f1234567890 sp:7fff12345678 error:0 in libc.so[7f1234567000+1c5000]",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "logger: !@Boot_DEBUG: start networkManagement",
        "GRUB: echo 'Booting the kernel.'",
        "ALSA: fatal error: no such card",
        "Kernel panics stop the whole machine; an oops kills one task.",
        "A Kernel panic is what remains.",
        "TASK: ffff880079251000  [THREAD INFO: ffff88003668e000]",
        "WARNING: workqueue cpumask: online intersect > possible intersect",
    ] {
        let found = reports(format!("[    1.000000] {line}\n").as_bytes(), &Options::default());
        assert!(found.is_empty(), "{line}: {}", found[0].title);
    }
}
