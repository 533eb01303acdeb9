//! Tokens to a tree, by precedence climbing.

use necropsy_debuginfo::{TypeId, parse_type};

use super::{
    ExprError,
    lexer::{Token, tokens},
    syntax::{Kind, Node, Unary},
};
use crate::scope::Scope;

/// Deepest nesting.
const MAX_DEPTH: u32 = 128;

type Result<T> = std::result::Result<T, ExprError>;

/// Parses all of `text`. The scope says which names are types and which variables are per CPU.
pub(super) fn parse(scope: &dyn Scope, text: &str) -> Result<Node> {
    let mut parser = Parser { scope, text, tokens: tokens(text)?, at: 0, depth: 0, choices: 0 };
    let node = parser.comma()?;
    match parser.peek() {
        Token::End => Ok(node),
        Token::Op("=") => Err(parser.error("memory of a dump cannot be changed")),
        _ => Err(parser.error("the expression should end here")),
    }
}

struct Parser<'a> {
    scope: &'a dyn Scope,
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: u32,
    /// How many `?` wait for their `:`, which is then not the colon of a per-CPU variable.
    choices: u32,
}

/// Binary operators and how tightly they bind. `@` binds as in gdb.
fn precedence(operator: &str) -> Option<u32> {
    Some(match operator {
        "||" => 1,
        "&&" => 2,
        "|" => 3,
        "^" => 4,
        "&" => 5,
        "==" | "!=" => 6,
        "<" | ">" | "<=" | ">=" => 7,
        "<<" | ">>" => 8,
        "@" => 9,
        "+" | "-" => 10,
        "*" | "/" | "%" => 11,
        _ => return None,
    })
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(position, _)| *position)
    }

    fn error(&self, message: impl Into<String>) -> ExprError {
        ExprError::new(self.position(), message)
    }

    fn eat(&mut self, operator: &str) -> bool {
        let found = matches!(self.peek(), Token::Op(op) if *op == operator);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, operator: &str) -> Result<()> {
        if self.eat(operator) {
            return Ok(());
        }
        let what = if *self.peek() == Token::End { "the expression ends" } else { "here" };
        Err(self.error(format!("{what} where {operator} should be")))
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the expression is nested too deeply"));
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn comma(&mut self) -> Result<Node> {
        let mut left = self.conditional()?;
        let mut count = 0;
        loop {
            let position = self.position();
            if !self.eat(",") {
                return Ok(left);
            }
            count += 1;
            if count > MAX_DEPTH {
                return Err(self.error("the expression is too long"));
            }
            let right = self.conditional()?;
            left = Node { position, kind: Kind::Comma(left.into(), right.into()) };
        }
    }

    fn conditional(&mut self) -> Result<Node> {
        self.nested(|parser| {
            let condition = parser.binary(1)?;
            let position = parser.position();
            if !parser.eat("?") {
                return Ok(condition);
            }
            parser.choices += 1;
            let then = parser.comma()?;
            parser.choices -= 1;
            parser.expect(":")?;
            let otherwise = parser.conditional()?;
            let kind = Kind::Conditional(condition.into(), then.into(), otherwise.into());
            Ok(Node { position, kind })
        })
    }

    fn binary(&mut self, least: u32) -> Result<Node> {
        let mut left = self.unary()?;
        let mut count = 0;
        loop {
            let position = self.position();
            let Token::Op(operator) = *self.peek() else { return Ok(left) };
            let Some(binds) = precedence(operator).filter(|&binds| binds >= least) else {
                return Ok(left);
            };
            // A long chain is a deep tree.
            count += 1;
            if count > MAX_DEPTH {
                return Err(self.error("the expression is too long"));
            }
            self.at += 1;
            let right = self.nested(|parser| parser.binary(binds + 1))?;
            let (left_box, right) = (Box::new(left), Box::new(right));
            let kind = match operator {
                "&&" => Kind::And(left_box, right),
                "||" => Kind::Or(left_box, right),
                "@" => Kind::Repeat(left_box, right),
                _ => Kind::Binary(operator, left_box, right),
            };
            left = Node { position, kind };
        }
    }

    fn unary(&mut self) -> Result<Node> {
        self.nested(|parser| {
            let position = parser.position();
            let operator = match parser.peek() {
                Token::Op("+") => Unary::Plus,
                Token::Op("-") => Unary::Minus,
                Token::Op("!") => Unary::Not,
                Token::Op("~") => Unary::Complement,
                Token::Op("*") => Unary::Deref,
                Token::Op("&") => Unary::AddressOf,
                Token::Op("(") => {
                    if let Some(ty) = parser.parenthesized_type(true)? {
                        let operand = parser.unary()?;
                        return Ok(Node { position, kind: Kind::Cast(ty, operand.into()) });
                    }
                    return parser.postfix();
                }
                Token::Op("{") => {
                    parser.at += 1;
                    let ty = parser.type_until(&["}"])?;
                    parser.expect("}")?;
                    let operand = parser.unary()?;
                    return Ok(Node { position, kind: Kind::At(ty, operand.into()) });
                }
                _ => return parser.postfix(),
            };
            parser.at += 1;
            let operand = parser.unary()?;
            Ok(Node { position, kind: Kind::Unary(operator, operand.into()) })
        })
    }

    fn postfix(&mut self) -> Result<Node> {
        let mut node = self.primary()?;
        let mut count = 0;
        loop {
            let position = self.position();
            count += 1;
            if count > MAX_DEPTH {
                return Err(self.error("the expression is too long"));
            }
            if self.eat("[") {
                let index = self.comma()?;
                self.expect("]")?;
                node = Node { position, kind: Kind::Index(node.into(), index.into()) };
            } else if self.eat(".") || self.eat("->") {
                let name = self.name("a member's name")?;
                node = Node { position, kind: Kind::Member(node.into(), name) };
            } else if matches!(self.peek(), Token::Op("(")) {
                return Err(self.error("functions of a dead machine cannot be called"));
            } else {
                return Ok(node);
            }
        }
    }

    fn name(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Token::Ident(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.error(format!("{what} is missing"))),
        }
    }

    fn primary(&mut self) -> Result<Node> {
        let position = self.position();
        let token = self.peek().clone();
        let kind = match token {
            Token::Number(literal) => Kind::Number(literal),
            Token::Char(byte) => Kind::Char(byte),
            Token::Str(bytes) => Kind::Str(bytes),
            Token::Dollar(name) if name.is_empty() => Kind::History(None),
            Token::Dollar(name) => match name.parse() {
                Ok(number) => Kind::History(Some(number)),
                Err(_) => Kind::Register(name),
            },
            Token::Ident(name) => {
                self.at += 1;
                let kind = match name.as_str() {
                    "sizeof" => self.size_of()?,
                    "offsetof" | "__builtin_offsetof" => self.offset_of()?,
                    "container_of" => self.container_of()?,
                    _ => self.variable(name),
                };
                return Ok(Node { position, kind });
            }
            Token::Op("(") => {
                self.at += 1;
                let node = self.comma()?;
                self.expect(")")?;
                return Ok(node);
            }
            Token::End => return Err(self.error("the expression ends too early")),
            Token::Op(operator) => {
                return Err(self.error(format!("a value should be here, not {operator}")));
            }
        };
        self.at += 1;
        Ok(Node { position, kind })
    }

    /// A name, or `name:cpu` if it names a per-CPU variable.
    fn variable(&mut self, name: String) -> Kind {
        if self.choices == 0
            && let [(_, Token::Op(":")), (_, Token::Number(cpu)), ..] = &self.tokens[self.at..]
            && let Ok(cpu) = u32::try_from(cpu.value)
            && self.scope.symbol(&name).is_some_and(|symbol| symbol.per_cpu)
        {
            self.at += 2;
            return Kind::PerCpu(name, cpu);
        }
        Kind::Name(name)
    }

    fn size_of(&mut self) -> Result<Kind> {
        if let Some(ty) = self.parenthesized_type(false)? {
            return Ok(Kind::SizeOfType(ty));
        }
        Ok(Kind::SizeOf(self.unary()?.into()))
    }

    fn offset_of(&mut self) -> Result<Kind> {
        self.expect("(")?;
        let ty = self.type_until(&[","])?;
        self.expect(",")?;
        let path = self.member_path()?;
        self.expect(")")?;
        Ok(Kind::OffsetOf(ty, path))
    }

    fn container_of(&mut self) -> Result<Kind> {
        self.expect("(")?;
        let pointer = self.conditional()?;
        self.expect(",")?;
        let ty = self.type_until(&[","])?;
        self.expect(",")?;
        let path = self.member_path()?;
        self.expect(")")?;
        Ok(Kind::ContainerOf(pointer.into(), ty, path))
    }

    /// `a.b[2].c`, as [`necropsy_debuginfo::Types::member`] takes it.
    fn member_path(&mut self) -> Result<String> {
        let mut path = self.name("a member's name")?;
        loop {
            if self.eat(".") {
                path.push('.');
                path.push_str(&self.name("a member's name")?);
            } else if self.eat("[") {
                let Token::Number(index) = *self.peek() else {
                    return Err(self.error("a number should be here"));
                };
                self.at += 1;
                self.expect("]")?;
                path.push_str(&format!("[{}]", index.value));
            } else {
                return Ok(path);
            }
        }
    }

    /// If a type in parentheses follows, takes it. In front of an operand (`cast`) a name alone
    /// that is a variable is no type.
    fn parenthesized_type(&mut self, cast: bool) -> Result<Option<TypeId>> {
        if !matches!(self.peek(), Token::Op("(")) {
            return Ok(None);
        }
        let Some(close) = self.closing() else { return Ok(None) };
        let Some((_, Token::Ident(first))) = self.tokens.get(self.at + 1) else {
            return Ok(None);
        };
        let lone = close == self.at + 2;
        let keyword = matches!(
            first.as_str(),
            "struct"
                | "union"
                | "enum"
                | "const"
                | "volatile"
                | "unsigned"
                | "signed"
                | "long"
                | "int"
                | "short"
                | "char"
                | "void"
        );
        let is_variable =
            || self.scope.local(first).is_some() || self.scope.symbol(first).is_some();
        if cast && lone && !keyword && is_variable() {
            return Ok(None);
        }
        let start = self.tokens.get(self.at + 1).map_or(self.text.len(), |(at, _)| *at);
        let end = self.tokens.get(close).map_or(self.text.len(), |(at, _)| *at);
        match parse_type(self.scope.types(), &self.text[start..end]) {
            Some(ty) => {
                self.at = close + 1;
                Ok(Some(ty))
            }
            None if matches!(first.as_str(), "struct" | "union" | "enum") => {
                let name = self.text[start..end].trim_end_matches(['*', ' ']);
                Err(ExprError::new(start, format!("there is no type {name}")))
            }
            None => Ok(None),
        }
    }

    /// Index of the parenthesis that closes the one at the current token.
    fn closing(&self) -> Option<usize> {
        let mut open = 0;
        for (index, (_, token)) in self.tokens.iter().enumerate().skip(self.at) {
            match token {
                Token::Op("(") => open += 1,
                Token::Op(")") => {
                    open -= 1;
                    if open == 0 {
                        return Some(index);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The type that is written up to one of `ends` outside of parentheses.
    fn type_until(&mut self, ends: &[&str]) -> Result<TypeId> {
        let start = self.position();
        let mut open = 0;
        loop {
            match self.peek() {
                Token::End => return Err(self.error("the expression ends within a type")),
                Token::Op(op) if open == 0 && ends.contains(op) => break,
                Token::Op("(") => open += 1,
                Token::Op(")") => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
        let name = self.text[start..self.position()].trim_end();
        parse_type(self.scope.types(), name)
            .ok_or_else(|| ExprError::new(start, format!("there is no type {name}")))
    }
}
