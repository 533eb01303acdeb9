//! The explanation in English: the only place that makes its sentences.

use std::fmt::{self, Display, Formatter};

use necropsy_disasm::effects::Condition;
use necropsy_linux::freelist::Overwritten;
use necropsy_machine::{dataflow::Lost, format as text};

use super::explanation::{
    Access, BadAddress, Comparison, Doubt, Happened, Held, Look, Loss, NoCode, NotFollowed, Note,
    Operand, StepNote,
};

/// What a function's own stack frame is called.
pub(super) const OWN_FRAME: &str = "(its own stack frame)";

/// What a value is called that lies in a CPU's own copy of a variable.
pub(super) fn this_cpu(pointer: &str) -> String {
    format!("this_cpu_ptr({pointer})")
}

impl Display for Happened {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Happened::NoSuchFrame => f.write_str("The trace has no such frame."),
            Happened::NotInterrupted => f.write_str(
                "No exception interrupted this task, and it called no panic: there is no bad \
                 value to explain. A frame's arguments are explained by its number.",
            ),
            Happened::NotKnown => f.write_str(
                "What this task did is not known: its stack could not be followed to its end, and \
                 what could be read of it shows no exception and no panic.",
            ),
            Happened::PanicCalled { by, panic } if crate::blame::carries_out(by) => {
                write!(f, "{by} called {panic}() for what others did: no instruction failed.")
            }
            Happened::PanicCalled { by, panic } => write!(
                f,
                "{by} called {panic}() on purpose: no instruction failed, and there is no bad \
                 value."
            ),
            Happened::Call { function } => {
                write!(f, "A call in progress: what {function} was called with.")
            }
            Happened::BadJump { to, why } => write!(f, "Control came to {to:016x}: {why}."),
            Happened::Trap { warning } => {
                let what = if *warning { "A WARN" } else { "A BUG" };
                write!(f, "{what}: a condition that the code checks for.")
            }
            Happened::Division => {
                f.write_str("A division: its divisor is zero, or its result too large.")
            }
            Happened::Access(access) => access.fmt(f),
            Happened::Interrupt { by } => write!(
                f,
                "An interrupt ({by}) came here: the instruction did nothing wrong, and there is \
                 no bad value."
            ),
            Happened::NotAnalysed { machine } => write!(
                f,
                "What the instruction accessed is not told: what those of {machine} do is not \
                 known here."
            ),
            Happened::Nothing => f.write_str(
                "Nothing is wrong with what the instruction accesses, as the dump has it now: a \
                 protection fault, memory that was mapped since, or no fault at all.",
            ),
        }
    }
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.write { "It writes" } else { "It reads" })?;
        match self.size_bytes {
            0 => {}
            1 => f.write_str(" 1 byte")?,
            size => write!(f, " {size} bytes")?,
        }
        write!(f, " at {:016x}{}: {}.", self.address, self.formula, self.why)?;
        if let Some(name) = &self.name {
            write!(f, " The source would call it {name}.")?;
        }
        if self.constant {
            f.write_str(" The address is a constant of the code.")?;
        }
        Ok(())
    }
}

impl Display for BadAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            BadAddress::NotCanonical { poison, text } => {
                f.write_str("it is not a canonical address")?;
                match (poison, text) {
                    (Some(poison), _) => write!(f, ": {poison}"),
                    (None, Some(text)) => write!(f, ": ASCII {text}"),
                    (None, None) => Ok(()),
                }
            }
            BadAddress::Null => f.write_str("it is NULL"),
            BadAddress::NearNull { offset } => {
                write!(f, "it is {offset:#x} bytes from NULL: a member of a NULL pointer")
            }
            BadAddress::NearEnd { below } => write!(
                f,
                "it is {below:#x} below the end of memory: an error number as a pointer, or a \
                 member before a NULL pointer"
            ),
            BadAddress::User => f.write_str(
                "it is a user address, which the kernel may not use as its own (SMAP, SMEP), \
                 mapped or not",
            ),
            BadAddress::NotPresent => f.write_str(
                "its page is marked not present: a guard page (KFENCE), or one that was freed \
                 (debug_pagealloc)",
            ),
            BadAddress::ReadOnly => f.write_str("the page may only be read"),
            BadAddress::NotMapped(fault) => write!(f, "nothing is mapped there ({fault})"),
            BadAddress::BeyondMemory { physical } => {
                write!(f, "physical address {physical:#x} is beyond the machine's memory")
            }
        }
    }
}

impl Display for NoCode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NoCode::Unreadable => f.write_str("the code there cannot be read"),
            NoCode::NoInstruction => f.write_str("the bytes there are no instruction"),
            NoCode::BadAddress(why) => why.fmt(f),
            NoCode::Nothing => f.write_str("no code lies there"),
            NoCode::NotExecutable => {
                f.write_str("what lies there is data, and its page may not be executed")
            }
            NoCode::NotKernel => f.write_str("no code of the kernel or a module lies there"),
        }
    }
}

impl Display for NotFollowed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            NotFollowed::NoCode { at, fault } => {
                write!(f, "the code of {at} is not in the dump ({fault})")
            }
            NotFollowed::NotUnderstood { at } => {
                write!(f, "the code of {at} cannot be followed from end to end")
            }
            NotFollowed::NoCaller => f.write_str("nothing is known of its caller"),
            NotFollowed::OtherCallee { caller, callee, function } => write!(
                f,
                "{caller} calls {callee}, and how control came from there to {function} is not \
                 known"
            ),
            NotFollowed::LeftByJump => f.write_str("a function left by a jump"),
            NotFollowed::Outer => Ok(()),
        }
    }
}

impl Display for Note {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Note::NotFollowed(why) => why.fmt(f),
            Note::NoValues(why) => write!(f, "{why}: no value can be followed"),
            Note::NoPointer => {
                f.write_str("its caller calls no pointer: it returned or jumped there")
            }
            Note::PanicWithin { by } => {
                write!(f, "within the interrupt {by} called panic() on purpose")
            }
            Note::ArgumentsOf { function } => {
                write!(f, "the arguments are those of {function}()")
            }
            Note::NoArguments { function, why } => {
                write!(f, "what {function}() was called with is not known: {why}")
            }
            Note::NoCondition => {
                f.write_str("no condition leads here: the code comes here in any case")
            }
            Note::Overwritten(found) => overwritten(found, f),
        }
    }
}

fn overwritten(found: &Overwritten, f: &mut Formatter<'_>) -> fmt::Result {
    let (stored, byte) = (found.stored, found.byte);
    write!(
        f,
        "{:016x} is a mangled free-list pointer (inferred): with s->random and the address \
         {:016x} undone, the word there was {stored:016x}",
        found.pointer, found.address
    )?;
    if byte.is_ascii_graphic() {
        write!(f, " ({})", text::quote(&[byte; 8]))?;
    }
    match &found.now {
        Ok(now) if *now == stored => f.write_str("; memory still holds it")?,
        Ok(now) => write!(f, "; memory holds {now:x} there now")?,
        Err(fault) => write!(f, "; {fault}")?,
    }
    write!(f, ". The free object {:016x} of ", found.object)?;
    match &found.cache {
        Some(name) => f.write_str(name)?,
        None => write!(f, "the cache at {:x}", found.kmem_cache)?,
    }
    f.write_str(" was written to after it was freed")
}

impl Display for StepNote {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            StepNote::Called { at, jump: false } => write!(f, "{at} calls here"),
            StepNote::Called { at, jump: true } => write!(f, "{at} jumps here"),
            StepNote::CalledByLostPointer { at } => {
                write!(f, "{at} calls by a pointer that is lost")
            }
            StepNote::NotFollowed(why) => why.fmt(f),
            StepNote::OnlyWay { place } => {
                write!(f, "of the ways to {place} the only one that is followed")
            }
            StepNote::OneOf(all) => f.write_str(&all.join(", or ")),
            StepNote::Ways { count, place, others } => {
                write!(f, "{count} ways lead to {place}")?;
                let Some(others) = others else { return Ok(()) };
                f.write_str("; memory agrees with this one")?;
                if !others.is_empty() {
                    write!(f, ", else it were {}", others.join(" or "))?;
                }
                Ok(())
            }
            StepNote::Rewritten { at } => {
                write!(f, "{at} writes there: what memory holds now may be that")
            }
            StepNote::OtherValue => {
                f.write_str("another value: not this way, or memory was changed since")
            }
            StepNote::Condition { supposed, condition } => {
                let on = if *supposed { "if control came this way, " } else { "" };
                write!(f, "{on}{condition}")
            }
        }
    }
}

impl Display for Loss {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match self.lost {
            Lost::Entry(reg) => {
                write!(f, "{} on entry: overwritten, and no caller knows it", reg.name())
            }
            Lost::Call(_) => write!(f, "the call at {place} left it, and it is overwritten"),
            Lost::Merged(_) => write!(f, "several ways lead to {place}"),
            Lost::Loop(_) => write!(f, "a loop around {place} changed what it was made of"),
            Lost::Unmodelled(_) => write!(f, "what {place} computes is not followed"),
            Lost::Frame => f.write_str("the place of the frame is not known"),
            Lost::Segment(base) => {
                write!(f, "the base of %{} is not known", base.name().trim_end_matches("_base"))
            }
            Lost::Fault(fault) => write!(f, "memory cannot be read: {fault}"),
            Lost::TooDeep => f.write_str("made in too many steps"),
            Lost::Unknown => f.write_str("nothing is known of it"),
        }
    }
}

impl Display for Look {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Look::Signed(number) => number.fmt(f),
            Look::Unsigned(number) => number.fmt(f),
            Look::Errno(name) => write!(f, "-{name}"),
            Look::Char(byte) => f.write_str(&text::char_literal(*byte)),
            Look::Enumerator(text) | Look::String(text) => f.write_str(text),
            Look::Letters(quoted) => write!(f, "ASCII {quoted}"),
            Look::NotCanonical => f.write_str("not a canonical address"),
            Look::PerCpuOffset => f.write_str("a per-CPU offset"),
            Look::Meaning(meaning) => meaning.fmt(f),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Named(text) => f.write_str(text),
            Operand::Constant { value, bytes } => {
                let unused = 64 - u32::from((*bytes).clamp(1, 8)) * 8;
                match ((value << unused) as i64) >> unused {
                    signed @ -4096..10 => signed.fmt(f),
                    _ => write!(f, "{:#x}", value << unused >> unused),
                }
            }
            Operand::Register { name, part } => {
                write!(f, "%{name}{}", if *part { " (low part)" } else { "" })
            }
            Operand::Memory(bytes) => write!(f, "{bytes} bytes of memory"),
            Operand::Computed => f.write_str("a computed value"),
        }
    }
}

/// `ipc_obtain_object_idr() > -4096: it is an error (IS_ERR)`.
impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Comparison { left, condition, right, is_error } = self;
        let Some(symbol) = Condition::symbol(*condition) else {
            return write!(f, "{condition:?} of {left} and {right}");
        };
        write!(f, "{left} {symbol} {right}")?;
        match is_error {
            Some(true) => f.write_str(": it is an error (IS_ERR)"),
            Some(false) => f.write_str(": it is no error"),
            None => Ok(()),
        }
    }
}

impl Display for Held {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Held::Register(name) => write!(f, "%{name}"),
            Held::Stack(address) => write!(f, "the stack at {address:x}"),
        }
    }
}

impl Display for Doubt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::Unequal { register, value, other, held } => {
                write!(
                    f,
                    "%{register} and {other} would be equal, and are {value:#x} and {held:#x}"
                )
            }
            Doubt::NotConstant { register, constant, value } => {
                write!(f, "%{register} would be {constant:#x}, and is {value:#x}")
            }
            Doubt::NothingThere { at, address } => {
                write!(f, "{at} would have read {address:#x}, where nothing is")
            }
            Doubt::Values { left, right, loaded, fulfil } => {
                let not = if *fulfil { "" } else { "not with " };
                let now = if *loaded { " (memory as it is now)" } else { "" };
                write!(f, "{not}{left:#x} and {right:#x}{now}")
            }
            Doubt::OtherWay { register } => {
                write!(f, "%{register} is as another way leaves it, equal to the stack's copy")
            }
        }
    }
}
