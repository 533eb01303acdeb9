//! Open files, and the file systems that are mounted.

use necropsy_illumos::{Kernel, list::Walk, shapes::Field};
use serde_json::json;

use crate::{Dcmd, Failure, Mdb, Outcome, failure::fail};

use super::kernel;

pub(super) const VNODE2PATH: Dcmd =
    Dcmd::new(&["vnode2path"], ":", "vnode address to pathname", |mdb, call| {
        let at = call.needs_address()?;
        let path = kernel(mdb)?.vnode_path(at)?;
        let text = path.clone().unwrap_or_else(|| "??".into());
        mdb.row(&text, json!({ "vnode": format!("{at:#x}"), "path": path }))
    });

pub(super) const PFILES: Dcmd =
    Dcmd::new(&["pfiles"], ":", "print process file information", |mdb, call| {
        let process = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let files = kernel.open_files(process)?;
        if call.wants_heading() {
            mdb.heading(&format!("{:<4} {:>4} {:>16} {}", "FD", "TYPE", "VNODE", "INFO"))?;
        }
        for open in files {
            mdb.check()?;
            let vnode = match kernel.shapes().file.vnode.get(&kernel, open.file) {
                Ok(vnode) => vnode,
                Err(error) => {
                    mdb.warn(&format!("file {:x}: {error}", open.file));
                    continue;
                }
            };
            if call.pipe_out {
                mdb.pipe(open.file);
                continue;
            }
            let kind = kernel.vnode_kind(vnode).unwrap_or("?");
            let path = kernel.vnode_path(vnode).ok().flatten();
            let shown = path.as_deref().unwrap_or("??");
            let text = format!("{:>4} {kind:>4} {vnode:>16x} {shown}", open.number);
            let object = json!({
                "fd": open.number, "file": format!("{:#x}", open.file), "type": kind,
                "vnode": format!("{vnode:#x}"), "path": path,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });

pub(super) const FD: Dcmd =
    Dcmd::new(&["fd"], ": NUMBER", "get a file pointer from an fd", |mdb, call| {
        let process = call.needs_address()?;
        let Some(arg) = call.args.first() else {
            return Err(Failure::Usage("the number of an open file must be given".into()));
        };
        let wanted = mdb.number(arg)?;
        let files = kernel(mdb)?.open_files(process)?;
        let Some(open) = files.iter().find(|open| open.number == wanted) else {
            return fail(format!("process {process:x} has no open file 0t{wanted}"));
        };
        if call.pipe_out {
            mdb.pipe(open.file);
            return Ok(());
        }
        mdb.row(&format!("{:x}", open.file), json!({ "file": format!("{:#x}", open.file) }))
    });

pub(super) const WHEREOPEN: Dcmd =
    Dcmd::new(&["whereopen"], ":", "given a vnode, dumps procs which have it open", |mdb, call| {
        let vnode = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let walk = kernel.processes();
        for process in mdb.noted(walk) {
            mdb.check()?;
            let is_it = |open: &necropsy_illumos::files::OpenFile| {
                kernel.shapes().file.vnode.get(&kernel, open.file) == Ok(vnode)
            };
            if !kernel.open_files(process).is_ok_and(|files| files.iter().any(is_it)) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(process);
                continue;
            }
            mdb.row(&format!("{process:x}"), json!({ "process": format!("{process:#x}") }))?;
        }
        Ok(())
    });

fn vfs(kernel: &Kernel, member: &'static str) -> Field {
    Field::resolve(kernel, &["vfs_t", "struct vfs"], &[member])
}

/// All file systems that are mounted: a ring.
pub(super) fn mounts(mdb: &mut Mdb) -> Outcome<Vec<u64>> {
    let kernel = kernel(mdb)?;
    let next = vfs(&kernel, "vfs_next");
    let walk = Walk::ring(kernel.pointer("rootvfs")?, |at| next.get(&kernel, at));
    Ok(mdb.noted(walk))
}

/// The name of a type of file systems, from the table of them.
fn type_name(kernel: &Kernel, number: u64) -> necropsy_illumos::Result<String> {
    let name = Field::resolve(kernel, &["vfssw_t", "struct vfssw"], &["vsw_name"]);
    let size = kernel.types().size_of(kernel.type_named("struct vfssw")?).unwrap_or(0);
    let table = kernel.address_of("vfssw")?;
    let at = name.get(kernel, table.wrapping_add(size.wrapping_mul(number)))?;
    Ok(kernel.read_string(at, 32)?)
}

/// The text of a `refstr_t`.
pub(super) fn refstr(kernel: &Kernel, at: u64) -> necropsy_illumos::Result<String> {
    let text = Field::resolve(kernel, &["refstr_t", "struct refstr"], &["rs_string"]);
    Ok(kernel.read_string(text.at(at)?, 1024)?)
}

pub(super) const FSINFO: Dcmd =
    Dcmd::new(&["fsinfo"], "?", "print mounted filesystems", |mdb, call| {
        let found = match call.address {
            Some(at) => vec![at],
            None => mounts(mdb)?,
        };
        let kernel = kernel(mdb)?;
        let (kind, place) = (vfs(&kernel, "vfs_fstype"), vfs(&kernel, "vfs_mntpt"));
        if call.wants_heading() {
            mdb.heading(&format!("{:<16} {:<15} MOUNT", "VFSP", "FS"))?;
        }
        for at in found {
            if call.pipe_out {
                mdb.pipe(at);
                continue;
            }
            let name = type_name(&kernel, kind.get(&kernel, at)?).unwrap_or_else(|_| "?".into());
            let mount = place.get(&kernel, at).and_then(|text| refstr(&kernel, text));
            let mount = mount.unwrap_or_else(|error| format!("<{error}>"));
            let object = json!({ "address": format!("{at:#x}"), "type": name, "mount": mount });
            mdb.row(&format!("{at:016x} {name:<15} {mount}"), object)?;
        }
        Ok(())
    });
