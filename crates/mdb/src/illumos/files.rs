//! Files and devices.

use serde_json::json;

use crate::{Dcmd, Outcome};

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

pub(super) const PRTCONF: Dcmd =
    Dcmd::new(&["prtconf"], "", "print devinfo tree", |mdb, call| -> Outcome {
        let (devices, walk) = kernel(mdb)?.devices();
        mdb.noted(walk);
        if call.wants_heading() {
            mdb.heading(&format!("{:<16} {:<50}", "DEVINFO", "NAME"))?;
        }
        for device in devices {
            mdb.check()?;
            if call.pipe_out {
                mdb.pipe(device.address);
                continue;
            }
            let instance = match device.instance {
                Some(number) => format!(", instance #{number}"),
                None => String::new(),
            };
            let text = format!(
                "{:indent$}{:<16x} {}{instance}",
                "",
                device.address,
                device.name,
                indent = 4 * device.depth
            );
            let object = json!({
                "address": format!("{:#x}", device.address), "depth": device.depth,
                "name": device.name, "instance": device.instance,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });
