//! Memory that its owner keeps encrypted (SEV, TDX, s390's secure execution): the host's dump of it
//! is noise.

use crate::PhysicalMemory;

/// Pages looked at.
const SAMPLE: u64 = 256;
/// Fewer say nothing.
const LEAST: usize = 32;

/// Whether memory is noise, going by a sample of its pages: a kernel's memory never is, most of it
/// is zeros, text and pointers.
pub fn looks_encrypted(memory: &dyn PhysicalMemory) -> bool {
    let end = memory.max_pfn();
    let (mut seen, mut noise) = (0, 0);
    let step = (end / SAMPLE).max(1);
    for pfn in (0..SAMPLE).map(|n| n.saturating_mul(step)).take_while(|pfn| *pfn < end) {
        let Some((first, _)) = memory.stored_run(pfn).filter(|&(first, _)| first < pfn + step)
        else {
            continue;
        };
        let Ok(page) = memory.page(first) else { continue };
        seen += 1;
        noise += usize::from(is_noise(&page));
    }
    seen >= LEAST && noise * 20 >= seen * 19
}

/// Whether bytes are spread as evenly as chance would have it: the sum of the squared distances from
/// the mean, over the mean, is then near the number of byte values.
fn is_noise(bytes: &[u8]) -> bool {
    let mut counts = [0u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let mean = bytes.len() as f64 / 256.0;
    let spread: f64 = counts.iter().map(|&count| (f64::from(count) - mean).powi(2) / mean).sum();
    (150.0..400.0).contains(&spread)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::{Dump, OpenOptions, looks_encrypted};

    fn dump(pages: impl Iterator<Item = Vec<u8>>) -> Dump {
        let ranges = [(0, pages.flatten().collect::<Vec<u8>>())];
        let files = vec![(PathBuf::from("m"), necropsy_synth::lime(&ranges))];
        Dump::from_bytes(files, OpenOptions::default()).unwrap()
    }

    #[test]
    fn noise_is_told_from_memory() {
        let mut state = 7u64;
        let mut noise = move || {
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 40) as u8
            };
            (0..4096).map(|_| next()).collect::<Vec<u8>>()
        };
        assert!(looks_encrypted(&dump((0..64).map(|_| noise()))));
        let mixed = (0..64).map(|n| if n % 3 == 0 { vec![0; 4096] } else { noise() });
        assert!(!looks_encrypted(&dump(mixed)));
        assert!(!looks_encrypted(&dump((0..64).map(|n| vec![n; 4096]))));
    }
}
