//! What physical memory is used for.

use serde_json::json;

use crate::{Dcmd, Mdb, Outcome};

use super::kernel;

pub(super) const MEMSTAT: Dcmd =
    Dcmd::new(&["memstat"], "", "display memory usage summary", |mdb, _| {
        let kernel = kernel(mdb)?;
        let stop = mdb.stopper();
        let (found, walk) = kernel.page_use(&stop)?;
        mdb.check()?;
        mdb.noted(walk);
        if found.lost > 0 {
            mdb.note(&format!("warning: {} pages' structures are not in the dump", found.lost));
        }
        let page = kernel.dump().header().pagesize;
        let megabytes = |pages: u64| (pages.saturating_mul(page)) >> 20;
        let row = |mdb: &mut Mdb, what: &str, pages: u64, share: bool| -> Outcome {
            // Rounded as mdb does it.
            let percent =
                (pages.saturating_mul(1000).saturating_add(found.total.saturating_mul(5)))
                    .checked_div(found.physical.saturating_mul(10))
                    .unwrap_or(0);
            let text = format!("{what:<16} {pages:>16}  {:>16}", megabytes(pages));
            let text = if share { format!("{text}  {percent:>3}%") } else { text };
            mdb.row(
                &text,
                json!({ "use": what, "pages": pages, "bytes": pages.saturating_mul(page) }),
            )
        };
        mdb.heading("Page Summary                Pages                MB  %Tot")?;
        mdb.heading("------------     ----------------  ----------------  ----")?;
        row(mdb, "Kernel", found.kernel, true)?;
        for (what, pages) in [("Boot pages", found.boot), ("ZFS File Data", found.zfs)] {
            if pages != 0 {
                row(mdb, what, pages, true)?;
            }
        }
        row(mdb, "Anon", found.anon, true)?;
        row(mdb, "Exec and libs", found.exec, true)?;
        row(mdb, "Page cache", found.files, true)?;
        row(mdb, "Free (cachelist)", found.cachelist, true)?;
        row(mdb, "Free (freelist)", found.freelist, true)?;
        mdb.heading("")?;
        row(mdb, "Total", found.total, false)?;
        if found.physical != found.total {
            row(mdb, "Physical", found.physical, false)?;
        }
        Ok(())
    })
    .with_help("Every page is looked at, by the vnode that it belongs to.");
