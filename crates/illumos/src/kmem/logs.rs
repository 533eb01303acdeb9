//! Recorded transactions: of a buffer, and in the logs of all.

use hashbrown::HashMap;

use crate::{Kernel, Result};

use super::{Cache, KMF_AUDIT};

/// Most frames of a recorded stack.
const MAX_DEPTH: u64 = 64;
/// Most bytes of a log.
const MAX_LOG: u64 = 1 << 30;

/// A recorded transaction (`kmem_bufctl_audit_t`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Where the record lies.
    pub address: u64,
    /// The buffer.
    pub buffer: u64,
    /// Its slab.
    pub slab: u64,
    /// Its cache.
    pub cache: u64,
    /// Nanoseconds since boot.
    pub timestamp: u64,
    /// The thread.
    pub thread: u64,
    /// Its copy in the log.
    pub lastlog: u64,
    /// What the buffer held.
    pub contents: u64,
    /// Return addresses, the innermost first.
    pub stack: Vec<u64>,
}

/// Allocations of one stack and cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// Bytes in all.
    pub total: u64,
    /// Number of buffers.
    pub count: u64,
    /// Bytes of one.
    pub size: u64,
    /// The cache's name.
    pub cache: String,
    /// Who allocated.
    pub stack: Vec<u64>,
}

impl Kernel {
    /// The record at an address.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn audit_record(&self, at: u64) -> Result<AuditRecord> {
        let shape = &self.shapes().bufctl_audit;
        let room = shape.stack.size()? / 8;
        let depth = shape.depth.get(self, at)?.min(room).min(MAX_DEPTH);
        let stack_at = shape.stack.at(at)?;
        let mut stack = Vec::new();
        for index in 0..depth {
            stack.push(self.read_u64(stack_at + 8 * index)?);
        }
        Ok(AuditRecord {
            address: at,
            buffer: shape.addr.get(self, at)?,
            slab: shape.slab.get(self, at)?,
            cache: shape.cache.get(self, at)?,
            timestamp: shape.timestamp.get(self, at)?,
            thread: shape.thread.get(self, at)?,
            lastlog: shape.lastlog.get(self, at)?,
            contents: shape.contents.get(self, at)?,
            stack,
        })
    }

    /// The records of a log, the newest first. `log` is the address of its header.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn kmem_log(&self, log: u64) -> Result<Vec<AuditRecord>> {
        let shape = &self.shapes().kmem_log;
        let base = shape.base.get(self, log)?;
        let chunksize = shape.chunksize.get(self, log)?.min(MAX_LOG);
        let chunks = shape.nchunks.get(self, log)?.min(1 << 20);
        let ty = self.type_named("kmem_bufctl_audit_t")?;
        let whole = self.types().size_of(ty).unwrap_or(192).max(8);
        // Kernels may record more or fewer frames than the type says.
        let size = match (self.int("kmem_stack_depth"), self.shapes().bufctl_audit.stack.offset()) {
            (Ok(depth @ 1..=64), Ok(offset)) => offset + 8 * u64::from(depth),
            _ => whole,
        };
        let mut found = Vec::new();
        for chunk in 0..chunks {
            if u64::saturating_mul(chunk + 1, chunksize) > MAX_LOG {
                break;
            }
            for index in 0..chunksize / size {
                let at = base.wrapping_add(chunk * chunksize + index * size);
                match self.shapes().bufctl_audit.timestamp.get(self, at) {
                    Ok(0) => {}
                    // What is behind a page that is not there is of the same chunk.
                    Err(_) => break,
                    Ok(_) => found.extend(self.audit_record(at).ok()),
                }
            }
        }
        found.sort_by_key(|record| std::cmp::Reverse(record.timestamp));
        Ok(found)
    }

    /// The transactions of a buffer, the newest first: what the log has, and the last one, which
    /// `bufctl` records where that is one of an audited cache.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn buffer_history(&self, buffer: u64, bufctl: Option<u64>) -> Result<Vec<AuditRecord>> {
        let last = bufctl.and_then(|at| self.audit_record(at).ok());
        let last = last.filter(|record| record.buffer == buffer && !record.stack.is_empty());
        let log = self.pointer("kmem_transaction_log").and_then(|log| self.kmem_log(log));
        let mut all = match log {
            Err(error) if last.is_none() => return Err(error),
            found => found.unwrap_or_default(),
        };
        all.retain(|record| record.buffer == buffer);
        if let Some(last) = last
            && all.first().is_none_or(|newest| newest.timestamp < last.timestamp)
        {
            all.insert(0, last);
        }
        Ok(all)
    }

    /// Who holds how much of audited caches, the largest first.
    pub fn kmem_users(&self, caches: &[Cache]) -> Vec<Users> {
        let mut by_stack: HashMap<(u64, Vec<u64>), Users> = HashMap::new();
        for cache in caches.iter().filter(|cache| cache.flags & KMF_AUDIT != 0) {
            for (_, bufctl) in self.kmem_buffers(cache).allocated {
                let Ok(record) = self.audit_record(bufctl) else { continue };
                let users =
                    by_stack.entry((cache.address, record.stack.clone())).or_insert_with(|| {
                        Users {
                            total: 0,
                            count: 0,
                            size: cache.bufsize,
                            cache: cache.name.clone(),
                            stack: record.stack,
                        }
                    });
                users.total = users.total.saturating_add(cache.bufsize);
                users.count += 1;
            }
        }
        let mut all: Vec<Users> = by_stack.into_values().collect();
        all.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.stack.cmp(&b.stack)));
        all
    }
}
