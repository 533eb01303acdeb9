//! All knowledge of kernel structures, declared: members with their alternatives side by side,
//! resolved once against the types of the kernel at hand. Nothing here asks for a version.
//!
//! A member that does not resolve harms only those who read it: reading it is an error that names
//! it. `necropsy doctor` prints every shape.

use necropsy_debuginfo::{TypeId, Types};
use necropsy_target::Target;

use crate::error::{Error, Result};

/// A member of a structure, found or not.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The C structure's tag.
    pub shape: &'static str,
    /// Its names through time; the first that exists counts.
    pub names: &'static [&'static str],
    /// Whether some kernels rightly have none.
    pub optional: bool,
    at: Option<Place>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    name: &'static str,
    offset: u64,
    size: u32,
    bit: u32,
    bit_size: u32,
    ty: TypeId,
    signed: bool,
}

impl Field {
    /// Looks the member up.
    pub fn resolve(
        types: &Types,
        shape: &'static str,
        names: &'static [&'static str],
        optional: bool,
    ) -> Field {
        let at = types.composite(shape).and_then(|id| {
            names.iter().find_map(|&name| {
                let path = types.member(id, name)?;
                let size = types.size_of(path.ty).unwrap_or(0).min(u64::from(u32::MAX)) as u32;
                let signed = matches!(
                    types.resolve(path.ty),
                    necropsy_debuginfo::Type::Int { signed: true, .. }
                        | necropsy_debuginfo::Type::Enum { signed: true, .. }
                );
                let (offset, bit) = if path.bit_size == 0 {
                    (path.offset(), 0)
                } else {
                    // The storage unit of a bit-field: aligned to the size of its type.
                    let unit = u64::from(size.max(1)) * 8;
                    (path.bit_offset / unit * unit / 8, (path.bit_offset % unit) as u32)
                };
                Some(Place {
                    name,
                    offset,
                    size,
                    bit,
                    bit_size: path.bit_size,
                    ty: path.ty,
                    signed,
                })
            })
        });
        Field { shape, names, optional, at }
    }

    fn place(&self) -> Result<&Place> {
        self.at.as_ref().ok_or_else(|| Error::Missing {
            what: format!("member {}.{}", self.shape, self.names.join(" or .")),
        })
    }

    /// Whether this kernel has it.
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    /// The name that it has in this kernel.
    pub fn name(&self) -> Option<&'static str> {
        self.at.map(|at| at.name)
    }

    /// Bytes from the start of the structure.
    ///
    /// # Errors
    /// [`Error::Missing`] when this kernel has no such member.
    pub fn offset(&self) -> Result<u64> {
        Ok(self.place()?.offset)
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn size(&self) -> Result<u64> {
        Ok(self.place()?.size.into())
    }

    /// Its type.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn ty(&self) -> Result<TypeId> {
        Ok(self.place()?.ty)
    }

    /// Its address in the structure at virtual address `base`.
    ///
    /// # Errors
    /// As [`Field::offset`].
    pub fn address(&self, base: u64) -> Result<u64> {
        Ok(base.wrapping_add(self.place()?.offset))
    }

    /// Its value as an unsigned number, zero-extended.
    ///
    /// # Errors
    /// A fault, or [`Error::Missing`].
    pub fn read(&self, target: &Target, base: u64) -> Result<u64> {
        let place = self.place()?;
        let address = base.wrapping_add(place.offset);
        // A structure that wraps one number (atomic_t, pid_t …) reads as that number.
        let size = match place.size {
            1 | 2 | 4 | 8 => u64::from(place.size),
            _ => return Err(Error::corrupt(format!("{}.{} is no number", self.shape, place.name))),
        };
        let value = target.read_uint(address, size)?;
        Ok(if place.bit_size == 0 {
            value
        } else {
            (value >> place.bit) & (u64::MAX >> (64 - place.bit_size.clamp(1, 64)))
        })
    }

    /// Its value as a signed number, extended from its size.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn read_signed(&self, target: &Target, base: u64) -> Result<i64> {
        let value = self.read(target, base)?;
        let place = self.place()?;
        let bits = if place.bit_size > 0 { place.bit_size } else { place.size * 8 };
        let shift = 64 - bits.clamp(1, 64);
        Ok(((value << shift) as i64) >> shift)
    }

    /// Its text: a `char` array up to its NUL.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn text(&self, target: &Target, base: u64) -> Result<String> {
        let place = self.place()?;
        Ok(target.read_cstr(base.wrapping_add(place.offset), place.size as usize)?)
    }

    /// One line for `doctor`.
    pub fn describe(&self) -> (String, Option<(&'static str, u64, u32)>) {
        (
            format!("{}.{}", self.shape, self.names.join(" | .")),
            self.at.map(|at| (at.name, at.offset, at.size)),
        )
    }

    /// Whether its type is a signed number.
    pub fn signed(&self) -> bool {
        self.at.is_some_and(|at| at.signed)
    }
}

/// Declares shapes: `pub Task = "task_struct" { state: "__state" | "state", old?: "old" }`.
/// A `?` marks members that some kernels rightly lack.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident = $tag:literal {
        $($field:ident $(? $optional:ident)? : $first:literal $(| $other:literal)*),* $(,)?
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            #[allow(missing_docs)]
            pub struct $name {
                /// `sizeof`, when the kernel has the type.
                pub size: Option<u64>,
                $(pub $field: $crate::shapes::Field,)*
            }

            impl $name {
                /// The C tag.
                pub const TAG: &'static str = $tag;

                /// Looks every member up.
                pub fn resolve(types: &necropsy_debuginfo::Types) -> Self {
                    Self {
                        size: types.composite($tag).and_then(|id| types.size_of(id)),
                        $($field: $crate::shapes::Field::resolve(
                            types,
                            $tag,
                            &[$first $(, $other)*],
                            shapes!(@optional $($optional)?),
                        ),)*
                    }
                }

                /// Every member, in declaration order.
                pub fn fields(&self) -> Vec<&$crate::shapes::Field> {
                    vec![$(&self.$field),*]
                }
            }
        )*
    };
    (@optional) => { false };
    (@optional $x:ident) => { true };
}

/// Collects the shapes of all subsystems.
macro_rules! all_shapes {
    ($($field:ident : $path:path),* $(,)?) => {
        /// Every shape, resolved against one kernel.
        #[derive(Debug, Clone)]
        #[allow(missing_docs)]
        pub struct Shapes { $(pub $field: $path,)* }

        impl Shapes {
            /// Looks everything up.
            pub fn resolve(types: &Types) -> Self {
                Shapes { $($field: <$path>::resolve(types),)* }
            }

            /// Tag, size and members of every shape: what `doctor` prints.
            pub fn all(&self) -> Vec<(&'static str, Option<u64>, Vec<&Field>)> {
                vec![$((<$path>::TAG, self.$field.size, self.$field.fields()),)*]
            }
        }
    };
}

mod container;
mod cpu;
mod irq;
mod machine;
mod mm;
mod module;
mod printk;
mod sched;
mod slab;
mod system;
mod task;
mod time;
mod timer;

pub use container::*;
pub use cpu::*;
pub use irq::*;
pub use machine::*;
pub use mm::*;
pub use module::*;
pub use printk::*;
pub use sched::*;
pub use slab::*;
pub use system::*;
pub use task::*;
pub use time::*;
pub use timer::*;

all_shapes! {
    page: slab::Page,
    slab: slab::Slab,
    kmem_cache: slab::KmemCache,
    task: task::Task,
    xarray: container::XArray,
    radix_tree_root: container::RadixTreeRoot,
    xa_node: container::XaNode,
    radix_tree_node: container::RadixTreeNode,
    maple_tree: container::MapleTree,
    maple_node: container::MapleNode,
    pid: task::Pid,
    pid_namespace: task::PidNamespace,
    signal: task::Signal,
    inactive_frame: task::InactiveFrame,
    mm: mm::Mm,
    percpu_counter: mm::PercpuCounter,
    rq: cpu::Rq,
    pcpu_hot: cpu::PcpuHot,
    task_entities: sched::TaskEntities,
    cfs_rq: sched::CfsRq,
    sched_entity: sched::SchedEntity,
    rt_rq: sched::RtRq,
    rt_prio_array: sched::RtPrioArray,
    sched_rt_entity: sched::SchedRtEntity,
    dl_rq: sched::DlRq,
    sched_dl_entity: sched::SchedDlEntity,
    task_group: sched::TaskGroup,
    cgroup: sched::Cgroup,
    kernfs_node: sched::KernfsNode,
    irq_desc: irq::IrqDesc,
    irq_action: irq::IrqAction,
    irq_chip: irq::IrqChip,
    irq_stat: irq::IrqStat,
    softirq_action: irq::SoftirqAction,
    gate: irq::Gate,
    timer_base: timer::TimerBase,
    timer_list: timer::TimerList,
    hrtimer_cpu_base: timer::HrtimerCpuBase,
    hrtimer_clock_base: timer::HrtimerClockBase,
    hrtimer: timer::Hrtimer,
    timekeeper_pace: timer::TimekeeperPace,
    e820_table: machine::E820Table,
    e820_entry: machine::E820Entry,
    module: module::Module,
    module_sect_attrs: module::ModuleSectAttrs,
    module_sect_attr: module::ModuleSectAttr,
    bin_attribute: module::BinAttribute,
    module_memory: module::ModuleMemory,
    module_layout: module::ModuleLayout,
    mod_kallsyms: module::ModKallsyms,
    elf_symbol: module::ElfSymbol,
    btf_module: module::BtfModule,
    btf: module::Btf,
    printk_safe_seq_buf: printk::PrintkSafeSeqBuf,
    sk_buff_head: printk::SkBuffHead,
    sk_buff: printk::SkBuff,
    tk_data: time::TkData,
    timekeeper: time::Timekeeper,
    tk_read_base: time::TkReadBase,
    uts_namespace: system::UtsNamespace,
    pglist_data: system::PglistData,
    taint_flag: system::TaintFlag,
}
