//! What detectors look at, and what a detector is.

use std::{cell::OnceCell, fmt};

use necropsy_lexicon::Symptom;
use necropsy_linux::{
    Kernel,
    workqueue::{Work, WorkState},
};
use necropsy_oops::Report;

use crate::{
    case::Case,
    cause::Cause,
    explain::{Explanation, Happened, explain},
    finding::{Evidence, Finding},
    place::Place,
    suspect::Suspect,
    waits::Graph,
};

/// Looks for one kind of trouble.
pub struct Detector {
    /// What it is called.
    pub name: &'static str,
    /// The causes that it may find.
    pub causes: &'static [Cause],
    /// Looks. What cannot be read is no finding; a finding is true.
    pub detect: fn(&Inquiry<'_>) -> Vec<Finding>,
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What detectors look at. What is costly is made when the first asks for it.
#[derive(Debug)]
pub struct Inquiry<'k> {
    /// The kernel.
    pub kernel: &'k Kernel,
    /// What the log tells of first.
    pub report: Option<&'k Report>,
    /// The task that panicked; `None` if none did, or if it has no trace.
    pub case: Option<Case<'k>>,
    /// What the log says before and in the first report, for what that report does not repeat.
    pub log: &'k [String],
    /// Leave out what has to go through all of memory.
    pub quick: bool,
    explanation: OnceCell<Explanation>,
    graph: OnceCell<Graph<'k>>,
    pub(crate) suspect: OnceCell<Option<Suspect>>,
}

impl<'k> Inquiry<'k> {
    /// An inquiry into the crash of `kernel`, whose log tells of `report` first.
    pub fn new(kernel: &'k Kernel, report: Option<&'k Report>) -> Self {
        let case = Case::of_panic(kernel).ok().flatten();
        let (explanation, graph) = (OnceCell::new(), OnceCell::new());
        let suspect = OnceCell::new();
        Inquiry { kernel, report, case, log: &[], quick: false, explanation, graph, suspect }
    }

    /// The same, with the lines of the log.
    #[must_use]
    pub fn with_log(mut self, log: &'k [String]) -> Self {
        self.log = log;
        self
    }

    /// Who waits for whom.
    pub fn graph(&self) -> &Graph<'k> {
        self.graph.get_or_init(|| Graph::of(self.kernel))
    }

    /// The value that the failing instruction died of.
    pub(crate) fn suspect(&self) -> Option<Suspect> {
        Suspect::of(self)
    }

    /// Who waits for whom, if a detector wanted to know.
    pub(crate) fn graph_if_made(&self) -> Option<&Graph<'k>> {
        self.graph.get()
    }

    /// A task as a person would call it.
    pub(crate) fn who(&self, task: u64) -> String {
        let task = self.kernel.task_at(task);
        match (task.comm(), task.pid()) {
            (Ok(comm), Ok(pid)) => format!("{comm} (pid {pid})"),
            _ => format!("the task at {:x}", task.address),
        }
    }

    /// The function of the work item that a task runs, which is not on its stack where it left by a jump.
    pub(crate) fn work_of(&self, task: u64) -> Option<String> {
        let all = self.kernel.workqueues().ok()?.work;
        let runs = |work: &Work| work.state == WorkState::Running && work.worker == Some(task);
        let work = all.into_iter().find(runs)?;
        Some(crate::blame::whole(&crate::explain::code::location(self.kernel, work.function)))
    }

    /// What the allocator knows of an object, as evidence.
    pub(crate) fn state_of(&self, place: &Place) -> Evidence {
        Evidence {
            what: format!("the object: {}", place.words()),
            address: Some(place.start),
            value: None,
            command: format!("kmem {:x}", place.start),
        }
    }

    /// The last line of the log that holds one of some words.
    pub(crate) fn said_before(&self, words: &[&str]) -> Option<String> {
        let holds = |line: &&String| words.iter().any(|word| line.contains(word));
        self.log.iter().rev().find(holds).cloned()
    }

    /// Who called a function that stands on the stack, or else who is to blame by the stack.
    pub(crate) fn blamed_outside(&self, function: &str) -> Option<String> {
        let case = self.case.as_ref()?;
        let from = case.frame_of(function).map(|at| at + 1).or_else(|| case.failed())?;
        case.blamed_name(from)
    }

    /// The function that the caller had called where control came to `bad`, if that was another:
    /// what went there was that function, or one further in, which is not on the stack any more.
    pub(crate) fn led_to(&self, bad: u64) -> Option<String> {
        let led = self.explanation()?.steps.first()?.value?;
        let code = led != bad && self.kernel.target().is_text(led);
        code.then(|| crate::blame::whole(&crate::explain::code::location(self.kernel, led)))
    }

    /// The function that jumped to where control went astray, and that is not on the stack, where its code
    /// proves that.
    pub(crate) fn jumper(&self) -> Option<String> {
        let explanation = self.explanation()?;
        let at = explanation.instruction.as_ref()?.address;
        let control = self.case.as_ref()?.trace().frames.get(explanation.frame?)?.pc;
        let jumped = matches!(explanation.what, Happened::BadJump { .. }) && at != control;
        let function = necropsy_machine::dataflow::function_of(self.kernel.target(), at)?.start();
        jumped.then(|| crate::blame::whole(&crate::explain::code::location(self.kernel, function)))
    }

    /// What kind of trouble the log tells of first.
    pub fn symptom(&self) -> Option<Symptom> {
        self.report.map(|report| report.class)
    }

    /// What there is to explain of the task that panicked.
    pub fn explanation(&self) -> Option<&Explanation> {
        let case = self.case.as_ref()?;
        Some(self.explanation.get_or_init(|| explain(case, None)))
    }
}
