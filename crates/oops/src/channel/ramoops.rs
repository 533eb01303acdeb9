//! The memory of ramoops and the blocks of pstore/blk, as raw images
//! (`fs/pstore/ram_core.c` `struct persistent_ram_buffer`, `fs/pstore/zone.c`
//! `struct psz_buffer` and `struct psz_kmsg_header`).

use super::compress;

/// `DBGC`, the mark of a zone: 0x43474244, little-endian.
const ZONE: &[u8; 4] = b"DBGC";

/// The mark of a kmsg record in a zone of pstore/blk.
const KMSG_MAGIC: u32 = 0x4dfc_3ae5;

/// Bytes of a zone's header: mark, start, size.
const HEADER: usize = 12;

/// Zones read of one image.
const MAX_ZONES: usize = 1024;

/// The text of one zone.
#[derive(Debug)]
pub(super) struct Zone {
    /// Offset of the zone in the image, in bytes.
    pub(super) offset: usize,
    pub(super) text: Vec<u8>,
    pub(super) notes: Vec<String>,
    /// A dump, as opposed to a console that was running along.
    pub(super) is_dump: bool,
}

/// Could this be such an image? Cheap: no text has a zone mark and zeros.
pub(super) fn is_image(input: &[u8]) -> bool {
    input.starts_with(ZONE)
        || (memchr::memchr(0, &input[..input.len().min(64 * 1024)]).is_some()
            && memchr::memmem::find(input, ZONE).is_some())
}

fn word(input: &[u8], at: usize) -> Option<u32> {
    let bytes = input.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The zones that hold text: dumps first, then consoles.
pub(super) fn zones(image: &[u8]) -> Vec<Zone> {
    let marks: Vec<usize> =
        memchr::memmem::find_iter(image, ZONE).filter(|at| at % 4 == 0).take(MAX_ZONES).collect();
    let mut zones: Vec<Zone> = marks.iter().filter_map(|&at| zone(image, at)).collect();
    zones.sort_by_key(|zone| (!zone.is_dump, zone.offset));
    zones
}

fn zone(image: &[u8], at: usize) -> Option<Zone> {
    let data = &image[at + HEADER.min(image.len() - at)..];
    let (first, second) = (word(image, at + 4)? as usize, word(image, at + 8)? as usize);
    // ramoops has start and size, pstore/blk size and start.
    let (start, size) = if first <= second { (first, second) } else { (second, first) };
    if size == 0 || size > data.len() {
        return None;
    }
    let mut ring = Vec::with_capacity(size);
    ring.extend_from_slice(&data[start..size]);
    ring.extend_from_slice(&data[..start]);
    let plain = |text: Vec<u8>, is_dump, notes| {
        compress::is_text(&text).then_some(Zone { offset: at, text, notes, is_dump })
    };
    if let Some((compressed, body)) = dump_head(&ring) {
        return record(&ring[body..], compressed, at);
    }
    if let Some((compressed, body)) = kmsg_head(&ring) {
        return record(&ring[body..], compressed, at);
    }
    plain(ring, false, Vec::new())
}

/// The text of a dump, with a note on how it was packed.
fn record(body: &[u8], compressed: bool, offset: usize) -> Option<Zone> {
    let (text, notes) = match compressed {
        true => {
            let opened = compress::pstore_record(body)?;
            let end = if opened.cut { ", cut short" } else { "" };
            (opened.bytes, vec![format!("record packed with {}{end}", opened.format)])
        }
        false => (body.to_vec(), Vec::new()),
    };
    compress::is_text(&text).then_some(Zone { offset, text, notes, is_dump: true })
}

/// `====1557413376.123456-C` with its line end: packed or not, its length.
/// Kernels before 3.12 wrote no letter.
pub(super) fn dump_head(data: &[u8]) -> Option<(bool, usize)> {
    let rest = data.strip_prefix(b"====")?;
    let end = memchr::memchr(b'\n', &rest[..rest.len().min(64)])?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    let (time, letter) = line.split_once('-').unwrap_or((line, "D"));
    let (seconds, fraction) = time.split_once('.')?;
    if seconds.parse::<u64>().is_err() || fraction.parse::<u64>().is_err() {
        return None;
    }
    Some((letter == "C", 4 + end + 1))
}

/// The header of a record in pstore/blk: `timespec64` is aligned to 8 bytes
/// on all machines but i386.
fn kmsg_head(data: &[u8]) -> Option<(bool, usize)> {
    if word(data, 0)? != KMSG_MAGIC {
        return None;
    }
    // Offsets of `compressed` and of the text.
    for (flag, text) in [(24, 36), (16, 28)] {
        let packed = *data.get(flag)?;
        let reason_fits = word(data, text - 4).is_some_and(|reason| reason < 16);
        if packed <= 1 && reason_fits {
            return Some((packed == 1, text));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn zone_of(start: u32, data: &[u8], capacity: usize) -> Vec<u8> {
        let mut zone = ZONE.to_vec();
        zone.extend(start.to_le_bytes());
        zone.extend((data.len() as u32).to_le_bytes());
        zone.extend(data);
        zone.resize(capacity, 0);
        zone
    }

    #[test]
    fn an_image_of_dumps_and_a_console() {
        let mut packed = b"====1557413376.123456-C\n".to_vec();
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"Panic#1 Part1\n<4>[    1.000000] BUG: packed\n").unwrap();
        packed.extend(encoder.finish().unwrap());
        let plain = b"====1557413377.1-D\nPanic#2 Part1\n<4>[    2.000000] BUG: plain\n";
        let ring = b" tail\n[    3.000000] head and";
        let mut image = zone_of(ring.len() as u32, b"", 4096);
        image.extend(zone_of(packed.len() as u32, &packed, 4096));
        image.extend(zone_of(plain.len() as u32, plain, 4096));
        image.extend(zone_of(6, ring, 4096));
        assert!(is_image(&image));
        let texts: Vec<String> =
            zones(&image).into_iter().map(|z| String::from_utf8(z.text).unwrap()).collect();
        assert_eq!(
            texts,
            [
                "Panic#1 Part1\n<4>[    1.000000] BUG: packed\n",
                "Panic#2 Part1\n<4>[    2.000000] BUG: plain\n",
                "[    3.000000] head and tail\n",
            ]
        );
    }

    #[test]
    fn a_record_of_pstore_blk() {
        let text = b"Panic: Total 16 times\n<4>[    2.000000] BUG: blk\n";
        let mut data = KMSG_MAGIC.to_le_bytes().to_vec();
        data.resize(28, 0);
        data.extend(16u32.to_le_bytes());
        data.extend(1u32.to_le_bytes());
        data.extend(text);
        let mut image = ZONE.to_vec();
        image.extend((data.len() as u32).to_le_bytes());
        image.extend(0u32.to_le_bytes());
        image.extend(&data);
        assert_eq!(zones(&image)[0].text, text);
    }

    #[test]
    fn damage_is_passed_over() {
        assert!(zones(b"DBGC").is_empty());
        assert!(zones(b"DBGC\xff\xff\xff\xff\xff\xff\xff\xffabc").is_empty());
        assert!(!is_image(b"plain text about DBGC"));
    }
}
