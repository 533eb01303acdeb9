//! Oopses of four kernels that talks on the subject read line by line,
//! typed off with the damage that their transcriptions have.

use necropsy_oops::{Options, Report, Symptom, reports};

fn first(text: &str) -> Report {
    let found = reports(text.as_bytes(), &Options::default());
    assert!(!found.is_empty(), "nothing found");
    found.into_iter().next().unwrap()
}

fn functions(report: &Report) -> Vec<&str> {
    report.trace.iter().map(|frame| frame.function.as_str()).collect()
}

#[test]
fn bug_in_shm_close_on_3_0() {
    let report = first(
        "kernel BUG at /usr/src/packages/BUILD/kernel-default-3.0.101/linux-3.0/ipc/shm.c:205!
invalid opcode: 0000 [#1] SMP
CPU 1
Modules linked in: lp parport_pc af_packet st cifs(X) nfs vsock(EX) vmci(EX)
[last unloaded: ppa]
Supported: Yes, External
Pid: 26341, comm: appserver Tainted: G                E X 3.0.101-84-default #1 VMware, Inc. VMware Virtual Platform/440BX Desktop Reference Platform
RIP: 0010:[<ffffffff811e466e>] [<ffffffff811e466e>] shm_close+0x3e/0xb0
RSP: 0018:ffff880211337d88  EFLAGS: 00010202
RAX: ffffffffffffffea RBX: ffffffffffffffea RCX: 0000000000000006
RDX: 0000000000000000 RSI: 000000000000005c RDI: 0000000000000006
RBP: ffffffff81a46920 R08: 0000000000000002 R09: ffff8804256a84d0
R10: ffff880192cecc00 R11: ffffffff81215a80 R12: ffffffff81a469c0
R13: ffff88008cecac80 R14: ffff880423c33740 R15: 0000000000000001
FS: 00007f2945893760(0000) GS:ffff88043fd00000(0000) knlGS:0000000000000000
CS: 0010 DS: 0000 ES: 0000 CR0: 000000008005003b
CR2: 00007f6941216960 CR3: 00000003f3bea000 CR4: 00000000001407e0
Process appserver (pid: 26341, threadinfo ffff880211336000, task ffff8801b49c8040)
Stack:
ffff88016d2319e0 ffff880158fea140 00007ffce0bf0000 ffffffff81127fa4
ffff88008cecac80 ffff880211337dd8 ffff88016d2319e0 ffffffff811280f8
Call Trace:
[<ffffffff81127fa4>] remove_vma+0x24/0x80
[<ffffffff811280f8>] exit_mmap+0xf8/0x120
[<ffffffff810602d9>] mmput+0x49/0x100
[<ffffffff81065192>] exit_mm+0x122/0x160
[<ffffffff81066f39>] do_exit+0x189/0x470
[<ffffffff8106725d>] do_group_exit+0x3d/0xb0
[<ffffffff810672e2>] sys_exit_group+0x12/0x20
[<ffffffff81471df2>] system_call_fastpath+0x16/0x1b
[<00007f29408be998>] 0x7f29408be997
Code: 8b 6b 08 4c 8d a5 a0 00 00 00 4c 89 e7 e8 0b 49 28 00 8b 33 48 8d bd 98 00 00 00 e8
7d ba ff ff 48 3d 00 f0 ff ff 48 89 c3 76 0a <0f> 0b eb fe 66 0f 1f 44 00 00 65 48 8b 04 25
00 a6 00 00 48 8b
RIP [<ffffffff811e466e>] shm_close+0x3e/0xb0
RSP <ffff880211337d88>
",
    );
    assert_eq!(report.title, "BUG in shm_close");
    assert_eq!(report.class, Symptom::KernelBug);
    assert_eq!((report.cpu, report.pid), (Some(1), Some(26341)));
    assert_eq!(report.comm.as_deref(), Some("appserver"));
    assert_eq!(report.release.as_deref(), Some("3.0.101-84-default"));
    assert!(report.hardware.as_deref().unwrap().starts_with("VMware"));
    let taints: String = report.taint.iter().map(|taint| taint.letter).collect();
    assert_eq!(taints, "EX");
    let rax = report.registers.iter().find(|register| register.name == "rax").unwrap();
    assert_eq!(rax.meaning, "-22: EINVAL as an error pointer");
    assert_eq!(
        functions(&report)[..5],
        ["shm_close", "remove_vma", "exit_mmap", "mmput", "exit_mm"]
    );
    // the listing that the talk shows
    let listing: Vec<&str> = report.code.iter().map(|line| line.text.as_str()).collect();
    assert!(listing[0].starts_with("mov    0x8(%rbx),%ebp"), "{}", listing[0]);
    assert!(listing[1].starts_with("lea    0xa0(%rbp),%r12"), "{}", listing[1]);
    let trap = report.code.iter().find(|line| line.trapping).unwrap();
    assert_eq!((trap.address, trap.text.as_str()), (0xffff_ffff_811e_466e, "ud2"));
    let vsock = report.modules.iter().find(|module| module.name == "vsock").unwrap();
    assert_eq!(vsock.flags, "EX");
}

#[test]
fn null_write_in_crash_ioctl_on_3_13_with_a_lost_underscore() {
    let report = first(
        "[116728.719876] BUG: unable to handle kernel NULL pointer dereference at           (null)
[116728.727800] IP: [<ffffffffa028117f>] crash ioctl+0x16f/0x197 [crash]
[116728.728616] PGD 7a246067 PUD 7bdfd067 PMD 0
[116728.729220] Oops: 0002 [#1] SMP
[116728.734944] RIP: 0010:[<ffffffffa028117f>] [<ffffffffa028117f>] crash ioctl+0x16f/0x197 [crash]
[116728.735594] RSP: 0018:ffff88003668fec8 EFLAGS: 00010246
[116728.736114] RAX: 0000000000000000 RBX: ffff88003674ed00 RCX: 000000000000006b
[116728.736685] RDX: 0000000000000000 RSI: 0000000000006b02 RDI: ffff88003674ed00
[116728.737535] RBP: ffff88003668ff30 R08: 00007f2a5c678e80 R09: 00007f2a5c68e560
[116728.740968] CS: 0010 DS: 0000 ES: 0000 CR0: 0000000080050033
[116728.741847] CR2: 0000000000000000 CR3: 00000000369a7000 CR4: 00000000001407e0
[116728.742832] Stack:
[116728.743000] Call Trace:
[116728.743832]  [<ffffffff811cfd10>] do_vfs_ioctl+0x2e0/0x4c0
[116728.744832]  [<ffffffff811cff71>] SyS_ioctl+0x81/0xa0
[116728.745832]  [<ffffffff8172c87f>] tracesys+0xe1/0xe6
[116728.756017] Code: 90 90 <c7> 00 3f 00 00 00 c3
[116728.757017] RIP  [<ffffffffa028117f>] crash ioctl+0x16f/0x197 [crash]
[116728.757952]  RSP <ffff88003668fec8>
[116728.758862] CR2: 0000000000000000
",
    );
    assert_eq!(report.title, "NULL pointer dereference (write) in crash_ioctl");
    assert_eq!(report.class, Symptom::NullPointer);
    assert_eq!(report.address.as_ref().unwrap().meaning, "NULL");
    assert_eq!(report.error_code.as_ref().unwrap().meaning, "supervisor, write, page not present");
    assert_eq!(report.cause.as_deref(), Some("movl $0x3f,(%rax): %rax = 0x0: a write at NULL"));
    assert_eq!(functions(&report)[..2], ["crash_ioctl", "do_vfs_ioctl"]);
    assert_eq!(report.trace[0].module.as_deref(), Some("crash"));
}

#[test]
fn sysrq_crash_on_4_12_with_misread_bytes() {
    let report = first(
        "[ 381.176301] BUG: unable to handle kernel NULL pointer dereference at (null)
[ 381.185049] IP: sysrq_handle_crash+0x16/0x20
[ 381.189812] PGD 0
[ 381.195953] Oops: 0002 [#1] SMP
[ 381.199456] Modules linked in: intel_rapl x86_pkg_temp_thermal kvm_intel kvm ixgbe igb
[ 381.249448] CPU: 16 PID: 1266 Comm: bash Not tainted 4.12.9-300.fc26.x86_64 #1
[ 381.257508] Hardware name: Dell Inc. PowerEdge R730/0599V5, BIOS 1.2.10 03/09/2015
[ 381.272564] RIP: 0010:sysrq_handle_crash+0x16/0x20
[ 381.277908] RSP: 0018:ffffc3130ea87dd8 EFLAGS: 00010282
[ 381.283737] RAX: 000000000000000f RBX: ffffffff91f93280 RCX: 0000000000000000
[ 381.291699] RDX: 0000000000000000 RSI: ffffa0997f40e128 RDI: 0000000000000063
[ 381.338989] CR2: 0000000000000000 CR3: 0000001fed462000 CR4: 00000000001406e0
[ 381.346950] Call Trace:
[ 381.349679]  __handle_sysrq+0x99/0x160
[ 381.353862]  write_sysrq_trigger+0x34/0x40
[ 381.358435]  proc_reg_write+0x42/0x70
[ 381.362522]  __vfs_write+0x37/0x160
[ 381.366415]  ? selinux_file_permission+0xfb/0x120
[ 381.376914]  vfs_write+0xb1/0x1a0
[ 381.380612]  SyS_write+0x55/0xc0
[ 381.384215]  entry_SYSCALL_64_fastpath+0x1a/0xa5
[ 381.389367] RIP: 0033:0x7f3f2b397210
[ 381.393355] RSP: 002b:00007ffed6fd4d28 EFLAGS: 00000246 ORIG_RAX: 0000000000000001
[ 381.401803] RAX: ffffffffffffffda RBX: 0000000000000003 RCX: 00007f3f2b397210
[ 381.441612] Code: 4c 89 e7 e8 9d fb ff ff e9 be fe ff ff of 1f 44 00 00 55 c7 05 18 f6 dd 00 01 00 00 00 48 89 e5 0f ae f8 <c6> 04 25 00 00 00 00 01 5d c3 of 1f 44 00 00 55 c7 05 50 dd 92
[ 381.462711] RIP: sysrq_handle_crash+0x16/0x20 RSP: ffffc3130ea87dd8
[ 381.469703] CR2: 0000000000000000
",
    );
    assert_eq!(report.class, Symptom::SysRq);
    assert_eq!(report.frame.as_deref(), Some("sysrq_handle_crash"));
    assert_eq!((report.cpu, report.pid), (Some(16), Some(1266)));
    let user = report.user.as_ref().unwrap();
    assert_eq!((user.syscall, user.name), (Some(1), Some("write")));
    // the kernel's code stands below the user's registers
    let trap = report.code.iter().find(|line| line.trapping).unwrap();
    assert_eq!(trap.text, "movb   $0x1,0x0");
    let guess = report.trace.iter().find(|frame| frame.function.starts_with("selinux")).unwrap();
    assert!(!guess.reliable);
}

#[test]
fn page_fault_in_kmem_freepages_on_2_6_18_as_crash_shows_it() {
    let report = first(
        r#"PID: 26     TASK: ffff81027f9197a0  CPU: 0   COMMAND: "events/0"
 #0 [ffff81027f92fa90] crash_kexec at ffffffff800aaa0c
 #1 [ffff81027f92fb50] __die at ffffffff8006520f
 #2 [ffff81027f92fb90] do_page_fault at ffffffff80066e1c
 #3 [ffff81027f92fc80] error_exit at ffffffff8005dde9
    [exception RIP: kmem_freepages+58]
    RIP: ffffffff800d6bd9  RSP: ffff81027f92fd30  RFLAGS: 00010003
    RAX: 000000000ffffffe  RBX: ffff810108ca30c0  RCX: 0000000000000000
    RDX: ffffffe97f684000  RSI: ffffffe97f684000  RDI: ffff810108ca30c0
    ORIG_RAX: ffffffffffffffff  CS: 0010  SS: 0018
 #4 [ffff81027f92fd58] slab_destroy at ffffffff800d72c1
 #5 [ffff81027f92fd88] free_block at ffffffff800d73e6
 #6 [ffff81027f92fdc8] drain_array at ffffffff800d74af
 #7 [ffff81027f92fe08] cache_reap at ffffffff800d7fd3
"#,
    );
    assert_eq!(report.title, "Page fault in kmem_freepages");
    assert_eq!((report.cpu, report.pid), (Some(0), Some(26)));
    assert_eq!(report.comm.as_deref(), Some("events/0"));
    assert_eq!(functions(&report)[..3], ["kmem_freepages", "slab_destroy", "free_block"]);
    let rip = report.registers.iter().find(|register| register.name == "rip").unwrap();
    assert_eq!(rip.value, 0xffff_ffff_800d_6bd9);
}
