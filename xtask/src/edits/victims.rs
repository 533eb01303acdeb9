//! Places that can be damaged, by the check that should see it.

mod code;
mod fs;
mod ipc;
mod list;
mod mm;
mod page;
mod slab;
mod task;
mod time;

use necropsy_linux::{Kernel, shape::Field};

use super::Random;

/// A place in memory.
pub(super) struct Victim {
    /// The kind's name.
    pub(super) kind: &'static str,
    /// What it is a part of, in words, its first byte and its size.
    pub(super) object: String,
    pub(super) start: u64,
    pub(super) extent: u64,
    /// The first byte that may be changed, and how many.
    pub(super) address: u64,
    pub(super) size: u64,
    /// Bits and bytes are changed from this byte on: below it any value is right.
    pub(super) low_byte: u64,
    /// Whether the whole page may be overwritten.
    pub(super) page: bool,
    /// Objects that the damage makes contradict this one.
    pub(super) relatives: Vec<u64>,
}

/// A kind of places.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) choose: fn(&Kernel, &mut Random) -> Option<Victim>,
}

macro_rules! kinds {
    ($($area:ident: $($name:ident)*;)*) => {
        pub(super) static KINDS: &[Kind] =
            &[$($(Kind { name: stringify!($name), choose: $area::$name }),*),*];
    };
}

kinds! {
    slab: free_pointer slab_counters slab_cache node_counters cache_size cache_objects cache_list red_zone;
    page: page_numbers page_kind free_list_entry free_counter free_frame_counter hand_counter tail_link free_references page_mapping;
    list: global_list object_list xarray_node maple_node;
    task: task_pid task_leader task_parent task_pointer task_stack_end task_cpu task_threads task_list;
    mm: mm_counter vma_start vma_mm vma_file;
    fs: dentry_parent dentry_inode dentry_super dentry_length inode_super file_inode file_dentry page_index page_count;
    ipc: ipc_id shm_attached shm_file_id;
    code: module_state text static_call static_branch;
    time: timer_function hrtimer_expires irq_number irq_handler gate system_call;
}

fn victim(
    kind: &'static str,
    object: String,
    start: u64,
    extent: u64,
    field: &Field,
) -> Option<Victim> {
    Some(Victim {
        kind,
        object,
        start,
        extent,
        address: field.address(start).ok()?,
        size: field.size().ok()?.clamp(1, 8),
        low_byte: 0,
        page: false,
        relatives: Vec::new(),
    })
}

impl Victim {
    fn low(mut self, byte: u64) -> Option<Victim> {
        self.low_byte = byte.min(self.size - 1);
        Some(self)
    }

    fn with(mut self, relatives: &[u64]) -> Option<Victim> {
        self.relatives.extend_from_slice(relatives);
        Some(self)
    }
}
