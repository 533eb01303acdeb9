//! kernel/printk/printk_safe.c, include/linux/skbuff.h
//!
//! The log's own structures are not here: VMCOREINFO describes them where there are no types, see
//! `printk.rs`.

shapes! {
    /// A CPU's buffer for messages from NMIs, before 5.15.
    PrintkSafeSeqBuf = "printk_safe_seq_buf" {
        len?o: "len",                                       // bytes
        message_lost?o: "message_lost",
        buffer?o: "buffer",
    }
    /// A queue of network buffers.
    SkBuffHead = "sk_buff_head" {
        next: "next",
    }
    /// A network buffer.
    SkBuff = "sk_buff" {
        next: "next",
        data: "data",
        len: "len",                                         // bytes
    }
}
