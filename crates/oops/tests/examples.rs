//! The labelled logs of a public corpus, where they are at hand.

use necropsy_synth::Needs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use necropsy_oops::{Options, Report, TitleStyle, reports, type_of};

const STYLE: Options = Options { style: TitleStyle::Syzkaller };

fn corpus() -> Option<PathBuf> {
    let root = std::env::var_os("NECROPSY_CORPORA")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"));
    let path = root.join("oops-examples");
    path.is_dir().then_some(path)
}

/// A labelled log: its keys, and the console text.
struct Example {
    name: String,
    keys: Vec<(String, String)>,
    log: Vec<u8>,
}

impl Example {
    fn read(path: &Path, name: String) -> Example {
        let mut data = std::fs::read(path).unwrap();
        data.retain(|byte| *byte != b'\r');
        let mut keys = Vec::new();
        let mut at = 0;
        loop {
            let end = memchr::memchr(b'\n', &data[at..]).map_or(data.len(), |end| at + end);
            let line = String::from_utf8_lossy(&data[at..end]).into_owned();
            at = (end + 1).min(data.len());
            match line.split_once(": ") {
                Some((key, value)) if !line.is_empty() => {
                    keys.push((key.to_owned(), value.trim().to_owned()));
                }
                _ => break,
            }
        }
        let log = &data[at..];
        let end = memchr::memmem::find(log, b"\n\nREPORT:\n").map_or(log.len(), |end| end + 1);
        Example { name, keys, log: log[..end].to_vec() }
    }

    fn all(&self, key: &str) -> BTreeSet<&str> {
        self.keys.iter().filter(|(known, _)| known == key).map(|(_, value)| &**value).collect()
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.all(key).into_iter().next()
    }

    fn frame(&self) -> Option<&str> {
        let (_, frame) = self.get("TITLE")?.rsplit_once(" in ")?;
        (frame != "corrupted").then_some(frame)
    }
}

fn examples(path: &Path) -> Vec<Example> {
    let index = std::fs::read_to_string(path.join("index.tsv")).unwrap();
    index
        .lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t');
            let name = format!("{}/{}", columns.next().unwrap(), columns.next().unwrap());
            Example::read(&path.join(&name), name)
        })
        .collect()
}

#[derive(Default)]
struct Score(BTreeMap<&'static str, (usize, usize)>);

impl Score {
    fn count(&mut self, metric: &'static str, right: bool) -> bool {
        let (good, all) = self.0.entry(metric).or_default();
        *good += usize::from(right);
        *all += 1;
        right
    }

    fn percent(&self, metric: &str) -> f64 {
        let (good, all) = self.0[metric];
        good as f64 * 100.0 / all.max(1) as f64
    }
}

fn names<'a>(title: &'a str, alt: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    alt.into_iter().chain([title]).collect()
}

fn judge(example: &Example, found: &[Report], score: &mut Score) {
    let Some(title) = example.get("TITLE") else {
        if !score.count("silent", found.is_empty()) {
            println!("{}: not silent: {}", example.name, found[0].title);
        }
        return;
    };
    let Some(first) = found.first() else {
        println!("{}: nothing found, not {title}", example.name);
        score.count("detected", false);
        return;
    };
    score.count("detected", true);
    let mut right = score.count("title", first.title == title);
    right &= score.count("type", type_of(&first.title) == example.get("TYPE"));
    let alt = first.alt_titles.iter().map(String::as_str);
    right &= score
        .count("alternative titles", alt.clone().collect::<BTreeSet<_>>() == example.all("ALT"));
    let same = !names(title, example.all("ALT")).is_disjoint(&names(&first.title, alt));
    score.count("same bug", same);
    if let Some(frame) = example.frame() {
        score.count("frame", first.frame.as_deref() == Some(frame));
    }
    let metric = if example.get("CORRUPTED").is_some() { "corrupted" } else { "not corrupted" };
    right &= score.count(metric, first.corrupted == example.get("CORRUPTED").is_some());
    right &= score.count("panicked", first.panicked == example.get("PANICKED").is_some());
    right &= score.count("suppressed", first.suppressed == example.get("SUPPRESSED").is_some());
    if found.len() > 1 {
        score.count("first of many", first.title == title);
    }
    if !right {
        println!(
            "{}: {title} {:?} {:?}\n  found {} {:?} {:?} panicked {} suppressed {}",
            example.name,
            example.get("TYPE"),
            example.all("ALT"),
            first.title,
            type_of(&first.title),
            first.alt_titles,
            first.panicked,
            first.suppressed,
        );
        if let Some(why) = first.corrupted_why {
            println!("  {why}");
        }
    }
}

fn labels() {
    let Some(path) = corpus() else {
        eprintln!("SKIPPED: no oops-examples; set NECROPSY_CORPORA");
        return;
    };
    let mut score = Score::default();
    for example in examples(&path) {
        judge(&example, &reports(&example.log, &STYLE), &mut score);
    }
    for (metric, (good, all)) in &score.0 {
        println!("{metric:>20} {good:>4} of {all:<4} {:.1} %", score.percent(metric));
    }
    for (metric, least) in [
        ("detected", 100.0),
        ("silent", 100.0),
        ("type", 98.0),
        ("frame", 95.0),
        ("same bug", 97.0),
        ("corrupted", 90.0),
        ("not corrupted", 98.0),
        ("title", 93.0),
        ("first of many", 97.0),
    ] {
        assert!(score.percent(metric) >= least, "{metric} below {least} %");
    }
}

fn found_again_from_the_start_and_not_from_the_end() {
    let Some(path) = corpus() else {
        eprintln!("SKIPPED: no oops-examples; set NECROPSY_CORPORA");
        return;
    };
    for example in examples(&path).into_iter().filter(|example| example.name.starts_with("linux")) {
        let Some(first) = reports(&example.log, &STYLE).into_iter().next() else { continue };
        let start = first.start_line - 1;
        let rest: Vec<&[u8]> = example.log.split(|byte| *byte == b'\n').skip(start).collect();
        let again = reports(&rest.join(&b'\n'), &STYLE);
        assert_eq!(
            again.first().map(|report| &report.title),
            Some(&first.title),
            "{}",
            example.name
        );
    }
}

necropsy_synth::data_tests! {
    labels: [Needs::Corpora("oops-examples")],
    found_again_from_the_start_and_not_from_the_end: [Needs::Corpora("oops-examples")],
}
