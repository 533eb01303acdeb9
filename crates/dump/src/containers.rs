//! Files that carry a dump in a form of their own, without packing it: they are seen through, and
//! what is inside is opened.

use std::collections::BTreeMap;

use crate::{
    bytes::Fields,
    flattened::{Index, Piece},
    image::Image,
    meta::Input,
    migration,
    reader::{Answer, Reader, Tested},
};

/// What is inside, and the container's name; `None` for everything that is no such container.
pub(crate) fn inside(image: &Image) -> Option<(&'static str, Image)> {
    if let Some(inner) = libvirt(image) {
        return Some(("libvirt save", inner));
    }
    saved_state(image).map(|inner| ("qcow2", inner))
}

/// What is left of them when nothing was found inside.
pub(crate) const LIBVIRT: Reader = Reader {
    name: "libvirt save",
    about: "a file of virsh save or managedsave that is not whole",
    tested: Tested::Real,
    recognise: |input| input.has(0, SAVE) || input.has(0, PARTIAL),
    answer: Answer::Explain(
        "no memory is in it: it was not written to its end",
        |input: &Input| {
            let partial = input.has(0, PARTIAL);
            let what = if partial {
                "libvirt marked it as unfinished"
            } else {
                "no QEMU stream follows its header"
            };
            format!(
                "{what}: save the machine again (virsh save), or dump it: virsh dump --memory-only DOMAIN FILE"
            )
        },
    ),
};

/// A disk image without the state of a machine.
pub(crate) const QCOW2: Reader = Reader {
    name: "qcow2 disk image",
    about: "a disk image without a saved machine state (with one it is opened)",
    tested: Tested::Real,
    recognise: |input| input.has(0, QCOW),
    answer: Answer::Refuse(
        "no saved machine state is in it, and file systems are not read here: mount it (guestmount, qemu-nbd) and open the dump inside, usually below /var/crash",
    ),
};

const SAVE: &[u8; 16] = b"LibvirtQemudSave";
const PARTIAL: &[u8; 16] = b"LibvirtQemudPart";
/// Magic 16, version 4, length of what follows 4, was running 4, format 4, cookie 4, unused 56.
const SAVE_HEADER: u64 = 92;

/// The stream behind libvirt's header and the domain's XML; it may be packed.
fn libvirt(image: &Image) -> Option<Image> {
    let head = image.get(0, SAVE_HEADER as usize)?;
    if !head.starts_with(SAVE) && !head.starts_with(PARTIAL) {
        return None;
    }
    // In the byte order of the host.
    let big_endian = Fields::new(&head, false).u32(16)? > 0xffff;
    let at = SAVE_HEADER + u64::from(Fields::new(&head, big_endian).u32(20)?);
    // Without mapped-ram offsets are those of the file.
    let rest = image.part(at, u64::MAX).ok().filter(|rest| rest.len() > 8)?;
    let has_content =
        *rest.get_up_to(0, 8) == *migration::MAGIC || crate::unpack::packing(&rest).is_some();
    has_content.then_some(rest)
}

const QCOW: &[u8; 4] = b"QFI\xfb";
/// Bits of an L1 or L2 entry that are an offset in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ALL_ZERO: u64 = 1;
const EXTENDED_L2: u64 = 1 << 4;
/// An image has at most 65536 snapshots, and an L1 table of 32 MB.
const SNAPSHOTS: u32 = 65536;
const L1_ENTRIES: u64 = 4 << 20;

/// A snapshot that has the machine's state.
struct Snapshot {
    l1_at: u64,
    l1_entries: u64,
    /// Bytes of the state.
    state: u64,
    /// Bytes of the disk, behind which the state lies.
    disk: u64,
    seconds: u32,
}

/// The newest saved state in a qcow2 image (`docs/interop/qcow2.rst`), put together from its
/// clusters.
fn saved_state(image: &Image) -> Option<Image> {
    let head = image.get(0, 72).filter(|head| head.starts_with(QCOW))?;
    let fields = Fields::new(&head, true);
    let cluster_bits = fields.u32(20).filter(|bits| (9..=21).contains(bits))?;
    let disk = fields.u64(24)?;
    let (count, mut at) = (fields.u32(60)?.min(SNAPSHOTS), fields.u64(64)?);
    let features = match fields.u32(4)? {
        3 => Fields::new(&image.get(72, 8)?, true).u64(0)?,
        _ => 0,
    };
    let mut newest: Option<Snapshot> = None;
    for _ in 0..count {
        let Some((snapshot, next)) = snapshot(image, at, disk) else { break };
        if snapshot.state > 0 && newest.as_ref().is_none_or(|n| n.seconds <= snapshot.seconds) {
            newest = Some(snapshot);
        }
        at = next;
    }
    let index = clusters(image, &newest?, cluster_bits, features & EXTENDED_L2 != 0)?;
    let inner = image.arranged(index);
    (*inner.get_up_to(0, 8) == *migration::MAGIC).then_some(inner)
}

/// An entry of the snapshot table, and where the next one is.
fn snapshot(image: &Image, at: u64, disk: u64) -> Option<(Snapshot, u64)> {
    let bytes = image.get(at, 40)?;
    let fields = Fields::new(&bytes, true);
    let (id_len, name_len, extra_len) = (fields.u16(12)?, fields.u16(14)?, fields.u32(36)?);
    let extra = image.get(at + 40, extra_len.min(16) as usize)?;
    let extra = Fields::new(&extra, true);
    let snapshot = Snapshot {
        l1_at: fields.u64(0)?,
        l1_entries: fields.u32(8)?.into(),
        state: extra.u64(0).unwrap_or(fields.u32(32)?.into()),
        disk: extra.u64(8).unwrap_or(disk),
        seconds: fields.u32(16)?,
    };
    let len = 40 + u64::from(extra_len) + u64::from(id_len) + u64::from(name_len);
    Some((snapshot, at.checked_add(len)?.checked_next_multiple_of(8)?))
}

/// Where the clusters of the state lie. It begins at the first L2 table behind the disk's.
fn clusters(image: &Image, snapshot: &Snapshot, bits: u32, extended: bool) -> Option<Index> {
    let entry_size = if extended { 16 } else { 8 };
    let (cluster, per_table) = (1u64 << bits, (1u64 << bits) / entry_size);
    let first_table = snapshot.disk.div_ceil(cluster * per_table);
    let wanted = snapshot.state.div_ceil(cluster);
    // Every cluster of the state is one of the file's: more of them are a claim.
    let possible = image.len() / cluster + per_table;
    let mut pieces = BTreeMap::new();
    let mut last: Option<Piece> = None;
    for number in 0..wanted.min(possible) {
        let table_index = first_table.checked_add(number / per_table)?;
        if table_index >= snapshot.l1_entries.min(L1_ENTRIES) {
            break;
        }
        let entry = |at: u64| Fields::new(&image.get(at, 8)?, true).u64(0);
        let table = entry(snapshot.l1_at.checked_add(table_index * 8)?)? & OFFSET;
        let place = table.checked_add((number % per_table) * entry_size).and_then(entry);
        let Some(place) = place.filter(|place| {
            table != 0
                && place & OFFSET != 0
                && place & COMPRESSED == 0
                && (extended || place & ALL_ZERO == 0)
        }) else {
            continue;
        };
        let (offset, at) = (number * cluster, place & OFFSET);
        let len = cluster.min(snapshot.state - offset).min(image.len().saturating_sub(at));
        if len == 0 {
            continue;
        }
        match &mut last {
            Some(piece) if piece.offset + piece.len == offset && piece.at + piece.len == at => {
                piece.len += len;
            }
            last => {
                if let Some(piece) = last.replace(Piece { offset, len, at }) {
                    pieces.insert(piece.offset, piece);
                }
            }
        }
    }
    if let Some(piece) = last {
        pieces.insert(piece.offset, piece);
    }
    Some(Index::of(pieces, true))
}
