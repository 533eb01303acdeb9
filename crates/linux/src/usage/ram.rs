//! Where RAM is: the tree of resources (kernel/resource.c, `/proc/iomem`).

use crate::{
    Kernel,
    error::{Error, Result},
};

/// Frames from one to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: u64,
    /// One past the last.
    pub end: u64,
}

/// Where RAM is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ram {
    /// All of it, ascending.
    pub ranges: Vec<Range>,
    /// What of it the capture kernel has.
    pub crash_kernel: Vec<Range>,
    /// What of it is the kernel's image.
    pub image: Vec<Range>,
}

/// Deeper trees, and more resources, than any machine has.
const MAX_DEPTH: u32 = 16;
const MAX_RESOURCES: usize = 100_000;
/// More frames than any machine has: 64 TB of them.
const MAX_FRAMES: u64 = 1 << 34;
/// Longest name of a resource, in bytes.
const MAX_NAME: usize = 64;

impl Ram {
    /// Frames of it.
    pub fn frames(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// What a frame is used for by its place alone.
    pub(super) fn fixed(&self, pfn: u64) -> Option<super::Use> {
        let has = |ranges: &[Range]| ranges.iter().any(|r| (r.start..r.end).contains(&pfn));
        match () {
            () if has(&self.crash_kernel) => Some(super::Use::CrashKernel),
            () if has(&self.image) => Some(super::Use::Image),
            () => None,
        }
    }
}

impl Kernel {
    /// Where RAM is.
    ///
    /// # Errors
    /// The tree of resources is not known, or has no RAM in it.
    pub fn ram(&self) -> Result<Ram> {
        let root = self.shapes().usage_variables.iomem.address()?;
        let mut ram = Ram::default();
        let mut left = MAX_RESOURCES;
        let first = self.shapes().resource.child.read(self.target(), root)?;
        self.resources(first, false, 0, &mut left, &mut ram)?;
        ram.ranges.sort_unstable_by_key(|range| range.start);
        // Ranges of a damaged tree may lie in each other.
        let mut end = 0;
        for range in &mut ram.ranges {
            range.start = range.start.max(end);
            end = range.end.max(range.start);
            range.end = end;
        }
        match ram.frames() {
            0 => Err(Error::absent("RAM among the resources of the machine")),
            _ => Ok(ram),
        }
    }

    fn resources(
        &self,
        first: u64,
        within_ram: bool,
        depth: u32,
        left: &mut usize,
        ram: &mut Ram,
    ) -> Result<()> {
        let (target, shift) = (self.target(), self.target().page_shift());
        let mut next = first;
        while next != 0 && *left > 0 && depth < MAX_DEPTH {
            *left -= 1;
            let resource = self.shapes().resource.at(target, next);
            let name = match resource.name()? {
                0 => String::new(),
                at => target.read_cstr(at, MAX_NAME)?,
            };
            let (start, end) = (resource.start()?, resource.end()?.saturating_add(1));
            let most = self.target().dump_pfns().min(MAX_FRAMES);
            // Only whole frames are RAM that the kernel uses; what lies in it may share one.
            let whole = Range { start: start.div_ceil(1 << shift), end: (end >> shift).min(most) };
            let touched = Range { start: start >> shift, end: end.div_ceil(1 << shift).min(most) };
            let is_ram = name.starts_with("System RAM");
            match name.as_str() {
                _ if is_ram && whole.start < whole.end => ram.ranges.push(whole),
                "Crash kernel" if touched.start < touched.end => ram.crash_kernel.push(touched),
                name if within_ram
                    && name.starts_with("Kernel ")
                    && touched.start < touched.end =>
                {
                    ram.image.push(touched);
                }
                _ => {}
            }
            let child = resource.child()?;
            if child != 0 {
                self.resources(child, within_ram || is_ram, depth + 1, left, ram)?;
            }
            next = resource.sibling()?;
        }
        Ok(())
    }
}
