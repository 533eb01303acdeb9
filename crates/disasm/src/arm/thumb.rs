//! Branch targets of Thumb code, from the encodings (Arm Architecture Reference Manual for
//! ARMv7-A, A8.8.18 B, A8.8.25 BL and BLX, A8.8.29 CBNZ and CBZ).

/// The target of a direct branch, or `None` if the instruction is none. Bit 0 is clear.
pub(super) fn target(bytes: &[u8], address: u64) -> Option<u64> {
    let first = u32::from(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?));
    let pc = address.wrapping_add(4);
    let Some(second) = bytes.get(2..4) else {
        let offset = match first >> 12 {
            0b1101 if first >> 8 & 0xf < 0xe => extend(first & 0xff, 8) << 1,
            0b1110 if first >> 11 & 1 == 0 => extend(first & 0x7ff, 11) << 1,
            0b1011 if first & 0x0500 == 0x0100 => {
                i64::from((first >> 9 & 1) << 6 | (first >> 3 & 0x1f) << 1)
            }
            _ => return None,
        };
        return Some(pc.wrapping_add(offset as u64));
    };
    let second = u32::from(u16::from_le_bytes(second.try_into().ok()?));
    if first >> 11 != 0b11110 || second >> 15 == 0 {
        return None;
    }
    let sign = first >> 10 & 1;
    let (j1, j2) = (second >> 13 & 1, second >> 11 & 1);
    let is_wide = second >> 12 & 1 == 1 || second >> 14 & 1 == 1;
    if !is_wide {
        // Conditional; conditions from 14 on are other instructions.
        if first >> 6 & 0xf >= 14 {
            return None;
        }
        let bits = sign << 19 | j2 << 18 | j1 << 17 | (first & 0x3f) << 11 | second & 0x7ff;
        return Some(pc.wrapping_add((extend(bits, 20) << 1) as u64));
    }
    let (i1, i2) = (1 ^ j1 ^ sign, 1 ^ j2 ^ sign);
    let bits = sign << 23 | i1 << 22 | i2 << 21 | (first & 0x3ff) << 11 | second & 0x7ff;
    // BLX leads to ARM code, which is aligned to four bytes.
    let pc = if second >> 12 & 1 == 0 { pc & !3 } else { pc };
    Some(pc.wrapping_add((extend(bits, 24) << 1) as u64))
}

fn extend(bits: u32, width: u32) -> i64 {
    let unused = 32 - width;
    i64::from((bits << unused) as i32 >> unused)
}
