//! C type names as text: `struct list_head *[16]`, `unsigned long`, `void (*)(struct rq *)`.

use crate::types::{Kind, Param, Qualifier, Type, TypeId, Types};

/// Deepest nesting of parentheses that is followed.
const MAX_DEPTH: u32 = 16;

/// The type that `text` names, made if need be; `None` when it is no C type name or uses a name
/// that `types` lacks. An anonymous struct or union, which C cannot name, is meant by the names
/// of its members: `struct { seq; timekeeper; }`.
pub fn parse_type(types: &Types, text: &str) -> Option<TypeId> {
    let mut parser = Parser { types, rest: text.trim_start(), depth: 0 };
    let ty = parser.type_name()?;
    parser.rest.is_empty().then_some(ty)
}

struct Parser<'a> {
    types: &'a Types,
    /// What is still to be read, without leading blanks.
    rest: &'a str,
    depth: u32,
}

/// What stands around a declarator, to be applied from the specifier outwards.
enum Derivation {
    Pointer,
    Qualified(Qualifier),
    Array(u64),
    Function(Box<[Param]>, bool),
}

impl<'a> Parser<'a> {
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest.starts_with(token);
        if found {
            self.skip(token.len());
        }
        found
    }

    fn peek_word(&self) -> &'a str {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        &self.rest[..end]
    }

    fn word(&mut self) -> Option<&'a str> {
        let word = self.peek_word();
        self.skip(word.len());
        (!word.is_empty()).then_some(word)
    }

    fn qualifier(&mut self) -> Option<Qualifier> {
        let word = self.peek_word();
        let qualifier = match word {
            "const" => Qualifier::Const,
            "volatile" => Qualifier::Volatile,
            "restrict" | "__restrict" => Qualifier::Restrict,
            _ => return None,
        };
        self.skip(word.len());
        Some(qualifier)
    }

    fn type_name(&mut self) -> Option<TypeId> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut ty = self.specifier()?;
        let mut derivations = Vec::new();
        self.declarator(&mut derivations)?;
        for derivation in derivations {
            ty = match derivation {
                Derivation::Pointer => self.types.pointer_to(ty),
                Derivation::Array(count) => self.types.array_of(ty, count),
                Derivation::Qualified(qualifier) => self.types.qualify(ty, qualifier),
                Derivation::Function(params, variadic) => {
                    self.types.add(Type::Function { result: ty, params, variadic })
                }
            };
        }
        self.depth -= 1;
        Some(ty)
    }

    fn specifier(&mut self) -> Option<TypeId> {
        let mut qualifiers = Vec::new();
        let mut base = None;
        loop {
            if let Some(qualifier) = self.qualifier() {
                qualifiers.push(qualifier);
            } else if base.is_none() && !self.peek_word().is_empty() {
                base = Some(self.base()?);
            } else {
                break;
            }
        }
        let qualify = |ty, qualifier| self.types.qualify(ty, qualifier);
        Some(qualifiers.into_iter().fold(base?, qualify))
    }

    fn base(&mut self) -> Option<TypeId> {
        let kind = match self.peek_word() {
            "struct" => Kind::Struct,
            "union" => Kind::Union,
            "enum" => Kind::Enum,
            "void" => {
                self.word();
                return Some(TypeId::VOID);
            }
            word if is_integer_word(word) => return self.integer(),
            _ => return self.types.find(Kind::Typedef, self.word()?),
        };
        self.word();
        if self.eat("{") {
            return self.anonymous(kind);
        }
        self.types.find(kind, self.word()?)
    }

    /// A base type in any order of its words.
    fn integer(&mut self) -> Option<TypeId> {
        let mut words = Vec::new();
        while is_integer_word(self.peek_word()) && words.len() < 5 {
            words.push(self.word()?);
        }
        let count = |word: &str| words.iter().filter(|&&w| w == word).count();
        let unsigned = count("unsigned") > 0;
        let name = match (count("char"), count("short"), count("long"), unsigned) {
            (1.., ..) if unsigned => "unsigned char",
            (1.., ..) if count("signed") > 0 => "signed char",
            (1.., ..) => "char",
            (_, 1.., _, false) => "short int",
            (_, 1.., _, true) => "short unsigned int",
            (_, _, 1, false) => "long int",
            (_, _, 1, true) => "long unsigned int",
            (_, _, 2.., false) => "long long int",
            (_, _, 2.., true) => "long long unsigned int",
            (_, _, 0, false) => "int",
            (_, _, 0, true) => "unsigned int",
        };
        let other = match name {
            "short int" => "short",
            "short unsigned int" => "unsigned short",
            "long int" => "long",
            "long unsigned int" => "unsigned long",
            "long long int" => "long long",
            "long long unsigned int" => "unsigned long long",
            name => name,
        };
        // gcc writes the first form into debug information, clang the second.
        let find = |name| self.types.find(Kind::Typedef, name);
        find(name).or_else(|| find(other))
    }

    fn anonymous(&mut self, kind: Kind) -> Option<TypeId> {
        let mut members = Vec::new();
        while !self.eat("}") {
            members.push(self.word()?);
            if !self.eat(";") {
                return None;
            }
        }
        self.types.anonymous(kind, &members)
    }

    /// An abstract declarator: pointers bind weaker than the arrays and parameters after them.
    fn declarator(&mut self, out: &mut Vec<Derivation>) -> Option<()> {
        while self.eat("*") {
            out.push(Derivation::Pointer);
            while let Some(qualifier) = self.qualifier() {
                out.push(Derivation::Qualified(qualifier));
            }
        }
        let mut inner = Vec::new();
        if self.rest.starts_with("(") && self.rest[1..].trim_start().starts_with(['*', '(']) {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            self.eat("(");
            self.declarator(&mut inner)?;
            if !self.eat(")") {
                return None;
            }
            self.depth -= 1;
        }
        let mut suffixes = Vec::new();
        loop {
            if self.eat("[") {
                let count = match self.peek_word() {
                    "" => 0,
                    digits => digits.parse().ok()?,
                };
                self.skip(self.peek_word().len());
                if !self.eat("]") {
                    return None;
                }
                suffixes.push(Derivation::Array(count));
            } else if self.eat("(") {
                let (params, variadic) = self.parameters()?;
                suffixes.push(Derivation::Function(params, variadic));
            } else {
                break;
            }
        }
        out.extend(suffixes.into_iter().rev());
        out.extend(inner);
        Some(())
    }

    fn parameters(&mut self) -> Option<(Box<[Param]>, bool)> {
        let mut params = Vec::new();
        if self.eat(")") {
            return Some((params.into(), false));
        }
        loop {
            if self.eat("...") {
                return self.eat(")").then(|| (params.into(), true));
            }
            let ty = self.type_name()?;
            params.push(Param { name: crate::types::Name::NONE, ty });
            if self.eat(")") {
                break;
            }
            if !self.eat(",") {
                return None;
            }
        }
        // `(void)` has no parameter.
        if matches!(params.as_slice(), [Param { ty: TypeId::VOID, .. }]) {
            params.clear();
        }
        Some((params.into(), false))
    }
}

fn is_integer_word(word: &str) -> bool {
    matches!(word, "char" | "short" | "int" | "long" | "unsigned" | "signed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Composite, CompositeKind, Member};

    fn types() -> Types {
        let types = Types::new(8);
        let mut index = Vec::new();
        for (name, size, signed) in
            [("int", 4, true), ("long unsigned int", 8, false), ("char", 1, true)]
        {
            let name = types.add_name(name);
            let id = types.add(Type::Int { name, size, signed, char: size == 1, bool: false });
            index.push((Kind::Typedef, name, id));
        }
        let member = |name: &str, bit_offset| Member {
            name: types.add_name(name),
            ty: TypeId(1),
            bit_offset,
            bit_size: 0,
        };
        for (tag, members) in [
            ("rq", Box::new([member("cpu", 0)]) as Box<[Member]>),
            ("", Box::new([member("seq", 0), member("timekeeper", 32)])),
        ] {
            let name = types.add_name(tag);
            let kind = CompositeKind::Struct;
            let id = types.add(Type::Composite(Composite { kind, name, size: 8, members }));
            index.push((Kind::Struct, name, id));
        }
        types.index(index);
        types
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let types = types();
        for (text, canonical) in [
            ("int", "int"),
            ("unsigned long", "long unsigned int"),
            ("struct rq*", "struct rq *"),
            ("const char * const [4]", "const char *const [4]"),
            ("struct rq (*)[3][5]", "struct rq (*)[3][5]"),
            ("int (*[8])(struct rq *, ...)", "int (*[8])(struct rq *, ...)"),
            ("void (**)(void)", "void (**)(void)"),
            ("char []", "char []"),
        ] {
            let id = parse_type(&types, text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(types.display(id), canonical, "{text}");
        }
        let array = parse_type(&types, "struct rq [3][5]").unwrap();
        assert_eq!(types.size_of(array), Some(120));
    }

    #[test]
    fn an_anonymous_struct_is_known_by_its_members() {
        let types = types();
        let id = parse_type(&types, "struct { seq; timekeeper; }").unwrap();
        assert_eq!(types.member(id, "timekeeper").unwrap().offset(), 4);
        assert_eq!(parse_type(&types, "struct { seq; }"), None);
    }

    #[test]
    fn nonsense_names_no_type() {
        let types = types();
        let deep = "(*".repeat(1000);
        for text in
            ["", "struct", "rq", "struct no", "int )", "int [x]", "int (*", "*", &deep, "int é"]
        {
            assert_eq!(parse_type(&types, text), None, "{text}");
        }
    }

    #[test]
    fn the_same_pointer_is_made_once() {
        let types = types();
        let first = parse_type(&types, "const struct rq *[2]");
        let len = types.len();
        assert_eq!(parse_type(&types, "const struct rq *[2]"), first);
        assert_eq!(types.len(), len);
    }
}
