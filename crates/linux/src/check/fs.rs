//! Files: names, inodes, file systems, and what each says of the others.

use std::collections::HashSet;

use rayon::prelude::*;

use super::{Area, Checker, Class, Confidence, task::in_use};
use crate::{list, shape::Field, xarray};

pub(super) static AREA: Area = Area {
    name: "fs",
    about: "\
every name in use has a parent, an inode and a file system in use, of one file system, and a length \
that is its own; every inode belongs to a file system on the list of all, and its pages are where its \
tree says; every open file's inode is that of its name",
    run,
};

const BATCH: usize = 256;

fn run(checker: &mut Checker<'_>) {
    let kernel = checker.kernel;
    let supers = super_blocks(checker);
    let typed = match kernel.typed_objects() {
        Ok(typed) => typed,
        Err(error) => return checker.unread("objects", 1, Some(&error)),
    };
    for kind in &typed {
        let each: fn(&mut Checker<'_>, u64, &Supers) = match kind.tag {
            "dentry" => dentry,
            "file" => file,
            _ => continue,
        };
        let look: &Checker<'_> = checker;
        let parts: Vec<Checker<'_>> = kind
            .objects
            .par_chunks(BATCH)
            .map(|objects| {
                let mut part = look.part();
                for object in objects {
                    if !part.stopped() {
                        each(&mut part, *object, &supers);
                    }
                }
                part
            })
            .collect();
        parts.into_iter().for_each(|part| checker.take(part));
        checker.count(
            if kind.tag == "file" { "open files" } else { "names" },
            kind.objects.len() as u64,
        );
    }
    for sb in &supers.all {
        inodes(checker, *sb);
    }
}

/// The file systems on the list of all.
#[derive(Debug, Default)]
struct Supers {
    all: HashSet<u64>,
    /// The list could not be followed to its end.
    cut: bool,
}

impl Supers {
    /// Whether it is none of them, as far as all are known.
    fn lacks(&self, sb: u64) -> bool {
        !self.cut && !self.all.is_empty() && !self.all.contains(&sb)
    }
}

/// Goes through that list.
fn super_blocks(checker: &mut Checker<'_>) -> Supers {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let mut found = Supers::default();
    let (Ok(head), Ok(link)) =
        (kernel.symbol("super_blocks"), shapes.super_block_links.list.offset())
    else {
        return found;
    };
    for entry in list::list(target, head) {
        match entry {
            Ok(at) => {
                found.all.insert(at.wrapping_sub(link));
            }
            Err(error) => {
                found.cut = true;
                checker.walk("super_blocks", "file systems", "super_blocks", head, &error)
            }
        }
    }
    for sb in &found.all {
        let root = &shapes.super_block_links.root;
        if let Ok(dentry) = root.read(target, *sb)
            && dentry != 0
            && let Ok(of) = shapes.dentry.superblock.read(target, dentry)
            && of != *sb
        {
            let at = root.address(*sb).unwrap_or(*sb);
            let text = "the root of a file system belongs to another one";
            checker
                .find("super_block", Class::Pointer, format!("super_block {sb:x}"), at, text)
                .start(*sb)
                .found(dentry);
        }
        checker.count("file systems", 1);
    }
    found
}

fn wrong(
    checker: &mut Checker<'_>,
    check: &'static str,
    (tag, object): (&str, u64),
    field: &Field,
    found: u64,
    text: &str,
) {
    let at = field.address(object).unwrap_or(object);
    checker
        .find(check, Class::Pointer, format!("{tag} {object:x}"), at, text)
        .start(object)
        .found(found)
        .confidence(Confidence::Likely);
}

fn dentry(checker: &mut Checker<'_>, dentry: u64, supers: &Supers) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let (shape, links) = (&shapes.dentry, &shapes.dentry_links);
    let this = ("dentry", dentry);
    let at = shape.at(target, dentry);
    let (Ok(parent), Ok(inode), Ok(sb)) = (at.parent(), at.inode(), at.superblock()) else {
        return;
    };
    // What is being made or was taken apart.
    if sb == 0 || parent == 0 {
        return;
    }
    if parent != dentry && !in_use(kernel, parent) {
        wrong(
            checker,
            "dentry_parent",
            this,
            &shape.parent,
            parent,
            "the directory that it is in is no object in use",
        );
    }
    if !in_use(kernel, sb) {
        wrong(
            checker,
            "dentry_super",
            this,
            &shape.superblock,
            sb,
            "its file system is no object in use",
        );
    } else if supers.lacks(sb) {
        wrong(
            checker,
            "dentry_super",
            this,
            &shape.superblock,
            sb,
            "its file system is not on the list of all",
        );
    } else if parent != dentry
        && let Ok(of) = shape.superblock.read(target, parent)
        && of != sb
    {
        let at = shape.superblock.address(dentry).unwrap_or(dentry);
        checker
            .find(
                "dentry_super",
                Class::Pointer,
                format!("dentry {dentry:x}"),
                at,
                "its file system is not that of its directory",
            )
            .start(dentry)
            .values(of, sb);
    }
    if inode != 0 {
        if !object_in_use(checker, inode) {
            wrong(
                checker,
                "dentry_inode",
                this,
                &shape.inode,
                inode,
                "its inode is no object in use",
            );
        } else if let Ok(of) = shapes.inode.superblock.read(target, inode)
            && of != sb
        {
            wrong(
                checker,
                "dentry_inode",
                this,
                &shape.inode,
                inode,
                "its inode is of another file system",
            );
        }
    }
    let (Ok(name), Ok(length)) = (at.name(), links.name_length.read(target, dentry)) else {
        return;
    };
    if name == 0 {
        return;
    }
    match target.read_cstr(name, 1024) {
        Ok(text) if text.len() as u64 != length && !text.contains('\u{fffd}') => {
            let at = links.name_length.address(dentry).unwrap_or(dentry);
            checker
                .find(
                    "dentry_name",
                    Class::Value,
                    format!("dentry {dentry:x} ({text:?})"),
                    at,
                    "the length of its name is not that of its text",
                )
                .start(dentry)
                .values(text.len() as u64, length);
        }
        Ok(_) => {}
        Err(fault) if !super::no_address(&fault) => checker.unread("names", 1, Some(&fault.into())),
        Err(_) => wrong(checker, "dentry_name", this, &shape.name, name, "its name cannot be read"),
    }
}

/// Whether an address lies within an object in use: an inode is a part of a larger structure.
fn object_in_use(checker: &Checker<'_>, address: u64) -> bool {
    super::is_object(checker.kernel, address, |_| address.is_multiple_of(8))
}

fn file(checker: &mut Checker<'_>, file: u64, _: &Supers) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let (shape, links) = (&shapes.file, &shapes.file_links);
    let at = shape.at(target, file);
    let (Ok(dentry), Ok(inode)) = (at.dentry(), links.inode.read(target, file)) else { return };
    let this = ("file", file);
    if dentry == 0 || inode == 0 {
        return;
    }
    if !in_use(kernel, dentry) {
        return wrong(
            checker,
            "file_dentry",
            this,
            &shape.dentry,
            dentry,
            "its name is no object in use",
        );
    }
    if !object_in_use(checker, inode) {
        return wrong(
            checker,
            "file_inode",
            this,
            &links.inode,
            inode,
            "its inode is no object in use",
        );
    }
    if let Ok(of) = shapes.dentry.inode.read(target, dentry)
        && of != inode
        && of != 0
        // Of a layered file system, the file's inode is that of another layer.
        && shapes.inode.superblock.read(target, of) == shapes.inode.superblock.read(target, inode)
    {
        let at = links.inode.address(file).unwrap_or(file);
        checker
            .find(
                "file_inode",
                Class::Pointer,
                format!("file {file:x}"),
                at,
                "its inode is not that of its name",
            )
            .start(file)
            .values(of, inode)
            .confidence(Confidence::Likely);
    }
}

/// The inodes of a file system.
fn inodes(checker: &mut Checker<'_>, sb: u64) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let (Ok(head), Ok(link)) =
        (shapes.super_block.inodes.address(sb), shapes.inode.on_superblock.offset())
    else {
        return;
    };
    for entry in list::list(target, head) {
        if checker.stopped() {
            return;
        }
        let inode = match entry {
            Ok(at) => at.wrapping_sub(link),
            Err(error) => {
                // Which entry of the list is wrong is the area of lists' to tell.
                checker.unread("inodes", 1, Some(&error));
                break;
            }
        };
        checker.count("inodes", 1);
        let this = ("inode", inode);
        let at = shapes.inode.at(target, inode);
        if let Ok(of) = at.superblock()
            && of != sb
        {
            let field = &shapes.inode.superblock;
            let at = field.address(inode).unwrap_or(inode);
            checker
                .find(
                    "inode_super",
                    Class::Pointer,
                    format!("inode {inode:x}"),
                    at,
                    "it is on the list of another file system",
                )
                .start(inode)
                .values(sb, of);
        }
        // Sockets, pipes and the rest are of one kind each; none is no kind.
        if let Ok(mode) = at.mode()
            && !matches!(mode >> 12, 1 | 2 | 4 | 6 | 8 | 10 | 12)
            && mode >> 12 != 0
        {
            wrong(
                checker,
                "inode_mode",
                this,
                &shapes.inode.mode,
                mode,
                "it is of no kind that there is",
            );
        }
        if let Ok(count) = shapes.inode_links.count.read_signed(target, inode)
            && !(0..1 << 28).contains(&count)
        {
            wrong(
                checker,
                "inode_count",
                this,
                &shapes.inode_links.count,
                count as u64,
                "its count of users cannot be",
            );
        }
        if let (Ok(mapping), Ok(data)) = (at.mapping(), shapes.inode_links.data.address(inode)) {
            if !object_in_use(checker, mapping) {
                wrong(
                    checker,
                    "inode_mapping",
                    this,
                    &shapes.inode.mapping,
                    mapping,
                    "its pages belong to no object in use",
                );
            }
            pages(checker, inode, data);
        }
    }
}

/// The pages of an inode: as many as are counted, each where the tree has it.
fn pages(checker: &mut Checker<'_>, inode: u64, mapping: u64) {
    let kernel = checker.kernel;
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let host = &shapes.mapping_host.host;
    if let Ok(of) = host.read(target, mapping)
        && of != inode
    {
        let at = host.address(mapping).unwrap_or(mapping);
        checker
            .find(
                "mapping_host",
                Class::Pointer,
                format!("inode {inode:x}"),
                at,
                "its pages name another inode as theirs",
            )
            .start(inode)
            .values(inode, of);
    }
    let (Ok(counted), Ok(tree), Ok(layout)) = (
        shapes.address_space.pages.read(target, mapping),
        shapes.page_cache.pages.address(mapping),
        xarray::Layout::of(kernel),
    ) else {
        return;
    };
    let (mut found, mut whole) = (0u64, true);
    for entry in xarray::entries(target, layout, tree) {
        let Ok(entry) = entry else {
            whole = false;
            break;
        };
        // Values stand for pages that were swapped out, or were here before.
        if entry.raw & 1 == 1 || entry.kind == xarray::Kind::Reserved {
            continue;
        }
        let page = entry.raw;
        found = found.saturating_add(entry.span.max(1));
        let at = shapes.page.at(target, page);
        let (Ok(of), Ok(index)) = (at.mapping(), at.index()) else { continue };
        let name = match kernel.pfn_of(page) {
            Ok(pfn) => format!("page frame {pfn:#x}"),
            Err(_) => {
                checker
                    .find(
                        "page_cache",
                        Class::Pointer,
                        format!("inode {inode:x}"),
                        entry.node.unwrap_or(tree),
                        "its tree of pages has what is no page frame",
                    )
                    .start(inode)
                    .found(page);
                continue;
            }
        };
        if of != mapping {
            let at = shapes.page.mapping.address(page).unwrap_or(page);
            checker
                .find(
                    "page_cache",
                    Class::Pointer,
                    name,
                    at,
                    "it is a page of a file, and names another mapping",
                )
                .start(page)
                .values(mapping, of)
                .confidence(Confidence::Likely);
        } else if index != entry.index {
            let at = shapes.page.index.address(page).unwrap_or(page);
            checker
                .find(
                    "page_cache",
                    Class::Value,
                    name,
                    at,
                    "its place in the file is not that at which the tree has it",
                )
                .start(page)
                .values(entry.index, index)
                .confidence(Confidence::Likely);
        }
    }
    if whole && found != counted {
        let field = &shapes.address_space.pages;
        let at = field.address(mapping).unwrap_or(mapping);
        let text = "the counter of its pages is not their number in the tree";
        if let Some(finding) =
            checker.compare("nrpages", format!("inode {inode:x}"), at, (found, counted), text)
        {
            finding.start(inode).confidence(Confidence::Likely);
        }
    }
}
