//! The packings of one file: how each is recognised and read.

use std::io::{self, BufReader, Read};

/// An xz or LZMA dictionary beyond this (KiB) is no honest one.
pub(super) const DICTIONARY: u32 = 256 << 10;

/// A decompressor laid over packed bytes.
type Unpack = for<'a> fn(Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>>;

/// A way to pack one file.
pub(crate) struct Packing {
    /// As users call it.
    pub(crate) name: &'static str,
    /// Of file names.
    pub(crate) ending: &'static str,
    /// By the first 16 bytes.
    pub(crate) recognise: fn(&[u8]) -> bool,
    pub(super) open: Unpack,
}

impl Packing {
    /// Reads what is packed.
    ///
    /// # Errors
    /// Those of the packing's header.
    pub(crate) fn reader<'a>(&self, packed: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
        (self.open)(packed)
    }
}

pub(super) static PACKINGS: &[Packing] = &[
    Packing {
        name: "gzip",
        ending: ".gz",
        recognise: |head| head.starts_with(b"\x1f\x8b\x08"),
        open: |packed| Ok(Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(packed)))),
    },
    Packing {
        name: "xz",
        ending: ".xz",
        recognise: |head| head.starts_with(b"\xfd7zXZ\0"),
        open: |packed| Ok(Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, DICTIONARY))),
    },
    Packing {
        name: "zstd",
        ending: ".zst",
        recognise: |head| head.starts_with(b"\x28\xb5\x2f\xfd"),
        open: |packed| Ok(Box::new(window(zstd::stream::Decoder::new(packed)?)?)),
    },
    Packing {
        name: "bzip2",
        ending: ".bz2",
        recognise: |head| {
            head.starts_with(b"BZh")
                && head.get(3).is_some_and(|level| (b'1'..=b'9').contains(level))
                && (head.get(4..10) == Some(b"\x31\x41\x59\x26\x53\x59")
                    || head.get(4..10) == Some(b"\x17\x72\x45\x38\x50\x90"))
        },
        open: |packed| Ok(Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::new(packed)))),
    },
    Packing {
        name: "lz4",
        ending: ".lz4",
        recognise: |head| head.starts_with(b"\x04\x22\x4d\x18"),
        open: |packed| Ok(Box::new(lz4_flex::frame::FrameDecoder::new(packed))),
    },
    Packing {
        name: "lzma",
        ending: ".lzma",
        recognise: is_lzma,
        open: |packed| {
            let reader = lzma_rust2::LzmaReader::new_mem_limit(packed, DICTIONARY, None)?;
            Ok(Box::new(reader))
        },
    },
    Packing {
        name: "snappy",
        ending: ".sz",
        recognise: |head| head.starts_with(b"\xff\x06\x00\x00sNaPpY"),
        open: |packed| Ok(Box::new(snap::read::FrameDecoder::new(packed))),
    },
];

/// Takes what `zstd --long=31` packs, as large dumps are packed.
pub(super) fn window<R: io::BufRead>(
    mut decoder: zstd::stream::Decoder<'_, R>,
) -> io::Result<zstd::stream::Decoder<'_, R>> {
    decoder.window_log_max(31)?;
    Ok(decoder)
}

/// The old format has no magic: properties, the dictionary's size, the content's size. All packers
/// write the same properties, and a round size.
fn is_lzma(head: &[u8]) -> bool {
    let &[0x5d, a, b, c, d, ref rest @ ..] = head else { return false };
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let is_round = dictionary.is_power_of_two() && dictionary >= 1 << 12;
    let Some(size) = rest.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else {
        return false;
    };
    // The coded data begins with a zero byte.
    is_round && (size == u64::MAX || size < 1 << 48) && rest.get(8) == Some(&0)
}
