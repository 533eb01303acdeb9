//! Bytes that nobody vouches for: memory read by address, and integers out of slices, where a
//! position outside is `None`, never a panic.

/// Virtual memory, as far as the finders of tables need it.
pub trait Bytes {
    /// Fills `buf` from `address`; false when any byte of it cannot be had.
    fn read(&self, address: u64, buf: &mut [u8]) -> bool;

    /// Whether the most significant byte of a word comes first.
    fn big_endian(&self) -> bool {
        false
    }

    /// Bytes of a pointer.
    fn pointer_size(&self) -> usize {
        8
    }

    /// [`Bytes::read`] of words of `width` bytes, each of which is brought into little-endian order.
    fn read_words(&self, address: u64, buf: &mut [u8], width: usize) -> bool {
        let is_read = self.read(address, buf);
        if self.big_endian() {
            buf.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        is_read
    }
}

/// The byte at `at`.
pub(crate) fn byte(data: &[u8], at: usize) -> Option<u8> {
    data.get(at).copied()
}

fn array<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The little-endian `u16` at byte `at`.
pub(crate) fn u16_le(data: &[u8], at: usize) -> Option<u16> {
    array(data, at).map(u16::from_le_bytes)
}

/// The little-endian `u32` at byte `at`.
pub(crate) fn u32_le(data: &[u8], at: usize) -> Option<u32> {
    array(data, at).map(u32::from_le_bytes)
}

/// The little-endian `u64` at byte `at`.
pub(crate) fn u64_le(data: &[u8], at: usize) -> Option<u64> {
    array(data, at).map(u64::from_le_bytes)
}
