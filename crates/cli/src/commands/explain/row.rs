//! An explanation as text.

use std::fmt::Write;

use necropsy_diagnose::explain::{Known, Likelihood, Listed, Step, Way};

use crate::rows::explain::Explained;

impl Explained {
    pub(super) fn write(&self, out: &mut dyn Write) -> std::fmt::Result {
        let explained = &self.explanation;
        writeln!(out, "{}", self.header)?;
        if let (Some(frame), Some(at)) = (explained.frame, &explained.instruction) {
            write!(out, "#{frame} {} at {:x}: {}", at.location, at.address, at.text)?;
            write_line(at, out)?;
            writeln!(out)?;
        }
        for line in &explained.story {
            write_wrapped(line, out)?;
        }
        if explained.steps.is_empty() && explained.arguments.is_empty() && explained.ways.is_empty()
        {
            return Ok(());
        }
        writeln!(out, "\nstep by step:")?;
        for way in &explained.ways {
            write_way(way, out)?;
        }
        write_steps(&explained.steps, explained.frame, out)?;
        if !explained.arguments.is_empty() {
            writeln!(out, "arguments of the function:")?;
            write_steps(&explained.arguments, explained.frame, out)?;
        }
        Ok(())
    }
}

fn write_line(at: &Listed, out: &mut dyn Write) -> std::fmt::Result {
    match (&at.file, at.line) {
        (Some(file), Some(line)) => write!(out, " ({file}:{line})"),
        _ => Ok(()),
    }
}

/// The steps; what repeats itself from caller to caller is shown once, and counted.
fn write_steps(steps: &[Step], frame: Option<usize>, out: &mut dyn Write) -> std::fmt::Result {
    let mut shown = frame;
    let mut function: Option<&String> = None;
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        let changed = function.is_some() && step.function.as_ref() != function;
        if (step.frame != shown || changed)
            && let Some(name) = &step.function
        {
            let indent = "  ".repeat(step.depth + 1);
            match step.frame {
                Some(frame) => writeln!(out, "{indent}in #{frame} {name}:")?,
                None => writeln!(out, "{indent}in {name}, which left by a jump:")?,
            }
        }
        shown = step.frame;
        function = step.function.as_ref();
        write_step(step, out)?;
        index += 1;
        let Some((period, times)) = repetition(steps, index) else { continue };
        let indent = "  ".repeat(step.depth + 1);
        let last = steps.get(index + period * times - 1).and_then(|last| last.frame);
        let to = last.map_or(String::new(), |frame| format!(", to #{frame}"));
        writeln!(out, "{indent}… the same {times} times more, further out{to}")?;
        index += period * times;
        // The next step says where it is.
        shown = None;
    }
    Ok(())
}

/// How many steps a round has, and how often it comes again behind `end`, where one ends there.
fn repetition(steps: &[Step], end: usize) -> Option<(usize, usize)> {
    const LONGEST: usize = 4;
    (1..=LONGEST.min(end)).find_map(|period| {
        let round = &steps[end - period..end];
        let again = steps[end..]
            .chunks_exact(period)
            .take_while(|next| round.iter().zip(*next).all(|(one, other)| is_again(one, other)))
            .count();
        (again >= 2).then_some((period, again))
    })
}

/// Whether a step says the same as another, one caller further out.
fn is_again(step: &Step, next: &Step) -> bool {
    step.function == next.function
        && step.name == next.name
        && step.place == next.place
        && step.known == next.known
        && step.frame != next.frame
        && step.value.is_some() == next.value.is_some()
        && step.instruction.as_ref().map(|at| at.address)
            == next.instruction.as_ref().map(|at| at.address)
}

/// A line of the story, at most so wide.
fn write_wrapped(text: &str, out: &mut dyn Write) -> std::fmt::Result {
    const COLUMNS: usize = 100;
    let mut column = 0;
    for (index, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if index > 0 && column + 1 + width > COLUMNS {
            write!(out, "\n  ")?;
            column = 2;
        } else if index > 0 {
            write!(out, " ")?;
            column += 1;
        }
        write!(out, "{word}")?;
        column += width;
    }
    writeln!(out)
}

fn write_way(way: &Way, out: &mut dyn Write) -> std::fmt::Result {
    let verb = if way.taken { "jumped" } else { "did not jump" };
    write!(out, "  way: {} {} {verb}", way.branch.location, way.branch.text)?;
    if let Some(compare) = &way.compare {
        write!(out, " after {} {}", compare.location, compare.text)?;
    }
    if let Some(condition) = &way.condition {
        write!(out, ": {condition}")?;
    }
    let verdict = match way.verdict {
        Likelihood::Holds => "holds",
        Likelihood::Contradicted => "NOT this way",
        Likelihood::Unlikely => "inferred: not this way",
        _ => "possible",
    };
    write!(out, "  [{verdict}")?;
    if let Some(why) = &way.why {
        write!(out, ": {why}")?;
    }
    writeln!(out, "]")
}

fn write_step(step: &Step, out: &mut dyn Write) -> std::fmt::Result {
    write!(out, "{}", "  ".repeat(step.depth + 1))?;
    let mut separate = "";
    if !step.place.is_empty() {
        write!(out, "{}", step.place)?;
        separate = " = ";
    }
    // `what (rdi)` names itstep.
    if let Some(name) = &step.name
        && step.place.split(' ').next() != Some(name)
    {
        write!(out, "{separate}{name}")?;
        separate = " = ";
    }
    if let Some(ty) = &step.r#type {
        write!(out, " ({ty})")?;
        separate = " = ";
    }
    match step.value {
        Some(value) if value < 0x10000 => write!(out, "{separate}{value:#x}")?,
        Some(value) => write!(out, "{separate}{value:016x}")?,
        None => write!(out, "{separate}?")?,
    }
    let looks: Vec<_> = step.looks.iter().map(ToString::to_string).collect();
    if !looks.is_empty() {
        write!(out, " ({})", looks.join(", "))?;
    }
    if step.above {
        return writeln!(out, "  (see above)");
    }
    if let Some(at) = &step.instruction {
        write!(out, "  <- {} {}", at.location, at.text)?;
        write_line(at, out)?;
    }
    let mut how = Vec::new();
    match (step.known, &step.held_in) {
        (Known::Register, Some(register)) => how.push(format!("known: in %{register}")),
        (Known::Stack, Some(address)) => how.push(format!("known: on the stack at {address}")),
        (Known::Constant, _) => how.push("a constant of the code".into()),
        (Known::Computed, _) => how.push("computed from known values".into()),
        (Known::Callee, _) => how.push("known: the function called still has it".into()),
        (Known::Recomputed, _) => how.push("recomputed from memory as it is now".into()),
        _ => how.push(match &step.lost {
            Some(why) => format!("lost: {why}"),
            None => "lost: not known".into(),
        }),
    }
    match (step.memory_agrees, step.memory_now) {
        (Some(true), _) => how.push("memory still says so".into()),
        (_, Some(now)) => how.push(format!("but memory now holds {:#x}", now)),
        _ => {}
    }
    if step.inferred {
        how.push("inferred".into());
    }
    how.extend(step.note.iter().map(ToString::to_string));
    writeln!(out, "  [{}]", how.join("; "))
}
