//! tar and zip.

use std::io::Write;

use crate::{Buffer, Order};

/// A tar archive of files: name and content.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in files {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        header[263..265].copy_from_slice(b"00");
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        out.extend(header);
        out.extend(*data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// A zip archive of files: name and content; deflated or stored.
///
/// # Panics
/// When the compressor fails, which it does not on memory.
pub fn zip(files: &[(&str, &[u8])], deflated: bool) -> Vec<u8> {
    let mut out = Buffer::new(Order::Little);
    let mut directory = Buffer::new(Order::Little);
    for (name, data) in files {
        let packed = if deflated {
            let level = flate2::Compression::fast();
            let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), level);
            packer.write_all(data).unwrap();
            packer.finish().unwrap()
        } else {
            data.to_vec()
        };
        let method = if deflated { 8 } else { 0 };
        let local = out.bytes.len();
        out.put(local, b"PK\x03\x04");
        out.number(local + 8, method, 2);
        out.number(local + 18, packed.len() as u64, 4);
        out.number(local + 22, data.len() as u64, 4);
        out.number(local + 26, name.len() as u64, 2);
        out.number(local + 28, 0, 2);
        out.put(local + 30, name.as_bytes());
        out.put(local + 30 + name.len(), &packed);
        let entry = directory.bytes.len();
        directory.put(entry, b"PK\x01\x02");
        directory.number(entry + 10, method, 2);
        directory.number(entry + 20, packed.len() as u64, 4);
        directory.number(entry + 24, data.len() as u64, 4);
        directory.number(entry + 28, name.len() as u64, 2);
        directory.number(entry + 42, local as u64, 4);
        directory.put(entry + 46, name.as_bytes());
    }
    let at = out.bytes.len();
    out.put(at, &directory.bytes);
    let end = out.bytes.len();
    out.put(end, b"PK\x05\x06");
    out.number(end + 8, files.len() as u64, 2);
    out.number(end + 10, files.len() as u64, 2);
    out.number(end + 12, directory.bytes.len() as u64, 4);
    out.number(end + 16, at as u64, 4);
    out.number(end + 20, 0, 2);
    out.bytes
}
