//! Arenas, and where memory lies.

use necropsy_illumos::shapes::Field;
use serde_json::json;

use crate::{Dcmd, Options};

use super::kernel;

pub(super) const VMEM: Dcmd = Dcmd::new(&["vmem"], "?", "print a vmem_t", |mdb, call| {
    let kernel = kernel(mdb)?;
    let (mut arenas, walk) = kernel.arenas();
    mdb.noted(walk);
    if let Some(address) = call.address {
        arenas = vec![(address, 0)];
    }
    if call.wants_heading() {
        mdb.heading(&format!(
            "{:<16} {:<20} {:>12} {:>12} {:>9} {:>5}",
            "ADDR", "NAME", "INUSE", "TOTAL", "SUCCEED", "FAIL"
        ))?;
    }
    for (at, depth) in arenas {
        if call.pipe_out {
            mdb.pipe(at);
            continue;
        }
        let arena = kernel.arena(at, depth)?;
        let name = format!("{:width$}{}", "", arena.name, width = 2 * depth);
        let text = format!(
            "{at:016x} {name:<20} {:>12} {:>12} {:>9} {:>5}",
            arena.inuse, arena.total, arena.alloc, arena.fail
        );
        let object = json!({
            "address": format!("{at:#x}"), "name": arena.name, "depth": depth,
            "in_use": arena.inuse, "total": arena.total, "alloc": arena.alloc,
            "fail": arena.fail,
        });
        mdb.row(&text, object)?;
    }
    Ok(())
});

pub(super) const VMEM_SEG: Dcmd =
    Dcmd::new(&["vmem_seg"], ": [-v]", "print or filter a vmem_seg", |mdb, call| {
        let at = call.needs_address()?;
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().vmem_seg;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:>4} {:>16} {:>16} {:>16}",
                "ADDR", "TYPE", "START", "END", "SIZE"
            ))?;
        }
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        let (start, end) = (shape.start.get(&kernel, at)?, shape.end.get(&kernel, at)?);
        let kind = match shape.kind.get(&kernel, at)? {
            1 => "ALLC",
            2 => "FREE",
            0x10 => "SPAN",
            0x20 => "ROTR",
            _ => "????",
        };
        let size = end.wrapping_sub(start);
        let object = json!({
            "address": format!("{at:#x}"), "type": kind, "start": format!("{start:#x}"),
            "end": format!("{end:#x}"),
        });
        mdb.row(&format!("{at:016x} {kind:>4} {start:016x} {end:016x} {size:>16x}"), object)
    });

pub(super) const SEG: Dcmd =
    Dcmd::new(&["seg"], ":", "print address space segment", |mdb, call| {
        let at = call.needs_address()?;
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        let kernel = kernel(mdb)?;
        let shape = &kernel.shapes().seg;
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:>16} {:>16} {:>16} OPS",
                "SEG", "BASE", "SIZE", "DATA"
            ))?;
        }
        let get = |field: necropsy_illumos::shapes::Field| field.get(&kernel, at);
        let (base, size, data) = (get(shape.base)?, get(shape.size)?, get(shape.data)?);
        let ops = kernel.name_or_hex(get(shape.ops)?);
        let object = json!({
            "address": format!("{at:#x}"), "base": format!("{base:#x}"), "size": size, "ops": ops,
        });
        mdb.row(&format!("{at:>16x} {base:>16x} {size:>16x} {data:>16x} {ops}"), object)
    });

pub(super) const PMAP: Dcmd =
    Dcmd::new(&["pmap"], ": [-q]", "print process memory map", |mdb, call| {
        let process = call.needs_address()?;
        Options::take(&call.args, "q")?;
        let kernel = kernel(mdb)?;
        let shapes = kernel.shapes();
        let space = shapes.proc.aspace.get(&kernel, process)?;
        let segments = mdb.walk("seg", Some(space))?;
        if call.wants_heading() {
            mdb.heading(&format!("{:>16} {:>16} {:>8} PATH", "SEG", "BASE", "SIZE"))?;
        }
        let vnode = Field::resolve(&kernel, &["struct segvn_data"], &["vp"]);
        for at in segments {
            mdb.check()?;
            if call.pipe_out {
                mdb.pipe(at);
                continue;
            }
            let (base, size) =
                (shapes.seg.base.get(&kernel, at)?, shapes.seg.size.get(&kernel, at)?);
            let ops = kernel.name_or_hex(shapes.seg.ops.get(&kernel, at)?);
            let path = match ops.as_str() {
                "segvn_ops" => shapes
                    .seg
                    .data
                    .get(&kernel, at)
                    .and_then(|data| vnode.get(&kernel, data))
                    .map_or("[ ? ]".into(), |vp| match vp {
                        0 => "[ anon ]".to_owned(),
                        vp => kernel.vnode_path(vp).ok().flatten().unwrap_or_else(|| "??".into()),
                    }),
                other => format!("[ {other} ]"),
            };
            let object = json!({
                "segment": format!("{at:#x}"), "base": format!("{base:#x}"), "size": size,
                "path": path,
            });
            let text = format!("{at:016x} {base:016x} {:>7}k {path}", size >> 10);
            mdb.row(&text, object)?;
        }
        Ok(())
    });

pub(super) const VTOP: Dcmd =
    Dcmd::new(&["vtop"], ": [-a AS]", "print physical mapping of virtual address", |mdb, call| {
        let address = call.needs_address()?;
        let physical = kernel(mdb)?.translate(address)?;
        if call.pipe_out {
            mdb.pipe(physical);
            return Ok(());
        }
        let object = json!({
            "virtual": format!("{address:#x}"), "physical": format!("{physical:#x}"),
        });
        mdb.row(&format!("virtual {address:x} mapped to physical {physical:x}"), object)
    });
