//! The CPUs that an option means.

use necropsy_linux::Kernel;

use crate::CommandError;

/// `1,3-5`, `a` or `all`.
///
/// # Errors
/// It is none of them, or there is no such CPU.
pub(crate) fn cpu_list(kernel: &Kernel, text: &str) -> Result<Vec<u32>, CommandError> {
    let possible = kernel.possible_cpus();
    if matches!(text, "a" | "all") {
        return Ok(possible);
    }
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            (Ok(first), Ok(last)) => {
                let some: Vec<u32> =
                    possible.iter().copied().filter(|c| (first..=last).contains(c)).collect();
                if some.is_empty() {
                    return Err(CommandError::failed(format!("{part}: no such CPU")));
                }
                cpus.extend(some);
            }
            _ => return Err(CommandError::usage(format!("{text}: not a list of CPUs (1,3-5)"))),
        }
    }
    Ok(cpus)
}
