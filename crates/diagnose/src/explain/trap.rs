//! BUG and WARN: which condition led there.

use std::collections::HashSet;

use necropsy_machine::{Reg, dataflow::Origin};

use super::{
    contexts::Context,
    explanation::{Doubt, Explanation, Likelihood, Note, StepNote},
    paths,
    slicer::Slicer,
};
use crate::case::Case;

/// A trap: the conditions on the ways there, and what they compared.
pub(super) fn explain(
    case: &Case<'_>,
    contexts: &mut [Context<'_>],
    pc: u64,
    explanation: &mut Explanation,
) -> HashSet<(usize, Origin)> {
    let mut followed = HashSet::new();
    let Some(first) = contexts.first() else { return followed };
    let function = first.evaluator.function.clone();
    let merged = first.evaluator.state.clone();
    let found = paths::find(&function, pc);
    if found.is_empty() {
        explanation.notes.push(Note::NoCondition);
    }
    let mut possible = Vec::new();
    for path in &found {
        // On one way more is known than where all of them meet.
        let Some(state) = function.state_along(&path.instructions) else { continue };
        if let Some(first) = contexts.first_mut() {
            first.evaluator.state = state;
        }
        let slicer = Slicer::new(case, contexts);
        let Some(way) = paths::judge(&slicer, path) else { continue };
        if let (true, Some(first)) = (way.verdict != Likelihood::Contradicted, contexts.first()) {
            let borne_out = paths::consistency(&first.evaluator).unwrap_or_default();
            possible.push((path, explanation.ways.len(), borne_out, first.evaluator.state.clone()));
        }
        explanation.ways.push(way);
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
                && let Some(way) = explanation.ways.get_mut(*way)
            {
                way.verdict = Likelihood::Unlikely;
                way.why = Some(Doubt::OtherWay { register: reg.name() });
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
        let mut slicer = Slicer::new(case, contexts);
        slicer.skip(&followed);
        for operand in [&compare.left, &compare.right] {
            slicer.follow_expression(0, compare.at, "", operand, 0);
        }
        if let Some(step) = slicer.steps.first_mut() {
            let condition = paths::as_compared(&Slicer::new(case, contexts), compare);
            step.note = Some(StepNote::Condition { supposed: several, condition });
        }
        followed.extend(slicer.followed());
        explanation.steps.append(&mut slicer.steps);
    }
    // What follows speaks of any way, unless there is only one.
    if possible.len() != 1
        && let Some(first) = contexts.first_mut()
    {
        first.evaluator.state = merged;
    }
    followed
}
