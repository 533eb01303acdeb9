//! What the page tables allow at a kernel address.

/// What may be done with the memory at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// The page is marked present: a page that is kept in its place but taken away (KFENCE's guard
    /// pages, debug_pagealloc's free ones) is not.
    pub present: bool,
    /// The kernel may write there.
    pub writable: bool,
    /// The kernel may execute what lies there.
    pub executable: bool,
}
