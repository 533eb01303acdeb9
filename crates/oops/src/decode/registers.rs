//! Registers of every architecture, as the kernel prints them.

use std::sync::LazyLock;

use necropsy_lexicon::Arch;
use regex::Regex;

use super::meaning::{self, Layout};
use crate::report::Register;

/// Registers read so far, of one dump.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registers {
    /// What the whole text tells; only this architecture's rows are read.
    pub(crate) arch: Option<Arch>,
    /// Name, value.
    pub(crate) values: Vec<(String, u64)>,
    /// The name of a row that goes on without one (s390), and how many of it have been read.
    row: Option<(&'static str, u32)>,
    /// The widest value seen, in digits.
    digits: usize,
}

static X86: LazyLock<Regex> = LazyLock::new(|| {
    re(
        r"(?:^|\s)(R(?:[ABCD]X|[SD]I|[BS]P|[ 0]?[89]|1[0-5])|E(?:[ABCD]X|[SD]I|[BS]P|FLAGS)|RFLAGS|CR[0-48]|DR[0-7]|ORIG_[RE]AX|e(?:[abcd]x|[sd]i|[bs]p)|[FG]S|knlGS|PKRU|[CDES]S): ?(?:[0-9a-f]{4}:)?<?([0-9a-f]{4,17})\b",
    )
});
static X86_POINTER: LazyLock<Regex> =
    LazyLock::new(|| re(r"\bR?E?IP: (?:[0-9a-f]{4}:)?\[?<?(?:0x)?([0-9a-f]{6,16})>?\]?"));

/// `name: value`, `name = value`, `name value`: what an architecture calls its registers.
const NAMES: &[(Arch, &str)] = &[
    (Arch::Aarch64, r"x[0-9]{1,2}|sp|pc|lr|pstate|pmr_save"),
    (Arch::Arm, r"r[0-9]{1,2}|sp|ip|fp|pc|lr|psr"),
    (
        Arch::Riscv64,
        r"epc|ra|sp|gp|tp|t[0-6]|s1[01]|s[0-9]|a[0-7]|status|badaddr|cause|scause|stval|orig_a0",
    ),
    (Arch::Mips, r"Hi|Lo|epc|ra|Status|Cause|BadVA|PrId|Acx"),
    (
        Arch::Loongarch64,
        r"pc|ra|tp|sp|a[0-7]|t[0-8]|u0|s[0-9]|ERA|CRMD|PRMD|EUEN|ECFG|ESTAT|BADV|BadVA|PRID|PrId|era",
    ),
    (Arch::Ppc64, r"NIP|LR|CTR|MSR|CR|XER|CFAR|DAR|DEAR|DSISR|ESR|SOFTE|IRQMASK|TRAP|SRR0|SRR1"),
    (Arch::Sparc64, r"TSTATE|TPC|TNPC|Y|g[0-7]|o[0-7]|l[0-7]|i[0-7]|sp|ret_pc|tstate|tpc|tnpc"),
    (Arch::Sparc, r"PSR|PC|NPC|Y"),
    (Arch::Openrisc, r"PC|SR|SP|GPR[0-9]{2}|RES|oGPR11"),
    (Arch::Alpha, r"pc|ra|ps|v0|t[0-9]{1,2}|s[0-9]|a[0-5]|gp|sp"),
    (Arch::Ia64, r"psr|ifs|ip|unat|pfs|rsc|rnat|bsps|pr|ldrs|ccv|fpsr|b[0-9]|r[0-9]{1,2}"),
    (Arch::Parisc, r"IASQ|IAOQ|IIR|ISR|IOR|CPU|CR30|CR31|ORIG_R28"),
    (Arch::M68k, r"PC|SR|SP|d[0-7]|a[0-7]"),
    (Arch::Sh, r"PC|SP|SR|TEA|R[0-9]{1,2}|MACH|MACL|GBR|PR"),
    (Arch::Xtensa, r"pc|ps|depc|excvaddr|lbeg|lend|lcount|sar"),
    (Arch::Microblaze, r"r[0-9]{1,2}|msr|ear|esr|fsr"),
    (Arch::Arc, r"r[0-9]{1,2}|ECR|EFA|BLINK|ERET|STAT32|BTA|SP|FP|LPS|LPE"),
    (Arch::Csky, r"epc|lr|sp|usp|psr|EPC|a[0-3]|r[0-9]{1,2}"),
];

/// Rows that name only their first register: the head, and what the rest is called.
const ROWS: &[(Arch, &str, &str)] = &[
    (Arch::S390x, r"Krnl GPRS:", "r"),
    (Arch::Ppc64, r"GPR([0-9]{2}):", "r"),
    (Arch::Mips, r"^\$ ?([0-9]{1,2}) *:", "$"),
    (Arch::Loongarch64, r"^\$ ?([0-9]{1,2}) *:", "$"),
    (Arch::Parisc, r"^r([0-9]{2})-[0-9]{2} ", "r"),
    (Arch::Xtensa, r"^a([0-9]{1,2}): ", "a"),
];

static PAIRS: LazyLock<Vec<(Arch, Regex)>> = LazyLock::new(|| {
    NAMES
        .iter()
        .map(|(arch, names)| {
            let blank = if *arch == Arch::Loongarch64 { "[ :]" } else { "[:=]" };
            let pattern = format!(
                r"(?:^|[\s,\[])({names}) *\]?{blank} *(?:\[<|0x|<)?([0-9a-fA-F]{{8}}(?:[0-9a-fA-F]{{8}})?)\b"
            );
            (*arch, re(&pattern))
        })
        .collect()
});
static HEADS: LazyLock<Vec<(Arch, Regex, &'static str)>> = LazyLock::new(|| {
    ROWS.iter()
        .map(|(arch, head, name)| {
            let pattern = format!(r"{head}((?: *[0-9a-f]{{8,16}}\b)+)");
            (*arch, re(&pattern), *name)
        })
        .collect()
});
static ROW_MORE: LazyLock<Regex> = LazyLock::new(|| re(r"^ +((?:[0-9a-f]{16} *){2,4})$"));
static PSW: LazyLock<Regex> = LazyLock::new(|| re(r"Krnl PSW : ([0-9a-f]{16}) ([0-9a-f]{16})\b"));

fn re(pattern: &str) -> Regex {
    crate::naming::pattern::compile(pattern)
}

impl Registers {
    /// None read yet, of a text of this architecture.
    pub(crate) fn of(arch: Option<Arch>) -> Registers {
        Registers { arch, ..Registers::default() }
    }

    /// Take what a line has; was it a line of registers?
    pub(crate) fn read(&mut self, line: &str) -> bool {
        let before = self.values.len();
        let Some(arch) = self.arch else { return false };
        if x86(arch) {
            if line.contains("IP: ") || X86.is_match(line) {
                self.read_x86(line);
            }
            return self.values.len() > before;
        }
        if arch == Arch::S390x
            && let Some(groups) = PSW.captures(line)
        {
            self.push("psw_mask", &groups[1]);
            self.push("psw", &groups[2]);
        }
        let row = self.row.take();
        if let Some((_, head, name)) =
            HEADS.iter().find(|(of, head, _)| *of == arch && head.is_match(line))
            && let Some(groups) = head.captures(line)
        {
            let first = match groups.len() {
                3 => groups[1].parse().unwrap_or(0),
                _ => 0,
            };
            let values = groups.get(groups.len() - 1).map_or("", |values| values.as_str());
            self.row = Some((name, first));
            self.push_row(values);
        } else if let Some(row) = row
            && let Some(groups) = ROW_MORE.captures(line)
        {
            self.row = Some(row);
            self.push_row(&groups[1]);
        }
        if let Some((_, pairs)) = PAIRS.iter().find(|(of, _)| *of == arch) {
            for groups in pairs.captures_iter(line) {
                self.push(&groups[1], &groups[2]);
            }
        }
        self.values.len() > before
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
            // a value that is cut within its digits is none
            let general = name.starts_with('r') || name.starts_with("e") && name != "es";
            let least = if name.starts_with('r') { 12 } else { 8 };
            if general && name != "eflags" && groups[2].len() < least {
                continue;
            }
            self.push(&name, &groups[2]);
        }
        if let Some(groups) = X86_POINTER.captures(line) {
            let name = if line.contains("EIP") { "eip" } else { "rip" };
            if name == "eip" || groups[1].len() >= 12 || !line.trim_end().ends_with(&groups[1]) {
                self.push(name, &groups[1]);
            }
        }
    }

    fn push_row(&mut self, values: &str) {
        let Some((prefix, mut next)) = self.row else {
            return;
        };
        for value in values.split_whitespace() {
            if next < 32 && matches!(value.len(), 8 | 16) {
                self.push(&format!("{prefix}{next}"), value);
            }
            next = next.saturating_add(1);
        }
        self.row = Some((prefix, next));
    }

    fn push(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        self.digits = self.digits.max(value.len());
        if let Ok(value) = u64::from_str_radix(value, 16)
            && self.values.iter().all(|(known, _)| *known != name)
            && self.values.len() < 100
        {
            self.values.push((name, value));
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
        Some(*value)
    }

    /// The stack pointer.
    fn stack_pointer(&self) -> Option<u64> {
        let name = match self.arch? {
            Arch::X86_64 => "rsp",
            Arch::S390x => "r15",
            Arch::Ppc64 => "r1",
            Arch::Mips => "$29",
            _ => "sp",
        };
        self.get(name).or_else(|| self.get("$3").filter(|_| self.arch == Some(Arch::Loongarch64)))
    }

    /// Does the machine's kernel run in 32 bits, as far as the registers tell?
    pub(crate) fn narrow(&self) -> bool {
        match self.arch {
            Some(Arch::X86_64 | Arch::Aarch64 | Arch::S390x | Arch::Sparc64 | Arch::Alpha) => false,
            Some(Arch::I386 | Arch::Arm) => true,
            Some(arch) if arch.pointer_size() == 4 && arch != Arch::Mips => true,
            _ => self.digits == 8,
        }
    }

    /// Where the machine keeps what.
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(self.arch, self.get("gs_base"), self.stack_pointer()).narrow(self.narrow())
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
        "cr0" | "cr4" | "cs" | "ss" | "ds" | "es" | "pkru" | "psr" | "status" | "cause"
        | "scause" | "msr" | "cr" | "xer" | "dsisr" | "prid" | "pstate" | "pmr_save" | "esr"
        | "trap" | "softe" | "irqmask" | "sr" | "crmd" | "prmd" | "euen" | "ecfg" | "estat"
        | "tstate" | "y" | "psw_mask" | "ps" | "iir" | "isr" | "ecr" | "stat32" => String::new(),
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
        Arch::Aarch64 => &["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"],
        Arch::Arm => &["r0", "r1", "r2", "r3"],
        Arch::Riscv64 | Arch::Loongarch64 => &["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"],
        Arch::S390x => &["r2", "r3", "r4", "r5", "r6"],
        Arch::Ppc64 => &["r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10"],
        Arch::Mips => &["$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11"],
        Arch::Openrisc => &["gpr03", "gpr04", "gpr05", "gpr06", "gpr07", "gpr08"],
        Arch::Sparc64 => &["o0", "o1", "o2", "o3", "o4", "o5"],
        _ => return None,
    };
    order.iter().position(|known| *known == name).map(|at| at as u8 + 1)
}
