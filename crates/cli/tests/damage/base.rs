//! A dump that can be hurt: written out as plain ELF, patched in its file, and healed again.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use necropsy_dump::{Dump, Keep, OpenOptions, Origin, write_elf};
use tempfile::TempDir;

/// A piece of memory and where it lies in the file.
struct Segment {
    physical: u64,
    size: u64,
    offset: u64,
}

/// A dump as an ELF file of its own.
pub(super) struct Base {
    /// What it was made from.
    pub(super) name: String,
    /// The ELF file.
    pub(super) path: PathBuf,
    /// The file as it was given.
    pub(super) packed: Vec<u8>,
    file: File,
    segments: Vec<Segment>,
    size: u64,
    /// Offset, and what was there.
    wounds: Vec<(u64, Vec<u8>)>,
    _folder: TempDir,
}

impl Base {
    pub(super) fn new(source: &Path) -> Base {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.elf");
        let dump = Dump::open(&[source.to_owned()], OpenOptions::default()).unwrap();
        write_elf(&path, &dump, &Origin::of(&dump), &|_| Keep::Store, None).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let segments = segments(&file);
        let size = file.metadata().unwrap().len();
        // The lab's files are all called alike, their folders are not.
        let names: Vec<_> =
            source.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
        let name = format!("{}/{}", names[1], names[0]);
        let packed = fs::read(source).unwrap();
        Base { name, path, packed, file, segments, size, wounds: Vec::new(), _folder: folder }
    }

    /// Bytes before the first page.
    pub(super) fn headers(&self) -> u64 {
        self.segments.iter().map(|segment| segment.offset).min().unwrap_or(0)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where a physical address lies in the file.
    pub(super) fn offset(&self, physical: u64) -> Option<u64> {
        let index = self.segments.partition_point(|segment| segment.physical <= physical);
        let segment = self.segments.get(index.checked_sub(1)?)?;
        let inside = physical - segment.physical;
        (inside < segment.size).then(|| segment.offset + inside)
    }

    /// Bytes of the file; fewer at its end.
    pub(super) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let len = len.min(self.size.saturating_sub(offset) as usize);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    /// Overwrites bytes of the file.
    pub(super) fn hurt(&mut self, offset: u64, bytes: &[u8]) {
        let before = self.read(offset, bytes.len());
        self.file.write_all_at(&bytes[..before.len()], offset).unwrap();
        self.wounds.push((offset, before));
    }

    /// Puts back what was overwritten, the last first: wounds may overlap.
    pub(super) fn heal(&mut self) {
        while let Some((offset, before)) = self.wounds.pop() {
            self.file.write_all_at(&before, offset).unwrap();
        }
    }

    /// Any stored physical address, by a number below [`stored`](Self::stored).
    pub(super) fn physical(&self, mut number: u64) -> u64 {
        for segment in &self.segments {
            if number < segment.size {
                return segment.physical + number;
            }
            number -= segment.size;
        }
        0
    }

    /// Bytes of memory in the file.
    pub(super) fn stored(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size).sum()
    }
}

/// The `PT_LOAD` headers of a 64-bit ELF file.
fn segments(file: &File) -> Vec<Segment> {
    let word = |at: u64| {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    };
    let count = word(56) & 0xffff;
    let headers = (0..count).map(|index| 64 + index * 56);
    let loads = headers.filter(|at| word(*at) & 0xffff_ffff == 1);
    let mut segments: Vec<_> = loads
        .map(|at| Segment { offset: word(at + 8), physical: word(at + 24), size: word(at + 32) })
        .filter(|segment| segment.size > 0)
        .collect();
    segments.sort_by_key(|segment| segment.physical);
    segments
}
