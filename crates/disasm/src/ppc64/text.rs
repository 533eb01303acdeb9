//! Where capstone's text differs from objdump's, by the encoding (Power ISA 3.1, books I and III).

use std::{collections::HashMap, sync::LazyLock};

/// Bits `first..=last` of an instruction, counted as the manual does: the most significant is 0.
fn field(word: u32, first: u32, last: u32) -> u32 {
    word >> (31 - last) & ((1 << (last - first + 1)) - 1)
}

fn spelt(mnemonic: &str, operands: String) -> Option<(String, String)> {
    Some((mnemonic.to_owned(), operands))
}

/// Mnemonic and operands of an instruction at `address` that is spelt here.
pub(super) fn decode(word: u32, address: u64) -> Option<(String, String)> {
    match word >> 26 {
        16 => branch(word, address),
        19 => condition_register(word),
        21 => clear_word(word),
        30 => rotate(word),
        31 => extended(word),
        63 if word & 0xfc00_07fe == 0xfc00_058e => {
            // MTFSF: the operands that are 0 are left out.
            let (mask, register) = (field(word, 7, 14), field(word, 16, 20));
            let whole = match (field(word, 6, 6), field(word, 15, 15)) {
                (0, 0) => String::new(),
                (whole, 0) => format!(",{whole}"),
                (whole, wide) => format!(",{whole},{wide}"),
            };
            let dot = if word & 1 == 1 { "." } else { "" };
            spelt(&format!("mtfsf{dot}"), format!("{mask},f{register}{whole}"))
        }
        _ => None,
    }
}

/// A bit of the condition register, as operand.
fn condition(bit: u32) -> String {
    let name = ["lt", "gt", "eq", "so"][(bit & 3) as usize];
    if bit < 4 { name.to_owned() } else { format!("4*cr{}+{name}", bit >> 2) }
}

/// BCL that always branches: how a function learns where it is.
fn branch(word: u32, address: u64) -> Option<(String, String)> {
    if word & 1 == 0 || field(word, 6, 10) != 20 {
        return None;
    }
    let offset = i64::from((word & 0xfffc) as i16);
    let base = if word & 2 == 0 { address } else { 0 };
    let target = base.wrapping_add_signed(offset);
    let name = if word & 2 == 0 { "bcl" } else { "bcla" };
    spelt(name, format!("20,{},0x{target:x}", condition(field(word, 11, 15))))
}

fn condition_register(word: u32) -> Option<(String, String)> {
    let (first, second, third) = (field(word, 6, 10), field(word, 11, 15), field(word, 16, 20));
    let logic = match word >> 1 & 0x3ff {
        33 => "crnor",
        129 => "crandc",
        193 => "crxor",
        225 => "crnand",
        257 => "crand",
        289 => "creqv",
        417 => "crorc",
        449 => "cror",
        82 if word & 1 == 0 => return spelt("rfscv", String::new()),
        // A count register that is decremented cannot be the target as well.
        528 if first & 4 == 0 => {
            let name = if word & 1 == 0 { "bcctr" } else { "bcctrl" };
            return spelt(name, format!("{first},{}", condition(second)));
        }
        _ => return None,
    };
    // Two that are the same have other names.
    let (logic, sources) = match (logic, second == third, first == second) {
        ("crxor", true, true) => ("crclr", String::new()),
        ("creqv", true, true) => ("crset", String::new()),
        ("cror", true, _) => ("crmove", format!(",{}", condition(second))),
        ("crnor", true, _) => ("crnot", format!(",{}", condition(second))),
        _ => (logic, format!(",{},{}", condition(second), condition(third))),
    };
    spelt(logic, format!("{}{sources}", condition(first)))
}

/// RLWINM that clears the lowest bits.
fn clear_word(word: u32) -> Option<(String, String)> {
    let (shift, from, to) = (field(word, 16, 20), field(word, 21, 25), field(word, 26, 30));
    let (source, into) = (field(word, 6, 10), field(word, 11, 15));
    let dot = if word & 1 == 1 { "." } else { "" };
    if shift == 0 && from == 0 && to < 31 {
        return spelt(&format!("clrrwi{dot}"), format!("r{into},r{source},{}", 31 - to));
    }
    None
}

/// RLDICL that shifts right, RLDICR that clears the lowest bits.
fn rotate(word: u32) -> Option<(String, String)> {
    let (source, into) = (field(word, 6, 10), field(word, 11, 15));
    let shift = field(word, 16, 20) | field(word, 30, 30) << 5;
    let edge = field(word, 21, 25) | field(word, 26, 26) << 5;
    let dot = if word & 1 == 1 { "." } else { "" };
    match field(word, 27, 29) {
        0 if shift != 0 && shift + edge == 64 => {
            spelt(&format!("srdi{dot}"), format!("r{into},r{source},{edge}"))
        }
        1 if shift == 0 && edge < 63 => {
            spelt(&format!("clrrdi{dot}"), format!("r{into},r{source},{}", 63 - edge))
        }
        _ => None,
    }
}

/// The base of an address: register 0 means none.
fn base(register: u32) -> String {
    if register == 0 { "0".to_owned() } else { format!("r{register}") }
}

/// TLBIE and TLBIEL of radix translation, in their long form.
fn translations(name: &str, word: u32) -> Option<(String, String)> {
    let (ric, process, radix) = (field(word, 12, 13), field(word, 14, 14), field(word, 15, 15));
    let (tag, address) = (field(word, 6, 10), field(word, 16, 20));
    if field(word, 11, 11) != 0 {
        return None;
    }
    match (ric, process, radix) {
        (0, 0, 0) if tag == 0 => None,
        (0, 0, 0) => spelt(name, format!("r{address},r{tag}")),
        _ => spelt(name, format!("r{address},r{tag},{ric},{process},{radix}")),
    }
}

fn extended(word: u32) -> Option<(String, String)> {
    let (source, into, second) = (field(word, 6, 10), field(word, 11, 15), field(word, 16, 20));
    let dot = if word & 1 == 1 { "." } else { "" };
    match word >> 1 & 0x3ff {
        // Of one register with itself. Without the dot, OR of some registers is a hint.
        444 if source == second && word & 1 == 1 => spelt("mr.", format!("r{into},r{source}")),
        124 if source == second => spelt(&format!("not{dot}"), format!("r{into},r{source}")),
        144 if field(word, 11, 11) == 0 && field(word, 12, 19) == 255 => {
            spelt("mtcr", format!("r{source}"))
        }
        598 if word & 0x03ff_f801 == 0 => spelt("hwsync", String::new()),
        30 if word & 0x03ff_f801 == 2 << 21 => spelt("pause_short", String::new()),
        838 if word & 0x03ff_f801 == 0 => spelt("cpabort", String::new()),
        // Hints about streams of memory.
        278 if source == 10 => spelt("dcbtds", format!("{},r{second},10", base(into))),
        981 => spelt("stbcix", format!("r{source},{},r{second}", base(into))),
        // Invalidations of cached translations, and messages between the threads of a core.
        274 if word & 1 == 0 => translations("tlbiel", word),
        306 if word & 1 == 0 => translations("tlbie", word),
        498 if word & 0x031f_f801 == 0 => spelt("slbia", format!("{}", field(word, 8, 10))),
        206 if word & 0x03ff_0001 == 0 => spelt("msgsnd", format!("r{second}")),
        238 if word & 0x03ff_0001 == 0 => spelt("msgclr", format!("r{second}")),
        339 => special_register(word, 'r'),
        467 => special_register(word, 'w'),
        _ => None,
    }
}

/// MFSPR and MTSPR of registers that have names.
fn special_register(word: u32, access: char) -> Option<(String, String)> {
    static NAMES: LazyLock<HashMap<(u32, char), &str>> = LazyLock::new(|| {
        let lines = include_str!("special_registers.txt").lines();
        let parts = lines.filter(|line| !line.starts_with('#')).filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.parse().ok()?, words.next()?, words.next()?))
        });
        parts
            .flat_map(|(number, access, name)| access.chars().map(move |a| ((number, a), name)))
            .collect()
    });
    let number = field(word, 16, 20) << 5 | field(word, 11, 15);
    let general = format!("r{}", field(word, 6, 10));
    let way = if access == 'r' { "mf" } else { "mt" };
    // The four that are left to the operating system are one name and a number.
    if let 272..=275 = number {
        let which = number - 272;
        return match access {
            'r' => spelt("mfsprg", format!("{general},{which}")),
            _ => spelt("mtsprg", format!("{which},{general}")),
        };
    }
    match (NAMES.get(&(number, access)), access) {
        (Some(name), _) => spelt(&format!("{way}{name}"), general),
        (None, 'r') => spelt("mfspr", format!("{general},{number}")),
        (None, _) => spelt("mtspr", format!("{number},{general}")),
    }
}
