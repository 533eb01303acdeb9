//! What a dump says of itself: gathered for every format and architecture, and told as text.

use std::fmt::{self, Write};

use necropsy_dump::{CpuState, Dump, PhysicalMemory, VmCoreInfo};
use necropsy_rows::{Hex, Size};

use crate::rows::dump::{
    CpuNoteRow, HeaderRow, NoteRow, RangeRow, RegisterRow, SegmentRow, UtsRow,
};

/// Ranges that are gathered: a filtered dump of a large machine has millions.
const RANGES: usize = 10_000;
/// Bytes of a note that are shown.
const NOTE: usize = 64 << 10;
/// makedumpfile's bits, in its words.
const FILTERS: [&str; 5] = ["zero", "cache", "cache private", "user", "free"];

impl HeaderRow {
    /// Of a dump; VMCOREINFO may have been found in memory.
    pub(super) fn new(dump: &Dump, info: Option<&VmCoreInfo>) -> HeaderRow {
        let header = dump.header();
        let level = header.dump_level.unwrap_or(0);
        let filters = FILTERS.iter().enumerate().filter(|(bit, _)| level & (1 << bit) != 0);
        let (memory, all_memory) = ranges(dump, |at| dump.memory_run(at));
        let (stored, all_stored) = ranges(dump, |at| dump.stored_run(at));
        HeaderRow {
            description: dump.format().description(),
            endian: if dump.big_endian() { "big" } else { "little" },
            pointer_size: dump.pointer_size(),
            max_pfn: dump.max_pfn(),
            version: header.version,
            status: header.status,
            phys_base: header.phys_base.map(Hex),
            cpus: header.nr_cpus,
            current_cpu: header.current_cpu,
            time: header.crash_time.map(|time| time.seconds),
            uts: header.uts.as_ref().map(|uts| UtsRow {
                sysname: uts.sysname.clone(),
                nodename: uts.nodename.clone(),
                release: uts.release.clone(),
                version: uts.version.clone(),
                machine: uts.machine.clone(),
                domainname: uts.domainname.clone(),
            }),
            eraseinfo: header
                .eraseinfo
                .as_ref()
                .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned()),
            vmcoreinfo: info.map(|info| info.text().to_owned()),
            filtered: filters.map(|(_, name)| *name).collect(),
            filtered_memory_map: dump.completeness().excluded_vmemmap,
            memory,
            stored,
            ranges_complete: all_memory && all_stored,
            segments: header
                .segments
                .iter()
                .take(RANGES)
                .map(|segment| SegmentRow {
                    address: Hex(segment.virtual_address),
                    physical: Hex(segment.physical_address),
                    bytes: segment.file_size,
                    memory_bytes: segment.memory_size,
                })
                .collect(),
            notes: dump.notes().iter().map(note).collect(),
            cpu_notes: cpu_notes(dump),
        }
    }

    /// One line for each thing that there is.
    pub(super) fn write(&self, text: &mut dyn Write) -> fmt::Result {
        let mut line = |label: &str, value: String| writeln!(text, "{label:>12}: {value}");
        if let Some(uts) = self.uts.as_ref().filter(|uts| !uts.sysname.is_empty()) {
            let UtsRow { sysname, nodename, machine, .. } = uts;
            line(
                "UTSNAME",
                format!("{sysname} {nodename} {} {} {machine}", uts.release, uts.version),
            )?;
        }
        if self.endian == "big" {
            line("BYTE ORDER", "big endian".to_owned())?;
        }
        if !self.filtered.is_empty() {
            let map = if self.filtered_memory_map { ", and their memory map" } else { "" };
            line("LEFT OUT", format!("pages: {}{map}", self.filtered.join(", ")))?;
        }
        line("MEMORY", spans(&self.memory, self.ranges_complete))?;
        if !self.notes.is_empty() {
            line("NOTES", names(&self.notes))?;
        }
        if !self.cpu_notes.is_empty() {
            let count = self.cpu_notes.len();
            line("CPU NOTES", format!("registers of {count} CPUs (info -r)"))?;
        }
        for erased in self.eraseinfo.iter().flat_map(|text| text.lines()) {
            line("ERASED", erased.to_owned())?;
        }
        Ok(())
    }

    /// Every range of memory, and every segment.
    pub(super) fn write_ranges(&self, text: &mut dyn Write) -> fmt::Result {
        let width = 4 * self.pointer_size as usize / 2;
        for (label, ranges) in [("MEMORY", &self.memory), ("STORED", &self.stored)] {
            for range in ranges {
                let (start, end) = (range.start.0, range.end.0);
                let size = Size(end - start);
                writeln!(text, "{label:>12}: {start:0width$x}-{:0width$x}  {size}", end - 1)?;
            }
        }
        for SegmentRow { address, physical, bytes, memory_bytes } in &self.segments {
            writeln!(
                text,
                "{:>12}: physical {:0width$x}, virtual {:0width$x}, {bytes} bytes of {memory_bytes}",
                "SEGMENT", physical.0, address.0,
            )?;
        }
        Ok(())
    }

    /// Every register of every CPU.
    pub(super) fn write_registers(&self, text: &mut dyn Write) -> fmt::Result {
        let width = 2 * self.pointer_size as usize;
        for cpu in &self.cpu_notes {
            let pid = cpu.pid.map_or(String::new(), |pid| format!(", pid {pid}"));
            writeln!(text, "{:>12}: {} of note {}{pid}", "REGISTERS", cpu.from, cpu.index)?;
            for four in cpu.registers.chunks(4) {
                let cells = four.iter().map(|r| format!("{:>8}: {:0width$x}", r.name, r.value.0));
                writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  "))?;
            }
        }
        Ok(())
    }

    /// Every note with its bytes.
    pub(super) fn write_notes(&self, text: &mut dyn Write) -> fmt::Result {
        for note in &self.notes {
            let NoteRow { name, kind, size, data } = note;
            writeln!(text, "{:>12}: {name} {kind:#x}, {size} bytes", "NOTE")?;
            for bytes in data.iter().flat_map(|data| data.as_bytes().chunks(64)) {
                writeln!(text, "  {}", String::from_utf8_lossy(bytes))?;
            }
        }
        Ok(())
    }
}

fn ranges(dump: &Dump, next: impl Fn(u64) -> Option<(u64, u64)>) -> (Vec<RangeRow>, bool) {
    let size = dump.page_size();
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some((first, end)) = next(at) {
        if ranges.len() == RANGES {
            return (ranges, false);
        }
        let (start, end_at) = (first.saturating_mul(size), end.saturating_mul(size));
        ranges.push(RangeRow { start: Hex(start), end: Hex(end_at) });
        at = end;
    }
    (ranges, true)
}

fn note(note: &necropsy_dump::Note) -> NoteRow {
    let data = (note.desc.len() <= NOTE).then(|| {
        note.desc.iter().fold(String::with_capacity(note.desc.len() * 2), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    });
    NoteRow { name: note.name.clone(), kind: note.kind, size: note.desc.len() as u64, data }
}

fn cpu_notes(dump: &Dump) -> Vec<CpuNoteRow> {
    let noted = dump.prstatus().iter().enumerate().map(|(index, status)| CpuNoteRow {
        index,
        from: "NT_PRSTATUS",
        pid: Some(status.pid),
        registers: status
            .registers()
            .map(|(name, value)| RegisterRow { name, value: Hex(value) })
            .collect(),
    });
    let states = dump.cpu_states().iter().enumerate().map(|(index, state)| CpuNoteRow {
        index,
        from: "the machine's state",
        pid: None,
        registers: registers(state),
    });
    noted.chain(states).collect()
}

fn registers(state: &CpuState) -> Vec<RegisterRow> {
    const GENERAL: [&str; 16] = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];
    const CONTROL: [&str; 5] = ["cr0", "cr1", "cr2", "cr3", "cr4"];
    let row = |(&name, &value): (&&'static str, &u64)| RegisterRow { name, value: Hex(value) };
    let others = [
        ("rip", state.rip),
        ("rflags", state.rflags),
        ("gdt", state.gdt.base),
        ("idt", state.idt.base),
    ];
    GENERAL
        .iter()
        .zip(&state.general)
        .map(row)
        .chain(others.into_iter().map(|(name, value)| RegisterRow { name, value: Hex(value) }))
        .chain(CONTROL.iter().zip(&state.cr).map(row))
        .collect()
}

/// `3 ranges, 0-3fffffff` and how to see them all.
fn spans(ranges: &[RangeRow], complete: bool) -> String {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
        return "none: the dump holds no page".to_owned();
    };
    let more = if complete { "" } else { "more than " };
    let (start, end) = (first.start.0, last.end.0 - 1);
    let plural = if ranges.len() == 1 { "" } else { "s" };
    format!("{more}{} range{plural} from {start:x} to {end:x} (info -m)", ranges.len())
}

/// `2 CORE, 1 VMCOREINFO`
fn names(notes: &[NoteRow]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for note in notes {
        match counts.iter_mut().find(|(name, _)| *name == note.name) {
            Some((_, count)) => *count += 1,
            None => counts.push((&note.name, 1)),
        }
    }
    let words = counts.iter().map(|(name, count)| format!("{count} {name}"));
    format!("{} (info -n)", words.collect::<Vec<_>>().join(", "))
}
