//! Damage, and what a session does with a dump, shared by the tests of damaged files.
#![allow(dead_code, unreachable_pub)]

use necropsy_dump::{Dump, PhysicalMemory, Presence, Reason, find_vmcoreinfo, search_bytes};
use necropsy_synth::{
    Codec, ElfCore, Kdump, Order, QemuStream, Sadump, Segment, SentPage, StoredPage, VmwareState,
    avml, flatten, libvirt_save, lime, qcow2_state, s390, xen_core,
};

/// A small generator with a fixed seed (Knuth's MMIX constants): failures can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    /// Cuts, flips, overwrites or moves parts of the file, mostly near its beginning.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            let headers = [64, 512, 4608, 24576][self.below(4)].min(bytes.len());
            let at = self.below(headers);
            match self.below(7) {
                0 => bytes.truncate(self.below(bytes.len())),
                1 | 2 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                3 => {
                    let value = [0, 0xff, 0x7f, 0x80, 1][self.below(5)];
                    let end = (at + 1 + self.below(8)).min(bytes.len());
                    bytes[at..end].fill(value);
                }
                4 => {
                    let value = self.next().to_le_bytes();
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&value[..end - at]);
                }
                5 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let from = self.below(bytes.len().saturating_sub(64));
                    let piece = bytes[from..(from + end - at).min(bytes.len())].to_vec();
                    bytes[at..at + piece.len()].copy_from_slice(&piece);
                }
                _ => {
                    let at = self.below(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = self.next() as u8;
                    }
                }
            }
        }
    }
}

/// Frames looked at in each run: damaged sizes make runs of billions.
const FRAMES: u64 = 64;
const RUNS: usize = 64;

/// Does with the dump what a session does; how many pages could be read.
pub(crate) fn exercise(dump: &Dump) -> usize {
    let mut read = 0;
    let mut at = 0;
    for _ in 0..RUNS {
        let Some((first, end)) = dump.stored_run(at) else { break };
        assert!(first >= at && end > first, "run {first:#x}..{end:#x} from {at:#x}");
        for pfn in (first..end).take(FRAMES as usize) {
            assert_eq!(dump.presence(pfn), Presence::Stored, "pfn {pfn:#x}");
            match dump.page(pfn) {
                Ok(page) => {
                    assert_eq!(page.len() as u64, dump.page_size());
                    read += 1;
                }
                Err(fault) => assert!(fault.reason == Reason::Corrupt, "{fault}"),
            }
        }
        at = end;
    }
    for pfn in (0..FRAMES).chain([dump.max_pfn(), dump.max_pfn() / 2, 1 << 40, u64::MAX]) {
        let stored = dump.presence(pfn) == Presence::Stored;
        assert!(stored || dump.page(pfn).is_err(), "pfn {pfn:#x}");
    }
    let mut buffer = [0; 100];
    for address in [0, 4090, u64::MAX - 50, dump.max_pfn().wrapping_mul(4096)] {
        let _ = dump.read(address, &mut buffer);
    }
    let mut at = 0;
    for _ in 0..RUNS {
        let Some((first, end)) = dump.memory_run(at) else { break };
        assert!(first >= at && end > first);
        at = end;
    }
    let small = dump.files().iter().map(|file| file.size).sum::<u64>() < 1 << 20;
    if small && dump.stored_run(at).is_none() {
        search_bytes(dump, b"OSRELEASE", 0, 1 << 24);
        find_vmcoreinfo(dump);
    }
    for cpu in dump.prstatus() {
        assert!(cpu.registers().count() <= 64);
    }
    let _ = (dump.completeness().to_string(), dump.format().to_string(), dump.cpu_states().len());
    read
}

pub(crate) fn elf(order: Order, wide: bool) -> Vec<u8> {
    let info = b"OSRELEASE=5.0\nPAGESIZE=4096\nSYMBOL(a)=1\n".to_vec();
    let segments = [0x1000, 0x3000, 0x8000].map(|physical| Segment {
        physical,
        address: 0,
        data: vec![physical as u8 >> 4; 6000],
        memory_size: 0x2000,
    });
    let notes = vec![("CORE".into(), 1, vec![3; 336]), ("VMCOREINFO".into(), 0, info)];
    let notes = [notes, vec![("QEMU".into(), 0, vec![1; 440])]].concat();
    ElfCore { wide, order, machine: 62, notes, segments: segments.into(), extended_count: wide }
        .build()
}

pub(crate) fn kdump(version: u32, codec: Codec, split: Option<(u64, u64)>) -> Vec<u8> {
    let mut kdump = Kdump { version, split, ..Kdump::x86_64(100) };
    kdump.existed = (0..60).collect();
    kdump.pages = (0..40)
        .map(|n| StoredPage { pfn: n * 3 / 2, data: vec![n as u8 / 4; 4096], codec })
        .collect();
    kdump.notes = vec![("CORE".into(), 1, vec![5; 336])];
    kdump.eraseinfo = b"erase\n".to_vec();
    kdump.build()
}

/// A small file of every format beside kdump and ELF.
pub(crate) fn other_formats() -> Vec<Vec<u8>> {
    let page = |n: u64| vec![n as u8; 4096];
    let pages = |first: u64, end: u64| (first..end).flat_map(page).collect::<Vec<u8>>();
    let ranges = [(0x1000, pages(1, 5)), (0x8000, pages(8, 20))];
    let sadump = Sadump {
        long_mode: true,
        existed: vec![3],
        pages: [1, 2, 5, 7].map(|pfn| (pfn, page(pfn))).into(),
    };
    let vmware = VmwareState {
        regions: vec![(0, 0, 3), (3, 16, 5)],
        memory: Some(pages(0, 8)),
        ..VmwareState::default()
    };
    let sent = |pfn: u64| SentPage { block: 0, offset: pfn * 4096, data: Some(page(pfn)) };
    let stream = QemuStream {
        machine: "pc-q35-7.2".into(),
        blocks: vec![("pc.ram".into(), 20 * 4096), ("vga.vram".into(), 4096)],
        pages: (0..20).map(sent).collect(),
    };
    let xen: Vec<_> = [5, 1, 2, 9].map(|pfn| (pfn, 1000 + pfn, page(pfn))).into();
    vec![
        lime(&ranges),
        avml(&ranges),
        s390(&pages(0, 5)),
        sadump.single(),
        sadump.disk_set()[0].clone(),
        sadump.backup(true),
        vmware.build(),
        stream.build(),
        libvirt_save(&stream.build(), 0),
        qcow2_state(&stream.build()),
        xen_core(false, &xen, 1),
        xen_core(true, &xen, 1),
    ]
}

/// A small file of each form of kdump and ELF.
pub(crate) fn main_formats() -> Vec<Vec<u8>> {
    vec![
        elf(Order::Little, true),
        elf(Order::Big, true),
        elf(Order::Little, false),
        kdump(6, Codec::Zlib, None),
        kdump(3, Codec::Lzo, None),
        kdump(6, Codec::Zstd, None),
        kdump(1, Codec::Snappy, None),
        kdump(5, Codec::Raw, None),
    ]
}

/// The same, flattened.
pub(crate) fn flattened() -> Vec<Vec<u8>> {
    main_formats().iter().map(|file| flatten(file, 700)).collect()
}
