//! Linked lists (include/linux/list.h). Every walk is bounded, ends at a cycle and says why.

use std::collections::HashSet;

use necropsy_target::Target;

use crate::error::{Error, Result};

/// The most links that a walk follows: more tasks, modules or dentries do not fit into memory.
const MAX_LINKS: usize = 50_000_000;

/// Walks the `struct list_head` at `head`, yielding the address of each entry's link. After an
/// `Err` it is over: the list could not be followed further, and that is why.
pub fn list(target: &Target, head: u64) -> List<'_> {
    List { target, head, next: Some(head), seen: HashSet::new(), first: true }
}

/// See [`list`].
#[derive(Debug)]
pub struct List<'a> {
    target: &'a Target,
    head: u64,
    next: Option<u64>,
    seen: HashSet<u64>,
    first: bool,
}

impl Iterator for List<'_> {
    type Item = Result<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.next?;
        match self.target.read_u64(at) {
            Ok(link) if link == self.head => {
                self.next = None;
                None
            }
            Ok(0) if self.first => {
                // A list_head that was never initialised.
                self.next = None;
                None
            }
            Ok(link) => {
                self.first = false;
                if !self.seen.insert(link) || self.seen.len() > MAX_LINKS {
                    self.next = None;
                    return Some(Err(Error::corrupt(format!(
                        "list at {:x}: entry {link:x} appears twice (cycle)",
                        self.head
                    ))));
                }
                if let Some(what) = poison(link) {
                    self.next = None;
                    return Some(Err(Error::corrupt(format!(
                        "list at {:x}: next pointer of {at:x} is {link:x} ({what})",
                        self.head
                    ))));
                }
                self.next = Some(link);
                Some(Ok(link))
            }
            Err(fault) => {
                self.next = None;
                Some(Err(fault.into()))
            }
        }
    }
}

/// What a list pointer that is no address means (include/linux/poison.h).
pub fn poison(link: u64) -> Option<&'static str> {
    match link {
        0 => Some("NULL"),
        0xdead_0000_0000_0100 | 0x0010_0100 => Some("LIST_POISON1: the entry was deleted"),
        0xdead_0000_0000_0122 | 0xdead_0000_0000_0200 | 0x0020_0200 => {
            Some("LIST_POISON2: the entry was deleted")
        }
        0x6b6b_6b6b_6b6b_6b6b => Some("slab poison: freed memory"),
        _ => None,
    }
}
