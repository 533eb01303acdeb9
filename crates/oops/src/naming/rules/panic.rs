//! `Kernel panic` reports.

use super::Step::{Line, Stack};
use super::{Frame, Header, Pick, Rule, TRACE};
use necropsy_lexicon::Symptom;

pub(super) const HEADERS: &[Header] = &[Header::new(
    "Kernel panic",
    &[
        Rule::new(
            r"Kernel panic - not syncing: Attempted to kill init!",
            "kernel panic: Attempted to kill init!",
            Symptom::Panic,
        )
        .nobody(),
        Rule::new(
            r"Kernel panic - not syncing: Couldn't open N_TTY ldisc for [^ ]+ --- error -[0-9]+",
            "kernel panic: Couldn't open N_TTY ldisc",
            Symptom::Panic,
        ),
        // these three follow a report: seen alone, its head was lost
        Rule::new(
            r"Kernel panic - not syncing: (?:[A-Za-z]+: )?(Fatal exception|panic_on_warn set|hung_task: blocked tasks)",
            "kernel panic: {1}",
            Symptom::Panic,
        )
        .corrupted(),
        Rule::new(
            r"Kernel panic - not syncing: corrupted stack end detected",
            "kernel panic: corrupted stack end in {F}",
            Symptom::StackOverflow,
        )
        .at(TRACE.pick(Pick::Stall))
        .alt(&["stack-overflow in {F}"]),
        Rule::new(
            r"Kernel panic - not syncing: kernel stack overflow",
            "kernel stack overflow in {F}",
            Symptom::StackOverflow,
        )
        .at(TRACE.pick(Pick::Stall))
        .alt(&["stack-overflow in {F}"]),
        Rule::new(
            r"Kernel panic - not syncing: stack-protector:",
            "kernel panic: stack is corrupted in {F}",
            Symptom::StackCorruption,
        )
        .at(Frame::new(&[
            Line(r"stack-protector: Kernel stack is corrupted in: *(?:@PC +)?(?:[0-9a-f]{8,16}$|([a-zA-Z_][a-zA-Z0-9_]*)(?:[.+]|$))"),
        ])
        .or(&[Line("@CT"), Stack]))
        .any_stack(),
        Rule::new(r"Kernel panic - not syncing: (.*)", "kernel panic: {1}", Symptom::Panic),
    ],
)
.inner()
// prose about panics
.except(&[r"Kernel panic(?:s|ed|king)?(?:,|\.| [A-Za-z])|Kernel panics\b"])];
