//! Decompressed pages under one memory budget.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::Reason;

/// Which file of the set, and the offset of the page's data in it: frames that share one
/// descriptor (makedumpfile's and QEMU's zero pages) share the decompressed page too.
pub(crate) type Key = (u32, u64);

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<[u8]>> for Bytes {
    fn weight(&self, _: &Key, page: &Arc<[u8]>) -> u64 {
        page.len() as u64
    }
}

/// A sharded cache; a page is decompressed once even when several threads ask for it.
pub(crate) struct PageCache(Cache<Key, Arc<[u8]>, Bytes>);

impl PageCache {
    /// `bytes` is the budget of pages; the bookkeeping comes on top.
    pub(crate) fn new(bytes: usize, page_size: u64) -> Self {
        let pages = (bytes as u64 / page_size.max(1)).max(64);
        PageCache(Cache::with_weighter(pages as usize, pages * page_size, Bytes))
    }

    /// The page, decompressed by `make` if it is not here.
    pub(crate) fn get(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<Arc<[u8]>, Reason>,
    ) -> Result<Arc<[u8]>, Reason> {
        self.0.get_or_insert_with(&key, make)
    }
}
