//! Instructions of 64-bit code whose text yaxpeax-arm has wrong or has not: by their encoding (Arm
//! Architecture Reference Manual, C4.1).

use std::{collections::HashMap, sync::LazyLock};

fn register(number: u32, wide: bool) -> String {
    match (number & 31, wide) {
        (31, true) => "xzr".into(),
        (31, false) => "wzr".into(),
        (number, true) => format!("x{number}"),
        (number, false) => format!("w{number}"),
    }
}

fn or_stack_pointer(number: u32, wide: bool) -> String {
    match (number & 31, wide) {
        (31, true) => "sp".into(),
        (31, false) => "wsp".into(),
        _ => register(number, wide),
    }
}

/// Mnemonic and operands of an instruction that is spelt here.
pub(super) fn decode(word: u32) -> Option<(String, String)> {
    if word & 0x1fe0_0000 == 0x0b20_0000 {
        return extended(word);
    }
    match word & 0x7f80_0000 {
        0x1280_0000 => return moved_not(word),
        0x5280_0000 => return moved_nothing(word),
        _ => {}
    }
    match word & 0xffd0_0000 {
        0xd510_0000 => return system_access(word),
        _ if word & 0x1e00_0000 == 0x0400_0000 => return scalable(word),
        _ => {}
    }
    if word & 0xfff8_0000 == 0xd508_0000 {
        return system(word);
    }
    match word {
        _ if word & 0xffff_f01f == 0xd503_201f => hint(word >> 5 & 0x7f),
        _ if word & 0xfff8_f01f == 0xd500_401f => processor_state(word),
        _ if word & 0xffff_f3ff == 0xd503_323f => {
            let domain = ["oshnxs", "nshnxs", "ishnxs", "synxs"][(word >> 10 & 3) as usize];
            Some(("dsb".into(), domain.into()))
        }
        // Waits with a time limit.
        _ if word & 0xffff_ffe0 == 0xd503_1000 => Some(("wfet".into(), register(word, true))),
        _ if word & 0xffff_ffe0 == 0xd503_1020 => Some(("wfit".into(), register(word, true))),
        _ if word >> 16 == 0 => Some(("udf".into(), format!("#{}", word & 0xffff))),
        _ => None,
    }
}

/// HINT, by the names of its numbers.
fn hint(number: u32) -> Option<(String, String)> {
    let text = match number {
        0x00 => "nop",
        0x01 => "yield",
        0x02 => "wfe",
        0x03 => "wfi",
        0x04 => "sev",
        0x05 => "sevl",
        0x07 => "xpaclri",
        0x08 => "pacia1716",
        0x0a => "pacib1716",
        0x0c => "autia1716",
        0x0e => "autib1716",
        0x10 => "esb",
        0x11 => "psb csync",
        0x12 => "tsb csync",
        0x14 => "csdb",
        0x16 => "clearbhb",
        0x18 => "paciaz",
        0x19 => "paciasp",
        0x1a => "pacibz",
        0x1b => "pacibsp",
        0x1c => "autiaz",
        0x1d => "autiasp",
        0x1e => "autibz",
        0x1f => "autibsp",
        0x20 => "bti",
        0x22 => "bti c",
        0x24 => "bti j",
        0x26 => "bti jc",
        _ => return Some(("hint".into(), format!("#{number:#x}"))),
    };
    let (mnemonic, operand) = text.split_once(' ').unwrap_or((text, ""));
    Some((mnemonic.into(), operand.into()))
}

/// MRS and MSR with a register.
fn system_access(word: u32) -> Option<(String, String)> {
    let general = register(word, true);
    match word >> 21 & 1 {
        1 => Some(("mrs".into(), format!("{general}, {}", system_register(word, true)))),
        _ => Some(("msr".into(), format!("{}, {general}", system_register(word, false)))),
    }
}

/// The name of a system register, or its numbers.
fn system_register(word: u32, read: bool) -> String {
    static NAMES: LazyLock<HashMap<u32, &str>> = LazyLock::new(|| {
        let lines = include_str!("system_registers.txt").lines();
        lines.filter(|line| !line.starts_with('#')).filter_map(named_register).collect()
    });
    let encoding = word >> 5 & 0xffff;
    match NAMES.get(&encoding) {
        // One place is two registers, of which one can only be read and the other only written.
        Some(&"dbgdtrrx_el0") if !read => "dbgdtrtx_el0".into(),
        Some(name) => (*name).into(),
        None => {
            let (op1, crn, crm) = (encoding >> 11 & 7, encoding >> 7 & 15, encoding >> 3 & 15);
            format!("s{}_{op1}_c{crn}_c{crm}_{}", encoding >> 14, encoding & 7)
        }
    }
}

/// A line of the table: the encoding, as it lies in an instruction, and the name.
fn named_register(line: &'static str) -> Option<(u32, &'static str)> {
    let mut words = line.split(' ');
    let mut number = || words.next()?.parse::<u32>().ok();
    let encoding = number()? << 14 | number()? << 11 | number()? << 7 | number()? << 3 | number()?;
    Some((encoding, words.next()?))
}

/// MSR of an immediate to a field of the processor's state.
fn processor_state(word: u32) -> Option<(String, String)> {
    let (op1, value, op2) = (word >> 16 & 7, word >> 8 & 15, word >> 5 & 7);
    // Some fields share their numbers, and the value tells which it is.
    let (name, bits) = match (op1, op2) {
        (0, 3) => ("uao", 15),
        (0, 4) => ("pan", 15),
        (0, 5) => ("spsel", 15),
        (1, 0) if value < 2 => ("allint", 1),
        (3, 1) => ("ssbs", 15),
        (3, 2) => ("dit", 15),
        (3, 4) => ("tco", 15),
        (3, 6) => ("daifset", 15),
        (3, 7) => ("daifclr", 15),
        _ => return None,
    };
    Some(("msr".into(), format!("{name}, #{:#x}", value & bits)))
}

/// The few instructions of the scalable vectors that a kernel has: it saves their registers.
fn scalable(word: u32) -> Option<(String, String)> {
    let saved = |name: &str, file: char| {
        let high = (word >> 16 & 63) as i32;
        let offset = (high << 26 >> 23) | (word >> 10 & 7) as i32;
        let offset = if offset == 0 { String::new() } else { format!(", #{offset}, mul vl") };
        let base = or_stack_pointer(word >> 5, true);
        Some((name.to_owned(), format!("{file}{}, [{base}{offset}]", word & 31)))
    };
    let signed = (word >> 5 & 63) as i32;
    let signed = signed << 26 >> 26;
    let text = |name: &str, operands: String| Some((name.to_owned(), operands));
    match word {
        _ if word & 0xffc0_e000 == 0x8580_4000 => saved("ldr", 'z'),
        _ if word & 0xffc0_e010 == 0x8580_0000 => saved("ldr", 'p'),
        _ if word & 0xffc0_e000 == 0xe580_4000 => saved("str", 'z'),
        _ if word & 0xffc0_e010 == 0xe580_0000 => saved("str", 'p'),
        _ if word & 0xffff_fff0 == 0x2518_e400 => text("pfalse", format!("p{}.b", word & 15)),
        _ if word & 0xffff_fff0 == 0x2519_f000 => text("rdffr", format!("p{}.b", word & 15)),
        _ if word & 0xffff_fe1f == 0x2528_9000 => text("wrffr", format!("p{}.b", word >> 5 & 15)),
        0x252c_9000 => text("setffr", String::new()),
        _ if word & 0xffff_f800 == 0x04bf_5000 => {
            text("rdvl", format!("{}, #{signed}", register(word, true)))
        }
        _ if word & 0xffa0_f800 == 0x0420_5000 => {
            let name = if word >> 22 & 1 == 0 { "addvl" } else { "addpl" };
            let (into, base) = (or_stack_pointer(word, true), or_stack_pointer(word >> 16, true));
            text(name, format!("{into}, {base}, #{signed}"))
        }
        _ => None,
    }
}

/// ADD, ADDS, SUB, SUBS with an extended register.
fn extended(word: u32) -> Option<(String, String)> {
    let wide = word >> 31 == 1;
    let (option, amount) = (word >> 13 & 7, word >> 10 & 7);
    if amount > 4 {
        return None;
    }
    let flags = word >> 29 & 1 == 1;
    let (rd, rn, rm) = (word & 31, word >> 5 & 31, word >> 16 & 31);
    let second = register(rm, wide && option & 3 == 3);
    // What is no extension is a shift where the stack pointer is involved.
    let stack = rn == 31 || rd == 31 && !flags;
    let plain = stack && option == if wide { 3 } else { 2 };
    const NAMES: [&str; 8] = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"];
    let extension = match (plain, amount) {
        (true, 0) => String::new(),
        (true, amount) => format!(", lsl #{amount}"),
        (false, 0) => format!(", {}", NAMES[option as usize]),
        (false, amount) => format!(", {} #{amount}", NAMES[option as usize]),
    };
    let subtract = word >> 30 & 1 == 1;
    let first = or_stack_pointer(rn, wide);
    if flags && rd == 31 {
        let name = if subtract { "cmp" } else { "cmn" };
        return Some((name.into(), format!("{first}, {second}{extension}")));
    }
    let name = match (subtract, flags) {
        (false, false) => "add",
        (false, true) => "adds",
        (true, false) => "sub",
        (true, true) => "subs",
    };
    let into = if flags { register(rd, wide) } else { or_stack_pointer(rd, wide) };
    Some((name.into(), format!("{into}, {first}, {second}{extension}")))
}

/// MOVN that is no `mov`: of nothing, shifted.
fn moved_not(word: u32) -> Option<(String, String)> {
    let (shift, value) = (word >> 21 & 3, word >> 5 & 0xffff);
    let wide = word >> 31 == 1;
    let is_alias = !(value == 0 && shift != 0) && (wide || value != 0xffff);
    (!is_alias && (wide || shift < 2)).then(|| {
        let shifted = if shift == 0 { String::new() } else { format!(", lsl #{}", shift * 16) };
        ("movn".into(), format!("{}, #{value:#x}{shifted}", register(word, wide)))
    })
}

/// MOVZ that is no `mov`: of nothing, shifted.
fn moved_nothing(word: u32) -> Option<(String, String)> {
    let (shift, wide) = (word >> 21 & 3, word >> 31 == 1);
    let shifted = word >> 5 & 0xffff == 0 && shift != 0 && (wide || shift == 1);
    let operands = || format!("{}, #0x0, lsl #{}", register(word, wide), shift * 16);
    shifted.then(|| ("movz".into(), operands()))
}

/// SYS with the names of what it does to translations and caches.
fn system(word: u32) -> Option<(String, String)> {
    let (op1, crn, crm, op2) = (word >> 16 & 7, word >> 12 & 15, word >> 8 & 15, word >> 5 & 7);
    let rt = word & 31;
    if crn == 8 {
        return Some(match translations(op1, crm, op2) {
            Some(name) if takes_address(op1, crm, op2) => {
                ("tlbi".into(), format!("{name}, {}", register(rt, true)))
            }
            Some(name) if rt == 31 => ("tlbi".into(), name),
            _ => by_numbers(op1, crn, crm, op2, rt),
        });
    }
    let (name, operation, takes) = match (crn, op1, crm, op2) {
        (7, 0, 1, 0) => ("ic", "ialluis".into(), false),
        (7, 0, 5, 0) => ("ic", "iallu".into(), false),
        (7, 3, 5, 1) => ("ic", "ivau".into(), true),
        (7, 3, 4, 1) => ("dc", "zva".into(), true),
        (7, 3, 4, 3) => ("dc", "gva".into(), true),
        (7, 3, 4, 4) => ("dc", "gzva".into(), true),
        (7, 3, 10, 1) => ("dc", "cvac".into(), true),
        (7, 3, 11, 1) => ("dc", "cvau".into(), true),
        (7, 3, 12, 1) => ("dc", "cvap".into(), true),
        (7, 3, 13, 1) => ("dc", "cvadp".into(), true),
        (7, 3, 14, 1) => ("dc", "civac".into(), true),
        (7, 0, 6, 1) => ("dc", "ivac".into(), true),
        (7, 0, 6, 2) => ("dc", "isw".into(), true),
        (7, 0, 10, 2) => ("dc", "csw".into(), true),
        (7, 0, 14, 2) => ("dc", "cisw".into(), true),
        (7, 0, 8, 0) => ("at", "s1e1r".into(), true),
        (7, 0, 8, 1) => ("at", "s1e1w".into(), true),
        (7, 0, 8, 2) => ("at", "s1e0r".into(), true),
        (7, 0, 8, 3) => ("at", "s1e0w".into(), true),
        (7, 0, 9, 0) => ("at", "s1e1rp".into(), true),
        (7, 0, 9, 1) => ("at", "s1e1wp".into(), true),
        (7, 4, 8, 0) => ("at", "s1e2r".into(), true),
        (7, 4, 8, 1) => ("at", "s1e2w".into(), true),
        (7, 4, 8, 4) => ("at", "s12e1r".into(), true),
        (7, 4, 8, 5) => ("at", "s12e1w".into(), true),
        (7, 4, 8, 6) => ("at", "s12e0r".into(), true),
        (7, 4, 8, 7) => ("at", "s12e0w".into(), true),
        _ => return Some(by_numbers(op1, crn, crm, op2, rt)),
    };
    let operands = match takes {
        true => format!("{operation}, {}", register(rt, true)),
        false if rt == 31 => operation,
        false => return Some(by_numbers(op1, crn, crm, op2, rt)),
    };
    Some((name.into(), operands))
}

/// SYS of an operation that has no name.
fn by_numbers(op1: u32, crn: u32, crm: u32, op2: u32, rt: u32) -> (String, String) {
    let argument = if rt == 31 { String::new() } else { format!(", {}", register(rt, true)) };
    ("sys".into(), format!("#{op1}, C{crn}, C{crm}, #{op2}{argument}"))
}

fn takes_address(op1: u32, crm: u32, op2: u32) -> bool {
    crm & 3 == 0 || !matches!((op1, op2), (0, 0) | (4, 0 | 4 | 6) | (6, 0))
}

/// Invalidations of cached translations, in the inner domain (3), the outer one (1), or here (7).
fn translations(op1: u32, crm: u32, op2: u32) -> Option<String> {
    // Of a guest's own addresses, one or a range of them.
    if let (4, 0 | 4) = (op1, crm) {
        let (name, domain) = match (op2, crm) {
            (1, 0) => ("ipas2e1", "is"),
            (2, 0) => ("ripas2e1", "is"),
            (5, 0) => ("ipas2le1", "is"),
            (6, 0) => ("ripas2le1", "is"),
            (0, 4) => ("ipas2e1", "os"),
            (1, 4) => ("ipas2e1", ""),
            (2, 4) => ("ripas2e1", ""),
            (3, 4) => ("ripas2e1", "os"),
            (4, 4) => ("ipas2le1", "os"),
            (5, 4) => ("ipas2le1", ""),
            (6, 4) => ("ripas2le1", ""),
            (7, 4) => ("ripas2le1", "os"),
            _ => return None,
        };
        return Some(format!("{name}{domain}"));
    }
    if !matches!(crm, 1..=3 | 5..=7) {
        return None;
    }
    // Of ranges.
    if let (2 | 5 | 6, 0 | 4 | 6, 1 | 3 | 5 | 7) = (crm, op1, op2) {
        let level = match op1 {
            0 => 1,
            4 => 2,
            _ => 3,
        };
        let what = match op2 {
            1 => "rvae",
            3 => "rvaae",
            5 => "rvale",
            _ => "rvaale",
        };
        let domain = match crm {
            2 => "is",
            5 => "os",
            _ => "",
        };
        return Some(format!("{what}{level}{domain}"));
    }
    let name = match (op1, op2) {
        (0, 0) => "vmalle1",
        (0, 1) => "vae1",
        (0, 2) => "aside1",
        (0, 3) => "vaae1",
        (0, 5) => "vale1",
        (0, 7) => "vaale1",
        (4, 0) => "alle2",
        (4, 1) => "vae2",
        (4, 4) => "alle1",
        (4, 5) => "vale2",
        (4, 6) => "vmalls12e1",
        (6, 0) => "alle3",
        (6, 1) => "vae3",
        (6, 5) => "vale3",
        _ => return None,
    };
    let domain = match crm {
        3 => "is",
        1 => "os",
        _ => "",
    };
    Some(format!("{name}{domain}"))
}
