//! Formats: `address/letters`, and `value=letters`.

use crate::{
    Arg, Failure, Mdb, Outcome, Space, disasm,
    failure::fail,
    parse::FormatItem,
    text::{date, escape},
};

/// Width of the field that an address stands in.
const PREFIX: usize = 16;
/// Most bytes of a string.
const MAX_STRING: usize = 1 << 16;

/// The formats that were used last, which an empty one repeats.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormatState {
    memory: Vec<FormatItem>,
    value: Vec<FormatItem>,
}

/// What a format letter is, for `::formats`.
pub(crate) const LETTERS: &[(char, &str, usize)] = &[
    ('+', "increment dot by the count (variable size)", 0),
    ('-', "decrement dot by the count (variable size)", 0),
    ('B', "hexadecimal int (1 byte)", 1),
    ('C', "character using C character notation (1 byte)", 1),
    ('D', "decimal signed int (4 bytes)", 4),
    ('E', "decimal unsigned long long (8 bytes)", 8),
    ('F', "double (8 bytes)", 8),
    ('G', "octal unsigned long long (8 bytes)", 8),
    ('H', "swap bytes and shorts (4 bytes)", 4),
    ('I', "address and disassembled instruction (variable size)", 0),
    ('J', "hexadecimal unsigned long long (8 bytes)", 8),
    ('K', "hexadecimal uintptr_t (8 bytes)", 8),
    ('N', "newline", 0),
    ('O', "octal unsigned int (4 bytes)", 4),
    ('P', "symbol (8 bytes)", 8),
    ('Q', "octal signed int (4 bytes)", 4),
    ('R', "binary integer (8 bytes)", 8),
    ('S', "string using C string notation (variable size)", 0),
    ('T', "horizontal tab", 0),
    ('U', "decimal unsigned int (4 bytes)", 4),
    ('V', "decimal unsigned int (1 byte)", 1),
    ('X', "hexadecimal int (4 bytes)", 4),
    ('Y', "decoded time32_t (4 bytes)", 4),
    ('^', "decrement dot by increment * count (variable size)", 0),
    ('a', "dot as symbol+offset", 0),
    ('b', "octal unsigned int (1 byte)", 1),
    ('c', "character (1 byte)", 1),
    ('d', "decimal signed short (2 bytes)", 2),
    ('e', "decimal signed long long (8 bytes)", 8),
    ('f', "float (4 bytes)", 4),
    ('g', "octal signed long long (8 bytes)", 8),
    ('h', "swap bytes (2 bytes)", 2),
    ('i', "disassembled instruction (variable size)", 0),
    ('j', "jazzed-up binary unsigned long long (8 bytes)", 8),
    ('n', "newline", 0),
    ('o', "octal unsigned short (2 bytes)", 2),
    ('p', "symbol (8 bytes)", 8),
    ('q', "octal signed short (2 bytes)", 2),
    ('r', "whitespace", 0),
    ('s', "raw string (variable size)", 0),
    ('t', "horizontal tab", 0),
    ('u', "decimal unsigned short (2 bytes)", 2),
    ('x', "hexadecimal short (2 bytes)", 2),
    ('y', "decoded time64_t (8 bytes)", 8),
];

/// Text in lines that break before column 80.
struct Page {
    text: String,
    column: usize,
    width: usize,
    /// Where a broken line goes on.
    indent: usize,
    wraps: bool,
}

impl Page {
    fn put(&mut self, text: &str) {
        for c in text.chars() {
            self.text.push(c);
            self.column = if c == '\n' { 0 } else { self.column + 1 };
        }
    }

    /// An item, on a new line if it would pass the end of this one.
    fn item(&mut self, text: &str) {
        if self.wraps
            && self.column + text.chars().count() > self.width
            && self.column > self.indent
        {
            self.put("\n");
            self.tab(self.indent);
        }
        self.put(text);
    }

    fn tab(&mut self, to: usize) {
        while self.column < to {
            self.put(" ");
        }
    }

    /// Up to the next multiple of `stop` columns.
    fn stop(&mut self, stop: usize) {
        let stop = stop.max(1);
        let to = self.column.div_ceil(stop) * stop;
        self.tab(to);
    }
}

/// A number with a minus sign and octal digits, as `%q` prints it.
fn signed_octal(value: i64, prefix: bool) -> String {
    let digits = format!("{:o}", value.unsigned_abs());
    let sign = if value < 0 { "-" } else { "" };
    let zero = if prefix && value != 0 { "0" } else { "" };
    format!("{sign}{zero}{digits}")
}

/// Octal with the zero in front that `#` asks for.
fn octal(value: u64) -> String {
    if value == 0 { "0".into() } else { format!("0{value:o}") }
}

/// `%g` of C.
fn shortest(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let exponent = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&exponent) {
        let text = format!("{value:.5e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        let power: i32 = power.parse().unwrap_or(0);
        return format!("{mantissa}e{power:+03}");
    }
    let text = format!("{value:.*}", (5 - exponent).max(0) as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

impl Mdb {
    pub(crate) fn run_format(&mut self, verb: char, items: &[FormatItem], count: u64) -> Outcome {
        let remembered =
            if verb == '=' { &mut self.formats.value } else { &mut self.formats.memory };
        if items.is_empty() {
            if remembered.is_empty() {
                *remembered = vec![FormatItem::Letter(1, 'X')];
            }
        } else {
            *remembered = items.to_vec();
        }
        let items = remembered.clone();
        if verb == '=' {
            return self.format_value(&items);
        }
        let space = if matches!(verb, '\\' | '@') { Space::Physical } else { Space::Virtual };
        for _ in 0..count {
            self.check()?;
            self.format_memory(space, &items)?;
        }
        Ok(())
    }

    fn page(&self) -> Page {
        Page {
            text: String::new(),
            column: 0,
            width: self.width,
            indent: PREFIX,
            wraps: self.autowrap,
        }
    }

    fn print_page(&mut self, page: Page) -> Outcome {
        for line in page.text.strip_suffix('\n').unwrap_or(&page.text).split('\n') {
            self.line(line)?;
        }
        Ok(())
    }

    /// The address of a line, as a symbol where the option asks for it.
    fn label(&self, address: u64) -> String {
        let name = self.psym.then(|| self.system.symbolize(address)).flatten();
        name.unwrap_or_else(|| format!("{address:#x}"))
    }

    fn format_memory(&mut self, space: Space, items: &[FormatItem]) -> Outcome {
        let start = self.dot;
        self.note_read(start);
        let mut page = self.page();
        let only_instructions = items.iter().all(|item| matches!(item, FormatItem::Letter(_, 'I')));
        if !only_instructions {
            page.put(&format!("{}:", self.label(start)));
            page.tab(PREFIX);
            page.stop(PREFIX);
            page.indent = page.column;
        }
        let mut ran = Ok(());
        'items: for item in items {
            match item {
                FormatItem::Text(text) => page.put(text),
                FormatItem::Letter(count, letter) => {
                    // Tabs, blanks and movements take the count themselves.
                    let (repeats, whole) = match letter {
                        'T' | 't' | '+' | '-' | '^' => (1, *count),
                        _ => (*count, 1),
                    };
                    for _ in 0..repeats {
                        self.check()?;
                        if let Err(failure) = self.format_letter(space, *letter, whole, &mut page) {
                            ran = Err(failure);
                            break 'items;
                        }
                    }
                }
            }
        }
        if !(page.text.is_empty() || ran.is_err() && page.column <= page.indent) {
            self.print_page(page)?;
        }
        self.increment = self.dot.wrapping_sub(start);
        ran
    }

    fn read_number(&mut self, space: Space, size: usize) -> Outcome<u64> {
        let mut bytes = [0; 8];
        let at = self.dot;
        self.system.read(space, at, &mut bytes[..size]).map_err(|fault| {
            Failure::Text(format!("failed to read data from target at {at:x}: {fault}"))
        })?;
        self.dot = self.dot.wrapping_add(size as u64);
        Ok(u64::from_le_bytes(bytes))
    }

    fn format_letter(
        &mut self,
        space: Space,
        letter: char,
        count: u64,
        page: &mut Page,
    ) -> Outcome {
        match letter {
            '+' => self.dot = self.dot.wrapping_add(count),
            '-' => self.dot = self.dot.wrapping_sub(count),
            '^' => self.dot = self.dot.wrapping_sub(self.increment.wrapping_mul(count)),
            'n' | 'N' => page.put("\n"),
            'r' => page.put(" "),
            'T' | 't' => {
                let column = page.column + 1;
                page.tab(column);
                page.stop((count.clamp(1, 256)) as usize);
            }
            'a' => {
                let label = format!("{}:", self.label(self.dot));
                page.put(&label);
                page.tab(PREFIX);
                page.stop(PREFIX);
            }
            'S' | 's' => {
                let bytes = self.system.read_string(space, self.dot, MAX_STRING)?;
                self.dot = self.dot.wrapping_add(bytes.len() as u64 + 1);
                if letter == 'S' {
                    page.put(&escape(&bytes));
                } else {
                    page.put(&String::from_utf8_lossy(&bytes));
                }
            }
            'i' | 'I' => {
                let at = self.dot;
                let instruction = disasm::read(&*self.system, space, at)?;
                if letter == 'I' {
                    let label = format!("{}:", self.label(at));
                    page.put(&label);
                    page.tab(32);
                    page.stop(8);
                }
                let text = disasm::text(&*self.system, &instruction, page.column);
                page.put(&text);
                self.dot = at.wrapping_add(instruction.len() as u64);
                if letter == 'I' {
                    page.put("\n");
                }
            }
            _ => {
                let Some(&(.., size)) = LETTERS.iter().find(|(found, ..)| *found == letter) else {
                    return fail(format!("invalid format character -- '{letter}' (see ::formats)"));
                };
                let value = self.read_number(space, size)?;
                let text = self.number_text(letter, value, page.column);
                page.item(&text);
                self.set_variable("0", value);
            }
        }
        Ok(())
    }

    /// A number of a letter's size, in its field.
    fn number_text(&self, letter: char, value: u64, column: usize) -> String {
        let short = value as u16;
        let word = value as u32;
        match letter {
            'B' => format!("{:<8x}", value as u8),
            'C' | 'c' => {
                let byte = [value as u8];
                let text =
                    if letter == 'C' { escape(&byte) } else { char::from(byte[0]).to_string() };
                text.replace('\0', " ")
            }
            'D' => format!("{:<16}", word as i32),
            'E' => format!("{value:<21}"),
            'F' => format!("{:<21}", shortest(f64::from_bits(value))),
            'G' => format!("{:<23}", format!("{value:o}")),
            'H' => format!("{:<16x}", word.swap_bytes()),
            'J' | 'K' => {
                let width = if value >> 60 != 0 { 17 } else { 16 };
                format!("{:<width$}", format!("{value:x}"))
            }
            'O' => format!("{:<16}", octal(word.into())),
            'P' | 'p' => format!("{:<19}", self.system.name_or_hex(value)),
            'Q' => format!("{:<16}", signed_octal((word as i32).into(), true)),
            'R' => format!("{value:b} "),
            'U' => format!("{word:<16}"),
            'V' => format!("{:<8}", value as u8),
            'X' => format!("{word:<16x}"),
            'Y' => format!("{:<24}", date((word as i32).into())),
            'y' => format!("{:<24}", date(value as i64)),
            'b' => format!("{:<8}", octal(u64::from(value as u8))),
            'd' => format!("{:<8}", short as i16),
            'e' => format!("{:<21}", value as i64),
            'f' => format!("{:<16}", format!("{:e}", f32::from_bits(word))),
            'g' => format!("{:<24}", signed_octal(value as i64, false)),
            'h' => format!("{:<8x}", short.swap_bytes()),
            'j' => jazzed(value, column),
            'o' => format!("{:<8}", octal(short.into())),
            'q' => format!("{:<8}", signed_octal((short as i16).into(), true)),
            'u' => format!("{short:<8}"),
            'x' => format!("{short:<8x}"),
            _ => String::new(),
        }
    }

    fn format_value(&mut self, items: &[FormatItem]) -> Outcome {
        let value = self.dot;
        let mut page = self.page();
        page.tab(PREFIX);
        for item in items {
            match item {
                FormatItem::Text(text) => page.put(text),
                FormatItem::Letter(count, letter) => {
                    for _ in 0..*count {
                        self.check()?;
                        match letter {
                            'n' | 'N' => page.put("\n"),
                            'r' => page.put(" "),
                            'T' | 't' => page.stop(8),
                            'a' => {
                                let label = self.system.name_or_hex(value);
                                page.put(&format!("{label}:"));
                                page.stop(PREFIX);
                            }
                            'A' | 'p' | 'P' => {
                                let text = format!("{:<19}", self.system.name_or_hex(value));
                                page.item(&text);
                            }
                            'S' | 's' | 'i' | 'I' | '+' | '-' | '^' => {
                                return fail(format!(
                                    "format '{letter}' reads memory: use ADDRESS/{letter}"
                                ));
                            }
                            _ => {
                                if !LETTERS.iter().any(|(found, ..)| found == letter) {
                                    return fail(format!(
                                        "invalid format character -- '{letter}' (see ::formats)"
                                    ));
                                }
                                let text = self.number_text(*letter, value, page.column);
                                page.item(&text);
                            }
                        }
                    }
                }
            }
        }
        self.set_variable("0", value);
        self.print_page(page)
    }

    /// `/L value [mask]`: searches from dot on; writing is refused.
    pub(crate) fn run_match(
        &mut self,
        verb: char,
        letter: char,
        args: &[Arg],
        count: Option<u64>,
    ) -> Outcome {
        let size = match letter {
            'l' => 2,
            'L' => 4,
            'M' => 8,
            _ => return fail("a dump cannot be written to"),
        };
        if verb == '=' {
            return fail("a search needs memory: ADDRESS/L VALUE");
        }
        let space = if matches!(verb, '\\' | '@') { Space::Physical } else { Space::Virtual };
        let Some(wanted) = args.first() else {
            return fail("usage: ADDRESS[,COUNT]/[lLM] VALUE [MASK]");
        };
        let wanted = self.number(wanted)?;
        let mask = match args.get(1) {
            Some(mask) => self.number(mask)?,
            None => u64::MAX,
        };
        let mask = if size == 8 { mask } else { mask & ((1 << (8 * size)) - 1) };
        let mut left = count.unwrap_or(u64::MAX);
        let mut at = self.dot;
        while left > 0 {
            if at & 0xffff == 0 {
                self.check()?;
            }
            let mut bytes = [0; 8];
            // The search ends where memory does.
            self.system.read(space, at, &mut bytes[..size])?;
            if u64::from_le_bytes(bytes) & mask == wanted & mask {
                self.dot = at;
                self.note_read(at);
                let name = self.label(at);
                return self.line(&name);
            }
            at = at.wrapping_add(size as u64);
            left -= 1;
        }
        Ok(())
    }
}

/// Binary digits, and a line for each bit that is set.
fn jazzed(value: u64, column: usize) -> String {
    let indent = " ".repeat(column);
    let digits = format!("{value:b}");
    let mut text = digits.clone();
    if value == 0 {
        return text;
    }
    let bars = digits.replace('1', "|").replace('0', " ");
    text.push_str(&format!("\n{indent}{}", bars.trim_end()));
    for bit in 0..64 {
        if value >> bit & 1 == 0 {
            continue;
        }
        let place = digits.len() - 1 - bit;
        let before = &bars[..place];
        let dashes = "-".repeat(bit + 1);
        text.push_str(&format!(
            "\n{indent}{before}+{dashes} bit {bit}  mask {:#018x}",
            1u64 << bit
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_c() {
        assert_eq!(signed_octal(-1 << 63, false), "-1000000000000000000000");
        assert_eq!(shortest(1.5), "1.5");
        assert_eq!(shortest(1e20), "1e+20");
        assert_eq!(octal(8), "010");
    }

    #[test]
    fn bits_are_told_one_by_one() {
        let text = jazzed(0b101, 0);
        assert_eq!(
            text,
            "101\n| |\n| +- bit 0  mask 0x0000000000000001\n+--- bit 2  mask 0x0000000000000004"
        );
    }
}
