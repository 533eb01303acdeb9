//! The registers of an x86_64 CPU, each known or not.

/// A general-purpose register, the instruction pointer or a word saved with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Reg {
    Rax,
    Rbx,
    Rcx,
    Rdx,
    Rsi,
    Rdi,
    Rbp,
    Rsp,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    Rip,
    Rflags,
    Cs,
    Ss,
    OrigRax,
}

impl Reg {
    /// All of them, in the order of the enum.
    pub const ALL: [Reg; 21] = [
        Reg::Rax,
        Reg::Rbx,
        Reg::Rcx,
        Reg::Rdx,
        Reg::Rsi,
        Reg::Rdi,
        Reg::Rbp,
        Reg::Rsp,
        Reg::R8,
        Reg::R9,
        Reg::R10,
        Reg::R11,
        Reg::R12,
        Reg::R13,
        Reg::R14,
        Reg::R15,
        Reg::Rip,
        Reg::Rflags,
        Reg::Cs,
        Reg::Ss,
        Reg::OrigRax,
    ];

    /// Its name in lower case: `rax`, `rip`, `orig_rax`.
    pub fn name(self) -> &'static str {
        match self {
            Reg::Rax => "rax",
            Reg::Rbx => "rbx",
            Reg::Rcx => "rcx",
            Reg::Rdx => "rdx",
            Reg::Rsi => "rsi",
            Reg::Rdi => "rdi",
            Reg::Rbp => "rbp",
            Reg::Rsp => "rsp",
            Reg::R8 => "r8",
            Reg::R9 => "r9",
            Reg::R10 => "r10",
            Reg::R11 => "r11",
            Reg::R12 => "r12",
            Reg::R13 => "r13",
            Reg::R14 => "r14",
            Reg::R15 => "r15",
            Reg::Rip => "rip",
            Reg::Rflags => "rflags",
            Reg::Cs => "cs",
            Reg::Ss => "ss",
            Reg::OrigRax => "orig_rax",
        }
    }

    /// The general registers by the numbers that instructions have for them.
    pub const ENCODED: [Reg; 16] = [
        Reg::Rax,
        Reg::Rcx,
        Reg::Rdx,
        Reg::Rbx,
        Reg::Rsp,
        Reg::Rbp,
        Reg::Rsi,
        Reg::Rdi,
        Reg::R8,
        Reg::R9,
        Reg::R10,
        Reg::R11,
        Reg::R12,
        Reg::R13,
        Reg::R14,
        Reg::R15,
    ];

    /// The register of that name, `%` and case ignored.
    pub fn by_name(name: &str) -> Option<Reg> {
        let name = name.trim_start_matches(['%', '$']);
        Reg::ALL.into_iter().find(|r| r.name().eq_ignore_ascii_case(name)).or_else(|| {
            match name.to_ascii_lowercase().as_str() {
                "pc" | "ip" => Some(Reg::Rip),
                "sp" => Some(Reg::Rsp),
                "eflags" => Some(Reg::Rflags),
                _ => None,
            }
        })
    }
}

/// A set of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Regs {
    values: [u64; 21],
    known: u32,
}

impl Regs {
    /// No register known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value, if known.
    pub fn get(&self, reg: Reg) -> Option<u64> {
        (self.known & (1 << reg as u32) != 0).then(|| self.values[reg as usize])
    }

    /// Sets a value.
    pub fn set(&mut self, reg: Reg, value: u64) {
        self.values[reg as usize] = value;
        self.known |= 1 << reg as u32;
    }

    /// Sets or forgets.
    pub fn put(&mut self, reg: Reg, value: Option<u64>) {
        match value {
            Some(value) => self.set(reg, value),
            None => self.known &= !(1 << reg as u32),
        }
    }

    /// Whether the saved code segment is user mode.
    pub fn user_mode(&self) -> bool {
        self.get(Reg::Cs).is_some_and(|cs| cs & 3 == 3)
    }

    /// Every known register.
    pub fn iter(&self) -> impl Iterator<Item = (Reg, u64)> + '_ {
        Reg::ALL.into_iter().filter_map(|r| Some((r, self.get(r)?)))
    }

    /// From a saved `struct pt_regs` (arch/x86/include/asm/ptrace.h), 168 bytes; the same order
    /// opens an ELF note's `elf_gregset_t`.
    pub fn from_pt_regs(bytes: &[u8]) -> Option<Regs> {
        const ORDER: [Reg; 15] = [
            Reg::R15,
            Reg::R14,
            Reg::R13,
            Reg::R12,
            Reg::Rbp,
            Reg::Rbx,
            Reg::R11,
            Reg::R10,
            Reg::R9,
            Reg::R8,
            Reg::Rax,
            Reg::Rcx,
            Reg::Rdx,
            Reg::Rsi,
            Reg::Rdi,
        ];
        const TAIL: [Reg; 6] = [Reg::OrigRax, Reg::Rip, Reg::Cs, Reg::Rflags, Reg::Rsp, Reg::Ss];
        let mut regs = Regs::new();
        let words = bytes.get(..PT_REGS_SIZE as usize)?.chunks_exact(8);
        for (reg, word) in ORDER.into_iter().chain(TAIL).zip(words) {
            let mut value = u64::from_le_bytes(word.try_into().ok()?);
            // With FRED the words of CS and SS carry more than the selector.
            if matches!(reg, Reg::Cs | Reg::Ss) {
                value &= 0xffff;
            }
            regs.set(reg, value);
        }
        Some(regs)
    }

    /// From the five words that the CPU pushes on an exception: RIP CS RFLAGS RSP SS.
    pub fn from_iret_frame(bytes: &[u8]) -> Option<Regs> {
        let mut regs = Regs::new();
        let order = [Reg::Rip, Reg::Cs, Reg::Rflags, Reg::Rsp, Reg::Ss];
        for (reg, word) in order.into_iter().zip(bytes.get(..40)?.chunks_exact(8)) {
            let mut value = u64::from_le_bytes(word.try_into().ok()?);
            if matches!(reg, Reg::Cs | Reg::Ss) {
                value &= 0xffff;
            }
            regs.set(reg, value);
        }
        Some(regs)
    }

    /// Whether these could be the registers that an exception saved: selectors as Linux uses
    /// them, RFLAGS with its fixed bit.
    pub fn plausible(&self) -> bool {
        let cs = matches!(self.get(Reg::Cs), Some(0x10 | 0x33 | 0x23 | 0xe030 | 0xe033));
        let flags = self.get(Reg::Rflags).is_some_and(|f| f & 2 != 0 && f < 1 << 22);
        cs && flags
    }
}

/// Bytes of `struct pt_regs` on x86_64.
pub const PT_REGS_SIZE: u64 = 168;
