//! LZJB, the compression of `uts/common/os/compress.c`.

/// Unpacks `src` into `dst`, which has the size of what was packed. What did not become smaller
/// was stored as it is. `None` if `src` is damaged or does not fill `dst`.
pub fn decompress(src: &[u8], dst: &mut [u8]) -> Option<()> {
    if src.len() >= dst.len() {
        dst.copy_from_slice(src.get(..dst.len())?);
        return Some(());
    }
    let (mut from, mut to, mut items, mut control) = (0, 0, 0, 0);
    while to < dst.len() {
        if items == 0 {
            control = *src.get(from)?;
            from += 1;
            items = 8;
        }
        let is_copy = control & 1 == 1;
        control >>= 1;
        items -= 1;
        if !is_copy {
            dst[to] = *src.get(from)?;
            from += 1;
            to += 1;
            continue;
        }
        let (high, low) = (*src.get(from)?, *src.get(from + 1)?);
        from += 2;
        let length = usize::from(high >> 2) + 3;
        let distance = usize::from(u16::from_be_bytes([high, low]) & 0x3ff);
        let start = to.checked_sub(distance).filter(|_| distance > 0)?;
        let end = dst.len().min(to + length);
        if distance >= end - to {
            dst.copy_within(start..start + (end - to), to);
        } else {
            // The copy overlaps what it makes: a run.
            for at in to..end {
                dst[at] = dst[at - distance];
            }
        }
        to = end;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_copies_and_runs() {
        // Three literals, then a copy of 8 bytes from 3 back, then one literal.
        let packed = [0b0000_1000, b'a', b'b', b'c', (8 - 3) << 2, 3, b'!'];
        let mut page = [0; 12];
        decompress(&packed, &mut page).unwrap();
        assert_eq!(&page, b"abcabcabcab!");
    }

    #[test]
    fn what_was_stored_is_copied_and_damage_is_told() {
        let mut page = [0; 4];
        decompress(b"abcd", &mut page).unwrap();
        assert_eq!(&page, b"abcd");
        // A distance of zero, one before the start, and an early end.
        let mut page = [0; 16];
        assert!(decompress(&[1, 0, 0], &mut page).is_none());
        assert!(decompress(&[2, b'a', 0, 2], &mut page).is_none());
        assert!(decompress(&[0, b'a'], &mut page).is_none());
        assert!(decompress(&[], &mut page).is_none());
    }
}
