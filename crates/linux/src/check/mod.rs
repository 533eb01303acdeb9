//! Integrity: what in memory contradicts itself.
//!
//! An area is one file with a `static AREA`, and one line in [`AREAS`]. It looks at everything of
//! its kind that has redundancy, and hands each contradiction to its [`Checker`].

mod difference;
mod finding;
mod fs;
mod ipc;
mod irq;
mod list;
mod mm;
mod module;
mod page;
mod places;
mod ring;
mod slab;
mod task;
mod timer;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::atomic::{AtomicBool, Ordering},
};

pub use difference::Difference;
pub use finding::{Class, Confidence, Finding};
use necropsy_dump::{Fault, Reason};

use crate::{Error, Kernel, slub::Object};

/// A part of the kernel that is checked by itself.
pub struct Area {
    /// As users type it.
    pub name: &'static str,
    /// What is checked, for the manual: sentences without their end, one a check.
    pub about: &'static str,
    run: fn(&mut Checker<'_>),
}

impl std::fmt::Debug for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Area").field(&self.name).finish()
    }
}

/// All areas, in the order in which they are checked.
pub static AREAS: &[&Area] = &[
    &slab::AREA,
    &page::AREA,
    &list::AREA,
    &task::AREA,
    &mm::AREA,
    &fs::AREA,
    &ipc::AREA,
    &timer::AREA,
    &module::AREA,
    &irq::AREA,
];

/// The area of that name.
pub fn area(name: &str) -> Option<&'static Area> {
    AREAS.iter().copied().find(|area| area.name == name)
}

/// What was found, and what was looked at.
#[derive(Debug, Default)]
pub struct Report {
    /// By area, in the order of its checks.
    pub findings: Vec<Finding>,
    /// What was looked at.
    pub checked: Vec<Checked>,
    /// What could not be, and why.
    pub unread: Vec<Unread>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// How many of a kind were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The area.
    pub area: &'static str,
    /// `slabs`, `objects`, …
    pub what: &'static str,
    /// How many.
    pub count: u64,
}

/// What the dump or the kernel's types do not let anybody look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The area.
    pub area: &'static str,
    /// `free lists`, `page frames`, …
    pub what: &'static str,
    /// How many.
    pub count: u64,
    /// Why the first of them could not be.
    pub why: Option<Error>,
}

/// Checks the areas, all of [`AREAS`] where none is named, until `stop` is set.
pub fn run(kernel: &Kernel, areas: &[&'static Area], stop: &AtomicBool) -> Report {
    let areas = if areas.is_empty() { AREAS } else { areas };
    let mut report = Report::default();
    // One after the other: each is parallel in itself.
    for area in areas {
        let mut checker = Checker::new(kernel, area.name, stop);
        (area.run)(&mut checker);
        report.stopped |= checker.stopped();
        checker.merge();
        let area = area.name;
        report.findings.append(&mut checker.findings);
        let checked = checker.checked.into_iter();
        report.checked.extend(checked.map(|(what, count)| Checked { area, what, count }));
        let unread = checker.unread.into_iter();
        report.unread.extend(unread.map(|(what, (count, why))| Unread { area, what, count, why }));
    }
    report
}

/// Whether memory cannot be read because nothing is there: not because the dump lacks it.
pub(crate) fn no_address(fault: &Fault) -> bool {
    matches!(fault.reason, Reason::BadAddress | Reason::NotMapped { .. })
}

/// Whether an address lies in an image, or in an object that is not free and that `fits`. Of what the
/// dump lacks, and of a slab whose cache is none, nobody knows.
pub(crate) fn is_object(kernel: &Kernel, address: u64, fits: impl Fn(&Object) -> bool) -> bool {
    if kernel.target().image_at(address).is_some() {
        return true;
    }
    match kernel.slab_object(address) {
        Ok(Some(object)) => object.state.allocated() != Some(false) && fits(&object),
        Ok(None) => false,
        Err(error) => matches!(kernel.slab_at(address), Ok(Some(_))) || lacks(&error),
    }
}

/// Whether something is not known because the dump lacks it, or because it could not be tried: that
/// is not wrong.
pub(crate) fn lacks(error: &Error) -> bool {
    match error {
        Error::Fault(fault, _) => !no_address(fault),
        Error::NoSuch { .. } => true,
        Error::Absent { .. } | Error::Corrupt { .. } => false,
    }
}

/// What an area's checks hand their results to.
pub(crate) struct Checker<'k> {
    pub(crate) kernel: &'k Kernel,
    area: &'static str,
    stop: &'k AtomicBool,
    findings: Vec<Finding>,
    checked: BTreeMap<&'static str, u64>,
    unread: BTreeMap<&'static str, (u64, Option<Error>)>,
}

impl<'k> Checker<'k> {
    fn new(kernel: &'k Kernel, area: &'static str, stop: &'k AtomicBool) -> Self {
        let (findings, checked, unread) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Checker { kernel, area, stop, findings, checked, unread }
    }

    /// One for a part of the area, for another thread; see [`Checker::take`].
    pub(crate) fn part(&self) -> Checker<'k> {
        Checker::new(self.kernel, self.area, self.stop)
    }

    /// Takes over what a part has.
    pub(crate) fn take(&mut self, part: Checker<'_>) {
        self.findings.extend(part.findings);
        for (what, count) in part.checked {
            self.count(what, count);
        }
        for (what, (count, why)) in part.unread {
            let entry = self.unread.entry(what).or_default();
            entry.0 += count;
            entry.1 = entry.1.take().or(why);
        }
    }

    /// Leaves one finding of those about the same word: two neighbours may both see that it is
    /// wrong, and only one of them know what it should be.
    fn merge(&mut self) {
        let mut at: HashMap<(u64, Class), usize> = HashMap::new();
        let mut kept: Vec<Finding> = Vec::new();
        for finding in std::mem::take(&mut self.findings) {
            match at.entry((finding.address, finding.class)) {
                Entry::Occupied(known) if finding.class == Class::Link && finding.address != 0 => {
                    let known = &mut kept[*known.get()];
                    if known.expected.is_none() && finding.expected.is_some() {
                        *known = finding;
                    }
                }
                entry => {
                    entry.insert_entry(kept.len());
                    kept.push(finding);
                }
            }
        }
        self.findings = kept;
    }

    /// Whether the user wants no more.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Notes a contradiction: what is wrong, with what, and where it shows.
    pub(crate) fn find(
        &mut self,
        check: &'static str,
        class: Class,
        object: impl Into<String>,
        address: u64,
        statement: impl Into<String>,
    ) -> &mut Finding {
        let finding =
            Finding::new(self.area, check, class, object.into(), address, statement.into());
        self.findings.push(finding);
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// Notes two values that should be equal and are not.
    pub(crate) fn compare(
        &mut self,
        check: &'static str,
        object: impl Into<String>,
        address: u64,
        (expected, found): (u64, u64),
        statement: &str,
    ) -> Option<&mut Finding> {
        if expected == found {
            return None;
        }
        let finding = self.find(check, Class::Counter, object, address, statement);
        Some(finding.values(expected, found))
    }

    /// Counts what was looked at.
    pub(crate) fn count(&mut self, what: &'static str, count: u64) {
        *self.checked.entry(what).or_default() += count;
    }

    /// Counts what could not be looked at.
    pub(crate) fn unread(&mut self, what: &'static str, count: u64, why: Option<&Error>) {
        let entry = self.unread.entry(what).or_default();
        entry.0 += count;
        if entry.1.is_none() {
            entry.1 = why.cloned();
        }
    }

    /// What is not checked on this machine.
    pub(crate) fn unknown_here(&mut self, what: &'static str, count: u64) {
        let machine = self.kernel.target().abi().arch;
        self.unread(what, count, Some(&Error::absent(format!("rule for those of {machine}"))));
    }

    /// An error of a walk: memory that the dump lacks is no damage of the kernel's, the rest is.
    pub(crate) fn walk(
        &mut self,
        check: &'static str,
        what: &'static str,
        object: impl Into<String>,
        address: u64,
        error: &Error,
    ) {
        match error {
            Error::Corrupt { what, at } => {
                let found =
                    self.find(check, Class::Link, object, at.unwrap_or(address), what.clone());
                found.start(at.unwrap_or(address));
            }
            Error::Fault(fault, _) if no_address(fault) => {
                let text = format!("it leads to {:x}, where there is nothing", fault.address);
                let found = self.find(check, Class::Pointer, object, address, text);
                found.start(address).found(fault.address);
            }
            _ => self.unread(what, 1, Some(error)),
        }
    }
}
