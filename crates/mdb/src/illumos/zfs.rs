//! ZFS: pools, and its messages for debugging (`sys/spa_impl.h`, `sys/zfs_debug.h`).

use necropsy_illumos::shapes::Field;
use serde_json::json;

use crate::{Dcmd, Options, Outcome, date};

use super::kernel;

/// `pool_state_t` by number.
const STATES: [&str; 8] =
    ["ACTIVE", "EXPORTED", "DESTROYED", "SPARE", "L2CACHE", "UNINIT", "UNAVAIL", "POTENTIAL"];

/// Longest message.
const MAX_MESSAGE: usize = 4096;

/// All pools.
pub(super) fn pools(mdb: &mut crate::Mdb) -> Outcome<Vec<u64>> {
    let kernel = kernel(mdb)?;
    let walk = kernel.avl(kernel.address_of("spa_namespace_avl")?);
    Ok(mdb.noted(walk))
}

pub(super) const SPA: Dcmd = Dcmd::new(&["spa"], "?", "spa_t summary", |mdb, call| {
    Options::take(&call.args, "v")?;
    let kernel = kernel(mdb)?;
    let found = match call.address {
        Some(at) => vec![at],
        None => pools(mdb)?,
    };
    let field = |name| Field::resolve(&kernel, &["spa_t", "struct spa"], &[name]);
    let (name, state) = (field("spa_name"), field("spa_state"));
    if call.wants_heading() {
        mdb.heading(&format!("{:<16} {:>9} {:<52}", "ADDR", "STATE", "NAME"))?;
    }
    for at in found {
        if call.pipe_out {
            mdb.pipe(at);
            continue;
        }
        let (name, state) = (name.text(&kernel, at)?, state.get(&kernel, at)?);
        let state = STATES.get(state as usize).copied().unwrap_or("UNKNOWN");
        let object = json!({ "address": format!("{at:#x}"), "state": state, "name": name });
        mdb.row(&format!("{at:016x} {state:>9} {name}"), object)?;
    }
    Ok(())
});

pub(super) const ZFS_DBGMSG: Dcmd =
    Dcmd::new(&["zfs_dbgmsg"], "[-v]", "print zfs debug log", |mdb, call| {
        let verbose = Options::take(&call.args, "vas")?.has('v');
        let kernel = kernel(mdb)?;
        let field = |name| Field::resolve(&kernel, &["zfs_dbgmsg_t", "struct zfs_dbgmsg"], &[name]);
        let (time, text) = (field("zdm_timestamp"), field("zdm_msg"));
        let walk = kernel.list(kernel.address_of("zfs_dbgmsgs")?);
        for at in mdb.noted(walk) {
            mdb.check()?;
            let message = kernel.read_string(text.at(at)?, MAX_MESSAGE)?;
            let when = time.signed(&kernel, at)?;
            let line = if verbose { format!("{} {message}", date(when)) } else { message.clone() };
            mdb.row(&line, json!({ "time": when, "text": message }))?;
        }
        Ok(())
    });
