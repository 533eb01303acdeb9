//! Numbers out of untrusted bytes: every access is checked, byte order is a value.

/// A slice with a byte order. All offsets are in bytes; `None` means beyond the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) big_endian: bool,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Fields { bytes, big_endian }
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    pub(crate) fn u16(&self, at: usize) -> Option<u16> {
        let b = self.array(at)?;
        Some(if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        let b = self.array(at)?;
        Some(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    pub(crate) fn u64(&self, at: usize) -> Option<u64> {
        let b = self.array(at)?;
        Some(if self.big_endian { u64::from_be_bytes(b) } else { u64::from_le_bytes(b) })
    }

    /// An unsigned number of 2, 4 or 8 bytes.
    pub(crate) fn uint(&self, at: usize, size: usize) -> Option<u64> {
        match size {
            2 => self.u16(at).map(u64::from),
            4 => self.u32(at).map(u64::from),
            8 => self.u64(at),
            _ => None,
        }
    }

    /// A C string in a field of at most `size` bytes; what is not UTF-8 is replaced.
    pub(crate) fn string(&self, at: usize, size: usize) -> String {
        let end = at.saturating_add(size).min(self.bytes.len());
        let field = self.bytes.get(at..end).unwrap_or(&[]);
        let field = field.split(|&b| b == 0).next().unwrap_or(&[]);
        String::from_utf8_lossy(field).into_owned()
    }
}
