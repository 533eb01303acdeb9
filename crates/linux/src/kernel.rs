//! A Linux kernel in a dump.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use necropsy_debuginfo::{Kind, TypeId, Types};
use necropsy_dump::Fault;
use necropsy_target::{Target, target::VMLINUX};

use crate::{
    error::{Error, Result},
    module,
    shapes::Shapes,
};

/// The Linux kernel of a dump: shapes, CPUs, and the way to everything else.
#[derive(Debug)]
pub struct Kernel {
    target: Target,
    shapes: OnceLock<Shapes>,
    /// Offsets, and what ended them early.
    per_cpu: OnceLock<(Vec<u64>, Option<Fault>)>,
    module_list: OnceLock<(Vec<module::Module>, Option<Error>)>,
    module_types: OnceLock<module::LoadedTypes>,
    /// Pages that the threads of a group keep counted, by `signal_struct`: every thread of the
    /// group asks for them, and there may be thousands.
    pub(crate) group_rss: Mutex<HashMap<u64, i64>>,
}

/// More CPUs than any kernel can be built for (NR_CPUS is 8192 at most).
const MAX_CPUS: u64 = 8192;

impl Kernel {
    /// Takes a target over.
    pub fn new(target: Target) -> Kernel {
        target.set_module_loader(module::load_images);
        Kernel {
            target,
            shapes: OnceLock::new(),
            per_cpu: OnceLock::new(),
            module_list: OnceLock::new(),
            module_types: OnceLock::new(),
            group_rss: Mutex::default(),
        }
    }

    /// Memory, symbols, types.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The kernel's types.
    pub fn types(&self) -> &Types {
        self.target.types()
    }

    /// The structures that necropsy knows, resolved for this kernel.
    pub fn shapes(&self) -> &Shapes {
        self.shapes.get_or_init(|| Shapes::resolve(self.types()))
    }

    /// Address of a vmlinux symbol.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn symbol(&self, name: &str) -> Result<u64> {
        self.target.address_of(name).ok_or_else(|| Error::no_symbol(name))
    }

    /// A member's offset by type and path, for the few that no shape needs to hold.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn offset_of(&self, tag: &str, path: &str) -> Result<u64> {
        let types = self.types();
        types
            .composite(tag)
            .and_then(|id| types.member(id, path))
            .map(|m| m.offset())
            .ok_or_else(|| Error::Missing { what: format!("member {tag}.{path}") })
    }

    /// The value of an enum constant.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn constant(&self, name: &str) -> Result<i64> {
        self.types()
            .enumerator(name)
            .map(|(value, _)| value)
            .ok_or_else(|| Error::Missing { what: format!("enum constant {name}") })
    }

    /// The type of a global variable: what the kernel's BTF says of per-CPU variables, and our
    /// table for the others.
    pub fn global_type(&self, name: &str) -> Option<TypeId> {
        self.types()
            .find(Kind::Variable, name)
            .or_else(|| necropsy_debuginfo::globals::global_type(self.types(), name))
    }

    // ---- CPUs ----

    /// The per-CPU offsets of the possible CPUs (`__per_cpu_offset`), as far as they can be read.
    pub fn per_cpu_offsets(&self) -> &[u64] {
        &self.per_cpu_table().0
    }

    fn per_cpu_table(&self) -> &(Vec<u64>, Option<Fault>) {
        self.per_cpu.get_or_init(|| {
            // A kernel for one CPU has no table.
            let Ok(table) = self.symbol("__per_cpu_offset") else { return (vec![0], None) };
            let count = self
                .symbol("nr_cpu_ids")
                .ok()
                .and_then(|at| self.target.read_u32(at).ok())
                .map_or(MAX_CPUS, u64::from)
                .min(MAX_CPUS);
            let mut offsets = Vec::new();
            let mut fault = None;
            for cpu in 0..count {
                match self.target.read_u64(table.wrapping_add(cpu * 8)) {
                    Ok(offset) => offsets.push(offset),
                    Err(missing) => {
                        fault = Some(missing);
                        break;
                    }
                }
            }
            // Entries beyond the possible CPUs keep the address of the per-CPU template.
            let possible = self.cpu_mask("__cpu_possible_mask").unwrap_or_default();
            if let Some(last) = possible.last() {
                offsets.truncate(*last as usize + 1);
            }
            (offsets, fault)
        })
    }

    /// The offset of one CPU's per-CPU area.
    pub fn per_cpu_offset(&self, cpu: u32) -> Option<u64> {
        self.per_cpu_offsets().get(cpu as usize).copied()
    }

    /// The address of a per-CPU variable on a CPU.
    ///
    /// # Errors
    /// [`Error::Missing`], or the fault that hides the CPU's offset.
    pub fn per_cpu(&self, name: &str, cpu: u32) -> Result<u64> {
        Ok(self.symbol(name)?.wrapping_add(self.cpu_base(cpu)?))
    }

    /// [`Kernel::per_cpu_offset`], or why there is none.
    pub(crate) fn cpu_base(&self, cpu: u32) -> Result<u64> {
        let (offsets, fault) = self.per_cpu_table();
        match (offsets.get(cpu as usize), fault) {
            (Some(offset), _) => Ok(*offset),
            (None, Some(fault)) => Err(Error::Fault(*fault)),
            (None, None) => Err(Error::Missing { what: format!("CPU {cpu}") }),
        }
    }

    /// The CPUs of a cpumask variable, ascending.
    pub fn cpu_mask(&self, name: &str) -> Option<Vec<u32>> {
        let at = self.target.address_of(name)?;
        let bytes = self.target.struct_size("cpumask").unwrap_or(8).min(MAX_CPUS / 8);
        let mut cpus = Vec::new();
        for word in 0..bytes / 8 {
            let value = self.target.read_u64(at.wrapping_add(word * 8)).ok()?;
            cpus.extend(
                (0..64).filter(|bit| value >> bit & 1 == 1).map(|bit| word as u32 * 64 + bit),
            );
        }
        Some(cpus)
    }

    /// The possible CPUs.
    pub fn possible_cpus(&self) -> Vec<u32> {
        self.cpu_mask("__cpu_possible_mask")
            .filter(|m| !m.is_empty())
            // There is a CPU 0 in any case; what hides it shows when it is asked for.
            .unwrap_or_else(|| (0..self.per_cpu_offsets().len().max(1) as u32).collect())
    }

    /// The online CPUs.
    pub fn online_cpus(&self) -> Vec<u32> {
        self.cpu_mask("__cpu_online_mask")
            .filter(|m| !m.is_empty())
            .unwrap_or_else(|| self.possible_cpus())
    }

    /// The run queue of a CPU.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn runqueue(&self, cpu: u32) -> Result<u64> {
        self.per_cpu("runqueues", cpu)
    }

    // ---- modules ----

    /// The loaded modules, and why the list ended early if it did.
    pub fn modules(&self) -> (&[module::Module], Option<&Error>) {
        let (modules, error) = self.module_list.get_or_init(|| module::list(self));
        (modules, error.as_ref())
    }

    /// Adds the modules' types to the graph, once.
    pub fn load_module_types(&self) -> &module::LoadedTypes {
        self.module_types.get_or_init(|| module::load_types(self))
    }

    /// `vmlinux` or the name of the module that an address belongs to.
    pub fn image_name(&self, address: u64) -> Option<&str> {
        self.target.image_at(address).map(|i| i.name.as_str()).filter(|n| *n != VMLINUX)
    }
}
