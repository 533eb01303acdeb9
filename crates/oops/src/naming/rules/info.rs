//! `INFO:` reports.

use super::Step::{Line, Stack};
use super::{Frame, Header, Pick, Rule, Step, TRACE};
use necropsy_lexicon::Symptom;

const AT: Step = Line(r", at: (?:@PC +)?@FUNC");
const ACQUIRE: Frame =
    Frame::new(&[Line("is trying to acquire|just changed the state of lock"), AT]);

/// After the interrupt that noticed the stall: what it interrupted.
const STALL: Frame = Frame::new(&[Line("apic_timer_interrupt"), Line("@RIP"), Stack])
    .or(&[
        Line(
            r"apic_timer_interrupt|Exception stack|el1_(?:irq|interrupt|h_64_irq)|(?:el1h_64_irq)",
        ),
        Stack,
    ])
    .pick(Pick::Stall);

pub(super) const HEADERS: &[Header] = &[Header::new(
    "INFO:",
    &[
        Rule::new(
            r"INFO: possible circular locking dependency detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .whole(r"INFO: possible circular locking dependency detected(?: \](?:.*\n)+?.*|(?:.*\n)+?.*)is trying to acquire lock")
        .at(Frame::new(&[AT]).or(&[AT, AT]).or_else(&[Line("@CT"), Stack]).skip(&["work-runner"])),
        Rule::new(
            r"INFO: possible irq lock inversion dependency detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .at(ACQUIRE),
        Rule::new(
            r"INFO: (?:SOFTIRQ|HARDIRQ|RECLAIM_FS|[A-Z_]+)-safe -> (?:SOFTIRQ|HARDIRQ|RECLAIM_FS|[A-Z_]+)-unsafe lock order detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .at(ACQUIRE),
        Rule::new(
            r"INFO: possible recursive locking detected",
            "possible deadlock in {F}",
            Symptom::Lockdep,
        )
        .at(ACQUIRE),
        Rule::new(r"INFO: inconsistent lock state", "inconsistent lock state in {F}", Symptom::Lockdep)
            .at(Frame::new(&[Line("takes"), AT])),
        Rule::new(
            r"INFO: rcu_(?:preempt|sched|bh|tasks(?:_[a-z]+)?)(?:_state)? (?:self-)?detected(?: expedited)? stall",
            "INFO: rcu detected stall in {F}",
            Symptom::RcuStall,
        )
        .at(STALL)
        .alt(&["stall in {F}"]),
        Rule::new(r"INFO: trying to register non-static key", "INFO: trying to register non-static key in {F}", Symptom::Lockdep)
            .at(TRACE.skip(&["stack-saving"])),
        Rule::new(r"INFO: suspicious RCU usage", "INFO: suspicious RCU usage in {F}", Symptom::Rcu)
            .at(TRACE.skip(&["rcu", "allocator"])),
        Rule::new(
            r"INFO: task .* blocked(?: in I/O wait)? for more than [0-9]+ seconds",
            "INFO: task hung in {F}",
            Symptom::HungTask,
        )
        .at(TRACE.pick(Pick::Hang))
        .alt(&["hang in {F}"]),
        Rule::new(
            r"INFO: task .* can't die for more than .* seconds",
            "INFO: task can't die in {F}",
            Symptom::HungTask,
        )
        .at(TRACE.skip(&["schedule"]))
        .alt(&["hang in {F}"]),
    ],
)
.except(&[
    r"[a-zA-Z0-9_]INFO:",
    r"INFO: lockdep is turned off",
    r"INFO: Stall ended before state dump start",
    r"INFO: NMI handler|INFO: .*took too long",
    r"INFO: recovery required on readonly filesystem",
    r"INFO: sshd|INFO: lxc|INFO: ld\.so",
    r"(?:EXT[234]-fs|XFS|BTRFS)[^:]*: INFO:",
    r"_INFO::",
    // what the fuzzer's own programs and Android's daemons print
    r"INFO: sys_.* is not present in|INFO: no syscalls can|rmt_storage:INFO:",
    // a debugger's words for a task
    r"THREAD INFO:",
    r"INFO: (?:Loaded|Starting|Started|Stopping|Started|Creating|Using|Running|Setting|Enabled|Disabled|Object|Slab|Allocated|Freed|task group|device)\b",
])];
