//! Zones.

use serde_json::json;

use crate::Dcmd;

use super::kernel;

/// Text cut to a column, with three dots.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width - 3).collect();
    format!("{kept}...")
}

pub(super) const ZONE: Dcmd = Dcmd::new(&["zone"], "?", "display kernel zone(s)", |mdb, call| {
    let kernel = kernel(mdb)?;
    let found = match call.address {
        Some(address) => vec![address],
        None => {
            let walk = kernel.zones();
            mdb.noted(walk)
        }
    };
    if call.wants_heading() {
        mdb.heading(&format!(
            "{:>16} {:>6} {:<13} {:<20} {}",
            "ADDR", "ID", "STATUS", "NAME", "PATH"
        ))?;
    }
    for at in found {
        if call.pipe_out {
            mdb.pipe(at);
            continue;
        }
        let zone = kernel.zone(at)?;
        let text = format!(
            "{at:016x} {:>6} {:<13} {:<20} {}",
            zone.id,
            zone.status,
            cut(&zone.name, 19),
            cut(&zone.path, 31)
        );
        let object = json!({
            "address": format!("{at:#x}"), "id": zone.id, "status": zone.status,
            "name": zone.name, "path": zone.path,
        });
        mdb.row(&text, object)?;
    }
    Ok(())
});
