//! System V IPC.

use necropsy_linux::Kernel;

use super::{super::Random, Victim, victim};

fn segment(kernel: &Kernel, random: &mut Random) -> Option<necropsy_linux::ipc::Shm> {
    let task = kernel.task_by_pid(1).ok()??;
    let (found, _) = kernel.shared_memory(task).ok()?;
    random.one_of(&found).cloned()
}

pub(super) fn ipc_id(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let shm = segment(kernel, random)?;
    let (perm, shape) = (&kernel.shapes().ipc_perm, &kernel.shapes().shm);
    victim("ipc_id", "shmid_kernel".into(), shm.perm.address, shape.sizeof().ok()?, &perm.id)
}

pub(super) fn shm_attached(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let shm = segment(kernel, random)?;
    let shape = &kernel.shapes().shm;
    victim(
        "shm_attached",
        "shmid_kernel".into(),
        shm.perm.address,
        shape.sizeof().ok()?,
        &shape.attached,
    )
}

pub(super) fn shm_file_id(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let typed = kernel.typed_objects().ok()?;
    let table = kernel.symbol("shm_file_operations").ok()?;
    let files = typed.iter().find(|kind| kind.tag == "file")?;
    let shape = &kernel.shapes().shm_file_data;
    let attached: Vec<u64> = files
        .objects
        .iter()
        .filter(|file| {
            kernel.shapes().file_links.operations.read(kernel.target(), **file) == Ok(table)
        })
        .filter_map(|file| kernel.shapes().file.private_data.read(kernel.target(), *file).ok())
        .collect();
    let data = *random.one_of(&attached)?;
    let fields = [&shape.id, &shape.namespace];
    victim(
        "shm_file_id",
        "shm_file_data".into(),
        data,
        shape.sizeof().ok()?,
        random.one_of(&fields)?,
    )
}
