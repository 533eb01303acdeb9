//! Timers: the wheels of jiffies (kernel/time/timer.c) and the high-resolution timers
//! (kernel/time/hrtimer.c).

use necropsy_debuginfo::{Kind, Type};

use crate::{
    error::{Error, Result},
    hlist::hlist,
    kernel::Kernel,
    rbtree::{Order, rbtree},
};

/// More lists than a wheel has (9 levels of 64).
const MAX_LISTS: u64 = 1024;
/// More wheels, or clocks, than a CPU has.
const MAX_BASES: u64 = 32;
/// Clocks by number, the same in every kernel: include/uapi/linux/time.h. They are macros, so no
/// type tells them.
const CLOCK_REALTIME: u64 = 0;
const CLOCK_MONOTONIC: u64 = 1;
const CLOCK_BOOTTIME: u64 = 7;
const CLOCK_TAI: u64 = 11;
/// The names of the wheels, by how many there are.
const WHEELS: [&[&str]; 4] = [
    &[],
    &["BASE_STD"],
    &["BASE_STD", "BASE_DEF"],
    // 6.9: timers that may move to another CPU stand on a wheel of their own.
    &["BASE_LOCAL", "BASE_GLOBAL", "BASE_DEF"],
];

/// A timer wheel of a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    /// Its CPU.
    pub cpu: u32,
    /// `BASE_STD`, `BASE_DEF`; since 6.9 `BASE_LOCAL`, `BASE_GLOBAL`, `BASE_DEF`.
    pub name: &'static str,
    /// Virtual address of its `struct timer_base`.
    pub address: u64,
}

/// A timer that is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Virtual address of the `timer_list` or `hrtimer`.
    pub address: u64,
    /// When it may expire at the earliest: jiffies, or ns of its clock.
    pub soft_expires: i64,
    /// When it expires: jiffies, or ns of its clock.
    pub expires: i64,
    /// Virtual address of its function.
    pub function: u64,
}

/// The high-resolution timers of one clock on one CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockBase {
    /// Its CPU.
    pub cpu: u32,
    /// Its place among the clocks of the CPU; the second half expires in softirqs.
    pub index: u64,
    /// Virtual address of its `struct hrtimer_clock_base`.
    pub address: u64,
    /// The function that tells its time: `ktime_get_real`.
    pub clock: String,
    /// Its time in ns at the last tick of the timekeeper.
    pub now_ns: Result<i64>,
}

impl Kernel {
    /// Ticks counted, from 300 seconds before the 32-bit counter would overflow.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn jiffies(&self) -> Result<u64> {
        let at = self.shapes().tick_variables.jiffies.address()?;
        Ok(self.target().read_u64(at)?)
    }

    /// Ticks a second (`CONFIG_HZ`), as the timekeeper was set up for.
    ///
    /// # Errors
    /// A fault, or a kernel whose timekeeper does not tell.
    pub fn hz(&self) -> Result<u64> {
        let target = self.target();
        let pace = || -> Result<u64> {
            let shape = &self.shapes().timekeeper_pace;
            let timekeeper = self.timekeeper()?;
            let shift = shape.shift.read(target, timekeeper)?;
            let ns = shape.tick.read(target, timekeeper)?;
            Ok(ns.checked_shr(shift as u32).unwrap_or(0))
        };
        let tick_ns = match self.shapes().tick_variables.tick_ns.address() {
            // unsigned long
            Ok(at) => target.read_pointer(at)?,
            Err(_) => pace()?,
        };
        // NTP turns the tick by some parts in a million; the frequency is a whole number.
        match 1_000_000_000u64.checked_add(tick_ns / 2).and_then(|ns| ns.checked_div(tick_ns)) {
            Some(hz @ 1..=100_000) => Ok(hz),
            _ => Err(Error::corrupt(format!("a tick of {tick_ns} ns"))),
        }
    }

    /// The timer wheels of a CPU.
    ///
    /// # Errors
    /// A missing symbol or type.
    pub fn timer_wheels(&self, cpu: u32) -> Result<Vec<Wheel>> {
        let at = self.per_cpu("timer_bases", cpu)?;
        let size = self.shapes().timer_base.sizeof()?;
        // BTF of 5.10 types no variables; then the room up to the next one tells.
        let types = self.types();
        let count = match types.find(Kind::Variable, "timer_bases").map(|ty| types.resolve(ty)) {
            Some(Type::Array { count, .. }) => *count,
            Some(_) => 1,
            None => {
                let room = self.target().symbol("timer_bases").map_or(0, |symbol| symbol.size);
                room.checked_div(size).unwrap_or(0)
            }
        };
        let names = usize::try_from(count).ok().and_then(|count| WHEELS.get(count));
        let names = names.ok_or_else(|| {
            Error::absent(format!("known kind of timer wheels: there are {count} a CPU"))
        })?;
        let wheel = |(name, index): (&&'static str, u64)| Wheel {
            cpu,
            name,
            address: at.wrapping_add(index * size),
        };
        Ok(names.iter().zip(0..).map(wheel).collect())
    }

    /// The timers on a wheel by expiry, and what went wrong.
    ///
    /// # Errors
    /// A missing member.
    pub fn wheel_timers(&self, wheel: &Wheel) -> Result<(Vec<Timer>, Vec<Error>)> {
        let target = self.target();
        let shape = &self.shapes().timer_list;
        let lists = &self.shapes().timer_base.lists;
        let (first, count) = (lists.address(wheel.address)?, (lists.size()? / 8).min(MAX_LISTS));
        let link = shape.link.offset()?;
        let (mut timers, mut errors) = (Vec::new(), Vec::new());
        let timer = |node: u64| -> Result<Timer> {
            let address = node.wrapping_sub(link);
            let expires = shape.expires.read(target, address)? as i64;
            let function = shape.function.read(target, address)?;
            Ok(Timer { address, soft_expires: expires, expires, function })
        };
        for list in 0..count {
            for node in
                hlist(target, first.wrapping_add(list * u64::from(target.pointer_size()))).checked()
            {
                match node.and_then(timer) {
                    Ok(timer) => timers.push(timer),
                    Err(error) => errors.push(error),
                }
            }
        }
        timers.sort_by_key(|timer| timer.expires);
        Ok((timers, errors))
    }

    /// Address of a CPU's `struct hrtimer_cpu_base`.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn hrtimer_base(&self, cpu: u32) -> Result<u64> {
        self.per_cpu("hrtimer_bases", cpu)
    }

    /// The clocks of a CPU that high-resolution timers can stand on.
    ///
    /// # Errors
    /// A fault, or a missing symbol, type or member.
    pub fn clock_bases(&self, cpu: u32) -> Result<Vec<ClockBase>> {
        let target = self.target();
        let shape = &self.shapes().hrtimer_clock_base;
        let clocks = &self.shapes().hrtimer_cpu_base.clocks;
        let first = clocks.address(self.hrtimer_base(cpu)?)?;
        let size = shape.sizeof()?;
        let count = (clocks.size()? / size).min(MAX_BASES);
        let monotonic = self.clocks().map(|clocks| clocks.monotonic_ns as i64);
        (0..count)
            .map(|index| {
                let address = first.wrapping_add(index * size);
                let offset = shape.offset.read_signed(target, address);
                let now_ns =
                    monotonic.clone().and_then(|monotonic| Ok(monotonic.saturating_add(offset?)));
                let clock = match shape.get_time.read(target, address) {
                    Ok(function) => target
                        .locate(function)
                        .map_or_else(|| format!("{function:x}"), |at| at.symbol.name.to_owned()),
                    Err(_) => match shape.clock.read(target, address)? {
                        CLOCK_REALTIME => "ktime_get_real".into(),
                        CLOCK_MONOTONIC => "ktime_get".into(),
                        CLOCK_BOOTTIME => "ktime_get_boottime".into(),
                        CLOCK_TAI => "ktime_get_clocktai".into(),
                        other => format!("clock {other}"),
                    },
                };
                Ok(ClockBase { cpu, index, address, clock, now_ns })
            })
            .collect()
    }

    /// The timers of a clock by expiry, and what went wrong.
    ///
    /// # Errors
    /// A missing member.
    pub fn clock_timers(&self, base: &ClockBase) -> Result<(Vec<Timer>, Vec<Error>)> {
        let target = self.target();
        let shape = &self.shapes().hrtimer;
        let root = self.shapes().hrtimer_clock_base.tree.address(base.address)?;
        let node = shape.node.offset()?;
        let (mut timers, mut errors) = (Vec::new(), Vec::new());
        let timer = |at: u64| -> Result<Timer> {
            let address = at.wrapping_sub(node);
            Ok(Timer {
                address,
                soft_expires: shape.soft_expires.read_signed(target, address)?,
                expires: shape.expires.read_signed(target, address)?,
                function: shape.function.read(target, address)?,
            })
        };
        for found in rbtree(target, root, Order::Sorted).checked() {
            match found.and_then(|found| timer(found.address)) {
                Ok(timer) => timers.push(timer),
                Err(error) => errors.push(error),
            }
        }
        Ok((timers, errors))
    }
}
