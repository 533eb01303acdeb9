//! What an address belongs to.

use necropsy_illumos::whatis::Owner;
use serde_json::json;

use crate::{Dcmd, Mdb, Options};

use super::{kernel, kmem};

pub(super) const WHATIS: Dcmd = Dcmd::new(
    &["whatis"],
    ": [-abv]",
    "given an address, return information",
    |mdb, call| {
        let address = call.needs_address()?;
        let options = Options::take(&call.args, "abikqv")?;
        let kernel = kernel(mdb)?;
        let found = kernel.whatis(address, options.has('a'))?;
        if found.is_empty() {
            return mdb.row(
                &format!("{address:x} is unknown"),
                json!({ "address": format!("{address:#x}"), "kind": "unknown" }),
            );
        }
        for owner in found {
            let (text, mut object) = describe(mdb, address, &owner);
            object["address"] = json!(format!("{address:#x}"));
            let record = match &owner {
                Owner::Buffer { bufctl: Some(bufctl), .. } if owner.is_audited() => {
                    kernel.audit_record(*bufctl).ok()
                }
                _ => None,
            };
            let Some(record) = record.filter(|_| !options.has('q')) else {
                mdb.row(&text, object)?;
                continue;
            };
            let mut lines = vec![format!("{text}:")];
            lines.extend(kmem::RECORD_HEADING.iter().map(|line| (*line).to_owned()));
            lines.extend(kmem::record_lines(mdb, &record));
            let stack: Vec<String> =
                record.stack.iter().map(|&pc| mdb.system.name_or_hex(pc)).collect();
            object["stack"] = json!(stack);
            object["thread"] = json!(format!("{:#x}", record.thread));
            mdb.row(&(lines.join("\n") + "\n"), object)?;
        }
        Ok(())
    },
)
.with_help(
    "Tells what an address belongs to: a module, a thread, a thread's stack, a buffer of kernel \
     memory, an arena.\n\n  -a  all that it belongs to, not only the first",
);

/// `address is base+offset, ` or `address is `, as it stands before what it is.
fn place(address: u64, base: u64) -> String {
    match address.wrapping_sub(base) {
        0 => format!("{address:x} is "),
        offset => format!("{address:x} is {base:x}+{offset:x}, "),
    }
}

fn describe(mdb: &Mdb, address: u64, owner: &Owner) -> (String, serde_json::Value) {
    match owner {
        Owner::Module { name, part, symbol, .. } => {
            let what = match symbol {
                Some(symbol) => format!("{symbol}, in {name}'s {part} segment"),
                None => format!("in {name}'s {part} segment"),
            };
            (
                format!("{address:x} is {what}"),
                json!({ "kind": "module", "module": name, "part": part, "symbol": symbol }),
            )
        }
        Owner::Thread(thread) => (
            format!("{}allocated as a thread structure", place(address, *thread)),
            json!({ "kind": "thread", "base": format!("{thread:#x}") }),
        ),
        Owner::Stack { thread, active } => {
            let what = kernel(mdb).ok().and_then(|kernel| {
                kernel.threads_have_names().then(|| kernel.describe_thread(*thread).ok())?
            });
            let what = what.map_or(String::new(), |what| format!(" ({what})"));
            let unused = if *active { "" } else { " (below its stack pointer)" };
            (
                format!("{address:x} is in thread {thread:x}'s stack{what}{unused}"),
                json!({ "kind": "stack", "thread": format!("{thread:#x}"), "active": active }),
            )
        }
        Owner::Buffer { base, cache, allocated, bufctl } => {
            let state = if *allocated { "allocated" } else { "freed" };
            let known = match bufctl {
                Some(bufctl) if !owner.is_audited() => format!("bufctl {bufctl:x} "),
                _ => String::new(),
            };
            (
                format!("{}{known}{state} from {}", place(address, *base), cache.name),
                json!({
                    "kind": "buffer", "base": format!("{base:#x}"), "cache": cache.name,
                    "state": state, "bufctl": bufctl.map(|at| format!("{at:#x}")),
                }),
            )
        }
        Owner::Arena { base, name, segment, allocated, .. } => {
            let state = if *allocated { "allocated" } else { "freed" };
            let seg = format!("vmem_seg {segment:x} ");
            (
                format!("{}{seg}{state} from the {name} vmem arena", place(address, *base)),
                json!({
                    "kind": "arena", "base": format!("{base:#x}"), "arena": name, "state": state,
                }),
            )
        }
    }
}
