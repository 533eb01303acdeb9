//! System V IPC: numbers against files, and segments against those who attached them.

use std::collections::HashMap;

use super::{Area, Checker, Class, Confidence};
use crate::{ipc::Shm, task::Task, xarray};

pub(super) static AREA: Area = Area {
    name: "ipc",
    about: "\
the number of each segment, queue and set is that of its place in the table; a segment's file has \
the segment's number; every process's file of a segment has the number and the file of one segment; \
segments are attached as often as they count; queues hold as many messages and bytes as they count",
    run,
};

/// An id is a place in the table, and a sequence number above these bits (ipc/util.h, IPCMNI_SHIFT;
/// more when the kernel was started with `ipcmni_extend`).
const PLACE_BITS: [u32; 2] = [15, 24];

/// A segment, the namespace that it is in, and its number as its file has it.
struct Segment {
    shm: Shm,
    space: u64,
    number: u64,
}

fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let mut spaces: HashMap<u64, Task<'_>> = HashMap::new();
    for task in kernel.tasks().tasks {
        if let Ok(proxy) = task.namespaces()
            && proxy != 0
            && let Ok(space) = kernel.shapes().nsproxy.ipc.read(kernel.target(), proxy)
        {
            spaces.entry(space).or_insert(task);
        }
    }
    let mut segments: HashMap<u64, Segment> = HashMap::new();
    for (space, task) in spaces {
        places(checker, space);
        match kernel.shared_memory(task) {
            Ok((found, errors)) => {
                for error in &errors {
                    checker.walk(
                        "shm",
                        "segments",
                        format!("ipc_namespace {space:x}"),
                        space,
                        error,
                    );
                }
                for shm in found {
                    let number = segment(checker, &shm);
                    if let Ok(file) = shm.file {
                        let number = number.unwrap_or(shm.perm.id);
                        segments.insert(file, Segment { shm, space, number });
                    }
                }
            }
            Err(error) => checker.unread("segments", 1, Some(&error)),
        }
        match kernel.message_queues(task) {
            Ok((queues, _)) => queues.iter().for_each(|queue| messages(checker, queue)),
            Err(error) => checker.unread("message queues", 1, Some(&error)),
        }
    }
    attached(checker, &segments);
}

/// Each object's number against its place in its table.
fn places(checker: &mut Checker<'_>, space: u64) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    let (Ok(first), Ok(size)) = (shapes.ipc_namespace.ids.address(space), shapes.ipc_ids.sizeof())
    else {
        return;
    };
    for kind in 0..3u64 {
        let Ok(root) = shapes.ipc_ids.idr.address(first.wrapping_add(kind * size)) else {
            continue;
        };
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        let walk = xarray::for_each(
            kernel,
            root,
            &mut |index, entry| found.push((index, entry)),
            &mut |error| errors.push(error),
        );
        if walk.is_err() {
            continue;
        }
        for error in &errors {
            checker.walk("ids", "ids", format!("ipc_namespace {space:x}"), space, error);
        }
        for (index, perm) in found {
            checker.count("ids", 1);
            let field = &shapes.ipc_perm.id;
            let Ok(id) = field.read(kernel.target(), perm) else { continue };
            if PLACE_BITS.iter().all(|bits| id & ((1 << bits) - 1) != index) {
                let at = field.address(perm).unwrap_or(perm);
                let expected = id & !0x7fff | index & 0x7fff;
                checker
                    .find(
                        "id",
                        Class::Value,
                        format!("kern_ipc_perm {perm:x}"),
                        at,
                        "its number is not that of its place in the table",
                    )
                    .start(perm)
                    .values(expected, id);
            }
        }
    }
}

/// A segment against its file; the number that the file has.
fn segment(checker: &mut Checker<'_>, shm: &Shm) -> Option<u64> {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    checker.count("segments", 1);
    let name = format!("shmid_kernel {:x} (id {})", shm.perm.address, shm.perm.id);
    let file = shm.file.clone().ok()?;
    if !super::task::in_use(kernel, file) {
        let at = shapes.shm.file.address(shm.perm.address).unwrap_or(shm.perm.address);
        checker
            .find("shm_file", Class::Pointer, name, at, "its file is no object in use")
            .start(shm.perm.address)
            .found(file);
        return None;
    }
    let inode = shapes.file_links.inode.read(kernel.target(), file).ok()?;
    let number = shapes.inode.number.read(kernel.target(), inode).ok()?;
    if number != shm.perm.id {
        let at = shapes.ipc_perm.id.address(shm.perm.address).unwrap_or(shm.perm.address);
        checker
            .find("shm_id", Class::Value, name, at, "its number is not that of its file")
            .start(shm.perm.address)
            .values(number, shm.perm.id)
            .neighbours(format!("inode {inode:x} of its file has {number}"));
    }
    Some(number)
}

fn messages(checker: &mut Checker<'_>, queue: &crate::ipc::Queue) {
    let kernel = checker.kernel;
    let shapes = kernel.shapes();
    let (found, errors) = &queue.messages;
    let name = format!("msg_queue {:x} (id {})", queue.perm.address, queue.perm.id);
    for error in errors {
        checker.walk("messages", "messages", name.clone(), queue.perm.address, error);
    }
    checker.count("message queues", 1);
    if !errors.is_empty() {
        return;
    }
    let bytes = found.iter().fold(0u64, |sum, message| sum.saturating_add(message.bytes));
    for (field, counted, real, text) in [
        (
            &shapes.msg_queue.count,
            &queue.count,
            found.len() as u64,
            "the counter of its messages is not their number",
        ),
        (
            &shapes.msg_queue.used,
            &queue.used,
            bytes,
            "the counter of its bytes is not that of its messages",
        ),
    ] {
        let Ok(counted) = *counted else { continue };
        let at = field.address(queue.perm.address).unwrap_or(queue.perm.address);
        if let Some(finding) = checker.compare("messages", name.clone(), at, (real, counted), text)
        {
            finding.start(queue.perm.address);
        }
    }
}

/// The files through which processes have segments, and their mappings.
fn attached(checker: &mut Checker<'_>, segments: &HashMap<u64, Segment>) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    // The segment of each file through which it is attached.
    let mut through: HashMap<u64, u64> = HashMap::new();
    for (file, data) in kernel.attached_segments() {
        checker.count("attached files", 1);
        if let Some(segment) = one_attached(checker, file, data, segments) {
            through.insert(file, segment);
        }
    }
    let mappings = match kernel.objects_of_cache("vm_area_struct") {
        Ok(mappings) if !through.is_empty() => mappings,
        Ok(_) => return,
        Err(error) => return checker.unread("mappings", 1, Some(&error)),
    };
    let mut counts: HashMap<u64, u64> = HashMap::new();
    for vma in mappings {
        if let Ok(file) = shapes.vma.file.read(target, vma)
            && let Some(segment) = through.get(&file)
        {
            *counts.entry(*segment).or_default() += 1;
        }
    }
    for Segment { shm, .. } in segments.values() {
        let Ok(counted) = shm.attached else { continue };
        let found = counts.get(&shm.perm.address).copied().unwrap_or(0);
        let field = &shapes.shm.attached;
        let at = field.address(shm.perm.address).unwrap_or(shm.perm.address);
        let name = format!("shmid_kernel {:x} (id {})", shm.perm.address, shm.perm.id);
        let text = "it is not attached as often as it counts";
        if let Some(finding) = checker.compare("shm_attached", name, at, (found, counted), text) {
            // A process may be in the middle of attaching or detaching.
            finding.start(shm.perm.address).confidence(if found.abs_diff(counted) <= 1 {
                Confidence::Possible
            } else {
                Confidence::Likely
            });
        }
    }
}

/// What a process's file says of its segment; the segment that its own file tells.
fn one_attached(
    checker: &mut Checker<'_>,
    file: u64,
    data: u64,
    segments: &HashMap<u64, Segment>,
) -> Option<u64> {
    let kernel = checker.kernel;
    let shape = &kernel.shapes().shm_file_data;
    let at = shape.at(kernel.target(), data);
    let (Ok(id), Ok(space), Ok(inner)) = (at.id(), at.namespace(), at.file()) else { return None };
    let name = format!("shm_file_data {data:x} of file {file:x}");
    let address = |field: &crate::shape::Field| field.address(data).unwrap_or(data);
    let Some(Segment { shm, space: owner, number }) = segments.get(&inner) else {
        // A segment that was removed and is not yet gone is in no table.
        let by_id = segments.values().find(|of| of.shm.perm.id == id && of.space == space);
        let Segment { shm, .. } = by_id?;
        let expected = shm.file.clone().ok()?;
        checker
            .find(
                "shm_file_data",
                Class::Pointer,
                name,
                address(&shape.file),
                "its file is that of no segment",
            )
            .start(data)
            .values(expected, inner)
            .neighbours(format!("the segment of its id {id} has {expected:x}"));
        return Some(shm.perm.address);
    };
    // Where it and the segment's file agree, the segment is wrong.
    if id != shm.perm.id && id != *number {
        let text = format!("its id is {id}, and its file that of segment {}", shm.perm.id);
        checker
            .find("shm_file_data", Class::Value, name.clone(), address(&shape.id), text)
            .start(data)
            .values(shm.perm.id, id)
            .neighbours(format!("file {inner:x}, shmid_kernel {:x}", shm.perm.address));
    }
    if space != *owner {
        checker
            .find(
                "shm_file_data",
                Class::Pointer,
                name,
                address(&shape.namespace),
                "its namespace is not that of its segment",
            )
            .start(data)
            .values(*owner, space);
    }
    Some(shm.perm.address)
}
