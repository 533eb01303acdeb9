//! System V shared memory keeps a segment's id twice: in each attachment (`struct shm_file_data`,
//! ipc/shm.c) and in the segment (`struct shmid_kernel`), and both know the same file. Where the
//! copies differ, the one that the namespace can still find is right.

use necropsy_linux::xarray;

use crate::{
    cause::Cause,
    explain::Step,
    finding::{Confidence, Evidence, Finding, Object},
    inquiry::{Detector, Inquiry},
};

pub(super) static DETECTOR: Detector =
    Detector { name: "ipc", causes: &[Cause::BitFlip, Cause::ByteCorruption], detect };

/// The type whose pointer the explanation came by.
const ATTACHMENT: &str = "struct shm_file_data *";
/// Index of shared memory in `ipc_namespace.ids` (ipc/util.h).
const IPC_SHM_IDS: u64 = 2;
/// More segments than a namespace holds (IPCMNI, extended).
const MAX_SEGMENTS: usize = 1 << 24;

fn detect(inquiry: &Inquiry<'_>) -> Vec<Finding> {
    find(inquiry).into_iter().collect()
}

fn find(inquiry: &Inquiry<'_>) -> Option<Finding> {
    let explanation = inquiry.explanation()?;
    let steps = explanation.steps.iter().chain(&explanation.arguments);
    // By its type, or by where it points: the code may know it as void alone.
    let pointers = |step: &Step| {
        let pointer = matches!(step.r#type.as_deref(), Some(ATTACHMENT | "void *") | None);
        step.value.filter(|value| *value != 0 && pointer)
    };
    steps.filter_map(pointers).take(MAX_POINTERS).find_map(|at| attachment(inquiry, at))
}

/// Pointers that are tried.
const MAX_POINTERS: usize = 64;

fn attachment(inquiry: &Inquiry<'_>, attachment: u64) -> Option<Finding> {
    let kernel = inquiry.kernel;
    let target = kernel.target();
    let read = |base: u64, tag: &str, member: &str, size: u64| {
        let at = base.wrapping_add(kernel.offset_of(tag, member).ok()?);
        target.read_uint(at, size).ok()
    };
    let id = read(attachment, "shm_file_data", "id", 4)? as u32;
    let file = read(attachment, "shm_file_data", "file", 8)?;
    let namespace = read(attachment, "shm_file_data", "ns", 8)?;
    // Whatever is no namespace has no members to speak of.
    let is_pointer = |value: u64| target.address_class(value).is_kernel();
    if !is_pointer(file) || !is_pointer(namespace) {
        return None;
    }
    let ids = namespace
        .wrapping_add(kernel.offset_of("ipc_namespace", "ids").ok()?)
        .wrapping_add(IPC_SHM_IDS * kernel.types().size_of(kernel.types().composite("ipc_ids")?)?);
    let root = ids.wrapping_add(kernel.offset_of("ipc_ids", "ipcs_idr.idr_rt").ok()?);
    let layout = xarray::Layout::of(kernel).ok()?;
    let same_file = |segment: &u64| read(*segment, "shmid_kernel", "shm_file", 8) == Some(file);
    let segment = xarray::entries(target, layout, root)
        .take(MAX_SEGMENTS)
        .filter_map(|entry| Some(entry.ok()?.raw))
        .find(same_file)?;
    let right = read(segment, "shmid_kernel", "shm_perm.id", 4)? as u32;
    if right == id {
        return None;
    }
    let cache = kernel.slab_cache_of(attachment).ok().flatten();
    let class = if (right ^ id).count_ones() == 1 { Cause::BitFlip } else { Cause::ByteCorruption };
    let difference = difference(right, id);
    Some(Finding {
        class,
        statement: format!(
            "an attachment of shared memory holds the wrong id: shm_file_data.id at {attachment:x} \
             is {id} ({id:#x}), and the segment of the same file has id {right} ({right:#x}); \
             {difference}"
        ),
        confidence: Confidence::Certain,
        evidence: vec![
            Evidence {
                what: format!("the attachment: id = {id}, and its file"),
                address: Some(attachment),
                value: Some(file),
                command: format!("rd {attachment:x} 4"),
            },
            Evidence::shown(
                format!("the segment of that file, at {segment:x}: id = {right}"),
                format!("struct shmid_kernel.shm_perm.id,shm_file {segment:x}"),
            ),
        ],
        object: Some(Object {
            address: attachment,
            cache,
            member: Some("shm_file_data.id".into()),
        }),
        function: None,
        task: None,
    })
}

/// In which bytes two values differ, in words.
fn difference(right: u32, wrong: u32) -> String {
    let (right, wrong) = (right.to_le_bytes(), wrong.to_le_bytes());
    let mut changed = right.iter().zip(wrong).enumerate().filter(|(_, (a, b))| **a != *b);
    match (changed.next(), changed.next()) {
        (Some((at, (a, b))), None) => {
            let bits = (a ^ b).count_ones();
            let text = |byte: u8| match char::from(byte) {
                c if c.is_ascii_graphic() => format!("{byte:#04x} '{c}'"),
                _ => format!("{byte:#04x}"),
            };
            format!("byte {at} changed from {} to {}, {bits} bits", text(*a), text(b))
        }
        _ => "more than one byte differs".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn one_byte_is_told() {
        assert_eq!(difference(47, 92), "byte 0 changed from 0x2f '/' to 0x5c '\\', 5 bits");
        assert_eq!(difference(0x100, 0x001), "more than one byte differs");
    }
}
