//! What a value is, told from the value alone.

use crate::report::Arch;

/// Patterns that the kernel writes into memory nobody should use
/// (`include/linux/poison.h` and the allocators).
const POISONS: &[(u64, &str)] = &[
    (0x6b6b_6b6b_6b6b_6b6b, "freed slab object (POISON_FREE)"),
    (0x6b6b_6b6b_6b6b_6ba5, "end of a freed slab object (POISON_END)"),
    (0x5a5a_5a5a_5a5a_5a5a, "slab memory never written (POISON_INUSE)"),
    (0xa5a5_a5a5_a5a5_a5a5, "end marker of slab poison (POISON_END)"),
    (0xbbbb_bbbb_bbbb_bbbb, "slab red zone, inactive (SLUB_RED_INACTIVE)"),
    (0xcccc_cccc_cccc_cccc, "slab red zone, active, or freed init memory"),
    (0xaaaa_aaaa_aaaa_aaaa, "freed page (PAGE_POISON)"),
    (0xfefe_fefe_fefe_fefe, "stack or memory filled by the compiler"),
    (0xdead_0000_0000_0100, "LIST_POISON1: next pointer of a deleted list entry"),
    (0xdead_0000_0000_0122, "LIST_POISON2: prev pointer of a deleted list entry"),
    (0xdead_0000_0000_0200, "LIST_POISON2 of kernels before 4.9"),
    (0xdead_4ead, "SPINLOCK_MAGIC"),
    (0xdead_4eac, "mutex or lock magic"),
    (0x5555_5555_5555_5555, "bit pattern 0101…"),
    (0xffff_ffff_ffff_ffff, "-1"),
];
const POISONS_32: &[(u64, &str)] = &[
    (0x6b6b_6b6b, "freed slab object (POISON_FREE)"),
    (0x5a5a_5a5a, "slab memory never written (POISON_INUSE)"),
    (0x0000_0100, "LIST_POISON1: next pointer of a deleted list entry"),
    (0x0000_0122, "LIST_POISON2: prev pointer of a deleted list entry"),
    (0x0000_0200, "LIST_POISON2 of kernels before 4.9"),
    (0xdead_4ead, "SPINLOCK_MAGIC"),
];

/// Error numbers by name (`include/uapi/asm-generic/errno*.h`, `include/linux/errno.h`).
const ERRNO: &str = include_str!("../tables/errno.txt");

/// The name of an error number.
pub fn errno(number: u64) -> Option<&'static str> {
    ERRNO.lines().find_map(|line| {
        let (value, name) = line.split_once(' ')?;
        (value.parse() == Ok(number)).then_some(name)
    })
}

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
}

impl Layout {
    /// From the base of the per-CPU area and the stack pointer.
    pub(crate) fn new(arch: Option<Arch>, gs_base: Option<u64>, sp: Option<u64>) -> Layout {
        let kernel =
            |value: &u64| *value >= 0xffff_8000_0000_0000 && *value < 0xffff_fe00_0000_0000;
        Layout { arch, direct: gs_base.filter(kernel), stack: sp.filter(kernel) }
    }

    fn x86_64(self, value: u64) -> &'static str {
        let named = |table: &[(u64, u64, &'static str)]| {
            table
                .iter()
                .find(|(from, to, _)| (*from..=*to).contains(&value))
                .map(|(.., name)| *name)
        };
        if let Some(name) = named(X86_64_FIXED) {
            return name;
        }
        let near = |other: Option<u64>| other.is_some_and(|other| other.abs_diff(value) < 1 << 39);
        // the direct map at its default place: nothing was moved
        if self.direct.is_some_and(|direct| direct >> 40 == 0xff_ff88) {
            return named(X86_64).unwrap_or("kernel address");
        }
        match (near(self.direct), near(self.stack)) {
            (true, false) => "direct map",
            (false, true) => "vmalloc",
            _ => "direct map or vmalloc",
        }
    }
}

/// Name what a value is.
pub(crate) fn of(value: u64, layout: Layout) -> String {
    let arch = layout.arch;
    let wide = !matches!(arch, Some(Arch::I386 | Arch::Arm));
    let poisons = if wide { POISONS } else { POISONS_32 };
    if value == 0 {
        return "NULL".into();
    }
    if let Some((_, name)) = poisons.iter().find(|(poison, _)| *poison == value) {
        return (*name).into();
    }
    let top = if wide { u64::MAX } else { u32::MAX.into() };
    if value <= top && value > top - 4095 {
        let number = top - value + 1;
        return match errno(number) {
            Some(name) => format!("-{number}: {name} as an error pointer"),
            None => format!("-{number}"),
        };
    }
    if let Some((poison, name)) = poisons
        .iter()
        .find(|(poison, _)| wide && *poison > 0xffff_ffff && value.abs_diff(*poison) < 0x1000)
    {
        let sign = if value > *poison { '+' } else { '-' };
        return format!("{name} {sign} {:#x}", value.abs_diff(*poison));
    }
    if value < 0x1000 {
        return format!("small number, or NULL + {value:#x}");
    }
    if let Some(text) = ascii(value, wide) {
        return format!("text \"{text}\"");
    }
    match arch {
        Some(Arch::X86_64) => x86_64(value, layout),
        Some(Arch::I386 | Arch::Arm) if value >= 0xc000_0000 => "kernel address".into(),
        Some(Arch::I386 | Arch::Arm) => "number or user address".into(),
        Some(Arch::Arm64) => arm64(value),
        _ if value >> 48 == 0xffff => "kernel address".into(),
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
    if value >= 0xffff_8000_0000_0000 {
        return layout.x86_64(value).into();
    }
    "not canonical: no address".into()
}

fn arm64(value: u64) -> String {
    match value >> 48 {
        // the tag of hardware KASAN takes the top byte
        0xffff if value & 0x0000_8000_0000_0000 == 0 => "linear map".into(),
        0xffff => "kernel text, module or vmalloc".into(),
        0 if value <= 0xffff_ffff => "number".into(),
        0 => "user address".into(),
        top if top & 0xff == 0xff => format!("tagged kernel address, tag {:#x}", value >> 56),
        _ => "not canonical: no address".into(),
    }
}

/// The value's bytes in memory order, when all are text.
fn ascii(value: u64, wide: bool) -> Option<String> {
    let bytes = value.to_le_bytes();
    let bytes = &bytes[..if wide { 8 } else { 4 }];
    let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
    let text = &bytes[..end];
    let most = if wide { 5 } else { 4 };
    (text.len() >= most
        && text.iter().all(|byte| (0x20..0x7f).contains(byte))
        && text.iter().filter(|byte| byte.is_ascii_alphanumeric()).count() * 4 >= text.len() * 3)
        .then(|| String::from_utf8_lossy(text).into_owned())
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
