//! The machine, the kernel, the dump.

use necropsy_rows::{Any, Faults, Hex, row};

use super::dump::HeaderRow;

row! {
    /// The machine at a glance.
    #[derive(Debug, Default)]
    pub struct SystemRow {
        /// Kernel release.
        pub release: Option<String>,
        /// Kernel version: what was built, when and by whom.
        pub version: Option<String>,
        /// Machine type.
        pub machine: Option<String>,
        /// Processor speed.
        pub mhz: Option<u32> [MHz],
        /// CPUs present.
        pub cpus: usize,
        /// Of these, not running.
        pub cpus_offline: usize,
        /// Memory that the kernel had.
        pub memory_bytes: Option<u64> [bytes],
        /// How many tasks there are.
        pub tasks: usize,
        /// No task is missing from that number.
        pub tasks_complete: bool,
        /// When the machine died, in UTC.
        pub date: Option<String>,
        /// How long it had been up.
        pub uptime_ns: Option<u64> [ns],
        /// Load averages of 1, 5 and 15 minutes.
        pub load: Option<[f64; 3]>,
        /// Host name.
        pub nodename: Option<String>,
        /// The line of the log that says why it died.
        pub panic: Option<String>,
        /// Thread id of the task that panicked.
        pub pid: Option<u64>,
        /// Its command name.
        pub comm: Option<String>,
        /// Its `task_struct`.
        pub task: Option<Hex>,
        /// The CPU that panicked.
        pub cpu: Option<u32>,
        /// The dump's files.
        pub dumpfile: Vec<String>,
        /// The dump's format.
        pub format: String,
        /// Pages were left out on purpose.
        pub partial: bool,
        /// The dump was cut or damaged.
        pub incomplete: bool,
        /// The letters of the kernel's taints.
        pub tainted: Option<String>,
        /// Modules that patch the running kernel.
        pub livepatches: Vec<String>,
        /// What could not be read.
        pub faults: Faults [maybe],
        pub(crate) errors: Vec<(&'static str, String)> [own],
        pub(crate) seconds: Option<u64> [own],
        pub(crate) loads: Option<[u64; 3]> [own],
    }

    /// A taint of the kernel (`sys -t`).
    #[derive(Debug)]
    pub struct TaintRow {
        /// Its bit in `tainted_mask`.
        pub bit: u32,
        /// Its letter.
        pub letter: char,
        /// What it says.
        pub meaning: &'static str,
    }

    /// What the firmware says of the machine (`sys -i`).
    #[derive(Debug)]
    pub struct DmiRow {
        /// The field's name in the kernel, without DMI_.
        pub field: String,
        /// What it says.
        pub text: String,
    }

    /// A system call (`sys -c`).
    #[derive(Debug)]
    pub struct CallRow {
        /// Its number.
        pub number: usize,
        /// The function.
        pub name: String,
        /// Its address.
        pub address: Hex,
    }

    /// An option that the kernel was built with (`sys config`).
    #[derive(Debug)]
    pub struct ConfigRow<'a> {
        /// Its name: `CONFIG_SMP`.
        pub option: &'a str,
        /// Its value: `y`, `m`, a number or a text; `null` if it is not set.
        pub value: Option<&'a str>,
    }

    /// A stack of a CPU.
    #[derive(Debug)]
    pub struct CpuStackRow {
        /// The CPU.
        pub cpu: u32,
        /// Its lowest address.
        pub start: Hex,
        /// Memory stands behind it.
        pub available: bool,
    }

    /// Stacks of a kind.
    #[derive(Debug)]
    pub struct StackRow {
        /// What they are for: IRQ, NMI, DOUBLEFAULT, …
        pub kind: &'static str,
        /// Size of each.
        pub size: u64 [bytes],
        /// Those of the CPUs.
        pub cpus: Vec<CpuStackRow>,
    }

    /// Facts about the machine.
    #[derive(Debug)]
    pub struct MachineRow {
        /// Machine type.
        pub machine: Option<String>,
        /// Memory that the kernel had.
        pub memory_bytes: Option<u64> [bytes],
        /// CPUs online.
        pub cpus: usize,
        /// The hypervisor, where there is one.
        pub hypervisor: Option<String>,
        /// Processor speed.
        pub mhz: Option<u32> [MHz],
        /// Ticks a second.
        pub hz: Option<u64> [Hz],
        /// Size of a page.
        pub page_size: u64 [bytes],
        /// Where the map of all memory begins.
        pub virtual_base: Option<Hex>,
        /// Where vmalloc's area begins.
        pub vmalloc_base: Option<Hex>,
        /// Where the array of `struct page` begins.
        pub vmemmap_base: Option<Hex>,
        /// Where the kernel's image is mapped.
        pub start_map: Hex,
        /// Where modules lie.
        pub modules_base: Hex,
        /// Size of a task's kernel stack.
        pub stack_size: u64 [bytes],
        /// Stacks of the CPUs, by kind.
        pub stacks: Vec<StackRow>,
    }

    /// A range of the firmware's map of physical memory (`mach -m`).
    #[derive(Debug)]
    pub struct MemoryRangeRow {
        /// Its first address.
        pub start: Hex,
        /// The address behind it.
        pub end: Hex,
        /// What it is for: E820_TYPE_RAM, …
        pub kind: String,
    }

    /// What the kernel knows of a CPU (`mach -c`).
    #[derive(Debug)]
    pub struct CpuRow {
        /// The CPU.
        pub cpu: u32,
        /// Its `struct cpuinfo_x86`.
        pub cpuinfo_x86: Hex,
        /// Its members by name, as of `struct`.
        pub values: Any,
    }

    /// A file of the dump.
    #[derive(Debug)]
    pub struct FileRow {
        /// Where it lies.
        pub path: String,
        /// Its size.
        pub bytes: u64 [bytes],
        /// Its end is missing.
        pub truncated: bool,
        /// First page frame that it answers for.
        pub first_pfn: u64,
        /// One past the last.
        pub end_pfn: u64,
        /// The unpacked copy that is read in its place.
        pub unpacked: Option<String> [maybe],
    }

    /// A fact that was needed to find the kernel.
    #[derive(Debug)]
    pub struct FactRow {
        /// What it is.
        pub name: &'static str,
        /// Its value.
        pub value: String,
        /// The rule that gave it.
        pub rule: String,
    }

    /// Where a CPU's registers come from.
    #[derive(Debug)]
    pub struct RegistersRow {
        /// The CPU.
        pub cpu: u32,
        /// Where from.
        pub from: Option<&'static str>,
        /// Why there are none.
        pub missing: Option<String>,
    }

    /// The dump, and how the kernel was found in it.
    #[derive(Debug)]
    pub struct InfoRow {
        /// The dump's format.
        pub format: String,
        /// Its files.
        pub files: Vec<FileRow>,
        /// Machine type.
        pub machine: Option<&'static str>,
        /// Size of a page.
        pub page_size: u64 [bytes],
        /// Frames that the machine had, as far as the format tells.
        pub pages: u64 [pages],
        /// Of these, in the dump.
        pub pages_stored: u64 [pages],
        /// makedumpfile's -d.
        pub dump_level: Option<u32>,
        /// Pages were left out on purpose.
        pub partial: bool,
        /// The dump was cut or damaged.
        pub incomplete: bool,
        /// What is missing, in words.
        pub missing: Vec<String>,
        /// Kernel release.
        pub release: Option<String>,
        /// Kernel version.
        pub version: Option<String>,
        /// Build ID of the kernel.
        pub build_id: Option<String>,
        /// What was needed to find the kernel.
        pub facts: Vec<FactRow>,
        /// How many symbols the kernel has.
        pub symbols: usize,
        /// How many types its BTF has.
        pub types: usize,
        /// How many entries its unwind table (ORC) has.
        pub unwind_entries: u64,
        /// It was built with frame pointers in place of that table.
        pub frame_pointers: bool,
        /// How many modules are loaded.
        pub modules: usize,
        /// Where each CPU's registers come from.
        pub registers: Vec<RegistersRow>,
        /// Why no kernel was recognised.
        pub problem: Option<String>,
        /// What is there and cannot be used, and what that costs.
        pub unusable: Vec<String> [maybe],
        /// What the dump says of itself.
        pub header: HeaderRow,
    }

    /// A table that answers come from (`doctor`).
    #[derive(Debug)]
    pub struct TableRow {
        /// Which.
        pub table: &'static str,
        /// It is there.
        pub found: bool,
        /// What there is of it.
        pub detail: String,
        /// Who cannot do without.
        pub needed_by: &'static str,
    }

    /// A member of a structure that is read.
    #[derive(Debug)]
    pub struct MemberRow {
        /// Its names through time, with the form that each stands for.
        pub names: Vec<String>,
        /// The one that it has here.
        pub name: Option<String>,
        /// Where in the structure it lies.
        pub offset: Option<u64> [maybe, bytes],
        /// Its size.
        pub size: Option<u64> [maybe, bytes],
        /// Of a constant, its value.
        pub value: Option<i64> [maybe],
        /// Of a variable, where it lies.
        pub address: Option<Hex> [maybe],
        /// It is not missed where it is not there.
        pub optional: bool,
    }

    /// A structure that is read (`doctor`).
    #[derive(Debug)]
    pub struct ShapeRow {
        /// The type.
        pub shape: &'static str,
        /// What it is: `structure`, `constants` or `variables`.
        pub kind: &'static str,
        /// Its size; `null` if this kernel has no such type.
        pub size: Option<u64> [bytes],
        /// The members that are read.
        pub members: Vec<MemberRow>,
        /// Who cannot do without.
        pub needed_by: &'static [&'static str],
    }
}
