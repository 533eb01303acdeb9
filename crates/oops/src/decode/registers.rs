//! Registers of every architecture, as the kernel prints them.

use std::sync::LazyLock;

use regex::Regex;

use super::meaning::{self, Layout};
use crate::report::{Arch, Register};

/// Registers read so far, of one dump.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers {
    pub(crate) arch: Option<Arch>,
    /// Name, value.
    pub(crate) values: Vec<(String, u64)>,
    /// How many of a numbered row (s390, mips, ppc) have been read.
    pub(super) row: Option<(&'static str, u32)>,
}

static X86: LazyLock<Regex> = LazyLock::new(|| {
    re(
        r"(?:^|\s)(R(?:[ABCD]X|[SD]I|[BS]P|[ 0]?[89]|1[0-5])|E(?:[ABCD]X|[SD]I|[BS]P|FLAGS)|RFLAGS|CR[0-48]|DR[0-7]|ORIG_[RE]AX|[FG]S|knlGS|PKRU|[CDES]S): ?(?:[0-9a-f]{4}:)?<?([0-9a-f]{4,17})\b",
    )
});
static X86_POINTER: LazyLock<Regex> =
    LazyLock::new(|| re(r"\bR?E?IP: (?:[0-9a-f]{4}:)?\[?<?(?:0x)?([0-9a-f]{6,16})>?\]?"));
static ARM64: LazyLock<Regex> = LazyLock::new(|| re(r"\b(x[0-9]{1,2}|sp) ?: ([0-9a-f]{16})\b"));
static ARM: LazyLock<Regex> = LazyLock::new(|| re(r"\b(r[0-9]{1,2}|sp|ip|fp) ?: ([0-9a-f]{8})\b"));
static ARM_POINTER: LazyLock<Regex> =
    LazyLock::new(|| re(r"\b(pc|lr) : \[<([0-9a-f]{8})>\](?:.*psr: ([0-9a-f]{8}))?"));
static RISCV: LazyLock<Regex> = LazyLock::new(|| {
    re(
        r"\b(epc|ra|sp|gp|tp|t[0-6]|s1[01]|s[0-9]|a[0-7]|status|badaddr|cause) ?: ([0-9a-f]{8,16})\b",
    )
});
static LOONGARCH: LazyLock<Regex> = LazyLock::new(|| {
    re(
        r"(?:^|\s)(pc|ra|tp|sp|a[0-7]|t[0-8]|u0|s[0-9]|CRMD|PRMD|EUEN|ECFG|ESTAT|BADV|BadVA)[ :]+([0-9a-f]{8,16})\b",
    )
});
static ROW: LazyLock<Regex> =
    LazyLock::new(|| re(r"(Krnl GPRS:|GPR[0-9]{2}:|\$ ?[0-9 ]{1,2} ?:)((?: +[0-9a-f]{8,16})+)"));
static ROW_MORE: LazyLock<Regex> = LazyLock::new(|| re(r"^ +((?:[0-9a-f]{16} *){2,4})$"));
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    re(
        r"\b(NIP|LR|CTR|MSR|CR|XER|CFAR|DAR|DEAR|DSISR|Hi|Lo|Status|Cause|BadVA|PrId|epc)\s*: +([0-9a-f]{8,16})\b",
    )
});

fn re(pattern: &str) -> Regex {
    crate::naming::pattern::compile(pattern)
}

impl Registers {
    /// Take what a line has; was it a line of registers?
    pub(crate) fn read(&mut self, line: &str) -> bool {
        let before = self.values.len();
        if let Some(groups) = ROW.captures(line) {
            self.read_row(&groups[1], &groups[2]);
        } else if self.row.is_some_and(|(prefix, _)| prefix == "r")
            && let Some(groups) = ROW_MORE.captures(line)
        {
            self.push_row(&groups[1]);
        } else if line.contains("IP: ") && !line.contains("NIP: ") || X86.is_match(line) {
            if self.arch.is_none_or(x86) {
                self.read_x86(line);
            }
        } else if ARM_POINTER.is_match(line) {
            self.set_arch(Arch::Arm);
            for groups in ARM_POINTER.captures_iter(line) {
                self.push(&groups[1], &groups[2]);
                if let Some(flags) = groups.get(3) {
                    self.push("psr", flags.as_str());
                }
            }
            if let Some((_, lr)) = line.split_once("lr : [<")
                && let Some((lr, _)) = lr.split_once('>')
            {
                self.push("lr", lr);
            }
        } else if ARM64.is_match(line) && self.arch.is_none_or(|arch| arch == Arch::Arm64) {
            self.set_arch(Arch::Arm64);
            self.take(&ARM64, line);
        } else if ARM.is_match(line) && self.arch.is_none_or(|arch| arch == Arch::Arm) {
            self.set_arch(Arch::Arm);
            self.take(&ARM, line);
        } else if RISCV.is_match(line) && self.arch.is_none_or(|arch| arch == Arch::Riscv) {
            self.set_arch(Arch::Riscv);
            self.take(&RISCV, line);
        } else if NAMED.is_match(line) {
            if line.contains("NIP") {
                self.set_arch(Arch::Powerpc);
            }
            self.take(&NAMED, line);
        } else if LOONGARCH.find_iter(line).count() >= 3 {
            self.set_arch(Arch::Loongarch);
            self.take(&LOONGARCH, line);
        }
        self.values.len() > before
    }

    fn take(&mut self, pattern: &Regex, line: &str) {
        for groups in pattern.captures_iter(line) {
            self.push(&groups[1], &groups[2]);
        }
    }

    fn read_x86(&mut self, line: &str) {
        for groups in X86.captures_iter(line) {
            let name = groups[1].to_ascii_lowercase().replace([' '], "");
            let name = match name.as_str() {
                "r08" => "r8".to_owned(),
                "r09" => "r9".to_owned(),
                "fs" => "fs_base".to_owned(),
                "gs" => "gs_base".to_owned(),
                "knlgs" => "kernel_gs_base".to_owned(),
                "rflags" => "eflags".to_owned(),
                other => other.to_owned(),
            };
            if name.starts_with('r') && name != "r8" {
                self.set_arch(Arch::X86_64);
            } else if name.starts_with("ea") || name.starts_with("eb") {
                self.set_arch(Arch::I386);
            }
            self.push(&name, &groups[2]);
        }
        if let Some(groups) = X86_POINTER.captures(line) {
            let name = if line.contains("EIP") { "eip" } else { "rip" };
            self.push(name, &groups[1]);
        }
    }

    fn read_row(&mut self, head: &str, values: &str) {
        if head.starts_with("Krnl") {
            self.set_arch(Arch::S390x);
            self.row = Some(("r", 0));
        } else if let Some(first) = head.strip_prefix("GPR") {
            self.set_arch(Arch::Powerpc);
            let first = first.trim_end_matches(':').parse().unwrap_or(0);
            self.row = Some(("r", first));
        } else {
            let first = head.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
            if self.arch != Some(Arch::Loongarch) {
                self.set_arch(Arch::Mips);
            }
            self.row = Some(("$", first));
        }
        self.push_row(values);
    }

    fn push_row(&mut self, values: &str) {
        let Some((prefix, mut next)) = self.row else {
            return;
        };
        for value in values.split_whitespace() {
            if next < 32 {
                self.push(&format!("{prefix}{next}"), value);
            }
            next = next.saturating_add(1);
        }
        self.row = Some((prefix, next));
    }

    fn set_arch(&mut self, arch: Arch) {
        self.arch.get_or_insert(arch);
    }

    fn push(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if let Ok(value) = u64::from_str_radix(value, 16)
            && self.values.iter().all(|(known, _)| *known != name)
            && self.values.len() < 80
        {
            self.values.push((name, value));
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
        Some(*value)
    }

    /// Where the machine keeps what.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.arch, self.get("gs_base"), self.get("rsp"))
    }

    /// The registers with their meanings.
    pub(crate) fn explain(&self, layout: Layout) -> Vec<Register> {
        self.values
            .iter()
            .map(|(name, value)| Register {
                name: name.clone(),
                value: *value,
                meaning: explain(name, *value, layout),
                argument: argument(name, self.arch),
            })
            .collect()
    }
}

fn x86(arch: Arch) -> bool {
    matches!(arch, Arch::X86_64 | Arch::I386)
}

/// Registers that hold flags, not addresses, say what the flags are.
fn explain(name: &str, value: u64, layout: Layout) -> String {
    const EFLAGS: &[(u32, &str)] = &[
        (0, "CF"),
        (2, "PF"),
        (4, "AF"),
        (6, "ZF"),
        (7, "SF"),
        (8, "TF"),
        (9, "IF"),
        (10, "DF"),
        (11, "OF"),
        (14, "NT"),
        (16, "RF"),
        (18, "AC"),
    ];
    match name {
        "eflags" => {
            let set: Vec<&str> = EFLAGS
                .iter()
                .filter(|(bit, _)| value >> bit & 1 == 1)
                .map(|(_, name)| *name)
                .collect();
            let interrupts = if value >> 9 & 1 == 1 { "on" } else { "off" };
            format!("{} (interrupts {interrupts})", set.join(" "))
        }
        "cr0" | "cr4" | "cs" | "ss" | "ds" | "es" | "pkru" | "psr" | "status" | "cause" | "msr"
        | "cr" | "xer" | "dsisr" | "prid" => String::new(),
        name if name.starts_with("dr") => String::new(),
        "cr2" => format!("faulting address: {}", meaning::of(value, layout)),
        "cr3" => "physical address of the page table".into(),
        "orig_rax" | "orig_eax" => String::new(),
        _ => meaning::of(value, layout),
    }
}

/// Which argument of a function a register carries at its entry, by the
/// architecture's calling convention in the kernel.
fn argument(name: &str, arch: Option<Arch>) -> Option<u8> {
    let order: &[&str] = match arch? {
        Arch::X86_64 => &["rdi", "rsi", "rdx", "rcx", "r8", "r9"],
        Arch::I386 => &["eax", "edx", "ecx"],
        Arch::Arm64 => &["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"],
        Arch::Arm => &["r0", "r1", "r2", "r3"],
        Arch::Riscv | Arch::Loongarch => &["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"],
        Arch::S390x => &["r2", "r3", "r4", "r5", "r6"],
        Arch::Powerpc => &["r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"],
        Arch::Mips => &["$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11"],
    };
    order.iter().position(|known| *known == name).map(|at| at as u8 + 1)
}
