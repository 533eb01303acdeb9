//! A line taken apart: statements, pipelines, expressions.

use crate::{Failure, Outcome, failure::fail};

/// Deepest nesting of parentheses and unary operators.
const MAX_DEPTH: u32 = 64;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Statement {
    /// Sets dot.
    pub(crate) address: Option<Expr>,
    /// How often.
    pub(crate) count: Option<Expr>,
    /// Elements of the pipeline.
    pub(crate) pipeline: Vec<Command>,
    /// What the output is given to.
    pub(crate) shell: Option<String>,
}

/// An element of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// A dcmd by name, without its colons, with its arguments.
    Dcmd(String, Vec<Word>),
    /// `/fmt`: which memory, and the letters; none repeat the last format.
    Format(char, Vec<FormatItem>),
    /// `/L value [mask]`: a search; or `/W value`: a write, which no dump allows.
    Match(char, char, Vec<Word>),
    /// `>name`, with the letters of a cast.
    Assign(String, Option<String>),
}

/// A letter of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormatItem {
    /// A letter and how often.
    Letter(u64, char),
    /// Text to be printed.
    Text(String),
}

/// An argument of a dcmd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Text.
    Text(String),
    /// `$[expr]`.
    Value(Expr),
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expr {
    Number(u64),
    /// A word that is a symbol, or else a number of the default radix.
    Word(String),
    Variable(String),
    Dot,
    /// `+`, `^`, `&`.
    Next,
    Previous,
    Recent,
    Unary(char, Box<Expr>),
    /// A pointer read: bytes, or 0 for that of a pointer.
    Deref(u8, Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Or,
    Xor,
    And,
    Equal,
    Unequal,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Round,
    Modulus,
}

/// Takes a line apart.
///
/// # Errors
/// It is no statement; says where.
pub(crate) fn parse(line: &str) -> Outcome<Vec<Statement>> {
    let mut parser = Parser { text: line, at: 0, depth: 0 };
    let mut statements = Vec::new();
    loop {
        parser.blanks();
        match parser.peek() {
            None => return Ok(statements),
            Some(';' | '\n') => parser.skip(1),
            Some(_) => statements.push(parser.statement()?),
        }
    }
}

/// Reads one expression that takes up all of the text.
///
/// # Errors
/// It is none.
pub(crate) fn parse_expr(text: &str) -> Outcome<Expr> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.blanks();
    let expr = parser.expr()?;
    parser.blanks();
    match parser.peek() {
        None => Ok(expr),
        Some(_) => parser.error(),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

fn is_symbol_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '.'
}

fn is_symbol(c: char) -> bool {
    is_symbol_start(c) || c.is_ascii_digit() || c == '`'
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn starts(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn blanks(&mut self) {
        self.take(|c| c == ' ' || c == '\t' || c == '\r');
        if self.starts("//") && self.comment_begins() {
            self.take(|c| c != '\n');
        }
    }

    /// A comment stands at the start of a line or behind a blank.
    fn comment_begins(&self) -> bool {
        self.text[..self.at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ';')
    }

    fn error<T>(&self) -> Outcome<T> {
        match self.rest().split_whitespace().next() {
            Some(near) => fail(format!("syntax error near \"{near}\"")),
            None => fail("syntax error: the line ends too early"),
        }
    }

    fn statement(&mut self) -> Outcome<Statement> {
        let mut statement = Statement::default();
        if self.peek() != Some('!') || self.starts("!=") {
            if self.at_expr() {
                statement.address = Some(self.expr()?);
                self.blanks();
            }
            if self.peek() == Some(',') {
                self.skip(1);
                self.blanks();
                statement.count = Some(self.expr()?);
                self.blanks();
            }
            if !matches!(self.peek(), None | Some('!' | ';' | '\n')) {
                statement.pipeline = self.pipeline()?;
            }
        }
        if self.peek() == Some('!') {
            self.skip(1);
            let rest = self.take(|c| c != '\n');
            statement.shell = Some(rest.trim().to_owned());
        }
        self.blanks();
        match self.peek() {
            None => Ok(statement),
            Some(';' | '\n') => {
                self.skip(1);
                Ok(statement)
            }
            Some(_) => self.error(),
        }
    }

    /// Whether an expression begins here.
    fn at_expr(&self) -> bool {
        match self.peek() {
            None
            | Some(':' | '/' | '\\' | '@' | '?' | '=' | '|' | ';' | '\n' | ',' | '!' | '>')
            | Some('"') => false,
            Some('$') => false,
            Some(_) => true,
        }
    }

    fn pipeline(&mut self) -> Outcome<Vec<Command>> {
        let mut commands = vec![self.command()?];
        loop {
            self.blanks();
            if self.peek() != Some('|') {
                return Ok(commands);
            }
            self.skip(1);
            self.blanks();
            commands.push(self.command()?);
        }
    }

    fn command(&mut self) -> Outcome<Command> {
        match self.peek() {
            Some(verb @ ('/' | '\\' | '@' | '?' | '=')) => {
                self.skip(1);
                let next = self.peek();
                if let Some(letter) = next.filter(|c| "vwzWZlLM".contains(*c)) {
                    self.skip(1);
                    return Ok(Command::Match(verb, letter, self.words()?));
                }
                Ok(Command::Format(verb, self.format_items()?))
            }
            Some('>') => {
                self.skip(1);
                let cast = if self.peek() == Some('/') {
                    self.skip(1);
                    let cast = self.take(|c| c.is_ascii_alphanumeric()).to_owned();
                    if self.peek() != Some('/') {
                        return self.error();
                    }
                    self.skip(1);
                    Some(cast)
                } else {
                    None
                };
                self.blanks();
                let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                if name.is_empty() { self.error() } else { Ok(Command::Assign(name.into(), cast)) }
            }
            Some(':') if self.starts("::") => {
                self.skip(2);
                let name = self.take(|c| is_symbol(c) || c == '?' || c == '-');
                if name.is_empty() {
                    return self.error();
                }
                Ok(Command::Dcmd(name.to_owned(), self.words()?))
            }
            Some('$') if self.starts("$<") || self.starts("$>") => {
                let verb = if self.starts("$<<") { "$<<" } else { &self.rest()[..2] };
                self.skip(verb.len());
                Ok(Command::Dcmd(verb.to_owned(), self.words()?))
            }
            Some(sign @ ('$' | ':')) => {
                self.skip(1);
                let Some(letter) = self.peek().filter(|c| !c.is_whitespace()) else {
                    return self.error();
                };
                self.skip(letter.len_utf8());
                Ok(Command::Dcmd(format!("{sign}{letter}"), self.words()?))
            }
            _ => self.error(),
        }
    }

    fn format_items(&mut self) -> Outcome<Vec<FormatItem>> {
        let mut items = Vec::new();
        loop {
            self.take(|c| c == ' ' || c == '\t');
            let count = self.take(|c| c.is_ascii_digit());
            match self.peek() {
                None | Some('|' | ';' | '\n' | '!') if count.is_empty() => return Ok(items),
                None => return self.error(),
                Some('"') => {
                    self.skip(1);
                    items.push(FormatItem::Text(self.quoted('"')?));
                }
                Some(letter) => {
                    self.skip(letter.len_utf8());
                    let count = if count.is_empty() { Ok(1) } else { count.parse() };
                    let Ok(count) = count else { return self.error() };
                    items.push(FormatItem::Letter(count, letter));
                }
            }
        }
    }

    /// What stands up to the closing quote, escapes resolved.
    fn quoted(&mut self, quote: char) -> Outcome<String> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.skip(at + 1);
                return Ok(out);
            }
            if c != '\\' || quote == '\'' {
                out.push(c);
                continue;
            }
            let Some((_, escaped)) = chars.next() else { break };
            out.push(match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'b' => '\x08',
                'f' => '\x0c',
                'a' => '\x07',
                'v' => '\x0b',
                '0' => '\0',
                other => other,
            });
        }
        fail(format!("syntax error: no closing {quote}"))
    }

    fn words(&mut self) -> Outcome<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                None | Some('\n' | ';' | '|' | '!') => return Ok(words),
                Some('$') if self.starts("$[") => {
                    self.skip(2);
                    self.blanks();
                    let expr = self.expr()?;
                    self.blanks();
                    if self.peek() != Some(']') {
                        return self.error();
                    }
                    self.skip(1);
                    words.push(Word::Value(expr));
                }
                Some(_) => words.push(Word::Text(self.word()?)),
            }
        }
    }

    /// A word with its quoted parts.
    fn word(&mut self) -> Outcome<String> {
        let mut word = String::new();
        loop {
            match self.peek() {
                None | Some(' ' | '\t' | '\n' | '\r' | ';' | '|' | '!') => return Ok(word),
                Some('$') if self.starts("$[") => return Ok(word),
                Some(quote @ ('"' | '\'')) => {
                    self.skip(1);
                    word.push_str(&self.quoted(quote)?);
                }
                // An index is a part of a member's name.
                Some(c) => {
                    self.skip(c.len_utf8());
                    word.push(c);
                }
            }
        }
    }

    // ---- expressions ----

    pub(crate) fn expr(&mut self) -> Outcome<Expr> {
        self.binary(0)
    }

    /// The operator here that binds at least as strongly as `level`, with its level and length.
    fn operator(&self, level: u8) -> Option<(Op, u8, usize)> {
        let rest = self.rest();
        let found = if rest.starts_with("%%") {
            (Op::Modulus, 7, 2)
        } else if rest.starts_with("<<") {
            (Op::ShiftLeft, 4, 2)
        } else if rest.starts_with(">>") {
            (Op::ShiftRight, 4, 2)
        } else if rest.starts_with("==") {
            (Op::Equal, 3, 2)
        } else if rest.starts_with("!=") {
            (Op::Unequal, 3, 2)
        } else {
            match rest.chars().next()? {
                '|' if !self.is_pipe() => (Op::Or, 0, 1),
                '^' => (Op::Xor, 1, 1),
                '&' => (Op::And, 2, 1),
                '+' => (Op::Add, 5, 1),
                '-' => (Op::Subtract, 5, 1),
                '*' => (Op::Multiply, 6, 1),
                '%' => (Op::Divide, 6, 1),
                '#' => (Op::Round, 6, 1),
                _ => return None,
            }
        };
        (found.1 >= level).then_some(found)
    }

    /// Whether the bar here leads to the next element of a pipeline: a command follows it.
    fn is_pipe(&self) -> bool {
        let behind = self.rest()[1..].trim_start();
        behind.is_empty() || behind.starts_with([':', '$', '/', '\\', '@', '?', '=', '>'])
    }

    fn binary(&mut self, level: u8) -> Outcome<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail("syntax error: the expression is nested too deeply");
        }
        let mut left = self.unary()?;
        loop {
            let before = self.at;
            self.blanks();
            let Some((op, found, length)) = self.operator(level) else {
                self.at = before;
                break;
            };
            self.skip(length);
            self.blanks();
            let right = self.binary(found + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Outcome<Expr> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail("syntax error: the expression is nested too deeply");
        }
        let made = self.term();
        self.depth -= 1;
        made
    }

    fn term(&mut self) -> Outcome<Expr> {
        self.blanks();
        let Some(c) = self.peek() else { return self.error() };
        match c {
            '(' => {
                self.skip(1);
                self.blanks();
                let inner = self.expr()?;
                self.blanks();
                if self.peek() != Some(')') {
                    return self.error();
                }
                self.skip(1);
                Ok(inner)
            }
            '-' | '~' | '#' => {
                self.skip(1);
                Ok(Expr::Unary(c, Box::new(self.unary()?)))
            }
            '*' | '%' => {
                self.skip(1);
                let size = self.sized()?;
                Ok(Expr::Deref(size, Box::new(self.unary()?)))
            }
            '+' => {
                self.skip(1);
                Ok(Expr::Next)
            }
            '^' => {
                self.skip(1);
                Ok(Expr::Previous)
            }
            '&' => {
                self.skip(1);
                Ok(Expr::Recent)
            }
            '<' => {
                self.skip(1);
                self.blanks();
                let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == '%');
                match name.trim_start_matches('%') {
                    "" => self.error(),
                    name => Ok(Expr::Variable(name.to_owned())),
                }
            }
            '\'' => {
                self.skip(1);
                let text = self.quoted('\'')?;
                if text.is_empty() || text.len() > 8 {
                    return fail("a character constant has 1 to 8 characters");
                }
                Ok(Expr::Number(text.bytes().fold(0, |value, b| value << 8 | u64::from(b))))
            }
            '0'..='9' => self.number(),
            c if is_symbol_start(c) => {
                let word = self.take(is_symbol);
                if word == "." { Ok(Expr::Dot) } else { Ok(Expr::Word(word.to_owned())) }
            }
            _ => self.error(),
        }
    }

    /// `/4/` behind a star: bytes, 0 if there is none.
    fn sized(&mut self) -> Outcome<u8> {
        let Some(inner) = self.rest().strip_prefix('/') else { return Ok(0) };
        let Some((letter, _)) = inner.split_once('/') else { return self.error() };
        let size = match letter {
            "c" | "1" | "uint8_t" => 1,
            "s" | "2" | "uint16_t" => 2,
            "i" | "4" | "uint32_t" => 4,
            "l" | "8" | "uint64_t" => 8,
            _ => return self.error(),
        };
        self.skip(letter.len() + 2);
        Ok(size)
    }

    fn number(&mut self) -> Outcome<Expr> {
        let rest = self.rest();
        let radix = match rest.as_bytes() {
            [b'0', b'i' | b'I', ..] => Some(2),
            [b'0', b'o' | b'O', ..] => Some(8),
            [b'0', b't' | b'T', ..] => Some(10),
            [b'0', b'x' | b'X', ..] => Some(16),
            _ => None,
        };
        if let Some(radix) = radix {
            self.skip(2);
            let digits = self.take(|c| c.is_ascii_alphanumeric());
            if radix == 10 && self.peek() == Some('.') {
                self.skip(1);
                let fraction = self.take(|c| c.is_ascii_alphanumeric());
                let Ok(value) = format!("{digits}.{fraction}").parse::<f64>() else {
                    return self.error();
                };
                return Ok(Expr::Number(value.to_bits()));
            }
            return number(digits, radix).map(Expr::Number);
        }
        // A number may be the beginning of a symbol's name in no table: names start with a letter.
        let digits = self.take(|c| c.is_ascii_alphanumeric());
        number(digits, 16).map(Expr::Number)
    }
}

fn number(digits: &str, radix: u32) -> Outcome<u64> {
    u64::from_str_radix(digits, radix).map_err(|error| {
        Failure::Text(match error.kind() {
            std::num::IntErrorKind::PosOverflow => {
                format!("{digits}: the number is greater than the maximum unsigned value")
            }
            _ => format!("\"{digits}\" is not a number of radix {radix}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dcmd(name: &str, args: &[&str]) -> Command {
        Command::Dcmd(name.into(), args.iter().map(|arg| Word::Text((*arg).into())).collect())
    }

    #[test]
    fn a_pipeline_with_a_shell() {
        let parsed = parse("::walk thread | ::findstack -v ! grep 'a|b'; ls").unwrap();
        assert_eq!(parsed.len(), 1);
        assert_eq!(parsed[0].pipeline, [dcmd("walk", &["thread"]), dcmd("findstack", &["-v"])]);
        assert_eq!(parsed[0].shell.as_deref(), Some("grep 'a|b'; ls"));
    }

    #[test]
    fn formats_and_counts() {
        let parsed = parse("<rbp-10,3/2Kn\"x\"").unwrap();
        assert!(parsed[0].count.is_some());
        let Command::Format('/', items) = &parsed[0].pipeline[0] else { panic!() };
        assert_eq!(items.len(), 3);
        assert_eq!(items[0], FormatItem::Letter(2, 'K'));
        assert!(matches!(&parse("1=X; 2=D").unwrap()[..], [_, _]));
    }

    #[test]
    fn words_may_be_quoted_or_evaluated() {
        let parsed = parse("::printf \"%d\\n\" proc_t p_pidp->pid_id $[1 + 2]").unwrap();
        let Command::Dcmd(_, words) = &parsed[0].pipeline[0] else { panic!() };
        assert_eq!(words[0], Word::Text("%d\n".into()));
        assert!(matches!(words[3], Word::Value(_)));
    }

    #[test]
    fn what_is_no_statement_is_told() {
        for bad in ["(1", "::", "1 +", "\"x", "1,/X", "*/9/1", "1 2"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"(".repeat(1000)).is_err());
        assert!(parse(&"-".repeat(100_000)).is_err());
        assert_eq!(parse("// nothing").unwrap(), []);
    }
}
