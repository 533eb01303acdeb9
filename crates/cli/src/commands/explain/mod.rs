//! Why a register has the value it has.

mod cause;
mod freelist;
mod looks;
mod members;
mod names;
mod naming;
mod places;
mod row;
mod scene;
mod story;
mod trap;
mod ways;

use std::collections::HashSet;

use necropsy_disasm::{Arch, MemoryOperand};
use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{
    Reg,
    dataflow::Origin,
    unwind::{Frame, Trace},
};

use crate::{
    CommandError, Outcome,
    frames::{self, Numbered},
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Faults, Hex, Output},
    session::Session,
    tasks::{self, Header},
};
use cause::Trouble;
use names::Names;
use places::{code_at, control, formula, frame_function, is_canonical, listed};
use row::Row;
use story::Teller;

pub(crate) static COMMAND: Command = Command {
    names: &["explain"],
    summary: "why a register has the value it has",
    synopsis: "[-t task] [frame]",
    options: &[Opt {
        flag: "-t",
        value: Some("task"),
        help: "of this task: pid, task_struct address or command name",
    }],
    args: &[Arg::Number],
    description: "\
Follows the value that made an instruction fail back to where it came from: through the function's
code to its arguments, and on into its callers. Without arguments: the frame that was selected with
frame, else the innermost exception of the task that was set, at first the one that panicked. A
number is a frame of bt: of an interrupted one its instruction is explained, of any other the
arguments of its function.

For an access to memory the address is judged, and the registers that it was made of are followed;
for a BUG or WARN the conditions that lead to it, and what they compared; for a division the
divisor. Where several ways lead to a trap, those that the registers contradict are marked.

Each step names a value as the source would (`sfd->id`), from the types in the dump, and says how
its value is known: in a register, on the stack, a constant of the code, computed from such values,
or recomputed from memory as it is in the dump now, which may be another than the code saw; where a
register still holds what was read, memory is compared with it. What is lost is said to be lost,
and why. What is likely and not proved is marked as inferred.",
    examples: &[
        Example { about: "The exception that ended it all.", line: "explain", output: "" },
        Example { about: "The arguments of the second function.", line: "explain 1", output: "" },
    ],
    run,
};

/// Functions by which a dying kernel leaves: their registers explain nothing.
const LEAVING: [&str; 7] = [
    "__crash_kexec",
    "crash_kexec",
    "panic",
    "vpanic",
    "nmi_panic",
    "crash_setup_regs",
    "machine_crash_shutdown",
];

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let task = match parsed.value("-t") {
        Some(word) => {
            let chosen = tasks::select(kernel, &[word.to_owned()])?;
            *chosen.first().ok_or_else(|| CommandError::failed(format!("{word}: no such task")))?
        }
        None => session.context(kernel)?,
    };
    let wanted = match parsed.arg(0) {
        Some(text) => Some(usize::try_from(session.number(text)?).unwrap_or(usize::MAX)),
        None => None,
    };
    let selected = session.frame.filter(|(of, _)| *of == task.address).map(|(_, number)| number);
    let trace = task.trace()?;
    // bt counts inlined functions, too; what is explained are frames on the stack.
    let numbered = frames::numbered(kernel, &trace.frames);
    let wanted = match wanted.or(selected) {
        Some(wanted) => Some(numbered.get(wanted).map(|at| at.physical).ok_or_else(|| {
            CommandError::failed(format!("the task has {} frames: see bt", numbered.len()))
        })?),
        None => None,
    };
    let mut faults = Faults::default();
    let header = Header::new(task, &mut faults);
    let mut row = explain(kernel, task, &trace, wanted, header, faults);
    row.renumber(&|physical| {
        let own = |at: &Numbered| at.physical == physical && !at.inlined && at.jumped.is_none();
        numbered.iter().position(own).unwrap_or(physical)
    });
    out.record(&row, |line| row.write(line))
}

/// An explanation that has only begun.
fn empty(header: Header, faults: Faults) -> Row {
    Row {
        header,
        frame: None,
        kind: "none",
        instruction: None,
        what: String::new(),
        address: None,
        ways: Vec::new(),
        steps: Vec::new(),
        arguments: Vec::new(),
        notes: Vec::new(),
        faults,
    }
}

fn explain(
    kernel: &Kernel,
    task: Task<'_>,
    trace: &Trace,
    wanted: Option<usize>,
    header: Header,
    faults: Faults,
) -> Row {
    let mut row = empty(header, faults);
    let names = names::Debug(names::Btf(kernel));
    let frames = &trace.frames;
    let of_frames: Vec<String> = frames.iter().map(|frame| frame_function(kernel, frame)).collect();
    let leaving = |name: &String| LEAVING.contains(&name.as_str());
    let chosen = wanted.or_else(|| {
        let exception = |(index, frame): (usize, &Frame)| {
            (frame.saved_regs && !of_frames.get(index).is_some_and(leaving)).then_some(index)
        };
        frames.iter().enumerate().find_map(exception)
    });
    let Some(index) = chosen else {
        // Nobody was interrupted: panic() was called.
        match of_frames.iter().rposition(leaving) {
            Some(last) if last + 1 < frames.len() => {
                panicked(kernel, task, &names, trace, last, &mut row);
            }
            _ => {
                row.what = "No exception interrupted this task, and it called no panic: there is \
                            no bad value to explain. A frame's arguments are explained by its \
                            number."
                    .into();
            }
        }
        return row;
    };
    let frame = &frames[index];
    row.frame = Some(index);
    row.instruction = listed(kernel, &names, control(kernel, frame));
    let gs_base = task.cpu().ok().and_then(|cpu| kernel.per_cpu_offset(cpu));
    if !frame.interrupted {
        row.kind = "call";
        row.what = format!("A call in progress: what {} was called with.", of_frames[index]);
        match scene::contexts(kernel, frames, index, gs_base) {
            Ok(contexts) => {
                let mut teller = Teller::new(kernel, &names, &contexts, task);
                tell_arguments(&mut teller, &names);
                row.arguments = teller.steps;
            }
            Err(why) => row.notes.push(why),
        }
        return row;
    }
    let bytes = code_at(kernel, frame.pc);
    let trouble = cause::find(kernel, frame, &bytes, &of_frames[..index], gs_base);
    if let Trouble::Jump { why } = &trouble {
        row.kind = "bad_jump";
        row.address = Some(Hex(frame.pc));
        row.what = format!("Control came to {:016x}: {why}.", frame.pc);
        bad_jump(kernel, task, &names, trace, index, gs_base, &mut row);
        return row;
    }
    let mut contexts = match scene::contexts(kernel, frames, index, gs_base) {
        Ok(contexts) => contexts,
        Err(why) => {
            row.notes.push(format!("{why}: no value can be followed"));
            Vec::new()
        }
    };
    let mut told = HashSet::new();
    match trouble {
        Trouble::Trap { warning } => {
            row.kind = if warning { "warning" } else { "bug" };
            let what = if warning { "A WARN" } else { "A BUG" };
            row.what = format!("{what}: a condition that the code checks for.");
            told = trap::tell(kernel, task, &names, &mut contexts, frame.pc, &mut row);
        }
        Trouble::Division => {
            row.kind = "divide";
            row.what = "A division: its divisor is zero, or its result too large.".into();
            let mut teller = Teller::new(kernel, &names, &contexts, task);
            let divisor = necropsy_disasm::effects(Arch::X86_64, &bytes, frame.pc)
                .and_then(|effects| effects.divisor);
            if let Some(divisor) = divisor {
                teller.tell_expression(0, frame.pc, "divisor", &divisor, 0);
            }
            told = teller.told();
            row.steps = teller.steps;
        }
        Trouble::Access { operand, address, why, kind } => {
            row.kind = kind;
            row.address = Some(Hex(address));
            let verb = if operand.write { "writes" } else { "reads" };
            let size = match operand.size_bytes {
                0 => String::new(),
                1 => " 1 byte".into(),
                size => format!(" {size} bytes"),
            };
            let made = formula(&operand, frame);
            row.what = format!("It {verb}{size} at {address:016x}{made}: {why}.");
            let mut teller = Teller::new(kernel, &names, &contexts, task);
            if let Some(name) = teller.operand_name(frame.pc, &operand) {
                row.what.push_str(&format!(" The source would call it {name}."));
            }
            if operand.base.is_none() && operand.index.is_none() {
                row.what.push_str(" The address is a constant of the code.");
            }
            tell_registers(&mut teller, &operand, contexts.first());
            told = teller.told();
            row.steps = teller.steps;
            row.notes.extend(mangled(kernel, &row.steps));
        }
        Trouble::Interrupt { by } => {
            row.kind = "interrupt";
            row.what = format!(
                "An interrupt ({by}) came here: the instruction did nothing wrong, and there is no \
                 bad value."
            );
            let panic = of_frames[..index].iter().rposition(leaving);
            if let Some(by) = panic.and_then(|panic| of_frames.get(panic + 1)) {
                row.notes.push(format!("within the interrupt {by} called panic() on purpose"));
            }
        }
        Trouble::Nothing | Trouble::Jump { .. } => {
            row.kind = "none";
            row.what = "Nothing is wrong with what the instruction accesses, as the dump has it \
                        now: a protection fault, memory that was mapped since, or no fault at all."
                .into();
            let operands = necropsy_disasm::memory_operands(Arch::X86_64, &bytes, frame.pc);
            let mut teller = Teller::new(kernel, &names, &contexts, task);
            for operand in &operands {
                tell_registers(&mut teller, operand, contexts.first());
            }
            told = teller.told();
            row.steps = teller.steps;
        }
    }
    let mut teller = Teller::new(kernel, &names, &contexts, task);
    teller.skip(&told);
    tell_arguments(&mut teller, &names);
    row.arguments = teller.steps;
    row
}

/// Whether one of the values is a pointer of SLUB's free list that was written over.
fn mangled(kernel: &Kernel, steps: &[row::Step]) -> Option<String> {
    let of_type = |name: &str| {
        let found = steps.iter().find(|step| step.r#type.as_deref() == Some(name));
        found.and_then(|step| step.value)
    };
    let Hex(cache) = of_type("struct kmem_cache *")?;
    let wild = steps.iter().filter_map(|step| step.value);
    wild.filter(|value| !is_canonical(kernel, value.0))
        .find_map(|value| freelist::overwritten(kernel, cache, value.0))
}

/// Control came to no code: the pointer by which the caller called.
fn bad_jump(
    kernel: &Kernel,
    task: Task<'_>,
    names: &dyn Names,
    trace: &Trace,
    index: usize,
    gs_base: Option<u64>,
    row: &mut Row,
) {
    let contexts = match scene::contexts(kernel, &trace.frames, index + 1, gs_base) {
        Ok(contexts) => contexts,
        Err(why) => {
            row.notes.push(why);
            return;
        }
    };
    let Some(caller) = contexts.first() else { return };
    let Some(pointer) = scene::pointer(kernel, &caller.evaluator) else {
        row.notes.push("its caller calls no pointer: it returned or jumped there".into());
        return;
    };
    let at = caller.evaluator.at;
    let mut teller = Teller::new(kernel, names, &contexts, task);
    teller.tell_expression(0, at, "pointer", &pointer, 0);
    row.steps = teller.steps;
}

/// `panic()` was called on purpose: by whom, and with which text.
fn panicked(
    kernel: &Kernel,
    task: Task<'_>,
    names: &dyn Names,
    trace: &Trace,
    last: usize,
    row: &mut Row,
) {
    let caller = last + 1;
    let by = frame_function(kernel, &trace.frames[caller]);
    let panic = frame_function(kernel, &trace.frames[last]);
    row.kind = "panic";
    row.frame = Some(caller);
    row.instruction = listed(kernel, names, control(kernel, &trace.frames[caller]));
    row.what = format!(
        "{by} called {panic}() on purpose: no instruction failed, and there is no bad value."
    );
    let gs_base = task.cpu().ok().and_then(|cpu| kernel.per_cpu_offset(cpu));
    match scene::contexts(kernel, &trace.frames, last, gs_base) {
        Ok(contexts) => {
            let mut teller = Teller::new(kernel, names, &contexts, task);
            tell_arguments(&mut teller, names);
            row.arguments = teller.steps;
            row.notes.push(format!("the arguments are those of {panic}()"));
        }
        Err(why) => row.notes.push(format!("what {panic}() was called with is not known: {why}")),
    }
}

/// The registers that an address is made of.
fn tell_registers(
    teller: &mut Teller<'_>,
    operand: &MemoryOperand,
    context: Option<&scene::Context<'_>>,
) {
    let Some(context) = context else { return };
    for name in [operand.base, operand.index].into_iter().flatten() {
        if let Some(reg) = Reg::by_name(name) {
            teller.tell(0, name, context.before(reg), 0);
        }
    }
}

fn tell_arguments(teller: &mut Teller<'_>, names: &dyn Names) {
    let Some(context) = teller.contexts.first() else { return };
    for parameter in names.parameters(context.evaluator.function.start()) {
        let origin = Origin::Entry { register: parameter.register, bytes: 8 };
        let place = format!("{} ({})", parameter.name, parameter.register.name());
        teller.tell(0, &place, origin, 0);
    }
}
