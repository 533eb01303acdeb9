//! Who a process belongs to: credentials, tasks, projects.

use necropsy_illumos::shapes::Field;
use serde_json::json;

use crate::{Dcmd, failure::fail};

use super::kernel;

pub(super) const CRED: Dcmd = Dcmd::new(&["cred"], ":", "display a credential", |mdb, call| {
    let at = call.needs_address()?;
    let kernel = kernel(mdb)?;
    let shape = &kernel.shapes().cred;
    if call.wants_heading() {
        mdb.heading(&format!(
            "{:>16} {:>8} {:>8} {:>8} {:>8}",
            "ADDR", "UID", "GID", "RUID", "RGID"
        ))?;
    }
    let id = |field: Field| field.get(&kernel, at);
    let ids = [id(shape.uid)?, id(shape.gid)?, id(shape.ruid)?, id(shape.rgid)?];
    let [uid, gid, ruid, rgid] = ids;
    let object = json!({
        "address": format!("{at:#x}"), "uid": uid, "gid": gid, "ruid": ruid, "rgid": rgid,
    });
    mdb.row(&format!("{at:016x} {uid:>8} {gid:>8} {ruid:>8} {rgid:>8}"), object)
});

pub(super) const TASK: Dcmd = Dcmd::new(&["task"], ":", "display kernel task(s)", |mdb, call| {
    let at = call.needs_address()?;
    let kernel = kernel(mdb)?;
    let shapes = kernel.shapes();
    let shape = &shapes.task;
    if call.wants_heading() {
        mdb.heading(&format!(
            "{:>16} {:>6} {:>6} {:>6} {:>6} {:>10}",
            "ADDR", "TASKID", "PROJID", "ZONEID", "REFCNT", "FLAGS"
        ))?;
    }
    let (id, flags) = (shape.id.signed(&kernel, at)?, shape.flags.get(&kernel, at)?);
    let project = shapes.project.id.signed(&kernel, shape.proj.get(&kernel, at)?)?;
    let zone = shapes.zone.id.signed(&kernel, shape.zone.get(&kernel, at)?)?;
    let holds = shape.holds.get(&kernel, at)?;
    let object = json!({
        "address": format!("{at:#x}"), "task": id, "project": project, "zone": zone,
        "holds": holds, "flags": format!("{flags:#x}"),
    });
    let text = format!("{at:016x} {id:>6} {project:>6} {zone:>6} {holds:>6} {flags:#010x}");
    mdb.row(&text, object)
});

pub(super) const PROJECT: Dcmd =
    Dcmd::new(&["project"], ":", "display kernel project(s)", |mdb, call| {
        let at = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().project;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:>6} {:>6} {:>6}",
                "ADDR", "PROJID", "ZONEID", "REFCNT"
            ))?;
        }
        let (id, zone) = (shape.id.signed(&kernel, at)?, shape.zone_id.signed(&kernel, at)?);
        let holds = shape.holds.get(&kernel, at)?;
        let object =
            json!({ "address": format!("{at:#x}"), "project": id, "zone": zone, "holds": holds });
        mdb.row(&format!("{at:016x} {id:>6} {zone:>6} {holds:>6}"), object)
    });

pub(super) const ZID2ZONE: Dcmd =
    Dcmd::new(&["zid2zone"], ":", "find the zone with a given zone id", |mdb, call| {
        let wanted = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let walk = kernel.zones();
        let is_it = |at: &u64| kernel.shapes().zone.id.get(&kernel, *at) == Ok(wanted);
        let Some(at) = mdb.noted(walk).into_iter().find(is_it) else {
            return fail(format!("no zone has the number 0t{wanted}"));
        };
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        mdb.row(&format!("{at:x}"), json!({ "address": format!("{at:#x}"), "zone": wanted }))
    });
