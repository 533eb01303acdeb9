//! Arenas, and where memory lies.

use serde_json::json;

use crate::Dcmd;

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
