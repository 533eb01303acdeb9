//! A container's header and its unpacked body.

use std::io::Read as _;

use super::CtfError;
use crate::bytes::{byte, u16_le, u32_le};

const MAGIC: u16 = 0xcff1;
/// The magic number of the other CTF, which GNU tools write.
const GNU_MAGIC: u16 = 0xdff2;
const HEADER: usize = 36;
const COMPRESSED: u8 = 1;
/// The most that a body may take: genunix's is under 4 MB.
const MAX_BODY: usize = 64 << 20;
/// A string reference into the module's own string table.
const ELF_STRING: u32 = 1 << 31;

/// Where the sections of the body lie, in bytes from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    parname: u32,
    pub(super) objects: usize,
    pub(super) functions: usize,
    pub(super) types: usize,
    pub(super) strings: usize,
    pub(super) strings_len: usize,
    is_child: bool,
}

impl Header {
    /// The name of the parent, if there is one.
    pub(super) fn parent_name(&self, body: &[u8], elf_strings: &[u8]) -> Option<String> {
        if !self.is_child {
            return None;
        }
        Some(self.string(body, elf_strings, self.parname).unwrap_or_default())
    }

    fn string(&self, body: &[u8], elf_strings: &[u8], reference: u32) -> Option<String> {
        let offset = (reference & !ELF_STRING) as usize;
        let table = match reference & ELF_STRING {
            0 => body.get(self.strings..self.strings + self.strings_len)?,
            _ => elf_strings,
        };
        let name = table.get(offset..)?.split(|&b| b == 0).next()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

/// Checks the header and unpacks the body.
pub(super) fn unpack(data: &[u8]) -> Result<(Header, Vec<u8>), CtfError> {
    let damaged = CtfError::Damaged;
    match u16_le(data, 0) {
        Some(MAGIC) => {}
        Some(GNU_MAGIC) => return Err(CtfError::Version("CTF of GNU tools")),
        _ => return Err(CtfError::NotCtf),
    }
    match byte(data, 2) {
        Some(2) => {}
        Some(1) => return Err(CtfError::Version("CTF version 1, of Solaris 9")),
        Some(3) => return Err(CtfError::Version("CTF version 3, of FreeBSD")),
        _ => return Err(CtfError::Version("an unknown version of CTF")),
    }
    let flags = byte(data, 3).ok_or(damaged("its header is cut"))?;
    let mut words = [0usize; 8];
    for (index, word) in words.iter_mut().enumerate() {
        *word = u32_le(data, 4 + 4 * index).ok_or(damaged("its header is cut"))? as usize;
    }
    let [_, parname, labels, objects, functions, types, strings, strings_len] = words;
    let size = strings + strings_len;
    if !(labels <= objects && objects <= functions && functions <= types && types <= strings)
        || labels % 4 != 0
        || types % 4 != 0
        || objects % 2 != 0
        || functions % 2 != 0
        || size > MAX_BODY
    {
        return Err(damaged("its sections' order is impossible"));
    }
    let packed = data.get(HEADER..).unwrap_or(&[]);
    let mut body = Vec::new();
    if flags & COMPRESSED != 0 {
        let plain = flate2::read::ZlibDecoder::new(packed);
        // What was unpacked before damage is not used: a part of the types misleads.
        plain
            .take(size as u64)
            .read_to_end(&mut body)
            .map_err(|_| damaged("its body does not unpack"))?;
    } else {
        body.extend_from_slice(packed.get(..size).unwrap_or(packed));
    }
    if body.len() < size {
        return Err(damaged("its body is shorter than its header says"));
    }
    let header = Header {
        parname: parname as u32,
        objects,
        functions,
        types,
        strings,
        strings_len,
        is_child: parname != 0,
    };
    Ok((header, body))
}
