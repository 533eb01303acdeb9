//! Why the processor stopped: error codes, spelled out.

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::ErrorCode;
use necropsy_lexicon::Arch;

static X86_PF: LazyLock<Regex> = LazyLock::new(|| compile(r"#PF: error_code\(0x([0-9a-f]+)\)"));
static OOPS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:Oops|general protection fault[^:]*|invalid opcode|divide error|divide_error|stack segment|int3|double fault): (?:Oops: )?([0-9a-f]{4,8}) (?:ilc:[0-9] ?)?\[#",
    )
});
static OOPS_BROKEN: LazyLock<Regex> =
    LazyLock::new(|| compile(r"Oops: (?:Oops: )?([0-9a-f]{4})\b"));
static ARM_ERROR: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?:Internal error: .*: |Unhandled fault: .*\(0x)([0-9a-f]{1,16})\)?(?: \[#|\)| |$)")
});
/// Undefined instructions, `BUG` and their like have no code of their own.
static ARM_NONE: LazyLock<Regex> = LazyLock::new(|| compile(r"Internal error: Oops - "));
static ESR: LazyLock<Regex> =
    LazyLock::new(|| compile(r"\bESR = 0x([0-9a-f]+)|, code (?:0x)?([0-9a-f]{8,16}) -- "));
static DSISR: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)DSISR: ([0-9a-f]{8})\b"));
static BOOKE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"DEAR: [0-9a-f]{8,16},? ESR: ([0-9a-f]{8})"));
static CAUSE: LazyLock<Regex> = LazyLock::new(|| compile(r"cause: ([0-9a-f]{16}|[0-9a-f]{8})\b"));
static EXC_CODE: LazyLock<Regex> =
    LazyLock::new(|| compile(r"Cause *: [0-9a-f]{8} \(ExcCode ([0-9a-f]{2})\)"));
/// Kernels before 4.x leave the code in its register, bits 2 to 6.
static MIPS_CAUSE: LazyLock<Regex> = LazyLock::new(|| compile(r"^Cause *: ([0-9a-f]{8}) *$"));
static ESTAT: LazyLock<Regex> = LazyLock::new(|| compile(r"ESTAT[: ]+([0-9a-f]{8,16})"));
static TEID: LazyLock<Regex> = LazyLock::new(|| compile(r"TEID: ([0-9a-f]{16})"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:at virtual address|for address:|dereference, address:|dereference \(address|non-canonical address|paging request at|dereference at|data access(?: on (?:read|write))? at|dereference on (?:read|write) at|at address|Failing address:|\(0x[0-9a-f]+\) at|page fault for address:|Unhandled fault at|\bat addr|Free of addr|on address|(?:invalid|bounds|after-free) (?:read|write) at|Unaligned access at|badaddr:|stval:) *(?:0x)?([0-9a-f]{4,16})\b",
    )
});
/// Addresses that stand on lines of their own, far from the head.
static LATE_ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"^ *(?:BadVA *: *|BADV: |CR2: |.*\bDAR: |.*\bDEAR: |dar: )([0-9a-f]{1,16})\b")
});
static NULL_ADDRESS: LazyLock<Regex> = LazyLock::new(|| compile(r"dereference at +\(null\)"));
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?i)#PF: (?:supervisor|user) (read|write|instruction)|kernel (read|write|execute|instruction) fault\]|\bon (read|write) at|dereference on (read|write)|WnR = ([01])|\b(Read|Write|Free) (?:of size ([0-9]+)|at addr|of addr)|KFENCE: (?:invalid|use-after-free|out-of-bounds) (read|write|free)|for (instruction) fetch|kernel (read) from unreadable|kernel (write) to read-only|kernel (execut)|virtual address [0-9a-f]+ when (read|write|execute)",
    )
});

/// What a line says of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Execute,
}

impl Access {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Execute => "execute",
        }
    }
}

/// The access a line spells out, and how much it was of, in bytes.
pub(crate) fn access(line: &str) -> Option<(&'static str, Option<u64>)> {
    let groups = WORDS.captures(line)?;
    let size = groups.get(7).and_then(|size| size.as_str().parse().ok());
    let word = groups.iter().enumerate().skip(1).filter(|(at, _)| *at != 7).find_map(|(_, m)| m)?;
    let kind = match word.as_str().to_ascii_lowercase().as_str() {
        "read" | "0" => "read",
        "write" | "1" => "write",
        "free" => "free",
        _ => "execute",
    };
    Some((kind, size))
}

/// The faulting address that a row of registers holds, for reports whose head names none.
pub(crate) fn late_address(line: &str) -> Option<u64> {
    u64::from_str_radix(&LATE_ADDRESS.captures(line)?[1], 16).ok()
}

/// The faulting address a line names.
pub(crate) fn address(line: &str) -> Option<u64> {
    if NULL_ADDRESS.is_match(line) {
        return Some(0);
    }
    let groups = ADDRESS.captures(line)?;
    u64::from_str_radix(&groups[1], 16).ok()
}

/// The error code a line holds.
pub(crate) fn error_code(line: &str, arch: Option<Arch>) -> Option<(ErrorCode, Option<Access>)> {
    let number = |groups: regex::Captures<'_>| u64::from_str_radix(&groups[1], 16).ok();
    if let Some(value) = X86_PF.captures(line).and_then(number) {
        return Some(x86_page_fault(value));
    }
    if let Some(groups) = ESR.captures(line) {
        let code = groups.get(1).or(groups.get(2))?.as_str();
        return u64::from_str_radix(code, 16).ok().map(arm64);
    }
    if line.contains("Internal error:") || line.contains("Unhandled fault:") {
        let value = ARM_ERROR.captures(line).and_then(number)?;
        if value > 0xffff {
            return Some(arm64(value));
        }
        return (!ARM_NONE.is_match(line)).then(|| arm(value));
    }
    if let Some(value) = BOOKE.captures(line).and_then(number) {
        return Some(booke(value));
    }
    if let Some(value) = MIPS_CAUSE.captures(line).and_then(number) {
        return Some(mips(value >> 2 & 0x1f));
    }
    if let Some(value) = EXC_CODE.captures(line).and_then(number) {
        return Some(mips(value));
    }
    if arch == Some(Arch::Loongarch64)
        && let Some(value) = ESTAT.captures(line).and_then(number)
    {
        return Some(loongarch(value));
    }
    if let Some(value) = DSISR.captures(line).and_then(number) {
        return Some(powerpc(value));
    }
    if let Some(value) = CAUSE.captures(line).and_then(number) {
        return Some(riscv(value));
    }
    let groups = OOPS.captures(line).or_else(|| OOPS_BROKEN.captures(line))?;
    let value = number(groups)?;
    if line.contains("general protection") || line.contains("stack segment") {
        return Some((selector(value), None));
    }
    if line.contains("Oops") && !line.contains("opcode") && !line.contains("ilc:") {
        if arch.is_some_and(|arch| !matches!(arch, Arch::X86_64 | Arch::I386)) {
            return None;
        }
        return Some(x86_page_fault(value));
    }
    // other exceptions have no error code: zero stands in its place
    line.contains("ilc:").then(|| (s390(value), None))
}

/// What s390's translation-exception identification tells of the access: bits 52 and 53
/// (`arch/s390/mm/fault.c`).
pub(crate) fn teid(line: &str) -> Option<Access> {
    let value = u64::from_str_radix(&TEID.captures(line)?[1], 16).ok()?;
    match value & 0xc00 {
        0x400 => Some(Access::Write),
        0x800 => Some(Access::Read),
        _ => None,
    }
}

/// Exception codes of MIPS (`arch/mips/include/asm/mipsregs.h`, `EXCCODE_`).
fn mips(value: u64) -> (ErrorCode, Option<Access>) {
    let (meaning, access) = match value {
        0 => ("interrupt", None),
        1 => ("TLB modified: a store to a read-only page", Some(Access::Write)),
        2 => ("TLB miss of a load or fetch", Some(Access::Read)),
        3 => ("TLB miss of a store", Some(Access::Write)),
        4 => ("address error of a load or fetch", Some(Access::Read)),
        5 => ("address error of a store", Some(Access::Write)),
        6 => ("bus error of a fetch", Some(Access::Execute)),
        7 => ("bus error of a load or store", None),
        8 => ("system call", None),
        9 => ("breakpoint", None),
        10 => ("reserved instruction", None),
        11 => ("coprocessor unusable", None),
        12 => ("arithmetic overflow", None),
        13 => ("trap", None),
        14 => ("MSA floating point", None),
        15 => ("floating point", None),
        19 => ("TLB read inhibit", Some(Access::Read)),
        20 => ("TLB execute inhibit", Some(Access::Execute)),
        23 => ("watch", None),
        24 => ("machine check", None),
        _ => ("other exception", None),
    };
    (ErrorCode { value, meaning: meaning.into() }, access)
}

/// Exception codes of LoongArch (`arch/loongarch/include/asm/loongarch.h`, `EXCCODE_`).
fn loongarch(value: u64) -> (ErrorCode, Option<Access>) {
    let (meaning, access) = match value >> 16 & 0x3f {
        1 => ("page invalid for load", Some(Access::Read)),
        2 => ("page invalid for store", Some(Access::Write)),
        3 => ("page invalid for fetch", Some(Access::Execute)),
        4 => ("page modified: a store to a read-only page", Some(Access::Write)),
        5 => ("page not readable", Some(Access::Read)),
        6 => ("page not executable", Some(Access::Execute)),
        7 => ("page privilege", None),
        8 => ("address error", None),
        9 => ("address not aligned", None),
        10 => ("bound check", None),
        11 => ("system call", None),
        12 => ("breakpoint", None),
        13 => ("instruction does not exist", None),
        14 => ("instruction privilege", None),
        0 => ("interrupt", None),
        _ => ("other exception", None),
    };
    (ErrorCode { value, meaning: meaning.into() }, access)
}

/// ESR of embedded Power (`arch/powerpc/include/asm/reg_booke.h`).
fn booke(value: u64) -> (ErrorCode, Option<Access>) {
    let mut words = Vec::new();
    for (mask, name) in [
        (0x0800_0000, "illegal instruction"),
        (0x0400_0000, "privileged instruction"),
        (0x0200_0000, "trap"),
        (0x0020_0000, "data storage"),
    ] {
        if value & mask != 0 {
            words.push(name);
        }
    }
    let access = if value & 0x0080_0000 != 0 { Access::Write } else { Access::Read };
    words.push(access.word());
    (ErrorCode { value, meaning: words.join(", ") }, Some(access))
}

/// Bits of the x86 page-fault error code (`arch/x86/include/asm/trap_pf.h`).
fn x86_page_fault(value: u64) -> (ErrorCode, Option<Access>) {
    let bit = |bit: u32| value >> bit & 1 == 1;
    let access = if bit(4) {
        Access::Execute
    } else if bit(1) {
        Access::Write
    } else {
        Access::Read
    };
    let mut words = vec![
        if bit(2) { "user" } else { "supervisor" }.to_owned(),
        access.word().to_owned(),
        if bit(0) { "permissions violation" } else { "page not present" }.to_owned(),
    ];
    for (at, name) in [
        (3, "reserved bit set in the page table"),
        (5, "protection key"),
        (6, "shadow stack"),
        (15, "SGX"),
        (31, "RMP violation"),
    ] {
        if bit(at) {
            words.push(name.to_owned());
        }
    }
    (ErrorCode { value, meaning: words.join(", ") }, Some(access))
}

/// The selector error code of #GP and #SS.
fn selector(value: u64) -> ErrorCode {
    let meaning = if value == 0 {
        "no selector involved".to_owned()
    } else {
        let table = match value >> 1 & 3 {
            0 => "GDT",
            2 => "LDT",
            _ => "IDT",
        };
        let from = if value & 1 == 1 { ", from outside" } else { "" };
        format!("{table} entry {:#x}{from}", value >> 3)
    };
    ErrorCode { value, meaning }
}

/// Exception syndrome of arm64 (`arch/arm64/include/asm/esr.h`).
fn arm64(value: u64) -> (ErrorCode, Option<Access>) {
    let class = value >> 26 & 0x3f;
    let mut access = None;
    let what = match class {
        0x00 => "unknown reason",
        0x0d => "branch target exception",
        0x15 => "system call",
        0x1c => "pointer authentication failure",
        0x20 | 0x21 => "instruction abort",
        0x22 => "PC alignment fault",
        0x24 | 0x25 => "data abort",
        0x26 => "SP alignment fault",
        0x2f => "SError",
        0x30 | 0x31 => "hardware breakpoint",
        0x32 | 0x33 => "single step",
        0x34 | 0x35 => "watchpoint",
        0x3c => "BRK instruction",
        _ => "other exception",
    };
    let mut meaning = format!("{what} (EC {class:#x})");
    if class == 0x2f {
        // bit 24: the rest is the implementation's own
        let severity = match (value >> 24 & 1, value & 0x3f, value >> 10 & 7) {
            (1, ..) => "implementation defined",
            (_, 0x11, 0) => "uncontainable",
            (_, 0x11, 1) => "unrecoverable",
            (_, 0x11, 2) => "restartable",
            (_, 0x11, 3) => "recoverable",
            (_, 0x11, 6) => "corrected",
            _ => "uncategorised",
        };
        meaning.push_str(&format!(", an asynchronous external abort, {severity}"));
    }
    if matches!(class, 0x20 | 0x21 | 0x24 | 0x25) {
        let level = if class & 1 == 1 { "same" } else { "lower" };
        meaning.push_str(&format!(", from the {level} level"));
        if class >= 0x24 {
            let write = value >> 6 & 1 == 1;
            access = Some(if write { Access::Write } else { Access::Read });
            meaning.push_str(if write { ", write" } else { ", read" });
        } else {
            access = Some(Access::Execute);
        }
        let status = value & 0x3f;
        let fault = match status {
            0x00..=0x03 => "address size fault",
            0x04..=0x07 => "translation fault",
            0x08..=0x0b => "access flag fault",
            0x0c..=0x0f => "permission fault",
            0x10 => "synchronous external abort",
            0x11 => "tag check fault",
            0x14..=0x17 => "synchronous external abort on a table walk",
            0x18 => "parity or ECC error",
            0x1c..=0x1f => "parity or ECC error on a table walk",
            0x21 => "alignment fault",
            0x30 => "TLB conflict",
            _ => "other fault",
        };
        meaning.push_str(&format!(", {fault}"));
        if status < 0x20 && !matches!(status, 0x10 | 0x11 | 0x18) {
            meaning.push_str(&format!(" at level {}", status & 3));
        }
    }
    (ErrorCode { value, meaning }, access)
}

/// Fault status of 32-bit arm (`arch/arm/mm/fault.h`).
fn arm(value: u64) -> (ErrorCode, Option<Access>) {
    let status = value & 0xf | (value >> 6 & 0x10);
    let write = value >> 11 & 1 == 1;
    let what = match status {
        0x1 | 0x3 => "alignment or access flag fault",
        0x2 => "debug event",
        0x5 => "section translation fault",
        0x7 => "page translation fault",
        0x6 => "access flag fault",
        0x8 => "external abort",
        0x9 => "section domain fault",
        0xb => "page domain fault",
        0xd => "section permission fault",
        0xf => "page permission fault",
        0x16 => "imprecise external abort",
        _ => "other fault",
    };
    let access = if write { Access::Write } else { Access::Read };
    (
        ErrorCode { value, meaning: format!("{what}, {}", access.word()) },
        (value & !0x3fff == 0 && value != 0).then_some(access),
    )
}

/// DSISR of Power (`arch/powerpc/include/asm/reg.h`).
fn powerpc(value: u64) -> (ErrorCode, Option<Access>) {
    let mut words = Vec::new();
    for (mask, name) in [
        (0x4000_0000, "no translation"),
        (0x0800_0000, "protection fault"),
        (0x0040_0000, "watchpoint"),
        (0x0020_0000, "key fault"),
        (0x0008_0000, "unsupported page table"),
        (0x0004_0000, "bad reference or change bit update"),
    ] {
        if value & mask != 0 {
            words.push(name);
        }
    }
    let access = if value & 0x0200_0000 != 0 { Access::Write } else { Access::Read };
    words.push(access.word());
    (ErrorCode { value, meaning: words.join(", ") }, Some(access))
}

/// Exception causes of RISC-V (privileged specification, scause).
fn riscv(value: u64) -> (ErrorCode, Option<Access>) {
    let (meaning, access) = match value {
        0 => ("instruction address misaligned", Some(Access::Execute)),
        1 => ("instruction access fault", Some(Access::Execute)),
        2 => ("illegal instruction", None),
        3 => ("breakpoint", None),
        4 => ("load address misaligned", Some(Access::Read)),
        5 => ("load access fault", Some(Access::Read)),
        6 => ("store address misaligned", Some(Access::Write)),
        7 => ("store access fault", Some(Access::Write)),
        8 => ("system call from user mode", None),
        12 => ("instruction page fault", Some(Access::Execute)),
        13 => ("load page fault", Some(Access::Read)),
        15 => ("store page fault", Some(Access::Write)),
        _ => ("other cause", None),
    };
    (ErrorCode { value, meaning: meaning.into() }, access)
}

/// Program interruption codes of s390 (Principles of Operation).
fn s390(value: u64) -> ErrorCode {
    let meaning = match value {
        0x01 => "operation",
        0x02 => "privileged operation",
        0x04 => "protection",
        0x05 => "addressing",
        0x06 => "specification",
        0x07 => "data",
        0x09 => "fixed-point divide",
        0x10 => "segment translation",
        0x11 => "page translation",
        0x38 => "region or ASCE type",
        0x39 => "region first translation",
        0x3a => "region second translation",
        0x3b => "region third translation",
        0x3d => "secure storage access",
        _ => "other",
    };
    ErrorCode { value, meaning: format!("program interruption: {meaning}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let (code, access) = error_code("Oops: 0002 [#1] SMP", None).unwrap();
        assert_eq!(code.meaning, "supervisor, write, page not present");
        assert_eq!(access, Some(Access::Write));
        let (code, access) =
            error_code("Internal error: Oops: 96000044 [#1] PREEMPT SMP", None).unwrap();
        assert_eq!(
            code.meaning,
            "data abort (EC 0x25), from the same level, write, translation fault at level 0"
        );
        assert_eq!(access, Some(Access::Write));
        let (code, _) = error_code("Oops: 0011 ilc:3 [#1]SMP", Some(Arch::S390x)).unwrap();
        assert_eq!(code.meaning, "program interruption: page translation");
    }

    #[test]
    fn addresses() {
        assert_eq!(
            address("BUG: unable to handle kernel NULL pointer dereference at           (null)"),
            Some(0)
        );
        assert_eq!(
            address("BUG: kernel NULL pointer dereference, address: 00000000000001f8"),
            Some(0x1f8)
        );
    }
}
