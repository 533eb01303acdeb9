//! Timers.

use necropsy_linux::{
    Kernel,
    timer::{ClockBase, Timer},
};

use crate::rows::timer::TimerRow;
use crate::{
    Outcome,
    command::{Command, Example, Opt},
    cpus::cpu_list,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
};

const HIGH_RESOLUTION: Opt = Opt::flag("-r", "the high-resolution timers, by clock");
const CPUS: Opt = Opt::value("-C", "cpus", "only these CPUs: 1,3-5");

pub(crate) static COMMAND: Command = Command {
    names: &["timer"],
    summary: "timers that are armed",
    synopsis: "[-r] [-C cpus]",
    options: &[HIGH_RESOLUTION, CPUS],
    rows: &[TimerRow::TYPE],
    args: &[],
    description: "\
Shows the timers of each CPU in the order in which they expire: those of the timer wheels in
jiffies, with -r the high-resolution timers in nanoseconds of their clocks. TTE is the time to
expiry; a negative one should have expired already.

CURRENT is what a clock showed at the last tick of the timekeeper. Since 6.9 a CPU has three
wheels: BASE_LOCAL, BASE_GLOBAL and BASE_DEF.",
    examples: &[Example {
        about: "What the second CPU waits for.",
        line: "timer -C 1",
        output: "",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let cpus = match parsed.value(CPUS) {
        Some(cpus) => cpu_list(kernel, cpus)?,
        None => kernel.online_cpus(),
    };
    let mut problems = Problems::default();
    if parsed.has(HIGH_RESOLUTION) {
        for (index, cpu) in cpus.into_iter().enumerate() {
            if index > 0 {
                out.line("")?;
            }
            clocks(kernel, cpu, &mut problems, out)?;
        }
    } else {
        let jiffies = kernel.jiffies()?;
        out.title("JIFFIES")?;
        out.line(jiffies)?;
        for cpu in cpus {
            out.line("")?;
            wheels(kernel, cpu, jiffies, &mut problems, out)?;
        }
    }
    problems.report("timer", out)
}

fn rows(
    kernel: &Kernel,
    timers: &[Timer],
    now: Option<i64>,
    base: (u32, &str, u64),
) -> Vec<TimerRow> {
    let row = |timer: &Timer| TimerRow {
        cpu: base.0,
        base: base.1.to_owned(),
        base_address: Hex(base.2),
        soft_expires: timer.soft_expires,
        expires: timer.expires,
        to_expiry: now.map(|now| timer.expires.wrapping_sub(now)),
        timer: Hex(timer.address),
        function: Hex(timer.function),
        function_name: kernel.target().locate(timer.function).map(|at| at.symbol.name.to_owned()),
    };
    timers.iter().map(row).collect()
}

/// Shows timers under a heading; `soft` with the earliest time too.
fn table(rows: &[TimerRow], soft: bool, kind: &str, out: &mut Output) -> Outcome {
    if rows.is_empty() {
        return out.line("  (empty)");
    }
    let tte = |row: &TimerRow| row.to_expiry.map_or_else(|| "?".to_owned(), |tte| tte.to_string());
    let width = |cell: &dyn Fn(&TimerRow) -> String, heading: &str| {
        rows.iter().map(|row| cell(row).len()).max().unwrap_or(0).max(heading.len())
    };
    let early = width(&|row| row.soft_expires.to_string(), "SOFTEXPIRES");
    let late = width(&|row| row.expires.to_string(), "EXPIRES");
    let left = width(&tte, "TTE");
    let first = if soft { format!("{:>early$}  ", "SOFTEXPIRES") } else { String::new() };
    out.title(&format!(
        "  {first}{:>late$}  {:>left$}  {kind:^16}  {:>12}",
        "EXPIRES", "TTE", "FUNCTION"
    ))?;
    for row in rows {
        out.record(row, |line| {
            write!(line, "  ")?;
            if soft {
                write!(line, "{:>early$}  ", row.soft_expires)?;
            }
            write!(line, "{:>late$}  {:>left$}  ", row.expires, tte(row))?;
            write!(line, "{:016x}  {:016x}", row.timer.0, row.function.0)?;
            match &row.function_name {
                Some(name) => writeln!(line, "  <{name}>"),
                None => writeln!(line),
            }
        })?;
    }
    Ok(())
}

fn wheels(
    kernel: &Kernel,
    cpu: u32,
    jiffies: u64,
    problems: &mut Problems,
    out: &mut Output,
) -> Outcome {
    for wheel in kernel.timer_wheels(cpu)? {
        out.line(format_args!("TIMER_BASES[{cpu}][{}]: {:016x}", wheel.name, wheel.address))?;
        let (timers, errors) = kernel.wheel_timers(&wheel)?;
        problems.extend(errors);
        let base = (cpu, wheel.name, wheel.address);
        table(&rows(kernel, &timers, Some(jiffies as i64), base), false, "TIMER_LIST", out)?;
    }
    Ok(())
}

fn clocks(kernel: &Kernel, cpu: u32, problems: &mut Problems, out: &mut Output) -> Outcome {
    let base = kernel.hrtimer_base(cpu)?;
    out.line(format_args!("CPU: {cpu}  HRTIMER_CPU_BASE: {base:016x}"))?;
    for (index, clock) in kernel.clock_bases(cpu)?.into_iter().enumerate() {
        if index > 0 {
            out.line("")?;
        }
        let (timers, errors) = kernel.clock_timers(&clock)?;
        problems.extend(errors);
        let ClockBase { index, address, clock, now_ns, .. } = clock;
        out.line(format_args!("  CLOCK: {index}  HRTIMER_CLOCK_BASE: {address:016x}  [{clock}]"))?;
        let now = if timers.is_empty() { None } else { problems.keep(now_ns) };
        if let Some(now) = now {
            out.line("     CURRENT")?;
            out.line(format_args!("  {now}"))?;
        }
        table(&rows(kernel, &timers, now, (cpu, &clock, address)), true, "HRTIMER", out)?;
    }
    Ok(())
}
