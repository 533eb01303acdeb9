//! The analysis of one function.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

use necropsy_disasm::effects::{Assignment, Expression};
use necropsy_dump::Fault;

use super::{
    code::{Code, Insn},
    fixups,
    source::{Source, cold_owner},
    state::{Origin, State},
    transfer,
};
use crate::{Target, regs::Reg};

/// The most instructions that are interpreted for one function, repetitions included.
const MAX_STEPS: usize = 200_000;

/// The most instructions that a search for a path looks at.
const MAX_SEARCH: usize = 20_000;

/// No function that is looked through for what cannot be read is longer, in bytes.
const LONGEST: u64 = 64 << 10;

/// The most functions that are kept analysed.
const MAX_CACHED: usize = 2048;

/// A function with what is known before each of its instructions.
#[derive(Debug)]
pub struct Function {
    code: Code,
    /// The states at the leaders of the code.
    states: BTreeMap<u64, State>,
}

impl Function {
    /// Analyses the function that begins at `start`. `None` when its code cannot be followed from
    /// end to end.
    pub(super) fn analyse(source: &dyn Source, start: u64) -> Option<Function> {
        let code = Code::explore(source, start)?;
        let mut states = BTreeMap::from([(start, State::entry(source.architecture().abi()))]);
        let mut todo = BTreeSet::from([start]);
        let mut steps = 0usize;
        while let Some(leader) = todo.pop_first() {
            let mut state = states.get(&leader)?.clone();
            let mut at = leader;
            loop {
                steps += 1;
                if steps > MAX_STEPS {
                    return None;
                }
                let insn = code.instructions.get(&at)?;
                transfer::step(&mut state, at, insn);
                for fixup in code.fixups.iter().filter(|fixup| fixup.at == at) {
                    let mut faulted = state.clone();
                    let changed = code.architecture.abi().fixup_changes;
                    for register in changed.iter().chain([&fixup.register]) {
                        faulted.set(*register, Origin::Unknown);
                    }
                    enter(&mut states, &mut todo, fixup.to, &faulted);
                }
                match insn.next.as_slice() {
                    [next] if !code.leaders.contains(next) => at = *next,
                    all => {
                        for next in all {
                            enter(&mut states, &mut todo, *next, &state);
                        }
                        break;
                    }
                }
            }
        }
        let function = Function { code, states };
        function.code.indirect.iter().all(|at| function.leaves(*at)).then_some(function)
    }

    /// Whether an indirect jump is a call of another function at the end of this one, and no jump
    /// by a table: the frame is gone, and the address was not computed.
    fn leaves(&self, at: u64) -> bool {
        let (Some(state), Some(insn)) = (self.state_before(at), self.code.instructions.get(&at))
        else {
            return false;
        };
        let indexed = |value: &Expression| match value {
            Expression::Load { memory, .. } => memory.index.is_some(),
            Expression::Binary(..) | Expression::Extend { .. } | Expression::Unknown => true,
            _ => false,
        };
        let computed = match &insn.effects.indirect {
            Some(Expression::Register { register, .. }) => match state.register(*register) {
                Origin::Defined { at, register } => {
                    self.definition(at, register).is_none_or(indexed)
                }
                _ => false,
            },
            Some(value) => indexed(value),
            // By a thunk: the kernel has no tables of jumps where it has these.
            None => false,
        };
        state.stack_pointer() == Some(-state.abi().pushed) && !computed
    }

    /// Address of its first instruction.
    pub fn start(&self) -> u64 {
        self.code.start
    }

    /// Its instructions.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// What is known before the instruction at `address`.
    pub fn state_before(&self, address: u64) -> Option<State> {
        let (leader, state) = self.states.range(..=address).next_back()?;
        let (mut at, mut state) = (*leader, state.clone());
        while at != address {
            let insn = self.code.instructions.get(&at)?;
            if insn.end > address || insn.end <= at {
                return None;
            }
            transfer::step(&mut state, at, insn);
            at = insn.end;
        }
        Some(state)
    }

    /// What is known behind the instruction at `address`.
    pub fn state_behind(&self, address: u64) -> Option<State> {
        let mut state = self.state_before(address)?;
        let insn = self.code.instructions.get(&address)?;
        transfer::step(&mut state, address, insn);
        Some(state)
    }

    /// What is known in a frame: `pc` is the instruction that was interrupted, or where a call
    /// returns to.
    pub fn state_at(&self, pc: u64, interrupted: bool) -> Option<State> {
        if interrupted {
            return self.state_before(pc);
        }
        let (call, _) = self.code.call_before(pc)?;
        self.state_behind(call)
    }

    /// What is known behind the last of these instructions when control passed them in this
    /// order: on one path more is known than where paths meet.
    pub fn state_along(&self, path: &[u64]) -> Option<State> {
        let mut state = self.state_before(*path.first()?)?;
        for at in path {
            transfer::step(&mut state, *at, self.code.instructions.get(at)?);
        }
        Some(state)
    }

    /// The instruction at `address`, if it is reachable.
    pub fn instruction(&self, address: u64) -> Option<&Insn> {
        self.code.instructions.get(&address)
    }

    /// What the instruction at `at` puts into a register. `None` for what a call leaves in it.
    pub fn definition(&self, at: u64, register: Reg) -> Option<&Expression> {
        let insn = self.code.instructions.get(&at)?;
        if insn.effects.flow == necropsy_disasm::Flow::Call {
            return None;
        }
        insn.effects.assignments.iter().rev().find_map(|assignment| match assignment {
            Assignment::Register { register: to, value } if *to == register => Some(value),
            _ => None,
        })
    }

    /// The last instruction on the straight line to `address` that writes the register.
    pub fn writer_before(&self, address: u64, register: Reg) -> Option<u64> {
        let (leader, _) = self.states.range(..=address).next_back()?;
        self.code
            .instructions
            .range(*leader..address)
            .rev()
            .find(|(at, _)| self.definition(**at, register).is_some())
            .map(|(at, _)| *at)
    }

    /// Whether control may pass from `from` to `to` without executing the instruction at
    /// `without`, after at least one step.
    pub(super) fn reaches(&self, from: u64, to: u64, without: u64) -> bool {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        let mut first = true;
        while let Some(at) = todo.pop() {
            if !first && at == to {
                return true;
            }
            if !first && (at == without || !seen.insert(at)) {
                continue;
            }
            first = false;
            // What is too large to be searched may well be reached.
            if seen.len() > MAX_SEARCH {
                return true;
            }
            let Some(insn) = self.code.instructions.get(&at) else { continue };
            todo.extend(&insn.next);
            let fixups = self.code.fixups.iter().filter(|fixup| fixup.at == at);
            todo.extend(fixups.map(|fixup| fixup.to));
        }
        false
    }
}

fn enter(states: &mut BTreeMap<u64, State>, todo: &mut BTreeSet<u64>, at: u64, state: &State) {
    let changed = match states.get_mut(&at) {
        Some(known) => known.join(state, at),
        None => {
            states.insert(at, state.clone());
            true
        }
    };
    if changed {
        todo.insert(at);
    }
}

/// Functions that were analysed, by address; `None` for those that cannot be.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<u64, Option<Arc<Function>>>>);

impl Cache {
    fn get(&self, target: &Target, start: u64) -> Option<Arc<Function>> {
        let lock = || self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = lock().get(&start) {
            return known.clone();
        }
        let function = Function::analyse(target, start).map(Arc::new);
        let mut known = lock();
        if known.len() >= MAX_CACHED {
            known.clear();
        }
        known.insert(start, function.clone());
        function
    }
}

/// The register that the code at `address` jumps by, if it is a retpoline.
pub fn retpoline_register(target: &Target, address: u64) -> Option<Reg> {
    Source::thunk(target, address)
}

/// What of a function could not be read that an analysis of it needs: its code, or where it goes on
/// when it faults.
pub fn unread(target: &Target, start: u64) -> Option<Fault> {
    let size = target.locate(start)?.symbol.size.clamp(1, LONGEST);
    let code = target.read_bytes(start, size).err();
    code.or_else(|| fixups::within(target, start, start.saturating_add(size)).err())
}

/// The analysed function that begins at `start`.
pub fn beginning_at(target: &Target, start: u64) -> Option<Arc<Function>> {
    target.analyses::<Cache>()?.get(target, start)
}

/// The analysed function that holds `pc`: a part that was moved elsewhere (`name.cold`) belongs to
/// its function. Look up by the address before a return address.
pub fn function_of(target: &Target, pc: u64) -> Option<Arc<Function>> {
    let located = target.locate(pc).filter(|_| target.is_text(pc))?;
    let Some(owner) = cold_owner(located.symbol.name) else {
        return beginning_at(target, located.symbol.address);
    };
    // Several functions may have the name; one of them leads here.
    let holds = |function: &Function| {
        let (at, insn) = function.code.instructions.range(..=pc).next_back()?;
        (*at..insn.end).contains(&pc).then_some(())
    };
    let owners = located.image.symbols.all_by_name(owner);
    let mut found = owners
        .iter()
        .take(64)
        .filter_map(|owner| beginning_at(target, owner.address))
        .filter(|function| holds(function).is_some());
    let first = found.next()?;
    found.next().is_none().then_some(first)
}
