//! The function tracer's buffer, printed in the middle of a report (`ftrace_dump`,
//! `kernel/trace/trace.c`, in the latency format of `trace_print_lat_context`).

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::Event;

/// Events kept: the last ones are next to the crash.
const KEPT: usize = 48;

/// `bash-1068  9d..1 14093375us+: oops_begin <-no_context`, or with `[009]` and seconds.
static EVENT: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^ *(.+?-[0-9]+|<\.\.\.>-[0-9]+) +(?:\([ 0-9-]+\) +)?(?:\[([0-9]+)\] *|([0-9]+))([^\s]*)? +(?:([0-9]+)us|([0-9]+\.[0-9]+))[ +!#*@$]*: ?(.*)$",
    )
});

/// The last events among the lines; those of `cpu` where there are any.
pub(super) fn read<'a>(lines: impl Iterator<Item = &'a str>, cpu: Option<u32>) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    let mut own: Vec<Event> = Vec::new();
    for line in lines {
        let Some(event) = event(line) else { continue };
        let list = if cpu.is_some() && event.cpu == cpu { &mut own } else { &mut all };
        list.push(event);
        if list.len() > 4 * KEPT {
            list.drain(..3 * KEPT);
        }
    }
    let mut events = if own.is_empty() { all } else { own };
    events.drain(..events.len().saturating_sub(KEPT));
    events
}

fn event(line: &str) -> Option<Event> {
    let groups = EVENT.captures(line)?;
    let text = |at: usize| groups.get(at).map(|m| m.as_str());
    let micros = text(5).and_then(|t| t.parse::<f64>().ok());
    let seconds = text(6).and_then(|t| t.parse::<f64>().ok()).map(|seconds| seconds * 1e6);
    Some(Event {
        time_us: micros.or(seconds),
        cpu: text(2).or(text(3)).and_then(|cpu| cpu.parse().ok()),
        task: text(1).map(|task| task.trim().to_owned()),
        text: text(7)?.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_cpu_that_died() {
        let lines = [
            "    bash-1068      0d..1 14093370us : first <-caller",
            "    <idle>-0       1d.h. 14093371us+: other <-idle",
            "kworker/0:1-12     0.... 14093375us : second: a=1",
            "    bash-1068    [000] d..1  14.093380: third: b",
        ];
        let events = read(lines.into_iter(), Some(0));
        let texts: Vec<&str> = events.iter().map(|event| event.text.as_str()).collect();
        assert_eq!(texts, ["first <-caller", "second: a=1", "third: b"]);
        assert_eq!(events[1].task.as_deref(), Some("kworker/0:1-12"));
        assert_eq!(events[1].time_us, Some(14_093_375.0));
        assert_eq!(read(lines.into_iter(), Some(7)).len(), 4);
    }
}
