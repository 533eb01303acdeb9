//! Numbers as crash reads them, and its calculator's expressions.
//!
//! Addresses are hexadecimal whenever they can be; counts and the calculator's numbers are decimal
//! unless they have `0x` or a letter. Both take `(expression)`.

use crate::CommandError;

/// The value of a symbol, for names in expressions.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<u64>;

/// An address or other value that crash reads in hexadecimal: `ffff8f36`, `0x10`, `10` (16).
pub fn parse_hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok())?
}

/// A number that crash reads in decimal when all its digits are: `10`, `0x10` and `1f`.
pub fn parse_number(text: &str) -> Option<u64> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    parse_hex(text)
}

/// A count: decimal, or hexadecimal with `0x`; negative where the command allows it.
pub fn parse_count(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let value = i64::try_from(parse_number(digits)?).ok()?;
    Some(if negative { -value } else { value })
}

/// The value of an expression in crash's form: numbers, symbols, `+ - * / % & | ^ << >> ~`,
/// parentheses, and the suffixes `k m g`. 64-bit unsigned arithmetic that wraps.
///
/// # Errors
/// Not an expression, a name that `lookup` does not know, a division by zero.
pub fn evaluate(text: &str, lookup: Lookup<'_>) -> Result<u64, CommandError> {
    let mut parser = Parser { text, rest: text, lookup, depth: 0 };
    let value = parser.binary(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.wrong()),
    }
}

/// Nested parentheses and signs allowed, so that no input exhausts the stack.
const MAX_DEPTH: u32 = 100;

/// Binary operators by rising precedence, as in C.
const OPERATORS: &[&[&str]] =
    &[&["|"], &["^"], &["&"], &["<<", ">>"], &["+", "-"], &["*", "/", "%"]];

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    lookup: Lookup<'a>,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn accept(&mut self, token: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn wrong(&self) -> CommandError {
        CommandError::usage(format!("invalid expression: {}", self.text))
    }

    fn binary(&mut self, level: usize) -> Result<u64, CommandError> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.accept(operator)) {
            let right = self.binary(level + 1)?;
            left = self.apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn apply(&self, operator: &str, a: u64, b: u64) -> Result<u64, CommandError> {
        let shift = u32::try_from(b).unwrap_or(u32::MAX);
        let zero = || CommandError::failed(format!("division by zero in {}", self.text));
        Ok(match operator {
            "|" => a | b,
            "^" => a ^ b,
            "&" => a & b,
            "<<" => a.checked_shl(shift).unwrap_or(0),
            ">>" => a.checked_shr(shift).unwrap_or(0),
            "+" => a.wrapping_add(b),
            "-" => a.wrapping_sub(b),
            "*" => a.wrapping_mul(b),
            "/" => a.checked_div(b).ok_or_else(zero)?,
            _ => a.checked_rem(b).ok_or_else(zero)?,
        })
    }

    fn unary(&mut self) -> Result<u64, CommandError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong());
        }
        let value = if self.accept("-") {
            self.unary()?.wrapping_neg()
        } else if self.accept("~") {
            !self.unary()?
        } else if self.accept("+") {
            self.unary()?
        } else if self.accept("(") {
            let value = self.binary(0)?;
            if !self.accept(")") {
                return Err(self.wrong());
            }
            value
        } else {
            self.word()?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn word(&mut self) -> Result<u64, CommandError> {
        self.peek();
        let end = self
            .rest
            .find(|c: char| !c.is_alphanumeric() && !"_.$".contains(c))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(self.wrong());
        }
        self.rest = rest;
        // A symbol may look like a number (`add`, `face`): crash prefers the number, and so do we.
        parse_number(word)
            .or_else(|| parse_suffixed(word))
            .or_else(|| (self.lookup)(word))
            .ok_or_else(|| {
                CommandError::usage(format!("{word}: neither a number nor a known symbol"))
            })
    }
}

/// `128m`, `4k`, `1g`.
fn parse_suffixed(word: &str) -> Option<u64> {
    let unit: u64 = match word.chars().last()?.to_ascii_lowercase() {
        'k' => 1 << 10,
        'm' => 1 << 20,
        'g' => 1 << 30,
        _ => return None,
    };
    parse_number(&word[..word.len() - 1])?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str) -> Result<u64, String> {
        evaluate(text, &|name| (name == "jiffies").then_some(0xffff_0000))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_are_hexadecimal_and_counts_decimal() {
        assert_eq!(parse_hex("10"), Some(16));
        assert_eq!(parse_hex("0xffff888000000000"), Some(0xffff_8880_0000_0000));
        assert_eq!(parse_hex("10000000000000000"), None);
        assert_eq!(parse_hex("+5"), None);
        assert_eq!(parse_number("10"), Some(10));
        assert_eq!(parse_number("1f"), Some(31));
        assert_eq!(parse_count("-3"), Some(-3));
        assert_eq!(parse_count("0x10"), Some(16));
        assert_eq!(parse_count("--3"), None);
    }

    #[test]
    fn expressions() {
        assert_eq!(eval("(1 << 30)"), Ok(1 << 30));
        assert_eq!(eval("-0x7fb70480"), Ok(0xffff_ffff_8048_fb80));
        assert_eq!(eval("128m"), Ok(128 << 20));
        assert_eq!(eval("2 + 3 * 4"), Ok(14));
        assert_eq!(eval("(jiffies+0x10)&~f"), Ok(0xffff_0010));
        assert_eq!(eval("1 << 64"), Ok(0));
        assert_eq!(eval("0 - 1"), Ok(u64::MAX));
    }

    #[test]
    fn what_is_no_expression() {
        assert_eq!(eval("(4096 / 0)").unwrap_err(), "division by zero in (4096 / 0)");
        assert_eq!(eval("zz").unwrap_err(), "zz: neither a number nor a known symbol");
        for bad in ["", "(1", "1 +", "1 2", "99999999999999999999k", "é"] {
            assert!(eval(bad).is_err(), "{bad}");
        }
        assert!(eval(&"(".repeat(100_000)).is_err());
        assert!(eval(&"-".repeat(100_000)).is_err());
    }
}
