//! A stack that ran over: the stack pointer, or what was accessed, lies below the stack of the task,
//! where nothing is mapped (VMAP_STACK's guard page), or the magic word at its end is gone.

use std::collections::HashMap;

use necropsy_linux::Kernel;

use crate::{
    case::Case,
    cause::Cause,
    explain::Happened,
    finding::{Confidence, Evidence, Finding},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector = Detector {
    name: "stack-overflow",
    causes: &[Cause::StackOverflow, Cause::OutOfBounds],
    detect,
};

/// How far below a stack its pointer is still taken for that stack's: no frame is larger.
const BELOW: u64 = 64 << 10;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let case = inquiry.case.as_ref()?;
    let failed = case.exception()?;
    let frame = case.trace().frames.get(failed)?;
    let stack = case.task.own_stack().ok()?;
    let below =
        |address: u64| stack.start.checked_sub(address).filter(|below| (1..=BELOW).contains(below));
    let accessed = match &inquiry.explanation()?.what {
        Happened::Access(access) => Some(access.address),
        _ => None,
    };
    let by_pointer = below(frame.sp).filter(|_| frame.stack.is_none());
    let bytes = by_pointer.or_else(|| accessed.and_then(below))?;
    // A bad pointer may lead there, too: then the stack pointer is far from the end.
    let left = frame.sp.wrapping_sub(stack.start);
    if by_pointer.is_none() && left > BELOW / 8 {
        return (bytes <= inquiry.kernel.target().page_size())
            .then(|| beside(inquiry, accessed?, bytes, left))?;
    }
    let deepest = Recursion::of(case);
    let task = case.task.address;
    let who = inquiry.who(task);
    let size = (stack.end - stack.start) >> 10;
    let what = match by_pointer {
        Some(_) => format!("the stack pointer is {frame:x}, {bytes:#x} bytes", frame = frame.sp),
        None => format!("{:x} was accessed, {bytes:#x} bytes", accessed.unwrap_or_default()),
    };
    // Only what filled the stack is what made it run over.
    let deepest = deepest.filter(|it| it.span.saturating_mul(2) >= stack.end - stack.start);
    let by =
        deepest.as_ref().map_or(String::new(), |Recursion { function, times, bytes, .. }| {
            let each = bytes.map_or(String::new(), |each| format!(", {each:#x} bytes each"));
            format!(": {function} stands on it {times} times{each}: a recursion without end")
        });
    let mut evidence = vec![
        Evidence {
            what: format!("the stack of {who}: it begins here, and grew below that"),
            address: None,
            value: Some(stack.start),
            command: format!("struct task_struct.stack {task:x}"),
        },
        Evidence {
            what: "the frames on it".into(),
            address: Some(frame.pc),
            value: None,
            command: "bt".into(),
        },
    ];
    if is_unmapped(inquiry.kernel, stack.start - 1) {
        evidence.push(Evidence::shown(
            "the guard page below it, where nothing is mapped",
            format!("vtop {:x}", stack.start - 8),
        ));
    }
    let mut finding = Finding::new(
        Cause::StackOverflow,
        Confidence::Certain,
        format!("the {size} KiB stack of {who} ran over: {what} below its beginning{by}"),
        evidence,
    );
    finding.function =
        deepest.map(|recursion| recursion.function).or_else(|| case.blamed_name(failed));
    Some(finding)
}

/// An access to the guard page below a stack that is not used up: a pointer ran off the stack's
/// beginning.
fn beside(inquiry: &Inquiry<'_>, address: u64, bytes: u64, left: u64) -> Option<Finding> {
    let case = inquiry.case.as_ref()?;
    let at = inquiry.explanation()?.instruction.as_ref()?;
    let who = inquiry.who(case.task.address);
    let mut finding = Finding::new(
        Cause::OutOfBounds,
        Confidence::Likely,
        format!(
            "{} accesses {address:x}, {bytes} bytes below the beginning of the stack of {who}, in its \
             guard page; the stack itself is not used up ({left} bytes are left): a pointer went out of \
             it",
            at.location
        ),
        vec![
            Evidence::instruction(at),
            Evidence {
                what: "the beginning of the stack".into(),
                address: None,
                value: Some(case.task.own_stack().ok()?.start),
                command: format!("struct task_struct.stack {:x}", case.task.address),
            },
        ],
    );
    finding.function = case.blamed();
    Some(finding)
}

fn is_unmapped(kernel: &Kernel, address: u64) -> bool {
    kernel.target().translate(address).is_err()
}

/// The function that stands on a stack most often.
struct Recursion {
    function: String,
    times: usize,
    /// Bytes of each of its rounds, where all are equal.
    bytes: Option<u64>,
    /// Bytes of the stack from its first frame to its last.
    span: u64,
}

impl Recursion {
    fn of(case: &Case<'_>) -> Option<Recursion> {
        let frames = &case.trace().frames;
        let mut places: HashMap<&str, Vec<u64>> = HashMap::new();
        for (number, frame) in frames.iter().enumerate() {
            if let Some(function) = case.function(number) {
                places.entry(function).or_default().push(frame.sp);
            }
        }
        let most = places.values().map(Vec::len).max().filter(|times| *times >= 4)?;
        // Of a circle of several functions, the innermost is named.
        let innermost =
            (0..frames.len()).filter_map(|number| case.function(number)).find(|function| {
                places.get(function).is_some_and(|at| at.len() + 1 >= most && at.len() >= 4)
            })?;
        let at = places.get(innermost)?;
        let mut steps = at.windows(2).skip(1).map(|pair| pair[1].wrapping_sub(pair[0]));
        let first = steps.next();
        let span = at.last()?.wrapping_sub(*at.first()?);
        let bytes = first.filter(|first| steps.all(|step| step == *first));
        Some(Recursion { function: innermost.to_owned(), times: at.len(), bytes, span })
    }
}
