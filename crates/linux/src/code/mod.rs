//! Code in memory against the file that it was loaded from, but for what the kernel itself patches.

mod kprobes;
pub(crate) mod patches;

use std::ops::Range;

use necropsy_machine::paging::PagingFormat;

pub use kprobes::Kprobe;

use crate::Kernel;

/// Bytes of code that are not those of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Address of the first.
    pub at: u64,
    /// What the file has.
    pub was: Vec<u8>,
    /// What memory has.
    pub is: Vec<u8>,
}

impl Changed {
    /// The one bit that differs, if it is one: its byte and its number there.
    pub fn bit(&self) -> Option<(u64, u32)> {
        let mut differ = self.was.iter().zip(&self.is).enumerate().filter(|(_, (a, b))| a != b);
        let (at, (was, is)) = differ.next()?;
        let changed = was ^ is;
        (differ.next().is_none() && changed.is_power_of_two())
            .then(|| (self.at.wrapping_add(at as u64), changed.trailing_zeros()))
    }
}

/// Differences no further apart are one.
const APART: usize = 16;
/// Where bytes differ that may not, as ranges: what lies close together is one.
pub(crate) fn differences(
    expected: &[u8],
    found: &[u8],
    allowed: impl Fn(usize) -> bool,
) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, (was, is)) in expected.iter().zip(found).enumerate() {
        if was == is || allowed(at) {
            continue;
        }
        match runs.last_mut() {
            Some(run) if at - run.end <= APART => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

/// Whether it is known where a kernel of this machine patches its code, and with what.
pub(crate) fn knows_patches(kernel: &Kernel) -> bool {
    matches!(kernel.target().paging(), PagingFormat::X86_64 { .. })
}

impl Kernel {
    /// Where code from `start` on, so many bytes, is not what its file has; `None` where there is no
    /// file that surely is the one it was loaded from, or none that has code, where the dump lacks
    /// the code, and on machines whose patching is not known here.
    pub fn changed_code(&self, start: u64, len: usize) -> Option<Vec<Changed>> {
        let target = self.target();
        knows_patches(self).then_some(())?;
        let image = target.image_at(start)?;
        let debug = target.debug(image).filter(|debug| debug.matches)?;
        let file = debug.dwarf.file();
        let read = |len: usize| target.read_bytes(start, len as u64).ok();
        let (expected, found, runs) = if std::ptr::eq(image, target.kernel()) {
            let linked = start.wrapping_sub(debug.bias);
            let (text, size) = file.linked_section(".text")?;
            let left = size.checked_sub(linked.checked_sub(text)?)?;
            let expected = file.linked_bytes(linked, len.min(usize::try_from(left).ok()?))?;
            let found = read(expected.len())?;
            let patched = patches::of(self, file, debug.bias);
            let allowed =
                |at| patched.allows(linked.wrapping_add(at as u64), at, &expected, &found);
            let runs = differences(&expected, &found, allowed);
            (expected, found, runs)
        } else {
            let code = file.placed_code(start, len)?;
            let found = read(code.bytes.len())?;
            let mut patched = patches::of_module(&code);
            patched.extend(self.kprobes().iter().map(Kprobe::range));
            let allowed = |at: usize| {
                let at = start.wrapping_add(at as u64);
                patched.iter().any(|patched| patched.contains(&at))
            };
            let runs = differences(&code.bytes, &found, allowed);
            (code.bytes, found, runs)
        };
        let changed = |run: Range<usize>| {
            Some(Changed {
                at: start.wrapping_add(run.start as u64),
                was: expected.get(run.clone())?.to_vec(),
                is: found.get(run)?.to_vec(),
            })
        };
        Some(runs.into_iter().filter_map(changed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_told_from_more() {
        let changed = |was: &[u8], is: &[u8]| Changed { at: 100, was: was.into(), is: is.into() };
        assert_eq!(changed(&[1, 2, 3], &[1, 6, 3]).bit(), Some((101, 2)));
        assert_eq!(changed(&[1, 2], &[1, 5]).bit(), None);
        assert_eq!(changed(&[1, 2], &[0, 3]).bit(), None);
    }

    #[test]
    fn what_may_differ_is_no_difference() {
        let (was, is) = ([0u8; 64], {
            let mut is = [0u8; 64];
            (is[3], is[5], is[40], is[60]) = (1, 1, 1, 1);
            is
        });
        assert_eq!(differences(&was, &is, |at| at == 40), [3..6, 60..61]);
    }
}
