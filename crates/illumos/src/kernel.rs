//! A stopped illumos kernel: its memory, symbols and types.

use std::sync::{Arc, OnceLock};

use necropsy_debuginfo::{ElfSymbols, Types};
use necropsy_dump::{
    Fault, PhysicalMemory, Read, Reason,
    illumos::{IllumosDump, Mapping},
};
use necropsy_machine::paging::PagingFormat;

use crate::{Error, Result, module::Module, panicbuf, shapes::Shapes};

/// The most that is read at once: the largest thing is a module's symbol table.
const MAX_READ: u64 = 64 << 20;

/// A stopped kernel. Opening never fails: what is missing is told where it is needed.
pub struct Kernel {
    dump: Arc<IllumosDump>,
    pub(crate) ksyms: ElfSymbols,
    ksyms_problem: Option<String>,
    kas: Option<u64>,
    kpm: OnceLock<Option<(u64, u64)>>,
    root: OnceLock<Option<u64>>,
    pub(crate) modules: OnceLock<Vec<Module>>,
    pub(crate) modules_problem: OnceLock<String>,
    pub(crate) types: Types,
    pub(crate) base_types: OnceLock<()>,
    pub(crate) all_types: OnceLock<()>,
    shapes: OnceLock<Shapes>,
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("dump", &self.dump).finish_non_exhaustive()
    }
}

impl Kernel {
    /// The kernel of a dump.
    pub fn new(dump: Arc<IllumosDump>) -> Kernel {
        let (ksyms, ksyms_problem) = match dump.ksyms() {
            Ok(image) => match ElfSymbols::from_elf(&image) {
                Some(symbols) => (symbols, None),
                None => (ElfSymbols::new(&[], &[]), Some("the symbol table is damaged".to_owned())),
            },
            Err(problem) => (ElfSymbols::new(&[], &[]), Some(problem)),
        };
        let kas = ksyms.by_name("kas").map(|symbol| symbol.address);
        Kernel {
            dump,
            ksyms,
            ksyms_problem,
            kas,
            kpm: OnceLock::new(),
            root: OnceLock::new(),
            modules: OnceLock::new(),
            modules_problem: OnceLock::new(),
            types: Types::new(8),
            base_types: OnceLock::new(),
            all_types: OnceLock::new(),
            shapes: OnceLock::new(),
        }
    }

    /// The dump.
    pub fn dump(&self) -> &IllumosDump {
        &self.dump
    }

    /// What is wrong with the dump and with what was made of it so far.
    pub fn problems(&self) -> Vec<String> {
        let mut all = self.dump.problems();
        all.extend(self.ksyms_problem.clone());
        all.extend(self.modules_problem.get().cloned());
        if self.kas.is_none() && self.ksyms_problem.is_none() {
            all.push("no symbol kas: kernel memory can be read by physical address alone".into());
        }
        all
    }

    /// The kernel's address space, a `struct as`.
    pub fn kas(&self) -> Option<u64> {
        self.kas
    }

    /// The members of kernel structures that objects are made of.
    pub fn shapes(&self) -> &Shapes {
        self.shapes.get_or_init(|| Shapes::resolve(self))
    }

    // ---- memory ----

    /// Physical memory that the kernel maps as a whole (segkpm): its first address and size.
    fn kpm(&self) -> Option<(u64, u64)> {
        *self.kpm.get_or_init(|| {
            let variable = |name: &str| {
                let address = self.ksyms.by_name(name)?.address;
                let mut bytes = [0; 8];
                self.read_mapped(address, &mut bytes).ok()?;
                Some(u64::from_le_bytes(bytes)).filter(|&value| value != 0)
            };
            Some((variable("kpm_vbase")?, variable("kpm_size")?))
        })
    }

    /// The root of the kernel's page tables: what register cr3 held in the panic.
    fn root(&self) -> Option<u64> {
        *self.root.get_or_init(|| {
            let address = self.ksyms.by_name("panicbuf")?.address;
            let mut bytes = vec![0; panicbuf::PANICBUF_SIZE];
            self.read_mapped(address, &mut bytes).ok()?;
            let pairs = panicbuf::pairs(&bytes);
            let cr3 = pairs.iter().find(|(name, _)| name == "cr3")?.1;
            Some(cr3 & 0x000f_ffff_ffff_f000).filter(|&root| root != 0)
        })
    }

    /// The physical address behind a kernel virtual one.
    ///
    /// # Errors
    /// There is none that the dump knows of.
    pub fn translate(&self, address: u64) -> Read<u64> {
        let size = self.dump.header().pagesize;
        let within = address & (size - 1);
        if let Some(frame) = self.kas.and_then(|kas| self.dump.translate(kas, address)) {
            return Ok(frame.wrapping_mul(size).wrapping_add(within));
        }
        if let Some((base, len)) = self.kpm()
            && address.checked_sub(base).is_some_and(|offset| offset < len)
        {
            return Ok(address - base);
        }
        let fault = |reason| Fault::kernel(address, reason);
        let root = self.root().ok_or(fault(Reason::NotSaved))?;
        let walk = PagingFormat::X86_64 { levels: 4, mask: 0 }.walk(root, address, &|at, len| {
            let mut bytes = [0; 8];
            let len = (len as usize).min(8);
            self.dump.read(at, &mut bytes[..len])?;
            Ok(u64::from_le_bytes(bytes))
        });
        match walk.end {
            Ok(mapping) => Ok(mapping.physical),
            // Page tables are not among what every dump has: that this one has no page is all
            // that is known.
            Err(_) => Err(fault(Reason::NotSaved)),
        }
    }

    fn read_with(
        &self,
        address: u64,
        buf: &mut [u8],
        translate: impl Fn(u64) -> Read<u64>,
    ) -> Read<()> {
        let size = self.dump.header().pagesize;
        let mut done = 0;
        while done < buf.len() {
            let at = address
                .checked_add(done as u64)
                .ok_or(Fault::kernel(address, Reason::BadAddress))?;
            let n = ((size - (at & (size - 1))) as usize).min(buf.len() - done);
            let physical = translate(at)?;
            self.dump
                .read(physical, &mut buf[done..done + n])
                .map_err(|fault| Fault::kernel(at, fault.reason))?;
            done += n;
        }
        Ok(())
    }

    /// Reads through the dump's own translations alone.
    fn read_mapped(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        let size = self.dump.header().pagesize;
        self.read_with(address, buf, |at| {
            let frame = self.kas.and_then(|kas| self.dump.translate(kas, at));
            let frame = frame.ok_or(Fault::kernel(at, Reason::NotSaved))?;
            Ok(frame.wrapping_mul(size).wrapping_add(at & (size - 1)))
        })
    }

    /// Reads kernel virtual memory.
    ///
    /// # Errors
    /// The first byte that cannot be read.
    pub fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        self.read_with(address, buf, |at| self.translate(at))
    }

    /// Reads the memory of an address space, a `struct as`.
    ///
    /// # Errors
    /// As [`Kernel::read`]; user memory is in few dumps.
    pub fn read_space(&self, space: u64, address: u64, buf: &mut [u8]) -> Read<()> {
        let size = self.dump.header().pagesize;
        self.read_with(address, buf, |at| {
            let frame = self.dump.translate(space, at);
            let frame = frame.ok_or(Fault::kernel(at, Reason::NotSaved))?;
            Ok(frame.wrapping_mul(size).wrapping_add(at & (size - 1)))
        })
    }

    /// Reads physical memory.
    ///
    /// # Errors
    /// The first byte that cannot be read.
    pub fn read_physical(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        self.dump.read(address, buf)
    }

    /// A `u64` or pointer.
    ///
    /// # Errors
    /// As [`Kernel::read`].
    pub fn read_u64(&self, address: u64) -> Read<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A `u32`.
    ///
    /// # Errors
    /// As [`Kernel::read`].
    pub fn read_u32(&self, address: u64) -> Read<u32> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// A number of 1 to 8 bytes.
    ///
    /// # Errors
    /// As [`Kernel::read`].
    pub fn read_uint(&self, address: u64, size: usize) -> Read<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes[..size.min(8)])?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// `len` bytes, at most 64 MiB.
    ///
    /// # Errors
    /// As [`Kernel::read`]; [`Reason::Corrupt`] for an absurd length.
    pub fn read_bytes(&self, address: u64, len: u64) -> Read<Vec<u8>> {
        if len > MAX_READ {
            return Err(Fault::kernel(address, Reason::Corrupt));
        }
        // The length may come from the dump: memory is taken as the bytes are found.
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            let at = bytes.len();
            bytes.resize(at + (len - at as u64).min(1 << 16) as usize, 0);
            self.read(address.wrapping_add(at as u64), &mut bytes[at..])?;
        }
        Ok(bytes)
    }

    /// A string that ends with a NUL, at most `max` bytes of it.
    ///
    /// # Errors
    /// As [`Kernel::read`], when not even its first byte can be read.
    pub fn read_string(&self, address: u64, max: usize) -> Read<String> {
        let mut bytes = Vec::new();
        while bytes.len() < max {
            let at = address.wrapping_add(bytes.len() as u64);
            let n = ((4096 - (at & 4095)) as usize).min(max - bytes.len()).min(128);
            let mut chunk = [0; 128];
            match self.read(at, &mut chunk[..n]) {
                Err(fault) if bytes.is_empty() => return Err(fault),
                Err(_) => break,
                Ok(()) => {}
            }
            let end = chunk[..n].iter().position(|&byte| byte == 0);
            bytes.extend_from_slice(&chunk[..end.unwrap_or(n)]);
            if end.is_some() {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The kernel's mapped pages by address.
    pub fn mappings(&self) -> &[Mapping] {
        self.kas.map_or(&[], |kas| self.dump.mappings(kas))
    }

    // ---- variables ----

    /// The address of a variable or function.
    ///
    /// # Errors
    /// There is no symbol of that name.
    pub fn address_of(&self, name: &str) -> Result<u64> {
        self.symbol(name).map(|symbol| symbol.address).ok_or_else(|| Error::NoSymbol(name.into()))
    }

    /// The value of a variable of 8 bytes.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be read.
    pub fn pointer(&self, name: &str) -> Result<u64> {
        Ok(self.read_u64(self.address_of(name)?)?)
    }

    /// The value of a variable of 4 bytes.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be read.
    pub fn int(&self, name: &str) -> Result<u32> {
        Ok(self.read_u32(self.address_of(name)?)?)
    }
}
