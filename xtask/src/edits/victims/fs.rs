//! Dentries, inodes, open files, the page cache.

use necropsy_linux::{Kernel, shape::Field};

use super::{super::Random, Victim, list::some_object, page::page_field, page::some_frame, victim};

fn dentry(
    kernel: &Kernel,
    random: &mut Random,
    kind: &'static str,
    field: &Field,
) -> Option<Victim> {
    let (_, object, size) = some_object(kernel, random, &["dentry"])?;
    let inode = kernel.shapes().dentry.inode.read(kernel.target(), object).ok()?;
    if inode == 0 {
        return None;
    }
    victim(kind, "dentry".into(), object, size, field)
}

pub(super) fn dentry_parent(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    dentry(kernel, random, "dentry_parent", &kernel.shapes().dentry.parent)
}

pub(super) fn dentry_inode(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    dentry(kernel, random, "dentry_inode", &kernel.shapes().dentry.inode)
}

pub(super) fn dentry_super(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    dentry(kernel, random, "dentry_super", &kernel.shapes().dentry.superblock)
}

pub(super) fn dentry_length(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    dentry(kernel, random, "dentry_length", &kernel.shapes().dentry_links.name_length)
}

pub(super) fn inode_super(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (_, object, _) = some_object(kernel, random, &["dentry"])?;
    let inode = kernel.shapes().dentry.inode.read(kernel.target(), object).ok()?;
    let shape = &kernel.shapes().inode;
    let on_list = kernel.target().read_u64(shape.on_superblock.address(inode).ok()?).ok()?;
    if inode == 0 || on_list == shape.on_superblock.address(inode).ok()? {
        return None;
    }
    victim("inode_super", "inode".into(), inode, shape.sizeof().ok()?, &shape.superblock)?
        .with(&[object])
}

pub(super) fn file_inode(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (_, object, size) = some_object(kernel, random, &["file"])?;
    victim("file_inode", "file".into(), object, size, &kernel.shapes().file_links.inode)
}

pub(super) fn file_dentry(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (_, object, size) = some_object(kernel, random, &["file"])?;
    victim("file_dentry", "file".into(), object, size, &kernel.shapes().file.dentry)
}

pub(super) fn page_index(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    use necropsy_linux::page::Use;
    let facts = some_frame(kernel, random, |facts| {
        facts.used == Use::File && facts.flags.contains(&"lru")
    })?;
    page_field(kernel, "page_index", &facts, &kernel.shapes().page.index)
}

pub(super) fn page_count(kernel: &Kernel, random: &mut Random) -> Option<Victim> {
    let (_, object, _) = some_object(kernel, random, &["file"])?;
    let inode = kernel.shapes().file_links.inode.read(kernel.target(), object).ok()?;
    let shape = &kernel.shapes().inode;
    let mapping = shape.mapping.read(kernel.target(), inode).ok()?;
    let on_list = shape.on_superblock.address(inode).ok()?;
    if kernel.target().read_u64(on_list) == Ok(on_list) {
        return None;
    }
    let pages = &kernel.shapes().address_space.pages;
    let mut found = victim("page_count", "inode".into(), mapping, 8, pages)?;
    (found.start, found.extent) = (inode, shape.sizeof().ok()?);
    Some(found)
}
