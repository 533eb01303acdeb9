//! ELF notes: name, number, bytes.

use crate::bytes::Fields;

/// Most bytes of notes that one dump may have; beyond that the sizes in the header are wrong.
pub(crate) const NOTES_LIMIT: u64 = 48 << 20;
/// Most notes: 20 for each of 8192 CPUs.
const NOTE_COUNT: usize = 1 << 18;

/// One ELF note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The owner: `CORE`, `LINUX`, `VMCOREINFO`, `QEMU`, …
    pub name: String,
    /// The note's type, whose meaning depends on the owner.
    pub kind: u32,
    /// The content.
    pub desc: Box<[u8]>,
}

/// `NT_PRSTATUS` of owner `CORE`: a CPU's registers when it stopped.
pub(crate) const NT_PRSTATUS: u32 = 1;
/// `NT_TASKSTRUCT` of owner `CORE`: the panicking task's `task_struct`.
pub(crate) const NT_TASKSTRUCT: u32 = 4;

impl Note {
    /// Whether this is a CPU's `NT_PRSTATUS`.
    pub fn is_prstatus(&self) -> bool {
        self.name == "CORE" && self.kind == NT_PRSTATUS
    }

    /// Whether this is the panicking task's `NT_TASKSTRUCT`.
    pub fn is_task_struct(&self) -> bool {
        self.name == "CORE" && self.kind == NT_TASKSTRUCT
    }
}

/// All notes of a note area, up to the first that cannot be one.
///
/// An entry of three zero words is padding of /proc/vmcore's merged notes, and is passed over.
pub(crate) fn parse(bytes: &[u8], big_endian: bool) -> Vec<Note> {
    let fields = Fields::new(bytes, big_endian);
    let mut notes = Vec::new();
    let mut at = 0usize;
    while let (Some(namesz), Some(descsz), Some(kind)) =
        (fields.u32(at), fields.u32(at + 4), fields.u32(at + 8))
    {
        let name_at = at + 12;
        let Some(desc_at) = name_at.checked_add(padded(namesz)) else { break };
        let Some(desc_end) = desc_at.checked_add(descsz as usize) else { break };
        let Some(desc) = bytes.get(desc_at..desc_end) else { break };
        if notes.len() >= NOTE_COUNT {
            break;
        }
        if (namesz, descsz) != (0, 0) {
            let name = fields.string(name_at, namesz as usize);
            notes.push(Note { name, kind, desc: desc.into() });
        }
        let Some(next) = desc_at.checked_add(padded(descsz)) else { break };
        at = next;
    }
    notes
}

fn padded(size: u32) -> usize {
    (size as usize + 3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [name.len() as u32, desc.len() as u32, kind] {
            out.extend(word.to_be_bytes());
        }
        for part in [name, desc] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out
    }

    #[test]
    fn notes_and_their_padding() {
        let mut bytes = note(b"CORE\0", 1, b"12345");
        bytes.extend([0; 12]);
        bytes.extend(note(b"VMCOREINFO\0", 0, b"A=1\n"));
        let notes = parse(&bytes, true);
        assert_eq!(notes.len(), 2);
        assert!(notes[0].is_prstatus());
        assert_eq!(&*notes[0].desc, b"12345");
        assert_eq!((notes[1].name.as_str(), &*notes[1].desc), ("VMCOREINFO", &b"A=1\n"[..]));
    }

    #[test]
    fn impossible_sizes_end_the_list() {
        let mut bytes = note(b"CORE\0", 1, b"1234");
        bytes.extend(note(b"X\0", 2, b""));
        let at = bytes.len() - 12;
        bytes[at..at + 8].fill(0xff);
        assert_eq!(parse(&bytes, true).len(), 1);
        assert!(parse(&[0xff; 11], false).is_empty());
    }
}
