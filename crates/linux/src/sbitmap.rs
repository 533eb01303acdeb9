//! Bitmaps that are spread over words, by which the block layer numbers requests
//! (include/linux/sbitmap.h).

use crate::{
    error::{Error, Result, or_missing},
    kernel::Kernel,
};

/// More bits than such a bitmap has: as many requests as a disk can be asked.
const MAX_DEPTH: u64 = 1 << 24;
/// `SBQ_WAIT_QUEUES`
const WAIT_QUEUES: u64 = 8;

/// A `struct sbitmap_queue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    /// Bits.
    pub depth: u64,
    /// Bits of a word.
    pub per_word: u64,
    /// Words.
    pub words: u64,
    /// Those that are set and not about to be cleared.
    pub busy: Vec<u64>,
    /// Those that wait to be cleared.
    pub cleared: u64,
    /// Where each CPU looks first.
    pub hints: Result<Vec<u64>>,
    /// How many are freed before somebody is woken.
    pub wake_batch: Result<u64>,
    /// Who is woken next.
    pub wake_index: Result<u64>,
    /// Groups of waiters that are not empty.
    pub active: Result<u64>,
    /// For each group how many are to be freed before it is woken, and whether somebody waits.
    pub waiters: Result<Vec<(Option<u64>, bool)>>,
    /// Bits are taken in turn.
    pub round_robin: Result<u64>,
    /// The least depth that somebody limits himself to.
    pub min_shallow_depth: Result<u64>,
}

impl Kernel {
    /// The bitmap at an address of a `struct sbitmap_queue`.
    ///
    /// # Errors
    /// A fault, or what is there is none.
    pub fn sbitmap_queue(&self, address: u64) -> Result<Bitmap> {
        let (target, shapes) = (self.target(), self.shapes());
        let queue = shapes.sbitmap_queue.at(target, address);
        let bitmap = shapes.sbitmap.at(target, queue.address_of(|s| &s.bitmap)?);
        let (depth, shift, words) = (bitmap.depth()?, bitmap.shift()?, bitmap.words()?);
        let sound = shift <= 6 && depth <= MAX_DEPTH && words == depth.div_ceil(1 << (shift & 63));
        if !sound {
            return Err(Error::corrupt(format!(
                "no sbitmap_queue at {address:x}: depth {depth} in {words} words of 2^{shift} bits"
            )));
        }
        let per_word = 1u64 << shift;
        let (mut busy, mut cleared) = (Vec::new(), 0);
        let (map, size) = (bitmap.map()?, shapes.sbitmap_word.sizeof()?);
        for index in 0..words {
            let word = shapes.sbitmap_word.at(target, map.wrapping_add(index * size));
            let gone = or_missing(word.cleared(), 0)?;
            let set = word.word()?;
            let bits = per_word.min(depth - index * per_word);
            busy.extend(
                (0..bits)
                    .filter(|bit| set >> bit & 1 == 1 && gone >> bit & 1 == 0)
                    .map(|bit| index * per_word + bit),
            );
            cleared += u64::from(gone.count_ones());
        }
        let hints = || -> Result<Vec<u64>> {
            let hints = queue.hints()?;
            let of = |cpu| Ok(target.read_u32(hints.wrapping_add(self.cpu_base(cpu)?))?.into());
            self.possible_cpus().into_iter().map(of).collect()
        };
        let waiters = || -> Result<Vec<(Option<u64>, bool)>> {
            let (first, size) = (queue.waiters()?, shapes.sbitmap_waiters.sizeof()?);
            let group = |index: u64| -> Result<(Option<u64>, bool)> {
                let group = shapes.sbitmap_waiters.at(target, first.wrapping_add(index * size));
                let head = group.address_of(|s| &s.wait)?;
                let entries = shapes.wait_queue_head.head.address(head)?;
                Ok((group.count().ok(), target.read_pointer(entries)? != entries))
            };
            (0..WAIT_QUEUES).map(group).collect()
        };
        Ok(Bitmap {
            depth,
            per_word,
            words,
            busy,
            cleared,
            hints: hints(),
            wake_batch: queue.wake_batch(),
            wake_index: queue.wake_index(),
            active: queue.active(),
            waiters: waiters(),
            round_robin: queue.round_robin(),
            min_shallow_depth: queue.min_shallow_depth(),
        })
    }
}
