//! What an instruction computes: enough to follow a value through a function, in either direction.
//!
//! The rule that makes this safe to build on: whatever is not modelled is [`Expression::Unknown`],
//! never left out.

use necropsy_lexicon::Reg;

use crate::{Flow, MemoryOperand};

/// An arithmetic operation on 64-bit values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Sum.
    Add,
    /// Difference.
    Subtract,
    /// Bits that both have.
    And,
    /// Bits that either has.
    Or,
    /// Bits that only one has.
    Xor,
    /// Product.
    Multiply,
    /// To the left, by less than 64.
    ShiftLeft,
    /// To the right, zeros coming in.
    ShiftRight,
    /// To the right, copies of the sign coming in.
    ShiftRightSigned,
}

impl Operation {
    /// The operator in C; the two shifts to the right differ by the type of their operand.
    pub fn symbol(self) -> &'static str {
        match self {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::And => "&",
            Operation::Or => "|",
            Operation::Xor => "^",
            Operation::Multiply => "*",
            Operation::ShiftLeft => "<<",
            Operation::ShiftRight | Operation::ShiftRightSigned => ">>",
        }
    }

    /// The result on 64-bit values; it wraps.
    pub fn apply(self, left: u64, right: u64) -> u64 {
        let count = (right & 63) as u32;
        match self {
            Operation::Add => left.wrapping_add(right),
            Operation::Subtract => left.wrapping_sub(right),
            Operation::And => left & right,
            Operation::Or => left | right,
            Operation::Xor => left ^ right,
            Operation::Multiply => left.wrapping_mul(right),
            Operation::ShiftLeft => left << count,
            Operation::ShiftRight => left >> count,
            Operation::ShiftRightSigned => ((left as i64) >> count) as u64,
        }
    }
}

/// A 64-bit value in terms of the machine's state *before* the instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// The low `bytes` of a general register, extended to 64 bits.
    Register {
        /// Which.
        register: Reg,
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// By the sign; else by zeros.
        signed: bool,
    },
    /// A constant.
    Constant(u64),
    /// What lies in memory, extended to 64 bits.
    Load {
        /// Where, and how many bytes.
        memory: MemoryOperand,
        /// By the sign; else by zeros.
        signed: bool,
    },
    /// The address of an operand (`lea`): nothing is read.
    Address(MemoryOperand),
    /// Of two values.
    Binary(Operation, Box<Expression>, Box<Expression>),
    /// The low `bytes` of a value, extended to 64 bits.
    Extend {
        /// The value.
        value: Box<Expression>,
        /// 1, 2 or 4.
        bytes: u8,
        /// By the sign; else by zeros.
        signed: bool,
    },
    /// Not modelled.
    Unknown,
}

impl Expression {
    /// The whole of a register.
    pub fn register(register: Reg) -> Expression {
        Expression::Register { register, bytes: 8, signed: false }
    }

    /// `value` cut to `bytes` and extended by zeros, unless it is that already.
    pub(crate) fn cut(value: Expression, bytes: u8) -> Expression {
        if bytes >= 8 {
            return value;
        }
        let mask = (1u64 << (u32::from(bytes) * 8)) - 1;
        match value {
            Expression::Unknown => Expression::Unknown,
            Expression::Constant(constant) => Expression::Constant(constant & mask),
            Expression::Register { register, bytes: old, signed } => Expression::Register {
                register,
                bytes: old.min(bytes),
                signed: signed && old < bytes,
            }
            .cut_if_signed(bytes),
            Expression::Load { ref memory, signed: false }
                if memory.size_bytes <= u32::from(bytes) =>
            {
                value
            }
            value => Expression::Extend { value: Box::new(value), bytes, signed: false },
        }
    }

    fn cut_if_signed(self, bytes: u8) -> Expression {
        match self {
            Expression::Register { signed: true, .. } => {
                Expression::Extend { value: Box::new(self), bytes, signed: false }
            }
            value => value,
        }
    }

    /// Every memory operand that it loads from.
    pub fn loads(&self) -> Vec<&MemoryOperand> {
        let mut found = Vec::new();
        self.visit(&mut |expression| {
            if let Expression::Load { memory, .. } = expression {
                found.push(memory);
            }
        });
        found
    }

    /// Calls `see` on the expression and all of its parts.
    pub fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Expression)) {
        see(self);
        match self {
            Expression::Binary(_, left, right) => {
                left.visit(see);
                right.visit(see);
            }
            Expression::Extend { value, .. } => value.visit(see),
            _ => {}
        }
    }
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// The new value of a whole general register: what writes only a part of it in a way that is
    /// not modelled makes all of it unknown.
    Register {
        /// Which.
        register: Reg,
        /// Its value from now on.
        value: Expression,
    },
    /// The new content of memory, `memory.size_bytes` bytes; 0 stands for any number of them.
    Memory {
        /// Where.
        memory: MemoryOperand,
        /// Its low bytes are stored.
        value: Expression,
    },
}

/// What the flags say after an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flags {
    /// What they said before.
    Unchanged,
    /// How `left` compares with `right`, both `bytes` wide (`cmp`, `sub`).
    Compared {
        /// The first operand as Intel writes it, the last one as AT&T does.
        left: Expression,
        /// The other.
        right: Expression,
        /// Width: 1, 2, 4 or 8.
        bytes: u8,
    },
    /// How `value`, `bytes` wide, compares with zero; carry and overflow are clear (`test`,
    /// `and`, `or`, `xor`).
    Tested {
        /// The result that was looked at.
        value: Expression,
        /// Width: 1, 2, 4 or 8.
        bytes: u8,
    },
    /// Something else.
    Unknown,
}

/// The condition of a jump, as named in `jcc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Condition {
    Overflow,
    NoOverflow,
    Below,
    AboveOrEqual,
    Equal,
    NotEqual,
    BelowOrEqual,
    Above,
    Sign,
    NoSign,
    Parity,
    NoParity,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Greater,
}

impl Condition {
    /// What holds when this does not.
    #[must_use]
    pub fn negated(self) -> Condition {
        use Condition as C;
        match self {
            C::Overflow => C::NoOverflow,
            C::NoOverflow => C::Overflow,
            C::Below => C::AboveOrEqual,
            C::AboveOrEqual => C::Below,
            C::Equal => C::NotEqual,
            C::NotEqual => C::Equal,
            C::BelowOrEqual => C::Above,
            C::Above => C::BelowOrEqual,
            C::Sign => C::NoSign,
            C::NoSign => C::Sign,
            C::Parity => C::NoParity,
            C::NoParity => C::Parity,
            C::Less => C::GreaterOrEqual,
            C::GreaterOrEqual => C::Less,
            C::LessOrEqual => C::Greater,
            C::Greater => C::LessOrEqual,
        }
    }

    /// The operator in C between the operands of a comparison; `None` for overflow and parity.
    pub fn symbol(self) -> Option<&'static str> {
        use Condition as C;
        Some(match self {
            C::Below | C::Less => "<",
            C::AboveOrEqual | C::GreaterOrEqual => ">=",
            C::Equal => "==",
            C::NotEqual => "!=",
            C::BelowOrEqual | C::LessOrEqual => "<=",
            C::Above | C::Greater => ">",
            C::Sign => "<",
            C::NoSign => ">=",
            C::Overflow | C::NoOverflow | C::Parity | C::NoParity => return None,
        })
    }

    /// Whether the operands are compared as signed numbers.
    pub fn signed(self) -> bool {
        use Condition as C;
        matches!(
            self,
            C::Less | C::GreaterOrEqual | C::LessOrEqual | C::Greater | C::Sign | C::NoSign
        )
    }

    /// Whether it holds after `left` was compared with `right`, numbers of `bytes` bytes. `None`
    /// for what two numbers do not tell.
    pub fn holds(self, left: u64, right: u64, bytes: u8) -> Option<bool> {
        use Condition as C;
        let unused = 64 - u32::from(bytes.clamp(1, 8)) * 8;
        let (a, b) = (left << unused, right << unused);
        let (sa, sb) = (a as i64, b as i64);
        Some(match self {
            C::Below => a < b,
            C::AboveOrEqual => a >= b,
            C::Equal => a == b,
            C::NotEqual => a != b,
            C::BelowOrEqual => a <= b,
            C::Above => a > b,
            C::Less => sa < sb,
            C::GreaterOrEqual => sa >= sb,
            C::LessOrEqual => sa <= sb,
            C::Greater => sa > sb,
            C::Sign => (a.wrapping_sub(b) as i64) < 0,
            C::NoSign => (a.wrapping_sub(b) as i64) >= 0,
            C::Overflow | C::NoOverflow | C::Parity | C::NoParity => return None,
        })
    }
}

/// What an instruction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    /// Its length in bytes.
    pub length: u8,
    /// Where control goes next.
    pub flow: Flow,
    /// Target of a direct branch or call.
    pub target: Option<u64>,
    /// It is `ud2`: the kernel's BUG and WARN, of which the latter goes on behind it.
    pub traps: bool,
    /// Its changes of general registers and memory. All their expressions speak of the state
    /// before the instruction. A call's are those up to the first instruction of the function
    /// called; what that function does is not among them.
    pub assignments: Vec<Assignment>,
    /// What it does to the flags.
    pub flags: Flags,
    /// On which condition it jumps, moves or sets.
    pub condition: Option<Condition>,
    /// The divisor of an integer division.
    pub divisor: Option<Expression>,
    /// Where an indirect jump or call leads to.
    pub indirect: Option<Expression>,
}

impl Effects {
    pub(crate) fn none() -> Effects {
        Effects {
            length: 0,
            flow: Flow::Next,
            target: None,
            traps: false,
            assignments: Vec::new(),
            flags: Flags::Unchanged,
            condition: None,
            divisor: None,
            indirect: None,
        }
    }
}
