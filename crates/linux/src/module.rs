//! Loaded modules: `struct module` (include/linux/module.h), their symbols, unwind tables and BTF.

use std::collections::HashMap;

use necropsy_debuginfo::{btf, symbols::Symbols};
use necropsy_machine::{
    Image, Target,
    image::{OrcTables, Range},
};

use crate::{
    build_id::{from_hex, to_hex},
    error::{Error, Result},
    kernel::Kernel,
    knowledge::Knowledge,
    shapes::{Form, Shapes},
    span::Numbers,
};

/// A loaded module.
#[derive(Debug, Clone)]
pub struct Module {
    /// Address of its `struct module`.
    pub address: u64,
    /// Its name.
    pub name: String,
    /// Where its code begins: what crash prints as TEXT_BASE.
    pub base: u64,
    /// Bytes of its core ranges.
    pub size: u64,
    /// Every range, code first.
    pub ranges: Vec<Range>,
    /// Per-CPU area: offset from a CPU's base, and bytes.
    pub percpu: Option<(u64, u64)>,
    /// Its taint bits.
    pub taints: u64,
    /// `MODULE_STATE_*`: 0 live, 1 coming, 2 going, 3 unformed.
    pub state: u64,
    /// GNU build id, hexadecimal.
    pub build_id: Option<String>,
}

impl Module {
    /// Whether it patches the running kernel (`TAINT_LIVEPATCH`, include/linux/panic.h).
    pub fn is_livepatch(&self) -> bool {
        const TAINT_LIVEPATCH: u32 = 15;
        self.taints >> TAINT_LIVEPATCH & 1 == 1
    }
}

/// The largest module that is believed, in bytes.
const MAX_MODULE: u64 = 1 << 30;
/// The most symbols of one module that are believed.
const MAX_SYMBOLS: u64 = 1 << 20;

/// The modules on the list `modules`, newest first as the kernel has them.
pub(crate) fn list(target: &Target, shapes: &Shapes) -> (Vec<Module>, Option<Error>) {
    let mut modules = Vec::new();
    let Some(head) = target.address_of("modules") else {
        let error = target.symbols_fault().map_or_else(|| Error::no_symbol("modules"), Error::from);
        return (modules, Some(error));
    };
    let link_offset = match shapes.module.list.offset() {
        Ok(offset) => offset,
        Err(error) => return (modules, Some(error)),
    };
    for link in crate::list::list(target, head) {
        match link.and_then(|link| read(target, shapes, link.wrapping_sub(link_offset))) {
            Ok(module) if module.state != MODULE_STATE_UNFORMED => modules.push(module),
            Ok(_) => {}
            Err(error) => return (modules, Some(error)),
        }
    }
    (modules, None)
}

const MODULE_STATE_UNFORMED: u64 = 3;

fn read(target: &Target, shapes: &Shapes, address: u64) -> Result<Module> {
    let shape = &shapes.module;
    let mut ranges = Vec::new();
    let mut size = 0;
    if shape.ranges.form() == Some(Form::Array) {
        // Text, data, rodata, ro_after_init, then the same of init.
        let first = shape.ranges.address(address)?;
        let element = shapes.module_memory.sizeof()?;
        let count = shape.ranges.size()? / element;
        for index in 0..count.min(16) {
            let memory = shapes.module_memory.at(target, first.wrapping_add(index * element));
            let (start, bytes) = (memory.base()?, memory.size()?);
            if start == 0 || bytes == 0 || bytes > MAX_MODULE {
                continue;
            }
            if index < 4 {
                size += bytes;
            }
            let text = index == 0 || index == 4;
            ranges.push(Range { start, end: start.saturating_add(bytes), text });
        }
    } else {
        for (field, core) in [(&shape.ranges, true), (&shape.init_layout, false)] {
            let layout = shapes.module_layout.at(target, field.address(address)?);
            let (start, bytes) = (layout.base()?, layout.size()?);
            let text = layout.text_size().unwrap_or(bytes);
            if start == 0 || bytes == 0 || bytes > MAX_MODULE {
                continue;
            }
            if core {
                size += bytes;
            }
            let text_end = start.saturating_add(text.min(bytes));
            ranges.push(Range { start, end: text_end, text: true });
            ranges.push(Range { start: text_end, end: start.saturating_add(bytes), text: false });
        }
    }
    let module = shape.at(target, address);
    let percpu = (|| {
        let (size, at) = (module.percpu_size().ok()?, module.percpu().ok()?);
        (size > 0 && size < MAX_MODULE).then_some((at, size))
    })();
    Ok(Module {
        address,
        name: module.text(|module| &module.name)?,
        base: ranges.first().map_or(0, |r| r.start),
        size,
        ranges,
        percpu,
        taints: module.taints()?,
        state: module.state()?,
        build_id: build_id(target, shapes, address),
    })
}

/// The build id that the kernel keeps for backtraces (CONFIG_STACKTRACE_BUILD_ID).
fn build_id(target: &Target, shapes: &Shapes, address: u64) -> Option<String> {
    let at = shapes.module.build_id.address(address).ok()?;
    let len = shapes.module.build_id.size().ok()?.min(64);
    let bytes = target.read_bytes(at, len).ok()?;
    bytes.iter().any(|&b| b != 0).then(|| to_hex(&bytes))
}

/// Every module as an image with its symbols: the loader that [`Target`] calls when an address or
/// a name is in no other image.
pub(crate) fn load_images(target: &Target) -> Vec<Image> {
    let Some(known) = Knowledge::of(target) else { return Vec::new() };
    let shapes = known.shapes(target);
    let image = |module: &Module| {
        let symbols =
            symbols(target, shapes, module).unwrap_or_else(|_| Symbols::builder().finish());
        let orc = orc_tables(target, shapes, module);
        Image::new(module.name.clone(), module.ranges.clone(), symbols, orc)
    };
    known.modules(target).0.iter().map(image).collect()
}

/// What debug information of a module is told by, and placed with.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    /// Its sections by name, with the addresses at which they are loaded.
    pub sections: HashMap<String, u64>,
    /// Its build ID.
    pub build_id: Option<Vec<u8>>,
}

/// Where the sections of the module called `name` are.
///
/// # Errors
/// There is no such module, or its table of sections cannot be read.
pub fn placement(target: &Target, name: &str) -> Result<Placement> {
    let known = Knowledge::of(target).ok_or_else(|| Error::no_symbol("modules"))?;
    let (modules, error) = known.modules(target);
    let Some(module) = modules.iter().find(|module| module.name == name) else {
        return Err(error.cloned().unwrap_or_else(|| Error::absent(format!("module {name}"))));
    };
    let sections = sections(target, known.shapes(target), module)?;
    let noted = sections.get(".note.gnu.build-id").and_then(|&at| crate::build_id::at(target, at));
    let build_id = noted.or_else(|| from_hex(module.build_id.as_deref()?));
    Ok(Placement { sections, build_id })
}

/// A module's sections by name, with the addresses at which they are still loaded: what init
/// needed is gone.
///
/// # Errors
/// A fault, or the kernel keeps no such table (it was built without KALLSYMS or sysfs).
fn sections(target: &Target, shapes: &Shapes, module: &Module) -> Result<HashMap<String, u64>> {
    let table = shapes.module.sect_attrs.read(target, module.address)?;
    let shape = &shapes.module_sect_attrs;
    let mut sections = HashMap::new();
    let mut add = |name: u64, address: u64| -> Result<()> {
        let name = target.read_cstr(name, MAX_SECTION_NAME)?;
        if module.ranges.iter().any(|range| range.contains(address)) {
            sections.insert(name, address);
        }
        Ok(())
    };
    if let (Ok(size), Ok(count)) =
        (shapes.module_sect_attr.sizeof(), shape.nsections.read(target, table))
    {
        let first = shape.attrs.address(table)?;
        for index in 0..count.min(MAX_SECTIONS) {
            let at = first.wrapping_add(index.wrapping_mul(size));
            let section = shapes.module_sect_attr.at(target, at);
            add(section.name()?, section.address()?)?;
        }
        return Ok(sections);
    }
    let list = shape.bin_attrs.read(target, table)?;
    for index in 0..MAX_SECTIONS {
        let at = target.read_pointer_at(list, index)?;
        if at == 0 {
            break;
        }
        let section = shapes.bin_attribute.at(target, at);
        add(section.name()?, section.private()?)?;
    }
    Ok(sections)
}

/// Sections of one module that are believed, and bytes of a section's name.
const MAX_SECTIONS: u64 = 4096;
const MAX_SECTION_NAME: usize = 256;

fn orc_tables(target: &Target, shapes: &Shapes, module: &Module) -> Option<OrcTables> {
    let module = shapes.module.at(target, module.address);
    let count = module.num_orcs().ok()?;
    Some(OrcTables {
        ip: module.orc_ip().ok()?,
        entries: module.orc().ok()?,
        count: (count > 0 && count <= MAX_MODULE / 6).then_some(count)?,
    })
}

const SHN_UNDEF: u16 = 0;

fn symbols(target: &Target, shapes: &Shapes, module: &Module) -> Result<Symbols> {
    let kallsyms = shapes.module.kallsyms.read(target, module.address)?;
    let kallsyms = shapes.mod_kallsyms.at(target, kallsyms);
    let count = kallsyms.num_symtab()?;
    if count > MAX_SYMBOLS {
        return Err(Error::corrupt(format!("module {}: {count} symbols", module.name)));
    }
    let (symtab, strtab) = (kallsyms.symtab()?, kallsyms.strtab()?);
    let typetab = kallsyms.typetab().ok();
    let numbers = Numbers::of(target);
    // struct elf64_sym is ABI: name u32, info u8, other u8, shndx u16, value u64, size u64; struct
    // elf32_sym: name, value, size u32, info u8, other u8, shndx u16.
    let (entry_size, shndx_at, value_at, size_at) =
        if numbers.word_size() == 8 { (24, 6, 8, 16) } else { (16, 14, 4, 8) };
    let table = target.read_bytes(symtab, count * entry_size as u64)?;
    let mut found = Vec::new();
    let percpu = module.percpu.map(|(at, size)| at..at.saturating_add(size));
    for (index, entry) in table.chunks_exact(entry_size).enumerate() {
        let word = |at: usize, size: usize| numbers.number(entry, at, size);
        let name_at = word(0, 4);
        let shndx = word(shndx_at, 2) as u16;
        let value = word(value_at, numbers.word_size());
        if name_at == 0 || shndx == SHN_UNDEF || value == 0 {
            continue;
        }
        if !module.ranges.iter().any(|r| r.contains(value))
            && !percpu.as_ref().is_some_and(|p| p.contains(&value))
        {
            continue;
        }
        let Ok(name) = target.read_cstr(strtab.wrapping_add(name_at), 512) else { continue };
        // Labels within functions, which RISC-V's assembler leaves in, and marks of code and data.
        if [".L", "$"].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        if name.is_empty() {
            continue;
        }
        let kind = typetab
            .and_then(|at| target.read_u8(at.wrapping_add(index as u64)).ok())
            .filter(u8::is_ascii_alphabetic)
            .map_or('?', char::from);
        found.push((value, name, kind, word(size_at, numbers.word_size())));
    }
    // What takes no room (a `struct lock_class_key` without lockdep) gives nothing else its name.
    found.sort_by_key(|&(.., size)| size == 0);
    let mut builder = Symbols::builder();
    for (address, name, kind, size) in found {
        builder.push(address, &name, kind, size);
    }
    Ok(builder.finish())
}

/// What became of the modules' types.
#[derive(Debug, Default)]
pub struct LoadedTypes {
    /// Modules whose types were loaded.
    pub loaded: usize,
    /// Why others' were not, or why there are none at all.
    pub errors: Vec<Error>,
}

/// Loads the BTF of every module into the graph: the list `btf_modules` since 5.11.
pub(crate) fn load_types(kernel: &Kernel) -> LoadedTypes {
    let mut types = LoadedTypes::default();
    if let Err(error) = load_each(kernel, &mut types) {
        types.errors.push(error);
    }
    types
}

fn load_each(kernel: &Kernel, types: &mut LoadedTypes) -> Result<()> {
    let target = kernel.target();
    let shapes = kernel.shapes();
    let base = target.btf_base().ok_or_else(|| Error::no_symbol("__start_BTF"))?;
    let head = kernel.symbol("btf_modules")?;
    let link_offset = shapes.btf_module.list.offset()?;
    let load = |entry: u64| -> Result<()> {
        let btf = shapes.btf.at(target, shapes.btf_module.at(target, entry).btf()?);
        let (data, size) = (btf.data()?, btf.data_size()?);
        let bytes = target.read_bytes(data, size.min(MAX_MODULE))?;
        btf::load_btf(kernel.types(), &bytes, Some(base))
            .map_err(|error| Error::corrupt(error.to_string()))?;
        Ok(())
    };
    for link in crate::list::list(target, head) {
        match load(link?.wrapping_sub(link_offset)) {
            Ok(()) => types.loaded += 1,
            Err(error) => types.errors.push(error),
        }
    }
    Ok(())
}

/// The letters of taint bits, as `/proc/modules` prints them (kernel/panic.c, taint_flags).
pub fn taint_letters(bits: u64) -> String {
    TAINTS
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, (letter, _))| *letter)
        .collect()
}

/// Taint flags by bit: the letter when set, and what it means.
pub const TAINTS: [(char, &str); 20] = [
    ('P', "proprietary module was loaded"),
    ('F', "module was force loaded"),
    ('S', "kernel running on an out of specification system"),
    ('R', "module was force unloaded"),
    ('M', "processor reported a machine check exception"),
    ('B', "bad page referenced or unexpected page flags"),
    ('U', "taint requested by userspace application"),
    ('D', "kernel died recently: oops or BUG"),
    ('A', "ACPI table overridden by user"),
    ('W', "kernel issued warning"),
    ('C', "staging driver was loaded"),
    ('I', "workaround for bug in platform firmware applied"),
    ('O', "externally-built (out-of-tree) module was loaded"),
    ('E', "unsigned module was loaded"),
    ('L', "soft lockup occurred"),
    ('K', "kernel has been live patched"),
    ('X', "auxiliary taint, defined by the distribution"),
    ('T', "kernel was built with the struct randomization plugin"),
    ('N', "an in-kernel test has been run"),
    ('J', "userspace used a mutating debug operation in fwctl"),
];
