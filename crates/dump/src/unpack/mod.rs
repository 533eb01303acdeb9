//! Packed dumps: unpacked once into the cache directory, and read from there.

mod archive;
mod blocks;
mod cache;
mod lazy;
mod streams;

use std::{
    fs,
    io::{self, BufRead, Read, Write},
    path::{Path, PathBuf},
};

pub use cache::{CachedFile, UnpackCache};

use crate::{OpenOptions, image::Image};
pub(crate) use archive::{Archive, Member};
use streams::PACKINGS;
pub(crate) use streams::Packing;

/// Bytes moved at a time. What a cut stream holds is lost by at most as much.
const CHUNK: usize = 64 << 10;
/// Bytes that unpacking leaves free on the disk.
const RESERVE: u64 = 256 << 20;

/// Smaller packed files, in bytes, are unpacked before anybody has read that they are.
const WORTH_TELLING: u64 = 4 << 20;

/// How a file is packed, if it is.
pub(crate) fn packing(image: &Image) -> Option<&'static Packing> {
    let head = image.get_up_to(0, 16);
    PACKINGS.iter().find(|packing| (packing.recognise)(&head))
}

/// The beginning of what is packed, enough to see what it is.
///
/// # Errors
/// Nothing can be unpacked.
pub(crate) fn head(image: &Image, packing: &Packing) -> io::Result<Image> {
    let options = OpenOptions::default();
    let mut head = Vec::new();
    let reader = packing.reader(Box::new(Counted::new(image, &options)))?;
    // What a damaged file begins with is still something to go by.
    let _ = reader.take(archive::HEAD as u64).read_to_end(&mut head);
    Image::from_bytes(head)
}

/// Names and endings of the packings, for documentation.
pub(crate) fn packing_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    PACKINGS.iter().map(|packing| (packing.name, packing.ending)).chain(archive::NAMES)
}

/// An unpacked copy.
#[derive(Debug)]
pub(crate) struct Unpacked {
    pub(crate) path: PathBuf,
    /// Why it is only the beginning, when it is.
    pub(crate) cut: Option<String>,
}

/// The unpacked copy of what `reader` unpacks, made unless it is there already. `key` tells files
/// of one `path` apart. The copy grows under a temporary name and is renamed when whole, so that
/// nobody ever sees part of it.
///
/// # Errors
/// `InvalidData` when nothing can be unpacked, and those of writing the cache.
pub(crate) fn unpack<'a>(
    path: &Path,
    key: &str,
    image: &'a Image,
    open: impl FnOnce(Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>>,
    options: &'a OpenOptions,
) -> io::Result<Unpacked> {
    let cache = cache_of(options)?;
    let target = cache.place(path, key)?;
    if let Some(found) = cache.find(&target) {
        return Ok(found);
    }
    fs::create_dir_all(cache.dir())?;
    cache.make_room(image.file_len());
    let free = cache.free_space();
    if let Some(notice) = options.notice.as_ref().filter(|_| image.file_len() >= WORTH_TELLING) {
        let megabytes = |bytes: u64| bytes >> 20;
        let space =
            free.map_or(String::new(), |free| format!(", where {} MB are free", megabytes(free)));
        notice(&format!(
            "{}: packed ({} MB): unpacking it into {}{space}",
            path.display(),
            megabytes(image.file_len()),
            cache.dir().display(),
        ));
    }
    let mut reader = open(Box::new(Counted::new(image, options)))?;
    let mut out = tempfile::NamedTempFile::new_in(cache.dir())?;
    let cut = copy(&mut reader, out.as_file_mut(), free, cache.dir())?;
    out.as_file().sync_all()?;
    out.persist(&target).map_err(|error| error.error)?;
    if let Some(cut) = &cut {
        cache.remember_cut(&target, cut)?;
    }
    Ok(Unpacked { path: target, cut })
}

/// The content of a packed file whose parts unpack alone (xz blocks, zstd frames, bgzf), and the copy
/// that grows as it is read; `None` where it has to be unpacked whole.
///
/// # Errors
/// Those of making the copy.
pub(crate) fn by_parts(
    path: &Path,
    key: &str,
    image: &Image,
    options: &OpenOptions,
) -> io::Result<Option<(Image, PathBuf)>> {
    let cache = cache_of(options)?;
    let found = lazy::open(image, || {
        fs::create_dir_all(cache.dir())?;
        let place = cache.place(path, &format!("{key} by parts"))?;
        if cache.find(&place).is_none() {
            cache.make_room(image.file_len());
        }
        Ok(place)
    })?;
    let Some((content, copy, count)) = found else { return Ok(None) };
    if let Some(notice) = options.notice.as_ref().filter(|_| image.file_len() >= WORTH_TELLING) {
        notice(&format!(
            "{}: packed in {count} parts that unpack alone: those that are read go into {}",
            path.display(),
            cache.dir().display(),
        ));
    }
    Ok(Some((content, copy)))
}

/// What a stream, such as standard input, holds: put into a file that can be read here and there,
/// unpacked on the way. The file has no name: it is gone when it is closed. Also why it is only the
/// beginning, when it is.
///
/// # Errors
/// Those of reading and of writing the cache.
pub(crate) fn spool(
    input: impl Read,
    options: &OpenOptions,
) -> io::Result<(fs::File, Option<String>)> {
    let cache = cache_of(options)?;
    fs::create_dir_all(cache.dir())?;
    if let Some(notice) = &options.notice {
        notice(&format!(
            "a dump is read here and there, which a pipe does not allow: copying it below {} first",
            cache.dir().display()
        ));
    }
    let mut input = io::BufReader::with_capacity(CHUNK, input);
    let head = input.fill_buf()?;
    let packing = PACKINGS.iter().find(|packing| (packing.recognise)(head));
    let mut reader: Box<dyn Read> = Box::new(&mut input);
    if let Some(packing) = packing {
        reader = packing.reader(reader)?;
    }
    let mut file = tempfile::tempfile_in(cache.dir())?;
    let cut = copy(&mut reader, &mut file, cache.free_space(), cache.dir())?;
    drop(reader);
    Ok((file, cut))
}

fn cache_of(options: &OpenOptions) -> io::Result<UnpackCache> {
    match &options.cache_dir {
        Some(dir) => Ok(UnpackCache::at(dir.clone())),
        None => UnpackCache::of_user(),
    }
}

/// Copies all of a stream, or what can be had of it: then also why no more.
fn copy(
    reader: &mut dyn Read,
    out: &mut fs::File,
    free: Option<u64>,
    dir: &Path,
) -> io::Result<Option<String>> {
    let mut chunk = vec![0; CHUNK];
    let mut done = 0u64;
    loop {
        let n = match reader.read(&mut chunk) {
            Ok(0) => return Ok(None),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if done > 0 => {
                let how =
                    if error.kind() == io::ErrorKind::UnexpectedEof { "cut" } else { "damaged" };
                return Ok(Some(format!(
                    "the packed file is {how}: only the first {done} bytes of its content could be unpacked"
                )));
            }
            Err(error) => {
                let what = match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        "the packed file is cut within its first block: nothing of it can be unpacked".into()
                    }
                    _ => format!("the packed file does not unpack: {error}"),
                };
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        };
        done += n as u64;
        if free.is_some_and(|free| done.saturating_add(RESERVE) > free) {
            let what = format!(
                "unpacked it needs more space than {} has ({} MB unpacked so far): set XDG_CACHE_HOME to a larger disk, or unpack it there",
                dir.display(),
                done >> 20
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, what));
        }
        out.write_all(&chunk[..n])?;
    }
}

/// The packed bytes, reporting how many were read.
struct Counted<'a> {
    image: &'a Image,
    at: u64,
    /// Behind the last byte that is not in a hole: no packing ends in one, and a terabyte of zeros
    /// may follow it.
    end: u64,
    options: &'a OpenOptions,
}

impl<'a> Counted<'a> {
    fn new(image: &'a Image, options: &'a OpenOptions) -> Self {
        let end = image.data_in(0, image.len()).last().map_or(0, |part| part.end);
        Counted { image, at: 0, end, options }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let bytes = self.image.get_up_to(self.at, buf.len().min(CHUNK).min(left));
        buf[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        if let Some(progress) = &self.options.progress {
            progress(self.at, self.image.len());
        }
        Ok(bytes.len())
    }
}
