//! User space at the time of the report: which system call it was in.

use super::meaning::Layout;
use super::registers::Registers;
use crate::report::User;
use necropsy_lexicon::Arch;

const X86_64: &str = include_str!("../tables/syscalls_x86_64.txt");
const I386: &str = include_str!("../tables/syscalls_i386.txt");
/// arm64, riscv and loongarch share the generic numbers.
const GENERIC: &str = include_str!("../tables/syscalls_generic.txt");

/// The name of a system call.
pub fn syscall_name(arch: Arch, number: i64) -> Option<&'static str> {
    let table = match arch {
        Arch::X86_64 => X86_64,
        Arch::I386 => I386,
        Arch::Aarch64 | Arch::Riscv64 | Arch::Loongarch64 => GENERIC,
        _ => return None,
    };
    table.lines().find_map(|line| {
        let (known, name) = line.split_once(' ')?;
        (known.parse() == Ok(number)).then_some(name)
    })
}

/// What the user registers tell.
pub(crate) fn decode(registers: &Registers, compat: bool) -> Option<User> {
    if registers.values.is_empty() {
        return None;
    }
    let arch = registers.arch;
    let syscall = match arch {
        Some(Arch::X86_64) => registers.get("orig_rax").map(|value| value as i64),
        Some(Arch::I386) => registers.get("orig_eax").map(|value| value as i32 as i64),
        Some(Arch::Aarch64) => registers.get("x8").map(|value| value as i64),
        Some(Arch::Riscv64 | Arch::Loongarch64) => registers.get("a7").map(|value| value as i64),
        _ => None,
    }
    .filter(|number| *number >= 0);
    let names = match arch {
        Some(Arch::X86_64) if compat => Some(Arch::I386),
        other => other,
    };
    Some(User {
        syscall,
        name: syscall.zip(names).and_then(|(number, arch)| syscall_name(arch, number)),
        registers: registers.explain(Layout::new(arch, None, None)),
    })
}
