//! The memory of dom0 in a core of its Xen host: dom0's frames lie anywhere in the machine, where its
//! table of frames says (`p2m`), and its page tables hold the machine's frames.

use std::{collections::HashSet, sync::OnceLock};

use crate::{Arch, Note, Page, PhysicalMemory, Presence, Read, bytes::Fields};

/// `XEN_ELFNOTE_CRASH_INFO`: `crash_xen_info_t` (`public/elfnote.h`), whose last word is the frame of
/// the list of lists of frames.
const CRASH_INFO: u32 = 0x0100_0001;
/// Bytes of an entry, and entries of a page: three levels of them.
const ENTRY: u64 = 8;
const ENTRIES: u64 = 4096 / ENTRY;
/// `FOREIGN_FRAME_BIT`, `IDENTITY_FRAME_BIT` of Linux' table.
const FOREIGN: u64 = 1 << 63;
const IDENTITY: u64 = 1 << 62;

/// Dom0's memory.
pub(crate) struct Dom0<M> {
    host: M,
    /// The machine's frame of the list of lists.
    root: u64,
    max_pfn: u64,
    /// The machine's frames and dom0's, ascending; made when first asked for.
    own: OnceLock<Vec<(u64, u64)>>,
}

/// The machine's frame of dom0's list of lists, if the core is one of a host.
pub(crate) fn frame_list(notes: &[Note], arch: Option<Arch>, big_endian: bool) -> Option<u64> {
    let note = notes.iter().find(|note| note.name == "Xen" && note.kind == CRASH_INFO)?;
    let last = note.desc.len().checked_sub(ENTRY as usize)?;
    let frame = Fields::new(&note.desc, big_endian).u64(last)?;
    (arch == Some(Arch::X86_64) && frame != 0).then_some(frame)
}

impl<M: PhysicalMemory> Dom0<M> {
    /// Dom0's memory; gives the host's back where the table is not in the dump.
    pub(crate) fn new(host: M, root: u64) -> Result<Self, M> {
        let mut dom0 = Dom0 { host, root, max_pfn: 0, own: OnceLock::new() };
        if dom0.host.page_size() != 4096 {
            return Err(dom0.host);
        }
        let Some(last) = (0..ENTRIES).rev().find(|&index| dom0.entry(root, index).is_some()) else {
            return Err(dom0.host);
        };
        let list = dom0.entry(root, last);
        let lists =
            list.and_then(|list| (0..ENTRIES).rev().find(|&i| dom0.entry(list, i).is_some()));
        dom0.max_pfn = (last * ENTRIES + lists.map_or(0, |index| index + 1)) * ENTRIES;
        // Somewhere in the first thousand frames is one that dom0 has.
        match (0..1024.min(dom0.max_pfn)).any(|pfn| dom0.machine_frame(pfn).is_some()) {
            true => Ok(dom0),
            false => Err(dom0.host),
        }
    }

    /// An entry of a page of the table that leads somewhere.
    fn entry(&self, frame: u64, index: u64) -> Option<u64> {
        let mut bytes = [0; ENTRY as usize];
        self.host.read(frame.checked_mul(4096)?.checked_add(index * ENTRY)?, &mut bytes).ok()?;
        Some(u64::from_le_bytes(bytes)).filter(|&frame| frame != 0 && frame != u64::MAX)
    }

    /// The machine's frame of a frame of dom0.
    fn machine_frame(&self, pfn: u64) -> Option<u64> {
        let list = self.entry(self.root, pfn / ENTRIES / ENTRIES)?;
        let page = self.entry(list, pfn / ENTRIES % ENTRIES)?;
        let frame = self.entry(page, pfn % ENTRIES)?;
        (frame & (FOREIGN | IDENTITY) == 0).then_some(frame)
    }

    /// All frames of dom0 by those of the machine. A page of the table counts once: the lists may
    /// name one for every stretch that has no memory.
    fn own(&self) -> &[(u64, u64)] {
        self.own.get_or_init(|| {
            let (mut own, mut seen) = (Vec::new(), HashSet::new());
            let lists =
                (0..ENTRIES).filter_map(|index| Some((index, self.entry(self.root, index)?)));
            for (first, list) in lists.filter(|&(_, list)| seen.insert(list)).collect::<Vec<_>>() {
                for second in 0..ENTRIES {
                    let Some(page) = self.entry(list, second) else { continue };
                    if !seen.insert(page) {
                        continue;
                    }
                    let base = (first * ENTRIES + second) * ENTRIES;
                    let Ok(bytes) = self.host.page(page) else { continue };
                    let frames = bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                    let own_ones = (base..)
                        .zip(frames)
                        .filter(|&(_, frame)| frame != 0 && frame & (FOREIGN | IDENTITY) == 0);
                    own.extend(own_ones.map(|(pfn, frame)| (frame, pfn)));
                }
            }
            own.sort_unstable();
            own
        })
    }
}

impl<M: PhysicalMemory> PhysicalMemory for Dom0<M> {
    fn page_size(&self) -> u64 {
        self.host.page_size()
    }

    fn page(&self, pfn: u64) -> Read<Page<'_>> {
        let not_saved =
            || crate::Fault::physical(pfn.saturating_mul(4096), crate::Reason::NotSaved);
        let frame = self.machine_frame(pfn).ok_or_else(not_saved)?;
        let reason = |fault: crate::Fault| crate::Fault::physical(pfn * 4096, fault.reason);
        self.host.page(frame).map_err(reason)
    }

    fn presence(&self, pfn: u64) -> Presence {
        self.machine_frame(pfn).map_or(Presence::NotSaved, |frame| self.host.presence(frame))
    }

    fn max_pfn(&self) -> u64 {
        self.max_pfn
    }

    fn stored_run(&self, from: u64) -> Option<(u64, u64)> {
        let is_stored = |&pfn: &u64| self.presence(pfn) == Presence::Stored;
        let first = (from..self.max_pfn).find(is_stored)?;
        let end = (first + 1..self.max_pfn).find(|pfn| !is_stored(pfn));
        Some((first, end.unwrap_or(self.max_pfn)))
    }

    fn frame_of_entry(&self, frame: u64) -> u64 {
        let own = self.own();
        let index = own.partition_point(|&(machine, _)| machine < frame);
        // A frame of the host itself has no other number; it is none of dom0's memory.
        own.get(index).filter(|found| found.0 == frame).map_or(u64::MAX >> 12, |found| found.1)
    }
}
