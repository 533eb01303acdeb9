//! The analyses of code against real kernels: what the kernel's own unwind table says of `rbp` must
//! come out of the code as well.

use std::{env, fs, path::PathBuf, time::Instant};

use necropsy_dump::{Dump, OpenOptions};
use necropsy_linux::Kernel;
use necropsy_machine::{
    Regs, Target,
    dataflow::{Evaluator, Holder, Origin, entry_value_holder, function_of},
    layout::Overrides,
    reg::x86_64::*,
    unwind::{FoundBy, Frame},
};

fn open(path: PathBuf) -> Option<Kernel> {
    let dump = Dump::open(&[path], OpenOptions::default()).ok()?;
    Some(Kernel::new(Target::open(dump, &Overrides::default())))
}

fn shipped(name: &str) -> Kernel {
    let dumps = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../cli/tests/dumps");
    open(dumps.join(name)).expect("a dump that the repository holds")
}

/// Every shipped dump, and those of `$NECROPSY_LAB/out`.
fn all() -> Vec<(String, Kernel)> {
    let mut found = Vec::new();
    for name in ["linux-5.10-deadlock", "linux-6.12-shm", "linux-7.2-null"] {
        found.push((name.to_owned(), shipped(&format!("{name}.kdump"))));
    }
    let Some(lab) = env::var_os("NECROPSY_LAB") else {
        eprintln!("SKIPPED: full-size dumps: NECROPSY_LAB is not set");
        return found;
    };
    let folders = fs::read_dir(PathBuf::from(lab).join("out")).into_iter().flatten().flatten();
    for path in folders.map(|folder| folder.path().join("vmcore")) {
        if let Some(kernel) = path.is_file().then(|| open(path.clone())).flatten() {
            found.push((path.display().to_string(), kernel));
        }
    }
    found
}

/// `rbp` of the caller of `frame` by the analysis, its frame beginning where `next` says.
fn by_code(target: &Target, frame: &Frame, next: &Frame) -> Option<u64> {
    let function = function_of(target, frame.lookup_pc())?;
    let state = function.state_at(frame.pc, frame.interrupted)?;
    let below = state.stack_pointer()?;
    assert_eq!(
        frame.sp.wrapping_sub(below as u64),
        next.sp,
        "{:x}: the unwind table disagrees on the frame",
        frame.pc
    );
    let origin = Origin::Entry { register: RBP, bytes: 8 };
    let slot = state.slots_with(origin).next();
    let slot = slot.and_then(|offset| target.read_u64(next.sp.checked_add_signed(offset)?).ok());
    slot.or_else(|| state.registers_with(origin).find_map(|reg| frame.regs.get(reg)))
}

#[test]
fn rbp_by_the_code_is_rbp_by_the_unwind_table() {
    for (name, kernel) in all() {
        let (mut checked, mut silent) = (0, 0);
        for task in kernel.tasks().tasks {
            let Ok(trace) = task.trace() else { continue };
            for pair in trace.frames.windows(2) {
                let [frame, next] = pair else { continue };
                let ordinary = next.found_by == FoundBy::Orc
                    && !next.saved_regs
                    && !next.interrupted
                    && frame.stack == next.stack;
                let Some(by_table) = next.regs.get(RBP).filter(|_| ordinary) else { continue };
                match by_code(kernel.target(), frame, next) {
                    Some(by_code) => {
                        assert_eq!(by_code, by_table, "{name}: called from {:x}", next.pc);
                        checked += 1;
                    }
                    None => silent += 1,
                }
            }
        }
        eprintln!("{name}: {checked} frames agree, of {silent} the code does not tell");
        assert!(checked > silent || name.starts_with("linux-"), "{name}: {checked} of {silent}");
    }
}

#[test]
fn most_functions_can_be_followed() {
    // One whole kernel is enough.
    let whole = all().into_iter().find(|(name, _)| !name.starts_with("linux-"));
    if let Some((name, kernel)) = whole {
        let target = kernel.target();
        let started = Instant::now();
        let (mut followed, mut all) = (0u32, 0u32);
        for symbol in target.kernel().symbols.iter().filter(|symbol| symbol.is_text()).step_by(16) {
            if target.is_text(symbol.address) && symbol.size > 16 {
                all += 1;
                followed += u32::from(function_of(target, symbol.address).is_some());
            }
        }
        eprintln!("{name}: {followed} of {all} functions in {:?}", started.elapsed());
        assert!(followed * 10 > all * 8, "{name}: {followed} of {all}");
    }
}

/// The frame of a function in the trace of the task that panicked.
fn frame_of(kernel: &Kernel, function: &str) -> (Frame, (u64, u64), Option<Frame>) {
    let task = kernel.panic_task().expect("a task that panicked");
    let trace = task.trace().expect("its trace");
    let target = kernel.target();
    let index = trace.frames.iter().position(|frame| {
        target.locate(frame.lookup_pc()).is_some_and(|found| found.symbol.name == function)
    });
    let index = index.unwrap_or_else(|| panic!("{function} is not in the trace"));
    let symbol = target.locate(trace.frames[index].lookup_pc()).expect("located").symbol;
    let extent = (symbol.address, symbol.address + symbol.size);
    (trace.frames[index], extent, trace.frames.get(index + 1).copied())
}

#[test]
fn the_argument_of_crashme_run_is_still_in_rbx() {
    let kernel = shipped("linux-7.2-null.kdump");
    let target = kernel.target();
    let (frame, function, caller) = frame_of(&kernel, "crashme_run");
    let holder = entry_value_holder(target, function, frame.pc, true, RDI);
    assert_eq!(holder, Some(Holder::Register(RBX)));
    let what = frame.regs.get(RBX).expect("rbx");
    assert_eq!(target.read_cstr(what, 16).as_deref(), Ok("null"));
    // No argument but the first has a life of its own.
    assert_eq!(entry_value_holder(target, function, frame.pc, true, RDX), None);

    // crashme_write keeps its buffer in r12, which crashme_run saved on the stack.
    let caller = caller.expect("crashme_write");
    assert_eq!(caller.regs.get(R12), Some(what));
    let function = function_of(target, caller.lookup_pc()).expect("crashme_write");
    let (call, _) = function.code().call_before(caller.pc).expect("its call");
    let passed = function.state_before(call).expect("a state").register(RDI);
    let known = Evaluator::new(target, function.clone(), caller.pc, false, &caller.regs);
    let lost = known.expect("a state").value(passed);
    assert!(lost.is_err(), "what strim() returned is kept nowhere: {lost:?}");
}

#[test]
fn the_vma_that_shm_close_was_given_is_what_its_caller_has_in_rbx() {
    let kernel = shipped("linux-6.12-shm.kdump");
    let target = kernel.target();
    let (frame, function, caller) = frame_of(&kernel, "__shm_close");
    // %rbx was pushed and overwritten: the value on entry is the caller's.
    let caller = caller.expect("remove_vma");
    let slot = frame.sp;
    assert_eq!(caller.regs.get(RBX), target.read_u64(slot).ok());
    assert_ne!(caller.regs.get(RBX), frame.regs.get(RBX));
    assert_eq!(entry_value_holder(target, function, frame.pc, true, RDI), None);
    // What the id was read from: mov (%rbx),%ebx.
    let analysed = function_of(target, frame.pc).expect("__shm_close");
    let known = Evaluator::new(target, analysed.clone(), frame.pc, true, &frame.regs);
    let id = known.expect("a state").register(RBX).expect("rbx");
    assert_eq!(id.value, 92);
    assert!(Evaluator::new(target, analysed, 0x1000, true, &Regs::new()).is_none());
}
