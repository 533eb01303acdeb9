//! What kind of dump it is.

use std::fmt;

use crate::Compression;

/// A dump's format and how its files carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The format proper.
    pub kind: FormatKind,
    /// How many of the files are flattened (`makedumpfile -F`).
    pub flattened: Share,
    /// Whether the files are parts of a split set (`makedumpfile --split`).
    pub split: bool,
}

/// The dump formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatKind {
    /// An ELF core: /proc/vmcore, or `makedumpfile -E`.
    Elf,
    /// An ELF core by QEMU's `dump-guest-memory`.
    QemuElf,
    /// kdump-compressed by makedumpfile.
    Kdump {
        /// Header version.
        version: u32,
        /// How the first compressed page is compressed, if any is.
        compression: Option<Compression>,
    },
    /// kdump-compressed by QEMU's `dump-guest-memory`.
    QemuKdump {
        /// Header version.
        version: u32,
        /// How the first compressed page is compressed, if any is.
        compression: Option<Compression>,
    },
    /// Linux Kernel Crash Dumps.
    Lkcd {
        /// Header version.
        version: u32,
    },
    /// SADUMP, the stand-alone dump of Fujitsu's firmware.
    Sadump {
        /// Whether the dump spans a set of disks.
        disk_set: bool,
    },
    /// A core of a Xen guest.
    Xen {
        /// Whether the guest knew that it was one (its page tables hold the host's frames).
        paravirtual: bool,
    },
    /// A core of a Xen host, of which dom0's memory is read.
    XenHost,
    /// A bare image of physical memory.
    Raw,
    /// Another one, of which there is no more to tell than what it is called.
    Named {
        /// In short: `LiME`.
        name: &'static str,
        /// As other dump tools say it: `LiME image`.
        description: &'static str,
    },
}

/// None, some or all of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// None of them.
    None,
    /// Some of them.
    Some,
    /// All of them.
    All,
}

impl Share {
    pub(crate) fn of(count: usize, total: usize) -> Self {
        match count {
            0 => Share::None,
            _ if count == total => Share::All,
            _ => Share::Some,
        }
    }
}

impl Format {
    pub(crate) fn new(kind: FormatKind) -> Self {
        Format { kind, flattened: Share::None, split: false }
    }

    /// The format in the words other dump tools use: `Compressed KDUMP`, before it `Flattened`
    /// when all files are, `Mixed` when some are.
    pub fn description(&self) -> String {
        let carried = match self.flattened {
            Share::None => "",
            Share::Some => "Mixed ",
            Share::All => "Flattened ",
        };
        let kind = match self.kind {
            FormatKind::Elf | FormatKind::QemuElf => "ELF dump",
            FormatKind::Kdump { .. } | FormatKind::QemuKdump { .. } => "Compressed KDUMP",
            FormatKind::Lkcd { .. } => "LKCD dump",
            FormatKind::Sadump { .. } => "SADUMP dump",
            FormatKind::Xen { .. } | FormatKind::XenHost => "Xen core dump",
            FormatKind::Raw => "memory image",
            FormatKind::Named { description, .. } => description,
        };
        format!("{carried}{kind}")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FormatKind::Elf => write!(f, "ELF")?,
            FormatKind::QemuElf => write!(f, "ELF (QEMU)")?,
            FormatKind::Kdump { version, .. } => write!(f, "kdump-compressed v{version}")?,
            FormatKind::QemuKdump { version, .. } => {
                write!(f, "kdump-compressed v{version} (QEMU)")?;
            }
            FormatKind::Lkcd { version } => write!(f, "LKCD v{version}")?,
            FormatKind::Sadump { disk_set: false } => write!(f, "SADUMP")?,
            FormatKind::Sadump { disk_set: true } => write!(f, "SADUMP disk set")?,
            FormatKind::Xen { paravirtual: true } => write!(f, "Xen guest core (paravirtual)")?,
            FormatKind::Xen { paravirtual: false } => write!(f, "Xen guest core")?,
            FormatKind::XenHost => write!(f, "ELF (Xen host, memory of its dom0)")?,
            FormatKind::Raw => write!(f, "raw memory image")?,
            FormatKind::Named { name, .. } => f.write_str(name)?,
        }
        if let FormatKind::Kdump { compression, .. } | FormatKind::QemuKdump { compression, .. } =
            self.kind
        {
            write!(f, ", {}", compression.unwrap_or(Compression::None).name())?;
        }
        match self.flattened {
            Share::None => {}
            Share::Some => write!(f, ", partly flattened")?,
            Share::All => write!(f, ", flattened")?,
        }
        if self.split { write!(f, ", split") } else { Ok(()) }
    }
}
