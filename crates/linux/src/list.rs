//! Linked lists (include/linux/list.h) and other chains of pointers. Every walk is bounded, ends
//! at a cycle and says why.

use std::collections::HashSet;

use necropsy_lexicon::value::{self, PoisonKind};

use crate::{
    error::{Error, Result},
    memory::Memory,
};

/// The most links that a walk follows: more tasks, modules or dentries do not fit into memory.
const MAX_LINKS: u64 = 50_000_000;

/// Offset of `next` in `struct list_head`.
pub const NEXT: u64 = 0;
/// Offset of `prev` in `struct list_head`.
pub fn prev<M: Memory>(memory: &M) -> u64 {
    memory.word_size()
}

/// Bytes of a `struct list_head`.
pub fn head_size<M: Memory>(memory: &M) -> u64 {
    2 * memory.word_size()
}

/// Walks the `struct list_head` at `head`, yielding the address of each entry's link.
///
/// An `Err` says what is wrong and where. The walk goes on after it where it can, which is where
/// only a back pointer is wrong; what it could not follow ends it.
pub fn list<M: Memory>(memory: &M, head: u64) -> Chain<'_, M> {
    Chain::new(memory, Next::Pointer(head.wrapping_add(NEXT)), NEXT).end(head).circular()
}

/// As [`list`], from the last entry to the first.
pub fn list_backwards<M: Memory>(memory: &M, head: u64) -> Chain<'_, M> {
    let prev = prev(memory);
    Chain::new(memory, Next::Pointer(head.wrapping_add(prev)), prev).end(head).circular()
}

/// Walks a ring of `list_head`s from one on it (yielded too), by the pointer at `link`: [`NEXT`] or
/// [`prev`].
pub fn ring<M: Memory>(memory: &M, first: u64, link: u64) -> Chain<'_, M> {
    Chain::new(memory, Next::Entry(first, None), link).end(first).circular()
}

/// Walks a chain of structures from `first` (yielded too), each holding the address of the next
/// at `offset` bytes. It ends at NULL, at an entry that leads to itself, and where it comes back to
/// `first` or to the entry after it: `first` may lead to a ring that it is no part of.
pub fn chain<M: Memory>(memory: &M, first: u64, offset: u64) -> Chain<'_, M> {
    Chain::new(memory, Next::Entry(first, None), offset).end(first)
}

/// Where a walk goes on.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// A pointer that has to be read, by its address.
    Pointer(u64),
    /// An entry, and the address of the pointer that led to it.
    Entry(u64, Option<u64>),
    Over,
}

/// How a walk notices that it goes round.
#[derive(Debug)]
enum Guard {
    /// Remembers every entry.
    Seen(HashSet<u64>),
    /// R. P. Brent's algorithm: remembers one, and notices a round or two late.
    Brent { kept: u64, steps: u64, limit: u64 },
}

/// See [`list`], [`chain`] and [`hlist`](crate::hlist).
#[derive(Debug)]
pub struct Chain<'a, M> {
    memory: &'a M,
    /// Where in each entry the pointer lies, in bytes.
    offset: u64,
    next: Next,
    ends: Vec<u64>,
    /// A doubly linked ring: NULL is damage, and entries point back.
    circular: bool,
    /// What the pointers carry beside an address.
    is_end: fn(u64) -> bool,
    clean: fn(u64) -> u64,
    guard: Guard,
    yielded: u64,
    second: Option<u64>,
    latest: Option<u64>,
    check: bool,
    pending: Option<Error>,
    broke: bool,
}

impl<'a, M: Memory> Chain<'a, M> {
    fn new(memory: &'a M, next: Next, offset: u64) -> Self {
        Chain {
            memory,
            offset,
            next,
            ends: Vec::new(),
            circular: false,
            is_end: |pointer| pointer == 0,
            clean: |pointer| pointer,
            guard: Guard::Seen(HashSet::new()),
            yielded: 0,
            second: None,
            latest: None,
            check: false,
            pending: None,
            broke: false,
        }
    }

    /// A chain that begins with the pointer at `pointer`, whose entries begin with the next
    /// pointer.
    pub(crate) fn behind(memory: &'a M, pointer: u64) -> Self {
        Chain::new(memory, Next::Pointer(pointer), 0)
    }

    /// Which pointers end the walk, and the address that is left when marks are taken off.
    pub(crate) fn marked(mut self, is_end: fn(u64) -> bool, clean: fn(u64) -> u64) -> Self {
        (self.is_end, self.clean) = (is_end, clean);
        self
    }

    fn circular(mut self) -> Self {
        self.circular = true;
        self
    }

    /// Stops before the entry `address`, too.
    #[must_use]
    pub fn end(mut self, address: u64) -> Self {
        self.ends.push(address);
        self
    }

    /// Compares each entry's back pointer with where the walk came from, and yields an `Err`
    /// after an entry that does not agree. Only for entries that have one: those of [`list`] and
    /// `hlist`.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.check = true;
        self
    }

    /// Notices loops by Brent's algorithm: no memory, but part of a loop is yielded twice.
    #[must_use]
    pub fn brent(mut self) -> Self {
        self.guard = Guard::Brent { kept: 0, steps: 0, limit: 1 };
        self
    }

    /// Whether the walk is over because it could not be followed further: its last `Err` says why.
    pub fn broke(&self) -> bool {
        self.broke
    }

    /// Whether `entry` was seen before.
    fn repeats(&mut self, entry: u64) -> bool {
        match &mut self.guard {
            Guard::Seen(seen) => !seen.insert(entry),
            Guard::Brent { kept, steps, limit } => {
                if *kept == entry && self.yielded > 0 {
                    return true;
                }
                *steps += 1;
                if steps == limit {
                    (*kept, *steps, *limit) = (entry, 0, limit.saturating_mul(2));
                }
                false
            }
        }
    }

    fn stop(&mut self, error: impl Into<Error>) -> Option<Result<u64>> {
        self.next = Next::Over;
        self.broke = true;
        Some(Err(error.into()))
    }

    /// How many entries the loop through `entry` has; `None` when there is none or it is broken.
    pub fn loop_length(&self, entry: u64) -> Option<u64> {
        let mut at = entry;
        for length in 1..=MAX_LINKS {
            at = (self.clean)(self.memory.word(at.wrapping_add(self.offset)).ok()?);
            if at == entry {
                return Some(length);
            }
        }
        None
    }

    /// The back pointer of `entry`, which `pointer` led to, when it is wrong.
    fn check_back(&self, entry: u64, pointer: u64) -> Option<Error> {
        let prev = prev(self.memory);
        let (offset, expected, name) = match self.offset == prev {
            true => (NEXT, pointer.wrapping_sub(prev), "next"),
            false => (prev, pointer, "back"),
        };
        match self.memory.word(entry.wrapping_add(offset)) {
            Ok(back) if back == expected => None,
            Ok(back) => Some(Error::corrupt_at(
                entry,
                format!(
                    "list entry {entry:x}: its {name} pointer is {back:x}, but {expected:x} leads to it"
                ),
            )),
            Err(fault) => Some(fault.into()),
        }
    }
}

impl<M: Memory> Iterator for Chain<'_, M> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.pending.take() {
            return Some(Err(error));
        }
        let (entry, pointer) = match self.next {
            Next::Over => return None,
            Next::Entry(entry, pointer) => (entry, pointer),
            Next::Pointer(pointer) => match self.memory.word(pointer) {
                Ok(raw) if (self.is_end)(raw) && !(self.circular && self.yielded > 0) => {
                    // The end; or a list_head that was never initialised.
                    self.next = Next::Over;
                    return None;
                }
                Ok(raw) => ((self.clean)(raw), Some(pointer)),
                Err(fault) => return self.stop(fault),
            },
        };
        if pointer.is_some() && self.ends.contains(&entry) {
            self.next = Next::Over;
            return None;
        }
        if let Some(what) = poison(entry) {
            let from = match pointer {
                Some(pointer) => format!("pointer at {pointer:x}"),
                None => "start".to_owned(),
            };
            return self.stop(Error::corrupt(format!("list: {from} is {entry:x} ({what})")));
        }
        if self.repeats(entry) {
            if !self.circular && [self.second, self.latest].contains(&Some(entry)) {
                self.next = Next::Over;
                return None;
            }
            let length = self.loop_length(entry);
            let length = length.map_or_else(String::new, |n| format!(", a loop of {n}"));
            return self
                .stop(Error::corrupt(format!("list: entry {entry:x} appears twice{length}")));
        }
        if self.yielded >= MAX_LINKS {
            return self.stop(Error::corrupt(format!("list: no end after {MAX_LINKS} entries")));
        }
        if self.check
            && let Some(pointer) = pointer
        {
            self.pending = self.check_back(entry, pointer);
        }
        if self.yielded == 1 {
            self.second = Some(entry);
        }
        self.latest = Some(entry);
        self.yielded += 1;
        self.next = Next::Pointer(entry.wrapping_add(self.offset));
        Some(Ok(entry))
    }
}

/// The entries of a list whose links fit, in order, and what is wrong with it. A link that does not
/// fit leads to what is no entry; what lies behind it is reached from the other end.
pub fn entries<M: Memory>(memory: &M, head: u64, most: usize) -> (Vec<u64>, Option<Error>) {
    let mut found = Vec::new();
    let mut broken = None;
    for entry in list(memory, head).checked().take(most) {
        match entry {
            Ok(at) => found.push(at),
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    if broken.is_some() {
        found.pop();
        let seen: HashSet<u64> = found.iter().copied().collect();
        let mut whole = true;
        let back = list_backwards(memory, head).checked().take(most);
        let back = back.map_while(|entry| entry.inspect_err(|_| whole = false).ok());
        let mut behind: Vec<u64> = back.take_while(|at| !seen.contains(at)).collect();
        if !whole {
            behind.pop();
        }
        found.extend(behind.into_iter().rev());
    }
    (found, broken)
}

/// What can be said of the far side of a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FarSide {
    /// Entries reached from the other end that the first walk had not reached.
    pub entries: u64,
    /// The last of them, next to the break.
    pub last: Option<u64>,
    /// Why it went no further; `None` when it met what the first walk had seen.
    pub error: Option<Error>,
}

/// Walks a broken list from its other end, as far as what was `seen` already: how much is lost.
pub fn far_side(walk: impl Iterator<Item = Result<u64>>, seen: &HashSet<u64>) -> FarSide {
    let mut side = FarSide { entries: 0, last: None, error: None };
    for link in walk {
        match link {
            Ok(link) if seen.contains(&link) => break,
            Ok(link) => {
                side.entries += 1;
                side.last = Some(link);
            }
            Err(error) => side.error = Some(error),
        }
    }
    side
}

/// List poison of kernels that give it no offset (CONFIG_ILLEGAL_POINTER_VALUE).
const WITHOUT_OFFSET: [(u64, &str); 2] =
    [(0x0010_0100, "LIST_POISON1"), (0x0020_0200, "LIST_POISON2")];

/// What a list pointer that is no address means.
pub fn poison(link: u64) -> Option<String> {
    let deleted = |name: &str| format!("{name}: the entry was deleted");
    if link == 0 {
        return Some("NULL".into());
    }
    if let Some((_, name)) = WITHOUT_OFFSET.iter().find(|(value, _)| *value == link) {
        return Some(deleted(name));
    }
    let poison = value::poison(link, true)?;
    match poison.kind {
        PoisonKind::Deleted => Some(deleted(poison.name)),
        PoisonKind::Freed => Some(poison.words.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fake::Words;

    /// A ring of `list_head`s, the head first.
    fn ring(links: &[u64]) -> Words {
        let mut memory = Words::default();
        let around = |i: usize| links[i % links.len()];
        for (i, link) in links.iter().enumerate() {
            memory.put(*link, &[around(i + 1), around(i + links.len() - 1)]);
        }
        memory
    }

    fn good(walk: impl Iterator<Item = Result<u64>>) -> Vec<u64> {
        walk.filter_map(Result::ok).collect()
    }

    fn errors(walk: impl Iterator<Item = Result<u64>>) -> Vec<String> {
        walk.filter_map(Result::err).map(|e| e.to_string()).collect()
    }

    #[test]
    fn a_list_both_ways() {
        let memory = ring(&[0x1000, 0x2000, 0x3000, 0x4000]);
        assert_eq!(good(list(&memory, 0x1000).checked()), [0x2000, 0x3000, 0x4000]);
        assert_eq!(good(list_backwards(&memory, 0x1000).checked()), [0x4000, 0x3000, 0x2000]);
        assert!(errors(list(&memory, 0x1000).checked()).is_empty());
        assert!(errors(list_backwards(&memory, 0x1000).checked()).is_empty());
        assert_eq!(good(chain(&memory, 0x2000, NEXT)), [0x2000, 0x3000, 0x4000, 0x1000]);
        assert!(good(list(&ring(&[0x1000]), 0x1000)).is_empty());
    }

    #[test]
    fn a_head_of_zeros_is_an_empty_list_but_a_null_further_on_is_damage() {
        let mut memory = Words::default();
        memory.put(0x1000, &[0, 0]);
        assert_eq!(list(&memory, 0x1000).count(), 0);
        let mut memory = ring(&[0x1000, 0x2000, 0x3000]);
        memory.put(0x2000, &[0]);
        assert_eq!(errors(list(&memory, 0x1000)), ["corrupt: list: pointer at 2000 is 0 (NULL)"]);
    }

    #[test]
    fn a_loop_that_misses_the_head_ends_and_is_measured() {
        let mut memory = ring(&[0x1000, 0x2000, 0x3000, 0x4000]);
        memory.put(0x4000, &[0x2000]);
        let error = "corrupt: list: entry 2000 appears twice, a loop of 3";
        assert_eq!(errors(list(&memory, 0x1000)), [error]);
        assert_eq!(good(list(&memory, 0x1000)), [0x2000, 0x3000, 0x4000]);
        let brent: Vec<_> = list(&memory, 0x1000).brent().collect();
        assert!(brent.len() < 12, "{brent:?}");
        assert!(brent.last().unwrap().is_err());
    }

    #[test]
    fn a_deleted_entry_is_named_and_the_far_side_counted() {
        let mut memory = ring(&[0x1000, 0x2000, 0x3000, 0x4000, 0x5000]);
        memory.put(0x2000, &[0xdead_0000_0000_0100]);
        let seen: HashSet<u64> = good(list(&memory, 0x1000)).into_iter().collect();
        assert_eq!(seen, HashSet::from([0x2000]));
        assert!(errors(list(&memory, 0x1000))[0].contains("pointer at 2000"));
        let side = far_side(list_backwards(&memory, 0x1000), &seen);
        assert_eq!(side, FarSide { entries: 3, last: Some(0x3000), error: None });
        memory.lose(0x3008);
        let side = far_side(list_backwards(&memory, 0x1000), &seen);
        assert!(side.entries == 3 && side.error.is_some());
    }

    #[test]
    fn a_wrong_back_pointer_is_told_and_the_walk_goes_on() {
        let mut memory = ring(&[0x1000, 0x2000, 0x3000, 0x4000]);
        memory.put(0x3008, &[0x7777]);
        assert_eq!(good(list(&memory, 0x1000).checked()).len(), 3);
        let error = "corrupt: list entry 3000: its back pointer is 7777, but 2000 leads to it";
        assert_eq!(errors(list(&memory, 0x1000).checked()), [error]);
        assert!(errors(list(&memory, 0x1000)).is_empty());
    }

    #[test]
    fn a_chain_by_a_member_ends_at_null() {
        let mut memory = Words::default();
        memory.put(0x1010, &[0x2000]);
        memory.put(0x2010, &[0x3000]);
        memory.put(0x3010, &[0]);
        assert_eq!(good(chain(&memory, 0x1000, 0x10)), [0x1000, 0x2000, 0x3000]);
        assert_eq!(good(chain(&memory, 0x1000, 0x10).end(0x3000)), [0x1000, 0x2000]);
        for end in [0x1000, 0x2000, 0x3000] {
            memory.put(0x3010, &[end]);
            let walk: Vec<_> = chain(&memory, 0x1000, 0x10).collect();
            assert_eq!(walk, [Ok(0x1000), Ok(0x2000), Ok(0x3000)], "back to {end:x}");
        }
    }
}
