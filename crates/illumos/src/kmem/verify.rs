//! What is wrong with buffers of a cache that is checked (`KMF_REDZONE`, `KMF_DEADBEEF`).

use crate::{Error, Kernel, Result};

use super::{Cache, KMF_DEADBEEF, KMF_HASH, KMF_LITE, KMF_REDZONE};

const REDZONE: u64 = 0xfeed_face_feed_face;
const REDZONE_BYTE: u8 = 0xbb;
const FREE_PATTERN: u64 = 0xdead_beef_dead_beef;
const ALLOCATED: u64 = 0xa110_c8ed;
const FREE: u64 = 0xf4ee_f4ee;
/// Sizes are written times this, plus one.
const SIZE_FACTOR: u64 = 251;

/// What is wrong with a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corruption {
    /// Its address.
    pub buffer: u64,
    /// Whether it is allocated.
    pub allocated: bool,
    /// In words, behind `buffer P (allocated) `.
    pub what: String,
    /// Where the damage begins, if that is known.
    pub at: Option<u64>,
    /// What describes the buffer, if that is known.
    pub bufctl: Option<u64>,
}

/// What a check of a cache found.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Corrupt buffers.
    pub corrupt: Vec<Corruption>,
    /// What could not be read.
    pub problem: Option<Error>,
}

impl Kernel {
    /// Checks a cache's buffers; `None` if the cache is not of those that are checked.
    pub fn kmem_verify(&self, cache: &Cache) -> Option<Verdict> {
        if cache.flags & KMF_REDZONE == 0 {
            return None;
        }
        let buffers = self.kmem_buffers(cache);
        let mut verdict = Verdict { corrupt: Vec::new(), problem: buffers.problem };
        type Found = Result<Option<(String, Option<u64>)>>;
        let mut note = |(buffer, bufctl), allocated, found: Found| match found {
            Ok(Some((what, at))) => {
                let bufctl = Some(bufctl).filter(|&bufctl| bufctl != 0);
                verdict.corrupt.push(Corruption { buffer, allocated, what, at, bufctl });
            }
            Ok(None) => {}
            Err(error) => verdict.problem = verdict.problem.take().or(Some(error)),
        };
        for &one in &buffers.allocated {
            note(one, true, self.check_allocated(cache, one.0));
        }
        if cache.flags & KMF_DEADBEEF != 0 {
            for &one in &buffers.free {
                note(one, false, self.check_free(cache, one.0));
            }
        }
        Some(verdict)
    }

    /// Redzone, and bufctl xor state.
    fn tag(&self, cache: &Cache, buffer: u64) -> Result<(u64, u64)> {
        let shape = &self.shapes().buftag;
        let at = buffer.wrapping_add(cache.buftag);
        let bufctl = shape.bufctl.get(self, at)?;
        Ok((shape.redzone.get(self, at)?, bufctl ^ shape.bxstat.get(self, at)?))
    }

    fn check_allocated(&self, cache: &Cache, buffer: u64) -> Result<Option<(String, Option<u64>)>> {
        let (redzone, state) = self.tag(cache, buffer)?;
        let corrupt = |what: &str| Ok(Some((what.to_owned(), None)));
        if redzone != REDZONE {
            // The size that was asked for stands in the second word. The byte behind the buffer's
            // end is known, too: of a buffer that is full it is the first one of the redzone.
            let encoded = redzone >> 32;
            let size = encoded / SIZE_FACTOR;
            if encoded % SIZE_FACTOR != 1 || size > cache.bufsize {
                return corrupt("has a corrupt redzone signature");
            }
            let mut byte = [0];
            self.read(buffer.wrapping_add(size), &mut byte)?;
            if byte[0] != REDZONE_BYTE {
                return corrupt("has a corrupt redzone size encoding");
            }
        }
        if state != ALLOCATED {
            return corrupt("has a corrupt buftag");
        }
        Ok(None)
    }

    fn check_free(&self, cache: &Cache, buffer: u64) -> Result<Option<(String, Option<u64>)>> {
        let bytes = self.read_bytes(buffer, cache.verify)?;
        for (index, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
            if u64::from_le_bytes(*word) != FREE_PATTERN {
                let at = buffer.wrapping_add(8 * index as u64);
                return Ok(Some((format!("seems corrupted, at {at:x}"), Some(at))));
            }
        }
        let (redzone, state) = self.tag(cache, buffer)?;
        // Without a hash table the link of a free buffer lies where its redzone was.
        let intact = redzone == REDZONE || cache.flags & KMF_HASH == 0;
        if !intact && cache.flags & KMF_LITE == 0 {
            return Ok(Some(("seems to have a corrupt redzone pattern".into(), None)));
        }
        if state != FREE {
            return Ok(Some(("has a corrupt buftag".into(), None)));
        }
        Ok(None)
    }
}
