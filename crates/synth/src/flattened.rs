//! `makedumpfile -F`: content as a stream of records.

/// The flattened form of `content`: records of `chunk` bytes, neighbours swapped, zeros left out,
/// and the first chunk written twice (first with junk), as makedumpfile rewrites its header.
pub fn flatten(content: &[u8], chunk: usize) -> Vec<u8> {
    let mut out = b"makedumpfile\0\0\0\0".to_vec();
    out.extend(1u64.to_be_bytes());
    out.extend(1u64.to_be_bytes());
    out.resize(4096, 0);
    let mut record = |offset: usize, data: &[u8]| {
        out.extend((offset as u64).to_be_bytes());
        out.extend((data.len() as u64).to_be_bytes());
        out.extend(data);
    };
    record(0, &vec![0xee; chunk.min(content.len())]);
    let count = content.len().div_ceil(chunk);
    for position in 0..count {
        let swapped = position ^ 1;
        let index = if swapped < count { swapped } else { position };
        let data = &content[index * chunk..content.len().min((index + 1) * chunk)];
        if index == 0 || index == count - 1 || data.iter().any(|&byte| byte != 0) {
            record(index * chunk, data);
        }
    }
    out.extend([0xff; 16]);
    out
}
