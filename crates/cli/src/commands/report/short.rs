//! The page in so many bytes: for pstore, netconsole, a variable of the firmware. The most important
//! sections come first; what does not fit is left out, whole lines at a time.

use std::fmt::{self, Write};

use super::{page::Page, text};

/// What says that there was more.
const MORE: &str = "(more was left out)\n";

/// Sections in the order of what they are worth where room is scarce.
const ORDER: [&str; 6] = [
    "VERDICT",
    "WHAT HAPPENED",
    "EVIDENCE",
    "THE TASK THAT PANICKED",
    "THE MACHINE",
    "WHAT THE KERNEL SAID FIRST",
];

pub(super) fn write(page: &Page, limit: usize, out: &mut dyn Write) -> fmt::Result {
    let mut whole = String::new();
    for title in ORDER {
        for section in page.sections.iter().filter(|section| section.title == title) {
            text::write_section(section, &mut whole)?;
        }
    }
    out.write_str(&cut(&whole, limit))
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut shown = String::new();
    for line in text.lines() {
        if shown.len() + line.len() + 1 + MORE.len() > limit {
            break;
        }
        shown.push_str(line);
        shown.push('\n');
    }
    if shown.len() + MORE.len() <= limit {
        shown.push_str(MORE);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn never_longer_than_asked_for() {
        let text = "first line\nsecond line\nthird line\n";
        assert_eq!(cut(text, 100), text);
        for limit in 0..40 {
            assert!(cut(text, limit).len() <= limit, "{limit}");
        }
        assert_eq!(
            cut("first line\nsecond lin\nthird line\n", 32),
            "first line\n(more was left out)\n"
        );
    }
}
