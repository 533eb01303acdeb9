//! Why the processor stopped: error codes, spelled out.

use std::sync::LazyLock;

use regex::Regex;

use crate::naming::pattern::compile;
use crate::report::{Arch, ErrorCode};

static X86_PF: LazyLock<Regex> = LazyLock::new(|| compile(r"#PF: error_code\(0x([0-9a-f]+)\)"));
static OOPS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:Oops|general protection fault[^:]*|invalid opcode|divide error|divide_error|stack segment|int3|double fault): (?:Oops: )?([0-9a-f]{4,8}) (?:ilc:[0-9] ?)?\[#",
    )
});
static OOPS_BROKEN: LazyLock<Regex> =
    LazyLock::new(|| compile(r"Oops: (?:Oops: )?([0-9a-f]{4})\b"));
static ARM_ERROR: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?:Internal error: .*: |Unhandled fault: .*\(0x)([0-9a-f]{1,16})\)?")
});
static ESR: LazyLock<Regex> = LazyLock::new(|| compile(r"\bESR = 0x([0-9a-f]+)"));
static DSISR: LazyLock<Regex> = LazyLock::new(|| compile(r"DSISR: ([0-9a-f]{8})"));
static CAUSE: LazyLock<Regex> = LazyLock::new(|| compile(r"cause: ([0-9a-f]{16})"));
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?:at virtual address|for address:|dereference, address:|non-canonical address|paging request at|dereference at|data access(?: on (?:read|write))? at|dereference on (?:read|write) at|Failing address:|\(0x[0-9a-f]+\) at|page fault for address:) *(?:0x)?([0-9a-f]{4,16})\b",
    )
});
static NULL_ADDRESS: LazyLock<Regex> = LazyLock::new(|| compile(r"dereference at +\(null\)"));

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
    if let Some(value) = ESR.captures(line).and_then(number) {
        return Some(arm64(value));
    }
    if line.contains("Internal error:") || line.contains("Unhandled fault:") {
        let value = ARM_ERROR.captures(line).and_then(number)?;
        return Some(if value > 0xffff { arm64(value) } else { arm(value) });
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
    if line.contains("ilc:") {
        return Some((s390(value), None));
    }
    Some((ErrorCode { value, meaning: "none for this exception".into() }, None))
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
        (value & !0xfff == 0 && value != 0).then_some(access),
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
