//! An explanation as a row: JSON, and the text made of it.

use std::fmt::Write;

use serde::Serialize;

use crate::{
    render::{Faults, Hex},
    tasks::Header,
};

/// An instruction as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Listed {
    pub(super) address: Hex,
    /// `__shm_close+0x24`.
    pub(super) location: String,
    /// As objdump prints it, without runs of blanks.
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u32>,
}

/// One value on the way.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Step {
    /// How many steps away from what is explained.
    pub(super) depth: usize,
    /// The frame whose value it is; none for a function that left by a jump.
    pub(super) frame: Option<usize>,
    pub(super) function: Option<String>,
    /// The register, or the parameter it is passed as.
    pub(super) place: String,
    /// `sfd->id`.
    pub(super) name: Option<String>,
    pub(super) r#type: Option<String>,
    /// Name or type are not certain.
    pub(super) inferred: bool,
    pub(super) value: Option<Hex>,
    /// `register`, `stack`, `constant`, `computed` (from such), `recomputed` (from memory as it is
    /// now), `callee` (the function that it was passed to has it), `lost`.
    pub(super) known: &'static str,
    /// The register or stack address that holds it.
    pub(super) held_in: Option<String>,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<String>,
    pub(super) looks: Vec<String>,
    /// What made it.
    pub(super) instruction: Option<Listed>,
    /// Whether memory still holds the value that was read from it, where both are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_agrees: Option<bool>,
    /// What memory holds now, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_now: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
    /// It was explained above.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) above: bool,
}

/// A way to the instruction, by the last condition on it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Way {
    /// The conditional jump.
    pub(super) branch: Listed,
    pub(super) taken: bool,
    /// The comparison.
    pub(super) compare: Option<Listed>,
    /// `IS_ERR`-like condition in words: `ipc_obtain_object_idr() > 0xfffffffffffff000`.
    pub(super) condition: Option<String>,
    /// `holds`, `contradicted`, `unlikely` (inferred), `unknown`.
    pub(super) verdict: &'static str,
    pub(super) why: Option<String>,
}

/// The whole.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(flatten)]
    pub(super) header: Header,
    pub(super) frame: Option<usize>,
    /// `page_fault`, `general_protection`, `bug`, `warning`, `divide`, `bad_jump`, `panic`,
    /// `interrupt`, `call`, `none`.
    pub(super) kind: &'static str,
    pub(super) instruction: Option<Listed>,
    /// What happened, in a sentence.
    pub(super) what: String,
    /// The address that was accessed.
    pub(super) address: Option<Hex>,
    pub(super) ways: Vec<Way>,
    pub(super) steps: Vec<Step>,
    /// The parameters of the function, as far as they are known.
    pub(super) arguments: Vec<Step>,
    pub(super) notes: Vec<String>,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    pub(super) faults: Faults,
}

impl Row {
    /// Gives frames other numbers: those of `bt`.
    pub(super) fn renumber(&mut self, number: &dyn Fn(usize) -> usize) {
        let steps = self.steps.iter_mut().chain(&mut self.arguments).map(|step| &mut step.frame);
        for frame in steps.chain([&mut self.frame]).flatten() {
            *frame = number(*frame);
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> std::fmt::Result {
        writeln!(out, "{}", self.header)?;
        if let (Some(frame), Some(at)) = (self.frame, &self.instruction) {
            write!(out, "#{frame} {} at {:x}: {}", at.location, at.address.0, at.text)?;
            write_line(at, out)?;
            writeln!(out)?;
        }
        writeln!(out, "{}", self.what)?;
        for way in &self.ways {
            way.write(out)?;
        }
        write_steps(&self.steps, self.frame, out)?;
        if !self.arguments.is_empty() {
            writeln!(out, "arguments of the function:")?;
            write_steps(&self.arguments, self.frame, out)?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
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

fn write_steps(steps: &[Step], frame: Option<usize>, out: &mut dyn Write) -> std::fmt::Result {
    let mut shown = frame;
    let mut function: Option<&String> = None;
    for step in steps {
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
        step.write(out)?;
    }
    Ok(())
}

impl Way {
    fn write(&self, out: &mut dyn Write) -> std::fmt::Result {
        let verb = if self.taken { "jumped" } else { "did not jump" };
        write!(out, "  way: {} {} {verb}", self.branch.location, self.branch.text)?;
        if let Some(compare) = &self.compare {
            write!(out, " after {} {}", compare.location, compare.text)?;
        }
        if let Some(condition) = &self.condition {
            write!(out, ": {condition}")?;
        }
        let verdict = match self.verdict {
            "holds" => "holds",
            "contradicted" => "NOT this way",
            "unlikely" => "inferred: not this way",
            _ => "possible",
        };
        write!(out, "  [{verdict}")?;
        if let Some(why) = &self.why {
            write!(out, ": {why}")?;
        }
        writeln!(out, "]")
    }
}

impl Step {
    fn write(&self, out: &mut dyn Write) -> std::fmt::Result {
        write!(out, "{}", "  ".repeat(self.depth + 1))?;
        let mut separate = "";
        if !self.place.is_empty() {
            write!(out, "{}", self.place)?;
            separate = " = ";
        }
        // `what (rdi)` names itself.
        if let Some(name) = &self.name
            && self.place.split(' ').next() != Some(name)
        {
            write!(out, "{separate}{name}")?;
            separate = " = ";
        }
        if let Some(ty) = &self.r#type {
            write!(out, " ({ty})")?;
            separate = " = ";
        }
        match self.value {
            Some(Hex(value)) if value < 0x10000 => write!(out, "{separate}{value:#x}")?,
            Some(value) => write!(out, "{separate}{value:016}")?,
            None => write!(out, "{separate}?")?,
        }
        if !self.looks.is_empty() {
            write!(out, " ({})", self.looks.join(", "))?;
        }
        if self.above {
            return writeln!(out, "  (see above)");
        }
        if let Some(at) = &self.instruction {
            write!(out, "  <- {} {}", at.location, at.text)?;
            write_line(at, out)?;
        }
        let mut how = Vec::new();
        match (self.known, &self.held_in) {
            ("register", Some(register)) => how.push(format!("known: in %{register}")),
            ("stack", Some(address)) => how.push(format!("known: on the stack at {address}")),
            ("constant", _) => how.push("a constant of the code".into()),
            ("computed", _) => how.push("computed from known values".into()),
            ("callee", _) => how.push("known: the function called still has it".into()),
            ("recomputed", _) => how.push("recomputed from memory as it is now".into()),
            _ => how.push(format!("lost: {}", self.lost.as_deref().unwrap_or("not known"))),
        }
        match (self.memory_agrees, self.memory_now) {
            (Some(true), _) => how.push("memory still says so".into()),
            (_, Some(now)) => how.push(format!("but memory now holds {:#x}", now.0)),
            _ => {}
        }
        if self.inferred {
            how.push("inferred".into());
        }
        how.extend(self.note.clone());
        writeln!(out, "  [{}]", how.join("; "))
    }
}
