//! Page decompressors.

use std::{cell::RefCell, sync::Arc};

use flate2::{Decompress, FlushDecompress, Status};

/// How a page is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As it is.
    None,
    /// zlib (`makedumpfile -c`).
    Zlib,
    /// LZO1X (`makedumpfile -l`).
    Lzo,
    /// Snappy (`makedumpfile -p`).
    Snappy,
    /// Zstandard (`makedumpfile -z`).
    Zstd,
    /// LKCD's run-length encoding.
    Rle,
}

impl Compression {
    /// The name as users write it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "raw",
            Compression::Zlib => "zlib",
            Compression::Lzo => "lzo",
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
            Compression::Rle => "rle",
        }
    }
}

thread_local! {
    static ZLIB: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decompresses one page; `None` unless it comes out at exactly `page_size` bytes.
pub(crate) fn decompress(how: Compression, input: &[u8], page_size: usize) -> Option<Arc<[u8]>> {
    let mut page: Arc<[u8]> = std::iter::repeat_n(0, page_size).collect();
    let out = Arc::get_mut(&mut page)?;
    let size = match how {
        Compression::None => {
            out.get_mut(..input.len())?.copy_from_slice(input);
            input.len()
        }
        Compression::Zlib => ZLIB.with_borrow_mut(|zlib| inflate(zlib, input, out))?,
        Compression::Lzo => lzo::decompress_into(input, out).ok()?,
        Compression::Snappy => {
            // Its length prefix is read first: a short output buffer is an error, not a panic.
            snap::raw::Decoder::new().decompress(input, out).ok()?
        }
        Compression::Zstd => ZSTD.with_borrow_mut(|slot| {
            if slot.is_none() {
                *slot = zstd::bulk::Decompressor::new().ok();
            }
            slot.as_mut()?.decompress_to_buffer(input, out).ok()
        })?,
        Compression::Rle => expand_runs(input, out)?,
    };
    (size == page_size).then_some(page)
}

fn inflate(zlib: &mut Decompress, input: &[u8], out: &mut [u8]) -> Option<usize> {
    zlib.reset(true);
    match zlib.decompress(input, out, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => usize::try_from(zlib.total_out()).ok(),
        _ => None,
    }
}

/// LKCD's run-length code: `00 n b` is `n` times `b`, `00 00` is one zero byte, all else itself.
fn expand_runs(input: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut bytes = input.iter().copied();
    let mut at = 0;
    while let Some(byte) = bytes.next() {
        let (byte, count) = match byte {
            0 => match bytes.next()? {
                0 => (0, 1),
                count => (bytes.next()?, usize::from(count)),
            },
            byte => (byte, 1),
        };
        out.get_mut(at..at + count)?.fill(byte);
        at += count;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs() {
        let mut out = [9; 6];
        assert_eq!(expand_runs(&[0, 0, 7, 0, 3, 5], &mut out), Some(5));
        assert_eq!(out, [0, 7, 5, 5, 5, 9]);
        assert_eq!(expand_runs(&[0, 7, 5], &mut out), None, "too long");
        assert_eq!(expand_runs(&[0, 3], &mut out), None, "cut");
    }

    #[test]
    fn wrong_size_is_no_page() {
        let packed = zstd::bulk::compress(&[7; 4096], 1).unwrap();
        assert_eq!(&*decompress(Compression::Zstd, &packed, 4096).unwrap(), &[7; 4096]);
        assert!(decompress(Compression::Zstd, &packed, 2048).is_none());
        assert!(decompress(Compression::Zstd, &packed, 8192).is_none());
    }
}
