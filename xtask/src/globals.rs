//! Makes `crates/debuginfo/src/globals.txt` out of the DWARF of one or more `vmlinux` files, newest first:
//! `cargo xtask globals vmlinux-7.2 vmlinux-6.12 > crates/debuginfo/src/globals.txt`
//!
//! Taken are the variables at file level of the parts of the kernel that a debugger's commands
//! read, but none that macros make by the thousand, and no name that stands for variables of
//! different types within one kernel.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    error::Error,
    fs::File,
};

use gimli::{
    AttributeValue, DebuggingInformationEntry, DwarfSections, EndianSlice, LittleEndian, Unit,
    UnitOffset,
};
use object::{Object, ObjectSection, ReadCache};

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// Source directories whose variables are of use.
const DIRECTORIES: &[&str] = &[
    "init/",
    "kernel/",
    "mm/",
    "ipc/",
    "lib/",
    "block/",
    "fs/",
    "security/",
    "net/core/",
    "net/ipv4/",
    "net/ipv6/",
    "net/unix/",
    "net/netlink/",
    "net/packet/",
    "net/socket.c",
    "net/sched/",
    "arch/x86/kernel/",
    "arch/x86/mm/",
    "arch/x86/entry/",
    "arch/x86/lib/",
    "drivers/base/",
    "drivers/char/",
    "drivers/tty/",
    "drivers/pci/",
    "drivers/clocksource/",
    "drivers/cpufreq/",
    "drivers/cpuidle/",
    "drivers/acpi/",
    "drivers/iommu/",
    "drivers/md/",
    "drivers/net/loopback.c",
    "drivers/scsi/",
    "drivers/input/",
];

/// Beneath those, file systems and such that no command reads.
const NOT: &[&str] = &[
    "kernel/rcu/rcutorture",
    "kernel/locking/locktorture",
    "lib/test",
    "lib/tests/",
    "lib/kunit",
    "fs/nls/",
    "lib/crypto/",
    "lib/zstd/",
    "lib/fonts/",
    "drivers/tty/vt/defkeymap",
    "drivers/acpi/acpica/",
];

/// Beginnings of names that macros make.
const MADE: &[&str] = &[
    "__key",
    "__func__",
    "__already_done",
    "__warned",
    "__print_once",
    "__ksymtab",
    "__kstrtab",
    "__UNIQUE_ID",
    "__setup_",
    "__param_",
    "__initcall",
    "__exitcall",
    "__tracepoint_",
    "__SCK__",
    "__SCT__",
    "__tpstrtab_",
    "___tp_str",
    "__bpf_trace",
    "__event_",
    "event_",
    "trace_event_",
    "print_fmt_",
    "str__",
    "__syscall_meta",
    "__se_sys",
    "types__",
    "args__",
    "eil_addr_",
    "_eil_",
    "__bpf_",
    "bpf_func",
    "BTF_ID",
    "__addressable",
    "__export_symbol",
    "__mod_",
    "__section",
    "__clk_",
    "descriptor",
    "__stop_",
    "__of_table",
    "trace_raw",
    "perf_probe",
    "security_hook_active_",
    "TRACE_SYSTEM_",
    "__ref_",
];

/// Types of variables that only describe something to a subsystem, by the thousand.
const DULL: &[&str] = &[
    "struct trace_eval_map",
    "struct syscall_metadata",
    "struct device_attribute",
    "struct driver_attribute",
    "struct kobj_attribute",
    "struct bin_attribute",
    "struct attribute",
    "struct attribute_group",
    "struct slab_attribute",
    "struct freq_attr",
    "struct ext4_attr",
    "struct tpm_pcr_attr",
    "struct queue_sysfs_entry",
    "struct bpf_func_proto",
    "struct bpf_verifier_ops",
    "struct bpf_prog_ops",
    "struct btf_kfunc_id_set",
    "struct kernel_param_ops",
    "struct trace_event_fields",
    "struct trace_event_functions",
    "struct nla_policy",
    "struct dmi_system_id",
    "struct x86_cpu_id",
    "struct acpi_device_id",
    "struct pci_device_id",
    "struct aa_sfs_entry",
    "struct fs_parameter_spec",
    "insn_attr_t",
];

/// What no DWARF tells: made by a linker script or in assembly, or of kernels built otherwise.
const ADDED: &[(&str, &str)] = &[
    ("contig_page_data", "struct pglist_data"),
    ("init_top_pgt", "pgd_t [512]"),
    ("jiffies", "long unsigned int"),
    ("max_mapnr", "long unsigned int"),
    ("mem_map", "struct page *"),
    ("phys_base", "long unsigned int"),
    ("swapper_pg_dir", "pgd_t [512]"),
];

struct DebugInfo<'a> {
    dwarf: gimli::Dwarf<Slice<'a>>,
}

/// Prints the table.
pub(crate) fn print(files: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut table: BTreeMap<String, Vec<String>> =
        ADDED.iter().map(|(name, ty)| (name.to_string(), vec![ty.to_string()])).collect();
    for path in files {
        let cache = ReadCache::new(File::open(path)?);
        let elf = object::File::parse(&cache)?;
        let sections = DwarfSections::load(|id| -> Result<Cow<'_, [u8]>, Box<dyn Error>> {
            Ok(match elf.section_by_name(id.name()) {
                Some(section) => section.uncompressed_data()?,
                None => Cow::Borrowed(&[]),
            })
        })?;
        let file =
            DebugInfo { dwarf: sections.borrow(|data| EndianSlice::new(data, LittleEndian)) };
        let found = file.globals()?;
        eprintln!("{path}: {} globals", found.len());
        for (name, ty) in found {
            // A name of two types is no answer.
            let Some(ty) = ty else { continue };
            let alternatives = table.entry(name).or_default();
            if !alternatives.contains(&ty) {
                alternatives.push(ty);
            }
        }
    }
    for (name, alternatives) in table {
        println!("{name}: {}", alternatives.join(" | "));
    }
    Ok(())
}

impl<'a> DebugInfo<'a> {
    /// Every wanted variable with its type; `None` where it has several.
    fn globals(&self) -> Result<HashMap<String, Option<String>>, Box<dyn Error>> {
        let mut found: HashMap<String, Option<String>> = HashMap::new();
        let mut units = self.dwarf.units();
        while let Some(header) = units.next()? {
            let unit = self.dwarf.unit(header)?;
            if !unit.name.is_some_and(|name| is_wanted(&name.to_string_lossy())) {
                continue;
            }
            let mut tree = unit.entries_tree(None)?;
            let mut children = tree.root()?.children();
            while let Some(child) = children.next()? {
                let entry = child.entry();
                if entry.tag() != gimli::DW_TAG_variable || !is_stored(entry) {
                    continue;
                }
                let declared = match entry.attr_value(gimli::DW_AT_specification) {
                    Some(AttributeValue::UnitRef(offset)) => Some(unit.entry(offset)?),
                    _ => None,
                };
                let declared = declared.as_ref().unwrap_or(entry);
                let Some(name) = self.name(&unit, declared) else { continue };
                if MADE.iter().any(|made| name.starts_with(made)) || name.contains('.') {
                    continue;
                }
                // The definition may complete the type: an array without bound.
                let with_type = [entry, declared]
                    .into_iter()
                    .find(|e| e.attr_value(gimli::DW_AT_type).is_some());
                let ty = with_type.and_then(|e| self.declare(&unit, e, String::new(), 0));
                if ty.as_deref().is_some_and(is_dull) {
                    continue;
                }
                let entry = found.entry(name).or_insert_with(|| ty.clone());
                if *entry != ty {
                    *entry = None;
                }
            }
        }
        Ok(found)
    }

    fn name(&self, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) -> Option<String> {
        let name = self.dwarf.attr_string(unit, entry.attr_value(gimli::DW_AT_name)?).ok()?;
        Some(name.to_string_lossy().into_owned())
    }

    /// The type of `entry` around `inner`, as C writes it; `None` for what has no name.
    fn declare(
        &self,
        unit: &Unit<Slice<'a>>,
        entry: &Entry<'a>,
        inner: String,
        depth: u32,
    ) -> Option<String> {
        let join = |word: &str, inner: String| {
            if inner.is_empty() { word.to_owned() } else { format!("{word} {inner}") }
        };
        let Some(AttributeValue::UnitRef(offset)) = entry.attr_value(gimli::DW_AT_type) else {
            return Some(join("void", inner));
        };
        let ty = unit.entry(offset).ok()?;
        if depth > 20 {
            return None;
        }
        let next = |inner| self.declare(unit, &ty, inner, depth + 1);
        match ty.tag() {
            gimli::DW_TAG_base_type | gimli::DW_TAG_typedef => {
                Some(join(&self.name(unit, &ty)?, inner))
            }
            gimli::DW_TAG_structure_type => self.composite(unit, offset, "struct", inner),
            gimli::DW_TAG_union_type => self.composite(unit, offset, "union", inner),
            gimli::DW_TAG_enumeration_type => {
                Some(join(&format!("enum {}", self.name(unit, &ty)?), inner))
            }
            gimli::DW_TAG_pointer_type => next(if self.is_declarator(unit, &ty)? {
                format!("(*{inner})")
            } else {
                format!("*{inner}")
            }),
            // Qualifiers change no layout.
            gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type => next(inner),
            gimli::DW_TAG_array_type => {
                let bounds: String = children(unit, offset)?
                    .iter()
                    .map(|bound| match count(bound) {
                        Some(count) => format!("[{count}]"),
                        None => "[]".to_owned(),
                    })
                    .collect();
                next(inner + &bounds)
            }
            gimli::DW_TAG_subroutine_type => {
                let params = children(unit, offset)?
                    .iter()
                    .map(|param| match param.tag() {
                        gimli::DW_TAG_unspecified_parameters => Some("...".to_owned()),
                        _ => self.declare(unit, param, String::new(), depth + 1),
                    })
                    .collect::<Option<Vec<_>>>()?;
                next(format!("{inner}({})", params.join(", ")))
            }
            _ => None,
        }
    }

    /// Whether what `entry` leads to, qualifiers aside, is an array or a function.
    fn is_declarator(&self, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) -> Option<bool> {
        let Some(AttributeValue::UnitRef(offset)) = entry.attr_value(gimli::DW_AT_type) else {
            return Some(false);
        };
        let ty = unit.entry(offset).ok()?;
        match ty.tag() {
            gimli::DW_TAG_array_type | gimli::DW_TAG_subroutine_type => Some(true),
            gimli::DW_TAG_const_type | gimli::DW_TAG_volatile_type => self.is_declarator(unit, &ty),
            _ => Some(false),
        }
    }

    fn composite(
        &self,
        unit: &Unit<Slice<'a>>,
        offset: UnitOffset,
        keyword: &str,
        inner: String,
    ) -> Option<String> {
        let entry = unit.entry(offset).ok()?;
        let specifier = match self.name(unit, &entry) {
            Some(name) => format!("{keyword} {name}"),
            None => {
                let members = children(unit, offset)?
                    .iter()
                    .map(|member| self.name(unit, member))
                    .collect::<Option<Vec<_>>>()?;
                format!("{keyword} {{ {}; }}", members.join("; "))
            }
        };
        Some(if inner.is_empty() { specifier } else { format!("{specifier} {inner}") })
    }
}

fn children<'a>(unit: &Unit<Slice<'a>>, offset: UnitOffset) -> Option<Vec<Entry<'a>>> {
    let mut tree = unit.entries_tree(Some(offset)).ok()?;
    let mut children = tree.root().ok()?.children();
    let mut all = Vec::new();
    while let Ok(Some(child)) = children.next() {
        all.push(child.entry().clone());
    }
    Some(all)
}

fn count(bound: &Entry<'_>) -> Option<u64> {
    let count = bound.attr_value(gimli::DW_AT_count).and_then(|v| v.udata_value());
    count.or_else(|| bound.attr_value(gimli::DW_AT_upper_bound)?.udata_value()?.checked_add(1))
}

/// Whether a type, pointers and arrays of it included, is of no use.
fn is_dull(ty: &str) -> bool {
    DULL.contains(&ty.trim_end_matches(|c: char| "[]*() ".contains(c) || c.is_ascii_digit()))
}

fn is_wanted(source: &str) -> bool {
    // Absolute or relative to the build directory, as the distribution builds.
    let at = DIRECTORIES
        .iter()
        .any(|directory| source.strip_prefix("./").unwrap_or(source).starts_with(directory));
    at && !NOT.iter().any(|not| source.starts_with(not))
}

/// Whether a variable has an address of its own.
fn is_stored(entry: &Entry<'_>) -> bool {
    match entry.attr_value(gimli::DW_AT_location) {
        Some(AttributeValue::Exprloc(location)) => {
            location.0.first() == Some(&gimli::DW_OP_addr.0)
                || location.0.first() == Some(&gimli::DW_OP_addrx.0)
        }
        _ => false,
    }
}
