//! The kernel's clocks when the machine stopped (include/linux/timekeeper_internal.h,
//! kernel/time/timekeeping.c).

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

const NS: i128 = 1_000_000_000;

/// The clocks at the last tick of the timekeeper: up to a tick before the machine stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// CLOCK_REALTIME: ns since the epoch.
    pub real_ns: u64,
    /// CLOCK_MONOTONIC: ns since boot, time asleep not counted. The log's clock runs with it.
    pub monotonic_ns: u64,
    /// CLOCK_BOOTTIME: ns since boot. What `uptime` shows.
    pub boot_ns: u64,
}

impl Kernel {
    /// The clocks.
    ///
    /// # Errors
    /// A fault, or a kernel before 3.19, which kept its time otherwise.
    pub fn clocks(&self) -> Result<Clocks> {
        let target = self.target();
        let shape = &self.shapes().timekeeper;
        let at = self.timekeeper()?;
        let base = shape.tkr_mono.address(at)?;
        let nsec = self.shapes().tk_read_base.xtime_nsec.read(target, base)?;
        let shift = self.shapes().tk_read_base.shift.read(target, base)?;
        let nsec = nsec.checked_shr(shift as u32).unwrap_or(0);
        let real = i128::from(shape.xtime_sec.read(target, at)?) * NS + i128::from(nsec);
        let to_monotonic = |field: &crate::shapes::Field| -> Result<i128> {
            Ok(field.read_signed(target, at)?.into())
        };
        let monotonic = real
            + to_monotonic(&shape.wall_to_monotonic_sec)? * NS
            + to_monotonic(&shape.wall_to_monotonic_nsec)?;
        let boot = monotonic + to_monotonic(&shape.offs_boot)?;
        let number = |ns: i128, what: &str| {
            u64::try_from(ns).map_err(|_| Error::corrupt(format!("{what} clock of {ns} ns")))
        };
        Ok(Clocks {
            real_ns: number(real, "real-time")?,
            monotonic_ns: number(monotonic, "monotonic")?,
            boot_ns: number(boot, "boot-time")?,
        })
    }

    /// Address of the `struct timekeeper` of the system's clock.
    pub(crate) fn timekeeper(&self) -> Result<u64> {
        let at = self.shapes().timekeeper_variables.timekeeper.address()?;
        if let Ok(offset) = self.shapes().tk_data.timekeeper.offset() {
            return Ok(at + offset);
        }
        // Before 6.13 tk_core is a struct without a name: a sequence counter, then this, aligned as
        // its numbers of 64 bits are: to 4 bytes on some machines of 32 bits, and then their
        // structures' sizes show it.
        let counter = self.shapes().seqcount.sizeof()?;
        let timekeeper = &self.shapes().timekeeper;
        let sizes = timekeeper.sizeof()? | timekeeper.tkr_mono.size()?;
        Ok(at + counter.next_multiple_of(1 << sizes.trailing_zeros().min(3)))
    }

    /// When the machine died, in seconds since the epoch: what the kernel noted as it crashed, or
    /// the clock.
    ///
    /// # Errors
    /// As [`Kernel::clocks`].
    pub fn crash_time(&self) -> Result<u64> {
        let clocks = self.clocks();
        let noted = || self.target().vmcoreinfo()?.get("CRASHTIME")?.trim().parse().ok();
        match clocks {
            Ok(clocks) => Ok(clocks.real_ns / NS as u64),
            Err(error) => noted().ok_or(error),
        }
    }
}
