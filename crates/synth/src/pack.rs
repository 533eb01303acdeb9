//! Page compression, as dump writers do it.

use std::io::Write;

/// How a page is compressed, with its flag in kdump page descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    Raw,
    /// zlib.
    Zlib,
    /// LZO1X.
    Lzo,
    /// Snappy.
    Snappy,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Codec; 5] = [Codec::Raw, Codec::Zlib, Codec::Lzo, Codec::Snappy, Codec::Zstd];

    /// `DUMP_DH_COMPRESSED_*`.
    pub fn flag(self) -> u32 {
        match self {
            Codec::Raw => 0,
            Codec::Zlib => 1,
            Codec::Lzo => 2,
            Codec::Snappy => 4,
            Codec::Zstd => 0x20,
        }
    }
}

/// Compresses a page.
///
/// # Panics
/// When a compressor fails, which it does not on memory.
pub fn pack(page: &[u8], codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Raw => page.to_vec(),
        Codec::Zlib => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(page).expect("writing to memory");
            out.finish().expect("writing to memory")
        }
        Codec::Lzo => lzo_literals(page),
        Codec::Snappy => snap::raw::Encoder::new().compress_vec(page).expect("a small page"),
        Codec::Zstd => zstd::bulk::compress(page, 1).expect("a small page"),
    }
}

/// An LZO1X stream of one run of literals: legal, and longer than its content.
fn lzo_literals(page: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if page.len() <= 238 {
        out.push(page.len() as u8 + 17);
    } else {
        // A zero byte, then the length less 18 in units of 255, ended by a byte that is not zero.
        out.push(0);
        let mut rest = page.len() - 18;
        while rest > 255 {
            out.push(0);
            rest -= 255;
        }
        out.push(rest as u8);
    }
    out.extend(page);
    out.extend([0x11, 0, 0]);
    out
}

/// A gzip file of members that tell their size (bgzf), each of `size` bytes of content.
///
/// # Panics
/// When the compressor fails, which it does not on memory; for members of more than 60 KB.
pub fn bgzf(content: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // An empty member ends the file.
    for part in content.chunks(size).chain([&[][..]]) {
        let level = flate2::Compression::fast();
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), level);
        packer.write_all(part).expect("writing to memory");
        let packed = packer.finish().expect("writing to memory");
        let mut crc = flate2::Crc::new();
        crc.update(part);
        out.extend(b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0");
        out.extend(u16::try_from(packed.len() + 25).expect("a small member").to_le_bytes());
        out.extend(packed);
        out.extend(crc.sum().to_le_bytes());
        out.extend((part.len() as u32).to_le_bytes());
    }
    out
}
