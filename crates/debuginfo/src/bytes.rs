//! Integers out of untrusted bytes: a position outside the slice is `None`, never a panic.

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
