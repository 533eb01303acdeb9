//! Numbers into bytes, in the byte order of the machine that the dump is of.

/// Bytes under construction.
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    big_endian: bool,
}

impl Out {
    pub(super) fn new(big_endian: bool) -> Self {
        Out { bytes: Vec::new(), big_endian }
    }

    /// The low `size` bytes of `value`.
    pub(super) fn uint(&mut self, value: u64, size: usize) {
        let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
        let size = size.min(8);
        self.bytes.extend(if self.big_endian { &big[8 - size..] } else { &little[..size] });
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.uint(value.into(), 2);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.uint(value.into(), 4);
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.uint(value, 8);
    }

    /// A number of `size` bytes, aligned to `align`.
    pub(super) fn aligned(&mut self, value: u64, size: usize, align: usize) {
        self.align(align);
        self.uint(value, size);
    }

    pub(super) fn align(&mut self, align: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
    }

    /// A C string in a field of `size` bytes, cut to fit with its NUL.
    pub(super) fn string(&mut self, text: &str, size: usize) {
        let end = self.bytes.len() + size;
        let text = text.as_bytes();
        self.bytes.extend(&text[..text.len().min(size.saturating_sub(1))]);
        self.bytes.resize(end, 0);
    }

    /// An ELF note.
    pub(super) fn note(&mut self, name: &str, kind: u32, desc: &[u8]) {
        self.u32(name.len() as u32 + 1);
        self.u32(desc.len() as u32);
        self.u32(kind);
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.align(4);
        self.bytes.extend(desc);
        self.align(4);
    }
}
