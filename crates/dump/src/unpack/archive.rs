//! Archives of several files: tar and zip. Only what is needed to find the dump inside.

use std::io::{self, Read};

use crate::{bytes::Fields, image::Image};

pub(super) const NAMES: [(&str, &str); 2] = [("tar", ".tar"), ("zip", ".zip")];

/// Members looked at; an archive of more holds no dump.
const MEMBERS: usize = 100_000;
/// Bytes of a member that are unpacked to see what it is.
pub(super) const HEAD: usize = 128 << 10;

/// An archive's members.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) name: &'static str,
    pub(crate) members: Vec<Member>,
}

/// A file in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// In the archive, bytes.
    offset: u64,
    /// Bytes in the archive.
    size: u64,
    packing: Method,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Stored,
    Deflated,
    /// Encrypted, or packed in a way that is not read.
    Other,
}

impl Archive {
    /// The members, if it is an archive.
    pub(crate) fn open(image: &Image) -> Option<Archive> {
        if is_tar(image) {
            return Some(Archive { name: "tar", members: tar(image) });
        }
        let is_zip = matches!(&*image.get_up_to(0, 4), b"PK\x03\x04" | b"PK\x05\x06");
        is_zip.then(|| Archive { name: "zip", members: zip(image).unwrap_or_default() })
    }
}

impl Member {
    /// The member where it lies in the archive, if it is not packed there.
    pub(crate) fn in_place(&self, archive: &Image) -> io::Result<Option<Image>> {
        match self.packing {
            Method::Stored => archive.part(self.offset, self.size).map(Some),
            Method::Deflated | Method::Other => Ok(None),
        }
    }

    /// Its beginning, enough to see what it is.
    pub(crate) fn head(&self, archive: &Image) -> io::Result<Image> {
        if let Some(image) = self.in_place(archive)? {
            return Ok(image);
        }
        let mut head = Vec::new();
        let packed =
            archive.get_up_to(self.offset, usize::try_from(self.size).unwrap_or(HEAD).min(HEAD));
        let reader = self.reader(Box::new(&*packed))?;
        // What a damaged member begins with is still something to go by.
        let _ = reader.take(HEAD as u64).read_to_end(&mut head);
        Image::from_bytes(head)
    }

    /// Its bytes in the archive.
    pub(crate) fn packed(&self, archive: &Image) -> io::Result<Image> {
        archive.part(self.offset, self.size)
    }

    /// Unpacks it.
    pub(crate) fn reader<'a>(&self, packed: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
        match self.packing {
            Method::Stored => Ok(packed),
            Method::Deflated => Ok(Box::new(flate2::read::DeflateDecoder::new(packed))),
            Method::Other => {
                let what = "encrypted, or packed in a way that is not read: unpack the archive";
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }
}

/// Bytes of a tar block.
const BLOCK: u64 = 512;

fn is_tar(image: &Image) -> bool {
    let head = image.get_up_to(0, BLOCK as usize);
    head.get(257..262) == Some(b"ustar") && checksum_agrees(&head)
}

/// The header's sum of bytes, its own field counted as blanks.
fn checksum_agrees(header: &[u8]) -> bool {
    let Some(field) = header.get(148..156) else { return false };
    let sum = header.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    let own = field.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    octal(field) == Some(sum - own + 8 * u64::from(b' '))
}

/// A number in octal digits, or in binary where its first bit is set (GNU, for large files).
fn octal(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let low = field.last_chunk::<8>()?;
        return Some(u64::from_be_bytes(*low)).filter(|&number| number < 1 << 56);
    }
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

/// The files of a tar archive, with long names of GNU and PAX headers.
fn tar(image: &Image) -> Vec<Member> {
    let mut members = Vec::new();
    let (mut at, mut long_name, mut long_size) = (0, None, None);
    while members.len() < MEMBERS
        && let Some(header) = image.get(at, BLOCK as usize)
        && checksum_agrees(&header)
    {
        let Some(size) = octal(&header[124..136]) else { break };
        let size = if matches!(header[156], b'x' | b'L') {
            size
        } else {
            long_size.take().unwrap_or(size)
        };
        let offset = at + BLOCK;
        let Some(next) = size.checked_next_multiple_of(BLOCK).and_then(|n| n.checked_add(offset))
        else {
            break;
        };
        let text = |limit: usize| image.get_up_to(offset, (size as usize).min(limit)).into_owned();
        match header[156] {
            b'L' => long_name = Some(string(&text(4096))),
            b'x' => {
                for (key, value) in pax(&text(64 << 10)) {
                    match key.as_str() {
                        "path" => long_name = Some(value),
                        "size" => long_size = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            b'0' | 0 | b'7' => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                members.push(Member { name, offset, size, packing: Method::Stored });
            }
            // GNU's form of a file with holes: its pieces would have to be put together.
            b'S' => {
                let name = long_name.take().unwrap_or_else(|| short_name(&header));
                members.push(Member { name, offset, size, packing: Method::Other });
            }
            _ => long_name = None,
        }
        at = next;
    }
    members
}

fn string(bytes: &[u8]) -> String {
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or(&[]);
    String::from_utf8_lossy(text).into_owned()
}

/// `prefix/name` of the header.
fn short_name(header: &[u8]) -> String {
    let (name, prefix) = (string(&header[..100]), string(&header[345..500]));
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// The records of a PAX header: `LENGTH KEY=VALUE\n`.
fn pax(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let records = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?.1.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    });
    records.collect()
}

/// Bytes of the end record, and most that a comment adds to it.
const END: usize = 22;
const COMMENT: usize = 65535;

/// The files of a zip archive, by its directory at the end (APPNOTE.TXT 4.3.12, 4.3.14, 4.3.16).
fn zip(image: &Image) -> Option<Vec<Member>> {
    let tail_at = image.len().saturating_sub((END + COMMENT) as u64);
    let tail = image.get_up_to(tail_at, END + COMMENT);
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let fields = Fields::new(&tail, false);
    let mut count = u64::from(fields.u16(end + 10)?);
    let mut at = u64::from(fields.u32(end + 16)?);
    if let Some(locator) = end.checked_sub(20)
        && tail.get(locator..locator + 4) == Some(b"PK\x06\x07")
    {
        let record = image.get(fields.u64(locator + 8)?, 56)?;
        let wide = Fields::new(&record, false);
        (count, at) = (wide.u64(32)?, wide.u64(48)?);
    }
    let mut members = Vec::new();
    for _ in 0..count.min(MEMBERS as u64) {
        let Some((member, next)) = zip_entry(image, at) else { break };
        members.extend(member);
        at = next;
    }
    Some(members)
}

/// One entry of the directory, and where the next is; no member for a folder.
fn zip_entry(image: &Image, at: u64) -> Option<(Option<Member>, u64)> {
    let head = image.get(at, 46).filter(|head| head.starts_with(b"PK\x01\x02"))?;
    let fields = Fields::new(&head, false);
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| fields.u16(at).unwrap_or(0));
    let name_bytes = image.get(at + 46, name_len.into())?;
    let extra = image.get(at + 46 + u64::from(name_len), extra_len.into())?;
    let next = at + 46 + u64::from(name_len) + u64::from(extra_len) + u64::from(comment_len);
    let name = String::from_utf8_lossy(&name_bytes).into_owned();
    if name.ends_with('/') {
        return Some((None, next));
    }
    let mut wide = zip64(&extra).into_iter();
    // The fields of the extra are those that did not fit, in this order.
    let mut number = |at: usize| {
        let short = fields.u32(at)?;
        if short == u32::MAX { wide.next() } else { Some(u64::from(short)) }
    };
    let (_unpacked, size, local) = (number(24)?, number(20)?, number(42)?);
    let local_head = image.get(local, 30)?;
    let local_fields = Fields::new(&local_head, false);
    let skip = 30 + u64::from(local_fields.u16(26)?) + u64::from(local_fields.u16(28)?);
    let is_encrypted = fields.u16(8)? & 1 != 0;
    let packing = match fields.u16(10)? {
        _ if is_encrypted => Method::Other,
        0 => Method::Stored,
        8 => Method::Deflated,
        _ => Method::Other,
    };
    let offset = local.checked_add(skip)?;
    Some((Some(Member { name, offset, size, packing }), next))
}

/// The 8-byte numbers of the extra field 1.
fn zip64(extra: &[u8]) -> Vec<u64> {
    let fields = Fields::new(extra, false);
    let mut at = 0;
    while let (Some(kind), Some(size)) = (fields.u16(at), fields.u16(at + 2)) {
        if kind == 1 {
            return (0..usize::from(size) / 8).filter_map(|n| fields.u64(at + 4 + n * 8)).collect();
        }
        at += 4 + usize::from(size);
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use necropsy_synth::{tar, zip};

    use super::*;

    #[test]
    fn damaged_archives_end() {
        let files: [(&str, &[u8]); 2] = [("a/vmcore", &[7; 3000]), ("b", b"text")];
        let archives = [tar(&files), zip(&files, true), zip(&files, false)];
        let mut state = 1u64;
        let mut random = |end: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % end.max(1)
        };
        for round in 0..3000 {
            let mut bytes = archives[round % 3].clone();
            for _ in 0..1 + random(6) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if random(4) == 0 {
                bytes.truncate(random(bytes.len()));
            }
            let image = Image::from_bytes(bytes).unwrap();
            let Some(archive) = Archive::open(&image) else { continue };
            for member in archive.members {
                let _ = member.head(&image).map(|head| head.len());
            }
        }
    }

    #[test]
    fn names_and_contents() {
        let long = "x".repeat(90);
        let files: [(&str, &[u8]); 2] = [(&long, &[7; 3000]), ("b", b"text")];
        for bytes in [tar(&files), zip(&files, true), zip(&files, false)] {
            let image = Image::from_bytes(bytes).unwrap();
            let members = Archive::open(&image).unwrap().members;
            let [first, second] = &members[..] else { panic!("{members:?}") };
            assert_eq!((first.name.as_str(), second.name.as_str()), (long.as_str(), "b"));
            assert_eq!(*second.head(&image).unwrap().get_up_to(0, 100), *b"text");
            assert_eq!(first.head(&image).unwrap().len(), 3000);
        }
    }
}
