//! `WARNING:` reports.

use super::Step::{Line, Stack};
use super::{Frame, Header, Rule, TRACE, WARNED};
use necropsy_lexicon::Symptom;

const AT: Step = Line(r", at: (?:@PC +)?@FUNC");
use super::Step;

/// A lock line after the line that says what was attempted.
const ACQUIRE: Frame =
    Frame::new(&[Line("is trying to acquire lock|just changed the state of lock"), AT]);

pub(super) const HEADERS: &[Header] = &[Header::new(
    "WARNING:",
    &[
        Rule::new(
            r"WARNING: .*lib/debugobjects\.c.* (?:debug_print_object|debug_check_no_obj_freed|debug_object)|WARNING: .*lib/debugobjects\.c",
            "WARNING: ODEBUG bug in {F}",
            Symptom::DebugObjects,
        )
        .at(WARNED.skip(&["object-users"])),
        Rule::new(
            r"WARNING: .*mm/usercopy\.c",
            "WARNING: bad usercopy in {F}",
            Symptom::Usercopy,
        )
        .at(WARNED.skip(&["usercopy"])),
        Rule::new(
            r"WARNING: .*lib/kobject\.c",
            "WARNING: kobject bug in {F}",
            Symptom::Kobject,
        )
        .at(WARNED.skip(&["kobject"])),
        Rule::new(
            r"WARNING: .*fs/proc/generic\.c",
            "WARNING: proc registration bug in {F}",
            Symptom::Warning,
        )
        .at(WARNED.skip(&["proc"])),
        Rule::new(
            r"WARNING: .*lib/refcount\.c",
            "WARNING: refcount bug in {F}",
            Symptom::Refcount,
        )
        .at(WARNED.skip(&["refcount-users"])),
        Rule::new(
            r"WARNING: .*kernel/locking/lockdep\.c.*lock_",
            "WARNING: locking bug in {F}",
            Symptom::Lockdep,
        )
        .at(WARNED.skip(&["sock-lock"])),
        Rule::new(
            r"WARNING: .*mm/vmalloc\.c.*__vmalloc_node_range",
            "WARNING: zero-size vmalloc in {F}",
            Symptom::Allocation,
        )
        .at(WARNED),
        Rule::new(
            r"WARNING: .*mm/[a-z_/0-9]*\.c.* [a-z_]*malloc",
            "WARNING: kmalloc bug in {F}",
            Symptom::Allocation,
        )
        .at(WARNED),
        Rule::new(
            r"WARNING: .*usb_submit_urb",
            "WARNING in {F}/usb_submit_urb",
            Symptom::Warning,
        )
        .at(WARNED.skip(&["usb-submit"])),
        Rule::new(
            r"WARNING: (?:.* )?at @SRC [a-zA-Z0-9_$]+(?:\.|\+)",
            "WARNING in {F}",
            Symptom::Warning,
        )
        .at(WARNED),
        Rule::new(
            r"WARNING: (?:\[.*\] )?@SRC at (?:[a-zA-Z0-9_$]+(?:\.|\+)|0x[0-9a-f]+)[^,]*, CPU",
            "WARNING in {F}",
            Symptom::Warning,
        )
        .at(WARNED),
        Rule::new(r"WARNING: (?:.* )?at .*[a-zA-Z0-9_]+\.[chSr]s?:[0-9]+", "WARNING in {F}", Symptom::Warning)
            .at(WARNED),
        Rule::new(
            r"WARNING: possible circular locking dependency detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .whole(r"WARNING: possible circular locking dependency detected(?:.*\n)+?.*is trying to acquire lock")
        .at(Frame::new(&[AT]).or(&[AT, AT]).or_else(&[Line("@CT"), Stack]).skip(&["work-runner"])),
        Rule::new(
            r"WARNING: possible irq lock inversion dependency detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .at(ACQUIRE),
        Rule::new(
            r"WARNING: .*-safe -> .*-unsafe lock order detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .at(Frame::new(&[Line(r"which became (?:.*) at:"), Stack])),
        Rule::new(
            r"WARNING: possible recursive locking detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .at(ACQUIRE),
        Rule::new(
            r"WARNING: inconsistent lock state",
            "inconsistent lock state in {F}",
            Symptom::Lockdep,
        )
        .at(TRACE),
        Rule::new(
            r"WARNING: suspicious RCU usage",
            "WARNING: suspicious RCU usage in {F}",
            Symptom::Rcu,
        )
        .at(TRACE.skip(&["rcu", "allocator"])),
        Rule::new(
            r"WARNING: kernel stack regs at [0-9a-f]+ in [^ ]* has bad '([^']+)' value",
            "WARNING: kernel stack regs has bad '{1}' value",
            Symptom::Unwinder,
        )
        .no_stack(),
        Rule::new(
            r"WARNING: kernel stack frame pointer at [0-9a-f]+ in [^ ]* has bad value",
            "WARNING: kernel stack frame pointer has bad value",
            Symptom::Unwinder,
        )
        .no_stack(),
        Rule::new(
            r"WARNING: bad unlock balance detected!",
            "WARNING: bad unlock balance in {F}",
            Symptom::Lockdep,
        )
        .at(Frame::new(&[Line("is trying to release lock"), Line(r"^ *(?:@PC +)?@FUNC"), Line("@CT"), Stack])
            .or(&[Line("@CT"), Stack])),
        Rule::new(
            r"WARNING: held lock freed!",
            "WARNING: held lock freed in {F}",
            Symptom::Lockdep,
        )
        .at(Frame::new(&[AT])),
        Rule::new(
            r"WARNING: Nested lock was not taken",
            "WARNING: nested lock was not taken in {F}",
            Symptom::Lockdep,
        )
        .at(WARNED),
        Rule::new(
            r"WARNING: lock held when returning to user space",
            "WARNING: lock held when returning to user space in {F}",
            Symptom::Lockdep,
        )
        .at(Frame::new(&[Line("leaving the kernel with locks still held"), AT]))
        .no_stack(),
        Rule::new(
            r"WARNING: .*still has locks held!",
            "WARNING: still has locks held in {F}",
            Symptom::Lockdep,
        )
        .at(Frame::new(&[AT])),
    ],
)
.except(&[
    r"[a-zA-Z0-9_]WARNING:",
    // user-space programs
    r"WARNING: (?:linker|terminal|Image|Could not|The key|This key|No user|Failed|failed|Unable|Cannot|can't|password|WARNING|locale|hwclock|Logging|The|Your)\b",
    r"WARNING: @@@",
    r"(?:sshd|ssh-keygen|rsync|modprobe|lvm|vgchange|dpkg|apt|systemd)[^ ]*:.*WARNING:",
    // advice
    r"WARNING: Spectre v2 mitigation|[Mm]itigation.*WARNING|WARNING: .*[Uu]nprivileged eBPF|[Uu]nprivileged eBPF",
    r"WARNING: Unflattened? |WARNING: Number of arguments",
    r"WARNING: .*mount option.*(?:deprecated|removed)|mand mount option|the mand mount",
    r"WARNING: mmap",
    r"WARNING: .*uses deprecated v2 capabilities|WARNING: .*wireless extensions|WARNING: [^/]*[Ff]rame ?buffer[^/.]*size",
    r"WARNING: workqueue cpumask",
    // filesystems that prefix their own messages
    r"(?:EXT[234]-fs|XFS|BTRFS|F2FS-fs|EXFAT-fs|JFS|REISERFS|NILFS)[^:]*: WARNING:",
    r"WARNING: You are running an unsupported|virtual screen size",
])];
