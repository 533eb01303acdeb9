//! Debug information of the open dump: which file is taken for which image.

use std::{path::Path, sync::Arc};

use necropsy_debuginfo::dwarf::Dwarf;
use necropsy_linux::{
    Kernel, build_id,
    module::{self, Placement},
};
use necropsy_machine::{Target, debug::ImageDebug, target::VMLINUX};

use crate::{
    DebugFiles, Event, Found, Listener, LoadError, Lookup,
    index::{index, open_placed},
};

/// How far the running kernel is from where a file was linked.
fn bias(target: &Target, dwarf: &Dwarf) -> Result<u64, LoadError> {
    let linked = dwarf.stext().ok_or(LoadError::NoStext("it"))?;
    let running = target.address_of("_stext").ok_or(LoadError::NoStext("the dump"))?;
    Ok(running.wrapping_sub(linked))
}

/// Gives a kernel whose own table names only code the data symbols of its vmlinux, if that is found.
/// What is wrong with the files is told when debug information is asked for.
pub(crate) fn add_data_symbols(target: &mut Target, files: &DebugFiles) {
    if !target.lacks_data_symbols() {
        return;
    }
    let release = target.vmcoreinfo().and_then(|info| info.get("OSRELEASE"));
    let found = files.kernel(build_id::of_kernel(target).as_deref(), release).found;
    let Some(file) = found.and_then(|found| open_placed(found.bytes, None).ok()) else { return };
    let linked = file.symbols().by_name("_stext").map(|symbol| symbol.address);
    if let (Some(linked), Some(running)) = (linked, target.address_of("_stext")) {
        target.add_data_symbols(file.symbols(), running.wrapping_sub(linked));
    }
}

/// Tells a kernel how its debug information is found: when it is first asked for. What is wrong
/// with a file is told to the listener of `files`, once, and costs no more than the file.
pub fn attach(kernel: &Kernel, files: Arc<DebugFiles>) {
    kernel.target().set_debug_loader(Box::new(move |target, image| {
        let release = target.vmcoreinfo().and_then(|info| info.get("OSRELEASE"));
        if image.name == VMLINUX {
            let lookup = files.kernel(build_id::of_kernel(target).as_deref(), release);
            return take(files.listener(), lookup, |found| kernel_debug(target, found));
        }
        // A module that cannot be placed is looked for all the same: the user is told why not.
        let placement = module::placement(target, &image.name);
        let id = placement.as_ref().ok().and_then(|placement| placement.build_id.as_deref());
        let lookup = files.module(&image.name, id, release);
        take(files.listener(), lookup, |found| module_debug(placement?, found))
    }));
}

/// The debug information of a module from the file that a user names or the folder that holds it,
/// else from wherever it is found: crash's `mod -s`, `mod -S`.
pub fn load_module(
    kernel: &Kernel,
    files: &DebugFiles,
    name: &str,
    place: Option<&Path>,
) -> Option<ImageDebug> {
    let target = kernel.target();
    let placement = module::placement(target, name);
    let id = placement.as_ref().ok().and_then(|placement| placement.build_id.clone());
    let release = target.vmcoreinfo().and_then(|info| info.get("OSRELEASE"));
    let lookup = match place {
        Some(place) => files.module_in(place, name, id.as_deref()),
        None => files.module(name, id.as_deref(), release),
    };
    take(files.listener(), lookup, |found| module_debug(placement?, found))
}

/// Uses what was found: the dump alone goes on answering when that fails.
fn take(
    listener: &Listener,
    lookup: Lookup,
    open: impl FnOnce(Found) -> Result<ImageDebug, LoadError>,
) -> Option<ImageDebug> {
    for refused in &lookup.refused {
        listener.tell(Event::Refused(refused));
    }
    let found = lookup.found?;
    let path = found.path.clone();
    if let Some(note) = &found.note {
        listener.tell(Event::Doubtful(note));
    }
    open(found)
        .inspect_err(|error| {
            listener.tell(Event::Unusable { path: &path, why: &error.to_string() });
        })
        .ok()
}

fn kernel_debug(target: &Target, found: Found) -> Result<ImageDebug, LoadError> {
    let dwarf = index(open_placed(found.bytes, None)?)?;
    let bias = bias(target, &dwarf)?;
    let matches = found.note.is_none();
    Ok(ImageDebug { dwarf, bias, path: found.path, how: found.how, matches })
}

fn module_debug(placement: Placement, found: Found) -> Result<ImageDebug, LoadError> {
    let place = |name: &str| placement.sections.get(name).copied();
    let dwarf = index(open_placed(found.bytes, Some(&place))?)?;
    let matches = found.note.is_none();
    Ok(ImageDebug { dwarf, bias: 0, path: found.path, how: found.how, matches })
}
