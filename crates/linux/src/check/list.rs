//! Lists, hash lists, red-black trees, xarrays and maple trees: those of every global variable
//! whose type is known, and those in every object whose cache tells its type.

use necropsy_debuginfo::{TypeId, globals};
use rayon::prelude::*;

use super::{
    Area, Checker, Class, Confidence,
    places::{Link, Place, places},
    ring::{self, Owner, Seen},
};
use crate::{Error, hlist, maple, memory::Memory as _, objects, rbtree, xarray};

pub(super) static AREA: Area = Area {
    name: "list",
    about: "\
in every list, hash list, red-black tree, xarray and maple tree of a global variable or of an object \
whose type is known, neighbours point at each other, parents at children and back, colours and \
counts are right; pointers to tables of functions lead into an image",
    run,
};

/// Elements of an array of lists in a variable, in an object.
const MAX_OF_VARIABLE: u64 = 4096;
const MAX_OF_OBJECT: u64 = 64;
/// Objects that one thread takes at a time.
const BATCH: usize = 256;

fn run(checker: &mut Checker<'_>) {
    let mut seen = Seen::new();
    variables(checker, &mut seen);
    let kernel = checker.kernel;
    let typed = match kernel.typed_objects() {
        Ok(typed) => typed,
        Err(error) => return checker.unread("objects", 1, Some(&error)),
    };
    for kind in typed {
        if checker.stopped() {
            return;
        }
        if kind.tag == "xa_node" {
            kind.objects.iter().for_each(|node| node_of_no_tree(checker, *node));
        }
        let places = places(kernel.types(), kind.ty, MAX_OF_OBJECT);
        if places.is_empty() {
            continue;
        }
        let (look, seen): (&Checker<'_>, &Seen) = (checker, &seen);
        let parts: Vec<Checker<'_>> = kind
            .objects
            .par_chunks(BATCH)
            .map(|objects| {
                let mut part = look.part();
                for object in objects {
                    object_links(&mut part, &kind, *object, &places, seen);
                }
                part
            })
            .collect();
        parts.into_iter().for_each(|part| checker.take(part));
        checker.count("objects", kind.objects.len() as u64);
    }
}

fn variables(checker: &mut Checker<'_>, seen: &mut Seen) {
    let kernel = checker.kernel;
    let target = kernel.target();
    let bounds = |start, end| Some(target.address_of(start)?..target.address_of(end)?);
    // What is given back after the start holds other things by now.
    let gone = bounds("__init_begin", "__init_end");
    let per_cpu = bounds("__per_cpu_start", "__per_cpu_end");
    for name in globals::names() {
        if checker.stopped() {
            return;
        }
        let Some(symbol) = target.kernel().symbols.by_name(name) else { continue };
        let at = symbol.address;
        let inside = |range: &Option<std::ops::Range<u64>>| {
            range.as_ref().is_some_and(|range| range.contains(&at))
        };
        // A name that several variables have tells no type.
        if inside(&gone) || inside(&per_cpu) || target.kernel().symbols.all_by_name(name).len() > 1
        {
            continue;
        }
        let Some(ty) = kernel.symbol_type(&symbol) else { continue };
        let places = variable_places(checker, ty, symbol.size);
        let functions = places.iter().filter(|place| place.link == Link::Function);
        let calls = functions.map(|place| symbol.address.wrapping_add(place.offset));
        let calls: Vec<bool> = calls.filter_map(|at| is_code(checker, at)).collect();
        let wrong = calls.iter().filter(|code| !**code).count();
        // Of a variable whose functions are mostly none, the type is another one in this kernel.
        let believed = wrong * 4 < calls.len();
        let doubtful = doubtful(checker, ty, symbol.address);
        for place in &places {
            if place.link == Link::Function && (!believed || doubtful.contains(&place.offset)) {
                continue;
            }
            let at = symbol.address.wrapping_add(place.offset);
            let whole = if place.member.is_empty() {
                name.to_owned()
            } else if place.member.starts_with('[') {
                format!("{name}{}", place.member)
            } else {
                format!("{name}.{}", place.member)
            };
            let owner = Owner { name: &whole, start: Some(symbol.address) };
            match place.link {
                Link::Ring => ring::walk(checker, at, owner, seen),
                other => link(checker, other, at, owner, true),
            }
        }
        checker.count("variables", u64::from(!places.is_empty()));
    }
}

/// A node of an xarray by itself: not every tree's root is known.
fn node_of_no_tree(checker: &mut Checker<'_>, node: u64) {
    let kernel = checker.kernel;
    let (target, shape) = (kernel.target(), &kernel.shapes().xa_node);
    let at = shape.at(target, node);
    let (Ok(count), Ok(slots), Ok(size)) =
        (at.count(), shape.slots.address(node), shape.slots.size())
    else {
        return;
    };
    let Ok(bytes) = target.read_bytes(slots, size.min(4096)) else {
        return checker.unread("nodes of xarrays", 1, None);
    };
    checker.count("nodes of xarrays", 1);
    // What waits to be freed counts none, whatever its slots hold still.
    let used = target.numbers().words(&bytes).into_iter().filter(|slot| *slot != 0).count() as u64;
    if count != used && count != 0 {
        let text = format!("xarray node {node:x}: count is {count}, but {used} slots are used");
        checker
            .find("xarray", Class::Link, format!("xa_node {node:x}"), node, text)
            .start(node)
            .values(used, count)
            .confidence(Confidence::Likely);
    }
}

/// The end of an array that another kernel, or another configuration, may not have: the last element, and
/// all behind one of nothing but zeros.
fn doubtful(checker: &Checker<'_>, ty: TypeId, at: u64) -> std::ops::Range<u64> {
    let types = checker.kernel.types();
    let necropsy_debuginfo::Type::Array { element, count } = types.resolve(ty) else { return 0..0 };
    let size = types.size_of(*element).unwrap_or(0);
    let empty = (0..*count).take(MAX_OF_VARIABLE as usize).find(|index| {
        let bytes =
            checker.kernel.target().read_bytes(at.wrapping_add(index.wrapping_mul(size)), size);
        bytes.is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    });
    let first = empty.unwrap_or(count.saturating_sub(1));
    size.saturating_mul(first)..size.saturating_mul(*count)
}

/// Whether the function that a pointer leads to is code; `None` for one that leads nowhere.
fn is_code(checker: &Checker<'_>, at: u64) -> Option<bool> {
    let target = checker.kernel.target();
    let function = target.read_pointer(at).ok().filter(|function| *function > 4096)?;
    Some(target.is_text(function))
}

/// Those of a variable that lie within it: of a type that is larger than the room to the next
/// symbol, nobody knows what it is.
fn variable_places(checker: &Checker<'_>, ty: TypeId, room: u64) -> Vec<Place> {
    let types = checker.kernel.types();
    let mut places = places(types, ty, MAX_OF_VARIABLE);
    if room > 0 {
        places.retain(|place| place.offset.saturating_add(8) <= room);
    }
    places
}

fn object_links(
    checker: &mut Checker<'_>,
    kind: &objects::Typed,
    object: u64,
    places: &[Place],
    seen: &Seen,
) {
    for place in places {
        let at = object.wrapping_add(place.offset);
        let name = format!("{} {object:x}, {}", kind.tag, place.member);
        let owner = Owner { name: &name, start: Some(object) };
        match place.link {
            Link::Ring if seen.contains(&at) => {}
            Link::Ring => ring::entry(checker, at, owner),
            other => link(checker, other, at, owner, false),
        }
    }
}

fn link(checker: &mut Checker<'_>, link: Link, at: u64, owner: Owner<'_>, variable: bool) {
    let kernel = checker.kernel;
    let target = kernel.target();
    let Ok(first) = target.read_pointer(at) else { return };
    let start = owner.start.unwrap_or(at);
    match link {
        // What has not the root of a tree where one should be was never made one.
        Link::Tree
            if first != 0
                && (variable || target.read_pointer(first).is_ok_and(|up| up & !3 == 0)) =>
        {
            for error in rbtree::rbtree(target, at, rbtree::Order::FromRoot)
                .checked()
                .filter_map(Result::err)
            {
                checker.walk("rbtree", "trees", format!("tree {}", owner.name), start, &error);
            }
            checker.count("trees", 1);
        }
        Link::Array => {
            let Ok(layout) = xarray::Layout::of(kernel) else { return };
            for error in xarray::entries(target, layout, at).checked().filter_map(Result::err) {
                checker.walk("xarray", "xarrays", format!("xarray {}", owner.name), start, &error);
            }
            checker.count("xarrays", 1);
        }
        Link::Maple => {
            let Ok(layout) = maple::Layout::of(kernel) else { return };
            for error in maple::walk(target, layout, at).filter_map(Result::err) {
                let object = format!("maple tree {}", owner.name);
                checker.walk("maple_tree", "maple trees", object, start, &error);
            }
            checker.count("maple trees", 1);
        }
        // A variable that was a plain pointer in older kernels is no hash list there.
        Link::Hash if first != 0 && variable && target.read_pointer_at(first, 1) == Ok(at) => {
            for error in hlist::hlist(target, at).checked().filter_map(Result::err) {
                let object = format!("list {}", owner.name);
                match error {
                    Error::Fault(..) => checker.unread("hash lists", 1, Some(&error)),
                    _ => checker.walk("hlist", "hash lists", object, start, &error),
                }
            }
            checker.count("hash lists", 1);
        }
        Link::Function
            if variable && first != 0 && !target.is_text(first)
            // Some tables hold small numbers in place of functions.
            && first > 4096 =>
        {
            checker
                .find(
                    "function",
                    Class::Pointer,
                    owner.name,
                    at,
                    "a pointer to a function is no code",
                )
                .start(start)
                .found(first)
                .confidence(Confidence::Likely);
        }
        Link::Table if first != 0 && target.image_at(first).is_none() => {
            checker
                .find(
                    "table",
                    Class::Pointer,
                    owner.name,
                    at,
                    "a table of functions is in no image",
                )
                .start(start)
                .found(first)
                .confidence(Confidence::Likely);
        }
        _ => {}
    }
}
