//! The names of the kernel and its modules: where they are found, and what they tell.

use necropsy_debuginfo::{
    kallsyms,
    symbols::{Symbol, Symbols},
};
use necropsy_dump::Fault;

use super::{Fact, MAX_TABLE, Target, VMLINUX};
use crate::image::{Image, Located, OrcTables, Range};

impl Target {
    /// Whether the kernel's table names its code alone (built without `CONFIG_KALLSYMS_ALL`): the
    /// symbols of its vmlinux help.
    pub fn lacks_data_symbols(&self) -> bool {
        let symbols = &self.kernel.symbols;
        // A name that the dump lacks is not one that there never was.
        self.problem.is_none()
            && symbols.missing().is_none()
            && symbols.by_name("init_task").is_none()
    }

    /// Adds the data symbols of the kernel's vmlinux, which was linked `bias` bytes lower. What
    /// depends on symbols is looked for again, so this comes before all questions.
    pub fn add_data_symbols(&mut self, file: &Symbols, bias: u64) {
        let before = self.kernel.symbols.len();
        let symbols = self.kernel.symbols.with_data_of(file, bias);
        self.facts.push(Fact {
            name: "data symbols",
            value: format!("{} from vmlinux", symbols.len() - before),
            rule: "kallsyms has none".into(),
        });
        if let Some(layout) = self.layout.as_mut().filter(|layout| layout.kaslr.is_none()) {
            layout.kaslr = Some(bias);
            for fact in self.facts.iter_mut().filter(|fact| fact.name == "kaslr") {
                fact.value = format!("{bias:#x}");
                fact.rule = "how far from its vmlinux the kernel lies".into();
            }
        }
        self.set_kernel(symbols);
    }

    /// Takes the kernel's symbols, and finds what they tell of its memory.
    pub(super) fn set_kernel(&mut self, symbols: Symbols) {
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
        if let Some(mut layout) = self.layout.clone() {
            let mut found = Vec::new();
            self.architecture.set_bases(&mut layout, self, &mut found);
            self.facts.retain(|old| found.iter().all(|new| new.name != old.name));
            self.facts.append(&mut found);
            self.layout = Some(layout);
        }
    }

    pub(super) fn load_symbols(&mut self) -> Result<Symbols, String> {
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
            None => self.search_kallsyms().ok_or_else(|| self.why_no_symbols(None))?,
        };
        let checks: Vec<(&str, u64)> = ["_stext", "swapper_pg_dir", "init_uts_ns"]
            .into_iter()
            .filter_map(|name| Some((name, symbol(name)?)))
            .collect();
        let symbols = kallsyms::load_kallsyms(&Virtual(self), &tables, &checks)
            .map_err(|error| self.why_no_symbols(Some(error)))?;
        self.facts.push(Fact {
            name: "symbols",
            value: format!("{} from kallsyms", symbols.len()),
            rule: rule.into(),
        });
        Ok(symbols)
    }

    /// Without symbols there is no more to do than to say what stands in the way.
    fn why_no_symbols(&self, error: Option<kallsyms::KallsymsError>) -> String {
        let fault = match &error {
            Some(kallsyms::KallsymsError::Unreadable { address, .. }) => {
                self.read_u8(*address).err()
            }
            _ => self.image_fault(),
        };
        let missing = fault.map_or_else(String::new, |fault| format!(" ({fault})"));
        match error {
            Some(error) => format!("the kernel's symbol table cannot be read: {error}{missing}"),
            None => format!(
                "kallsyms, its symbol table, was not found in the kernel image{missing}; \
                 only physical memory can be read"
            ),
        }
    }

    /// The first page of the kernel image that the dump lacks
    fn image_fault(&self) -> Option<Fault> {
        let (start, end) = self.architecture.mapped_image(self.layout.as_ref()?, &self.dump);
        let page = self.page_size();
        let mut at = start;
        while at < end.min(start.saturating_add(MAX_TABLE)) {
            if let Err(fault) = self.read_u8(at) {
                return Some(fault);
            }
            at = at.saturating_add(page);
        }
        None
    }

    fn search_kallsyms(&self) -> Option<kallsyms::KallsymsTables> {
        let (start, end) = self.architecture.mapped_image(self.layout.as_ref()?, &self.dump);
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
            let n = self.page_rest(here).min(buf.len() - at);
            if let Ok(physical) = self.translate(here) {
                let _ = self.dump.unrecorded().read(physical, &mut buf[at..at + n]);
            }
            at += n;
        }
    }

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
        let known = self.kernel.symbols.by_name(name).map(|s| s.address);
        // Some tables name code alone; what VMCOREINFO names is data.
        known.or_else(|| self.vmcoreinfo.as_ref()?.symbol(name))
    }

    /// The memory that the dump lacks of the kernel's symbol table, so that some are not known.
    pub fn symbols_fault(&self) -> Option<Fault> {
        self.read_u8(self.kernel.symbols.missing()?).err()
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
        if address < self.architecture.kernel_start() {
            return false;
        }
        self.kernel.is_text(address) || self.modules().iter().any(|m| m.is_text(address))
    }
}

/// The target's kernel memory, for the symbol loaders.
struct Virtual<'a>(&'a Target);

impl necropsy_debuginfo::Bytes for Virtual<'_> {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.0.read(address, buf).is_ok()
    }

    fn big_endian(&self) -> bool {
        self.0.big_endian
    }

    fn pointer_size(&self) -> usize {
        self.0.pointer_size() as usize
    }
}
