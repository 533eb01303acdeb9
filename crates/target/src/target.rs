//! A stopped machine: its memory, its symbols, its types.

use std::sync::{Arc, OnceLock};

use necropsy_debuginfo::{
    Kind, TypeId, Types,
    btf::{self, BtfBase},
    kallsyms,
    orc::{self, Orc},
    symbols::{Symbol, Symbols},
};
use necropsy_dump::{Dump, Fault, PhysicalMemory, Read, Reason, Space, VmCoreInfo};

use crate::{
    dataflow,
    debug::DebugLoader,
    image::{Image, Located, OrcTables, Range},
    layout::{Layout, Overrides},
    paging::Walk,
};

/// The name of the kernel's own image.
pub const VMLINUX: &str = "vmlinux";

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
    vmcoreinfo: Option<VmCoreInfo>,
    layout: Option<Layout>,
    kernel: Image,
    types: OnceLock<(Types, Option<BtfBase>)>,
    modules: OnceLock<Vec<Image>>,
    module_loader: OnceLock<fn(&Target) -> Vec<Image>>,
    functions: dataflow::Cache,
    pub(crate) debug_loader: OnceLock<DebugLoader>,
    facts: Vec<Fact>,
    problem: Option<String>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The most that is read for one of the kernel's own tables, in bytes: the largest real one (BTF
/// of a distribution kernel) is under 10 MB.
const MAX_TABLE: u64 = 256 << 20;

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
        let mut target = Target {
            kernel: Image::new(VMLINUX, Vec::new(), Symbols::builder().finish(), None),
            dump,
            vmcoreinfo,
            layout: None,
            types: OnceLock::new(),
            modules: OnceLock::new(),
            module_loader: OnceLock::new(),
            functions: dataflow::Cache::default(),
            debug_loader: OnceLock::new(),
            facts,
            problem: None,
        };
        if let Err(problem) = target.recognise(overrides) {
            target.problem = Some(problem);
        }
        target
    }

    fn recognise(&mut self, overrides: &Overrides) -> Result<(), String> {
        let mut facts = std::mem::take(&mut self.facts);
        let layout = Layout::find(&self.dump, self.vmcoreinfo.as_ref(), overrides, &mut facts);
        self.facts = facts;
        self.layout = Some(layout?);
        let symbols = self.load_symbols()?;
        let address = |name: &str| symbols.by_name(name).map(|s| s.address);
        let orc_tables = match (
            address("__start_orc_unwind_ip"),
            address("__stop_orc_unwind_ip"),
            address("__start_orc_unwind"),
        ) {
            (Some(start), Some(stop), Some(entries)) => {
                Some(OrcTables { ip: start, entries, count: stop.saturating_sub(start) / 4 })
            }
            _ => None,
        };
        let mut ranges = Vec::new();
        let mut add = |start: &str, end: &str, text| {
            if let (Some(start), Some(end)) = (address(start), address(end))
                && start < end
            {
                ranges.push(Range { start, end, text });
            }
        };
        add("_stext", "_etext", true);
        add("_sinittext", "_einittext", true);
        add("_text", "_end", false);
        if let (Some(layout), Some(start), Some(end)) =
            (self.layout.as_mut(), address("_text").or(address("_stext")), address("_end"))
        {
            layout.set_image(start, end);
        }
        self.kernel = Image::new(VMLINUX, ranges, symbols, orc_tables);
        let base = |name: &str| {
            let address = self.kernel.symbols.by_name(name)?.address;
            self.read_u64(address).ok()
        };
        let bases = [base("page_offset_base"), base("vmalloc_base"), base("vmemmap_base")];
        if let Some(layout) = self.layout.as_mut() {
            layout.set_bases(&self.dump, bases, &mut self.facts);
        }
        Ok(())
    }

    fn load_symbols(&mut self) -> Result<Symbols, String> {
        let info = self.vmcoreinfo.as_ref();
        let symbol = |name: &str| info.and_then(|i| i.symbol(name));
        let named = (|| {
            Some(kallsyms::KallsymsTables {
                names: symbol("kallsyms_names")?,
                num_syms: symbol("kallsyms_num_syms")?,
                token_table: symbol("kallsyms_token_table")?,
                token_index: symbol("kallsyms_token_index")?,
                offsets: symbol("kallsyms_offsets"),
                addresses: symbol("kallsyms_addresses"),
                relative_base: symbol("kallsyms_relative_base"),
                markers: None,
            })
        })();
        let rule = if named.is_some() {
            "tables named by VMCOREINFO"
        } else {
            "tables searched in the kernel image: VMCOREINFO does not name them"
        };
        let tables = match named {
            Some(tables) => tables,
            None => self.search_kallsyms().ok_or(
                "no symbol table (kallsyms) found in the kernel image; only physical memory can \
                 be read",
            )?,
        };
        let checks: Vec<(&str, u64)> = ["_stext", "swapper_pg_dir", "init_uts_ns"]
            .into_iter()
            .filter_map(|name| Some((name, symbol(name)?)))
            .collect();
        let symbols = kallsyms::load_kallsyms(&Virtual(self), &tables, &checks)
            .map_err(|error| format!("the kernel's symbol table cannot be read: {error}"))?;
        self.facts.push(Fact {
            name: "symbols",
            value: format!("{} from kallsyms", symbols.len()),
            rule: rule.into(),
        });
        Ok(symbols)
    }

    fn search_kallsyms(&self) -> Option<kallsyms::KallsymsTables> {
        let (start, end) = self.layout.as_ref()?.mapped_image(&self.dump);
        let mut bytes = vec![0; usize::try_from((end - start).min(MAX_TABLE)).ok()?];
        self.read_sparse(start, &mut bytes);
        let tables = kallsyms::find_kallsyms(&[(start, &bytes)])?;
        if let Some(markers) = tables.markers {
            // Nobody reads them but the search, which must succeed on a dump of what was read, too.
            let _ = self.read_bytes(markers, tables.token_table.saturating_sub(markers));
        }
        Some(tables)
    }

    /// Fills `buf` page by page and leaves zeros where memory is missing: only for searches.
    fn read_sparse(&self, address: u64, buf: &mut [u8]) {
        let mut at = 0;
        while at < buf.len() {
            let here = address + at as u64;
            let n = ((4096 - (here & 4095)) as usize).min(buf.len() - at);
            if let Ok(physical) = self.translate(here) {
                let _ = self.dump.unrecorded().read(physical, &mut buf[at..at + n]);
            }
            at += n;
        }
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

    /// One past the highest page frame that the dump knows of.
    pub fn dump_pfns(&self) -> u64 {
        self.dump.max_pfn()
    }

    /// VMCOREINFO, from the dump's headers or found in memory.
    pub fn vmcoreinfo(&self) -> Option<&VmCoreInfo> {
        self.vmcoreinfo.as_ref()
    }

    /// Where the kernel lies in memory.
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    // ---- memory ----

    /// Translates a kernel virtual address.
    ///
    /// The kernel image and the direct map are linear and need no page table; all else is walked.
    ///
    /// # Errors
    /// A kernel-space fault at `address`.
    pub fn translate(&self, address: u64) -> Read<u64> {
        let fault = |reason| Fault::kernel(address, reason);
        let layout = self.layout.as_ref().ok_or(fault(Reason::BadAddress))?;
        if let Some(physical) = layout.linear(address) {
            return Ok(physical);
        }
        self.walk(layout.root, address).end.map(|m| m.physical).map_err(fault)
    }

    /// Walks page tables from the physical address of a root table.
    pub fn walk(&self, root: u64, address: u64) -> Walk {
        let format = self
            .layout
            .as_ref()
            .map_or(crate::paging::PagingFormat::X86_64 { levels: 4, mask: 0 }, |layout| {
                layout.paging
            });
        format.walk(root, address, &|at, size| {
            let mut bytes = [0; 8];
            let n = (size as usize).min(8);
            self.dump.read(at, &mut bytes[..n])?;
            Ok(u64::from_le_bytes(bytes))
        })
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
            let n = ((4096 - (at & 4095)) as usize).min(buf.len() - done);
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

    /// A `u64` (or pointer).
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u64(&self, address: u64) -> Read<u64> {
        self.read_array(address).map(u64::from_le_bytes)
    }

    /// A `u32`.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u32(&self, address: u64) -> Read<u32> {
        self.read_array(address).map(u32::from_le_bytes)
    }

    /// A `u16`.
    ///
    /// # Errors
    /// As [`Target::read`].
    pub fn read_u16(&self, address: u64) -> Read<u16> {
        self.read_array(address).map(u16::from_le_bytes)
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
            let n = ((4096 - (at & 4095)) as usize).min(max - bytes.len()).min(256);
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

    // ---- symbols ----

    /// The kernel's own image.
    pub fn kernel(&self) -> &Image {
        &self.kernel
    }

    /// Says how modules are found; called once by the layer that knows `struct module`.
    pub fn set_module_loader(&self, loader: fn(&Target) -> Vec<Image>) {
        let _ = self.module_loader.set(loader);
    }

    /// The loaded modules, found on first use.
    pub fn modules(&self) -> &[Image] {
        self.modules.get_or_init(|| self.module_loader.get().map_or(Vec::new(), |load| load(self)))
    }

    /// Every image, vmlinux first.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        std::iter::once(&self.kernel).chain(self.modules())
    }

    /// A symbol by name: vmlinux first, then the modules.
    pub fn symbol(&self, name: &str) -> Option<Symbol<'_>> {
        self.kernel
            .symbols
            .by_name(name)
            .or_else(|| self.modules().iter().find_map(|m| m.symbols.by_name(name)))
    }

    /// A vmlinux symbol's address.
    pub fn address_of(&self, name: &str) -> Option<u64> {
        self.kernel.symbols.by_name(name).map(|s| s.address)
    }

    /// The image that holds an address.
    pub fn image_at(&self, address: u64) -> Option<&Image> {
        if self.kernel.contains(address) {
            return Some(&self.kernel);
        }
        self.modules().iter().find(|m| m.contains(address))
    }

    /// The symbol at or below an address, within its image.
    pub fn locate(&self, address: u64) -> Option<Located<'_>> {
        let image = self.image_at(address)?;
        let symbol = image.symbols.lookup(address)?;
        if !image.contains(symbol.address) && symbol.address != address {
            return None;
        }
        Some(Located { symbol, offset: address - symbol.address, image })
    }

    /// Whether an address lies in kernel or module code.
    pub fn is_text(&self, address: u64) -> bool {
        if address < 0xffff_8000_0000_0000 {
            return false;
        }
        self.kernel.is_text(address) || self.modules().iter().any(|m| m.is_text(address))
    }

    // ---- types ----

    /// The kernel's types, loaded on first use: from its BTF, else from debug information; empty
    /// when there is neither.
    pub fn types(&self) -> &Types {
        &self.types_and_base().0
    }

    /// What module BTF builds on.
    pub fn btf_base(&self) -> Option<&BtfBase> {
        self.types_and_base().1.as_ref()
    }

    fn types_and_base(&self) -> &(Types, Option<BtfBase>) {
        self.types.get_or_init(|| {
            let types = Types::new(8);
            let base = self.read_btf().and_then(|bytes| btf::load_btf(&types, &bytes, None).ok());
            // Built without BTF, or from before 5.2.
            if base.is_none()
                && let Some(debug) = self.debug(&self.kernel)
            {
                debug.dwarf.load_types(&types);
            }
            (types, base)
        })
    }

    fn read_btf(&self) -> Option<Vec<u8>> {
        let start = self.address_of("__start_BTF")?;
        let end = self.address_of("__stop_BTF")?;
        self.read_bytes(start, end.checked_sub(start)?).ok()
    }

    /// The type of a struct, union or typedef by tag.
    pub fn composite(&self, name: &str) -> Option<TypeId> {
        self.types().composite(name)
    }

    /// Size in bytes of a struct by tag.
    pub fn struct_size(&self, name: &str) -> Option<u64> {
        let types = self.types();
        types.size_of(types.composite(name)?)
    }

    /// Whether a type, function or enum constant of that name exists.
    pub fn has_type(&self, kind: Kind, name: &str) -> bool {
        self.types().find(kind, name).is_some()
    }

    // ---- unwinding ----

    pub(crate) fn functions(&self) -> &dataflow::Cache {
        &self.functions
    }

    pub(crate) fn load_orc(&self, tables: &OrcTables) -> Option<Orc> {
        let ip = self.read_bytes(tables.ip, tables.count.checked_mul(4)?).ok()?;
        let entries = self.read_bytes(tables.entries, tables.count.checked_mul(6)?).ok()?;
        let hash =
            self.address_of("__start_orc_header").and_then(|at| self.read_array::<20>(at).ok());
        let format = orc::orc_format(hash.as_ref(), &entries);
        Orc::parse(&ip, tables.ip, &entries, format).ok()
    }
}

/// The target's kernel memory, for the symbol loaders.
struct Virtual<'a>(&'a Target);

impl necropsy_debuginfo::Bytes for Virtual<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.0.read(address, buf).is_ok()
    }
}

const fn assert_send_sync<T: Send + Sync>() {}
// Walkers read one target from many threads.
const _: () = assert_send_sync::<Target>();
