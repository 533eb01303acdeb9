//! BPF programs and maps, bitmaps of requests.

use necropsy_rows::{Faults, Hex, row};

row! {
    /// A BPF program.
    #[derive(Debug)]
    pub struct BpfProgramRow {
        /// `program`.
        pub kind: &'static str,
        /// Its number.
        pub id: u64,
        /// Its `struct bpf_prog`.
        pub bpf_prog: Hex,
        /// Its `struct bpf_prog_aux`.
        pub bpf_prog_aux: Hex,
        /// What it is for.
        pub program_type: String [key "type"],
        /// A hash of its instructions.
        pub tag: Option<String>,
        /// Numbers of the maps that it uses.
        pub used_maps: Option<Vec<u64>>,
        /// Its name.
        pub name: Option<String>,
        /// Bytes of its instructions.
        pub xlated: Option<u64> [bytes],
        /// Bytes of the machine code made of them.
        pub jited: Option<u64> [bytes],
        /// Memory that it takes.
        pub memlock: Option<u64> [bytes],
        /// Nanoseconds from boot to when it was loaded.
        pub load_time_ns: Option<u64>,
        /// Who loaded it.
        pub uid: Option<u64>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// A BPF map.
    #[derive(Debug)]
    pub struct BpfMapRow {
        /// `map`.
        pub kind: &'static str,
        /// Its number.
        pub id: u64,
        /// Its `struct bpf_map`.
        pub bpf_map: Hex,
        /// How it keeps its elements.
        pub map_type: String [key "type"],
        /// BPF_F_ flags.
        pub flags: Option<Hex>,
        /// Bytes of a key.
        pub key_size: Option<u64> [bytes],
        /// Bytes of a value.
        pub value_size: Option<u64> [bytes],
        /// How many elements there can be.
        pub max_entries: Option<u64>,
        /// Memory that is charged for it.
        pub memlock: Option<u64> [bytes],
        /// Its name.
        pub name: Option<String>,
        /// Who made it.
        pub uid: Option<u64>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }

    /// Those who wait for a bit (`sbitmapq`).
    #[derive(Debug)]
    pub struct BitWaitersRow {
        /// How many bits are to be freed before they are woken.
        pub wait_cnt: Option<u64>,
        /// Whether there are any.
        pub active: bool,
    }

    /// A bitmap of requests (`sbitmapq`).
    #[derive(Debug)]
    pub struct BitmapRow {
        /// Its `struct sbitmap_queue`.
        pub sbitmap_queue: Hex,
        /// Bits.
        pub depth: u64,
        /// Bits in use.
        pub busy: u64,
        /// Bits that wait to be cleared.
        pub cleared: u64,
        /// Bits of a word.
        pub bits_per_word: u64,
        /// Words.
        pub map_nr: u64,
        /// Where each CPU looks first.
        pub alloc_hint: Option<Vec<u64>>,
        /// How many bits are freed before somebody is woken.
        pub wake_batch: Option<u64>,
        /// Which group is woken next.
        pub wake_index: Option<u64>,
        /// Groups in which somebody waits.
        pub ws_active: Option<u64>,
        /// The groups of those who wait.
        pub ws: Option<Vec<BitWaitersRow>>,
        /// Whether bits are taken in turn.
        pub round_robin: Option<u64>,
        /// The least depth that somebody limits himself to.
        pub min_shallow_depth: Option<u64>,
        /// The bits in use.
        pub set: Vec<u64>,
        /// What could not be read.
        pub faults: Faults [maybe],
    }
}
