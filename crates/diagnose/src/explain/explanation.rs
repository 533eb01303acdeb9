//! What an explanation says, as types. They serialise: addresses as hexadecimal strings, the
//! sentences as [`super::words`] has them.

use necropsy_disasm::effects::Condition;
use necropsy_dump::Fault;
use necropsy_lexicon::{Arch, value::NearPoison};
use necropsy_linux::freelist::Overwritten;
use necropsy_machine::dataflow;
use serde::Serialize;

use crate::{
    serial::{self, named},
    value::Meaning,
};

named! {
    /// What kind of thing is explained.
    pub enum Kind {
        /// An access to an address that nothing is mapped at.
        PageFault = "page_fault",
        /// An access to what is no address.
        GeneralProtection = "general_protection",
        /// A BUG.
        Bug = "bug",
        /// A WARN.
        Warning = "warning",
        /// A division.
        Divide = "divide",
        /// Control came to no code.
        BadJump = "bad_jump",
        /// `panic()` was called.
        Panic = "panic",
        /// An interrupt, which says nothing of the instruction.
        Interrupt = "interrupt",
        /// A call in progress.
        Call = "call",
        /// Nothing.
        None = "none",
    }
}

named! {
    /// How a value is known.
    pub enum Known {
        /// A register holds it.
        Register = "register",
        /// The stack holds it.
        Stack = "stack",
        /// A constant of the code.
        Constant = "constant",
        /// Computed from such.
        Computed = "computed",
        /// Computed from memory as it is in the dump now, which may be another than the code saw.
        Recomputed = "recomputed",
        /// The function that it was passed to has it.
        Callee = "callee",
        /// It is not known.
        Lost = "lost",
    }
}

named! {
    /// Whether control came on a way.
    pub enum Likelihood {
        /// Its condition holds with the values that are known.
        Holds = "holds",
        /// Registers, stack or values contradict it.
        Contradicted = "contradicted",
        /// Another way is borne out (inferred).
        Unlikely = "unlikely",
        /// Nothing speaks for or against it.
        Unknown = "unknown",
    }
}

/// An instruction with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Where it lies.
    #[serde(serialize_with = "serial::hex")]
    pub address: u64,
    /// `__shm_close+0x24`.
    pub location: String,
    /// As objdump prints it, without runs of blanks.
    pub text: String,
    /// The source file, where debug information is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// One value on the way back from the instruction.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// How many steps away from what is explained.
    pub depth: usize,
    /// The frame whose value it is; none for a function that left by a jump.
    pub frame: Option<usize>,
    /// The function.
    pub function: Option<String>,
    /// The register, or the parameter it is passed as.
    pub place: String,
    /// `sfd->id`.
    pub name: Option<String>,
    /// Its C type.
    pub r#type: Option<String>,
    /// Name or type are not certain.
    pub inferred: bool,
    /// The value itself.
    #[serde(serialize_with = "serial::maybe_hex")]
    pub value: Option<u64>,
    /// How it is known.
    pub known: Known,
    /// The register or stack address that holds it.
    pub held_in: Option<String>,
    /// Why it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Loss>,
    /// What it looks like.
    pub looks: Vec<Look>,
    /// What made it.
    pub instruction: Option<Listed>,
    /// The address that it was read from, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serial::maybe_hex")]
    pub read_from: Option<u64>,
    /// Whether memory still holds the value that was read from it, where both are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_agrees: Option<bool>,
    /// What memory holds now, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serial::maybe_hex")]
    pub memory_now: Option<u64>,
    /// What is to be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<StepNote>,
    /// It was explained above.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub above: bool,
}

/// A way to the instruction, by the last condition on it.
#[derive(Debug, Clone, Serialize)]
pub struct Way {
    /// The conditional jump.
    pub branch: Listed,
    /// Whether it jumped.
    pub taken: bool,
    /// The comparison.
    pub compare: Option<Listed>,
    /// `ipc_obtain_object_idr() > 0xfffffffffffff000`.
    pub condition: Option<Comparison>,
    /// Whether control came this way.
    pub verdict: Likelihood,
    /// Why.
    pub why: Option<Doubt>,
}

/// The whole explanation of one frame.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Number of the frame on the stack.
    pub frame: Option<usize>,
    /// What kind of thing is explained.
    pub kind: Kind,
    /// The instruction that control is at.
    pub instruction: Option<Listed>,
    /// What happened.
    pub what: Happened,
    /// The whole in a few plain lines.
    pub story: Vec<String>,
    /// The address that was accessed.
    #[serde(serialize_with = "serial::maybe_hex")]
    pub address: Option<u64>,
    /// The ways to a trap.
    pub ways: Vec<Way>,
    /// Where the bad value came from.
    pub steps: Vec<Step>,
    /// The parameters of the function, as far as they are known.
    pub arguments: Vec<Step>,
    /// What is to be added.
    pub notes: Vec<Note>,
}

impl Explanation {
    /// One that has only begun.
    pub(super) fn new(what: Happened) -> Self {
        Explanation {
            frame: None,
            kind: what.kind(),
            instruction: None,
            address: what.address(),
            what,
            story: Vec::new(),
            ways: Vec::new(),
            steps: Vec::new(),
            arguments: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Gives frames other numbers: those of logical frames in place of those on the stack.
    pub fn renumber(&mut self, number: &dyn Fn(usize) -> usize) {
        let steps = self.steps.iter_mut().chain(&mut self.arguments).map(|step| &mut step.frame);
        for frame in steps.chain([&mut self.frame]).flatten() {
            *frame = number(*frame);
        }
    }
}

/// What happened at the instruction of a frame. Its `Display` is a sentence or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The trace is not that long.
    NoSuchFrame,
    /// No exception interrupted the task, and it called no panic.
    NotInterrupted,
    /// The stack could not be followed to its end, and shows neither.
    NotKnown,
    /// A function called `panic()` on purpose.
    PanicCalled {
        /// Which.
        by: String,
        /// `panic`, `nmi_panic` …
        panic: String,
    },
    /// The frame waits for a call.
    Call {
        /// Its function.
        function: String,
    },
    /// Control came to what is no code.
    BadJump {
        /// Where.
        to: u64,
        /// Why it is none.
        why: NoCode,
    },
    /// A trap by intent: a condition that the code checks for.
    Trap {
        /// A WARN, not a BUG.
        warning: bool,
    },
    /// A division by zero, or with too large a result.
    Division,
    /// An access to memory that cannot be accessed.
    Access(Access),
    /// An interrupt came there.
    Interrupt {
        /// Its entry function.
        by: String,
    },
    /// What the instructions of this machine do is not known here.
    NotAnalysed {
        /// The machine.
        machine: Arch,
    },
    /// Nothing is wrong with the instruction as far as can be told.
    Nothing,
}

/// An access to an address that is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// It writes.
    pub write: bool,
    /// How much, in bytes; 0 if that is not known.
    pub size_bytes: u32,
    /// Where.
    pub address: u64,
    /// How the address is made: ` = %rbx (0) + 0x18`; empty for a constant.
    pub formula: String,
    /// Why it cannot be accessed.
    pub why: BadAddress,
    /// What the source would call the place.
    pub name: Option<String>,
    /// The address is a constant of the code.
    pub constant: bool,
}

impl Happened {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Happened::NoSuchFrame
            | Happened::NotInterrupted
            | Happened::NotKnown
            | Happened::NotAnalysed { .. }
            | Happened::Nothing => Kind::None,
            Happened::PanicCalled { .. } => Kind::Panic,
            Happened::Call { .. } => Kind::Call,
            Happened::BadJump { .. } => Kind::BadJump,
            Happened::Trap { warning: true } => Kind::Warning,
            Happened::Trap { warning: false } => Kind::Bug,
            Happened::Division => Kind::Divide,
            Happened::Access(Access { why: BadAddress::NotCanonical { .. }, .. }) => {
                Kind::GeneralProtection
            }
            Happened::Access(_) => Kind::PageFault,
            Happened::Interrupt { .. } => Kind::Interrupt,
        }
    }

    fn address(&self) -> Option<u64> {
        match self {
            Happened::BadJump { to, .. } => Some(*to),
            Happened::Access(access) => Some(access.address),
            _ => None,
        }
    }
}

/// Why an address cannot be accessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadAddress {
    /// The processor accepts no such address.
    NotCanonical {
        /// The pattern that it is, or was made of, if it is one.
        poison: Option<NearPoison>,
        /// The text that it is, if it is one, in quotes.
        text: Option<String>,
    },
    /// It is 0.
    Null,
    /// A member of a NULL pointer.
    NearNull {
        /// Bytes from NULL.
        offset: u64,
    },
    /// An error number as a pointer, or a member before a NULL pointer.
    NearEnd {
        /// Bytes below the end of memory.
        below: u64,
    },
    /// A user address.
    User,
    /// Nothing is mapped there.
    NotMapped(Fault),
    /// There is memory, whose page is marked not present: KFENCE's guard pages, free pages under
    /// debug_pagealloc.
    NotPresent,
    /// It may only be read.
    ReadOnly,
    /// What is mapped there is beyond the machine's memory.
    BeyondMemory {
        /// The physical address.
        physical: u64,
    },
}

/// Why no code can be executed somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCode {
    /// It should be there, and cannot be read.
    Unreadable,
    /// The bytes there are no instruction.
    NoInstruction,
    /// The address is bad.
    BadAddress(BadAddress),
    /// There is none.
    Nothing,
    /// Memory whose page may not be executed.
    NotExecutable,
    /// Neither the kernel's nor a module's.
    NotKernel,
}

/// Why the values of a function cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFollowed {
    /// Its code is not in the dump.
    NoCode {
        /// The function, with an offset.
        at: String,
        /// Why.
        fault: Fault,
    },
    /// Its code is not understood.
    NotUnderstood {
        /// The function, with an offset.
        at: String,
    },
    /// Nothing is known of its caller.
    NoCaller,
    /// Its caller calls another function, and how control came from there is not known.
    OtherCallee {
        /// Where the call is.
        caller: String,
        /// The function that it calls.
        callee: String,
        /// The function that runs.
        function: String,
    },
    /// A function left by a jump at which nothing is known.
    LeftByJump,
    /// The reason lies in a frame further out.
    Outer,
}

/// A remark on the whole explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The function cannot be analysed.
    NotFollowed(NotFollowed),
    /// As before, and so no value can be followed.
    NoValues(NotFollowed),
    /// Control came to no code, and no pointer was called.
    NoPointer,
    /// Within the interrupt a function called `panic()`.
    PanicWithin {
        /// Which.
        by: String,
    },
    /// The arguments are those of another function.
    ArgumentsOf {
        /// Which.
        function: String,
    },
    /// What a function was called with is not known.
    NoArguments {
        /// Which.
        function: String,
        /// Why.
        why: NotFollowed,
    },
    /// No condition leads to the trap.
    NoCondition,
    /// A value is a pointer of a free list that was written over.
    Overwritten(Overwritten),
}

/// A remark on one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepNote {
    /// Here the function is called.
    Called {
        /// The place of the call.
        at: String,
        /// It is a jump, not a call.
        jump: bool,
    },
    /// Here the function is called, it seems, by a pointer that is lost.
    CalledByLostPointer {
        /// The place of the call.
        at: String,
    },
    /// How control came here is not known.
    NotFollowed(NotFollowed),
    /// Of several ways to a place the only one that is followed.
    OnlyWay {
        /// The place where they meet.
        place: String,
    },
    /// The value is one of these.
    OneOf(Vec<String>),
    /// Several ways lead to a place.
    Ways {
        /// So many.
        count: usize,
        /// The place where they meet.
        place: String,
        /// Memory agrees with only one of them; what the value would be called on the others.
        others: Option<Vec<String>>,
    },
    /// The function itself writes to what it read, at this place: what memory holds now may be that.
    Rewritten {
        /// The place.
        at: String,
    },
    /// Memory holds another value on this way: it was not this way, or memory was changed since.
    OtherValue,
    /// The condition that held.
    Condition {
        /// Only if control came this way.
        supposed: bool,
        /// Which.
        condition: Comparison,
    },
}

/// Why a value is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The reason.
    pub lost: dataflow::Lost,
    /// The place that the reason speaks of, if it speaks of one.
    pub place: String,
}

/// What a value looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// A negative number.
    Signed(i64),
    /// A number.
    Unsigned(u64),
    /// An error number, by name.
    Errno(&'static str),
    /// A character.
    Char(u8),
    /// An enumerator.
    Enumerator(String),
    /// The string that a pointer leads to, in quotes.
    String(String),
    /// Letters, where a number or an address should be, in quotes.
    Letters(String),
    /// Not a canonical address.
    NotCanonical,
    /// An offset to which a CPU's own base is added.
    PerCpuOffset,
    /// What its bits and the kernel tell.
    Meaning(Meaning),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// What the source calls it.
    Named(String),
    /// A constant, as wide as the comparison.
    Constant {
        /// The number.
        value: u64,
        /// How many of its bytes are compared.
        bytes: u8,
    },
    /// A register.
    Register {
        /// Its name.
        name: &'static str,
        /// Not all of it.
        part: bool,
    },
    /// So many bytes of memory.
    Memory(u32),
    /// A value that was computed.
    Computed,
}

/// A condition as it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The left side.
    pub left: Operand,
    /// How they compare.
    pub condition: Condition,
    /// The right side.
    pub right: Operand,
    /// The right side is the first error pointer (IS_ERR): whether the left side is one.
    pub is_error: Option<bool>,
}

/// What speaks for or against a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Two places would hold the same value, and do not.
    Unequal {
        /// A register.
        register: &'static str,
        /// What it holds.
        value: u64,
        /// The other place.
        other: Held,
        /// What that holds.
        held: u64,
    },
    /// A register would hold a constant, and does not.
    NotConstant {
        /// The register.
        register: &'static str,
        /// The constant.
        constant: u64,
        /// What it holds.
        value: u64,
    },
    /// Memory would have been read that nothing is mapped at.
    NothingThere {
        /// The instruction.
        at: String,
        /// The address.
        address: u64,
    },
    /// The values that were compared, as far as they are known.
    Values {
        /// The left one.
        left: u64,
        /// The right one.
        right: u64,
        /// One of them is from memory as it is now.
        loaded: bool,
        /// They fulfil the condition.
        fulfil: bool,
    },
    /// A register is as another way leaves it.
    OtherWay {
        /// The register.
        register: &'static str,
    },
}

/// A place that holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A register.
    Register(&'static str),
    /// A word of the stack.
    Stack(u64),
}

serial::as_text!(Happened, Note, StepNote, Loss, Look, Comparison, Doubt);
