//! Page frames: what they say of themselves, of each other, and what lists and page tables say of
//! them.

mod frames;
mod free;
mod groups;
mod tables;

use super::{Area, Checker};

pub(super) static AREA: Area = Area {
    name: "page",
    about: "\
numbers of node and zone in a frame's flags are those of its neighbours; flags, references, kinds \
and mappings fit its use; every run on a list of free ones is free, of the list's order, aligned \
and of the zone, and no free run is on no list; counters of runs, of free frames and of frames at a \
CPU's hand are the numbers on their lists; heads and tails of compound pages point at each other; \
no page table in use, and no frame that one maps, is free",
    run,
};

fn run(checker: &mut Checker<'_>) {
    let mut frames = match frames::read(checker) {
        Ok(frames) => frames,
        Err(error) => return checker.unread("page frames", 1, Some(&error)),
    };
    free::check(checker, &mut frames);
    groups::check(checker, &frames);
    tables::check(checker, &frames);
}
