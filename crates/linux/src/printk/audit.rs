//! Audit messages that no daemon has fetched (kernel/audit.c).

use std::collections::HashSet;

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

/// The queues, oldest messages first; 4.10 dropped `skb` from their names and added one.
const QUEUES: [&[&str]; 2] = [
    &["audit_skb_hold_queue", "audit_skb_queue"],
    &["audit_hold_queue", "audit_retry_queue", "audit_queue"],
];
/// Bytes of `struct nlmsghdr` (include/uapi/linux/netlink.h).
const HEADER: u64 = 16;
/// An audit message is at most MAX_AUDIT_MESSAGE_LENGTH (8970) bytes.
const MAX_MESSAGE: u64 = 1 << 16;
/// `audit_backlog_limit=` has no upper bound; no machine waits for more.
const MAX_MESSAGES: usize = 1 << 20;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditMessage {
    /// `AUDIT_*`: 1300 is a system call, 1130 a service start.
    pub kind: u16,
    /// What it says, from `audit(` on.
    pub text: String,
}

impl Kernel {
    /// The messages in the audit queues, and what could not be read.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when this kernel has no audit queues.
    pub fn audit_log(&self) -> Result<(Vec<AuditMessage>, Vec<Error>)> {
        let names = QUEUES
            .iter()
            .find(|names| names.last().is_some_and(|name| self.symbol(name).is_ok()))
            .ok_or_else(|| Error::no_symbol("audit_queue"))?;
        let (mut messages, mut errors) = (Vec::new(), Vec::new());
        for name in *names {
            let Ok(queue) = self.symbol(name) else { continue };
            if let Err(error) = self.audit_queue(queue, &mut messages) {
                errors.push(error);
            }
        }
        Ok((messages, errors))
    }

    fn audit_queue(&self, queue: u64, messages: &mut Vec<AuditMessage>) -> Result<()> {
        let target = self.target();
        let shapes = self.shapes();
        let mut seen = HashSet::new();
        let mut skb = shapes.sk_buff_head.next.read(target, queue)?;
        while skb != queue && skb != 0 {
            if !seen.insert(skb) || seen.len() > MAX_MESSAGES {
                return Err(Error::corrupt(format!("audit queue at {queue:x}: cycle at {skb:x}")));
            }
            let buffer = shapes.sk_buff.at(target, skb);
            let (data, len) = (buffer.data()?, buffer.len()?);
            if !(HEADER..=MAX_MESSAGE).contains(&len) {
                return Err(Error::corrupt(format!("audit message at {skb:x}: {len} bytes")));
            }
            let text = target.read_bytes(data.wrapping_add(HEADER), len - HEADER)?;
            messages.push(AuditMessage {
                // nlmsghdr: u32 nlmsg_len, u16 nlmsg_type
                kind: target.read_u16(data.wrapping_add(4))?,
                text: super::text_of(&text).unwrap_or_default(),
            });
            skb = buffer.next()?;
        }
        Ok(())
    }
}
