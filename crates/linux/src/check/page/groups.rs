//! Compound pages: a head, and tails that lead to it.

use super::{
    super::{Checker, Class, Confidence},
    frames::Frames,
};

/// Frames of the largest group: 1 GiB of small pages.
const MAX_GROUP: u64 = 1 << 18;

pub(super) fn check(checker: &mut Checker<'_>, frames: &Frames) {
    let kernel = checker.kernel;
    let Ok(first_page) = kernel.page_of(0) else { return };
    let head_of = |pfn: u64| -> Option<u64> {
        let frame = frames.get(pfn);
        if !frame.known() || frame.link & 1 == 0 {
            return None;
        }
        let page = first_page.wrapping_add(pfn.wrapping_mul(frames.page_size));
        let head = kernel.head_of_link(page, frame.link);
        let into = head.wrapping_sub(first_page);
        (into % frames.page_size == 0).then_some(into / frames.page_size)
    };
    let mut pfn = 0;
    while pfn < frames.end() {
        if checker.stopped() {
            return;
        }
        let frame = frames.get(pfn);
        if !frame.known() {
            pfn += 1;
            continue;
        }
        let page = first_page.wrapping_add(pfn * frames.page_size);
        if frame.link & 1 == 1 {
            // A tail that no head came before.
            stray(checker, frames, pfn, page, head_of(pfn));
            pfn += 1;
            continue;
        }
        // Up to the last frame that leads here; one that does not, in between, is wrong.
        let mut last = pfn;
        let mut ahead = pfn + 1;
        while ahead < frames.end() && ahead - last <= 2 {
            if head_of(ahead) == Some(pfn) {
                last = ahead;
            }
            ahead += 1;
        }
        let size = last - pfn + 1;
        if size == 1 {
            if frame.head() && frames.get(pfn + 1).known() {
                if frames.get(pfn + 1).link & 1 == 1 {
                    wrong_tail(checker, frames, (pfn, page), pfn + 1);
                    pfn += 1;
                } else {
                    lonely(checker, pfn, page);
                }
            }
            pfn += 1;
            continue;
        }
        checker.count("compound pages", 1);
        let whole = size.next_power_of_two();
        // Tails lead to their head by its address, or since 7.1 by a mask of their own: some other
        // masks lead to the same head.
        let mask = !(whole.wrapping_mul(frames.page_size).wrapping_sub(1)) | 1;
        let masked = (pfn + 1..=last).any(|tail| frames.get(tail).link == mask);
        let usual = if masked { mask } else { page | 1 };
        for tail in pfn + 1..(pfn + whole).min(frames.end()) {
            // Of a huge page whose part of the map was given back, the rest is mapped to its first page.
            let shares =
                ((tail - pfn) * frames.page_size).is_multiple_of(kernel.target().page_size());
            let copy = shares && frames.get(tail).head() && frames.get(tail).link == frame.link;
            let leads = head_of(tail) == Some(pfn) && frames.get(tail).link == usual;
            if !leads && frames.get(tail).known() && !copy {
                wrong_tail(checker, frames, (pfn, page), tail);
            }
        }
        if !frame.head() {
            let text = format!(
                "{} frames lead to it as their head, and it has not the mark of one",
                size - 1
            );
            let field = &kernel.shapes().page.flags;
            checker
                .find(
                    "compound_head",
                    Class::Value,
                    format!("page frame {pfn:#x}"),
                    field.address(page).unwrap_or(page),
                    text,
                )
                .start(page);
        }
        if pfn & (whole - 1) != 0 {
            let text = format!("the head of {whole} frames is not aligned to their number");
            checker
                .find("compound_order", Class::Value, format!("page frame {pfn:#x}"), page, text)
                .start(page)
                .confidence(Confidence::Likely);
        }
        pfn += whole;
    }
}

/// A frame with the mark of a head whose next one is no tail.
fn lonely(checker: &mut Checker<'_>, pfn: u64, page: u64) {
    let field = &checker.kernel.shapes().page.flags;
    checker
        .find(
            "compound_head",
            Class::Value,
            format!("page frame {pfn:#x}"),
            field.address(page).unwrap_or(page),
            "it has the mark of a head, and the next frame does not lead to it",
        )
        .start(page)
        .confidence(Confidence::Likely);
}

fn wrong_tail(checker: &mut Checker<'_>, frames: &Frames, (head, page): (u64, u64), tail: u64) {
    let kernel = checker.kernel;
    let at = page.wrapping_add((tail - head) * frames.page_size);
    let field = &kernel.shapes().page.compound;
    let neighbour = if tail > head + 1 { tail - 1 } else { tail + 1 };
    let found = frames.get(tail).link;
    // A mask, or the head's address.
    let told = frames.get(neighbour).link;
    let expected = if tail > head + 1 || told & 1 == 1 { told } else { page | 1 };
    let text = format!(
        "it lies among the frames of the compound page at frame {head:#x}, and does not lead there"
    );
    checker
        .find(
            "compound_tail",
            Class::Pointer,
            format!("page frame {tail:#x}"),
            field.address(at).unwrap_or(at),
            text,
        )
        .start(at)
        .values(expected, found)
        .neighbours(format!("frame {neighbour:#x} leads there"));
}

fn stray(checker: &mut Checker<'_>, frames: &Frames, pfn: u64, page: u64, head: Option<u64>) {
    // Part of a group that was looked at already.
    if head.is_some_and(|head| head < pfn && frames.get(head).head()) {
        return;
    }
    // Of one whose head the dump does not describe, nothing can be said.
    if head.is_some_and(|head| head < pfn && pfn - head < MAX_GROUP && !frames.get(head).known()) {
        return;
    }
    let field = &checker.kernel.shapes().page.compound;
    checker
        .find(
            "compound_tail",
            Class::Pointer,
            format!("page frame {pfn:#x}"),
            field.address(page).unwrap_or(page),
            "it is marked as a tail, and leads to no head before it",
        )
        .start(page)
        .found(frames.get(pfn).link);
}
