//! What happened does not depend on how it was captured: class, guilty frame
//! and title of every clean log stay the same through every channel.

mod common;

use common::containers::CONTAINERS;
use common::forms::{FORMS, Loss};
use common::{Log, Random};
use necropsy_oops::channel::unwrap;
use necropsy_oops::{Options, Report, TitleStyle, reports};

/// What must not change.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    class: String,
    frame: Option<String>,
    title: String,
}

fn first(reports: Vec<Report>) -> Option<Verdict> {
    let report = reports.into_iter().next()?;
    Some(Verdict { class: format!("{:?}", report.class), frame: report.frame, title: report.title })
}

fn verdict(capture: &[u8], style: TitleStyle) -> Option<Verdict> {
    first(reports(capture, &Options { style }))
}

/// Clean logs with the verdict on each as it was.
fn clean_logs(style: TitleStyle) -> Vec<(Log, Verdict)> {
    let mut logs = common::examples();
    logs.retain(|log| log.title.is_some() && !log.corrupted);
    logs.extend(common::consoles());
    logs.into_iter()
        .filter_map(|log| {
            let verdict = verdict(log.text.as_bytes(), style)?;
            Some((log, verdict))
        })
        .collect()
}

/// Counts the logs whose verdict stays; the complaint if too many change.
fn judge(
    what: &str,
    percent: usize,
    logs: &[(Log, Verdict)],
    mut get: impl FnMut(&Log, &mut Random) -> Option<Verdict>,
) -> Option<String> {
    let mut same = 0;
    for (index, (log, expected)) in logs.iter().enumerate() {
        let got = get(log, &mut Random::new(index as u64 + 1));
        if got.as_ref() == Some(expected) {
            same += 1;
        } else if std::env::var_os("NECROPSY_VERBOSE").is_some() {
            eprintln!("    {}: {expected:?}\n         -> {got:?}", log.name);
        }
    }
    eprintln!("{what}: {same} of {}", logs.len());
    (same * 100 < logs.len() * percent).then(|| format!("{what}: {same} of {}", logs.len()))
}

#[test]
fn forms_keep_the_verdict() {
    for style in [TitleStyle::Plain, TitleStyle::Syzkaller] {
        let logs = clean_logs(style);
        let complaints: Vec<String> = FORMS
            .iter()
            .filter_map(|form| {
                let percent = match form.loss {
                    Loss::None | Loss::Callers => 98,
                    Loss::Width => 90,
                    Loss::Characters => 85,
                };
                judge(form.name, percent, &logs, |log, random| {
                    verdict((form.print)(log, random).as_bytes(), style)
                })
            })
            .collect();
        assert!(complaints.is_empty(), "{style:?}: {complaints:#?}");
    }
}

#[test]
fn containers_keep_the_verdict() {
    let style = TitleStyle::Plain;
    let logs = clean_logs(style);
    let complaints: Vec<String> = CONTAINERS
        .iter()
        .filter_map(|container| {
            judge(container.name, 98, &logs, |log, random| {
                let files = (container.pack)(log, random);
                let named: Vec<(Option<&str>, &[u8])> =
                    files.iter().map(|(name, bytes)| (Some(name.as_str()), &bytes[..])).collect();
                first(
                    unwrap(&named)
                        .iter()
                        .flat_map(|s| reports(&s.text, &Options { style }))
                        .collect(),
                )
            })
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}
