//! `NT_PRSTATUS`: a CPU's registers when it stopped (`struct elf_prstatus`,
//! `include/linux/elfcore.h`; register order: each architecture's `elf_gregset_t`).

use crate::{Arch, Note, bytes::Fields};

/// One CPU's `NT_PRSTATUS` note.
///
/// The order in the file is the order in which CPUs were saved, not CPU numbers.
#[derive(Debug, Clone)]
pub struct PrStatus {
    /// `pr_pid`: the task that ran there; QEMU writes the CPU's number plus one.
    pub pid: u32,
    /// The whole note descriptor.
    pub desc: Box<[u8]>,
    arch: Option<Arch>,
    big_endian: bool,
}

/// Where a register lies in the descriptor: byte offset and size in bytes.
type Place = (usize, usize);

impl PrStatus {
    /// `None` when the note is too short to hold a process id.
    pub fn parse(note: &Note, arch: Option<Arch>, big_endian: bool) -> Option<Self> {
        let fields = Fields::new(&note.desc, big_endian);
        let pid_at = if arch.is_some_and(|arch| arch.pointer_size() == 4) { 24 } else { 32 };
        let pid = fields.u32(pid_at)?;
        Some(PrStatus { pid, desc: note.desc.clone(), arch, big_endian })
    }

    /// The register of that name (`rip`, `eip`, `pc`, `r13`, `sp`, …); `None` when the
    /// architecture has none of that name or the note ends before it.
    pub fn reg(&self, name: &str) -> Option<u64> {
        let arch = self.arch?;
        let name = alias(arch, name);
        let (_, place) = places(arch).find(|(n, _)| *n == name)?;
        self.value(place)
    }

    /// All registers in the order of the note.
    pub fn registers(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.arch
            .into_iter()
            .flat_map(places)
            .filter_map(|(name, place)| Some((name, self.value(place)?)))
    }

    fn value(&self, (at, size): Place) -> Option<u64> {
        Fields::new(&self.desc, self.big_endian).uint(at, size)
    }
}

/// Registers of an architecture with their places. They follow each other in words, except
/// for s390x's 4-byte access registers.
fn places(arch: Arch) -> impl Iterator<Item = (&'static str, Place)> {
    let word = arch.pointer_size() as usize;
    let mut at = if word == 8 { 112 } else { 72 };
    names(arch).iter().map(move |&name| {
        let size = if arch == Arch::S390x && name.starts_with('a') { 4 } else { word };
        let place = (at, size);
        at += size;
        (name, place)
    })
}

fn names(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::I386 => &I386,
        Arch::Aarch64 => &AARCH64,
        Arch::Arm => &ARM,
        Arch::Ppc64 | Arch::Ppc => &PPC,
        Arch::S390x => &S390X,
        Arch::Riscv64 | Arch::Riscv32 => &RISCV,
        Arch::Loongarch64 => &LOONGARCH,
        _ => &[],
    }
}

/// Second names to the first.
fn alias(arch: Arch, name: &str) -> &str {
    match (arch, name) {
        (Arch::X86_64, "rflags") => "eflags",
        (Arch::Arm, "fp") => "r11",
        (Arch::Arm, "ip") => "r12",
        (Arch::Arm, "sp") => "r13",
        (Arch::Arm, "lr") => "r14",
        (Arch::Arm, "pc") => "r15",
        (Arch::Aarch64, "fp") => "x29",
        (Arch::Aarch64, "lr") => "x30",
        (Arch::Ppc64 | Arch::Ppc, "nip") => "pc",
        (Arch::Ppc64 | Arch::Ppc, "sp") => "r1",
        (Arch::S390x, "sp") => "r15",
        _ => name,
    }
}

const X86_64: [&str; 27] = [
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs",
    "gs",
];
const I386: [&str; 17] = [
    "ebx", "ecx", "edx", "esi", "edi", "ebp", "eax", "ds", "es", "fs", "gs", "orig_eax", "eip",
    "cs", "eflags", "esp", "ss",
];
const AARCH64: [&str; 34] = [
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
    "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27",
    "x28", "x29", "x30", "sp", "pc", "pstate",
];
const ARM: [&str; 18] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "cpsr", "orig_r0",
];
const PPC: [&str; 44] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27",
    "r28", "r29", "r30", "r31", "pc", "msr", "or3", "ctr", "lr", "xer", "ccr", "softe", "trap",
    "dar", "dsisr", "res",
];
const S390X: [&str; 35] = [
    "pswm",
    "pswa",
    "r0",
    "r1",
    "r2",
    "r3",
    "r4",
    "r5",
    "r6",
    "r7",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
    "a0",
    "a1",
    "a2",
    "a3",
    "a4",
    "a5",
    "a6",
    "a7",
    "a8",
    "a9",
    "a10",
    "a11",
    "a12",
    "a13",
    "a14",
    "a15",
    "orig_gpr2",
];
const RISCV: [&str; 32] = [
    "pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5",
    "t6",
];
const LOONGARCH: [&str; 35] = [
    "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27",
    "r28", "r29", "r30", "r31", "orig_a0", "pc", "badv",
];
