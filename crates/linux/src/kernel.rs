//! A Linux kernel in a dump.

use std::{
    any::Any,
    sync::{Arc, OnceLock},
};

use necropsy_debuginfo::{Kind, TypeId, Types};
use necropsy_dump::Fault;
use necropsy_machine::{Target, target::VMLINUX};

use crate::{
    error::{Error, Result},
    knowledge::Knowledge,
    memo::Memo,
    module,
    shapes::Shapes,
};

/// The Linux kernel of a dump: shapes, CPUs, and the way to everything else.
#[derive(Debug)]
pub struct Kernel {
    target: Target,
    known: Arc<Knowledge>,
    /// Offsets, and what ended them early.
    per_cpu: OnceLock<(Vec<u64>, Option<Fault>)>,
    module_types: OnceLock<module::LoadedTypes>,
    memo: Memo,
}

/// CPUs that were online.
#[derive(Default)]
struct OnlineCpus(OnceLock<Vec<u32>>);

/// More CPUs than any kernel can be built for (NR_CPUS is 8192 at most).
const MAX_CPUS: u64 = 8192;

/// How many per-CPU offsets belong to CPUs, where no count can be read: each CPU has an area of its
/// own, and what follows is the template's address over and over.
fn distinct(offsets: &[u64]) -> usize {
    let repeated = offsets.windows(2).position(|pair| pair[0] == pair[1]);
    let zero = offsets.iter().position(|&offset| offset == 0);
    repeated.into_iter().chain(zero).min().unwrap_or(offsets.len())
}

impl Kernel {
    /// Takes a target over.
    pub fn new(target: Target) -> Kernel {
        let known = Arc::new(Knowledge::default());
        target.set_system(known.clone());
        target.set_module_loader(module::load_images);
        Kernel {
            target,
            known,
            per_cpu: OnceLock::new(),
            module_types: OnceLock::new(),
            memo: Memo::default(),
        }
    }

    /// What a part of this crate has found out of this kernel; empty at first.
    pub(crate) fn memo<T: Any + Default + Send + Sync>(&self) -> &T {
        self.memo.of()
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
        self.known.shapes(&self.target)
    }

    /// Address of a vmlinux symbol.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn symbol(&self, name: &str) -> Result<u64> {
        self.target.address_of(name).ok_or_else(|| match self.target.symbols_fault() {
            Some(fault) => fault.into(),
            None => Error::no_symbol(name),
        })
    }

    /// A member's offset by type and path, for the few that no shape needs to hold.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn offset_of(&self, tag: &str, path: &str) -> Result<u64> {
        let types = self.types();
        types
            .composite(tag)
            .and_then(|id| types.member(id, path))
            .map(|m| m.offset())
            .ok_or_else(|| self.not_described(|| Error::no_member(tag, [path])))
    }

    /// The value of an enum constant.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn constant(&self, name: &str) -> Result<i64> {
        self.types()
            .enumerator(name)
            .map(|(value, _)| value)
            .ok_or_else(|| self.not_described(|| Error::no_constant([name])))
    }

    /// Why the types do not tell something: the dump lacks a part of them, else `otherwise`.
    pub(crate) fn not_described(&self, otherwise: impl FnOnce() -> Error) -> Error {
        self.target.types_fault().map_or_else(otherwise, Error::from)
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
            let known = self.symbol("nr_cpu_ids").ok();
            let known = known.and_then(|at| self.target.read_u32(at).ok()).map(u64::from);
            let word = u64::from(self.target.pointer_size());
            let mut offsets = Vec::new();
            let mut fault = None;
            for cpu in 0..known.unwrap_or(MAX_CPUS).min(MAX_CPUS) {
                // A distance, negative where the template lies above: it is added to 64 bits.
                match self.target.read_long(table.wrapping_add(cpu * word)) {
                    Ok(offset) => offsets.push(offset as u64),
                    Err(missing) => {
                        fault = Some(missing);
                        break;
                    }
                }
            }
            // Entries beyond the possible CPUs keep the address of the per-CPU template.
            match self.cpu_mask("__cpu_possible_mask").ok().and_then(|mask| mask.last().copied()) {
                Some(last) => offsets.truncate(last as usize + 1),
                None if known.is_none() => offsets.truncate(distinct(&offsets)),
                None => {}
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
    /// [`Error::NoSuch`], or the fault that hides the CPU's offset.
    pub fn per_cpu(&self, name: &str, cpu: u32) -> Result<u64> {
        Ok(self.symbol(name)?.wrapping_add(self.cpu_base(cpu)?))
    }

    /// [`Kernel::per_cpu_offset`], or why there is none.
    pub(crate) fn cpu_base(&self, cpu: u32) -> Result<u64> {
        let (offsets, fault) = self.per_cpu_table();
        match (offsets.get(cpu as usize), fault) {
            (Some(offset), _) => Ok(*offset),
            (None, Some(fault)) => Err((*fault).into()),
            (None, None) => Err(Error::absent(format!("CPU {cpu}"))),
        }
    }

    /// The CPUs of a cpumask variable, ascending.
    ///
    /// # Errors
    /// [`Error::NoSuch`], or the fault that hides it.
    pub fn cpu_mask(&self, name: &str) -> Result<Vec<u32>> {
        let at = self.symbol(name)?;
        let mask = &self.shapes().cpumask;
        let bytes = mask.sizeof().unwrap_or(8).min(MAX_CPUS / 8);
        let mut cpus = Vec::new();
        let size = u64::from(self.target.pointer_size());
        let bits = size as u32 * 8;
        for word in 0..bytes / size {
            let value = mask.bits.named(self.target.read_pointer(at.wrapping_add(word * size)))?;
            cpus.extend(
                (0..bits).filter(|bit| value >> bit & 1 == 1).map(|bit| word as u32 * bits + bit),
            );
        }
        Ok(cpus)
    }

    /// Why the CPUs that count as online are those that are possible, when they are: the mask of
    /// the online ones cannot be had.
    pub fn online_problem(&self) -> Option<Error> {
        self.cpu_mask("__cpu_online_mask").err()
    }

    /// The possible CPUs.
    pub fn possible_cpus(&self) -> Vec<u32> {
        self.cpu_mask("__cpu_possible_mask")
            .ok()
            .filter(|m| !m.is_empty())
            // There is a CPU 0 in any case; what hides it shows when it is asked for.
            .unwrap_or_else(|| (0..self.per_cpu_offsets().len().max(1) as u32).collect())
    }

    /// The CPUs that were online until the machine died; all possible ones where
    /// [`Kernel::online_problem`] says why.
    pub fn online_cpus(&self) -> Vec<u32> {
        self.memo::<OnlineCpus>().0.get_or_init(|| self.find_online()).clone()
    }

    fn find_online(&self) -> Vec<u32> {
        let Some(mut cpus) = self.cpu_mask("__cpu_online_mask").ok().filter(|m| !m.is_empty())
        else {
            return self.possible_cpus();
        };
        // A panic takes CPUs off that mask on some machines when it stops them, and only there; one
        // that is unplugged leaves this one first.
        cpus.extend(self.cpu_mask("__cpu_active_mask").unwrap_or_default());
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }

    /// The run queue of a CPU.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn runqueue(&self, cpu: u32) -> Result<u64> {
        self.per_cpu("runqueues", cpu)
    }

    // ---- modules ----

    /// The loaded modules, and why the list ended early if it did.
    pub fn modules(&self) -> (&[module::Module], Option<&Error>) {
        self.known.modules(&self.target)
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
