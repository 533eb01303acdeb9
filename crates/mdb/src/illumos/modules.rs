//! Modules.

use serde_json::json;

use crate::{Dcmd, Options};

use super::kernel;

pub(super) const MODINFO: Dcmd =
    Dcmd::new(&["modinfo"], "? [-n NAME]", "print module information", |mdb, call| {
        let options = Options::take(&call.args, "n:")?;
        let kernel = kernel(mdb)?;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>3} {:>16} {:>8} {:>3} MODULE NAME",
                "ID", "LOADADDR", "SIZE", "REV"
            ))?;
        }
        for module in kernel.modules() {
            if call.address.is_some_and(|wanted| wanted != module.modctl)
                || options.get('n').is_some_and(|wanted| !module.name.contains(wanted))
            {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(module.modctl);
                continue;
            }
            let (rev, info) = kernel.module_info(module.linkage).unwrap_or((0, "?".into()));
            let text = format!(
                "{:>3} {:>16x} {:>8x} {rev:>3} {} ({info})",
                module.id,
                module.text.start,
                module.size(),
                module.name
            );
            let object = json!({
                "id": module.id, "text": format!("{:#x}", module.text.start),
                "size": module.size(), "rev": rev, "name": module.name, "info": info,
                "modctl": format!("{:#x}", module.modctl), "file": module.filename,
            });
            mdb.row(&text, object)?;
        }
        if let Some(problem) = kernel.modules_problem() {
            mdb.warn(problem);
        }
        Ok(())
    });

pub(super) const MODCTL: Dcmd =
    Dcmd::new(&["modctl"], "?", "list modctl structures", |mdb, call| {
        let kernel = kernel(mdb)?;
        if call.wants_heading() {
            mdb.heading(&format!("{:<16} {:>4} {:<16} FILE", "ADDR", "ID", "NAME"))?;
        }
        for module in kernel.modules() {
            if call.address.is_some_and(|wanted| wanted != module.modctl) {
                continue;
            }
            if call.pipe_out {
                mdb.pipe(module.modctl);
                continue;
            }
            let text = format!(
                "{:016x} {:>4} {:<16} {}",
                module.modctl, module.id, module.name, module.filename
            );
            let object = json!({
                "address": format!("{:#x}", module.modctl), "id": module.id,
                "name": module.name, "file": module.filename,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });

pub(super) const OBJECTS: Dcmd =
    Dcmd::new(&["objects", "$m"], "[-v]", "print load objects information", |mdb, call| {
        Options::take(&call.args, "v")?;
        let kernel = kernel(mdb)?;
        mdb.heading(&format!("{:>16} {:>16} {:>16} NAME", "BASE", "LIMIT", "SIZE"))?;
        for module in kernel.modules() {
            let size = module.text.end - module.text.start;
            let text = format!(
                "{:>16x} {:>16x} {size:>16x} {}",
                module.text.start, module.text.end, module.name
            );
            let object = json!({
                "base": format!("{:#x}", module.text.start), "size": size, "name": module.name,
            });
            mdb.row(&text, object)?;
        }
        Ok(())
    });

pub(super) const CTFINFO: Dcmd =
    Dcmd::new(&["ctfinfo"], "", "print CTF data information", |mdb, _| {
        let kernel = kernel(mdb)?;
        mdb.heading(&format!("{:<16} {:>10} TYPES", "NAME", "SIZE"))?;
        for module in kernel.modules() {
            let (count, problem) = kernel.types_of(module);
            let state = problem.unwrap_or_else(|| count.to_string());
            let text = format!("{:<16} {:>10} {state}", module.name, module.ctf.1);
            let object = json!({ "name": module.name, "size": module.ctf.1, "types": state });
            mdb.row(&text, object)?;
        }
        Ok(())
    });
