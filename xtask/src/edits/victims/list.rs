//! Lists, and nodes of trees.

use necropsy_linux::{Kernel, objects::Typed};

use super::{super::Random, Victim};

pub(super) fn global_list(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    const NAMES: &[&str] = &[
        "super_blocks",
        "modules",
        "slab_caches",
        "clocksource_list",
        "bdi_list",
        "cgroup_roots",
        "net_namespace_list",
        "crypto_alg_list",
        "workqueues",
        "proto_list",
        "ptype_all",
        "swap_list",
        "all_mddevs",
        "tty_drivers",
        "acpi_bus_id_list",
        "ftrace_events",
    ];
    let known: Vec<(&str, u64)> =
        NAMES.iter().filter_map(|name| Some((*name, kernel.symbol(name).ok()?))).collect();
    let (name, at) = *random.one_of(&known)?;
    let first = kernel.target().read_u64(at).ok()?;
    let last = kernel.target().read_u64(at + 8).ok()?;
    if first == 0 {
        return None;
    }
    Some(Victim {
        kind: "global_list",
        object: name.into(),
        start: at,
        extent: 16,
        address: at + 8 * random.below(2),
        size: 8,
        low_byte: 0,
        page: false,
        relatives: vec![first, last],
    })
}

pub(super) fn some_object(
    kernel: &Kernel,
    random: &mut Random,
    tags: &[&str],
) -> Option<(&'static str, u64, u64)> {
    let typed = kernel.typed_objects().ok()?;
    let of: Vec<&Typed> =
        typed.iter().filter(|kind| tags.contains(&kind.tag) && !kind.objects.is_empty()).collect();
    let kind = random.one_of(&of)?;
    let object = *random.one_of(&kind.objects)?;
    Some((kind.tag, object, kernel.types().size_of(kind.ty)?))
}

pub(super) fn object_list(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    const LISTS: &[(&str, &str)] = &[
        ("task_struct", "tasks"),
        ("task_struct", "sibling"),
        ("task_struct", "thread_node"),
        ("shmem_inode_info", "vfs_inode.i_sb_list"),
        ("proc_inode", "vfs_inode.i_sb_list"),
        ("anon_vma_chain", "same_vma"),
        ("mount", "mnt_child"),
        ("mount", "mnt_instance"),
        ("kmem_cache", "list"),
    ];
    for _ in 0..50 {
        let (tag, member) = *random.one_of(LISTS)?;
        let Some((tag, object, size)) = some_object(kernel, random, &[tag]) else { continue };
        let Ok(offset) = kernel.offset_of(tag, member) else { continue };
        let at = object + offset;
        let (next, prev) =
            (kernel.target().read_u64(at).ok()?, kernel.target().read_u64(at + 8).ok()?);
        let linked = |pointer: u64, offset: u64| {
            kernel.target().read_u64(pointer.wrapping_add(offset)) == Ok(at)
        };
        // Entries that are on a list, and not alone.
        if next == at || !linked(next, 8) || !linked(prev, 0) {
            continue;
        }
        return Some(Victim {
            kind: "object_list",
            object: format!("{tag}.{member}"),
            start: object,
            extent: size,
            address: at + 8 * random.below(2),
            size: 8,
            low_byte: 0,
            page: false,
            relatives: vec![next, prev],
        });
    }
    None
}

pub(super) fn xarray_node(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (tag, object, size) = some_object(kernel, random, &["xa_node"])?;
    let member = *random.one_of(&["count", "parent", "offset"])?;
    let offset = kernel.offset_of(tag, member).ok()?;
    let parent = kernel.offset_of(tag, "parent").ok()?;
    let parent = kernel.target().read_u64(object + parent).ok()?;
    // A node at the top of its tree has no place to check.
    if parent == 0 {
        return None;
    }
    Some(Victim {
        kind: "xarray_node",
        object: format!("xa_node.{member}"),
        start: object,
        extent: size,
        address: object + offset,
        size: if member == "parent" { 8 } else { 1 },
        low_byte: 0,
        page: true,
        relatives: vec![parent],
    })
}

pub(super) fn maple_node(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (_, object, size) = some_object(kernel, random, &["maple_node"])?;
    let parent = kernel.target().read_u64(object).ok()?;
    // A node that waits to be freed points at itself.
    if parent & !0xff == object {
        return None;
    }
    Some(Victim {
        kind: "maple_node",
        object: "maple_node.parent".into(),
        start: object,
        extent: size,
        address: object,
        size: 8,
        low_byte: 1,
        page: false,
        relatives: Vec::new(),
    })
}
