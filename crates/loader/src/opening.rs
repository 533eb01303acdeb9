//! From the files that a user names to a kernel.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use necropsy_dump::{
    Dump, OpenError, OpenOptions, dump_inside, is_dump, is_log_beside, why_no_dump,
};
use necropsy_linux::Kernel;
use necropsy_machine::{Overrides, Target};

use crate::{
    attach::{add_data_symbols, attach},
    debug_files::{self, DebugFiles},
    event::{Event, Listener},
};

/// Opens the kernel in a dump. The files are the dump's (all of a split one, in any order) and
/// debug information if at hand: they are told apart by their content.
///
/// Debug information is also looked for by build ID and release where distributions keep it, but
/// no server is asked: for that, and for everything else one may want to say, there is
/// [`Opening`].
///
/// # Errors
/// A file cannot be read, or is neither a dump nor debug information. A dump in which no kernel is
/// recognised is no error: [`Target::problem`] says what is wrong with it.
pub fn open<P: Into<PathBuf>>(
    files: impl IntoIterator<Item = P>,
) -> Result<Arc<Kernel>, OpenError> {
    Opening::of(files).open()
}

/// What is to be opened, and how.
///
/// ```no_run
/// use necropsy_loader::Opening;
/// let kernel = Opening::of(["vmcore"])
///     .symbols("/srv/kernels")
///     .listen(|event| if event.is_message() { eprintln!("{event}") })
///     .open()?;
/// # Ok::<(), necropsy_dump::OpenError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Opening {
    files: Vec<PathBuf>,
    overrides: Overrides,
    zero_excluded: bool,
    debug: debug_files::Options,
}

impl Opening {
    /// These files. `FILE@0xADDRESS` is a bare memory image at that physical address.
    pub fn of<P: Into<PathBuf>>(files: impl IntoIterator<Item = P>) -> Self {
        Opening {
            files: files.into_iter().map(Into::into).collect(),
            overrides: Overrides::default(),
            zero_excluded: false,
            debug: debug_files::Options::default(),
        }
    }

    /// The offset of the kernel's image from where it was linked, if the dump does not say.
    #[must_use]
    pub fn kaslr(mut self, offset: Option<u64>) -> Self {
        self.overrides.kaslr = offset;
        self
    }

    /// The physical address of the kernel's image minus its offset, if the dump does not say.
    #[must_use]
    pub fn phys_base(mut self, address: Option<u64>) -> Self {
        self.overrides.phys_base = address;
        self
    }

    /// Whether pages that the dump leaves out read as zeros instead of failing.
    #[must_use]
    pub fn zero_excluded(mut self, zeros: bool) -> Self {
        self.zero_excluded = zeros;
        self
    }

    /// One more file with debug information, or a folder that is searched for them.
    #[must_use]
    pub fn symbols(mut self, path: impl Into<PathBuf>) -> Self {
        self.debug.given.push(path.into());
        self
    }

    /// Uses no debug information: types and symbols come from the dump alone.
    #[must_use]
    pub fn no_debuginfo(mut self, off: bool) -> Self {
        self.debug.search = !off;
        self
    }

    /// Uses debug information even if its build ID is not the dump's.
    #[must_use]
    pub fn any_build_id(mut self, any: bool) -> Self {
        self.debug.any_build_id = any;
        self
    }

    /// debuginfod servers to ask, in this order, after all else; and where downloads are kept in
    /// elfutils' layout ([`cache_dir`](crate::cache_dir)). Needs the feature `debuginfod`.
    #[must_use]
    pub fn debuginfod(mut self, urls: Vec<String>, cache: Option<PathBuf>) -> Self {
        self.debug.debuginfod_urls = urls;
        self.debug.debuginfod_cache = cache;
        self
    }

    /// Who is told what is wrong with a file, and how far unpacking and downloading have come.
    #[must_use]
    pub fn listen(mut self, listen: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        self.debug.listener = Listener::new(listen);
        self
    }

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
        let others = others.into_iter().filter(|file| !is_system_map(file) && !is_log_beside(file));
        let mut dump_dirs: Vec<_> = dumps
            .iter()
            .filter_map(|file| if file.is_dir() { Some(file.as_path()) } else { file.parent() })
            .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
            .map(Path::to_owned)
            .collect();
        dump_dirs.dedup();
        DebugFiles::new(debug_files::Options {
            given: self.debug.given.iter().cloned().chain(others).collect(),
            dump_dirs,
            ..self.debug.clone()
        })
    }

    /// Opens the dump alone.
    ///
    /// # Errors
    /// It cannot be read, or is none; a file is neither a dump nor debug information.
    pub fn open_dump(&self) -> Result<Dump, OpenError> {
        let listener = self.debug.listener.clone();
        let (mut dumps, mut others) = self.sort_files();
        // A crash folder stands for the dump in it, and one without for debug information only
        // beside a dump.
        let folder = match &dumps[..] {
            [lone] if lone.is_dir() => dumps.pop(),
            [] => others.iter().position(|path| path.is_dir()).map(|index| others.remove(index)),
            _ => None,
        };
        if let Some(folder) = folder {
            dumps = dump_inside(&folder)?;
        }
        for path in others {
            if let Err(source) = std::fs::metadata(&path) {
                return Err(OpenError::Io { path, source });
            }
            if is_system_map(&path) && !dumps.is_empty() {
                listener.tell(Event::NotNeeded(&path));
            } else if is_log_beside(&path) && !dumps.is_empty() {
                listener.tell(Event::LogBeside(&path));
            } else if dumps.is_empty() || !(path.is_dir() || debug_files::is_debug_file(&path)) {
                return Err(why_no_dump(&path).unwrap_or(OpenError::NotADump { path }));
            }
        }
        let notices = listener.clone();
        let progress = move |done, total| listener.tell(Event::Unpacking { done, total });
        let options = OpenOptions {
            zero_excluded: self.zero_excluded,
            progress: Some(Box::new(progress)),
            notice: Some(Box::new(move |line| notices.tell(Event::Notice(line)))),
            ..OpenOptions::default()
        };
        Dump::open(&dumps, options)
    }

    /// The kernel of a dump that is open, without debug information ([`attach`] adds it). What
    /// cannot be found is missing later, where it is needed.
    pub fn kernel_in(&self, dump: Dump) -> Arc<Kernel> {
        Arc::new(Kernel::new(Target::open(dump, &self.overrides)))
    }

    /// Opens the dump and finds the kernel in it.
    ///
    /// # Errors
    /// As [`Opening::open_dump`].
    pub fn open(&self) -> Result<Arc<Kernel>, OpenError> {
        self.open_with(Arc::new(self.debug_files()))
    }

    /// As [`Opening::open`], with debug information from files that the caller keeps.
    ///
    /// # Errors
    /// As [`Opening::open_dump`].
    pub fn open_with(&self, files: Arc<DebugFiles>) -> Result<Arc<Kernel>, OpenError> {
        let mut target = Target::open(self.open_dump()?, &self.overrides);
        add_data_symbols(&mut target, &files);
        let kernel = Arc::new(Kernel::new(target));
        attach(&kernel, files);
        Ok(kernel)
    }
}

/// crash takes one before its kernel.
fn is_system_map(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("System.map"))
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
        let files: Vec<_> = dumps.iter().chain(&others).cloned().collect();
        let opening = Opening::of(files);
        assert_eq!(opening.sort_files(), (dumps.clone(), others));
        assert_eq!(opening.debug_files().kernel(None, None).found.unwrap().path, vmlinux);
        let off = opening.no_debuginfo(true);
        assert!(off.debug_files().kernel(None, None).found.is_none());

        let with = |other: PathBuf| Opening::of([other, dumps[0].clone()]).symbols(&vmlinux);
        let map = with(put("System.map-1", b"ffffffff81000000 T _text\n"));
        assert!(map.open_dump().is_ok());
        let lookup = map.debug_files().kernel(None, None);
        assert!(lookup.refused.is_empty(), "{lookup:?}");
        assert!(with(vmlinux.clone()).open_dump().is_ok());
        let error = with(put("text", b"neither")).open_dump().unwrap_err().to_string();
        assert!(error.contains("text: text: no dump"), "{error}");
        let error = with("/no/such/file".into()).open_dump().unwrap_err().to_string();
        assert!(error.contains("/no/such/file: No such file"), "{error}");
        let two = Opening::of([&vmlinux, &vmlinux]);
        assert!(matches!(two.open_dump(), Err(OpenError::Refused { .. })));
        let log = with(put("vmcore-dmesg.txt", b"[    0.0] Linux\n"));
        assert!(log.open_dump().is_ok());
    }
}
