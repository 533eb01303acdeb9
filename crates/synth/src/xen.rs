//! The core of a Xen guest.

use crate::{Buffer, Order};

/// A page of a guest: its frame, the host's frame, content.
pub type XenPage = (u64, u64, Vec<u8>);

/// `xl dump-core` of an x86_64 guest with one CPU whose `rip` is given.
pub fn xen_core(paravirtual: bool, pages: &[XenPage], rip: u64) -> Vec<u8> {
    let mut note = Buffer::new(Order::Little);
    let header = [0xf00f_ebed_u64, 1, pages.len() as u64, 4096].map(u64::to_le_bytes).concat();
    note.note("Xen", 0x0200_0001, &header);
    let mut context = Buffer::new(Order::Little);
    context.number(520 + 128, rip, 8);
    context.number(4984 + 24, 0x1234_5000, 8);
    context.put(5167, &[0]);
    let table: Vec<u8> = pages
        .iter()
        .flat_map(|(pfn, mfn, _)| if paravirtual { vec![*pfn, *mfn] } else { vec![*pfn] })
        .flat_map(u64::to_le_bytes)
        .collect();
    let content: Vec<u8> = pages.iter().flat_map(|(.., data)| data.clone()).collect();
    let table_name = if paravirtual { ".xen_p2m" } else { ".xen_pfn" };
    let mut core = crate::ElfFile::new(4)
        .section(".note.Xen", &note.bytes)
        .section(".xen_prstatus", &context.bytes)
        .section(table_name, &table);
    core.order = Order::Little;
    core.section(".xen_pages", &content).build()
}

/// The core of a Xen host whose dom0 has these frames: its own, the machine's, content. The three
/// levels of dom0's table of frames lie in machine frames 1, 2, 3.
pub fn xen_host(pages: &[XenPage]) -> Vec<u8> {
    let last = pages.iter().map(|page| page.1).max().unwrap_or(0).max(3);
    let mut memory = vec![0; (last as usize + 1) * 4096];
    let mut put = |frame: u64, at: usize, bytes: &[u8]| {
        let at = frame as usize * 4096 + at;
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(1, 0, &2u64.to_le_bytes());
    put(2, 0, &3u64.to_le_bytes());
    // Where it has no memory, the table has all ones.
    put(3, 0, &[0xff; 4096]);
    for (pfn, mfn, content) in pages {
        put(3, *pfn as usize * 8, &mfn.to_le_bytes());
        put(*mfn, 0, content);
    }
    // Versions, addresses of texts, and the frame of the list of lists.
    let info = [4, 17, 0x1000, 0x1010, 0x1020, 0x1030, 0x1040, 1u64].map(u64::to_le_bytes).concat();
    let memory_size = memory.len() as u64;
    let segment = crate::Segment { physical: 0, address: 0, data: memory, memory_size };
    crate::ElfCore {
        wide: true,
        order: Order::Little,
        machine: 62,
        notes: vec![("Xen".into(), 0x0100_0001, info)],
        segments: vec![segment],
        extended_count: false,
    }
    .build()
}
