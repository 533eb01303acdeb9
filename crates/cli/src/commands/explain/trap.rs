//! BUG and WARN: which condition led there.

use std::collections::HashSet;

use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{Reg, dataflow::Origin};

use super::{names::Names, row::Row, scene::Context, story::Teller, ways};

/// A trap: the conditions on the ways there, and what they compared.
pub(super) fn tell(
    kernel: &Kernel,
    task: Task<'_>,
    names: &dyn Names,
    contexts: &mut [Context<'_>],
    pc: u64,
    row: &mut Row,
) -> HashSet<(usize, Origin)> {
    let mut told = HashSet::new();
    let Some(first) = contexts.first() else { return told };
    let function = first.evaluator.function.clone();
    let merged = first.evaluator.state.clone();
    let paths = ways::find(&function, pc);
    if paths.is_empty() {
        row.notes.push("no condition leads here: the code comes here in any case".into());
    }
    let mut possible = Vec::new();
    for path in &paths {
        // On one way more is known than where all of them meet.
        let Some(state) = function.state_along(&path.instructions) else { continue };
        if let Some(first) = contexts.first_mut() {
            first.evaluator.state = state;
        }
        let teller = Teller::new(kernel, names, contexts, task);
        let Some(way) = ways::judge(&teller, path) else { continue };
        if let (true, Some(first)) = (way.verdict != "contradicted", contexts.first()) {
            let borne_out = ways::consistency(&first.evaluator).unwrap_or_default();
            possible.push((path, row.ways.len(), borne_out, first.evaluator.state.clone()));
        }
        row.ways.push(way);
    }
    // A register that holds what it would hold on one way only speaks for that way.
    let speaks_for = |index: usize| {
        let (_, _, borne_out, _) = possible.get(index)?;
        let only_here = |reg: &Reg, origin: &Origin| {
            let others = possible.iter().enumerate().filter(|(other, _)| *other != index);
            let mut others = others.map(|(_, (_, _, _, state))| state.register(*reg));
            others.all(|other| other != *origin)
        };
        borne_out.iter().find(|(reg, origin)| only_here(reg, origin)).map(|(reg, _)| *reg)
    };
    let borne_out: Vec<(usize, Reg)> = (0..possible.len())
        .filter(|_| possible.len() > 1)
        .filter_map(|index| Some((index, speaks_for(index)?)))
        .collect();
    if let [(likely, reg)] = borne_out.as_slice() {
        for (index, (_, way, _, _)) in possible.iter().enumerate() {
            if index != *likely
                && let Some(way) = row.ways.get_mut(*way)
            {
                way.verdict = "unlikely";
                way.why = Some(format!(
                    "%{} is as another way leaves it, equal to the stack's copy",
                    reg.name()
                ));
            }
        }
        possible = possible.drain(..).skip(*likely).take(1).collect();
    }
    let possible: Vec<_> = possible.into_iter().map(|(path, _, _, _)| path).collect();
    let several = possible.len() > 1;
    for path in possible.iter().take(3) {
        if let (Some(first), Some(state)) =
            (contexts.first_mut(), function.state_along(&path.instructions))
        {
            first.evaluator.state = state;
        }
        let Some(compare) = &path.compare else { continue };
        let mut teller = Teller::new(kernel, names, contexts, task);
        teller.skip(&told);
        for operand in [&compare.left, &compare.right] {
            teller.tell_expression(0, compare.at, "", operand, 0);
        }
        if let Some(step) = teller.steps.first_mut() {
            let words = ways::in_words(&Teller::new(kernel, names, contexts, task), compare);
            let on = if several { "if control came this way, " } else { "" };
            step.note = Some(format!("{on}{words}"));
        }
        told.extend(teller.told());
        row.steps.append(&mut teller.steps);
    }
    // What follows speaks of any way, unless there is only one.
    if possible.len() != 1
        && let Some(first) = contexts.first_mut()
    {
        first.evaluator.state = merged;
    }
    told
}
