//! Expressions' values.

use crate::{
    Failure, Mdb, Outcome, Space,
    failure::fail,
    parse::{Expr, Op, parse_expr},
};

impl Mdb {
    /// The value of an expression that was typed.
    ///
    /// # Errors
    /// It is none, or something in it has no value.
    pub fn evaluate(&self, text: &str) -> Outcome<u64> {
        self.value(&parse_expr(text)?)
    }

    pub(crate) fn value(&self, expr: &Expr) -> Outcome<u64> {
        Ok(match expr {
            Expr::Number(value) => *value,
            Expr::Dot => self.dot,
            Expr::Next => self.dot.wrapping_add(self.increment),
            Expr::Previous => self.dot.wrapping_sub(self.increment),
            Expr::Recent => self.recent,
            Expr::Word(word) => self.word(word)?,
            Expr::Variable(name) => self
                .variable(name)
                .ok_or_else(|| Failure::Text(format!("variable <{name} is not defined")))?,
            Expr::Unary(sign, inner) => {
                let value = self.value(inner)?;
                match sign {
                    '-' => value.wrapping_neg(),
                    '~' => !value,
                    _ => u64::from(value == 0),
                }
            }
            Expr::Deref(size, inner) => {
                let at = self.value(inner)?;
                let mut bytes = [0; 8];
                let len = if *size == 0 { 8 } else { usize::from(*size) };
                self.system.read(Space::Virtual, at, &mut bytes[..len]).map_err(|fault| {
                    Failure::Text(format!("failed to read data from target at {at:x}: {fault}"))
                })?;
                u64::from_le_bytes(bytes)
            }
            Expr::Binary(op, left, right) => {
                let (a, b) = (self.value(left)?, self.value(right)?);
                match op {
                    Op::Or => a | b,
                    Op::Xor => a ^ b,
                    Op::And => a & b,
                    Op::Equal => u64::from(a == b),
                    Op::Unequal => u64::from(a != b),
                    Op::ShiftLeft => {
                        u32::try_from(b).ok().and_then(|b| a.checked_shl(b)).unwrap_or(0)
                    }
                    Op::ShiftRight => {
                        u32::try_from(b).ok().and_then(|b| a.checked_shr(b)).unwrap_or(0)
                    }
                    Op::Add => a.wrapping_add(b),
                    Op::Subtract => a.wrapping_sub(b),
                    Op::Multiply => a.wrapping_mul(b),
                    Op::Divide | Op::Modulus | Op::Round if b == 0 => {
                        return fail("attempted to divide by zero");
                    }
                    // Division is signed, as mdb's is.
                    Op::Divide => (a as i64).wrapping_div(b as i64) as u64,
                    Op::Modulus => (a as i64).wrapping_rem(b as i64) as u64,
                    Op::Round => match a % b {
                        0 => a,
                        over => a.wrapping_add(b - over),
                    },
                }
            }
        })
    }

    /// A word that starts with a letter: a symbol, or a number if there is no such symbol.
    fn word(&self, word: &str) -> Outcome<u64> {
        if let Some(symbol) = self.private.iter().find(|symbol| symbol.name == word) {
            return Ok(symbol.address);
        }
        if let Some(symbol) = self.system.symbol(word) {
            return Ok(symbol.address);
        }
        if let Ok(value) = u64::from_str_radix(word, 16) {
            return Ok(value);
        }
        let mut text = format!("failed to dereference symbol: unknown symbol name: {word}");
        if let Some(near) = self.near_symbol(word) {
            text.push_str(&format!(" (did you mean {near}?)"));
        } else if self.find_dcmd(word).is_some() {
            text.push_str(&format!(" (did you mean ::{word}?)"));
        }
        fail(text)
    }
}
