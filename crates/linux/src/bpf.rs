//! BPF programs and maps (kernel/bpf/syscall.c, include/linux/bpf.h).

use necropsy_debuginfo::{Kind, Type};

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    xarray,
};

/// More maps than a program uses (MAX_USED_MAPS is 64).
const MAX_USED_MAPS: u64 = 1024;
/// Bytes of an instruction.
pub const INSTRUCTION: u64 = 8;

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its number.
    pub id: u64,
    /// Virtual address of the `struct bpf_prog`.
    pub address: u64,
    /// Virtual address of the `struct bpf_prog_aux`.
    pub aux: u64,
    /// `SOCKET_FILTER`, or its number.
    pub kind: String,
    /// A hash of its instructions.
    pub tag: Result<[u8; 8]>,
    /// Numbers of the maps that it uses.
    pub maps: Result<Vec<u64>>,
    /// Its name; empty without one.
    pub name: Result<String>,
    /// Bytes of its instructions.
    pub bytes: Result<u64>,
    /// Bytes of the machine code that was made of them; 0 for none.
    pub jited_bytes: Result<u64>,
    /// Bytes of memory that it takes.
    pub memory: Result<u64>,
    /// When it was loaded, in nanoseconds since boot.
    pub loaded: Result<u64>,
    /// Who loaded it.
    pub uid: Result<u64>,
    /// Where the machine code begins.
    pub code: Result<u64>,
    /// Where the instructions begin.
    pub bytecode: Result<u64>,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Its number.
    pub id: u64,
    /// Virtual address of the `struct bpf_map`.
    pub address: u64,
    /// `HASH`, or its number.
    pub kind: String,
    /// BPF_F_ flags.
    pub flags: Result<u64>,
    /// Bytes of a key.
    pub key_size: Result<u64>,
    /// Bytes of a value.
    pub value_size: Result<u64>,
    /// How many there can be.
    pub max_entries: Result<u64>,
    /// Bytes of memory that are charged for it; unknown since 5.11, where the cgroup counts them.
    pub memory: Result<u64>,
    /// Its name; empty without one.
    pub name: Result<String>,
    /// Who made it; unknown since 5.11.
    pub uid: Result<u64>,
}

impl Kernel {
    /// The programs that are loaded, by number, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no BPF.
    pub fn bpf_programs(&self) -> Result<(Vec<Program>, Vec<Error>)> {
        let entries = self.numbered(self.shapes().bpf_tables.programs.address()?)?;
        Ok(self.each(entries, |at| self.bpf_program(at)))
    }

    /// The maps that there are, by number, and what could not be read.
    ///
    /// # Errors
    /// This kernel has no BPF.
    pub fn bpf_maps(&self) -> Result<(Vec<Map>, Vec<Error>)> {
        let entries = self.numbered(self.shapes().bpf_tables.maps.address()?)?;
        Ok(self.each(entries, |at| self.bpf_map(at)))
    }

    /// What a `struct idr` holds: the tree is its first member.
    fn numbered(&self, idr: u64) -> Result<Vec<Result<u64>>> {
        let layout = xarray::Layout::of(self)?;
        let entries = xarray::entries(self.target(), layout, idr);
        Ok(entries.map(|entry| entry.map(|entry| entry.raw)).collect())
    }

    fn each<T>(
        &self,
        entries: Vec<Result<u64>>,
        read: impl Fn(u64) -> Result<T>,
    ) -> (Vec<T>, Vec<Error>) {
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.and_then(&read) {
                Ok(object) => found.push(object),
                Err(error) => errors.push(error),
            }
        }
        (found, errors)
    }

    fn bpf_program(&self, address: u64) -> Result<Program> {
        let (target, shapes) = (self.target(), self.shapes());
        let program = shapes.bpf_prog.at(target, address);
        let at = program.aux()?;
        let aux = shapes.bpf_prog_aux.at(target, at);
        let maps = || -> Result<Vec<u64>> {
            let (first, count) = (aux.maps()?, aux.map_count()?.min(MAX_USED_MAPS));
            let map = |index: u64| -> Result<u64> {
                let map = target.read_pointer_at(first, index)?;
                shapes.bpf_map.at(target, map).id()
            };
            (0..count).map(map).collect()
        };
        let tag = program.address_of(|s| &s.tag).and_then(|at| Ok(target.read_array::<8>(at)?));
        Ok(Program {
            id: aux.id()?,
            address,
            aux: at,
            kind: self.bpf_word("bpf_prog_type", "BPF_PROG_TYPE_", program.kind()?),
            tag,
            maps: maps(),
            name: aux.text(|s| &s.name),
            bytes: program.instructions().map(|count| count.wrapping_mul(INSTRUCTION)),
            jited_bytes: program.jited_bytes(),
            memory: program.pages().map(|pages| pages.wrapping_mul(target.page_size())),
            loaded: aux.load_time(),
            uid: aux.user().and_then(|user| shapes.bpf_user.at(target, user).uid()),
            code: program.code(),
            bytecode: program.address_of(|s| &s.bytecode),
        })
    }

    fn bpf_map(&self, address: u64) -> Result<Map> {
        let (target, shapes) = (self.target(), self.shapes());
        let map = shapes.bpf_map.at(target, address);
        Ok(Map {
            id: map.id()?,
            address,
            kind: self.bpf_word("bpf_map_type", "BPF_MAP_TYPE_", map.kind()?),
            flags: map.flags(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            memory: map.charged_pages().map(|pages| pages.wrapping_mul(target.page_size())),
            name: map.text(|s| &s.name),
            uid: map.user().and_then(|user| shapes.bpf_user.at(target, user).uid()),
        })
    }

    /// The constant of an enum that has a value, without what all of them begin with.
    fn bpf_word(&self, tag: &str, prefix: &str, value: u64) -> String {
        let types = self.types();
        let constants = types.find(Kind::Enum, tag).map(|id| types.get(id));
        let Some(Type::Enum { values, .. }) = constants else { return value.to_string() };
        let found = values.iter().find(|constant| u64::try_from(constant.value) == Ok(value));
        found.map_or_else(
            || value.to_string(),
            |constant| types.name(constant.name).trim_start_matches(prefix).to_owned(),
        )
    }
}
