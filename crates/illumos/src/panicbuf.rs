//! The bytes of `panicbuf` (`sys/panic.h`).

/// Bytes of `panicbuf`.
pub(crate) const PANICBUF_SIZE: usize = 8192;
/// Where the pairs begin in `panic_data_t`.
pub(crate) const PAIRS: usize = 48;
/// Bytes of a pair: 16 of its name, 8 of its value.
const PAIR: usize = 24;

/// The pairs of a `panic_data_t`.
pub(crate) fn pairs(panicbuf: &[u8]) -> Vec<(String, u64)> {
    let word = |at: usize| {
        let bytes = panicbuf.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let end = match (word(0), word(4)) {
        (Some(2), Some(end)) => (end as usize).min(panicbuf.len()),
        _ => return Vec::new(),
    };
    let pairs = panicbuf.get(PAIRS..end).unwrap_or(&[]).chunks_exact(PAIR);
    pairs
        .map(|pair| {
            let name = pair[..16].split(|&byte| byte == 0).next().unwrap_or(&[]);
            let mut value = [0; 8];
            value.copy_from_slice(&pair[16..24]);
            (String::from_utf8_lossy(name).into_owned(), u64::from_le_bytes(value))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect()
}
