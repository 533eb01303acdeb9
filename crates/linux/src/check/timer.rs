//! Timers: on wheels and in trees, with code to call.

use super::{Area, Checker, Class, Confidence};
use crate::{shape::Field, timer::Timer};

pub(super) static AREA: Area = Area {
    name: "timer",
    about: "\
every timer on a wheel or in a tree of a CPU is linked both ways and calls code; those of a tree are \
in the order of their times, and not due before they may be",
    run,
};

fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    for cpu in kernel.possible_cpus() {
        match kernel.timer_wheels(cpu) {
            Ok(wheels) => {
                for wheel in wheels {
                    let Ok((timers, errors)) = kernel.wheel_timers(&wheel) else { continue };
                    let name = format!("wheel {} of CPU {cpu}", wheel.name);
                    for error in &errors {
                        checker.walk("wheel", "wheels", name.clone(), wheel.address, error);
                    }
                    for timer in &timers {
                        calls_code(checker, "timer_list", timer, &shapes.timer_list.function);
                    }
                    checker.count("timers", timers.len() as u64);
                }
            }
            Err(error) => checker.unread("wheels", 1, Some(&error)),
        }
        let bases = match kernel.clock_bases(cpu) {
            Ok(bases) => bases,
            Err(error) => {
                checker.unread("clocks", 1, Some(&error));
                continue;
            }
        };
        for base in bases {
            let Ok((timers, errors)) = kernel.clock_timers(&base) else { continue };
            let name = format!("{} of CPU {cpu}", base.clock);
            for error in &errors {
                checker.walk("hrtimers", "clocks", name.clone(), base.address, error);
            }
            for timer in &timers {
                calls_code(checker, "hrtimer", timer, &shapes.hrtimer.function);
                if timer.soft_expires > timer.expires {
                    wrong(
                        checker,
                        "hrtimer",
                        timer,
                        &shapes.hrtimer.soft_expires,
                        timer.soft_expires as u64,
                        "it may be due only after it is",
                    );
                }
            }
            for pair in timers.windows(2) {
                if let [before, timer] = pair
                    && before.expires > timer.expires
                {
                    wrong(
                        checker,
                        "hrtimer",
                        timer,
                        &shapes.hrtimer.expires,
                        timer.expires as u64,
                        "it is due before the one that the tree has before it",
                    );
                }
            }
            checker.count("high-resolution timers", timers.len() as u64);
        }
    }
}

fn calls_code(checker: &mut Checker<'_>, tag: &str, timer: &Timer, field: &Field) {
    let target = checker.kernel.target();
    // A timer that was shut down for good has none.
    if timer.function != 0 && !target.is_text(timer.function) {
        wrong(checker, tag, timer, field, timer.function, "what it calls is no code");
    } else if let Some(symbol) = target.locate(timer.function)
        && symbol.offset != 0
        && timer.function != 0
    {
        // Functions are called at their first instruction.
        wrong(
            checker,
            tag,
            timer,
            field,
            timer.function,
            "what it calls is not the start of a function",
        );
    }
}

fn wrong(
    checker: &mut Checker<'_>,
    tag: &str,
    timer: &Timer,
    field: &Field,
    found: u64,
    text: &str,
) {
    let at = field.address(timer.address).unwrap_or(timer.address);
    checker
        .find("timer", Class::Pointer, format!("{tag} {:x}", timer.address), at, text)
        .start(timer.address)
        .found(found)
        .confidence(Confidence::Likely);
}
