//! Dumps inside .gz, .xz and .zst: unpacked once into the cache directory.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::{OpenOptions, image::Image};

/// Bytes moved at a time.
const CHUNK: usize = 1 << 20;
/// An xz dictionary beyond this (KiB) is no honest one.
const XZ_MEMORY: u32 = 256 << 10;

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Xz,
    Zstd,
}

fn packing(image: &Image) -> Option<Packing> {
    let magic = image.get_up_to(0, 6);
    if magic.starts_with(b"\x1f\x8b\x08") {
        Some(Packing::Gzip)
    } else if magic.starts_with(b"\xfd7zXZ\0") {
        Some(Packing::Xz)
    } else if magic.starts_with(b"\x28\xb5\x2f\xfd") {
        Some(Packing::Zstd)
    } else {
        None
    }
}

pub(crate) fn is_packed(image: &Image) -> bool {
    packing(image).is_some()
}

/// The unpacked copy of `path`, made unless it is there already. The copy grows under a temporary
/// name and is renamed when whole, so that nobody ever sees part of it.
///
/// # Errors
/// `InvalidData` when the file does not unpack, and those of writing the cache.
pub(crate) fn unpack(path: &Path, image: &Image, options: &OpenOptions) -> io::Result<PathBuf> {
    let dir = match &options.cache_dir {
        Some(dir) => dir.clone(),
        None => default_dir()?,
    };
    fs::create_dir_all(&dir)?;
    let target = dir.join(cache_name(path)?);
    if target.exists() {
        return Ok(target);
    }
    let Some(packing) = packing(image) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a packed file"));
    };
    let input = Counted { image, at: 0, progress: options };
    let mut reader: Box<dyn Read + '_> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(io::BufReader::new(input))),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, XZ_MEMORY)),
        Packing::Zstd => Box::new(zstd::stream::Decoder::new(input)?),
    };
    let mut out = tempfile::NamedTempFile::new_in(&dir)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => out.write_all(&chunk[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let what = format!("the packed file does not unpack: {error}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
    }
    out.as_file().sync_all()?;
    out.persist(&target).map_err(|error| error.error)?;
    Ok(target)
}

/// A name that changes when the packed file does.
fn cache_name(path: &Path) -> io::Result<String> {
    let path = path.canonicalize()?;
    let meta = path.metadata()?;
    let mut hasher = DefaultHasher::new();
    (&path, meta.len(), meta.modified()?).hash(&mut hasher);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(format!("{stem}-{:016x}", hasher.finish()))
}

/// `necropsy/unpacked` under the user's cache directory.
fn default_dir() -> io::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|base| base.join("necropsy").join("unpacked"))
        .ok_or_else(|| io::Error::other("no cache directory: set HOME or XDG_CACHE_HOME"))
}

/// The packed bytes, reporting how many were read.
struct Counted<'a> {
    image: &'a Image,
    at: u64,
    progress: &'a OpenOptions,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.image.get_up_to(self.at, buf.len().min(CHUNK));
        buf[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        if let Some(progress) = &self.progress.progress {
            progress(self.at, self.image.len());
        }
        Ok(bytes.len())
    }
}
