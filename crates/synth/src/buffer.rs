//! Bytes at given places.

/// Byte order of the machine whose dump is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// A file that grows as things are put into it; what is between them is zero.
#[derive(Debug, Clone)]
pub struct Buffer {
    /// What is there so far.
    pub bytes: Vec<u8>,
    order: Order,
}

impl Buffer {
    /// An empty file.
    pub fn new(order: Order) -> Self {
        Buffer { bytes: Vec::new(), order }
    }

    /// Puts bytes at an offset.
    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        if self.bytes.len() < at + bytes.len() {
            self.bytes.resize(at + bytes.len(), 0);
        }
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts the low `size` bytes of a number at an offset.
    pub fn number(&mut self, at: usize, value: u64, size: usize) {
        match self.order {
            Order::Little => self.put(at, &value.to_le_bytes()[..size]),
            Order::Big => self.put(at, &value.to_be_bytes()[8 - size..]),
        }
    }

    /// Appends an ELF note: name with its NUL, type, description, each padded to 4 bytes.
    pub fn note(&mut self, name: &str, kind: u32, desc: &[u8]) {
        let at = self.bytes.len();
        let name_size = name.len() + 1;
        self.number(at, name_size as u64, 4);
        self.number(at + 4, desc.len() as u64, 4);
        self.number(at + 8, kind.into(), 4);
        self.put(at + 12, name.as_bytes());
        let desc_at = at + 12 + name_size.next_multiple_of(4);
        self.put(desc_at, desc);
        let end = desc_at + desc.len().next_multiple_of(4);
        self.bytes.resize(end, 0);
    }
}
