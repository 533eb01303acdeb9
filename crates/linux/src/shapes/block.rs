//! include/linux/blkdev.h, blk-mq.h, blk_types.h, block/blk-mq-tag.h

shapes! {
    /// What a disk is asked to do.
    RequestQueue = "request_queue" for dev block {
        operations: "mq_ops",
        count: "nr_hw_queues",
        queues: pointer "queue_hw_ctx" | radix "hctx_table",
    }
    /// A queue that the hardware has.
    HardwareQueue = "blk_mq_hw_ctx" for dev sbitmapq block {
        tags: "tags",
        scheduler_tags: "sched_tags",
    }
    /// The requests of a queue by number.
    Tags = "blk_mq_tags" for dev sbitmapq block {
        count: "nr_tags",
        requests: "rqs",                                    // those that were given to the driver
        used: embedded "bitmap_tags.sb" | pointer "bitmap_tags",
        all_requests: "static_rqs",
    }
    /// A request.
    Request = "request" for dev sbitmapq block {
        queue: "q",
        state: "state",
        flags: "cmd_flags",
        bytes: "__data_len",
        sector: "__sector",
        bio: "bio",
        began: "start_time_ns",
        sent: maybe "io_start_time_ns",
    }
    /// What a request moves.
    Bio = "bio" for block {
        next: "bi_next",
        vectors: "bi_io_vec",
        vector_count: "bi_vcnt",
        end: "bi_end_io",
        private: "bi_private",
    }
    /// A piece of memory of it.
    BioVec = "bio_vec" for block {
        page: "bv_page",
    }
}
