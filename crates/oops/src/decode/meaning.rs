//! What a value is, told from the value alone.

use necropsy_lexicon::Arch;
use necropsy_lexicon::value::{self, errno};

/// Where x86-64 keeps what when nothing is randomised, with four page-table
/// levels (`Documentation/arch/x86/x86_64/mm.rst`).
const X86_64: &[(u64, u64, &str)] = &[
    (0xffff_8000_0000_0000, 0xffff_87ff_ffff_ffff, "hypervisor hole"),
    (0xffff_8800_0000_0000, 0xffff_c87f_ffff_ffff, "direct map"),
    (0xffff_c900_0000_0000, 0xffff_e8ff_ffff_ffff, "vmalloc"),
    (0xffff_ea00_0000_0000, 0xffff_eaff_ffff_ffff, "vmemmap (struct page)"),
];
/// What stays in its place.
const X86_64_FIXED: &[(u64, u64, &str)] = &[
    // later kernels leave this to hypervisors, and move their direct map only upwards
    (0xffff_8100_0000_0000, 0xffff_87ff_ffff_ffff, "direct map of kernels before 2.6.27"),
    (0xffff_ff80_0000_0000, 0xffff_ffee_ffff_ffff, "unused part of the address space"),
    (0xffff_ec00_0000_0000, 0xffff_fbff_ffff_ffff, "KASAN shadow, or memory map"),
    (0xffff_fe00_0000_0000, 0xffff_fe7f_ffff_ffff, "CPU entry area"),
    (0xffff_ff00_0000_0000, 0xffff_ff7f_ffff_ffff, "espfix stack"),
    (0xffff_ffef_0000_0000, 0xffff_fffe_ffff_ffff, "EFI"),
    (0xffff_ffff_8000_0000, 0xffff_ffff_9fff_ffff, "kernel text or data"),
    // modules begin here without KASLR, and at c0000000 with it
    (0xffff_ffff_a000_0000, 0xffff_ffff_bfff_ffff, "module, or kernel text or data"),
    (0xffff_ffff_c000_0000, 0xffff_ffff_feff_ffff, "module"),
    (0xffff_ffff_ff00_0000, 0xffff_ffff_ffdf_ffff, "fixmap"),
];

/// Where a machine keeps what, as far as its registers tell: x86-64 moves the
/// direct map and vmalloc about (`arch/x86/mm/kaslr.c`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) arch: Option<Arch>,
    /// An address in the direct map.
    direct: Option<u64>,
    /// An address in vmalloc: stacks lie there since 4.9, if not in the
    /// direct map.
    stack: Option<u64>,
    /// Registers are 32 bits wide.
    narrow: bool,
    /// Bits of a virtual address, where the text says.
    bits: Option<u32>,
    /// arm64 before 5.4 had the linear map above everything else.
    linear_above: bool,
}

/// Kernel addresses with five page-table levels begin here.
const FIVE_LEVELS: u64 = 0xff00_0000_0000_0000;
/// With four.
const FOUR_LEVELS: u64 = 0xffff_8000_0000_0000;

impl Layout {
    /// From the base of the per-CPU area and the stack pointer.
    pub(crate) fn new(arch: Option<Arch>, gs_base: Option<u64>, sp: Option<u64>) -> Layout {
        let kernel = |value: &u64| *value >= FIVE_LEVELS && *value < 0xffff_fe00_0000_0000;
        Layout {
            arch,
            direct: gs_base.filter(kernel),
            stack: sp.filter(|value| kernel(value) || arch == Some(Arch::Aarch64)),
            ..Layout::default()
        }
    }

    /// Of a machine whose registers are 32 bits wide.
    pub(crate) fn narrow(mut self, narrow: bool) -> Layout {
        self.narrow = narrow;
        self
    }

    /// What the rest of the text tells: bits of a virtual address, and the kernel's release.
    pub(crate) fn told(mut self, bits: Option<u32>, release: Option<&str>) -> Layout {
        self.bits = bits;
        let mut numbers = release.unwrap_or("").split(['.', '-']).map(|part| part.parse().ok());
        let version: Option<(u32, u32)> = numbers.next().flatten().zip(numbers.next().flatten());
        self.linear_above = version.is_some_and(|version| version < (5, 4));
        self
    }

    /// Has the machine five page-table levels? Its stack or per-CPU area then lies below what
    /// four can reach.
    fn five(self) -> bool {
        [self.direct, self.stack]
            .into_iter()
            .flatten()
            .any(|at| (FIVE_LEVELS..FOUR_LEVELS).contains(&at))
    }

    /// Is the value an address of the kernel, by its upper bits?
    pub(crate) fn kernel(self, value: u64) -> bool {
        match self.arch {
            _ if self.narrow => (0x8000_0000..=0xffff_ffff).contains(&value),
            Some(Arch::X86_64) => value >= if self.five() { FIVE_LEVELS } else { FOUR_LEVELS },
            Some(Arch::Aarch64) => {
                value >> 52 == 0xfff && (self.bits == Some(52) || value >> 48 == 0xffff)
            }
            Some(Arch::Riscv64) => value >= 0xff00_0000_0000_0000,
            Some(Arch::Ppc64) => value >> 60 == 0xc,
            Some(Arch::Loongarch64) => value >> 60 == 0x9 || value >> 48 == 0xffff,
            Some(Arch::Mips) => value >> 61 >= 4,
            _ => value >> 48 == 0xffff,
        }
    }

    /// Can no page table reach the value?
    pub(crate) fn impossible(self, value: u64) -> bool {
        match self.arch {
            _ if self.narrow => false,
            Some(Arch::X86_64) => {
                let user = if self.five() { 1 << 56 } else { 1 << 47 };
                // with no register to tell, an address of five levels is one
                value >= user && !self.kernel(value) && !(self.unknown() && value >= FIVE_LEVELS)
            }
            Some(Arch::Aarch64) => {
                let top = value >> 48;
                !matches!(top, 0 | 0xffff) && top & 0xff != 0xff && value >> 52 != 0xfff
            }
            _ => false,
        }
    }

    fn unknown(self) -> bool {
        self.direct.is_none() && self.stack.is_none()
    }

    fn x86_64(self, value: u64) -> &'static str {
        let named = |table: &[(u64, u64, &'static str)]| {
            table
                .iter()
                .find(|(from, to, _)| (*from..=*to).contains(&value))
                .map(|(.., name)| *name)
        };
        let near = |other: Option<u64>| other.is_some_and(|other| other.abs_diff(value) < 1 << 39);
        if value < FOUR_LEVELS {
            return match (near(self.direct), near(self.stack)) {
                (true, false) => "direct map, five-level paging",
                (false, true) => "vmalloc, five-level paging",
                _ => "kernel address, five-level paging",
            };
        }
        if let Some(name) = named(X86_64_FIXED) {
            return name;
        }
        // the direct map at its default place: nothing was moved. A stack lay in it before 4.9,
        // and does without VMAP_STACK.
        if [self.direct, self.stack].into_iter().flatten().any(|at| at >> 40 == 0xff_ff88) {
            return named(X86_64).unwrap_or("kernel address");
        }
        match (near(self.direct), near(self.stack)) {
            (true, false) => "direct map",
            (false, true) => "vmalloc",
            _ => "direct map or vmalloc",
        }
    }

    /// `Documentation/arch/arm64/memory.rst`: everything is placed by the number of address bits.
    fn arm64(self, value: u64) -> String {
        match value >> 48 {
            0 if value <= 0xffff_ffff => return "number".into(),
            0 => return "user address".into(),
            0xffff => {}
            _ if value >> 52 == 0xfff => return "linear map, 52-bit addresses".into(),
            // the tag of hardware KASAN takes the top byte
            top if top & 0xff == 0xff => {
                return format!("tagged kernel address, tag {:#x}", value >> 56);
            }
            _ => return "not canonical: no address".into(),
        }
        let guessed = || {
            let stack = self.stack?;
            (stack >= 0xffff_ff80_0000_0000).then_some(39)
        };
        let bits = self.bits.or_else(guessed).filter(|bits| (36..=48).contains(bits)).unwrap_or(48);
        let start = 0u64.wrapping_sub(1 << bits);
        let half = 0u64.wrapping_sub(1 << (bits - 1));
        // one struct page of 64 bytes for each page of 4 KiB of the linear map
        let pages = 0u64.wrapping_sub(1 << (bits - 6));
        if value < start {
            return "kernel address out of range".into();
        }
        if !self.linear_above && (pages..pages + (1 << (bits - 7))).contains(&value) {
            return "vmemmap (struct page)".into();
        }
        let linear = (value >= half) == self.linear_above;
        if linear { "linear map" } else { "kernel text, module or vmalloc" }.into()
    }
}

/// Name what a value is.
pub(crate) fn of(value: u64, layout: Layout) -> String {
    let arch = layout.arch;
    let wide = !layout.narrow && !matches!(arch, Some(Arch::I386 | Arch::Arm));
    if value == 0 {
        return "NULL".into();
    }
    if value == u64::MAX {
        return "-1".into();
    }
    if let Some(poison) = value::near_poison(value, wide) {
        return poison.to_string();
    }
    if let Some(number) = value::error_number(value, wide) {
        return match errno(number) {
            Some(name) => format!("-{number}: {name} as an error pointer"),
            None => format!("-{number}"),
        };
    }
    if value < 0x1000 {
        return format!("small number, or NULL + {value:#x}");
    }
    if let Some(text) = ascii(value, wide) {
        return format!("text \"{text}\"");
    }
    match arch {
        _ if !wide => match arch {
            Some(Arch::Mips | Arch::Arm) if value >= 0x8000_0000 => "kernel address".into(),
            _ if value >= 0xc000_0000 => "kernel address".into(),
            _ => "number or user address".into(),
        },
        Some(Arch::X86_64) => x86_64(value, layout),
        Some(Arch::Aarch64) => layout.arm64(value),
        // its kernel has an address space of its own, from zero
        Some(Arch::S390x) => String::new(),
        Some(Arch::Ppc64) => match value >> 60 {
            0xc if value >> 56 == 0xc0 && value >> 48 >= 0xc00c => "vmemmap (struct page)".into(),
            0xc if value >> 48 >= 0xc008 => "vmalloc or I/O".into(),
            0xc => "linear map".into(),
            0xd => "vmalloc".into(),
            0xf => "vmemmap (struct page)".into(),
            _ if value <= 0xffff_ffff => "number".into(),
            _ => String::new(),
        },
        _ if layout.kernel(value) => "kernel address".into(),
        _ if value <= 0xffff_ffff => "number".into(),
        _ => String::new(),
    }
}

fn x86_64(value: u64, layout: Layout) -> String {
    if value <= 0xffff_ffff {
        return "number".into();
    }
    if value < 0x0000_8000_0000_0000 {
        return "user address".into();
    }
    if (0xdfff_fc00_0000_0000..0xdfff_fc00_0000_0000 + (1 << 44)).contains(&value) {
        let real = (value - 0xdfff_fc00_0000_0000) << 3;
        return format!("KASAN shadow of {real:#x}");
    }
    if layout.impossible(value) {
        return "not canonical: no address".into();
    }
    if value < FIVE_LEVELS {
        return "user address, five-level paging".into();
    }
    layout.x86_64(value).into()
}

/// The value's bytes in memory order, when all are text.
fn ascii(value: u64, wide: bool) -> Option<String> {
    let text = value::printable(value, if wide { 8 } else { 4 })?;
    let letters = text.bytes().filter(u8::is_ascii_alphanumeric).count();
    let least = if wide { 5 } else { 4 };
    (text.len() >= least && letters * 4 >= text.len() * 3).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let unmoved = Layout::new(
            Some(Arch::X86_64),
            Some(0xffff_8880_7dc0_0000),
            Some(0xffff_c900_0003_bd88),
        );
        for (value, meaning) in [
            (0, "NULL"),
            (0x1f8, "small number, or NULL + 0x1f8"),
            (0xffff_ffff_ffff_fff4, "-12: ENOMEM as an error pointer"),
            (0x6b6b_6b6b_6b6b_6b6b, "freed slab object (POISON_FREE)"),
            (0x6b6b_6b6b_6b6b_6b7b, "freed slab object (POISON_FREE) + 0x10"),
            (0xffff_8880_1234_5678, "direct map"),
            (0xffff_ea00_0000_1000, "vmemmap (struct page)"),
            (0x0000_7fff_1234_5678, "user address"),
            (0x6f6c_6c65_6820_6968, "text \"hi hello\""),
            (0xdfff_fc00_0000_0003, "KASAN shadow of 0x18"),
            (0x1234_5678_9abc_def0, "not canonical: no address"),
        ] {
            assert_eq!(of(value, unmoved), meaning, "{value:#x}");
        }
        // moved: the per-CPU area and the stack show what is where
        let moved = Layout::new(
            Some(Arch::X86_64),
            Some(0xffff_951e_5e60_0000),
            Some(0xffff_b4f0_8029_3bd8),
        );
        assert_eq!(of(0xffff_951e_4104_2700, moved), "direct map");
        assert_eq!(of(0xffff_b4f0_8029_3c40, moved), "vmalloc");
        assert_eq!(of(0xffff_d000_0000_0000, moved), "direct map or vmalloc");
    }
}
