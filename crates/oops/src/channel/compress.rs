//! Opening compressed bytes, with a limit on what comes out.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Most bytes that a compressed input may grow to.
pub(super) const MAX_OUTPUT: usize = 128 << 20;

/// Most bytes that one record of pstore may grow to.
const MAX_RECORD: usize = 4 << 20;

/// What a compressed input held, and whether it was cut short by damage or by
/// the limit.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) bytes: Vec<u8>,
    pub(super) format: &'static str,
    pub(super) cut: bool,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// RFC 1952, several members in a row included.
    Gzip,
    /// `.xz`
    Xz,
    /// RFC 8878
    Zstd,
}

const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl Packing {
    /// Told by the first bytes of a file; six of them are enough.
    pub fn of(head: &[u8]) -> Option<Packing> {
        if head.starts_with(&[0x1f, 0x8b, 8]) {
            Some(Packing::Gzip)
        } else if head.starts_with(b"\xfd7zXZ\0") {
            Some(Packing::Xz)
        } else {
            head.starts_with(ZSTD).then_some(Packing::Zstd)
        }
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Xz => "xz",
            Packing::Zstd => "zstd",
        }
    }

    /// Unpacks `input` as it is read, with at most 64 MiB of dictionary.
    ///
    /// # Errors
    /// The decoder cannot be made.
    pub fn reader<'a>(self, input: impl Read + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Packing::Gzip => Box::new(MultiGzDecoder::new(input)),
            Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(input, true, 64 << 10)),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(input)?;
                // what `zstd --long=26` needs
                decoder.window_log_max(26)?;
                Box::new(decoder)
            }
        })
    }
}

/// Opens gzip, xz and zstd files by their magic.
pub(super) fn file(input: &[u8]) -> Option<Opened> {
    let packing = Packing::of(input)?;
    let (bytes, cut) = read(packing.reader(input).ok()?, MAX_OUTPUT);
    (!bytes.is_empty()).then_some(Opened { bytes, format: packing.name(), cut })
}

/// Reads to the end, to the limit, or to the first damage.
fn read(mut reader: impl Read, limit: usize) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return (bytes, false),
            Ok(_) if bytes.len() >= limit => return (bytes, true),
            Ok(n) => bytes.extend_from_slice(&buffer[..n.min(limit - bytes.len())]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return (bytes, true),
        }
    }
}

/// Opens a record that pstore has compressed (`fs/pstore/platform.c`): raw
/// deflate (all kernels since 6.6, many since 4.17), a zlib stream with a
/// window of 2^12 (before 4.17), LZO, LZ4 or zstd (options of 4.17 to 6.5).
/// None of them carries a mark: the one whose output is text is right.
pub(super) fn pstore_record(input: &[u8]) -> Option<Opened> {
    let mut best: Option<Opened> = None;
    let mut consider = |format, (bytes, cut): (Vec<u8>, bool)| {
        if is_text(&bytes)
            && best
                .as_ref()
                .is_none_or(|b| (b.cut, !cut) > (false, false) && b.bytes.len() < bytes.len())
        {
            best = Some(Opened { bytes, format, cut });
        }
    };
    if zlib_header(input) {
        consider("zlib", read(ZlibDecoder::new(input), MAX_RECORD));
    }
    consider("deflate", read(DeflateDecoder::new(input), MAX_RECORD));
    if input.starts_with(ZSTD)
        && let Ok(reader) = Packing::Zstd.reader(input)
    {
        consider("zstd", read(reader, MAX_RECORD));
    }
    if best.as_ref().is_none_or(|b| b.cut) && input.len() <= 1 << 20 {
        if let Some(bytes) = lzo_block(input) {
            best = Some(Opened { bytes, format: "lzo", cut: false });
        } else if let Some(bytes) = lz4_block(input).filter(|b| is_text(b)) {
            best = Some(Opened { bytes, format: "lz4", cut: false });
        }
    }
    best
}

/// A zlib stream, as the panic screen's QR code carries it. Where only the
/// checksum at its end is missing or wrong, the text is still given.
pub(super) fn zlib(input: &[u8]) -> Option<Opened> {
    let (mut bytes, cut) = read(ZlibDecoder::new(input), MAX_RECORD);
    if cut && zlib_header(input) {
        bytes = read(DeflateDecoder::new(&input[2..]), MAX_RECORD).0;
    }
    (!bytes.is_empty()).then_some(Opened { bytes, format: "zlib", cut })
}

/// Does a zlib header (RFC 1950) stand here?
fn zlib_header(input: &[u8]) -> bool {
    input.len() > 2
        && input[0] & 0xf == 8
        && (u16::from(input[0]) << 8 | u16::from(input[1])).is_multiple_of(31)
}

/// One LZO1X block; bytes behind its end are padding.
fn lzo_block(input: &[u8]) -> Option<Vec<u8>> {
    // The end mark of LZO1X: a match of distance 0.
    let end = memchr::memmem::rfind(input, &[0x11, 0, 0])? + 3;
    let mut out = vec![0; 256 * 1024];
    let length = lzo::decompress_into(&input[..end], &mut out).ok()?;
    out.truncate(length);
    is_text(&out).then_some(out)
}

/// One LZ4 block, as far as it goes; zero padding behind it is ignored.
fn lz4_block(input: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    let mut out: Vec<u8> = Vec::new();
    let length = |first: usize, at: &mut usize| -> Option<usize> {
        let mut length = first;
        if first == 15 {
            loop {
                let byte = *input.get(*at)?;
                *at += 1;
                length += usize::from(byte);
                if byte != 255 {
                    break;
                }
            }
        }
        Some(length)
    };
    while let Some(&token) = input.get(at) {
        at += 1;
        let literals = length(usize::from(token >> 4), &mut at)?;
        out.extend_from_slice(input.get(at..at.checked_add(literals)?)?);
        at += literals;
        let Some(distance) = input.get(at..at + 2) else { break };
        let distance = usize::from(u16::from_le_bytes([distance[0], distance[1]]));
        at += 2;
        if distance == 0 {
            break;
        }
        let count = length(usize::from(token & 15), &mut at)? + 4;
        let from = out.len().checked_sub(distance)?;
        if out.len() + count > MAX_RECORD {
            return None;
        }
        for index in from..from + count {
            out.push(out[index]);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Does this read like the text of a log?
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(4096)];
    let odd = sample
        .iter()
        .filter(|&&b| (b < 0x20 && !matches!(b, b'\n' | b'\t' | b'\r' | 0x1b)) || b >= 0x7f)
        .count();
    sample.len() >= 8 && odd * 20 <= sample.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] =
        b"Panic#1 Part1\n<4>[    1.000000] BUG: x\n<4>[    1.000001] BUG: x again\n";

    fn deflated(zlib: bool) -> Vec<u8> {
        let level = flate2::Compression::new(6);
        if zlib {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(TEXT).unwrap();
            encoder.finish().unwrap()
        } else {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(TEXT).unwrap();
            encoder.finish().unwrap()
        }
    }

    #[test]
    fn records_of_pstore() {
        for zlib in [false, true] {
            let mut record = deflated(zlib);
            assert_eq!(pstore_record(&record).unwrap().bytes, TEXT);
            record.extend([0; 200]);
            assert_eq!(pstore_record(&record).unwrap().bytes, TEXT, "padding, zlib {zlib}");
        }
        assert!(pstore_record(b"").is_none());
        assert!(pstore_record(&[0; 64]).is_none());
    }

    #[test]
    fn an_lz4_block() {
        // 11 literals, then a match of 11 at distance 11.
        let mut block = vec![0xb7];
        block.extend(b"BUG: again\n");
        block.extend([11, 0]);
        block.extend([0x50]);
        block.extend(b"done\n");
        assert_eq!(lz4_block(&block).unwrap(), b"BUG: again\nBUG: again\ndone\n");
        assert!(lz4_block(&[0xff; 40]).is_none());
    }

    #[test]
    fn an_lzo_block() {
        let block = [
            34, 104, 101, 108, 108, 111, 44, 32, 108, 122, 111, 32, 119, 111, 114, 108, 100, 33,
            17, 0, 0, 0, 0, 0,
        ];
        assert_eq!(lzo_block(&block).unwrap(), b"hello, lzo world!");
    }

    #[test]
    fn a_cut_file_gives_what_it_can() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let text: Vec<u8> =
            (0..100_000u32).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        encoder.write_all(&text).unwrap();
        let whole = encoder.finish().unwrap();
        assert_eq!(file(&whole).unwrap().bytes, text);
        let part = file(&whole[..whole.len() / 2]).unwrap();
        assert!(part.cut && !part.bytes.is_empty() && text.starts_with(&part.bytes));
    }
}
