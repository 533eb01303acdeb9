//! An access that nothing deeper explains, told as what it is: a write to what may only be read, data
//! that was executed, an error number or a user's address taken for a pointer, memory behind the end
//! of an area.

use necropsy_disasm::{
    Effects,
    effects::{Assignment, Expression, Operation},
};
use necropsy_lexicon::{AddressClass, value};
use necropsy_linux::Kernel;

use crate::{
    cause::Cause,
    explain::{Access, BadAddress, Happened, NoCode, code},
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
    place::Place,
    suspect::Suspect,
    unloaded::may_have_held,
    value::before_null,
};

pub(super) static DETECTOR: Detector = Detector {
    name: "bad-pointer",
    causes: &[Cause::BadPointer, Cause::OutOfBounds, Cause::NullPointer, Cause::UseAfterFree],
    detect,
};

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    match &explanation.what {
        Happened::Access(access) => accessed(inquiry, access),
        // Where there is code, nothing went astray.
        Happened::BadJump { why: NoCode::Unreadable | NoCode::NoInstruction, .. } => None,
        Happened::BadJump { to, why } => jumped(inquiry, *to, why),
        _ => None,
    }
}

/// Whether one of the values that the address was made of is NULL.
fn from_null(inquiry: &Inquiry<'_>) -> bool {
    let steps = inquiry.explanation().map_or(&[][..], |explanation| explanation.steps.as_slice());
    steps.iter().any(|step| step.depth == 0 && step.value == Some(0))
}

/// Whether the code itself went back so many bytes from a pointer: container_of() of a member.
fn went_back(inquiry: &Inquiry<'_>, bytes: u64) -> bool {
    let Some(explanation) = inquiry.explanation() else { return false };
    let mut made = explanation.steps.iter().filter(|step| step.depth <= 1);
    made.any(|step| {
        step.frame == explanation.frame
            && step.value.is_none_or(|value| value == bytes.wrapping_neg())
            && step
                .instruction
                .as_ref()
                .and_then(|at| code::effects_at(inquiry.kernel, at.address))
                .is_some_and(|effects| goes_back(&effects, bytes))
    })
}

/// Whether an instruction computes what lies so many bytes before a pointer.
fn goes_back(effects: &Effects, bytes: u64) -> bool {
    let before = bytes.wrapping_neg();
    effects.assignments.iter().any(|assignment| match assignment {
        Assignment::Register { value: Expression::Address(memory), .. } => {
            memory.displacement == before
        }
        Assignment::Register { value: Expression::Binary(operation, _, by), .. } => {
            match (operation, by.as_ref()) {
                (Operation::Add, Expression::Constant(by)) => *by == before,
                (Operation::Subtract, Expression::Constant(by)) => *by == bytes,
                _ => false,
            }
        }
        _ => false,
    })
}

/// Where the access was, as evidence.
fn by_explain(inquiry: &Inquiry<'_>, value: u64) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if let Some(at) = inquiry.explanation().and_then(|explanation| explanation.instruction.as_ref())
    {
        evidence.push(Evidence::instruction(at));
    }
    evidence.push(Evidence {
        what: "the address, and where it comes from".into(),
        address: None,
        value: Some(value),
        command: "explain".into(),
    });
    evidence
}

fn accessed(inquiry: &Inquiry<'_>, access: &Access) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let at = inquiry.explanation()?.instruction.as_ref()?;
    let (verb, from) = if access.write { ("writes", "to") } else { ("reads", "from") };
    let address = access.address;
    let mut evidence = by_explain(inquiry, address);
    let named = access.name.as_deref().map_or(String::new(), |name| format!(" ({name})"));
    let (class, what, confidence) = match &access.why {
        BadAddress::Null | BadAddress::NearNull { .. } => return None,
        BadAddress::ReadOnly => {
            evidence.push(Evidence::shown(
                "the flags of its page: no RW among them",
                format!("vtop {address:x}"),
            ));
            let place = code::location(kernel, address);
            (
                Cause::BadPointer,
                format!("read-only memory at {address:x}, {place}"),
                Confidence::Certain,
            )
        }
        // A member, or an element, far from NULL.
        BadAddress::User if address < 1 << 24 && from_null(inquiry) => {
            let what =
                format!("{address:x}: so far from NULL, which is the pointer it was made of");
            (Cause::NullPointer, what, Confidence::Likely)
        }
        BadAddress::User if is_per_cpu_offset(kernel, address) => {
            let what = format!(
                "{address:x}, which is no address of the kernel's: as an offset it leads into each CPU's own \
                 data, whose base was not added"
            );
            (Cause::BadPointer, what, Confidence::Likely)
        }
        BadAddress::User => (
            Cause::BadPointer,
            format!("{address:x}, an address of the user's, which the kernel must not follow"),
            Confidence::Certain,
        ),
        BadAddress::NearEnd { below } => {
            // The pointer itself, before a member's offset was added.
            let suspect = Suspect::of(inquiry);
            let error =
                suspect.and_then(|it| value::error_number(it.value, true)).unwrap_or(*below);
            let name = value::errno(error);
            let named = name.map_or(String::new(), |name| format!(" ({name})"));
            let member = format!("what lies {error:#x} bytes before NULL");
            match (went_back(inquiry, error), before_null(error)) {
                (true, _) => {
                    let what = format!(
                        "{address:x}: NULL was taken for a member {error:#x} into an object"
                    );
                    (Cause::NullPointer, what, Confidence::Likely)
                }
                (false, true) => {
                    let what = format!(
                        "{address:x}: {member}, as where NULL is taken for a member; or the error \
                         -{error}{named}, taken for a pointer"
                    );
                    (Cause::NullPointer, what, Confidence::Likely)
                }
                // Objects are multiples of eight, too.
                (false, false) if error.is_multiple_of(8) => {
                    let what =
                        format!("the error -{error}{named}, taken for a pointer (or {member})");
                    (Cause::BadPointer, what, Confidence::Likely)
                }
                (false, false) => {
                    let what = format!("the error -{error}{named}, taken for a pointer");
                    (Cause::BadPointer, what, Confidence::Likely)
                }
            }
        }
        BadAddress::NotPresent => (
            Cause::BadPointer,
            format!("{address:x}, whose page is marked not present (a guard page, or a freed one)"),
            Confidence::Likely,
        ),
        BadAddress::NotMapped(_) => match once(inquiry, address) {
            Once::End(what, area) => {
                evidence.push(area);
                (Cause::OutOfBounds, what, Confidence::Likely)
            }
            Once::Module(module) => {
                let what = format!(
                    "{address:x}, where modules lie and none is any more: {module} was unloaded last, \
                     and something of it may be in use still"
                );
                (Cause::UseAfterFree, what, Confidence::Likely)
            }
            Once::Gone(by) => {
                let what = format!(
                    "{address:x}, where nothing is mapped any more: {by} had given the memory there, and \
                     it was freed since"
                );
                (Cause::UseAfterFree, what, Confidence::Likely)
            }
            Once::Nothing => (
                Cause::BadPointer,
                format!("{address:x}, where nothing is mapped"),
                Confidence::Likely,
            ),
        },
        BadAddress::NotCanonical { text, .. } => {
            let text = text.as_ref().map_or(String::new(), |text| format!(": the text {text}"));
            let what = format!("{address:x}, which is no address{text}");
            (Cause::BadPointer, what, Confidence::Likely)
        }
        BadAddress::BeyondMemory { .. } => {
            (Cause::BadPointer, format!("{address:x}, beyond all memory"), Confidence::Likely)
        }
    };
    let suspect = Suspect::of(inquiry);
    let home = suspect.and_then(|suspect| suspect.home);
    let place = home.and_then(|home| Place::of(kernel, home));
    if let Some(home) = home {
        evidence.push(Evidence {
            what: "the word that it was read from".into(),
            address: Some(home),
            value: kernel.target().read_u64(home).ok(),
            command: format!("rd {home:x}"),
        });
    }
    let of = place
        .as_ref()
        .map_or(String::new(), |place| format!("; it was read from {}", place.words()));
    Some(Finding {
        class,
        statement: format!("{} {verb} {from} {what}{named}{of}", at.location),
        confidence,
        evidence,
        object: place.map(|place| place.object(None)),
        function: None,
        task: None,
    })
}

/// Whether a number, taken for an address, leads into the CPUs' own data where a CPU's base is added.
fn is_per_cpu_offset(kernel: &Kernel, number: u64) -> bool {
    let base = kernel.online_cpus().first().and_then(|cpu| kernel.per_cpu_offset(*cpu));
    base.is_some_and(|base| kernel.per_cpu_place(base.wrapping_add(number)).is_some())
}

/// What may have been where nothing is mapped.
enum Once {
    /// An area ends just before: in words, and as evidence.
    End(String, Evidence),
    /// Modules lie around: the one that was unloaded last.
    Module(String),
    /// An area that a function had made there.
    Gone(String),
    /// Nothing is known of it.
    Nothing,
}

fn once(inquiry: &Inquiry<'_>, address: u64) -> Once {
    // On some machines areas of vmalloc lie beside modules: what is known of one comes first.
    let behind = behind(inquiry, address).map(|(what, area)| Once::End(what, area));
    let held = || may_have_held(inquiry.kernel, address).map(Once::Module);
    behind.or_else(|| gone(inquiry, address).map(Once::Gone)).or_else(held).unwrap_or(Once::Nothing)
}

/// Functions that map what they give.
const MAPPERS: [&str; 9] = [
    "vmalloc",
    "vzalloc",
    "__vmalloc",
    "kvmalloc",
    "kvzalloc",
    "__kvmalloc",
    "vmap",
    "ioremap",
    "memremap",
];
/// No area is larger, in bytes, that an offset from its beginning tells of.
const LARGEST_AREA: u64 = 1 << 30;

/// The function that gave the memory which an address is made of: it had been mapped then.
fn gone(inquiry: &Inquiry<'_>, address: u64) -> Option<String> {
    let (_, errors) = inquiry.kernel.vmalloc_areas().ok()?;
    if !errors.is_empty() {
        return None;
    }
    inquiry.explanation()?.steps.iter().find_map(|step| {
        let name = step.name.as_deref()?.strip_suffix("()")?;
        let start = step.value?;
        let near = address.checked_sub(start).is_some_and(|offset| offset < LARGEST_AREA);
        let maps = MAPPERS.iter().any(|mapper| name.starts_with(mapper));
        let gone = inquiry.kernel.vmalloc_area(start).is_none();
        (near && maps && gone).then(|| name.to_owned())
    })
}

/// The area that ends just before an address.
fn behind(inquiry: &Inquiry<'_>, address: u64) -> Option<(String, Evidence)> {
    let kernel = inquiry.kernel;
    let page = kernel.target().page_size();
    let area =
        kernel.vmalloc_area(address).or_else(|| kernel.vmalloc_area(address.checked_sub(page)?))?;
    let size = area.pages.map(|pages| pages * page).filter(|size| *size > 0)?;
    let end = area.start.checked_add(size)?;
    // Only its guard page is known to be nobody else's.
    let bytes = address.checked_sub(end).filter(|bytes| *bytes < page)?;
    let by = area
        .caller
        .map_or(String::new(), |caller| format!(" that {} made", code::location(kernel, caller)));
    let what = format!(
        "{address:x}, {bytes} bytes behind the end of the {size} bytes at {:x}{by}",
        area.start
    );
    let evidence = Evidence {
        what: "the area, whose last page is a guard".into(),
        address: None,
        value: Some(area.start),
        command: format!("kmem {:x}", area.start),
    };
    Some((what, evidence))
}

fn jumped(inquiry: &Inquiry<'_>, to: u64, why: &NoCode) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let case = inquiry.case.as_ref()?;
    let unloaded = match why {
        NoCode::BadAddress(BadAddress::NotMapped(_)) => match once(inquiry, to) {
            Once::Module(module) => Some(module),
            Once::End(..) | Once::Gone(_) | Once::Nothing => None,
        },
        _ => None,
    };
    let class = match why {
        NoCode::BadAddress(BadAddress::Null | BadAddress::NearNull { .. }) => Cause::NullPointer,
        _ if unloaded.is_some() => Cause::UseAfterFree,
        _ => Cause::BadPointer,
    };
    let what = match (why, &unloaded) {
        (_, Some(module)) => {
            format!("modules lie there, and none does any more: {module} was unloaded last")
        }
        (NoCode::NotExecutable, _) => match Place::of(kernel, to) {
            Some(place) => format!("it is data, {:#x} into {}", place.offset, place.words()),
            None => format!("it is data ({})", code::location(kernel, to)),
        },
        (NoCode::BadAddress(BadAddress::User), _) => "it is an address of the user's".into(),
        (NoCode::BadAddress(BadAddress::Null), _) => "it is NULL".into(),
        (why, None) => why.to_string(),
    };
    let explanation = inquiry.explanation()?;
    let step = explanation.steps.first();
    // What the caller's own call led to, where that is known.
    let led = step.and_then(|step| step.value);
    // The call itself fails where its pointer is no address at all.
    let exception = case.exception()?;
    let in_code =
        case.trace().frames.get(exception).is_some_and(|frame| kernel.target().is_text(frame.pc));
    let number = if in_code { exception } else { exception + 1 };
    let function = case.blamed_name(number);
    let suspect = Suspect::of(inquiry);
    let name =
        step.and_then(|step| step.name.clone()).map_or(String::new(), |name| format!(" by {name}"));
    // A function that left by a jump, or returned to where it must not, is not on the stack.
    let within = inquiry.led_to(to);
    let jumper = inquiry.jumper();
    let statement = match (&jumper, &within, &function) {
        (Some(jumper), _, Some(by)) => {
            format!("{jumper}, which {by} had called, left by a jump{name} to {to:016x}: {what}")
        }
        (None, Some(within), Some(by)) => format!(
            "control went to {to:016x} from {within}, which {by} called, or from a function further in \
             that is not on the stack any more: {what}"
        ),
        (None, None, Some(by)) if led == Some(to) => {
            format!("{by} called a function{name} at {to:016x}: {what}")
        }
        (None, None, Some(by)) => format!(
            "{by}, or a function that it left to by a jump, called a function at {to:016x}: {what}"
        ),
        (_, _, None) => format!("a function was called{name} at {to:016x}: {what}"),
    };
    let function = jumper.or(within).or(function);
    // That a module which is gone lay there, and not another or none, is an inference.
    let certain = led == Some(to) && unloaded.is_none();
    let confidence = if certain { Confidence::Certain } else { Confidence::Likely };
    let mut evidence = vec![Evidence {
        what: "where control came to".into(),
        address: None,
        value: (class != Cause::NullPointer).then_some(to),
        command: "explain".into(),
    }];
    let home = suspect.and_then(|suspect| suspect.home);
    if let Some(home) = home {
        evidence.push(Evidence {
            what: "the word that holds the pointer which was called".into(),
            address: Some(home),
            value: kernel.target().read_u64(home).ok(),
            command: format!("rd {home:x}"),
        });
    }
    if kernel.target().address_class(to) == AddressClass::NonCanonical {
        evidence.truncate(1 + usize::from(home.is_some()));
    }
    Some(Finding {
        class,
        statement,
        confidence,
        evidence,
        object: home.and_then(|home| Some(Place::of(kernel, home)?.object(None))),
        function,
        task: None,
    })
}

#[cfg(test)]
mod tests {
    use necropsy_disasm::{Isa, effects};

    use super::*;

    #[test]
    fn code_that_goes_back_from_a_member() {
        let back = |bytes: &[u8]| {
            let effects = effects(Isa::X86_64, bytes, 0).expect("an instruction");
            (goes_back(&effects, 0x10), goes_back(&effects, 0x18))
        };
        assert_eq!(back(&[0x48, 0x8d, 0x47, 0xf0]), (true, false), "lea -0x10(%rdi),%rax");
        assert_eq!(back(&[0x48, 0x83, 0xe8, 0x10]), (true, false), "sub $0x10,%rax");
        assert_eq!(back(&[0x48, 0x83, 0xc0, 0xf0]), (true, false), "add $-0x10,%rax");
        assert_eq!(back(&[0x48, 0x8b, 0x47, 0xf0]), (false, false), "mov -0x10(%rdi),%rax reads");
    }
}
