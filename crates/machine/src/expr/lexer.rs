//! Text to tokens.

use super::ExprError;

/// A lexical element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// An integer literal.
    Number(Literal),
    /// `'a'`: the byte.
    Char(u8),
    /// `"text"`: its bytes, without the final NUL.
    Str(Vec<u8>),
    /// A name.
    Ident(String),
    /// `$name`, without the dollar sign; empty for `$`.
    Dollar(String),
    /// An operator or bracket.
    Op(&'static str),
    /// End of the text.
    End,
}

/// An integer literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) value: u64,
    /// Written in base 10: then it is never unsigned by its size alone.
    pub(super) decimal: bool,
    pub(super) unsigned: bool,
    pub(super) long: bool,
}

/// Operators, longer ones first.
const OPERATORS: [&str; 35] = [
    "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "&", "|", "^",
    "~", "!", "<", ">", "=", "?", ":", ",", ".", "(", ")", "[", "]", "{", "}", "@", ";", "#",
];

/// Splits `text` into tokens with their byte positions; the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ExprError> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        let token = if byte.is_ascii_digit() {
            let word = word_at(text, at);
            at += word.len();
            if bytes.get(at) == Some(&b'.') {
                return Err(ExprError::new(start, "there are no fractions here"));
            }
            let literal = number(word);
            Token::Number(literal.ok_or_else(|| {
                ExprError::new(start, format!("{word} is not a number of 64 bits"))
            })?)
        } else if is_word(byte) {
            let word = word_at(text, at);
            at += word.len();
            Token::Ident(word.to_owned())
        } else if byte == b'$' {
            let word = word_at(text, at + 1);
            at += 1 + word.len();
            Token::Dollar(word.to_owned())
        } else if byte == b'\'' || byte == b'"' {
            let content = quoted(bytes, &mut at)
                .ok_or_else(|| ExprError::new(start, "the quotation does not end"))?;
            match (byte, content.as_slice()) {
                (b'\'', [single]) => Token::Char(*single),
                // gdb's way to write names with odd characters.
                (b'\'', [_, ..]) => Token::Ident(String::from_utf8_lossy(&content).into_owned()),
                (b'\'', []) => return Err(ExprError::new(start, "an empty character")),
                _ => Token::Str(content),
            }
        } else {
            let rest = &text.as_bytes()[at..];
            let operator = OPERATORS.iter().find(|op| rest.starts_with(op.as_bytes()));
            let operator = operator.ok_or_else(|| {
                let odd = text[at..].chars().next().unwrap_or('?');
                ExprError::new(start, format!("{odd:?} is not part of an expression"))
            })?;
            at += operator.len();
            Token::Op(operator)
        };
        out.push((start, token));
    }
    out.push((text.len(), Token::End));
    Ok(out)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn word_at(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    let end = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
    &rest[..end]
}

fn number(word: &str) -> Option<Literal> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let suffix = word[digits.len()..].to_ascii_lowercase();
    if !matches!(suffix.as_str(), "" | "u" | "l" | "ul" | "lu" | "ll" | "ull" | "llu") {
        return None;
    }
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let value = if let Some(hex) = hex {
        u64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        u64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(Literal {
        value,
        decimal: hex.is_none() && !(digits.len() > 1 && digits.starts_with('0')),
        unsigned: suffix.contains('u'),
        long: suffix.contains('l'),
    })
}

/// The bytes between the quotation mark at `at` and the next one, escapes undone; `at` moves
/// behind it.
fn quoted(bytes: &[u8], at: &mut usize) -> Option<Vec<u8>> {
    let mark = *bytes.get(*at)?;
    *at += 1;
    let mut out = Vec::new();
    loop {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if byte == mark {
            return Some(out);
        }
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = *bytes.get(*at)?;
        *at += 1;
        out.push(match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'e' => 27,
            b'x' => digits(bytes, at, 16, 2)?,
            b'0'..=b'7' => {
                *at -= 1;
                digits(bytes, at, 8, 3)?
            }
            other => other,
        });
    }
}

fn digits(bytes: &[u8], at: &mut usize, radix: u32, most: usize) -> Option<u8> {
    let mut value: u32 = 0;
    let mut count = 0;
    while count < most
        && let Some(digit) = bytes.get(*at).and_then(|&b| (b as char).to_digit(radix))
    {
        value = value * radix + digit;
        *at += 1;
        count += 1;
    }
    (count > 0).then_some(value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Token> {
        tokens(text).unwrap().into_iter().map(|(_, token)| token).collect()
    }

    #[test]
    fn reads_numbers_as_c_writes_them() {
        let value = |text: &str| match kinds(text)[0] {
            Token::Number(literal) => literal.value,
            _ => panic!("{text}"),
        };
        assert_eq!(value("0xffffffff81000000UL"), 0xffff_ffff_8100_0000);
        assert_eq!(value("010"), 8);
        assert_eq!(value("0"), 0);
        assert_eq!(value("18446744073709551615"), u64::MAX);
        for bad in ["0x", "08", "1.5", "12ab", "18446744073709551616", "1lul"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_characters_strings_and_longest_operators() {
        assert_eq!(kinds("'\\n'")[0], Token::Char(b'\n'));
        assert_eq!(kinds("'\\0'")[0], Token::Char(0));
        assert_eq!(kinds("\"a\\101\\\"\"")[0], Token::Str(b"aA\"".to_vec()));
        assert_eq!(kinds("p->x")[1], Token::Op("->"));
        assert!(tokens("'a").is_err());
        assert!(tokens("a é").is_err());
    }
}
