//! The language of `print_fmt` (include/trace/trace_events.h): a format, and C expressions over the
//! fields of the event, with the macros that the kernel's tracing has for them.

use necropsy_machine::Target;

use super::{
    FieldValue, Format,
    format::number,
    printf::{self, Arg, Piece},
};

/// A `print_fmt`, understood.
#[derive(Debug)]
pub(super) struct PrintFmt {
    pieces: Vec<Piece>,
    args: Vec<Expr>,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Number(i128),
    Text(String),
    /// A name of a field, or of a constant.
    Name(String),
    /// `REC->name`.
    Field(String),
    Index(Box<Expr>, Box<Expr>),
    Unary(char, Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `a ? b : c`; without a middle one (`a ?: c`) the condition is what is chosen.
    Choice(Box<Expr>, Option<Box<Expr>>, Box<Expr>),
    /// A number made as wide as a type: bytes, signed.
    Cast(Option<(u32, bool)>, Box<Expr>),
    Call(String, Vec<Expr>),
    /// `{ value, "name" }`.
    Pair(Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(i128),
    Text(String),
    Name(String),
    Mark(&'static str),
}

/// Longest first.
const MARKS: &[&str] = &[
    "->", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "(", ")", "{", "}", "[", "]", ",", "?",
    ":", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "<", ">", ".",
];

/// Deeper than any that a person wrote.
const MAX_DEPTH: u32 = 300;
/// More operators than a kernel's formats have in one (171): each makes a tree deeper by one, without
/// brackets that tell.
const MAX_OPERATORS: u32 = 1000;

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (text, after) = quoted(rest.get(1..)?, '"')?;
            // Adjacent texts are one.
            match found.last_mut() {
                Some(Token::Text(before)) => before.push_str(&text),
                _ => found.push(Token::Text(text)),
            }
            rest = after;
        } else if first == '\'' {
            let (text, after) = quoted(rest.get(1..)?, '\'')?;
            found.push(Token::Number(i128::from(u32::from(text.chars().next()?))));
            rest = after;
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let digits = rest[..end].trim_end_matches(['u', 'U', 'l', 'L']);
            let value = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
                Some(hex) => i128::from_str_radix(hex, 16),
                None if digits.len() > 1 && digits.starts_with('0') => {
                    i128::from_str_radix(digits, 8)
                }
                None => digits.parse(),
            };
            found.push(Token::Number(value.ok()?));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let end = end.unwrap_or(rest.len());
            found.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let mark = MARKS.iter().find(|mark| rest.starts_with(**mark))?;
            found.push(Token::Mark(mark));
            rest = &rest[mark.len()..];
        }
        rest = rest.trim_start();
    }
    Some(found)
}

/// Text up to its closing mark, and what follows.
fn quoted(text: &str, end: char) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => found.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '0' => '\0',
                other => other,
            }),
            c if c == end => return Some((found, &text[at + c.len_utf8()..])),
            c => found.push(c),
        }
    }
    None
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    operators: u32,
}

/// Bytes and sign of the types that are cast to.
fn width(words: &[String]) -> Option<(u32, bool)> {
    let has = |word: &str| words.iter().any(|own| own == word);
    let unsigned = has("unsigned");
    Some(match words.last()?.as_str() {
        "u8" | "__u8" | "uint8_t" | "bool" => (1, false),
        "s8" | "__s8" | "int8_t" => (1, true),
        "u16" | "__u16" | "uint16_t" | "__le16" | "__be16" | "umode_t" => (2, false),
        "s16" | "__s16" | "int16_t" => (2, true),
        "u32" | "__u32" | "uint32_t" | "__le32" | "__be32" | "gfp_t" | "dev_t" => (4, false),
        "s32" | "__s32" | "int32_t" | "pid_t" => (4, true),
        "u64" | "__u64" | "uint64_t" | "size_t" | "sector_t" | "ino_t" => (8, false),
        "s64" | "__s64" | "int64_t" | "ssize_t" | "loff_t" => (8, true),
        "char" => (1, !unsigned),
        "short" => (2, !unsigned),
        "long" => (8, !unsigned),
        "int" if has("long") => (8, !unsigned),
        "int" if has("short") => (2, !unsigned),
        "int" | "signed" => (4, !unsigned),
        "unsigned" => (4, false),
        _ => return None,
    })
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self, mark: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Mark(own)) if *own == mark);
        self.at += usize::from(is);
        is
    }

    /// What `inner` finds one level deeper; `None` below where anybody goes.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Parser) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let found = (self.depth <= MAX_DEPTH).then(|| inner(self))?;
        self.depth -= 1;
        found
    }

    fn another_operator(&mut self) -> Option<()> {
        self.operators += 1;
        (self.operators <= MAX_OPERATORS).then_some(())
    }

    fn binary(&mut self, least: u32) -> Option<Expr> {
        let mut left = self.unary()?;
        while let Some(Token::Mark(mark)) = self.peek() {
            let mark = *mark;
            let order = match mark {
                "||" => 1,
                "&&" => 2,
                "|" => 3,
                "^" => 4,
                "&" => 5,
                "==" | "!=" => 6,
                "<" | ">" | "<=" | ">=" => 7,
                "<<" | ">>" => 8,
                "+" | "-" => 9,
                "*" | "/" | "%" => 10,
                _ => break,
            };
            if order < least {
                break;
            }
            self.at += 1;
            self.another_operator()?;
            let right = self.deeper(|parser| parser.binary(order + 1))?;
            left = Expr::Binary(mark, Box::new(left), Box::new(right));
        }
        Some(left)
    }

    fn expr(&mut self) -> Option<Expr> {
        self.deeper(Parser::choice)
    }

    fn choice(&mut self) -> Option<Expr> {
        let condition = self.binary(1)?;
        if !self.take("?") {
            return Some(condition);
        }
        self.another_operator()?;
        let yes = match self.take(":") {
            true => None,
            false => {
                let yes = self.expr()?;
                self.take(":").then(|| Some(Box::new(yes)))?
            }
        };
        let no = self.expr()?;
        Some(Expr::Choice(Box::new(condition), yes, Box::new(no)))
    }

    /// `(unsigned long)` before a value; nothing is taken if it is none.
    fn cast(&mut self) -> Option<Option<(u32, bool)>> {
        let start = self.at;
        let found = (|| {
            if !self.take("(") {
                return None;
            }
            let (mut words, mut pointer) = (Vec::new(), false);
            loop {
                match self.peek()?.clone() {
                    Token::Name(word) if !pointer => words.push(word),
                    Token::Mark("*") if !words.is_empty() => pointer = true,
                    Token::Mark(")") if !words.is_empty() => break,
                    _ => return None,
                }
                self.at += 1;
            }
            self.at += 1;
            // A name in brackets is a value unless another one follows.
            let value = match self.peek()? {
                Token::Number(_) | Token::Text(_) | Token::Name(_) => true,
                Token::Mark(mark) => {
                    *mark == "(" || (width(&words).is_some() && "-~!&".contains(mark))
                }
            };
            let known = width(&words).is_some() || words.len() > 1 || pointer;
            (value && (known || !matches!(self.peek(), Some(Token::Mark(_)))))
                .then(|| if pointer { None } else { width(&words) })
        })();
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn unary(&mut self) -> Option<Expr> {
        if let Some(width) = self.cast() {
            return Some(Expr::Cast(width, Box::new(self.deeper(Parser::unary)?)));
        }
        match *self.peek()? {
            Token::Mark(mark @ ("-" | "~" | "!" | "*" | "&" | "+")) => {
                self.at += 1;
                let inner = self.deeper(Parser::unary)?;
                Some(Expr::Unary(mark.chars().next()?, Box::new(inner)))
            }
            _ => self.postfix(),
        }
    }

    fn postfix(&mut self) -> Option<Expr> {
        let mut found = self.primary()?;
        loop {
            if self.take("[") {
                self.another_operator()?;
                let index = self.expr()?;
                self.take("]").then_some(())?;
                found = Expr::Index(Box::new(found), Box::new(index));
            } else if self.take("->") || self.take(".") {
                let Some(Token::Name(name)) = self.peek().cloned() else { return None };
                self.at += 1;
                found = match found {
                    Expr::Name(record) if record == "REC" => Expr::Field(name),
                    _ => return None,
                };
            } else {
                return Some(found);
            }
        }
    }

    fn primary(&mut self) -> Option<Expr> {
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(number) => Some(Expr::Number(number)),
            Token::Text(text) => Some(Expr::Text(text)),
            Token::Name(name) if self.take("(") => {
                let mut args = Vec::new();
                while !self.take(")") {
                    // The type that `sizeof` and arrays are given may be a phrase.
                    args.push(self.expr()?);
                    if !self.take(",") {
                        self.take(")").then_some(())?;
                        break;
                    }
                }
                Some(Expr::Call(name, args))
            }
            Token::Name(name) => Some(Expr::Name(name)),
            Token::Mark("(") => {
                let inner = self.expr()?;
                self.take(")").then_some(inner)
            }
            Token::Mark("{") => {
                let value = self.expr()?;
                let name = if self.take(",") { self.expr()? } else { Expr::Number(0) };
                self.take(",");
                self.take("}").then(|| Expr::Pair(Box::new(value), Box::new(name)))
            }
            Token::Mark(_) => None,
        }
    }
}

impl PrintFmt {
    /// Understands a `print_fmt`; `None` for what is not of this language.
    pub(super) fn parse(text: &str) -> Option<PrintFmt> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, operators: 0 };
        let Some(Token::Text(format)) = parser.peek().cloned() else { return None };
        parser.at += 1;
        let mut args = Vec::new();
        while parser.take(",") {
            parser.operators = 0;
            args.push(parser.expr()?);
        }
        let whole = parser.at == parser.tokens.len();
        whole.then(|| PrintFmt { pieces: printf::pieces(&format), args })
    }

    /// The event's text; `None` where it asks for something that is not known here.
    pub(super) fn print(&self, target: &Target, format: &Format, event: &[u8]) -> Option<String> {
        let scope = Scope { target: Some(target), format, event };
        let args: Option<Vec<Arg>> = self.args.iter().map(|expr| scope.value(expr)).collect();
        Some(printf::print(&self.pieces, &args?, Some(target)))
    }
}

/// What expressions are about.
struct Scope<'a> {
    target: Option<&'a Target>,
    format: &'a Format,
    event: &'a [u8],
}

impl Scope<'_> {
    fn number(&self, expr: &Expr) -> Option<i128> {
        match self.value(expr)? {
            Arg::Number(number) => Some(number),
            Arg::Text(text) => Some(i128::from(!text.is_empty())),
            Arg::Bytes(_) => None,
        }
    }

    fn field(&self, name: &str) -> Option<Arg> {
        let field = self.format.field(name)?;
        Some(match field.value(self.event)? {
            FieldValue::Number(number) => Arg::Number(number),
            FieldValue::Text(text) => Arg::Text(text),
            FieldValue::Numbers(_) => Arg::Bytes(field.bytes(self.event)?.to_vec()),
        })
    }

    /// The bytes that a name in `__get_dynamic_array(name)` stands for.
    fn bytes_of(&self, expr: &Expr) -> Option<&[u8]> {
        let (Expr::Name(name) | Expr::Field(name)) = expr else { return None };
        self.format.field(name)?.bytes(self.event)
    }

    fn value(&self, expr: &Expr) -> Option<Arg> {
        Some(match expr {
            Expr::Number(number) => Arg::Number(*number),
            Expr::Text(text) => Arg::Text(text.clone()),
            Expr::Field(name) => self.field(name)?,
            Expr::Name(name) => {
                let constant = self.target.and_then(|target| target.types().enumerator(name));
                Arg::Number(constant?.0.into())
            }
            Expr::Index(array, index) => {
                let index = usize::try_from(self.number(index)?).ok()?;
                let name = match &**array {
                    Expr::Field(name) => name,
                    Expr::Cast(_, inner) => match &**inner {
                        Expr::Call(_, args) => match args.first()? {
                            Expr::Name(name) => name,
                            _ => return None,
                        },
                        Expr::Field(name) => name,
                        _ => return None,
                    },
                    _ => return None,
                };
                let field = self.format.field(name)?;
                let bytes = field.bytes(self.event)?;
                let width = field.width();
                let at = index.checked_mul(width)?;
                Arg::Number(number(bytes.get(at..at.checked_add(width)?)?, field.signed)?)
            }
            Expr::Unary('&', inner) => self.value(inner)?,
            Expr::Unary('*', inner) => match self.value(inner)? {
                Arg::Bytes(bytes) => Arg::Number(number(bytes.get(..8.min(bytes.len()))?, false)?),
                _ => return None,
            },
            Expr::Unary(mark, inner) => {
                let number = self.number(inner)?;
                Arg::Number(match mark {
                    '-' => number.wrapping_neg(),
                    '~' => !number,
                    '!' => i128::from(number == 0),
                    _ => number,
                })
            }
            Expr::Binary(mark, left, right) => Arg::Number(self.binary(mark, left, right)?),
            Expr::Choice(condition, Some(yes), no) => {
                self.value(if self.number(condition)? != 0 { yes } else { no })?
            }
            Expr::Choice(condition, None, no) => match self.value(condition)? {
                Arg::Number(0) => self.value(no)?,
                Arg::Text(text) if text.is_empty() => self.value(no)?,
                Arg::Bytes(_) => return None,
                chosen => chosen,
            },
            Expr::Cast(width, inner) => match (self.value(inner)?, width) {
                (Arg::Number(value), Some((bytes, signed))) => {
                    let shift = 64 - 8 * bytes;
                    let bits = (value as u64) << shift;
                    Arg::Number(match signed {
                        true => i128::from(bits as i64 >> shift),
                        false => i128::from(bits >> shift),
                    })
                }
                (value, _) => value,
            },
            Expr::Call(name, args) => self.call(name, args)?,
            Expr::Pair(..) => return None,
        })
    }

    fn binary(&self, mark: &str, left: &Expr, right: &Expr) -> Option<i128> {
        let left = self.number(left)?;
        // The right side of these may make no sense when the left one decides.
        match (mark, left) {
            ("&&", 0) => return Some(0),
            ("||", left) if left != 0 => return Some(1),
            _ => {}
        }
        let right = self.number(right)?;
        let shift = || u32::try_from(right).ok().filter(|bits| *bits < 64);
        Some(match mark {
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" => left.checked_div(right)?,
            "%" => left.checked_rem(right)?,
            "&" => left & right,
            "|" => left | right,
            "^" => left ^ right,
            "<<" => left.wrapping_shl(shift()?),
            ">>" => left >> shift()?,
            "==" => (left == right).into(),
            "!=" => (left != right).into(),
            "<" => (left < right).into(),
            ">" => (left > right).into(),
            "<=" => (left <= right).into(),
            ">=" => (left >= right).into(),
            "&&" | "||" => (right != 0).into(),
            _ => return None,
        })
    }

    fn call(&self, name: &str, args: &[Expr]) -> Option<Arg> {
        let pairs = |from: usize| -> Option<Vec<(i128, String)>> {
            let pair = |expr: &Expr| match expr {
                Expr::Pair(value, name) => match self.value(name)? {
                    Arg::Text(name) => Some((self.number(value)?, name)),
                    _ => None,
                },
                _ => None,
            };
            // A table ends in an entry without a name.
            Some(args.get(from..)?.iter().map_while(pair).collect())
        };
        let hex = |bytes: &[u8], between: &str| {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Arg::Text(bytes.join(between))
        };
        Some(match name {
            "__print_flags" | "__print_flags_u64" => {
                let mut rest = self.number(args.first()?)? as u64;
                let Arg::Text(between) = self.value(args.get(1)?)? else { return None };
                let mut names = Vec::new();
                for (mask, name) in pairs(2)? {
                    let mask = mask as u64;
                    if rest == 0 {
                        break;
                    }
                    if mask != 0 && rest & mask == mask {
                        names.push(name);
                        rest &= !mask;
                    }
                }
                if rest != 0 {
                    names.push(format!("{rest:#x}"));
                }
                Arg::Text(names.join(&between))
            }
            "__print_symbolic" | "__print_symbolic_u64" => {
                let value = self.number(args.first()?)?;
                let found = pairs(1)?.into_iter().find(|(own, _)| *own as u64 == value as u64);
                Arg::Text(found.map_or_else(|| format!("{:#x}", value as u64), |(_, name)| name))
            }
            "__get_str" | "__get_rel_str" => {
                Arg::Text(super::format::text(self.bytes_of(args.first()?)?))
            }
            "__get_dynamic_array" | "__get_rel_dynamic_array" | "__get_sockaddr" => {
                Arg::Bytes(self.bytes_of(args.first()?)?.to_vec())
            }
            "__get_dynamic_array_len" | "__get_rel_dynamic_array_len" => {
                Arg::Number(self.bytes_of(args.first()?)?.len() as i128)
            }
            "__get_bitmask" | "__get_cpumask" | "__get_rel_cpumask" | "__get_rel_bitmask" => {
                Arg::Text(mask(self.bytes_of(args.first()?)?))
            }
            "__print_hex" | "__print_hex_str" => {
                let Arg::Bytes(bytes) = self.value(args.first()?)? else { return None };
                let length = usize::try_from(self.number(args.get(1)?)?).ok()?;
                hex(bytes.get(..length)?, if name == "__print_hex" { " " } else { "" })
            }
            "__print_array" => {
                let Arg::Bytes(bytes) = self.value(args.first()?)? else { return None };
                let count = usize::try_from(self.number(args.get(1)?)?).ok()?;
                let width = usize::try_from(self.number(args.get(2)?)?).ok().filter(|w| *w > 0)?;
                let numbers = bytes.chunks_exact(width).take(count);
                let numbers: Option<Vec<String>> =
                    numbers.map(|bytes| Some(format!("{:#x}", number(bytes, false)?))).collect();
                Arg::Text(format!("{{{}}}", numbers?.join(",")))
            }
            "__print_ns_to_secs" => {
                let ns = self.number(args.first()?)? as u64;
                Arg::Text(format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000))
            }
            "__print_ns_without_secs" => {
                Arg::Number(i128::from(self.number(args.first()?)? as u64 % 1_000_000_000 / 1000))
            }
            // Linked from the types' own words.
            "__builtin_expect" => self.value(args.first()?)?,
            _ => return None,
        })
    }
}

/// A set of bits as the kernel prints it: words of 32 bits, the highest first.
fn mask(bytes: &[u8]) -> String {
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_le_bytes)).collect();
    let words: Vec<String> = words.iter().rev().map(|word| format!("{word:08x}")).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use std::{cell::OnceCell, rc::Rc};

    use super::{super::FieldFormat, *};

    fn field(name: &str, kind: &str, offset: usize, size: usize) -> FieldFormat {
        let (name, kind) = (name.to_owned(), kind.to_owned());
        FieldFormat { name, kind, offset, size, signed: false, count: 0 }
    }

    fn shown(print_fmt: &str) -> Option<String> {
        let format = Format::of_parts(
            vec![
                field("comm", "char[4]", 0, 4),
                field("state", "long", 8, 8),
                field("args", "unsigned long[2]", 16, 16),
                field("name", "__data_loc char[]", 32, 4),
            ],
            print_fmt,
        );
        let mut event = b"abc\0\0\0\0\0".to_vec();
        event.extend(0x102u64.to_le_bytes());
        event.extend([5u64, 6].iter().flat_map(|word| word.to_le_bytes()));
        event.extend((36u32 | 3 << 16).to_le_bytes());
        event.extend(b"hi\0");
        let scope = Scope { target: None, format: &format, event: &event };
        let parsed = PrintFmt::parse(print_fmt)?;
        let args: Option<Vec<Arg>> = parsed.args.iter().map(|expr| scope.value(expr)).collect();
        Some(printf::print(&parsed.pieces, &args?, None))
    }

    impl Format {
        fn of_parts(fields: Vec<FieldFormat>, print_fmt: &str) -> Format {
            Format {
                system: "test".into(),
                name: "test".into(),
                id: 1,
                common: Rc::default(),
                fields,
                print_fmt: print_fmt.to_owned(),
                parsed: OnceCell::new(),
            }
        }
    }

    #[test]
    fn fields_flags_and_choices() {
        assert_eq!(
            shown(r#""comm=%s %s", REC->comm, __get_str(name)"#),
            Some("comm=abc hi".into())
        );
        assert_eq!(
            shown(
                r#""%s%s", (REC->state & ((((0x00 | 0xff) + 1) << 1) - 1)) ? __print_flags(REC->state & 0xff, "|", { 0x01, "S" }, { 0x02, "D" }) : "R", REC->state & 0x100 ? "+" : """#
            ),
            Some("D+".into())
        );
        assert_eq!(
            shown(r#""NR %ld (%lx, %lx)", REC->state, REC->args[0], REC->args[1]"#),
            Some("NR 258 (5, 6)".into())
        );
        assert_eq!(
            shown(
                r#""%s %u", __print_symbolic(REC->state, { 1, "one" }), (unsigned int)(u8)REC->state"#
            ),
            Some("0x102 2".into())
        );
        assert_eq!(
            shown(r#""fd: 0x%08lx", ((unsigned long)(REC->args[1]))"#),
            Some("fd: 0x00000006".into())
        );
    }

    #[test]
    fn what_is_not_understood_is_not_printed() {
        assert_eq!(shown(r#""%d", some_function(REC->state)"#), None);
        assert_eq!(shown(r#""%d", REC->none"#), None);
        assert_eq!(shown(r#""%d", (((("#), None);
        assert_eq!(shown(&format!("\"%d\", {}", "(".repeat(10_000))), None);
        assert_eq!(shown("no text"), None);
    }

    #[test]
    fn no_expression_is_too_much() {
        assert_eq!(shown(r#""%d", REC->state ?: 7"#), Some("258".into()));
        assert_eq!(shown(r#""%d", 0 ?: 7"#), Some("7".into()));
        let sum = |terms: usize| shown(&format!("\"%d\", 0{}", "+1".repeat(terms)));
        assert_eq!(sum(900), Some("900".into()), "long, and still read");
        assert_eq!(sum(1_000_000), None);
        for part in
            ["1?2:", "1?:", "1?", "-", "(u8)", "!", "(", "{", "f(", "REC->args[", "1+(", "1||1&&1|"]
        {
            assert_eq!(shown(&format!("\"%d\", {}1", part.repeat(300_000))), None, "{part}");
        }
        assert_eq!(shown(&format!("\"%d\", REC->args{}", "[0]".repeat(300_000))), None);
    }
}
