//! The machine's architecture, where the header does not name it: QEMU's kdump files of all machines
//! but x86 say `Unknown`.

use crate::{Arch, Note, VmCoreInfo};

/// What the kernel's own VMCOREINFO says: names that only one architecture exports
/// (`arch/*/kernel/*crash*.c`), else the release's ending.
pub(crate) fn by_vmcoreinfo(info: &VmCoreInfo) -> Option<Arch> {
    const NAMES: [(&str, Arch); 12] = [
        ("NUMBER(kimage_voffset)", Arch::Aarch64),
        ("NUMBER(TCR_EL1_T1SZ)", Arch::Aarch64),
        ("NUMBER(va_kernel_pa_offset)", Arch::Riscv64),
        ("NUMBER(phys_ram_base)", Arch::Riscv64),
        ("SYMBOL(lowcore_ptr)", Arch::S390x),
        ("SYMBOL(init_top_pgt)", Arch::X86_64),
        ("NUMBER(pgtable_l5_enabled)", Arch::X86_64),
        ("SYMBOL(init_level4_pgt)", Arch::X86_64),
        ("SYMBOL(vmemmap_list)", Arch::Ppc64),
        ("OFFSET(mmu_psize_def.shift)", Arch::Ppc64),
        ("CONFIG_X86_PAE", Arch::I386),
        ("CONFIG_ARM_LPAE", Arch::Arm),
    ];
    let named = NAMES.iter().find(|(name, _)| info.get(name).is_some()).map(|&(_, arch)| arch);
    named.or_else(|| {
        // `6.12.0-arm64`, `5.14.0-1.el9.ppc64le`
        let release = info.get("OSRELEASE")?;
        let ending = release.rsplit(['-', '.']).next()?;
        Arch::from_uname(match ending {
            "amd64" => "x86_64",
            "powerpc64le" | "ppc64el" => "ppc64le",
            "armmp" | "armhf" | "armv7hl" => "armv7l",
            other => other,
        })
    })
}

/// What the size of a CPU's `NT_PRSTATUS` says: each architecture has its own set of registers.
pub(crate) fn by_registers(notes: &[Note], big_endian: bool) -> Option<Arch> {
    let has_s390 =
        notes.iter().any(|note| note.name == "LINUX" && (0x300..0x310).contains(&note.kind));
    if has_s390 && big_endian {
        return Some(Arch::S390x);
    }
    match notes.iter().find(|note| note.is_prstatus())?.desc.len() {
        336 if big_endian => Some(Arch::S390x),
        336 => Some(Arch::X86_64),
        392 => Some(Arch::Aarch64),
        376 => Some(Arch::Riscv64),
        504 => Some(Arch::Ppc64),
        480 => Some(Arch::Loongarch64),
        148 => Some(Arch::Arm),
        144 => Some(Arch::I386),
        268 if big_endian => Some(Arch::Ppc),
        204 => Some(Arch::Riscv32),
        _ => None,
    }
}
