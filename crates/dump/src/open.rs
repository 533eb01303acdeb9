//! From files to a dump: told apart by content.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    OpenError, elf,
    image::Image,
    kdump, lkcd,
    meta::{Input, Opened},
    raw, sadump, unpack,
};

/// Called with bytes done and bytes in all while a packed dump is unpacked.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// How to open a dump.
pub struct OpenOptions {
    /// Frames that the filter left out read as zeros instead of failing.
    pub zero_excluded: bool,
    /// Memory for decompressed pages, in bytes.
    pub cache_bytes: usize,
    /// Called with bytes done and bytes in all while a .gz, .xz or .zst file is unpacked.
    pub progress: Option<Progress>,
    /// Where unpacked dumps are kept; `None`: `necropsy` under the user's cache directory.
    pub cache_dir: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            zero_excluded: false,
            cache_bytes: 128 << 20,
            progress: None,
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

/// A format's reader, and what recognises its files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Kdump,
    Elf,
    Lkcd,
    Sadump,
}

/// Whether the file looks like a dump, or a packed file that may hold one; a kernel with debug
/// information is none. What cannot be read is no dump.
pub fn is_dump(path: &Path) -> bool {
    if raw::split_address(path).is_some() {
        return true;
    }
    Image::open(path).is_ok_and(|image| unpack::is_packed(&image) || recognise(&image).is_some())
}

fn recognise(image: &Image) -> Option<Kind> {
    if kdump::is_kdump(image) {
        Some(Kind::Kdump)
    } else if elf::is_elf(image) {
        elf::is_core(image).then_some(Kind::Elf)
    } else if lkcd::is_lkcd(image) {
        Some(Kind::Lkcd)
    } else if sadump::is_sadump(image) {
        Some(Kind::Sadump)
    } else {
        None
    }
}

pub(crate) fn open(files: &[PathBuf], options: &OpenOptions) -> Result<Opened, OpenError> {
    if files.is_empty() {
        return Err(OpenError::NoFile);
    }
    let images: Vec<_> = files.iter().filter_map(|path| raw::split_address(path)).collect();
    if images.len() == files.len() {
        return raw::open(images);
    }
    let mut inputs = Vec::new();
    let mut kinds = Vec::new();
    for path in files {
        let input = load(path, options)?;
        let kind = recognise(&input.image)
            .ok_or_else(|| OpenError::NotADump { path: input.path.clone() })?;
        inputs.push(input);
        kinds.push(kind);
    }
    let [kind, others @ ..] = &kinds[..] else { return Err(OpenError::NoFile) };
    if others.iter().any(|other| other != kind) {
        return Err(OpenError::not_one_dump(
            &inputs[0].path,
            &inputs[1].path,
            "they are dumps of different formats",
        ));
    }
    match kind {
        Kind::Kdump => kdump::open(inputs, options.zero_excluded, options.cache_bytes),
        Kind::Sadump => sadump::open(inputs, options.zero_excluded),
        Kind::Elf => elf::open(single(inputs)?, options.zero_excluded),
        Kind::Lkcd => lkcd::open(single(inputs)?, options.cache_bytes),
    }
}

/// Maps a file, unpacked before if need be.
fn load(path: &Path, options: &OpenOptions) -> Result<Input, OpenError> {
    let failed = |path: &Path, error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidData => OpenError::corrupt(path, error.to_string()),
        _ => OpenError::io(path, error),
    };
    let image = Image::open(path).map_err(|error| failed(path, error))?;
    if !unpack::is_packed(&image) {
        return Ok(Input { path: path.into(), image });
    }
    let unpacked = unpack::unpack(path, &image, options).map_err(|error| failed(path, error))?;
    let image = Image::open(&unpacked).map_err(|error| failed(&unpacked, error))?;
    Ok(Input { path: unpacked, image })
}

fn single(inputs: Vec<Input>) -> Result<Input, OpenError> {
    let mut inputs = inputs.into_iter();
    match (inputs.next(), inputs.next()) {
        (Some(input), None) => Ok(input),
        (Some(first), Some(second)) => {
            Err(OpenError::not_one_dump(&first.path, &second.path, "this format has no split sets"))
        }
        (None, _) => Err(OpenError::NoFile),
    }
}
