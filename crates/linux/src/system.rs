//! The machine and its kernel: what `sys` shows.

use crate::{
    error::{Error, Result},
    kernel::Kernel,
    module::TAINTS,
};

/// What `uname` would have told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Uts {
    pub sysname: String,
    pub nodename: String,
    pub release: String,
    pub version: String,
    pub machine: String,
    pub domainname: String,
}

/// How many CPUs there are, of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuCounts {
    /// Could ever be there.
    pub possible: usize,
    /// Are plugged in.
    pub present: usize,
    /// Ran when the machine stopped.
    pub online: usize,
}

/// A taint that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taint {
    /// Its bit in `tainted_mask`.
    pub bit: u32,
    /// Its letter in oops headers.
    pub letter: char,
    /// What it says.
    pub meaning: &'static str,
}

/// Bytes of each text of `struct new_utsname` (include/uapi/linux/utsname.h): what programs are given.
const UTS_TEXT: u64 = 65;
/// Longest command line that is read, in bytes (COMMAND_LINE_SIZE is 2048 on x86, 4096 on s390).
const MAX_COMMAND_LINE: usize = 16 << 10;
/// MAX_NUMNODES is at most 1 << 10.
const MAX_NODES: u64 = 1 << 10;

impl Kernel {
    /// The names of machine and kernel (`init_uts_ns`).
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn uts(&self) -> Result<Uts> {
        let shape = &self.shapes().uts_namespace;
        let at = self.symbol("init_uts_ns")?;
        let target = self.target();
        let named = target.vmcoreinfo().and_then(|info| info.offset("uts_namespace.name"));
        let text = |field: &crate::shapes::Field, index: u64| match (field.offset(), named) {
            // Without types: VMCOREINFO says where they begin.
            (Err(Error::NoSuch { .. }), Some(named)) => {
                let at = at.wrapping_add(named).wrapping_add(index * UTS_TEXT);
                field.named(target.read_cstr(at, UTS_TEXT as usize))
            }
            _ => field.text(target, at),
        };
        Ok(Uts {
            sysname: text(&shape.sysname, 0)?,
            nodename: text(&shape.nodename, 1)?,
            release: text(&shape.release, 2)?,
            version: text(&shape.version, 3)?,
            machine: text(&shape.machine, 4)?,
            domainname: text(&shape.domainname, 5)?,
        })
    }

    /// The command line that the kernel was started with.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn command_line(&self) -> Result<String> {
        let target = self.target();
        let at = target.read_pointer(self.symbol("saved_command_line")?)?;
        Ok(target.read_cstr(at, MAX_COMMAND_LINE)?.trim_end().to_owned())
    }

    /// How many CPUs there are.
    pub fn cpu_counts(&self) -> CpuCounts {
        let possible = self.possible_cpus().len();
        let online = self.online_cpus().len();
        let present = self.cpu_mask("__cpu_present_mask").map_or(0, |cpus| cpus.len());
        CpuCounts { possible, present: if present == 0 { online } else { present }, online }
    }

    /// The load averages over 1, 5 and 15 minutes, in hundredths.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn load_averages(&self) -> Result<[u64; 3]> {
        // Fixed point with 11 bits behind the point (include/linux/sched/loadavg.h), rounded as
        // /proc/loadavg does.
        const ONE: u64 = 1 << 11;
        let at = self.symbol("avenrun")?;
        let mut loads = [0; 3];
        for (index, load) in (0..).zip(&mut loads) {
            let value = self.target().read_pointer_at(at, index)?.saturating_add(ONE / 200);
            *load = value / ONE * 100 + (value % ONE) * 100 / ONE;
        }
        Ok(loads)
    }

    /// The speed of the CPUs in kHz, as measured at boot.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn cpu_khz(&self) -> Result<u32> {
        let khz = |name| Ok(self.target().read_u32(self.symbol(name)?)?);
        match khz("cpu_khz") {
            Ok(0) | Err(_) => khz("tsc_khz"),
            known => known,
        }
    }

    /// The pages that the memory nodes hold, in bytes.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn memory_bytes(&self) -> Result<u64> {
        let target = self.target();
        let shape = &self.shapes().pglist_data;
        if let Ok(node) = self.symbol("contig_page_data") {
            return Ok(shape.present_pages.read(target, node)?.saturating_mul(target.page_size()));
        }
        let table = self.symbol("node_data")?;
        let mut pages = 0u64;
        for node in self.online_nodes()? {
            let at = target.read_pointer_at(table, u64::from(node))?;
            pages = pages.saturating_add(shape.present_pages.read(target, at)?);
        }
        Ok(pages.saturating_mul(target.page_size()))
    }

    /// The memory node that a page is of, by its `struct page`.
    ///
    /// # Errors
    /// A fault, or none of the nodes has it.
    pub fn page_node(&self, page: u64) -> Result<u64> {
        let (target, shape) = (self.target(), &self.shapes().pglist_data);
        let pfn = self.pfn_of(page)?;
        if self.symbol("contig_page_data").is_ok() {
            return Ok(0);
        }
        let table = self.symbol("node_data")?;
        for node in self.online_nodes()? {
            let at = target.read_pointer_at(table, u64::from(node))?;
            let (start, count) =
                (shape.start_pfn.read(target, at)?, shape.spanned_pages.read(target, at)?);
            if (start..start.saturating_add(count)).contains(&pfn) {
                return Ok(node.into());
            }
        }
        Err(Error::absent(format!("memory node of page frame {pfn:#x}")))
    }

    /// The numbers of the memory nodes that are online (`node_states[N_ONLINE]`).
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn online_nodes(&self) -> Result<Vec<u32>> {
        let mask = self.shapes().nodemask.sizeof()?;
        if !(8..=MAX_NODES / 8).contains(&mask) {
            return Err(Error::corrupt(format!("a set of nodes of {mask} bytes")));
        }
        let online = self.shapes().system_constants.online_nodes.index()?;
        let at = self.symbol("node_states")?.wrapping_add(online.wrapping_mul(mask));
        let bytes = self.target().read_bytes(at, mask)?;
        let bits = (0u32..).zip(bytes).flat_map(|(byte, value)| {
            (0..8).filter(move |bit| value >> bit & 1 == 1).map(move |bit| byte * 8 + bit)
        });
        Ok(bits.collect())
    }

    /// The kernel's taint mask.
    ///
    /// # Errors
    /// A fault, or a missing symbol.
    pub fn tainted_mask(&self) -> Result<u64> {
        Ok(self.target().read_pointer(self.symbol("tainted_mask")?)?)
    }

    /// The taints that are set in `mask`, with the letters of this kernel.
    pub fn taints(&self, mask: u64) -> Vec<Taint> {
        let shape = &self.shapes().taint_flag;
        let letter = |bit: u32| {
            let at = self.symbol("taint_flags").ok()? + u64::from(bit) * shape.sizeof().ok()?;
            let letter = char::from(shape.set.read(self.target(), at).ok()? as u8);
            letter.is_ascii_graphic().then_some(letter)
        };
        (0..64)
            .filter(|bit| mask >> bit & 1 == 1)
            .map(|bit| {
                let known = TAINTS.get(bit as usize);
                Taint {
                    bit,
                    letter: letter(bit).or(known.map(|k| k.0)).unwrap_or('?'),
                    meaning: known.map_or("unknown", |k| k.1),
                }
            })
            .collect()
    }

    /// The firmware's description of the machine: every field that the kernel knows
    /// (`DMI_SYS_VENDOR`), and its text where the firmware gave one.
    ///
    /// # Errors
    /// A missing symbol or type, or the array cannot be read.
    pub fn dmi(&self) -> Result<Vec<(String, Option<String>)>> {
        let types = self.types();
        let fields = types
            .find(necropsy_debuginfo::Kind::Enum, "dmi_field")
            .ok_or_else(|| self.not_described(|| Error::no_type("dmi_field")))?;
        let necropsy_debuginfo::Type::Enum { values, .. } = types.resolve(fields) else {
            return Err(Error::no_type("dmi_field"));
        };
        let table = self.symbol("dmi_ident")?;
        let end = self.shapes().system_constants.dmi_strings.get()?;
        let mut found = Vec::new();
        for field in values.iter().filter(|field| (0..end).contains(&field.value)) {
            let text = match self.target().read_pointer_at(table, field.value as u64)? {
                0 => None,
                at => Some(self.target().read_cstr(at, 1024)?),
            };
            found.push((types.name(field.name).to_owned(), text));
        }
        Ok(found)
    }
}
