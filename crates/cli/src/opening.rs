//! From the command line's options to a kernel.

use std::{path::PathBuf, sync::Arc};

use necropsy_dump::{Dump, OpenError};
use necropsy_linux::Kernel;
use necropsy_loader::{DebugFiles, Opening, cache_dir, urls_of_environment};

use crate::{progress, session::Session};

/// What is to be opened, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Request {
    /// The dump (all files of a split one, in any order), and debug information if at hand: files
    /// are told apart by their content. FILE@0xADDRESS is a bare memory image at that physical
    /// address
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Offset of the kernel's image from where it was linked (KASLR), if the dump does not say
    #[arg(long, value_name = "OFFSET", value_parser = parse_override)]
    pub kaslr: Option<u64>,

    /// Physical address of the kernel's image minus its offset, if the dump does not say
    #[arg(long, value_name = "ADDRESS", value_parser = parse_override)]
    pub phys_base: Option<u64>,

    /// Read pages that the dump leaves out as zeros
    #[arg(long, alias = "zero_excluded")]
    pub zero_excluded: bool,

    /// Debug information: vmlinux, a module (packed or not), or a folder of them; may be repeated
    #[arg(long, value_name = "PATH")]
    pub symbols: Vec<PathBuf>,

    /// Use no debug information files: types and symbols come from the dump alone
    #[arg(long)]
    pub no_debuginfo: bool,

    /// Use debug information even if its build-id is not the dump's
    #[arg(long)]
    pub any_build_id: bool,

    /// Ask this debuginfod server for debug information, before those in DEBUGINFOD_URLS; may be
    /// repeated
    #[arg(long, value_name = "URL")]
    pub debuginfod: Vec<String>,

    /// A folder of the kernel's source; may be repeated
    #[arg(long, value_name = "DIR")]
    pub source: Vec<PathBuf>,
}

fn parse_override(text: &str) -> Result<u64, String> {
    crate::numbers::parse_hex(text).ok_or_else(|| format!("{text}: not a hexadecimal number"))
}

impl Request {
    /// What the library is to do.
    pub fn opening(&self) -> Opening {
        let urls = self.debuginfod.iter().cloned().chain(urls_of_environment()).collect();
        let opening = Opening::of(&self.files)
            .kaslr(self.kaslr)
            .phys_base(self.phys_base)
            .zero_excluded(self.zero_excluded)
            .no_debuginfo(self.no_debuginfo)
            .any_build_id(self.any_build_id)
            .debuginfod(urls, cache_dir())
            .listen(progress::listener());
        self.symbols.iter().fold(opening, Opening::symbols)
    }

    /// The files that may hold debug information for the dump.
    pub fn debug_files(&self) -> DebugFiles {
        self.opening().debug_files()
    }

    /// Opens the dump alone.
    ///
    /// # Errors
    /// It cannot be read, or is none; a file is neither a dump nor debug information.
    pub fn open_dump(&self) -> Result<Dump, OpenError> {
        self.opening().open_dump()
    }

    /// Opens the dump and finds the kernel in it. What cannot be found is missing later, where it
    /// is needed.
    ///
    /// # Errors
    /// As [`Request::open_dump`].
    pub fn open(&self) -> Result<Arc<Kernel>, OpenError> {
        self.opening().open()
    }

    /// A session on the dump.
    ///
    /// # Errors
    /// As [`Request::open_dump`].
    pub fn session(&self) -> Result<Session, OpenError> {
        let opening = self.opening();
        let files = Arc::new(opening.debug_files());
        let mut session = Session::on(opening.open_with(files.clone())?);
        session.settings.zero_excluded = self.zero_excluded;
        session.source.clone_from(&self.source);
        session.debug_files = Some(files);
        Ok(session)
    }
}
