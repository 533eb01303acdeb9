//! kernel/printk/printk_ringbuffer.h, printk.c, printk_safe.c, include/linux/dev_printk.h,
//! include/linux/skbuff.h
//!
//! VMCOREINFO describes the log's own structures where there are no types.

shapes! {
    /// The lockless log, since 5.10.
    PrintkRingbuffer = "printk_ringbuffer" for log {
        desc_ring: maybe "desc_ring",
        text_data_ring: maybe "text_data_ring",
    }
    /// Its descriptors.
    PrbDescRing = "prb_desc_ring" for log {
        count_bits: maybe "count_bits",
        descs: maybe "descs",
        infos: maybe "infos",
        head_id: maybe "head_id",
        tail_id: maybe "tail_id",
    }
    /// Its text.
    PrbDataRing = "prb_data_ring" for log {
        size_bits: maybe "size_bits",
        data: maybe "data",
    }
    /// A descriptor of a record.
    PrbDesc = "prb_desc" for log {
        state: maybe "state_var",
        position: maybe "text_blk_lpos",
    }
    /// Where the text of a record lies.
    PrbDataBlkLpos = "prb_data_blk_lpos" for log {
        begin: maybe "begin",
        next: maybe "next",
    }
    /// What is known of a record besides its text.
    PrintkInfo = "printk_info" for log {
        seq: maybe "seq",
        time: maybe "ts_nsec",                              // ns
        text_len: maybe "text_len",                         // bytes
        facility: maybe "facility",                         // VMCOREINFO is silent on it
        caller: maybe "caller_id",
        device: maybe "dev_info",
    }
    /// The device that a record is about.
    DevPrintkInfo = "dev_printk_info" for log {
        subsystem: maybe "subsystem",
        device: maybe "device",
    }
    /// A record of the log from 3.5 to 5.9.
    PrintkLog = "printk_log" | "log" for log {              // renamed in 3.11
        time: maybe "ts_nsec",                              // ns
        len: maybe "len",                                   // bytes, header included
        text_len: maybe "text_len",
        dict_len: maybe "dict_len",
        facility: maybe "facility",                         // 3.6; before it, level is 16 bits
        level: maybe "level",
        caller: maybe "caller_id",                          // 5.1
    }
    /// A CPU's buffer for messages from NMIs, before 5.15.
    PrintkSafeSeqBuf = "printk_safe_seq_buf" for log {
        len: maybe "len",                                   // bytes
        message_lost: maybe "message_lost",
        buffer: maybe "buffer",
    }
    /// A queue of network buffers.
    SkBuffHead = "sk_buff_head" for log {
        next: "next",
    }
    /// A network buffer.
    SkBuff = "sk_buff" for log {
        next: "next",
        data: "data",
        len: "len",                                         // bytes
    }
}

variables! {
    /// The log's own variables: which of its three forms this kernel has.
    LogVariables = "variables of the log" for log {
        log: ring "prb" | records "log_first_idx" | text "log_buf",
        first_ring: maybe "printk_rb_static",
        buffer: maybe "log_buf",
        buffer_len: maybe "log_buf_len",
        first_index: maybe "log_first_idx",
        next_index: maybe "log_next_idx",
        first_seq: maybe "log_first_seq",
        end: maybe "log_end",
    }
}
