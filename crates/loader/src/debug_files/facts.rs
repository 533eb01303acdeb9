//! What an ELF file says of itself: read from its headers, whatever its size.

use object::{Object, ObjectKind, ObjectSection, elf};

/// The longest build-id that is taken for one: SHA-512 is the longest hash there is.
const MAX_BUILD_ID: usize = 64;

/// What kind of ELF file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Linked to run somewhere: a kernel.
    Linked,
    /// To be relocated first: a module.
    Relocatable,
    /// A dump.
    Core,
}

/// What tells whether a file is the one that is looked for.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) kind: Kind,
    pub(super) build_id: Option<Vec<u8>>,
    /// Whether there is DWARF in it, packed or not.
    pub(super) has_debug: bool,
    /// The name of the file that has the DWARF, and its checksum.
    pub(super) link: Option<(String, u32)>,
}

impl Facts {
    /// `None` for what is no ELF file, or damaged.
    pub(super) fn of(bytes: &[u8]) -> Option<Facts> {
        let file = object::File::parse(bytes).ok()?;
        let kind = match file.kind() {
            ObjectKind::Relocatable => Kind::Relocatable,
            ObjectKind::Executable | ObjectKind::Dynamic => Kind::Linked,
            ObjectKind::Core => Kind::Core,
            _ => return None,
        };
        let build_id = file.build_id().ok().flatten();
        let build_id = build_id.filter(|id| (1..=MAX_BUILD_ID).contains(&id.len()));
        let link = file.gnu_debuglink().ok().flatten().and_then(|(name, checksum)| {
            let name = std::str::from_utf8(name).ok()?;
            // A name, not a way out of the folders that are looked at.
            let plain = !matches!(name, "" | "." | "..") && !name.contains('/');
            plain.then(|| (name.to_owned(), checksum))
        });
        Some(Facts {
            kind,
            build_id: build_id.map(<[u8]>::to_vec),
            has_debug: file.sections().any(|section| is_debug_info(&section)),
            link,
        })
    }
}

/// A file that was stripped may keep the headers of what went.
fn is_debug_info<'data>(section: &impl ObjectSection<'data>) -> bool {
    matches!(section.name_bytes(), Ok(b".debug_info" | b".zdebug_info"))
        && section.file_range().is_some_and(|(_, size)| size > 0)
}

/// The kind of the ELF file that begins with these bytes.
pub(super) fn kind_of_head(head: &[u8]) -> Option<Kind> {
    let field: [u8; 2] = head.get(16..18)?.try_into().ok()?;
    let value = match (head.starts_with(b"\x7fELF"), head[5]) {
        (true, 1) => u16::from_le_bytes(field),
        (true, 2) => u16::from_be_bytes(field),
        _ => return None,
    };
    match value {
        value if value == elf::ET_REL.0 => Some(Kind::Relocatable),
        value if value == elf::ET_EXEC.0 || value == elf::ET_DYN.0 => Some(Kind::Linked),
        value if value == elf::ET_CORE.0 => Some(Kind::Core),
        _ => None,
    }
}

/// The checksum of `.gnu_debuglink`: CRC-32 as gzip has it.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
