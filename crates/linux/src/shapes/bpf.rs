//! include/linux/bpf.h, filter.h, sbitmap.h

shapes! {
    /// A BPF program.
    BpfProg = "bpf_prog" for bpf {
        kind: "type",
        instructions: "len",
        tag: "tag",
        jited_bytes: "jited_len",
        code: "bpf_func",
        bytecode: "insnsi",
        pages: "pages",
        aux: "aux",
    }
    /// What is not needed to run it.
    BpfProgAux = "bpf_prog_aux" for bpf {
        id: "id",
        name: maybe "name",
        map_count: "used_map_cnt",
        maps: "used_maps",
        load_time: maybe "load_time",
        user: maybe "user",
    }
    /// A map that programs share.
    BpfMap = "bpf_map" for bpf {
        id: "id",
        kind: "map_type",
        flags: "map_flags",
        key_size: "key_size",
        value_size: "value_size",
        max_entries: "max_entries",
        name: maybe "name",
        charged_pages: maybe "memory.pages" | "pages",
        user: maybe "memory.user" | "user",
    }
    /// Who loaded it.
    BpfUser = "user_struct" for bpf {
        uid: "uid",
    }
    /// A bitmap with a queue of those who wait for a bit.
    SbitmapQueue = "sbitmap_queue" for sbitmapq {
        bitmap: "sb",
        hints: pointer "alloc_hint" | pointer "sb.alloc_hint",
        wake_batch: "wake_batch",
        wake_index: "wake_index",
        waiters: "ws",
        active: maybe "ws_active",
        round_robin: maybe "round_robin" | "sb.round_robin",
        min_shallow_depth: maybe "min_shallow_depth",
    }
    /// A bitmap that is spread over words.
    Sbitmap = "sbitmap" for sbitmapq block {
        depth: "depth",
        shift: "shift",
        words: "map_nr",
        map: "map",
    }
    /// A word of it.
    SbitmapWord = "sbitmap_word" for sbitmapq block {
        depth: maybe "depth",
        word: "word",
        cleared: maybe "cleared",
    }
    /// Those who wait.
    SbitmapWaiters = "sbq_wait_state" for sbitmapq {
        count: maybe "wait_cnt",
        wait: "wait",
    }
}

variables! {
    /// Tables of programs and maps.
    BpfTables = "tables of BPF" for bpf {
        programs: "prog_idr",
        maps: "map_idr",
    }
}
