//! What each kind of report says and how it is named: one table a header.
//!
//! A header is the text that makes a line the start of a report; under it
//! stand the rules that tell one kind of report from another. The rule whose
//! pattern matches earliest in the report wins.

mod bug;
pub(crate) mod foreign;
mod info;
mod other;
mod panic;
mod plain;
mod warning;

use necropsy_lexicon::Symptom;

/// One way to find function names in a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Go to the next line that matches; its groups are functions.
    Line(&'static str),
    /// Read frames until the next stack begins, or the next step's line.
    Stack,
    /// Read frames until the next stack begins, though they are mixed with those
    /// of a fault injection.
    Torn,
}

/// Which of the functions found is the guilty one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The first.
    First,
    /// The one a generic dispatcher called (stalls, stack overflows).
    Stall,
    /// The first that is not waiting machinery (hung tasks).
    Hang,
}

/// Where the guilty function stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) steps: &'static [Step],
    pub(crate) fallback: &'static [Step],
    pub(crate) third: &'static [Step],
    /// Skip classes on top of the ones that always apply.
    pub(crate) skip: &'static [&'static str],
    /// The classes that always apply do not: they are Linux's.
    pub(crate) foreign: bool,
    pub(crate) pick: Pick,
}

impl Frame {
    pub(crate) const fn new(steps: &'static [Step]) -> Frame {
        Frame { steps, fallback: &[], third: &[], skip: &[], foreign: false, pick: Pick::First }
    }
    pub(crate) const fn or(mut self, fallback: &'static [Step]) -> Frame {
        self.fallback = fallback;
        self
    }
    pub(crate) const fn or_else(mut self, third: &'static [Step]) -> Frame {
        self.third = third;
        self
    }
    pub(crate) const fn skip(mut self, skip: &'static [&'static str]) -> Frame {
        self.skip = skip;
        self
    }
    pub(crate) const fn foreign(mut self) -> Frame {
        self.foreign = true;
        self
    }
    pub(crate) const fn pick(mut self, pick: Pick) -> Frame {
        self.pick = pick;
        self
    }
}

use Step::{Line, Stack, Torn};

/// The call trace.
pub(crate) const TRACE: Frame = Frame::new(&[Line("@CT"), Stack]);
/// The instruction pointer, else the call trace.
pub(crate) const POINTER_TRACE: Frame =
    Frame::new(&[Line("@RIP"), Line("@CT"), Stack]).or(&[Line("@CT"), Stack]).or_else(&[Torn]);
/// The instruction pointer alone.
pub(crate) const POINTER: Frame = Frame::new(&[Line("@RIP")]);
/// The place of a warning: the pointer, then the frames after it.
pub(crate) const WARNED: Frame =
    Frame::new(&[Line("@RIP|--- interrupt: [0-9a-f]+ at @FUNC"), Stack]).or(&[Line("@CT"), Stack]);

/// One kind of report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// What tells the kind.
    pub(crate) title: &'static str,
    /// What the whole report must hold as well; its groups fill the name.
    pub(crate) whole: Option<&'static str>,
    /// The name: `{1}`, `{2}` are groups, `{F}` the guilty function.
    pub(crate) name: &'static str,
    /// Other names of the same bug.
    pub(crate) alt: &'static [&'static str],
    /// Where the function of an alternative name `{O}` stands.
    pub(crate) origin: Option<Frame>,
    /// Where the guilty function stands; no function in the name if absent.
    pub(crate) frame: Option<Frame>,
    /// The report's real head is known to be lost.
    pub(crate) corrupted: bool,
    /// The kind prints no stack, or may do without.
    pub(crate) no_stack: bool,
    /// A stack without frames does not speak against it: the function stands in
    /// the head.
    pub(crate) any_stack: bool,
    /// No function is to blame, whatever stands in the trace.
    pub(crate) nobody: bool,
    pub(crate) class: Symptom,
}

impl Rule {
    pub(crate) const fn new(title: &'static str, name: &'static str, class: Symptom) -> Rule {
        Rule {
            title,
            whole: None,
            name,
            alt: &[],
            origin: None,
            frame: None,
            corrupted: false,
            no_stack: false,
            any_stack: false,
            nobody: false,
            class,
        }
    }
    pub(crate) const fn whole(mut self, whole: &'static str) -> Rule {
        self.whole = Some(whole);
        self
    }
    pub(crate) const fn at(mut self, frame: Frame) -> Rule {
        self.frame = Some(frame);
        self
    }
    pub(crate) const fn alt(mut self, alt: &'static [&'static str]) -> Rule {
        self.alt = alt;
        self
    }
    pub(crate) const fn origin(mut self, frame: Frame) -> Rule {
        self.origin = Some(frame);
        self
    }
    pub(crate) const fn corrupted(mut self) -> Rule {
        self.corrupted = true;
        self
    }
    pub(crate) const fn no_stack(mut self) -> Rule {
        self.no_stack = true;
        self
    }
    pub(crate) const fn nobody(mut self) -> Rule {
        self.nobody = true;
        self
    }
    pub(crate) const fn any_stack(mut self) -> Rule {
        self.no_stack = true;
        self.any_stack = true;
        self
    }
}

/// A header and the kinds of reports it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// The text that starts a report.
    pub(crate) text: &'static str,
    /// Lines that hold the text and are no report all the same.
    pub(crate) except: &'static [&'static str],
    pub(crate) rules: &'static [Rule],
    /// The text may stand inside a report of another kind.
    pub(crate) inner: bool,
    /// The report begins some lines earlier, with this text.
    pub(crate) since: Option<&'static str>,
    /// What the line must match as well.
    pub(crate) only: Option<&'static str>,
    /// Plain titles have rules that know more of the kind.
    pub(crate) narrow: bool,
}

impl Header {
    pub(crate) const fn new(text: &'static str, rules: &'static [Rule]) -> Header {
        Header { text, except: &[], rules, inner: false, since: None, only: None, narrow: false }
    }
    pub(crate) const fn except(mut self, except: &'static [&'static str]) -> Header {
        self.except = except;
        self
    }
    pub(crate) const fn since(mut self, text: &'static str) -> Header {
        self.since = Some(text);
        self
    }
    pub(crate) const fn only(mut self, only: &'static str) -> Header {
        self.only = Some(only);
        self
    }
    pub(crate) const fn narrow(mut self) -> Header {
        self.narrow = true;
        self
    }
    pub(crate) const fn inner(mut self) -> Header {
        self.inner = true;
        self
    }
}

/// All headers, in the order in which a line is tried against them.
pub(crate) const HEADERS: &[&[Header]] =
    &[bug::HEADERS, warning::HEADERS, info::HEADERS, other::FAULTS, panic::HEADERS, other::REST];

/// A report whose head is lost.
pub(crate) const FRAGMENT: Header = Header::new(
    "",
    &[Rule::new(r"(?s:.)", "Fragment (its head is lost) in {F}", Symptom::Unknown)
        .at(POINTER_TRACE)
        .corrupted()],
);

/// Headers of kinds the well-known style does not know.
pub(crate) const PLAIN: &[Header] = plain::HEADERS;

/// Is the line one that belongs to the report before it, though it begins like another? The
/// allocator's lines do, and what holds up a hung task.
pub(crate) fn goes_on(line: &str) -> bool {
    // how Rust's panic ends
    if line.contains("kernel BUG at rust/helpers") {
        return true;
    }
    line.trim_start().strip_prefix("INFO: ").is_some_and(|rest| {
        let blocker = rest.starts_with("task ") && rest.contains(" is blocked on a");
        blocker
            || ["0x", "Allocated in ", "Freed in ", "Slab 0x", "Object 0x", "Fixing "]
                .iter()
                .any(|head| rest.starts_with(head))
    })
}
