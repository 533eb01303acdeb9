//! Who points at an object.

use std::collections::HashSet;

use necropsy_linux::{Kernel, references::Reference};

use crate::rows::kmem::ReferenceRow;
use crate::{
    Outcome, addresses,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
};

const DEPTH: Opt = Opt::value("-d", "depth", "and who points at those that do, so many steps");

pub(crate) static COMMAND: Command = Command {
    names: &["refs"],
    summary: "who points at an object, and with which member",
    synopsis: "[-d depth] address ...",
    options: &[DEPTH],
    rows: &[ReferenceRow::TYPE],
    args: &[Arg::Symbol],
    description: "\
Looks at every word that the dump holds, and shows those that point at or into the object at an
address: where each lies, in which structure and member where its cache or a list that leads to it
tells, whether that is in use. The object is the one of the slab cache that the address lies in, the
symbol's variable, or the word at the address.

With -d, those that point at these in turn, as far as they are objects in use, up to 8 steps.",
    examples: &[Example { about: "Who points at init_task.", line: "refs init_task", output: "" }],
    run,
};

/// Steps that anybody follows.
const MAX_DEPTH: u64 = 8;
/// Objects of which it is asked who points at them.
const MAX_OBJECTS: usize = 64;

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    parsed.need(0, "an address")?;
    let depth = parsed.value(DEPTH).map(addresses::count).transpose()?;
    let depth = depth.unwrap_or(1).clamp(1, MAX_DEPTH);
    for word in &parsed.args {
        let address = session.address(word)?;
        let mut asked = HashSet::new();
        let mut objects = vec![object(&kernel, address)];
        for step in 1..=depth {
            let mut next = Vec::new();
            for (start, end) in objects.drain(..) {
                if !asked.insert(start) || asked.len() > MAX_OBJECTS {
                    continue;
                }
                for reference in kernel.references(start, end, &session.interrupted) {
                    out.check_interrupt()?;
                    let row = row(&kernel, step, start, &reference);
                    if row.allocated == Some(true)
                        && let Some(holder) = row.object
                    {
                        next.push(object(&kernel, holder.0));
                    }
                    out.record(&row, |line| text(&row, line))?;
                }
            }
            objects = next;
        }
    }
    Ok(())
}

/// The object that an address lies in: start and end.
fn object(kernel: &Kernel, address: u64) -> (u64, u64) {
    if let Ok(Some(found)) = kernel.slab_object(address)
        && let Some(start) = found.address
    {
        return (start, start.saturating_add(found.cache.object_size));
    }
    if let Some(found) = kernel.target().locate(address) {
        let size = found.symbol.size.clamp(1, 1 << 20);
        return (found.symbol.address, found.symbol.address.saturating_add(size));
    }
    (address, address.saturating_add(8))
}

fn row(kernel: &Kernel, depth: u64, start: u64, reference: &Reference) -> ReferenceRow {
    let known = kernel.known_structure(reference.address);
    let object = kernel.slab_object(reference.address).ok().flatten();
    let allocated = object.as_ref().and_then(|object| object.state.allocated());
    let of = known.map(|known| known.start).or(object.and_then(|object| object.address));
    let into = |start: u64| reference.address.wrapping_sub(start);
    ReferenceRow {
        depth,
        address: Hex(reference.address),
        value: Hex(reference.value),
        into: reference.value.wrapping_sub(start),
        structure: known.map(|known| known.tag),
        object: of.map(Hex),
        member: known
            .filter(|known| into(known.start) < known.size)
            .and_then(|known| kernel.member_at(known.tag, into(known.start))),
        about: kernel.identify(reference.address, &[]).map(|about| about.to_string()),
        allocated,
    }
}

fn text(row: &ReferenceRow, line: &mut dyn std::fmt::Write) -> std::fmt::Result {
    let indent = "  ".repeat(row.depth.saturating_sub(1) as usize);
    write!(line, "{indent}{:x}: {:x}", row.address.0, row.value.0)?;
    match (row.structure, &row.member, row.object) {
        (Some(structure), Some(member), Some(object)) => {
            write!(line, "  {structure}.{member} of {:x}", object.0)?;
        }
        (Some(structure), None, Some(object)) => write!(line, "  {structure} {:x}", object.0)?,
        _ => {
            if let Some(about) = &row.about {
                write!(line, "  {about}")?;
            }
        }
    }
    writeln!(line, "{}", if row.allocated == Some(false) { " (free)" } else { "" })
}
