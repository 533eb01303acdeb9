//! LZJB, written from its description: a control byte for eight items, the lowest bit first; a copy
//! is six bits of length less three and ten bits of distance.

/// Packs bytes; `None` if that makes them no smaller.
pub fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut last = vec![usize::MAX; 1 << 12];
    let (mut at, mut control, mut item) = (0, 0, 8);
    while at < plain.len() {
        if item == 8 {
            control = out.len();
            out.push(0);
            item = 0;
        }
        let mut found = None;
        if at + 3 <= plain.len() {
            let key = plain[at..at + 3].iter().fold(0usize, |key, &b| key * 31 + usize::from(b));
            let slot = &mut last[key & 0xfff];
            let before = std::mem::replace(slot, at);
            if before < at && at - before < 1024 {
                let most = (plain.len() - at).min(66);
                let length = (0..most).take_while(|i| plain[before + i] == plain[at + i]).count();
                if length >= 3 {
                    found = Some((at - before, length));
                }
            }
        }
        match found {
            Some((distance, length)) => {
                out[control] |= 1 << item;
                out.push(((length - 3) << 2 | distance >> 8) as u8);
                out.push(distance as u8);
                at += length;
            }
            None => {
                out.push(plain[at]);
                at += 1;
            }
        }
        item += 1;
        if out.len() >= plain.len() {
            return None;
        }
    }
    Some(out)
}
