//! The conditions on the ways to an instruction: why control came to a trap.

use necropsy_disasm::{
    Flow,
    effects::{Assignment, Condition, Expression, Flags},
};
use necropsy_dump::Reason;
use necropsy_lexicon::value::MAX_ERRNO;
use necropsy_machine::{
    Reg,
    dataflow::{Evaluator, Function, Lost, Origin},
};

use super::{
    code::location,
    explanation::{Comparison, Doubt, Held, Likelihood, Operand, Way},
    naming::Named,
    slicer::Slicer,
};

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
            let compare = insn
                .effects
                .condition
                .map(|condition| if taken { condition } else { condition.negated() })
                .and_then(|condition| comparison(function, *from, condition));
            // What WARN_ONCE asks of itself is not the condition: that stands before it.
            if compare.as_ref().is_some_and(|compare| is_own_flag(function, compare, &longer)) {
                if todo.len() < MAX_WAYS * 4 {
                    todo.push(longer);
                }
                continue;
            }
            longer.reverse();
            longer.pop();
            found.push(Path { instructions: longer, taken, compare });
        }
    }
    found.sort_by_key(|path| path.instructions.first().copied());
    found
}

/// Whether a comparison is that of a byte at a fixed place which the code behind it sets, and which
/// so is true only once (include/linux/once_lite.h).
fn is_own_flag(function: &Function, compare: &Compare, way: &[u64]) -> bool {
    let flag = [&compare.left, &compare.right].into_iter().find_map(|side| match side {
        Expression::Load { memory, .. }
            if memory.base.is_none() && memory.index.is_none() && memory.size_bytes == 1 =>
        {
            Some(memory.displacement)
        }
        _ => None,
    });
    let sets = |at: &u64| {
        let insn = function.instruction(*at);
        insn.is_some_and(|insn| {
            insn.effects.assignments.iter().any(|assignment| {
                matches!(assignment, Assignment::Memory { memory, value: Expression::Constant(1) }
                    if Some(memory.displacement) == flag && memory.base.is_none())
            })
        })
    };
    flag.is_some() && way.iter().any(sets)
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

/// A way as it is shown. The first of the slicer's contexts has the state of this way.
pub(super) fn judge(slicer: &Slicer<'_>, path: &Path) -> Option<Way> {
    let evaluator = &slicer.contexts.first()?.evaluator;
    let branch = slicer.listed(*path.instructions.first()?)?;
    let compare = path.compare.as_ref();
    let (verdict, why) = match (consistency(evaluator), compare) {
        (Err(why), _) => (Likelihood::Contradicted, Some(why)),
        (Ok(_), Some(compare)) => verdict(slicer, evaluator, compare),
        (Ok(_), None) => (Likelihood::Unknown, None),
    };
    Some(Way {
        branch,
        taken: path.taken,
        compare: compare.and_then(|compare| slicer.listed(compare.at)),
        condition: compare.map(|compare| as_compared(slicer, compare)),
        verdict,
        why,
    })
}

/// Whether the registers and the stack bear out that control came this way: of places that must
/// hold the same value then. `Err` names two that do not; `Ok` the registers that do, and what
/// they would then hold.
pub(super) fn consistency(evaluator: &Evaluator<'_>) -> Result<Vec<(Reg, Origin)>, Doubt> {
    let state = &evaluator.state;
    let mut borne_out = Vec::new();
    let abi = state.abi();
    for reg in abi.general.iter().copied().filter(|reg| *reg != abi.stack_pointer) {
        let origin = state.register(reg);
        let Some(value) = evaluator.regs.get(reg).filter(|_| origin != Origin::Unknown) else {
            continue;
        };
        let register = reg.name();
        let contradicts = |other, held| Doubt::Unequal { register, value, other, held };
        for other in state.registers_with(origin) {
            if let Some(held) = evaluator.regs.get(other).filter(|held| *held != value) {
                return Err(contradicts(Held::Register(other.name()), held));
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
                    return Err(contradicts(Held::Stack(address), held));
                }
                _ => {}
            }
        }
        if let Origin::Constant(constant) = origin
            && constant != value
        {
            return Err(Doubt::NotConstant { register, constant, value });
        }
    }
    Ok(borne_out)
}

fn verdict(
    slicer: &Slicer<'_>,
    evaluator: &Evaluator<'_>,
    compare: &Compare,
) -> (Likelihood, Option<Doubt>) {
    let left = evaluator.expression(compare.at, &compare.left);
    let right = evaluator.expression(compare.at, &compare.right);
    for lost in [left.err(), right.err()].into_iter().flatten() {
        // What is not mapped cannot have been read; what the dump leaves out can.
        if let Lost::Fault(fault) = lost
            && matches!(fault.reason, Reason::NotMapped { .. } | Reason::BadAddress)
        {
            let at = location(slicer.case.kernel, compare.at);
            let why = Doubt::NothingThere { at, address: fault.address };
            return (Likelihood::Contradicted, Some(why));
        }
    }
    let (Ok(left), Ok(right)) = (left, right) else { return (Likelihood::Unknown, None) };
    let loaded = left.certainty.is_loaded() || right.certainty.is_loaded();
    let (left, right) = (left.value, right.value);
    let values = |fulfil| Some(Doubt::Values { left, right, loaded, fulfil });
    match compare.condition.holds(left, right, compare.bytes) {
        Some(true) => (Likelihood::Holds, values(true)),
        // Memory may have changed since.
        Some(false) if loaded => (Likelihood::Unknown, values(false)),
        Some(false) => (Likelihood::Contradicted, values(false)),
        None => (Likelihood::Unknown, None),
    }
}

/// A comparison by the names of what is compared.
pub(super) fn as_compared(slicer: &Slicer<'_>, compare: &Compare) -> Comparison {
    let operand = |value: &Expression| {
        let Named { text, .. } = slicer.expression(0, compare.at, value, 0);
        match (text, value) {
            (Some(text), _) => Operand::Named(text),
            (None, Expression::Constant(value)) => {
                Operand::Constant { value: *value, bytes: compare.bytes }
            }
            (None, Expression::Register { register, bytes, .. }) => {
                Operand::Register { name: register.name(), part: *bytes < 8 }
            }
            (None, Expression::Load { memory, .. }) => Operand::Memory(memory.size_bytes),
            _ => Operand::Computed,
        }
    };
    let limit = matches!(compare.right, Expression::Constant(value)
        if value == 4096u64.wrapping_neg() || value == MAX_ERRNO.wrapping_neg());
    let unsigned = compare.bytes == 8 && !compare.condition.signed();
    let is_error = match compare.condition {
        Condition::Above | Condition::AboveOrEqual => Some(true),
        Condition::Below | Condition::BelowOrEqual => Some(false),
        _ => None,
    };
    Comparison {
        left: operand(&compare.left),
        condition: compare.condition,
        right: operand(&compare.right),
        is_error: is_error.filter(|_| limit && unsigned),
    }
}
