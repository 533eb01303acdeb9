//! The conditions on the ways to an instruction: why control came to a trap.

use necropsy_disasm::{
    Flow,
    effects::{Condition, Expression, Flags},
};
use necropsy_dump::Reason;
use necropsy_target::{
    Reg,
    dataflow::{Evaluator, Function, Lost, Origin},
};

use super::{naming::Named, places::location, row::Way, story::Teller};

/// The most ways that are looked at.
const MAX_WAYS: usize = 8;

/// The longest way back to a condition, in instructions.
const MAX_LENGTH: usize = 200;

/// How far before a jump its comparison is looked for.
const MAX_DISTANCE: usize = 24;

/// A way from a conditional jump to the instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// The jump, and all that was executed between it and the instruction.
    pub(super) instructions: Vec<u64>,
    pub(super) taken: bool,
    pub(super) compare: Option<Compare>,
}

/// What a conditional jump looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compare {
    pub(super) at: u64,
    pub(super) left: Expression,
    pub(super) right: Expression,
    pub(super) bytes: u8,
    /// What held on this way.
    pub(super) condition: Condition,
}

/// The ways to `pc`, each from the last conditional jump on it.
pub(super) fn find(function: &Function, pc: u64) -> Vec<Path> {
    let mut found = Vec::new();
    // Backwards from `pc`, which is not part of the way.
    let mut todo = vec![vec![pc]];
    while let Some(way) = todo.pop() {
        let Some(first) = way.last().copied() else { continue };
        if way.len() > MAX_LENGTH || found.len() >= MAX_WAYS {
            continue;
        }
        for from in function.code().before(first) {
            let Some(insn) = function.instruction(*from) else { continue };
            if way.contains(from) || insn.effects.traps {
                continue;
            }
            let mut longer = way.clone();
            longer.push(*from);
            if insn.effects.flow != Flow::ConditionalJump {
                if todo.len() < MAX_WAYS * 4 {
                    todo.push(longer);
                }
                continue;
            }
            let taken = insn.end != first;
            longer.reverse();
            longer.pop();
            let compare = insn
                .effects
                .condition
                .map(|condition| if taken { condition } else { condition.negated() })
                .and_then(|condition| comparison(function, *from, condition));
            found.push(Path { instructions: longer, taken, compare });
        }
    }
    found.sort_by_key(|path| path.instructions.first().copied());
    found
}

/// What the flags at `jump` were made of.
fn comparison(function: &Function, jump: u64, condition: Condition) -> Option<Compare> {
    let mut at = jump;
    for _ in 0..MAX_DISTANCE {
        let [before] = function.code().before(at) else { return None };
        at = *before;
        let insn = function.instruction(at)?;
        if insn.effects.flow == Flow::Call {
            return None;
        }
        match &insn.effects.flags {
            Flags::Unchanged => {}
            Flags::Compared { left, right, bytes } => {
                let (left, right, bytes) = (left.clone(), right.clone(), *bytes);
                return Some(Compare { at, left, right, bytes, condition });
            }
            Flags::Tested { value, bytes } => {
                let (left, right) = (value.clone(), Expression::Constant(0));
                return Some(Compare { at, left, right, bytes: *bytes, condition });
            }
            Flags::Unknown => return None,
        }
    }
    None
}

/// A way as it is shown. The first of the teller's contexts has the state of this way.
pub(super) fn judge(teller: &Teller<'_>, path: &Path) -> Option<Way> {
    let evaluator = &teller.contexts.first()?.evaluator;
    let branch = teller.listed(*path.instructions.first()?)?;
    let compare = path.compare.as_ref();
    let (verdict, why) = match (consistency(evaluator), compare) {
        (Err(why), _) => ("contradicted", Some(why)),
        (Ok(_), Some(compare)) => verdict(teller, evaluator, compare),
        (Ok(_), None) => ("unknown", None),
    };
    Some(Way {
        branch,
        taken: path.taken,
        compare: compare.and_then(|compare| teller.listed(compare.at)),
        condition: compare.map(|compare| in_words(teller, compare)),
        verdict,
        why,
    })
}

/// Whether the registers and the stack bear out that control came this way: of places that must
/// hold the same value then. `Err` names two that do not; `Ok` the registers that do, and what
/// they would then hold.
pub(super) fn consistency(evaluator: &Evaluator<'_>) -> Result<Vec<(Reg, Origin)>, String> {
    let state = &evaluator.state;
    let mut borne_out = Vec::new();
    let registers = || Reg::ALL[..16].iter().copied().filter(|reg| *reg != Reg::Rsp);
    for reg in registers() {
        let origin = state.register(reg);
        let Some(value) = evaluator.regs.get(reg).filter(|_| origin != Origin::Unknown) else {
            continue;
        };
        let contradicts = |other: &str, held: u64| {
            format!("%{} and {other} would be equal, and are {value:#x} and {held:#x}", reg.name())
        };
        for other in state.registers_with(origin) {
            if let Some(held) = evaluator.regs.get(other).filter(|held| *held != value) {
                return Err(contradicts(&format!("%{}", other.name()), held));
            }
        }
        for offset in state.slots_with(origin) {
            let Some(address) = evaluator.cfa.and_then(|cfa| cfa.checked_add_signed(offset)) else {
                continue;
            };
            match evaluator.target.read_u64(address) {
                // Small numbers are equal by accident.
                Ok(held) if held == value && value > 1 << 32 => borne_out.push((reg, origin)),
                Ok(held) if held != value => {
                    return Err(contradicts(&format!("the stack at {address:x}"), held));
                }
                _ => {}
            }
        }
        if let Origin::Constant(constant) = origin
            && constant != value
        {
            return Err(format!("%{} would be {constant:#x}, and is {value:#x}", reg.name()));
        }
    }
    Ok(borne_out)
}

fn verdict(
    teller: &Teller<'_>,
    evaluator: &Evaluator<'_>,
    compare: &Compare,
) -> (&'static str, Option<String>) {
    let left = evaluator.expression(compare.at, &compare.left);
    let right = evaluator.expression(compare.at, &compare.right);
    for lost in [left.err(), right.err()].into_iter().flatten() {
        // What is not mapped cannot have been read; what the dump leaves out can.
        if let Lost::Fault(fault) = lost
            && matches!(fault.reason, Reason::NotMapped { .. } | Reason::BadAddress)
        {
            let at = location(teller.kernel, compare.at);
            let why = format!("{at} would have read {:#x}, where nothing is", fault.address);
            return ("contradicted", Some(why));
        }
    }
    let (Ok(left), Ok(right)) = (left, right) else { return ("unknown", None) };
    let loaded = left.certainty.is_loaded() || right.certainty.is_loaded();
    let suffix = if loaded { " (memory as it is now)" } else { "" };
    let values = format!("{:#x} and {:#x}{suffix}", left.value, right.value);
    match compare.condition.holds(left.value, right.value, compare.bytes) {
        Some(true) => ("holds", Some(values)),
        // Memory may have changed since.
        Some(false) if loaded => ("unknown", Some(format!("not with {values}"))),
        Some(false) => ("contradicted", Some(format!("not with {values}"))),
        None => ("unknown", None),
    }
}

/// `ipc_obtain_object_idr() > -4096 unsigned: an error pointer`.
pub(super) fn in_words(teller: &Teller<'_>, compare: &Compare) -> String {
    let named = |value: &Expression| teller.expression(0, compare.at, value, 0);
    let text = |named: &Named, value: &Expression| match (&named.text, value) {
        (Some(text), _) => text.clone(),
        (None, Expression::Constant(value)) => constant(*value, compare.bytes),
        (None, Expression::Register { name, bytes, .. }) => {
            format!("%{name}{}", if *bytes < 8 { " (low part)" } else { "" })
        }
        (None, Expression::Load { memory, .. }) => format!("{} bytes of memory", memory.size_bytes),
        _ => "a computed value".into(),
    };
    let left = text(&named(&compare.left), &compare.left);
    let right = text(&named(&compare.right), &compare.right);
    let Some(symbol) = compare.condition.symbol() else {
        return format!("{:?} of {left} and {right}", compare.condition);
    };
    let mut words = format!("{left} {symbol} {right}");
    let limit = matches!(compare.right, Expression::Constant(value)
        if value == 4096u64.wrapping_neg() || value == 4095u64.wrapping_neg());
    if limit && compare.bytes == 8 && !compare.condition.signed() {
        match compare.condition {
            Condition::Above | Condition::AboveOrEqual => {
                words.push_str(": it is an error (IS_ERR)")
            }
            Condition::Below | Condition::BelowOrEqual => words.push_str(": it is no error"),
            _ => {}
        }
    }
    words
}

fn constant(value: u64, bytes: u8) -> String {
    let unused = 64 - u32::from(bytes.clamp(1, 8)) * 8;
    let signed = ((value << unused) as i64) >> unused;
    match signed {
        -4096..0 => signed.to_string(),
        0..10 => signed.to_string(),
        _ => format!("{:#x}", value << unused >> unused),
    }
}
