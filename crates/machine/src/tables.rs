//! The unwind tables of images, read from the dump when they are first asked for.

use necropsy_debuginfo::orc::{self, Orc, RawOrc};

use necropsy_dump::{Fault, Reason};

use crate::{
    Image, Target,
    image::{OrcTables, TableError},
    target::MAX_TABLE,
};

impl Image {
    /// What keeps the unwind rule for the instruction at `pc` from being known, though there is a
    /// table: memory that could not be read.
    pub fn orc_fault(&self, target: &Target, pc: u64) -> Option<Fault> {
        match self.load_orc(target)? {
            Ok(orc) => orc.missing(pc).and_then(|at| target.read_u8(at).err()),
            Err(TableError::Fault(fault)) => Some(*fault),
            Err(_) => None,
        }
    }

    /// Its unwind table, read from `target` on first use; `None` when it has none or it cannot be
    /// read.
    pub fn orc(&self, target: &Target) -> Option<&Orc> {
        self.load_orc(target)?.as_ref().ok()
    }

    /// Why its unwind table could not be used; `None` when it could, or it has none.
    pub fn orc_problem(&self, target: &Target) -> Option<&TableError> {
        self.load_orc(target)?.as_ref().err()
    }

    fn load_orc(&self, target: &Target) -> Option<&Result<Orc, TableError>> {
        self.orc.get_or_init(|| self.orc_tables.map(|tables| target.load_orc(&tables))).as_ref()
    }
}

impl Target {
    fn load_orc(&self, tables: &OrcTables) -> Result<Orc, TableError> {
        let table = |at, size: u64| {
            let len = tables.count.saturating_mul(size);
            let len = usize::try_from(len).ok().filter(|&len| len as u64 <= MAX_TABLE);
            let len = len.ok_or(Fault::kernel(at, Reason::Corrupt))?;
            let sparse = self.read_with_holes(at, len);
            // Nothing of it: the reason is all there is to say.
            match sparse.hidden {
                Some(fault) if sparse.is_all_missing() => Err(fault),
                _ => Ok(sparse),
            }
        };
        let ips = table(tables.ip, 4)?;
        let entries = table(tables.entries, 6)?;
        let hash =
            self.address_of("__start_orc_header").and_then(|at| self.read_array::<20>(at).ok());
        let format = orc::orc_format(hash.as_ref(), &entries.bytes);
        let raw = RawOrc {
            ips: &ips.bytes,
            ip_holes: &ips.holes,
            ips_at: tables.ip,
            entries: &entries.bytes,
            entry_holes: &entries.holes,
            entries_at: tables.entries,
        };
        Ok(Orc::parse_with_holes(&raw, format)?)
    }
}

impl Target {
    /// Whether the kernel was built to keep frame pointers in place of an unwind table: it has no table,
    /// and its functions begin with setting one up.
    pub fn frame_pointers(&self) -> bool {
        /// Functions that every kernel has, written in C.
        const ASKED: [&str; 4] = ["schedule", "do_exit", "vfs_read", "kernel_clone"];
        *self.frame_pointers.get_or_init(|| {
            let sets = |name: &str| {
                self.address_of(name)
                    .is_some_and(|at| self.architecture().sets_frame_pointer(self, at))
            };
            self.kernel().orc_tables.is_none()
                && self.kernel().orc(self).is_none()
                && ASKED.iter().any(|name| sets(name))
        })
    }
}
