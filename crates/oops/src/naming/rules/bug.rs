//! `BUG:` reports.

use super::Step::{Line, Stack};
use super::{Frame, Header, POINTER_TRACE, Pick, Rule, TRACE};
use necropsy_lexicon::Symptom;

const BAD_ACCESS: &[&str] = &["bad-access in {F}"];

/// The function named in the header line, else the call trace.
const KASAN: Frame = Frame::new(&[Line(r"BUG: KASAN: [a-z\- ]+ in @FUNC"), Line("@CT"), Stack]);
const KFENCE: Frame = Frame::new(&[Line(r"BUG: KFENCE: [a-z\- ]+ in @FUNC"), Stack, Stack]);
const KMSAN: Frame = Frame::new(&[Line("BUG: KMSAN:"), Stack, Stack]);
const LOCK_LINE: Frame = Frame::new(&[Line(r" at: (?:@PC +)?@FUNC")]);

pub(super) const HEADERS: &[Header] = &[Header::new(
    "BUG:",
    &[
        Rule::new(r"BUG: KASAN:", "KASAN: {1} {2} in {F}", Symptom::Kasan)
            .whole(r"BUG: KASAN: ([a-z\-]+) in [a-zA-Z0-9_$]+(?:\.|\+)(?:.*\n)+?.*(Read|Write) of size [0-9]+")
            .at(KASAN)
            .alt(BAD_ACCESS),
        Rule::new(r"BUG: KASAN:", "KASAN: {1} {2} in {F}", Symptom::Kasan)
            .whole(r"BUG: KASAN: ([a-z\-]+) in [a-zA-Z0-9_$]+(?:\.|\+)(?:.*\n)+?.*(Read|Write) at addr")
            .at(KASAN.skip(&["fault-entry"]))
            .alt(BAD_ACCESS),
        Rule::new(
            r"BUG: KASAN: (?:double-free|invalid-free)",
            "KASAN: invalid-free in {F}",
            Symptom::Kasan,
        )
        .whole(r"BUG: KASAN: (?:double-free or invalid-free|double-free|invalid-free) in [a-zA-Z0-9_$]+(?:\.|\+)")
        .at(KASAN.skip(&["free"]))
        .alt(&["invalid-free in {F}"]),
        Rule::new(r"BUG: KASAN: [a-z\-]+ on address", "KASAN: {1} {2}", Symptom::Kasan)
            .whole(r"BUG: KASAN: ([a-z\-]+) on address(?:.*\n)+?.*(Read|Write) of size [0-9]+"),
        Rule::new(r"BUG: KASAN: (.*)", "KASAN: {1}", Symptom::Kasan).corrupted(),
        Rule::new(
            r"BUG: KMSAN: kernel-usb-infoleak",
            "KMSAN: kernel-usb-infoleak in {F}",
            Symptom::Kmsan,
        )
        .at(KMSAN.skip(&["skb", "usb-submit"]))
        .origin(
            Frame::new(&[
                Line(r"Local variable .* created at|Uninit was created at"),
                Stack,
            ])
            .skip(&["skb", "usb-submit"]),
        )
        .alt(&["KMSAN origin in {O}"])
        .no_stack(),
        Rule::new(r"BUG: KMSAN: ([a-z\-]+)", "KMSAN: {1} in {F}", Symptom::Kmsan)
            .at(KMSAN.skip(&["skb", "netlink-ack", "crypto"]))
            .alt(BAD_ACCESS)
            .no_stack(),
        Rule::new(r"BUG: KCSAN: (.*)", "KCSAN: {1}", Symptom::Kcsan).no_stack(),
        Rule::new(
            r"BUG: KFENCE: (use-after-free|out-of-bounds) ([a-z\-]+) in ",
            "KFENCE: {1} {2} in {F}",
            Symptom::Kfence,
        )
        .at(KFENCE)
        .alt(BAD_ACCESS)
        .no_stack(),
        Rule::new(
            r"BUG: KFENCE: invalid (read|write) in ",
            "KFENCE: invalid {1} in {F}",
            Symptom::Kfence,
        )
        .at(KFENCE)
        .alt(BAD_ACCESS)
        .no_stack(),
        Rule::new(r"BUG: KFENCE: invalid free in ", "KFENCE: invalid free in {F}", Symptom::Kfence)
            .at(KFENCE)
            .alt(&["invalid-free in {F}"])
            .no_stack(),
        Rule::new(
            r"BUG: KFENCE: memory corruption in ",
            "KFENCE: memory corruption in {F}",
            Symptom::Kfence,
        )
        .at(KFENCE)
        .no_stack(),
        Rule::new(
            r"BUG: (?:[Uu]nable to handle (?:kernel paging request|page fault for address|kernel data access)|[Uu]nable to handle kernel instruction fetch)",
            "BUG: unable to handle kernel paging request in {F}",
            Symptom::PageFault,
        )
        .at(POINTER_TRACE)
        .alt(BAD_ACCESS),
        Rule::new(
            r"BUG: (?:(?i)(?:unable to handle )?(?:kernel )?NULL pointer dereference)",
            "BUG: unable to handle kernel NULL pointer dereference in {F}",
            Symptom::NullPointer,
        )
        .at(POINTER_TRACE)
        .alt(BAD_ACCESS),
        // the rest of the line is a second printk, which can be lost
        Rule::new(r"BUG: [Uu]nable to handle kernel", "BUG: unable to handle kernel", Symptom::PageFault)
            .corrupted(),
        Rule::new(
            r"BUG: (spinlock|rwlock) (lockup suspected|already unlocked|recursion|cpu recursion|bad magic|wrong owner|wrong CPU|trylock failure on UP)",
            "BUG: {1} {2} in {F}",
            Symptom::Lockdep,
        )
        .at(TRACE.skip(&["locking"])),
        Rule::new(r"BUG: soft lockup", "BUG: soft lockup in {F}", Symptom::SoftLockup)
            .at(POINTER_TRACE.pick(Pick::Stall))
            .alt(&["stall in {F}"]),
        Rule::new(
            r"BUG: [\w./\-]+ still has locks held!|BUG: .*still has locks held!",
            "BUG: still has locks held in {F}",
            Symptom::Lockdep,
        )
        .at(LOCK_LINE),
        Rule::new(
            r"BUG: lock held when returning to user space",
            "BUG: lock held when returning to user space in {F}",
            Symptom::Lockdep,
        )
        .at(Frame::new(&[
            Line("leaving the kernel with locks still held"),
            Line(r" at: (?:@PC +)?@FUNC"),
        ]))
        .no_stack(),
        Rule::new(r"BUG: bad unlock balance detected!", "BUG: bad unlock balance in {F}", Symptom::Lockdep)
            .at(Frame::new(&[Line("is trying to release lock"), Line(r"^ *(?:@PC +)?@FUNC"), Line("@CT"), Stack])
                .or(&[Line("@CT"), Stack])),
        Rule::new(r"BUG: held lock freed!", "BUG: held lock freed in {F}", Symptom::Lockdep)
            .at(LOCK_LINE),
        Rule::new(r"BUG: Invalid wait context", "WARNING: locking bug in {F}", Symptom::Lockdep)
            .at(TRACE.skip(&["sock-lock"])),
        Rule::new(r"BUG: Bad rss-counter state", "BUG: Bad rss-counter state", Symptom::BadPage).no_stack(),
        Rule::new(
            r"BUG: non-zero nr_ptes on freeing mm",
            "BUG: non-zero nr_ptes on freeing mm",
            Symptom::BadPage,
        )
        .no_stack(),
        Rule::new(
            r"BUG: non-zero nr_pmds on freeing mm",
            "BUG: non-zero nr_pmds on freeing mm",
            Symptom::BadPage,
        )
        .no_stack(),
        Rule::new(
            r"BUG: non-zero pgtables_bytes on freeing mm",
            "BUG: non-zero pgtables_bytes on freeing mm",
            Symptom::BadPage,
        )
        .no_stack(),
        Rule::new(
            r"BUG: Dentry .* still in use \([0-9]+\) \[unmount of ([^\]]+)\]",
            "BUG: Dentry still in use in unmount",
            Symptom::Vfs,
        )
        .alt(&["BUG: Dentry still in use [unmount of {1}]"]),
        Rule::new(
            r"BUG: Bad page (state|cache)",
            "BUG: Bad page {1} in {F}",
            Symptom::BadPage,
        )
        .at(Frame::new(&[Line("page last allocated"), Stack])),
        Rule::new(r"BUG: Bad page map", "BUG: Bad page map", Symptom::BadPage),
        Rule::new(r"BUG: workqueue lockup", "BUG: workqueue lockup", Symptom::WorkqueueLockup).no_stack(),
        Rule::new(
            r"BUG: workqueue leaked (?:lock or )?atomic",
            "BUG: workqueue leaked lock or atomic in {F}",
            Symptom::Atomic,
        )
        .at(Frame::new(&[Line(r"last function: ([a-zA-Z0-9_]+)")]))
        .no_stack(),
        Rule::new(
            r"BUG: sleeping function called from invalid context",
            "BUG: sleeping function called from invalid context in {F}",
            Symptom::Atomic,
        )
        .at(TRACE),
        Rule::new(
            r"BUG: scheduling while atomic",
            "BUG: scheduling while atomic in {F}",
            Symptom::Atomic,
        )
        .at(TRACE.skip(&["schedule"])),
        Rule::new(
            r"BUG: using ([a-zA-Z0-9_]+)\(\) in preemptible",
            "BUG: using {1}() in preemptible code in {F}",
            Symptom::Preemptible,
        )
        .at(TRACE.skip(&["preempt-check"])),
        Rule::new(
            r"BUG: (?:[#A-Z_]+ )?stack guard page was hit",
            "BUG: stack guard page was hit in {F}",
            Symptom::StackOverflow,
        )
        .at(POINTER_TRACE.pick(Pick::Stall))
        .alt(&["stack-overflow in {F}"]),
        Rule::new(r"BUG: memory leak", "memory leak in {F}", Symptom::MemoryLeak)
            .at(Frame::new(&[Line("backtrace"), Stack]).skip(&["leak"])),
        Rule::new(
            r"BUG: stack guard page",
            "BUG: stack guard page was hit in {F}",
            Symptom::StackOverflow,
        )
        .at(POINTER_TRACE.pick(Pick::Stall)),
        Rule::new(r"BUG: [a-zA-Z0-9_\-]+ .*Object already free", "BUG: Object already free", Symptom::Slab),
        Rule::new(r"BUG: unable to handle page", "BUG: unable to handle kernel paging request in {F}", Symptom::PageFault)
            .at(POINTER_TRACE)
            .alt(BAD_ACCESS),
    ],
)
.except(&[
    // an identifier that ends so
    r"[a-zA-Z0-9_]BUG:",
    // an arm oops of another kind, told further up
    r"Internal error: Oops - BUG:",
    // a function inlined into the one that the next line names
    r"BUG: K[A-Z]+: .* \[inline\]$",
    // quoted in prose
    r#"['"`]BUG:"#,
    r"(?i)ld\.so: .*BUG:|Inconsistency detected by ld\.so",
    r"BUG: (?:Device|Driver) specific",
])];
