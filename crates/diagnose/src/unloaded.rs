//! Modules that are gone.

use necropsy_linux::Kernel;

/// The name in `last_unloaded_module` (kernel/module): an array of characters, or a structure that
/// begins with one.
pub(crate) fn last(kernel: &Kernel) -> Option<String> {
    let name = kernel.target().read_cstr(kernel.symbol("last_unloaded_module").ok()?, 64).ok()?;
    (!name.is_empty()).then_some(name)
}

/// Bytes around the modules that there are in which others may have been.
const AROUND: u64 = 32 << 20;

/// The module that was unloaded last, if an address where nothing is now lies where modules do.
pub(crate) fn may_have_held(kernel: &Kernel, address: u64) -> Option<String> {
    let target = kernel.target();
    if target.translate(address).is_ok() || target.image_at(address).is_some() {
        return None;
    }
    let (modules, _) = kernel.modules();
    let mut ranges = modules.iter().flat_map(|module| &module.ranges);
    let near = ranges.any(|range| {
        (range.start.saturating_sub(AROUND)..range.end.saturating_add(AROUND)).contains(&address)
    });
    near.then(|| last(kernel)).flatten()
}
