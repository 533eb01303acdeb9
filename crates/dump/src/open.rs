//! From files to a dump: told apart by content.

use std::{
    fmt, io,
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
    let inputs: Result<Vec<Input>, OpenError> =
        files.iter().map(|path| load(path, options)).collect();
    open_inputs(inputs?, options)
}

/// Opens files that are in memory; they may not be packed.
pub(crate) fn open_bytes(
    files: Vec<(PathBuf, Vec<u8>)>,
    options: &OpenOptions,
) -> Result<Opened, OpenError> {
    let inputs: Result<Vec<Input>, OpenError> = files
        .into_iter()
        .map(|(path, bytes)| match Image::from_bytes(bytes) {
            Ok(image) => Ok(Input { path, image }),
            Err(error) => Err(failed(&path, error)),
        })
        .collect();
    open_inputs(inputs?, options)
}

fn open_inputs(inputs: Vec<Input>, options: &OpenOptions) -> Result<Opened, OpenError> {
    let mut kinds = Vec::new();
    for input in &inputs {
        let kind = recognise(&input.image);
        kinds.push(kind.ok_or_else(|| OpenError::NotADump { path: input.path.clone() })?);
    }
    let [kind, others @ ..] = &kinds[..] else { return Err(OpenError::NoFile) };
    if let Some(other) = others.iter().position(|other| other != kind) {
        return Err(OpenError::not_one_dump(
            &inputs[0].path,
            &inputs[other + 1].path,
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

fn failed(path: &Path, error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::InvalidData => OpenError::corrupt(path, error.to_string()),
        _ => OpenError::io(path, error),
    }
}

/// Maps a file, unpacked before if need be.
fn load(path: &Path, options: &OpenOptions) -> Result<Input, OpenError> {
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
