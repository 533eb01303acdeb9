//! `unix.N` and `vmcore.N` as savecore makes them, byte for byte.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::{
    Container, DF_COMPRESSED, IllumosDump,
    header::HEADER_SIZE,
    map::{self, HASHED_ENTRY},
};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The symbol image.
    pub unix: PathBuf,
    /// Memory.
    pub vmcore: PathBuf,
    /// Pages written.
    pub pages: u64,
    /// Pages that the dump says it has.
    pub expected: u64,
    /// Translations that lead to no page of the dump: left out.
    pub lost_translations: u64,
}

/// What is being done, for those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// `unix.N` is being written.
    Namelist(&'a Path),
    /// `vmcore.N` is being written.
    Corefile(&'a Path),
    /// So many pages were written, of so many.
    Pages(u64, u64),
}

/// Why a dump was not expanded.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The output is there already.
    #[error("{}: exists already: remove it, or name another directory", .0.display())]
    Exists(PathBuf),
    /// Nothing is to be done.
    #[error("{}: a vmcore is expanded already", .0.display())]
    Expanded(PathBuf),
    /// The name does not end in a number.
    #[error("{}: the name does not end in .NUMBER, as in vmdump.0", .0.display())]
    NoNumber(PathBuf),
    /// The symbol image cannot be had.
    #[error("{0}")]
    Symbols(String),
    /// A header that cannot be placed.
    #[error("the dump's sizes are impossible")]
    Sizes,
    /// Writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl IllumosDump {
    /// The number at the end of the dump's name.
    pub fn number(&self) -> Option<u64> {
        // Of a packed one, too: vmdump.0.gz.
        let name = self.path.file_name()?.to_str()?;
        name.split('.').skip(1).find_map(|part| part.parse().ok())
    }

    /// Writes `unix.N` and `vmcore.N` into `dir`. A cut dump is expanded as far as it goes: pages
    /// that are not there stay holes, which read as zeros, as savecore leaves them.
    ///
    /// # Errors
    /// A file is there already, or cannot be written.
    pub fn expand(
        &self,
        dir: &Path,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> Result<Expanded, ExpandError> {
        if self.container == Container::Vmcore {
            return Err(ExpandError::Expanded(self.path.clone()));
        }
        let number = match self.number() {
            Some(number) => number,
            None if self.container == Container::Device => 0,
            None => return Err(ExpandError::NoNumber(self.path.clone())),
        };
        let unix = dir.join(format!("unix.{number}"));
        let vmcore = dir.join(format!("vmcore.{number}"));
        for path in [&unix, &vmcore] {
            if path.exists() {
                return Err(ExpandError::Exists(path.clone()));
            }
        }
        let ksyms = self.ksyms().map_err(ExpandError::Symbols)?;
        tell(Step::Namelist(&unix));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ExpandError::Io { path, source }
        };
        create(&unix).and_then(|mut file| file.write_all(&ksyms)).map_err(failed(&unix))?;
        tell(Step::Corefile(&vmcore));
        let layout = Layout::new(self).ok_or(ExpandError::Sizes)?;
        let mut done = || -> io::Result<(u64, u64)> {
            let file = create(&vmcore)?;
            let mut out = BufWriter::with_capacity(1 << 20, file);
            let lost = self.write_tables(&layout, &mut out)?;
            let (pages, end) = self.write_pages(&layout, &mut out, tell)?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            if file.metadata()?.len() < end {
                file.set_len(end)?;
            }
            Ok((pages, lost))
        };
        let (pages, lost_translations) = done().map_err(failed(&vmcore))?;
        let expected = self.header.npages;
        Ok(Expanded { unix, vmcore, pages, expected, lost_translations })
    }

    fn write_tables(&self, layout: &Layout, out: &mut (impl Write + Seek)) -> io::Result<u64> {
        let header = &self.header;
        let mut bytes = self.image.get_up_to(self.header_at, HEADER_SIZE).into_owned();
        bytes.resize(HEADER_SIZE, 0);
        let mut put =
            |at: usize, number: u64| bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        put(24, layout.ksyms);
        put(32, layout.pfn);
        put(40, layout.map);
        put(48, layout.data);
        let flags = header.flags & !(DF_COMPRESSED | 1);
        bytes[8..12].copy_from_slice(&flags.to_le_bytes());
        out.write_all(&bytes)?;
        out.seek(SeekFrom::Start(layout.ksyms))?;
        out.write_all(&self.image.get_up_to(header.ksyms, header.ksyms_csize as usize))?;
        out.seek(SeekFrom::Start(layout.pfn))?;
        let frames = self.frames() as usize * 8;
        out.write_all(&self.image.get_up_to(header.pfn, frames))?;
        self.write_map(layout, out)
    }

    /// The hash table: heads of buckets and entries share its slots; an entry goes to the front
    /// of its chain.
    fn write_map(&self, layout: &Layout, out: &mut (impl Write + Seek)) -> io::Result<u64> {
        let header = &self.header;
        let slots = header.hashmask + 1;
        let mut first = vec![0u64; slots as usize];
        let mut entries: Vec<[u64; 4]> = Vec::new();
        let mut lost = 0;
        for (slot, (space, address, frame)) in map::raw_entries(&self.image, header).enumerate() {
            let slot = slot as u64;
            let Some(index) = self.index_of(frame) else {
                lost += 1;
                entries.push([0; 4]);
                continue;
            };
            let head = &mut first[map::hash(header, space, address) as usize];
            let data = layout.data + index * header.pagesize;
            entries.push([*head, data, space, address]);
            *head = layout.map + slot * HASHED_ENTRY;
        }
        out.seek(SeekFrom::Start(layout.map))?;
        for (slot, head) in first.iter().enumerate().take(slots as usize) {
            let [next, data, space, address] = entries.get(slot).copied().unwrap_or_default();
            for number in [*head, next, data, space, address] {
                out.write_all(&number.to_le_bytes())?;
            }
        }
        Ok(lost)
    }

    /// Pages in order. Those of zeros are left out, so the file ends with the last other one.
    fn write_pages(
        &self,
        layout: &Layout,
        out: &mut (impl Write + Seek),
        tell: &mut dyn FnMut(Step<'_>),
    ) -> io::Result<(u64, u64)> {
        let size = self.header.pagesize;
        let mut at = out.seek(SeekFrom::Start(layout.data))?;
        let mut end = layout.map + (self.header.hashmask + 1) * HASHED_ENTRY;
        let mut pages = 0;
        for index in 0..self.header.npages {
            if index % 65536 == 0 {
                tell(Step::Pages(pages, self.header.npages));
            }
            let Ok(page) = self.page_at(index) else { continue };
            pages += 1;
            if page.iter().all(|&byte| byte == 0) {
                continue;
            }
            let offset = layout.data + index * size;
            if at != offset {
                out.seek(SeekFrom::Start(offset))?;
            }
            out.write_all(&page)?;
            at = offset + size;
            end = at;
        }
        tell(Step::Pages(pages, self.header.npages));
        Ok((pages, end))
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Where the parts of a `vmcore` lie.
struct Layout {
    ksyms: u64,
    pfn: u64,
    map: u64,
    data: u64,
}

impl Layout {
    /// `None` if the sizes are impossible: what the file cannot hold is not made room for.
    fn new(dump: &IllumosDump) -> Option<Layout> {
        let header = &dump.header;
        let slots = header.hashmask.checked_add(1)?;
        if slots > header.nvtop.max(1).checked_next_power_of_two()?.checked_mul(2)?
            || header.nvtop > slots
            || header.npages > dump.frames()
            || header.nvtop > dump.image.len() / map::RAW_ENTRY
        {
            return None;
        }
        let ksyms = header.pagesize;
        let pfn = ksyms.checked_add(header.round(header.ksyms_size)?)?;
        let map = pfn.checked_add(header.round(header.npages.checked_mul(8)?)?)?;
        let data = map.checked_add(header.round(slots.checked_mul(HASHED_ENTRY)?)?)?;
        Some(Layout { ksyms, pfn, map, data })
    }
}
