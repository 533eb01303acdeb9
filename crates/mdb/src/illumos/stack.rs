//! Stacks.

use necropsy_illumos::stack::{Frame, NoStack, SavedArguments};
use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome};

use super::{IllumosSystem, kernel};

/// A line of a stack, with or without its frame pointer and arguments.
pub(super) fn frame_text(mdb: &Mdb, frame: &Frame, pointer: bool, args: usize) -> String {
    let values: Vec<String> = frame.args.iter().take(args).map(|arg| format!("{arg:x}")).collect();
    let name = mdb.system.name_or_hex(frame.pc);
    let call = format!("{name}({})", values.join(", "));
    if pointer { format!("{:016x} {call}", frame.fp) } else { call }
}

pub(super) fn frame_json(mdb: &Mdb, frame: &Frame) -> serde_json::Value {
    let args: Vec<String> = frame.args.iter().map(|arg| format!("{arg:#x}")).collect();
    json!({
        "fp": format!("{:#x}", frame.fp),
        "pc": format!("{:#x}", frame.pc),
        "symbol": mdb.system.symbolize(frame.pc),
        "args": args,
    })
}

/// Frames from a frame pointer on, or those of the panic.
pub(super) fn frames(mdb: &Mdb, from: Option<u64>) -> Outcome<Vec<Frame>> {
    let kernel = kernel(mdb)?;
    let own = SavedArguments::default();
    let saved = mdb
        .system
        .as_any()
        .downcast_ref::<IllumosSystem>()
        .map_or(&own, |system| &system.saved_arguments);
    Ok(match from {
        Some(fp) => kernel.frames(fp, None, saved),
        None => kernel.panic_frames(saved),
    })
}

/// How many arguments are shown: a number may be given.
fn limit(mdb: &Mdb, call: &Call) -> Outcome<usize> {
    match call.args.iter().find(|arg| !arg.text.starts_with('-')) {
        Some(arg) => Ok(mdb.number(arg)? as usize),
        None => Ok(usize::MAX),
    }
}

fn print(mdb: &mut Mdb, call: &Call, pointers: bool) -> Outcome {
    let limit = limit(mdb, call)?;
    let frames = frames(mdb, call.address)?;
    if frames.is_empty() && call.address.is_none() {
        return crate::failure::fail("no stack: the dump has no registers of a panic");
    }
    for frame in frames {
        if call.pipe_out {
            mdb.pipe(frame.pc);
            continue;
        }
        let text = frame_text(mdb, &frame, pointers, limit);
        let object = frame_json(mdb, &frame);
        mdb.row(&text, object)?;
    }
    Ok(())
}

pub(super) const STACK: Dcmd =
    Dcmd::new(&["stack", "$c"], "? [COUNT]", "print stack backtrace", |mdb, call| {
        print(mdb, call, false)
    })
    .with_help(
        "Prints the stack of the panic, or that which begins with the frame at the address. \
         Arguments are printed where the compiler saved them.",
    );

pub(super) const STACK_FRAMES: Dcmd = Dcmd::new(
    &["$C", "stackregs"],
    "? [COUNT]",
    "print stack backtrace with frame pointers",
    |mdb, call| print(mdb, call, true),
);

/// Text behind a thread's address: what it is, in kernels whose threads have names.
fn description(mdb: &Mdb, thread: u64) -> Outcome<String> {
    let kernel = kernel(mdb)?;
    if !kernel.threads_have_names() {
        return Ok(String::new());
    }
    Ok(kernel.describe_thread(thread).map_or(String::new(), |text| format!(" ({text})")))
}

pub(super) const FINDSTACK: Dcmd =
    Dcmd::new(&["findstack"], ": [-v]", "find kernel thread stack", |mdb, call| {
        let thread = call.needs_address()?;
        let options = Options::take(&call.args, "vnt")?;
        let args = if options.has('v') { usize::MAX } else { 0 };
        find(mdb, thread, args, true, "")
    })
    .with_help("Prints the stack of a thread; -v with the arguments of functions, where saved.");

/// A thread's stack: heading and frames. `pointers` shows frame pointers.
pub(super) fn find(
    mdb: &mut Mdb,
    thread: u64,
    args: usize,
    pointers: bool,
    indent: &str,
) -> Outcome {
    let kernel = kernel(mdb)?;
    let found = match kernel.find_stack(thread)? {
        Ok(found) => found,
        Err(NoStack::Candidates(candidates)) if !candidates.is_empty() => {
            mdb.line(&format!("{indent}Possible stack pointers for thread {thread:x}:"))?;
            for (at, levels) in candidates.into_iter().take(100) {
                mdb.line(&format!("{indent}  {at:x} ({levels} levels)"))?;
            }
            return Ok(());
        }
        Err(none) => {
            return Err(Failure::Text(format!("thread {thread:x}: {}", none.text())));
        }
    };
    let free = if found.state == 0 { " (TS_FREE)" } else { "" };
    let description = description(mdb, thread)?;
    let frames = frames(mdb, Some(found.sp))?;
    if mdb.out.json {
        let frames: Vec<_> = frames.iter().map(|frame| frame_json(mdb, frame)).collect();
        let object = json!({
            "thread": format!("{thread:#x}"),
            "sp": format!("{:#x}", found.sp),
            "pc": found.pc.map(|pc| format!("{pc:#x}")),
            "description": kernel.describe_thread(thread).ok(),
            "frames": frames,
        });
        return mdb.row("", object);
    }
    mdb.line(&format!(
        "{indent}stack pointer for thread {thread:x}{free}{description}: {:x}",
        found.sp
    ))?;
    if let Some(pc) = found.pc {
        let name = mdb.system.name_or_hex(pc);
        mdb.line(&format!("{indent}[ {:016x} {name}() ]", found.sp))?;
    }
    for frame in frames {
        let text = frame_text(mdb, &frame, pointers, args);
        mdb.line(&format!("{indent}  {text}"))?;
    }
    Ok(())
}
