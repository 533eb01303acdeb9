//! From the files of the command line to a kernel.

use std::{path::PathBuf, sync::Arc};

use indicatif::{ProgressBar, ProgressStyle};
use necropsy_dump::{Dump, OpenError, OpenOptions, is_dump};
use necropsy_linux::Kernel;
use necropsy_target::{Target, layout::Overrides};

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
}

fn parse_override(text: &str) -> Result<u64, String> {
    crate::numbers::parse_hex(text).ok_or_else(|| format!("{text}: not a hexadecimal number"))
}

impl Request {
    /// The files that are dumps, and those that are something else: debug information.
    fn sort_files(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        // A lone file is the dump, whatever it looks like: opening it says what is wrong.
        match self.files.as_slice() {
            [_] => (self.files.clone(), Vec::new()),
            files => files.iter().cloned().partition(|file| is_dump(file)),
        }
    }

    /// Opens the dump alone.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn open_dump(&self) -> Result<Dump, OpenError> {
        let (dumps, others) = self.sort_files();
        for path in others {
            if let Err(source) = std::fs::metadata(&path) {
                return Err(OpenError::Io { path, source });
            }
            if dumps.is_empty() {
                return Err(OpenError::NotADump { path });
            }
            let path = path.display();
            eprintln!("necropsy: {path}: not needed: types and symbols come from the dump");
        }
        let options = OpenOptions {
            zero_excluded: self.zero_excluded,
            progress: Some(unpacking_progress()),
            ..OpenOptions::default()
        };
        Dump::open(&dumps, options)
    }

    /// Opens the dump and finds the kernel in it. What cannot be found is missing later, where it
    /// is needed.
    ///
    /// # Errors
    /// As [`Request::open_dump`].
    pub fn open(&self) -> Result<Arc<Kernel>, OpenError> {
        let overrides = Overrides { phys_base: self.phys_base, kaslr: self.kaslr };
        let target = Target::open(self.open_dump()?, &overrides);
        let kernel = Arc::new(Kernel::new(target));
        crate::debug_info::attach(&kernel, std::env::var_os("NECROPSY_DBG").map(PathBuf::from));
        Ok(kernel)
    }
}

/// A bar on the error stream, when that is a terminal.
fn unpacking_progress() -> necropsy_dump::Progress {
    let style = ProgressStyle::with_template("unpacking {wide_bar} {bytes}/{total_bytes} {eta}");
    let bar = ProgressBar::hidden();
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let drawn = std::sync::Once::new();
    Box::new(move |done, total| {
        drawn.call_once(|| bar.set_draw_target(indicatif::ProgressDrawTarget::stderr()));
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
        }
    })
}
