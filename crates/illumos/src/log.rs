//! The message log (`uts/common/io/log.c`).

use crate::{Kernel, Result, list::Walk};

/// Longest message.
const MAX_MESSAGE: usize = 1024;

/// A logged message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Address of its `mblk_t`.
    pub address: u64,
    /// Address of its `log_ctl_t`.
    pub control: u64,
    /// Seconds since 1970.
    pub time: i64,
    /// As logged, without a carriage return before it.
    pub text: String,
}

impl Kernel {
    /// Recent messages, the oldest first, and what stopped them.
    ///
    /// # Errors
    /// There is no log.
    pub fn messages(&self) -> Result<(Vec<Message>, Walk)> {
        self.messages_of("log_recentq")
    }

    /// The messages of a queue: `log_recentq`, `log_consq`, `log_backlogq`.
    ///
    /// # Errors
    /// There is no such queue.
    pub fn messages_of(&self, queue: &str) -> Result<(Vec<Message>, Walk)> {
        let shapes = self.shapes();
        let mblk = &shapes.mblk;
        let first = match self.pointer(queue)? {
            0 => 0,
            queue => shapes.queue.first.get(self, queue)?,
        };
        let walk = Walk::follow(first, |_| false, |at| mblk.next.get(self, at));
        let read = |at: u64| -> Result<Message> {
            let control = mblk.rptr.get(self, at)?;
            let body = mblk.cont.get(self, at)?;
            let text = self.read_string(mblk.rptr.get(self, body)?, MAX_MESSAGE)?;
            Ok(Message {
                address: at,
                control,
                time: shapes.log_ctl.ttime.signed(self, control)?,
                text: text.strip_prefix('\r').unwrap_or(&text).to_owned(),
            })
        };
        // A message that cannot be read costs that message.
        let messages = walk.found.iter().filter_map(|&at| read(at).ok()).collect();
        Ok((messages, walk))
    }
}
