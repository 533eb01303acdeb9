//! The page as sections of items: what is on it, whoever renders it.

use necropsy_diagnose::{
    Diagnosis, Evidence, Finding,
    facts::{Facts, Scene},
};

use crate::{render::Size, tasks::Header, wall};

/// The page: the most important section first.
pub(super) struct Page {
    pub(super) sections: Vec<Section>,
}

/// A part of the page.
pub(super) struct Section {
    pub(super) title: &'static str,
    /// What stands beside the title.
    pub(super) head: String,
    pub(super) items: Vec<Item>,
}

/// A piece of a section.
pub(super) enum Item {
    /// A paragraph.
    Text(String),
    /// A line that is not to be broken.
    Line(String),
    /// A name and a value.
    Field(&'static str, String),
    /// A finding: its class and confidence, its sentence, what proves it.
    Finding(String, Vec<Evidence>),
}

impl Section {
    fn new(title: &'static str) -> Section {
        Section { title, head: String::new(), items: Vec::new() }
    }

    fn with(title: &'static str, items: impl IntoIterator<Item = Item>) -> Section {
        Section { title, head: String::new(), items: items.into_iter().collect() }
    }
}

/// The page of a crash, of which there is a dump or only text; `quick`: its first part.
pub(super) fn of(facts: &Facts, dump: bool, quick: bool) -> Page {
    let mut sections = diagnosis(&facts.diagnosis, &facts.story);
    if !facts.known.is_empty() {
        sections.push(known(facts));
    }
    if dump {
        sections.push(machine(facts));
    }
    sections.extend(said(facts));
    if let Some(task) = &facts.task {
        sections.push(stack(task));
        if !quick {
            sections.extend(registers(task));
        }
    }
    if dump && !quick {
        sections.extend(rest(facts));
    }
    if !facts.missing.is_empty() {
        let items = facts.missing.iter().cloned().map(Item::Line);
        sections.push(Section::with("NOT TO BE HAD", items));
    }
    Page { sections }
}

/// What it comes to.
fn diagnosis(diagnosis: &Diagnosis, story: &[String]) -> Vec<Section> {
    let mut verdict = Section::new("VERDICT");
    match &diagnosis.verdict {
        Some(found) => {
            verdict.head = format!("{} ({})", found.title, found.confidence.name());
            verdict.items.push(Item::Text(sentence(&found.statement)));
            if let (Some(function), Some(naive)) = (&found.function, &found.naive_function)
                && function != naive
            {
                verdict.items.push(Item::Text(format!(
                    "It failed in {naive}, which did what it was asked to."
                )));
            }
            if let Some(culprit) = &found.culprit {
                verdict.items.push(Item::Text(format!("Suspect: {culprit}.")));
            }
        }
        None => verdict.head = "none: nothing that could be read says what happened".into(),
    }
    let mut sections = vec![verdict];
    if !story.is_empty() {
        let story = story.iter().cloned().map(Item::Text);
        sections.push(Section::with("WHAT HAPPENED", story));
    }
    let finding = |(index, finding): (usize, &Finding)| {
        // The verdict's own sentence stands above.
        let first = index == 0
            && diagnosis.verdict.as_ref().is_some_and(|it| it.statement == finding.statement);
        let (class, sure) = (finding.class.name(), finding.confidence.name());
        let said = match first {
            true => format!("{class} ({sure}), as above"),
            false => format!("{class} ({sure}): {}", finding.statement),
        };
        Item::Finding(said, finding.evidence.clone())
    };
    let findings = diagnosis.findings.iter().enumerate().map(finding);
    sections.push(Section::with("EVIDENCE", findings));
    let rejected = diagnosis.rejected.iter();
    let rejected =
        rejected.map(|it| Item::Text(format!("{}: {}", it.hypothesis.name(), it.because)));
    sections.push(Section::with("NOT THIS", rejected));
    let text = |lines: &[String]| lines.iter().cloned().map(Item::Text).collect::<Vec<_>>();
    sections.push(Section::with("CHECKED, AND IN ORDER", text(&diagnosis.checked)));
    sections.push(Section::with("NEXT", text(&diagnosis.next)));
    sections.retain(|section| !section.items.is_empty() || !section.head.is_empty());
    sections
}

/// Words that begin sentences; anything else at the beginning is a name, and stays as it is.
const WORDS: [&str; 14] = [
    "a",
    "an",
    "the",
    "it",
    "two",
    "object",
    "tasks",
    "something",
    "memory",
    "more",
    "references",
    "somebody",
    "in",
    "what",
];

/// With a capital at its beginning, unless that is a name or an address, and a stop at its end.
fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let end = if text.ends_with(['.', ':', '!', '?']) { "" } else { "." };
    match text.chars().next() {
        Some(first) if WORDS.contains(&word) => {
            format!("{}{}{end}", first.to_uppercase(), &text[first.len_utf8()..])
        }
        _ => format!("{text}{end}"),
    }
}

fn known(facts: &Facts) -> Section {
    let mut section = Section::new("KNOWN PATTERNS");
    for rule in &facts.known {
        section.items.push(Item::Text(format!("{}: {}. {}", rule.id, rule.title, rule.means)));
        let more = [
            ("do", &rule.action),
            ("see", &rule.link),
            ("since", &rule.since),
            ("fixed", &rule.fixed_in),
        ];
        for (name, value) in more {
            section.items.extend(value.clone().map(|value| Item::Field(name, value)));
        }
    }
    section
}

fn machine(facts: &Facts) -> Section {
    let machine = &facts.machine;
    let unknown = "(unknown)";
    let mut section = Section::new("THE MACHINE");
    let mut field = |name: &'static str, value: &str| {
        section.items.push(Item::Field(name, value.to_owned()));
    };
    field("kernel", machine.release.as_deref().unwrap_or(unknown));
    field("", machine.version.as_deref().unwrap_or(unknown));
    let node = machine.nodename.as_deref().unwrap_or(unknown);
    match &machine.hardware {
        Some(hardware) => field("machine", &format!("{node}, {hardware}")),
        None => field("machine", node),
    }
    let memory = machine.memory_bytes.map_or(unknown.to_owned(), |bytes| Size(bytes).to_string());
    let cpus = if machine.cpus == 1 { "CPU" } else { "CPUs" };
    field("", &format!("{} {cpus}, {memory}", machine.cpus));
    let uptime = machine.uptime_ns.map_or(unknown.to_owned(), wall::uptime);
    field("died", &format!("{}, up {uptime}", machine.date.as_deref().unwrap_or(unknown)));
    field("dump", &machine.dump);
    for defect in &machine.dump_defects {
        field("", defect);
    }
    if let Some(panic) = &machine.panic {
        field("panic", panic);
    }
    let letters: String = facts.taint.iter().map(|taint| taint.letter).collect();
    field("taint", if letters.is_empty() { "none" } else { &letters });
    for taint in &facts.taint {
        field("", &format!("{}  {}", taint.letter, taint.meaning));
    }
    for module in &facts.modules {
        let on_stack = if module.on_stack { ", on the stack" } else { "" };
        field("", &format!("module {} ({}){on_stack}", module.name, module.taints));
    }
    if let Some(module) = &facts.last_loaded {
        field("modules", &format!("last loaded {module}"));
    }
    if let Some(module) = &facts.last_unloaded {
        field("", &format!("last unloaded {module}"));
    }
    section
}

fn said(facts: &Facts) -> Option<Section> {
    let said = facts.said.as_ref()?;
    let mut section = Section::new("WHAT THE KERNEL SAID FIRST");
    section.items.extend(said.lines.iter().cloned().map(Item::Line));
    section.items.extend(said.cause.iter().map(|cause| Item::Line(format!("=> {cause}"))));
    let later = said.followed_by.iter().map(|title| Item::Line(format!("then: {title}")));
    section.items.extend(later);
    Some(section)
}

fn stack(task: &Scene) -> Section {
    let mut section = Section::new("THE TASK THAT PANICKED");
    let header = Header::from(&task.subject);
    section.items.push(Item::Line(header.to_string()));
    if let Some(ran) = &task.ran {
        section.items.push(Item::Line(format!("for {ran}")));
    }
    if let Some(call) = &task.system_call {
        section.items.push(Item::Line(format!("in system call {call}")));
    }
    let mut index = 0;
    while let Some(function) = task.stack.get(index) {
        // A recursion is told once.
        let name = |text: &str| text.split('+').next().unwrap_or(text).to_owned();
        let same = task.stack[index..].iter().take_while(|it| name(it) == name(function)).count();
        section.items.push(Item::Line(format!("{:>3} {function}", format!("#{index}"))));
        if same > 3 {
            let last = index + same - 1;
            section.items.push(Item::Line(format!(
                "    … {} more frames of {}, to #{last}",
                same - 2,
                name(function)
            )));
            section.items.push(Item::Line(format!(
                "{:>3} {}",
                format!("#{last}"),
                task.stack[last]
            )));
            index += same;
        } else {
            index += 1;
        }
    }
    if let Some(why) = &task.stack_ended {
        section.items.push(Item::Line(format!("({why})")));
    }
    section
}

fn registers(task: &Scene) -> Option<Section> {
    if task.registers.is_empty() {
        return None;
    }
    let line = |register: &necropsy_diagnose::facts::Register| {
        let line = format!("{:>4}  {:016x}  {}", register.name, register.value, register.meaning);
        Item::Line(line.trim_end().to_owned())
    };
    let lines = task.registers.iter().map(line);
    Some(Section::with("ITS REGISTERS AT THE EXCEPTION", lines))
}

fn rest(facts: &Facts) -> Vec<Section> {
    let cpu = |cpu: &necropsy_diagnose::facts::Cpu| {
        let task = cpu.task.as_ref().and_then(|task| task.comm.as_deref()).unwrap_or("?");
        let mark = if cpu.panicked { "*" } else { " " };
        Item::Line(format!("{mark}{:>3}  {task:<16} {}", cpu.cpu, cpu.doing))
    };
    let mut sections = vec![Section::with("CPUS", facts.cpus.iter().map(cpu))];
    if !facts.blocked.is_empty() {
        let mut section = Section::new("BLOCKED UNINTERRUPTIBLY");
        section.head = format!("{} in all", facts.blocked_in_all);
        for blocked in &facts.blocked {
            let comm = blocked.subject.comm.as_deref().unwrap_or("?");
            let pid = blocked.subject.pid.map_or("?".to_owned(), |pid| pid.to_string());
            let seconds = blocked.blocked_ns / 1_000_000_000;
            let stack: Vec<&str> = blocked.stack.iter().take(5).map(String::as_str).collect();
            let line = format!("{comm} (pid {pid}) for {seconds} s: {}", stack.join(" < "));
            section.items.push(Item::Line(line));
        }
        sections.push(section);
    }
    sections.push(Section::with("END OF THE LOG", facts.log.iter().cloned().map(Item::Line)));
    sections
}
