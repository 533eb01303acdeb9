//! Who points at an object, and what of it is in which member: references.

use std::{
    collections::{HashMap, HashSet},
    sync::{OnceLock, atomic::AtomicBool},
};

use necropsy_debuginfo::{CompositeKind, Type, TypeId};

use crate::{Kernel, search::Needle, span::Numbers};

/// A word that points at or into an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it lies, an address of the map of all memory; of an image, of the image.
    pub address: u64,
    /// The word.
    pub value: u64,
}

/// A structure that is known to be at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its tag.
    pub tag: &'static str,
    /// Its first byte.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
    /// How that is known.
    pub reason: &'static str,
}

/// Structures that kernel lists lead to, by their first byte.
#[derive(Debug, Default)]
struct Listed(OnceLock<HashMap<u64, Known>>);

/// Places that are looked for at most.
pub const MAX_REFERENCES: usize = 100_000;

impl Kernel {
    /// Every word of memory that points at or into `start..end`, by address.
    pub fn references(&self, start: u64, end: u64, stop: &AtomicBool) -> Vec<Reference> {
        let target = self.target();
        let numbers = Numbers::of(target);
        let all = target.dump_pfns() << target.page_shift();
        let found = self.search(&Needle::Between(start, end), 0, all, MAX_REFERENCES, stop);
        let mut references = Vec::new();
        for physical in found {
            let (mut bytes, size) = ([0; 8], numbers.word_size().min(8));
            if target.read_physical(physical, &mut bytes[..size]).is_err() {
                continue;
            }
            let value = numbers.number(&bytes, 0, size);
            references.push(Reference { address: self.address_of_physical(physical), value });
        }
        references
    }

    /// The address by which users know a place in memory: that of the kernel's image for what lies
    /// in it, else that in the map of all memory.
    pub fn address_of_physical(&self, physical: u64) -> u64 {
        let target = self.target();
        let Some(layout) = target.layout() else { return physical };
        // What only booting needs has been given back, and holds other things now.
        let gone = match (target.address_of("__init_begin"), target.address_of("__init_end")) {
            (Some(start), Some(end)) => start..end,
            _ => 0..0,
        };
        for range in &target.kernel().ranges {
            let Ok(start) = target.translate(range.start) else { continue };
            let into = physical.wrapping_sub(start);
            // The image lies in one piece.
            let at = range.start.wrapping_add(into);
            // So have the gaps between its parts, which the image's map may have no longer, and which
            // the kernel uses for other things.
            let within = into < range.end.saturating_sub(range.start) && !gone.contains(&at);
            if within
                && target.translate(at) == Ok(physical)
                && self.is_reserved(physical >> target.page_shift()) != Some(false)
            {
                return at;
            }
        }
        layout.to_virtual(physical).unwrap_or(physical)
    }

    /// The structure that an address lies in, where its cache or a list that leads to it tells.
    pub fn known_structure(&self, address: u64) -> Option<Known> {
        let object = self.slab_object(address).ok()??;
        let start = object.address?;
        if let Some((tag, ty)) = self.type_of_cache(&object.cache) {
            let size = self.types().size_of(ty).unwrap_or(object.cache.object_size);
            return Some(Known { tag, start, size, reason: "its cache holds nothing else" });
        }
        self.listed().get(&start).copied()
    }

    /// The member, with those it is within, that lies at an offset of a structure:
    /// `mm.i_mmap.rb_root`.
    pub fn member_at(&self, tag: &str, offset: u64) -> Option<String> {
        let ty = self.types().composite(tag)?;
        let mut path = String::new();
        self.member_within(ty, offset, &mut path, 0)?;
        (!path.is_empty()).then_some(path)
    }

    fn member_within(&self, ty: TypeId, offset: u64, path: &mut String, depth: u32) -> Option<()> {
        const MAX_DEPTH: u32 = 16;
        if depth > MAX_DEPTH {
            return Some(());
        }
        let types = self.types();
        match types.resolve(ty) {
            Type::Composite(composite) => {
                let covers = |member: &&necropsy_debuginfo::Member| {
                    let at = member.bit_offset / 8;
                    let size = types.size_of(member.ty).unwrap_or(0);
                    at <= offset && offset < at.saturating_add(size.max(1))
                };
                let mut inside = composite.members.iter().filter(covers);
                // Of several in a union, one that is a pointer.
                let pointer = |member: &&necropsy_debuginfo::Member| {
                    matches!(types.resolve(member.ty), Type::Pointer(_))
                };
                let member = if composite.kind == CompositeKind::Union {
                    let all: Vec<_> = inside.collect();
                    all.iter().copied().find(|member| pointer(member)).or(all.first().copied())?
                } else {
                    inside.next()?
                };
                let name = types.name(member.name);
                if !name.is_empty() {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                self.member_within(member.ty, offset - member.bit_offset / 8, path, depth + 1)
            }
            Type::Array { element, .. } => {
                let size = types.size_of(*element).filter(|size| *size > 0)?;
                path.push_str(&format!("[{}]", offset / size));
                self.member_within(*element, offset % size, path, depth + 1)
            }
            _ => Some(()),
        }
    }

    fn listed(&self) -> &HashMap<u64, Known> {
        self.memo::<Listed>().0.get_or_init(|| self.find_listed())
    }

    /// What lists of the kernel lead to and no cache tells: objects of System V IPC, what processes
    /// have of them, interrupts.
    fn find_listed(&self) -> HashMap<u64, Known> {
        let mut known = HashMap::new();
        let mut add = |tag: &'static str, start: u64, reason: &'static str| {
            let size = self.target().struct_size(tag).unwrap_or(8);
            known.entry(start).or_insert(Known { tag, start, size, reason });
        };
        let mut spaces = HashSet::new();
        for task in self.tasks().tasks {
            let Ok(proxy) = task.namespaces() else { continue };
            if !spaces.insert(proxy) {
                continue;
            }
            let table = "it is in the table of its ipc_namespace";
            for shm in self.shared_memory(task).map(|found| found.0).unwrap_or_default() {
                add("shmid_kernel", shm.perm.address, table);
            }
            for set in self.semaphores(task).map(|found| found.0).unwrap_or_default() {
                add("sem_array", set.perm.address, table);
            }
            for queue in self.message_queues(task).map(|found| found.0).unwrap_or_default() {
                add("msg_queue", queue.perm.address, table);
                for message in &queue.messages.0 {
                    add("msg_msg", message.address, "it is in a queue of messages");
                }
            }
        }
        for (_, data) in self.attached_segments() {
            add("shm_file_data", data, "a file of shared memory has it as its private data");
        }
        for irq in self.irqs().map(|found| found.0).unwrap_or_default() {
            add("irq_desc", irq.address, "it is in the table of interrupts");
            for action in irq.actions().into_iter().flatten() {
                add("irqaction", action.address, "it handles an interrupt");
            }
        }
        known
    }

    /// The files through which processes have segments of shared memory, each with its
    /// `shm_file_data`.
    pub fn attached_segments(&self) -> Vec<(u64, u64)> {
        let tables: Vec<u64> = ["shm_file_operations", "shm_file_operations_huge"]
            .iter()
            .filter_map(|name| self.symbol(name).ok())
            .collect();
        let (target, shapes) = (self.target(), self.shapes());
        // Where other objects of that size are among them, the table of functions tells files.
        let files = self.objects_of_cache("filp").unwrap_or_default();
        files
            .iter()
            .filter(|file| {
                let table = shapes.file_links.operations.read(target, **file);
                table.is_ok_and(|table| tables.contains(&table))
            })
            .filter_map(|file| Some((*file, shapes.file.private_data.read(target, *file).ok()?)))
            .collect()
    }
}
