//! An explanation: why a value is what it is.

use necropsy_diagnose::explain::Explanation;
use necropsy_rows::{
    Kind::{Count, Faults, Flag, Hex, List, Null, Row as One, Text},
    Row, RowType, described, put_fields,
};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::tasks::Header;

/// Whose it is, and the explanation.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    #[serde(flatten)]
    pub(crate) header: Header,
    #[serde(flatten)]
    pub(crate) explanation: Explanation,
    #[serde(skip_serializing_if = "necropsy_rows::Faults::is_empty")]
    pub(crate) faults: necropsy_rows::Faults,
}

/// The explanation as a row.
#[derive(Debug)]
pub struct ExplanationRow<'a>(pub(crate) &'a Explained);

impl ExplanationRow<'_> {
    /// The declaration.
    pub const TYPE: &'static RowType = &EXPLANATION;
}

impl Serialize for ExplanationRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Row for ExplanationRow<'_> {
    const TYPE: &'static RowType = &EXPLANATION;

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        put_fields(self.0, map)
    }
}

described! {
    /// Why a fault happened, or why a value is what it is.
    pub static EXPLANATION {
        /// Thread id.
        "pid": Null(&Count),
        /// Its `task_struct`.
        "task": Hex,
        /// The CPU it runs or last ran on.
        "cpu": Null(&Count),
        /// Command name.
        "comm": Null(&Text),
        /// The frame, as `bt` numbers it.
        "frame": Null(&Count),
        /// What happened: `page_fault`, `general_protection`, `bug`, `warning`, `divide`,
        /// `bad_jump`, `panic`, `interrupt`, `call`, `none`.
        "kind": Text,
        /// The instruction where it did.
        "instruction": Null(&One(|| &LISTED)),
        /// What happened, in a sentence.
        "what": Text,
        /// The whole in a few plain lines.
        "story": List(&Text),
        /// The address that was accessed.
        "address": Null(&Hex),
        /// Ways to the instruction, by the last condition on each.
        "ways": List(&One(|| &WAY)),
        /// The values that led to it.
        "steps": List(&One(|| &STEP)),
        /// The parameters of the function, as far as they are known.
        "arguments": List(&One(|| &STEP)),
        /// What else is to be said.
        "notes": List(&Text),
        /// What could not be read.
        "faults": Faults => maybe,
    }

    /// An instruction.
    static LISTED {
        /// Where it lies.
        "address": Hex,
        /// The same as function and offset: `__shm_close+0x24`.
        "location": Text,
        /// As objdump prints it, without runs of blanks.
        "text": Text,
        /// Source file.
        "file": Text => maybe,
        /// Line in it.
        "line": Count => maybe,
    }

    /// A way to the instruction, by the last condition on it.
    static WAY {
        /// The conditional jump.
        "branch": One(|| &LISTED),
        /// It jumped.
        "taken": Flag,
        /// The comparison.
        "compare": Null(&One(|| &LISTED)),
        /// The condition in words.
        "condition": Null(&Text),
        /// `holds`, `contradicted`, `unlikely` (inferred), `unknown`.
        "verdict": Text,
        /// Why.
        "why": Null(&Text),
    }

    /// A value on the way.
    static STEP {
        /// How many steps away from what is explained.
        "depth": Count,
        /// The frame whose value it is; none for a function that left by a jump.
        "frame": Null(&Count),
        /// The function.
        "function": Null(&Text),
        /// The register, or the parameter it is passed as.
        "place": Text,
        /// What it is called: `sfd->id`.
        "name": Null(&Text),
        /// Its type.
        "type": Null(&Text),
        /// Name or type are not certain.
        "inferred": Flag,
        /// The value.
        "value": Null(&Hex),
        /// How it is known: `register`, `stack`, `constant`, `computed` (from such), `recomputed`
        /// (from memory as it is now), `callee` (the function that it was passed to has it),
        /// `lost`.
        "known": Text,
        /// The register or stack address that holds it.
        "held_in": Null(&Text),
        /// Why it is lost.
        "lost": Text => maybe,
        /// What the value looks like.
        "looks": List(&Text),
        /// What made it.
        "instruction": Null(&One(|| &LISTED)),
        /// The address that it was read from, where that is known.
        "read_from": Hex => maybe,
        /// Whether memory still holds the value that was read from it, where both are known.
        "memory_agrees": Flag => maybe,
        /// What memory holds now, where that is something else.
        "memory_now": Hex => maybe,
        /// What else is to be said of it.
        "note": Text => maybe,
        /// It was explained above.
        "above": Flag => maybe,
    }
}
