//! The facts of a text alone: what the kernel itself said.

use necropsy_oops::Report;

use super::{Facts, gather};
use crate::diagnose_text;

impl Facts {
    /// What the reports of a log tell, in the place of a dump.
    pub fn of_text(reports: &[Report]) -> Facts {
        let mut facts = Facts { diagnosis: diagnose_text(reports), ..Facts::default() };
        facts.machine.dump = "none: only text was given".into();
        facts.story.push(
            "Only text was given, no dump: what follows is what the kernel itself said.".into(),
        );
        if let Some(first) = reports.first() {
            let who = first.comm.as_ref().zip(first.pid);
            facts.story.extend(who.map(|(comm, pid)| format!("{comm} (pid {pid}) was running.")));
            facts.story.extend(first.cause.clone());
        }
        facts.said = gather::said(reports);
        facts
    }
}
