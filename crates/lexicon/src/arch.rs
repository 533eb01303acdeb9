//! Machine architectures, and how the formats name them.

use std::fmt;

/// A machine architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    I386,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit RISC-V.
    Riscv32,
    /// IBM Z, 64-bit.
    S390x,
    /// IBM Z, 31-bit.
    S390,
    /// 64-bit Power, either byte order.
    Ppc64,
    /// 32-bit Power.
    Ppc,
    /// 64-bit LoongArch.
    Loongarch64,
    /// 64-bit MIPS.
    Mips64,
    /// 32-bit MIPS.
    Mips,
    /// Itanium.
    Ia64,
    /// DEC Alpha.
    Alpha,
    /// 64-bit SPARC.
    Sparc64,
    /// 32-bit SPARC.
    Sparc,
    /// OpenRISC 1000.
    Openrisc,
    /// HP PA-RISC.
    Parisc,
    /// Motorola 68000.
    M68k,
    /// SuperH.
    Sh,
    /// Tensilica Xtensa.
    Xtensa,
    /// Xilinx MicroBlaze.
    Microblaze,
    /// Synopsys ARC.
    Arc,
    /// C-SKY.
    Csky,
}

impl Arch {
    /// The name, as `uname -m` gives it (the family's name where that has variants).
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::I386 => "i386",
            Arch::Aarch64 => "aarch64",
            Arch::Arm => "arm",
            Arch::Riscv64 => "riscv64",
            Arch::Riscv32 => "riscv32",
            Arch::S390x => "s390x",
            Arch::S390 => "s390",
            Arch::Ppc64 => "ppc64",
            Arch::Ppc => "ppc",
            Arch::Loongarch64 => "loongarch64",
            Arch::Mips64 => "mips64",
            Arch::Mips => "mips",
            Arch::Ia64 => "ia64",
            Arch::Alpha => "alpha",
            Arch::Sparc64 => "sparc64",
            Arch::Sparc => "sparc",
            Arch::Openrisc => "openrisc",
            Arch::Parisc => "parisc",
            Arch::M68k => "m68k",
            Arch::Sh => "sh",
            Arch::Xtensa => "xtensa",
            Arch::Microblaze => "microblaze",
            Arch::Arc => "arc",
            Arch::Csky => "csky",
        }
    }

    /// The family's name, as a panic text shows it: its registers are called the same whatever
    /// their width. Mostly the kernel's own name for it (`arch/`).
    pub fn family(self) -> &'static str {
        match self {
            Arch::Aarch64 => "arm64",
            Arch::Riscv64 | Arch::Riscv32 => "riscv",
            Arch::S390x | Arch::S390 => "s390x",
            Arch::Ppc64 | Arch::Ppc => "powerpc",
            Arch::Loongarch64 => "loongarch",
            Arch::Mips64 | Arch::Mips => "mips",
            other => other.name(),
        }
    }

    /// Size of a kernel pointer in bytes.
    pub fn pointer_size(self) -> u32 {
        match self {
            Arch::I386 | Arch::Arm | Arch::Riscv32 | Arch::S390 | Arch::Ppc | Arch::Mips => 4,
            Arch::Sparc | Arch::Openrisc | Arch::Parisc | Arch::M68k | Arch::Sh => 4,
            Arch::Xtensa | Arch::Microblaze | Arch::Arc | Arch::Csky => 4,
            _ => 8,
        }
    }

    /// The page size in bytes where the architecture has only one in practice.
    pub fn page_size(self) -> Option<u64> {
        match self {
            Arch::Aarch64 | Arch::Ppc64 | Arch::Loongarch64 | Arch::Mips64 | Arch::Mips => None,
            Arch::Ia64 => None,
            Arch::Arc | Arch::Sh | Arch::Microblaze | Arch::M68k => None,
            Arch::Alpha | Arch::Sparc64 | Arch::Openrisc => Some(8192),
            _ => Some(4096),
        }
    }

    /// By ELF `e_machine` and whether the file is of class 64.
    pub fn from_elf(machine: u16, class64: bool) -> Option<Self> {
        Some(match (machine, class64) {
            (62, _) => Arch::X86_64,
            (3 | 6, _) => Arch::I386,
            (183, _) => Arch::Aarch64,
            (40, _) => Arch::Arm,
            (243, true) => Arch::Riscv64,
            (243, false) => Arch::Riscv32,
            (22, true) => Arch::S390x,
            (22, false) => Arch::S390,
            (21, _) => Arch::Ppc64,
            (20, _) => Arch::Ppc,
            (258, _) => Arch::Loongarch64,
            (8, true) => Arch::Mips64,
            (8, false) => Arch::Mips,
            (50, _) => Arch::Ia64,
            (0x9026, _) => Arch::Alpha,
            (43, _) => Arch::Sparc64,
            (2 | 18, _) => Arch::Sparc,
            (92, _) => Arch::Openrisc,
            (15, _) => Arch::Parisc,
            (4, _) => Arch::M68k,
            (42, _) => Arch::Sh,
            (94, _) => Arch::Xtensa,
            (189, _) => Arch::Microblaze,
            (93 | 195, _) => Arch::Arc,
            (252, _) => Arch::Csky,
            _ => return None,
        })
    }

    /// The ELF `e_machine` number.
    pub fn elf_machine(self) -> u16 {
        match self {
            Arch::X86_64 => 62,
            Arch::I386 => 3,
            Arch::Aarch64 => 183,
            Arch::Arm => 40,
            Arch::Riscv64 | Arch::Riscv32 => 243,
            Arch::S390x | Arch::S390 => 22,
            Arch::Ppc64 => 21,
            Arch::Ppc => 20,
            Arch::Loongarch64 => 258,
            Arch::Mips64 | Arch::Mips => 8,
            Arch::Ia64 => 50,
            Arch::Alpha => 0x9026,
            Arch::Sparc64 => 43,
            Arch::Sparc => 2,
            Arch::Openrisc => 92,
            Arch::Parisc => 15,
            Arch::M68k => 4,
            Arch::Sh => 42,
            Arch::Xtensa => 94,
            Arch::Microblaze => 189,
            Arch::Arc => 195,
            Arch::Csky => 252,
        }
    }

    /// By the `machine` field of `struct new_utsname`.
    pub fn from_uname(machine: &str) -> Option<Self> {
        Some(match machine {
            "x86_64" => Arch::X86_64,
            "i386" | "i486" | "i586" | "i686" => Arch::I386,
            "aarch64" | "aarch64_be" | "arm64" => Arch::Aarch64,
            "riscv64" => Arch::Riscv64,
            "riscv32" => Arch::Riscv32,
            "s390x" => Arch::S390x,
            "s390" => Arch::S390,
            "ppc64" | "ppc64le" => Arch::Ppc64,
            "ppc" | "ppcle" => Arch::Ppc,
            "loongarch64" => Arch::Loongarch64,
            "mips64" => Arch::Mips64,
            "mips" => Arch::Mips,
            "ia64" => Arch::Ia64,
            "alpha" => Arch::Alpha,
            "sparc64" => Arch::Sparc64,
            "sparc" => Arch::Sparc,
            "openrisc" => Arch::Openrisc,
            "parisc" | "parisc64" => Arch::Parisc,
            "m68k" => Arch::M68k,
            "sh" | "sh4" | "sh4a" => Arch::Sh,
            "xtensa" => Arch::Xtensa,
            "microblaze" => Arch::Microblaze,
            "arc" => Arch::Arc,
            "csky" => Arch::Csky,
            _ if machine.starts_with("armv8") => Arch::Aarch64,
            _ if machine.starts_with("arm") => Arch::Arm,
            _ => return None,
        })
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
