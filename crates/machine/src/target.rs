//! A stopped machine: its memory, its symbols, its types.

mod symbols;
mod types;

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use necropsy_debuginfo::{Types, btf::BtfBase, symbols::Symbols};
use necropsy_disasm::Isa;
use necropsy_dump::{Dump, Fault, PhysicalMemory, Read, Reason, Space, VmCoreInfo};
use necropsy_lexicon::{AddressClass, Reg};

use crate::{
    arch::{self, Abi, Architecture},
    image::{Image, ImageDebug},
    layout::{AddressRange, Layout, Overrides},
    paging::{PagingFormat, Walk},
    regs::Regs,
};

pub use crate::image::{TableError, VMLINUX};

/// Finds an image's debug information when it is first asked for.
pub type DebugLoader = Box<dyn Fn(&Target, &Image) -> Option<ImageDebug> + Send + Sync>;

/// How one fact about the machine was found: what `info` prints.
#[derive(Debug, Clone)]
pub struct Fact {
    /// What: `phys_base`.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Which rule gave it.
    pub rule: String,
}

/// A stopped machine.
///
/// Opening never fails: a dump whose kernel cannot be recognised has no symbols, no types and no
/// kernel address space, and [`Target::problem`] says why.
pub struct Target {
    dump: Arc<Dump>,
    architecture: &'static dyn Architecture,
    /// log2 of the page size: of the layout, as soon as there is one.
    page_shift: u32,
    /// Whether the kernel keeps the most significant byte of a word first.
    big_endian: bool,
    vmcoreinfo: Option<VmCoreInfo>,
    layout: Option<Layout>,
    kernel: Image,
    types: OnceLock<LoadedTypes>,
    modules: OnceLock<Vec<Image>>,
    module_loader: OnceLock<fn(&Target) -> Vec<Image>>,
    system: OnceLock<Box<dyn Any + Send + Sync>>,
    analyses: OnceLock<Box<dyn Any + Send + Sync>>,
    pub(crate) debug_loader: OnceLock<DebugLoader>,
    pub(crate) frame_pointers: OnceLock<bool>,
    facts: Vec<Fact>,
    problem: Option<String>,
}

/// The kernel's types, and where they come from.
struct LoadedTypes {
    types: Types,
    /// What module BTF builds on.
    base: Option<BtfBase>,
    /// Why the kernel's BTF is not what they come from, though it has one; or not all of it.
    problem: Option<TableError>,
}

/// Memory of which pages may be missing: they read as zeros.
pub(crate) struct Sparse {
    pub(crate) bytes: Vec<u8>,
    /// What is missing, in bytes.
    pub(crate) holes: Vec<std::ops::Range<usize>>,
    /// Why, where the first page is missing.
    pub(crate) hidden: Option<Fault>,
}

impl Sparse {
    /// Whether nothing of it could be read.
    pub(crate) fn is_all_missing(&self) -> bool {
        self.holes.iter().map(ExactSizeIterator::len).sum::<usize>() == self.bytes.len()
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The most that is read for one of the kernel's own tables, in bytes: the largest real one (BTF
/// of a distribution kernel) is under 10 MB.
pub(crate) const MAX_TABLE: u64 = 256 << 20;

impl Target {
    /// Recognises the kernel in a dump, as far as it can be.
    pub fn open(dump: Dump, overrides: &Overrides) -> Target {
        let dump = Arc::new(dump);
        let mut facts = Vec::new();
        let mut fact = |name, value: String, rule: &str| {
            facts.push(Fact { name, value, rule: rule.to_owned() });
        };
        let mut vmcoreinfo = dump.vmcoreinfo().cloned();
        if vmcoreinfo.is_some() {
            fact("vmcoreinfo", "found".into(), "note or header of the dump");
        } else {
            vmcoreinfo = necropsy_dump::find_vmcoreinfo(dump.unrecorded());
            if vmcoreinfo.is_some() {
                fact("vmcoreinfo", "found".into(), "searched in memory: the dump carries none");
            }
        }
        let architecture = dump.arch().and_then(arch::of).unwrap_or(arch::assumed());
        let mut target = Target {
            architecture,
            page_shift: architecture.paging().page_shift(),
            big_endian: architecture.big_endian(&dump, vmcoreinfo.as_ref()),
            kernel: Image::new(VMLINUX, Vec::new(), Symbols::builder().finish(), None),
            dump,
            vmcoreinfo,
            layout: None,
            types: OnceLock::new(),
            modules: OnceLock::new(),
            module_loader: OnceLock::new(),
            system: OnceLock::new(),
            analyses: OnceLock::new(),
            debug_loader: OnceLock::new(),
            frame_pointers: OnceLock::new(),
            facts,
            problem: None,
        };
        if let Err(problem) = target.recognise(overrides) {
            // Asked only where no kernel is found: there is none to be found in noise.
            let is_noise = target.vmcoreinfo.is_none()
                && necropsy_dump::looks_encrypted(target.dump.unrecorded());
            target.problem = Some(match is_noise {
                true => "its memory looks encrypted (a confidential guest, dumped from outside): \
                         dump it from inside, with kdump"
                    .into(),
                false => problem,
            });
        }
        target
    }

    /// With a kernel that was put together by hand.
    #[cfg(any(test, feature = "testkit"))]
    pub(crate) fn assembled(mut self, layout: Layout, kernel: Image, types: Types) -> Target {
        self.page_shift = layout.paging.page_shift();
        self.layout = Some(layout);
        self.kernel = kernel;
        self.types = OnceLock::from(LoadedTypes { types, base: None, problem: None });
        self.problem = None;
        self
    }

    fn recognise(&mut self, overrides: &Overrides) -> Result<(), String> {
        if let Some(other) = self.dump.arch().filter(|arch| arch::of(*arch).is_none()) {
            return Err(format!(
                "the machine is {other}, whose kernels cannot be analysed; physical memory can be \
                 read"
            ));
        }
        let info = self.vmcoreinfo.as_ref();
        let layout = self.architecture.find_layout(&self.dump, info, overrides, &mut self.facts)?;
        self.page_shift = layout.paging.page_shift();
        self.layout = Some(layout);
        let symbols = self.load_symbols()?;
        self.set_kernel(symbols);
        Ok(())
    }

    /// Why the kernel could not be recognised; `None` when it was.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// What was found and by which rule.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The dump.
    pub fn dump(&self) -> &Dump {
        &self.dump
    }

    /// One past the highest page frame of the kernel that the dump knows of: pages of the dump may
    /// be larger than the kernel's.
    pub fn dump_pfns(&self) -> u64 {
        self.dump.max_pfn().saturating_mul(self.dump.page_size()) >> self.page_shift()
    }

    /// VMCOREINFO, from the dump's headers or found in memory.
    pub fn vmcoreinfo(&self) -> Option<&VmCoreInfo> {
        self.vmcoreinfo.as_ref()
    }

    /// Where the kernel lies in memory.
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    // ---- the machine ----

    /// What is different on this architecture from others.
    pub fn architecture(&self) -> &'static dyn Architecture {
        self.architecture
    }

    /// What its registers are for.
    pub fn abi(&self) -> &'static Abi {
        self.architecture.abi()
    }

    /// The instruction set that its kernel is made of.
    pub fn isa(&self) -> Isa {
        self.architecture.isa(self.big_endian)
    }

    /// A register by the name that a person gives it.
    pub fn register(&self, name: &str) -> Option<Reg> {
        Reg::by_name(self.abi().arch, name)
    }

    /// Whether the most significant byte of a word comes first in the kernel's memory.
    pub fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// A number of up to eight bytes, in the byte order of the kernel's memory.
    pub fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.big_endian {
            true => bytes.iter().fold(0, fold),
            false => bytes.iter().rev().fold(0, fold),
        }
    }

    /// A number of so many bytes that the kernel keeps in network byte order (`__be16`, `__be32`), which
    /// was read as one of its own.
    pub fn from_network(&self, number: u64, bytes: u32) -> u64 {
        match self.big_endian {
            true => number,
            false => number.swap_bytes() >> (64 - 8 * bytes),
        }
    }

    /// How page tables look.
    pub fn paging(&self) -> PagingFormat {
        self.layout.as_ref().map_or_else(|| self.architecture.paging(), |layout| layout.paging)
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift
    }

    /// log2 of the bytes of a page.
    pub fn page_shift(&self) -> u32 {
        self.page_shift
    }

    /// Bytes of a pointer.
    pub fn pointer_size(&self) -> u32 {
        self.abi().arch.pointer_size()
    }

    /// Bytes from an address to the end of its page.
    fn page_rest(&self, address: u64) -> usize {
        let size = self.page_size();
        (size - (address & (size - 1))) as usize
    }

    /// What an address can be, with the paging in force.
    pub fn address_class(&self, address: u64) -> AddressClass {
        self.architecture.address_class(self.layout.as_ref(), address)
    }

    /// Whether this is an address of the kernel's. In the first page it has no objects, wherever
    /// its addresses begin.
    pub fn is_kernel_address(&self, address: u64) -> bool {
        address >= self.page_size() && self.address_class(address).is_kernel()
    }

    /// The first virtual address that modules may have.
    pub fn modules_base(&self) -> u64 {
        self.architecture.modules_base(self.vmcoreinfo.as_ref())
    }

    /// What the virtual addresses of this machine are for, ascending; empty where it is not known how
    /// the kernel lies.
    pub fn address_map(&self) -> Vec<AddressRange> {
        let map = |layout| self.architecture.address_map(layout, self.modules_base());
        self.layout.as_ref().map(map).unwrap_or_default()
    }

    /// The registers that the kernel saved on entry (`struct pt_regs`) at a kernel virtual address.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn saved_regs(&self, address: u64) -> Read<Regs> {
        let mut bytes = vec![0; self.architecture.saved_size()];
        self.read(address, &mut bytes)?;
        self.architecture
            .saved_regs(&bytes, self.big_endian)
            .ok_or(Fault::kernel(address, Reason::Corrupt))
    }

    // ---- memory ----

    /// Translates a kernel virtual address.
    ///
    /// The kernel image and the direct map are linear and need no page table; all else is walked.
    /// Where no kernel was recognised, an ELF dump's segments are all that there is to go by.
    ///
    /// # Errors
    /// A kernel-space fault at `address`.
    pub fn translate(&self, address: u64) -> Read<u64> {
        let fault = |reason| Fault::kernel(address, reason);
        let Some(layout) = self.layout.as_ref() else {
            return self.by_segments(address).ok_or(fault(Reason::BadAddress));
        };
        if let Some(physical) = layout.linear(address) {
            return Ok(physical);
        }
        self.walk(layout.root, address).end.map(|m| m.physical).map_err(fault)
    }

    /// By the virtual addresses of an ELF dump's segments. They are hints, wrong where memory is
    /// not mapped in one piece: used only where there are no page tables to ask.
    fn by_segments(&self, address: u64) -> Option<u64> {
        let segments = self.dump.header().segments.iter();
        let mut holding = segments.filter_map(|segment| {
            let offset = address.checked_sub(segment.virtual_address)?;
            let is_mapped = segment.virtual_address != 0 && offset < segment.memory_size;
            is_mapped.then(|| segment.physical_address.wrapping_add(offset))
        });
        holding.next()
    }

    /// What the kernel's page tables allow at `address`, of linear addresses too; `None` where the
    /// tables are not in the dump, or their flags are not known here.
    pub fn protection(&self, address: u64) -> Option<crate::protection::Protection> {
        let walk: Walk = self.walk(self.layout()?.root, address);
        self.paging().protection(&walk)
    }

    /// Walks page tables from the physical address of a root table.
    pub fn walk(&self, root: u64, address: u64) -> Walk {
        self.paging().walk_memory(&self.dump, root, address)
    }

    fn read_through(
        &self,
        address: u64,
        buf: &mut [u8],
        space: Space,
        translate: &dyn Fn(u64) -> Read<u64>,
    ) -> Read<()> {
        let mut done = 0;
        while done < buf.len() {
            let at = address.checked_add(done as u64).ok_or(Fault {
                address,
                space,
                reason: Reason::BadAddress,
            })?;
            let n = self.page_rest(at).min(buf.len() - done);
            let physical = translate(at)?;
            self.dump.read(physical, &mut buf[done..done + n]).map_err(|fault| Fault {
                address: at.wrapping_add(fault.address.wrapping_sub(physical)),
                space,
                reason: fault.reason,
            })?;
            done += n;
        }
        Ok(())
    }

    /// Reads kernel virtual memory.
    ///
    /// # Errors
    /// The first byte that cannot be read; `buf` before it has been filled.
    pub fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        self.read_through(address, buf, Space::Kernel, &|at| self.translate(at))
    }

    /// Reads the memory of a user address space whose root table is at physical address `root`.
    ///
    /// # Errors
    /// As [`Target::read`], in user space.
    pub fn read_user(&self, root: u64, address: u64, buf: &mut [u8]) -> Read<()> {
        self.read_through(address, buf, Space::User, &|at| {
            self.walk(root, at).end.map(|m| m.physical).map_err(|reason| Fault {
                address: at,
                space: Space::User,
                reason,
            })
        })
    }

    /// Reads physical memory.
    ///
    /// # Errors
    /// The first byte that cannot be read.
    pub fn read_physical(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        self.dump.read(address, buf)
    }

    /// `N` bytes of kernel virtual memory.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_array<const N: usize>(&self, address: u64) -> Read<[u8; N]> {
        let mut bytes = [0; N];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A word as wide as a pointer.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_pointer(&self, address: u64) -> Read<u64> {
        self.read_uint(address, self.pointer_size().into())
    }

    /// One word of an array of pointers, or of others as wide (`unsigned long`).
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_pointer_at(&self, array: u64, index: u64) -> Read<u64> {
        let offset = index.wrapping_mul(self.pointer_size().into());
        self.read_pointer(array.wrapping_add(offset))
    }

    /// A number as wide as a pointer that may be negative (`long`, `atomic_long_t`).
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_long(&self, address: u64) -> Read<i64> {
        let unused = 64 - 8 * self.pointer_size();
        self.read_pointer(address).map(|word| (word << unused) as i64 >> unused)
    }

    /// A `u64` (or pointer).
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u64(&self, address: u64) -> Read<u64> {
        let bytes = self.read_array(address)?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A `u32`.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u32(&self, address: u64) -> Read<u32> {
        let bytes = self.read_array(address)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// A `u16`.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u16(&self, address: u64) -> Read<u16> {
        let bytes = self.read_array(address)?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// A byte.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u8(&self, address: u64) -> Read<u8> {
        self.read_array(address).map(|[b]| b)
    }

    /// An unsigned integer of 1, 2, 4 or 8 bytes.
    ///
    /// # Errors
    /// As [`Target::read`]; [`Reason::BadAddress`] for another size.
    pub fn read_uint(&self, address: u64, size: u64) -> Read<u64> {
        match size {
            1 => self.read_u8(address).map(u64::from),
            2 => self.read_u16(address).map(u64::from),
            4 => self.read_u32(address).map(u64::from),
            8 => self.read_u64(address),
            _ => Err(Fault::kernel(address, Reason::BadAddress)),
        }
    }

    /// `len` bytes, at most 256 MiB.
    ///
    /// # Errors
    /// As [`Target::read`]; [`Reason::Corrupt`] for an absurd length.
    pub fn read_bytes(&self, address: u64, len: u64) -> Read<Vec<u8>> {
        if len > MAX_TABLE {
            return Err(Fault::kernel(address, Reason::Corrupt));
        }
        let mut bytes = Vec::new();
        // The length may come from the dump: memory is taken as the bytes are found.
        while (bytes.len() as u64) < len {
            let at = bytes.len();
            let n = (len - at as u64).min(1 << 20) as usize;
            bytes.resize(at + n, 0);
            self.read(address + at as u64, &mut bytes[at..])?;
        }
        Ok(bytes)
    }

    /// A NUL-terminated string of at most `max` bytes; bytes that are not UTF-8 become `\u{fffd}`.
    ///
    /// # Errors
    /// As [`Target::read`], when not even its first byte can be read.
    pub fn read_cstr(&self, address: u64, max: usize) -> Read<String> {
        let mut bytes = Vec::new();
        while bytes.len() < max {
            let at = address.wrapping_add(bytes.len() as u64);
            let n = self.page_rest(at).min(max - bytes.len()).min(256);
            let mut chunk = [0; 256];
            match self.read(at, &mut chunk[..n]) {
                Ok(()) => {}
                Err(fault) if bytes.is_empty() => return Err(fault),
                Err(_) => break,
            }
            if let Some(end) = chunk[..n].iter().position(|&b| b == 0) {
                bytes.extend_from_slice(&chunk[..end]);
                break;
            }
            bytes.extend_from_slice(&chunk[..n]);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Keeps what the layer above knows of the operating system, for those of its functions that
    /// are called with a target alone: the module loader, and who looks for debug information.
    pub fn set_system(&self, system: impl Any + Send + Sync) {
        let _ = self.system.set(Box::new(system));
    }

    /// What was kept by [`Target::set_system`], if it is a `T`.
    pub fn system<T: Any>(&self) -> Option<&T> {
        self.system.get()?.downcast_ref()
    }

    /// What the analyses of code keep of functions that they followed: a `T`, which only they know.
    pub(crate) fn analyses<T: Any + Default + Send + Sync>(&self) -> Option<&T> {
        self.analyses.get_or_init(|| Box::new(T::default())).downcast_ref()
    }
}

const fn assert_send_sync<T: Send + Sync>() {}
// Walkers read one target from many threads.
const _: () = assert_send_sync::<Target>();
