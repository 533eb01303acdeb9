//! What the kernel's `printf` makes of its arguments (lib/vsprintf.c), as far as events use it.

use necropsy_machine::Target;

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arg {
    Number(i128),
    Text(String),
    /// An array in the event, where a pointer is asked for.
    Bytes(Vec<u8>),
}

impl Arg {
    pub(super) fn number(&self) -> i128 {
        match self {
            Arg::Number(number) => *number,
            Arg::Text(_) | Arg::Bytes(_) => 0,
        }
    }
}

/// A conversion, taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: Option<Size>,
    precision: Option<Size>,
    /// Bytes of an integer.
    pub(super) bytes: u32,
    /// `d`, `x`, `s`, `p` …
    pub(super) kind: char,
    /// What stands behind `%p`: `S`, `I4`.
    pub(super) extension: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Size {
    Here(usize),
    Argument,
}

/// A format's pieces.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Conversion(Spec),
}

/// Wider than that is not printed.
const MAX_WIDTH: usize = 4096;

/// Takes a format apart.
pub(super) fn pieces(format: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            text.push('%');
            continue;
        }
        let mut spec = Spec { bytes: 4, ..Spec::default() };
        while let Some(flag) = chars.next_if(|c| "-+ #0".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                ' ' => spec.space = true,
                '#' => spec.alternate = true,
                _ => spec.zero = true,
            }
        }
        let size = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.next_if_eq(&'*').is_some() {
                return Some(Size::Argument);
            }
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse().ok().map(|size: usize| Size::Here(size.min(MAX_WIDTH)))
        };
        spec.width = size(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(size(&mut chars).unwrap_or(Size::Here(0)));
        }
        while let Some(length) = chars.next_if(|c| "hlLqjzt".contains(*c)) {
            spec.bytes = match (length, spec.bytes) {
                ('h', 2) => 1,
                ('h', _) => 2,
                _ => 8,
            };
        }
        spec.kind = chars.next().unwrap_or('%');
        if spec.kind == 'p' {
            while let Some(c) = chars.next_if(char::is_ascii_alphanumeric) {
                spec.extension.push(c);
                // One letter, but for the addresses of networks and the like.
                if !"IiMmUbd".contains(spec.extension.chars().next().unwrap_or(' ')) {
                    break;
                }
                if spec.extension.len() >= 4 {
                    break;
                }
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Conversion(spec));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Prints a format with its arguments; what has no argument is left out.
pub(super) fn print(pieces: &[Piece], args: &[Arg], target: Option<&Target>) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Conversion(spec) => spec.print(&mut out, &mut args, target),
        }
    }
    out
}

impl Spec {
    fn print<'a>(
        &self,
        out: &mut String,
        args: &mut impl Iterator<Item = &'a Arg>,
        target: Option<&Target>,
    ) {
        let mut left = self.left;
        let mut size = |size: Option<Size>| match size? {
            Size::Here(size) => Some(size as i128),
            Size::Argument => args.next().map(Arg::number),
        };
        let width = size(self.width).unwrap_or(0);
        let precision = size(self.precision);
        left |= width < 0;
        let width = (width.unsigned_abs() as usize).min(MAX_WIDTH);
        let precision = precision.map(|size| (size.max(0) as usize).min(MAX_WIDTH));
        let Some(arg) = args.next() else { return };
        let body = self.body(arg, precision, target);
        let missing = width.saturating_sub(body.chars().count());
        if left {
            out.push_str(&body);
            out.extend(std::iter::repeat_n(' ', missing));
        } else if self.zero && "diouxXp".contains(self.kind) && precision.is_none() {
            let (sign, digits) =
                body.split_at(body.find(|c: char| c.is_alphanumeric()).unwrap_or(0));
            let (prefix, digits) = match digits.strip_prefix("0x") {
                Some(digits) if self.alternate => ("0x", digits),
                _ => ("", digits),
            };
            out.push_str(sign);
            out.push_str(prefix);
            out.extend(std::iter::repeat_n('0', missing));
            out.push_str(digits);
        } else {
            out.extend(std::iter::repeat_n(' ', missing));
            out.push_str(&body);
        }
    }

    /// A number as wide as the conversion takes it.
    fn cut(&self, number: i128) -> (i64, u64) {
        let shift = 64 - 8 * self.bytes.clamp(1, 8);
        let bits = number as u64;
        (((bits << shift) as i64) >> shift, bits << shift >> shift)
    }

    fn body(&self, arg: &Arg, precision: Option<usize>, target: Option<&Target>) -> String {
        let digits = |digits: String| match precision {
            Some(least) if digits.len() < least => "0".repeat(least - digits.len()) + &digits,
            _ => digits,
        };
        let (signed, unsigned) = self.cut(arg.number());
        match self.kind {
            'd' | 'i' => {
                let sign = match signed < 0 {
                    true => "-",
                    false if self.plus => "+",
                    false if self.space => " ",
                    false => "",
                };
                format!("{sign}{}", digits(signed.unsigned_abs().to_string()))
            }
            'u' => digits(unsigned.to_string()),
            'x' | 'X' | 'o' => {
                let text = digits(match self.kind {
                    'x' => format!("{unsigned:x}"),
                    'X' => format!("{unsigned:X}"),
                    _ => format!("{unsigned:o}"),
                });
                match self.alternate {
                    true if self.kind == 'o' => format!("0{text}"),
                    true => format!("0x{text}"),
                    false => text,
                }
            }
            'c' => char::from(unsigned as u8).to_string(),
            's' => {
                let text = match arg {
                    Arg::Text(text) => text.clone(),
                    Arg::Bytes(bytes) => super::format::text(bytes),
                    Arg::Number(0) => "(null)".to_owned(),
                    Arg::Number(at) => {
                        let read = target.and_then(|target| target.read_cstr(*at as u64, 512).ok());
                        read.unwrap_or_else(|| format!("{:#x}", *at as u64))
                    }
                };
                match precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text,
                }
            }
            'p' => self.pointer(arg, target),
            _ => format!("{unsigned:x}"),
        }
    }

    fn pointer(&self, arg: &Arg, target: Option<&Target>) -> String {
        let address = arg.number() as u64;
        let first = self.extension.chars().next();
        match (first, arg) {
            (Some('s' | 'f' | 'S' | 'F' | 'B'), Arg::Number(_)) => {
                symbol(target, address, !matches!(first, Some('s' | 'f')))
            }
            (Some('I' | 'i'), Arg::Bytes(bytes)) if bytes.len() == 4 => {
                format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3])
            }
            (Some('I'), Arg::Bytes(bytes)) if bytes.len() == 16 => {
                let mut address = [0; 16];
                address.copy_from_slice(bytes);
                std::net::Ipv6Addr::from(address).to_string()
            }
            (Some('M' | 'm'), Arg::Bytes(bytes)) => {
                let separator = if first == Some('M') { ":" } else { "" };
                let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                bytes.join(separator)
            }
            (Some('U'), Arg::Bytes(bytes)) if bytes.len() == 16 => {
                let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let part = |range: std::ops::Range<usize>| hex[range].concat();
                [part(0..4), part(4..6), part(6..8), part(8..10), part(10..16)].join("-")
            }
            (_, Arg::Bytes(bytes)) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            (_, Arg::Text(text)) => text.clone(),
            _ => format!("{address:016x}"),
        }
    }
}

/// A function's name, with the place in it if that is asked for.
pub(super) fn symbol(target: Option<&Target>, address: u64, place: bool) -> String {
    match target.and_then(|target| target.locate(address)) {
        Some(found) if place => {
            let module = found.module().map_or_else(String::new, |name| format!(" [{name}]"));
            format!("{}+{:#x}/{:#x}{module}", found.symbol.name, found.offset, found.symbol.size)
        }
        Some(found) => found.symbol.name.to_owned(),
        None => format!("{address:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: &str, args: &[Arg]) -> String {
        print(&pieces(format), args, None)
    }

    #[test]
    fn numbers_and_text() {
        use Arg::{Number, Text};
        assert_eq!(
            shown("%d %u %x", &[Number(-1), Number(-1), Number(-1)]),
            "-1 4294967295 ffffffff"
        );
        assert_eq!(
            shown(
                "%ld 0x%08lx|%-5d|%5d|%05d",
                &[Number(-1), Number(0xabc), Number(7), Number(7), Number(-7)]
            ),
            "-1 0x00000abc|7    |    7|-0007"
        );
        assert_eq!(
            shown("%s=%.2s %c%%", &[Text("a".into()), Text("xyz".into()), Number(65)]),
            "a=xy A%"
        );
        assert_eq!(shown("%*d %#x", &[Number(4), Number(9), Number(16)]), "   9 0x10");
        assert_eq!(shown("%hhx", &[Number(0x1ff)]), "ff");
        assert_eq!(shown("%d %d", &[Number(1)]), "1 ", "an argument is missing");
    }

    #[test]
    fn pointers_to_bytes() {
        assert_eq!(shown("%pI4", &[Arg::Bytes(vec![127, 0, 0, 1])]), "127.0.0.1");
        assert_eq!(shown("%pM", &[Arg::Bytes(vec![0, 1, 2, 3, 4, 0xff])]), "00:01:02:03:04:ff");
        assert_eq!(shown("%p end", &[Arg::Number(16)]), "0000000000000010 end");
    }
}
