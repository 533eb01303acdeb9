//! Who is not to blame, by kind of report: the table of plain titles.

use std::sync::LazyLock;

use necropsy_lexicon::Symptom;

use super::skip;

const TABLE: &str = include_str!("../tables/guilty.txt");

/// One reason to pass over functions.
struct Section {
    kinds: Vec<&'static str>,
    names: Vec<&'static str>,
}

static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let mut sections: Vec<Section> = Vec::new();
    for line in TABLE.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(kinds) => {
                sections.push(Section { kinds: kinds.split(' ').collect(), names: Vec::new() });
            }
            None => {
                if let Some(section) = sections.last_mut() {
                    section.names.push(line);
                }
            }
        }
    }
    sections
});

/// Is the function passed over in reports of this kind?
pub(crate) fn innocent(function: &str, kind: Symptom) -> bool {
    let base = function.split('.').next().unwrap_or(function);
    // PowerPC's old names begin with a dot
    let base = if base.is_empty() { function.trim_start_matches('.') } else { base };
    skip::is_generic_whole(base)
        || SECTIONS.iter().any(|section| {
            section.kinds.iter().any(|known| *known == "*" || *known == kind.name())
                && section.names.iter().any(|name| match name.strip_suffix('*') {
                    Some(part) if part.starts_with('*') => base.contains(&part[1..]),
                    Some(start) => base.starts_with(start),
                    None => base == *name,
                })
        })
}

/// Calls that do not return: what stands at the very start of a function behind one is the end of
/// the function before it, whose name the text does not have.
pub(crate) fn never_returns(function: &str) -> bool {
    matches!(
        function,
        "panic"
            | "vpanic"
            | "do_exit"
            | "make_task_dead"
            | "die"
            | "usercopy_abort"
            | "__fortify_panic"
            | "fortify_panic"
            | "__stack_chk_fail"
            | "do_group_exit"
            | "bust_spinlocks"
            | "BUG_func"
            | "oops_exit"
            | "rewind_stack_and_make_dead"
            | "rewind_stack_do_exit"
            | "machine_restart"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_kind_of_report() {
        for (function, kind, expected) in [
            ("__schedule", Symptom::HungTask, true),
            ("__schedule", Symptom::NullPointer, false),
            ("panic_stop_irqs", Symptom::Panic, false),
            ("do_usercopy_heap_size", Symptom::Usercopy, false),
            ("memcpy", Symptom::NullPointer, true),
            ("anything", Symptom::OutOfMemory, true),
            ("_raw_spin_lock", Symptom::Unknown, true),
            ("demo_lock_page", Symptom::HungTask, false),
        ] {
            assert_eq!(innocent(function, kind), expected, "{function} in {kind:?}");
        }
    }

    #[test]
    fn every_section_has_kinds_and_names() {
        for section in SECTIONS.iter() {
            assert!(!section.kinds.is_empty() && !section.names.is_empty());
        }
    }
}
