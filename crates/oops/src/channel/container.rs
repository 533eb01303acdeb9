//! Opening what is no text yet, and putting the pieces of one dump together.

use std::borrow::Cow;

use super::{compress, mail, pstore, qr, ramoops};

/// Containers within containers.
const MAX_DEPTH: usize = 4;

/// Where a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A log as it stands, perhaps in a compressed file.
    Text,
    /// One or more records of pstore, in order.
    Pstore,
    /// A console that ramoops kept, or a zone with no record's head.
    Console,
    /// The QR code of the DRM panic screen.
    Qr,
}

/// One text to be read by [`lines`](super::lines).
#[derive(Clone, Debug)]
pub struct Stream<'a> {
    /// The file or files it comes from, as far as they have names.
    pub name: Option<String>,
    /// Where it was found.
    pub kind: Kind,
    /// The text, in whatever capture format.
    pub text: Cow<'a, [u8]>,
    /// What was noticed while opening it.
    pub notes: Vec<String>,
}

/// Opens the files of one capture. Records of pstore among them are put in
/// order, the oldest first; each dump, each console and each other text is a
/// stream of its own. What cannot be opened is handed on as it is.
///
/// Compressed files are opened up to 128 MiB. Callers with larger ones should
/// decompress themselves and use [`Feed`](super::Feed).
pub fn unwrap<'a>(files: &[(Option<&str>, &'a [u8])]) -> Vec<Stream<'a>> {
    let mut found = Found::default();
    for (name, bytes) in files {
        found.open(*name, Cow::Borrowed(bytes), Vec::new(), 0);
    }
    let mut streams: Vec<Stream<'a>> = pstore::assemble(found.parts)
        .into_iter()
        .map(|(name, text, notes)| Stream {
            name: (!name.is_empty()).then_some(name),
            kind: Kind::Pstore,
            text: Cow::Owned(text),
            notes,
        })
        .collect();
    streams.extend(found.streams);
    streams
}

#[derive(Default)]
struct Found<'a> {
    parts: Vec<pstore::Part<'a>>,
    streams: Vec<Stream<'a>>,
}

impl<'a> Found<'a> {
    fn open(
        &mut self,
        name: Option<&str>,
        bytes: Cow<'a, [u8]>,
        mut notes: Vec<String>,
        depth: usize,
    ) {
        if depth < MAX_DEPTH {
            if let Some(opened) = compress::file(&bytes) {
                let end = if opened.cut { ", cut short" } else { "" };
                notes.push(format!("packed with {}{end}", opened.format));
                self.open(name, Cow::Owned(opened.bytes), notes, depth + 1);
                return;
            }
            if let Some(members) = tar_members(&bytes) {
                for (member, content) in members {
                    self.open(Some(&member), Cow::Owned(content), notes.clone(), depth + 1);
                }
                return;
            }
            if let Some(text) = utf16(&bytes) {
                self.open(name, Cow::Owned(text), notes, depth + 1);
                return;
            }
            if let Some(text) = mail::quoted_printable(&bytes) {
                // it is text now, and its head still says that it is not
                self.open(name, Cow::Owned(text), notes, MAX_DEPTH);
                return;
            }
        }
        let label = name.unwrap_or_default();
        if let Some(body) = variable(label, &bytes) {
            self.record(label, body, notes);
            return;
        }
        if ramoops::is_image(&bytes) {
            let zones = ramoops::zones(&bytes);
            if !zones.is_empty() {
                for (index, zone) in zones.into_iter().enumerate() {
                    notes.extend(zone.notes);
                    // Every zone has a dump of its own: counts may repeat.
                    let label = format!("{label}/zone{index}");
                    self.text(&label, zone.text, zone.is_dump, std::mem::take(&mut notes));
                }
                return;
            }
        }
        if let Some((packed, head)) = ramoops::dump_head(&bytes) {
            let body = match packed {
                true => compress::pstore_record(&bytes[head..]).map(|o| o.bytes),
                false => Some(bytes[head..].to_vec()),
            };
            if let Some(body) = body {
                self.text(label, body, true, notes);
                return;
            }
        }
        let packed = label.ends_with(".enc.z")
            || (pstore::is_record_name(label) && !compress::is_text(&bytes));
        if (packed || !compress::is_text(&bytes))
            && bytes.len() <= 1 << 20
            && let Some(opened) = compress::pstore_record(&bytes)
        {
            notes.push(format!("packed with {}", opened.format));
            self.record(label, opened.bytes, notes);
            return;
        }
        if let Some((text, what)) = qr::decode(&bytes) {
            notes.extend(what);
            self.streams.push(Stream {
                name: name.map(str::to_owned),
                kind: Kind::Qr,
                text: Cow::Owned(text),
                notes,
            });
            return;
        }
        if pstore::is_record_name(label) || pstore::parts(label, &bytes).is_some() {
            self.record(label, bytes.into_owned(), notes);
            return;
        }
        self.streams.push(Stream {
            name: name.map(str::to_owned),
            kind: Kind::Text,
            text: bytes,
            notes,
        });
    }

    /// A record of pstore, unpacked.
    fn record(&mut self, name: &str, text: Vec<u8>, notes: Vec<String>) {
        self.text(name, text, true, notes);
    }

    fn text(&mut self, name: &str, text: Vec<u8>, is_dump: bool, notes: Vec<String>) {
        if is_dump {
            if let Some(parts) = pstore::parts(name, &text) {
                let mut notes = Some(notes);
                self.parts.extend(parts.into_iter().map(|part| pstore::Part {
                    text: Cow::Owned(part.text.into_owned()),
                    notes: notes.take().unwrap_or_default(),
                    ..part
                }));
                return;
            }
            if let Some(head) = pstore::head_of_name(name) {
                self.parts.push(pstore::Part {
                    name: name.to_owned(),
                    head,
                    text: Cow::Owned(text),
                    notes,
                });
                return;
            }
        }
        self.streams.push(Stream {
            name: (!name.is_empty()).then(|| name.to_owned()),
            kind: if is_dump { Kind::Pstore } else { Kind::Console },
            text: Cow::Owned(text),
            notes,
        });
    }
}

/// The record in an EFI variable as efivarfs shows it: 4 bytes of attributes,
/// then text, packed or not.
fn variable(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let attributes = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    // Non-volatile, boot service and runtime access, and three rarer ones.
    if attributes & !0x7f != 0 || attributes & 7 != 7 || bytes.len() > 1 << 20 {
        return None;
    }
    let body = &bytes[4..];
    let base = name.rsplit('/').next().unwrap_or(name);
    let said_packed = base.starts_with("dump-type") && base.contains("-C-");
    if !said_packed && compress::is_text(body) {
        return Some(body.to_vec());
    }
    compress::pstore_record(body).map(|opened| opened.bytes)
}

/// The files of a tar archive, as of a directory of pstore.
fn tar_members(bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    const BLOCK: usize = 512;
    const MAX_MEMBERS: usize = 4096;
    if bytes.get(257..262)? != b"ustar" {
        return None;
    }
    let mut members = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + BLOCK) {
        let field = |from: usize, to: usize| {
            let field = &header[from..to];
            let end = memchr::memchr(0, field).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let Ok(size) = usize::from_str_radix(&field(124, 136), 8) else { break };
        let start = at + BLOCK;
        let end = start.saturating_add(size).min(bytes.len());
        if matches!(header[156], b'0' | 0) && size > 0 && members.len() < MAX_MEMBERS {
            members.push((field(0, 100), bytes[start..end].to_vec()));
        }
        at = start.saturating_add(size.div_ceil(BLOCK).saturating_mul(BLOCK));
    }
    (!members.is_empty()).then_some(members)
}

/// UTF-16 with its mark in front, as some Windows terminals save it.
fn utf16(bytes: &[u8]) -> Option<Vec<u8>> {
    let order: fn([u8; 2]) -> u16 = match bytes.get(..2)? {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let units = bytes[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
    let text: String =
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(Option<&str>, &[u8])]) -> Vec<(Kind, String)> {
        unwrap(files)
            .into_iter()
            .map(|s| (s.kind, String::from_utf8_lossy(&s.text).into_owned()))
            .collect()
    }

    #[test]
    fn a_directory_of_efi_records_in_any_order() {
        let got = texts(&[
            (Some("dmesg-efi-155741337601001"), b"Panic#1 Part1\n<4>c\n"),
            (Some("dmesg-efi-155741337603001"), b"Panic#1 Part3\n<4>a\n"),
            (Some("dmesg-efi-155741337602001"), b"Panic#1 Part2\n<4>b\n"),
        ]);
        assert_eq!(got, [(Kind::Pstore, "<4>a\n<4>b\n<4>c\n".into())]);
    }

    #[test]
    fn plain_text_is_borrowed() {
        let text = b"[    1.000000] BUG: x\n";
        let streams = unwrap(&[(None, text)]);
        assert!(matches!(streams[0].text, Cow::Borrowed(_)));
        assert_eq!(streams[0].kind, Kind::Text);
    }

    #[test]
    fn variables_text_and_mail() {
        assert_eq!(
            texts(&[(
                Some("dump-type0-1-1-1557413376-D-cfc8fc79"),
                b"\x07\0\0\0Panic#1 Part1\n<4>x\n"
            )]),
            [(Kind::Pstore, "<4>x\n".into())]
        );
        let utf16: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("BUG: x\n".bytes().flat_map(|b| [b, 0])).collect();
        assert_eq!(texts(&[(None, &utf16)]), [(Kind::Text, "BUG: x\n".into())]);
        let mail = b"Content-Transfer-Encoding: quoted-printable\n\nBUG: a=3Db=\nc\n";
        assert!(texts(&[(None, mail)])[0].1.ends_with("\n\nBUG: a=bc\n"));
    }

    #[test]
    fn binary_noise_comes_back() {
        let noise: Vec<u8> =
            (0..5000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(unwrap(&[(None, &noise)]).len(), 1);
        assert_eq!(unwrap(&[(None, b"")]).len(), 1);
    }
}
