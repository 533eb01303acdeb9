//! How a dump is to be opened.

use std::{fmt, path::PathBuf};

/// Called with bytes done and bytes in all while a packed dump is unpacked.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;
/// Called with one line that whoever waits should read.
pub type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// How to open a dump.
pub struct OpenOptions {
    /// Frames that the filter left out read as zeros instead of failing.
    pub zero_excluded: bool,
    /// Memory for decompressed pages, in bytes.
    pub cache_bytes: usize,
    /// Called with bytes done and bytes in all while a packed file is unpacked.
    pub progress: Option<Progress>,
    /// Called when something takes long or takes space: what, and where.
    pub notice: Option<Notice>,
    /// Where unpacked dumps are kept; `None`: `necropsy` under the user's cache directory.
    pub cache_dir: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            zero_excluded: false,
            cache_bytes: 64 << 20,
            progress: None,
            notice: None,
            cache_dir: None,
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("zero_excluded", &self.zero_excluded)
            .field("cache_bytes", &self.cache_bytes)
            .field("cache_dir", &self.cache_dir)
            .finish_non_exhaustive()
    }
}
