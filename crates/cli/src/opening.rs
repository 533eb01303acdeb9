//! From the files of the command line to a kernel.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressStyle};
use necropsy_dump::{Dump, OpenError, OpenOptions, is_dump};
use necropsy_linux::Kernel;
use necropsy_target::{Target, layout::Overrides};

use crate::{
    debug_files::{self, DebugFiles},
    debug_info,
    session::Session,
};

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
    /// The files that are dumps, and those that are something else: debug information.
    fn sort_files(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        // A lone file is the dump, whatever it looks like: opening it says what is wrong.
        match self.files.as_slice() {
            [_] => (self.files.clone(), Vec::new()),
            files => files
                .iter()
                .cloned()
                // A packed file may be a dump, or a kernel or module.
                .partition(|file| is_dump(file) && !debug_files::is_debug_file(file)),
        }
    }

    /// The files that may hold debug information for the dump.
    pub fn debug_files(&self) -> DebugFiles {
        let (dumps, others) = self.sort_files();
        let others = others.into_iter().filter(|file| !is_system_map(file));
        let mut dump_dirs: Vec<_> = dumps
            .iter()
            .filter_map(|file| file.parent())
            .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            .map(Path::to_owned)
            .collect();
        dump_dirs.dedup();
        let from_environment = debug_files::urls_of_environment();
        DebugFiles::new(debug_files::Options {
            given: self.symbols.iter().cloned().chain(others).collect(),
            dump_dirs,
            search: !self.no_debuginfo,
            any_build_id: self.any_build_id,
            debuginfod_urls: self.debuginfod.iter().cloned().chain(from_environment).collect(),
            debuginfod_cache: debug_files::cache_dir(),
        })
    }

    /// Opens the dump alone.
    ///
    /// # Errors
    /// It cannot be read, or is none; a file is neither a dump nor debug information.
    pub fn open_dump(&self) -> Result<Dump, OpenError> {
        let (dumps, others) = self.sort_files();
        for path in others {
            if let Err(source) = std::fs::metadata(&path) {
                return Err(OpenError::Io { path, source });
            }
            if is_system_map(&path) && !dumps.is_empty() {
                let path = path.display();
                eprintln!("necropsy: {path}: not needed: symbols come from the dump");
            } else if dumps.is_empty() || !(path.is_dir() || debug_files::is_debug_file(&path)) {
                return Err(OpenError::NotADump { path });
            }
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
        debug_info::attach(&kernel, Arc::new(self.debug_files()));
        Ok(kernel)
    }

    /// A session on the dump.
    ///
    /// # Errors
    /// As [`Request::open_dump`].
    pub fn session(&self) -> Result<Session, OpenError> {
        let mut session = Session::on(self.open()?);
        session.settings.zero_excluded = self.zero_excluded;
        session.source.clone_from(&self.source);
        session.debug_files = Some(Arc::new(self.debug_files()));
        Ok(session)
    }
}

/// crash takes one before its kernel.
fn is_system_map(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("System.map"))
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

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use necropsy_synth::{ElfCore, ElfFile, Order, Segment};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn files_are_told_apart_by_their_content() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let data = vec![7; 4096];
        let segment = Segment { physical: 0, address: 0, data, memory_size: 4096 };
        let core = ElfCore {
            wide: true,
            order: Order::Little,
            machine: 62,
            notes: Vec::new(),
            segments: vec![segment],
            extended_count: false,
        };
        let core = core.build();
        let kernel = ElfFile::new(2).section(".debug_info", b"dwarf").build();
        let dumps = vec![put("a", &core), put("b.gz", &gzip(&core))];
        let vmlinux = put("c", &kernel);
        let others = vec![vmlinux.clone(), put("d.gz", &gzip(&kernel)), folder.path().to_owned()];
        let files = dumps.iter().chain(&others).cloned().collect();
        let request = Request { files, ..Request::default() };
        assert_eq!(request.sort_files(), (dumps.clone(), others));
        assert_eq!(request.debug_files().kernel(None, None).found.unwrap().path, vmlinux);
        let off = Request { no_debuginfo: true, ..request };
        assert!(off.debug_files().kernel(None, None).found.is_none());

        let with = |other: PathBuf| Request {
            files: vec![other, dumps[0].clone()],
            symbols: vec![vmlinux.clone()],
            ..Request::default()
        };
        let map = with(put("System.map-1", b"ffffffff81000000 T _text\n"));
        assert!(map.open_dump().is_ok());
        let lookup = map.debug_files().kernel(None, None);
        assert!(lookup.refused.is_empty(), "{lookup:?}");
        assert!(with(vmlinux.clone()).open_dump().is_ok());
        let error = with(put("text", b"neither")).open_dump().unwrap_err().to_string();
        assert!(error.contains("text: not a kernel dump"), "{error}");
        let error = with("/no/such/file".into()).open_dump().unwrap_err().to_string();
        assert!(error.contains("/no/such/file: No such file"), "{error}");
        let two = Request { files: vec![vmlinux.clone(), vmlinux.clone()], ..Request::default() };
        assert!(matches!(two.open_dump(), Err(OpenError::NotADump { .. })));
    }
}
