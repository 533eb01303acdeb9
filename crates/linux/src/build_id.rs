//! Build IDs as the kernel has them in memory: they tell which debug information is the right one.

use necropsy_machine::Target;

/// `NT_GNU_BUILD_ID` of include/linux/elfnote.h and `lib/buildid.c`.
const NT_GNU_BUILD_ID: u32 = 3;
/// Bytes of notes, and of one build ID, that are believed.
const MAX_NOTES: u64 = 1 << 16;
const MAX_ID: usize = 64;

/// The kernel's build ID: from the notes of its image, else from VMCOREINFO. (Some stable kernels
/// of 2024 have garbage in VMCOREINFO: commit 905415ff3ffb without what it built on.)
pub fn of_kernel(target: &Target) -> Option<Vec<u8>> {
    let in_memory = || {
        let start = target.address_of("__start_notes")?;
        let end = target.address_of("__stop_notes")?;
        let notes = target.read_bytes(start, end.checked_sub(start)?.min(MAX_NOTES)).ok()?;
        in_notes(&notes, target.big_endian())
    };
    in_memory().or_else(|| from_hex(target.vmcoreinfo()?.get("BUILD-ID")?))
}

/// The build ID in a note section at a kernel virtual address.
pub(crate) fn at(target: &Target, address: u64) -> Option<Vec<u8>> {
    let header = target.read_array::<12>(address).ok()?;
    let word = |at: usize| target.number(&header[at..at + 4]);
    let size = word(0).checked_add(word(4))?.checked_add(16)?;
    in_notes(&target.read_bytes(address, size.min(256)).ok()?, target.big_endian())
}

/// The build ID among ELF notes (name size, description size, type, then both padded to 4 bytes).
fn in_notes(notes: &[u8], big_endian: bool) -> Option<Vec<u8>> {
    let mut rest = notes;
    loop {
        let word = |at: usize| {
            let bytes = rest.get(at..at + 4)?;
            let bytes = bytes.try_into().ok()?;
            Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
        };
        let (name_size, size) = (word(0)? as usize, word(4)? as usize);
        let name = rest.get(12..12usize.checked_add(name_size)?)?;
        let start = 12usize.checked_add(name_size.checked_next_multiple_of(4)?)?;
        let id = rest.get(start..start.checked_add(size)?)?;
        if word(8)? == NT_GNU_BUILD_ID && name == b"GNU\0" && (1..=MAX_ID).contains(&size) {
            return Some(id.to_vec());
        }
        rest = rest.get(start.checked_add(size.checked_next_multiple_of(4)?)?..)?;
    }
}

/// The build ID that [`to_hex`] writes.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 2 * MAX_ID {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

/// A build ID as text: lower-case hexadecimal.
pub fn to_hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_id_among_other_notes() {
        let mut notes = Vec::new();
        for (name, kind, id) in
            [(&b"Xen\0"[..], 3u32, &b"no"[..]), (b"GNU\0", 3, &[0xab, 0xcd, 0xef])]
        {
            notes.extend((name.len() as u32).to_le_bytes());
            notes.extend((id.len() as u32).to_le_bytes());
            notes.extend(kind.to_le_bytes());
            notes.extend(name);
            notes.extend(id);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(in_notes(&notes, false), Some(vec![0xab, 0xcd, 0xef]));
        for cut in 0..notes.len() - 1 {
            assert_eq!(in_notes(&notes[..cut], false), None, "{cut}");
        }
        assert_eq!(from_hex("abcdef"), Some(vec![0xab, 0xcd, 0xef]));
        assert_eq!(from_hex("abcde"), None);
    }
}
