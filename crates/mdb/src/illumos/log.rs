//! The message log.

use serde_json::json;

use crate::{Dcmd, Options, date};

use super::kernel;

pub(super) const MSGBUF: Dcmd =
    Dcmd::new(&["msgbuf"], "? [-tTv]", "print most recent console messages", |mdb, call| {
        let options = Options::take(&call.args, "tTv")?;
        let verbose = options.has('v');
        let (messages, walk) = kernel(mdb)?.messages()?;
        if verbose {
            mdb.heading(&format!("{:>20} {:>16} {:<40}", "TIMESTAMP", "LOGCTL", "MESSAGE"))?;
        } else {
            mdb.heading(&format!("{:<70}", "MESSAGE"))?;
        }
        for message in messages {
            let object = json!({
                "time": message.time,
                "log_ctl": format!("{:#x}", message.control),
                "text": message.text.trim_end_matches('\n'),
            });
            // A message's own line ends are kept, but for the last one.
            let text = message.text.strip_suffix('\n').unwrap_or(&message.text).replace('\r', "");
            let text = if verbose {
                format!("{:>20} {:>16x} {text}", date(message.time), message.control)
            } else {
                text
            };
            mdb.row(&text, object)?;
        }
        mdb.noted(walk);
        Ok(())
    });
