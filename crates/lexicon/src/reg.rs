//! Registers, of any architecture, as one small type.
//!
//! A [`Reg`] is a number in the table of its architecture, so that comparing and indexing cost
//! nothing and its name is known wherever it turns up. A new architecture adds one table below.

use std::fmt;

use crate::Arch;

/// A register of an architecture.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg {
    arch: Arch,
    number: u8,
}

/// No architecture here has more registers than this; sets of registers have room for as many.
pub const MAX_REGISTERS: usize = 48;

impl Reg {
    /// The register of a number, if the architecture has that many here.
    pub fn new(arch: Arch, number: u8) -> Option<Reg> {
        (usize::from(number) < names(arch).len()).then_some(Reg { arch, number })
    }

    /// The architecture that it belongs to.
    pub fn arch(self) -> Arch {
        self.arch
    }

    /// Its number, less than [`MAX_REGISTERS`]. General registers come first.
    pub fn number(self) -> usize {
        usize::from(self.number)
    }

    /// Its name in lower case, without `%`: `rax`, `rip`.
    pub fn name(self) -> &'static str {
        names(self.arch).get(self.number()).copied().unwrap_or("?")
    }

    /// The register of an architecture by its name or an alias; `%`, `$` and case are ignored. For
    /// words that people type and formats hold: within the program registers are no strings.
    pub fn by_name(arch: Arch, name: &str) -> Option<Reg> {
        let name = name.trim_start_matches(['%', '$']);
        let position = |name: &str| names(arch).iter().position(|n| n.eq_ignore_ascii_case(name));
        let found = position(name).or_else(|| {
            let alias = |(alias, _): &&(&str, &str)| alias.eq_ignore_ascii_case(name);
            position(aliases(arch).iter().find(alias)?.1)
        });
        Reg::new(arch, u8::try_from(found?).ok()?)
    }

    /// Every register of an architecture that has a table here, by number.
    pub fn all(arch: Arch) -> impl Iterator<Item = Reg> {
        (0..names(arch).len()).map(move |number| Reg { arch, number: number as u8 })
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a register of this name, on any machine, holds an address by its nature: the program
/// counter, the stack pointer, the frame pointer.
pub fn names_an_address(name: &str) -> bool {
    matches!(name, "pc" | "sp" | "fp" | "rip" | "rsp")
}

macro_rules! registers {
    ($(#[$doc:meta])* $arch:ident as $module:ident: $($number:literal $constant:ident $name:literal)*) => {
        $(#[$doc])*
        #[allow(missing_docs)]
        pub mod $module {
            use super::{Arch, MAX_REGISTERS, Reg};
            $(pub const $constant: Reg = Reg { arch: Arch::$arch, number: $number };)*
            pub(super) const NAMES: &[&str] = &[$($name),*];
            // The numbers are the places in the table.
            const _: () = {
                let numbers: &[usize] = &[$($number),*];
                let mut at = 0;
                while at < numbers.len() {
                    assert!(numbers[at] == at && at < MAX_REGISTERS);
                    at += 1;
                }
            };
        }
    };
}

registers! {
    /// The registers of x86_64: the general ones, what is saved with them, and the bases of the two
    /// segments that have one.
    X86_64 as x86_64:
    0 RAX "rax"  1 RBX "rbx"  2 RCX "rcx"  3 RDX "rdx"  4 RSI "rsi"  5 RDI "rdi"  6 RBP "rbp"
    7 RSP "rsp"  8 R8 "r8"  9 R9 "r9"  10 R10 "r10"  11 R11 "r11"  12 R12 "r12"  13 R13 "r13"
    14 R14 "r14"  15 R15 "r15"
    16 RIP "rip"  17 RFLAGS "rflags"  18 CS "cs"  19 SS "ss"  20 ORIG_RAX "orig_rax"
    21 FS_BASE "fs_base"  22 GS_BASE "gs_base"
}

registers! {
    /// The registers of i386, as its instructions name them.
    I386 as i386:
    0 EAX "eax"  1 ECX "ecx"  2 EDX "edx"  3 EBX "ebx"  4 ESP "esp"  5 EBP "ebp"  6 ESI "esi"
    7 EDI "edi"  8 EIP "eip"  9 EFLAGS "eflags"  10 FS_BASE "fs_base"  11 GS_BASE "gs_base"
    12 CS "cs"  13 SS "ss"  14 ORIG_EAX "orig_eax"
}

registers! {
    /// The registers of aarch64, and what is saved with them.
    Aarch64 as aarch64:
    0 X0 "x0"  1 X1 "x1"  2 X2 "x2"  3 X3 "x3"  4 X4 "x4"  5 X5 "x5"  6 X6 "x6"  7 X7 "x7"
    8 X8 "x8"  9 X9 "x9"  10 X10 "x10"  11 X11 "x11"  12 X12 "x12"  13 X13 "x13"  14 X14 "x14"
    15 X15 "x15"  16 X16 "x16"  17 X17 "x17"  18 X18 "x18"  19 X19 "x19"  20 X20 "x20"
    21 X21 "x21"  22 X22 "x22"  23 X23 "x23"  24 X24 "x24"  25 X25 "x25"  26 X26 "x26"
    27 X27 "x27"  28 X28 "x28"  29 X29 "x29"  30 X30 "x30"  31 SP "sp"
    32 PC "pc"  33 PSTATE "pstate"  34 ORIG_X0 "orig_x0"  35 SYSCALLNO "syscallno"
    36 TPIDR_EL1 "tpidr_el1"
}

registers! {
    /// The registers of riscv64, and what is saved with them.
    Riscv64 as riscv64:
    0 ZERO "zero"  1 RA "ra"  2 SP "sp"  3 GP "gp"  4 TP "tp"  5 T0 "t0"  6 T1 "t1"  7 T2 "t2"
    8 S0 "s0"  9 S1 "s1"  10 A0 "a0"  11 A1 "a1"  12 A2 "a2"  13 A3 "a3"  14 A4 "a4"  15 A5 "a5"
    16 A6 "a6"  17 A7 "a7"  18 S2 "s2"  19 S3 "s3"  20 S4 "s4"  21 S5 "s5"  22 S6 "s6"  23 S7 "s7"
    24 S8 "s8"  25 S9 "s9"  26 S10 "s10"  27 S11 "s11"  28 T3 "t3"  29 T4 "t4"  30 T5 "t5"
    31 T6 "t6"  32 PC "pc"  33 STATUS "status"  34 BADADDR "badaddr"  35 CAUSE "cause"
    36 ORIG_A0 "orig_a0"
}

registers! {
    /// The registers of 64-bit Power, and what is saved with them.
    Ppc64 as ppc64:
    0 R0 "r0"  1 R1 "r1"  2 R2 "r2"  3 R3 "r3"  4 R4 "r4"  5 R5 "r5"  6 R6 "r6"  7 R7 "r7"
    8 R8 "r8"  9 R9 "r9"  10 R10 "r10"  11 R11 "r11"  12 R12 "r12"  13 R13 "r13"  14 R14 "r14"
    15 R15 "r15"  16 R16 "r16"  17 R17 "r17"  18 R18 "r18"  19 R19 "r19"  20 R20 "r20"
    21 R21 "r21"  22 R22 "r22"  23 R23 "r23"  24 R24 "r24"  25 R25 "r25"  26 R26 "r26"
    27 R27 "r27"  28 R28 "r28"  29 R29 "r29"  30 R30 "r30"  31 R31 "r31"
    32 NIP "nip"  33 MSR "msr"  34 ORIG_R3 "orig_r3"  35 CTR "ctr"  36 LR "lr"  37 XER "xer"
    38 CCR "ccr"  39 SOFTE "softe"  40 TRAP "trap"  41 DAR "dar"  42 DSISR "dsisr"
    43 RESULT "result"
}

registers! {
    /// The registers of s390x, and what is saved with them. The program status word has two halves:
    /// the mask and the address.
    S390x as s390x:
    0 R0 "r0"  1 R1 "r1"  2 R2 "r2"  3 R3 "r3"  4 R4 "r4"  5 R5 "r5"  6 R6 "r6"  7 R7 "r7"
    8 R8 "r8"  9 R9 "r9"  10 R10 "r10"  11 R11 "r11"  12 R12 "r12"  13 R13 "r13"  14 R14 "r14"
    15 R15 "r15"  16 PSWM "pswm"  17 PSWA "pswa"  18 ORIG_R2 "orig_r2"  19 INT_CODE "int_code"
}

registers! {
    /// The registers of loongarch64, and what is saved with them.
    Loongarch64 as loongarch64:
    0 ZERO "zero"  1 RA "ra"  2 TP "tp"  3 SP "sp"  4 A0 "a0"  5 A1 "a1"  6 A2 "a2"  7 A3 "a3"
    8 A4 "a4"  9 A5 "a5"  10 A6 "a6"  11 A7 "a7"  12 T0 "t0"  13 T1 "t1"  14 T2 "t2"  15 T3 "t3"
    16 T4 "t4"  17 T5 "t5"  18 T6 "t6"  19 T7 "t7"  20 T8 "t8"  21 U0 "u0"  22 FP "fp"
    23 S0 "s0"  24 S1 "s1"  25 S2 "s2"  26 S3 "s3"  27 S4 "s4"  28 S5 "s5"  29 S6 "s6"
    30 S7 "s7"  31 S8 "s8"  32 ORIG_A0 "orig_a0"  33 PC "pc"  34 BADV "badv"  35 CRMD "crmd"
    36 PRMD "prmd"  37 EUEN "euen"  38 ECFG "ecfg"  39 ESTAT "estat"
}

/// The registers of an architecture by number; none where it has no table yet.
fn names(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => x86_64::NAMES,
        Arch::I386 => i386::NAMES,
        Arch::Aarch64 => aarch64::NAMES,
        Arch::Riscv64 => riscv64::NAMES,
        Arch::Ppc64 => ppc64::NAMES,
        Arch::S390x => s390x::NAMES,
        Arch::Loongarch64 => loongarch64::NAMES,
        _ => &[],
    }
}

/// Other names of registers.
fn aliases(arch: Arch) -> &'static [(&'static str, &'static str)] {
    match arch {
        Arch::X86_64 => &[("pc", "rip"), ("ip", "rip"), ("sp", "rsp"), ("eflags", "rflags")],
        Arch::I386 => &[("pc", "eip"), ("ip", "eip"), ("sp", "esp")],
        Arch::Aarch64 => &[("fp", "x29"), ("lr", "x30")],
        Arch::Riscv64 => &[("fp", "s0"), ("epc", "pc")],
        Arch::Ppc64 => &[("pc", "nip"), ("sp", "r1"), ("link", "lr")],
        Arch::S390x => &[("pc", "pswa"), ("sp", "r15"), ("orig_gpr2", "orig_r2")],
        Arch::Loongarch64 => &[("era", "pc")],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_registers_and_back() {
        let tables = [Arch::X86_64, Arch::I386, Arch::Aarch64, Arch::Riscv64, Arch::Ppc64];
        for arch in tables.into_iter().chain([Arch::S390x, Arch::Loongarch64]) {
            assert!(Reg::all(arch).count() > 10);
            for reg in Reg::all(arch) {
                assert_eq!(Reg::by_name(arch, reg.name()), Some(reg));
                assert_eq!(reg.arch(), arch);
            }
        }
        assert_eq!(Reg::by_name(Arch::X86_64, "%RDI"), Some(x86_64::RDI));
        assert_eq!(Reg::by_name(Arch::X86_64, "$pc"), Some(x86_64::RIP));
        assert_eq!(Reg::by_name(Arch::I386, "sp"), Some(i386::ESP));
        assert_eq!(Reg::by_name(Arch::X86_64, "x29"), None);
        assert_eq!(Reg::by_name(Arch::Mips64, "r1"), None);
        assert_eq!(Reg::by_name(Arch::Aarch64, "lr"), Some(aarch64::X30));
        assert_eq!(Reg::new(Arch::X86_64, 23), None);
    }
}
