//! Linked lists.

use std::collections::HashSet;

use necropsy_linux::{
    Error, Kernel,
    list::{self, Chain, NEXT},
};
use necropsy_machine::Target;

use crate::rows::walks::EntryRow;
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    fields::{self, Shown},
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
    values,
};

const OFFSET: Opt =
    Opt::value("-o", "offset", "offset of the link in each structure: bytes or struct.member");
const HEAD: Opt = Opt::flag("-H", "start is the address of a list_head that is no entry");
const IN_STRUCT: Opt = Opt::flag("-h", "start is a structure that holds a list_head");
const HEAD_OFFSET: Opt =
    Opt::value("-O", "offset", "with -h: offset of the list_head in start, which is no entry");
const END: Opt = Opt::value("-e", "end", "stop before this address");
const SHOW: Opt = Opt::value("-s", "struct", "show each entry as this structure, or members of it");
const SHOW_TOO: Opt = Opt::value("-S", "struct", "the same");
const EMBEDDED: Opt =
    Opt::value("-l", "offset", "with -s: where in the structure the link lies that start leads to");
const REVERSE: Opt = Opt::flag("-r", "with -h or -H: backwards, by prev");
const BRENT: Opt = Opt::flag("-B", "notice loops without remembering entries");

pub(crate) static COMMAND: Command = Command {
    names: &["list"],
    summary: "entries of a linked list",
    synopsis: "[-e end] [-s | -S struct[.member,...] [-l offset]] [-x | -d] [-B] [[-o] offset] start\n\
               [...] [-r] [-B] [-o offset] [-h [-O offset] | -H] start",
    options: &[
        OFFSET,
        HEAD,
        IN_STRUCT,
        HEAD_OFFSET,
        END,
        SHOW,
        SHOW_TOO,
        EMBEDDED,
        REVERSE,
        BRENT,
        values::HEXADECIMAL,
        values::DECIMAL,
    ],
    rows: &[EntryRow::TYPE],
    args: &[Arg::Symbol],
    description: "\
Shows the address of each structure on a list.

Without -h and -H, start is the first structure; each holds the address of the next one at the
offset, and the list ends at NULL or where it comes back. With -H, start is the list_head that the
list hangs on; with -h it is a structure on the list, and shown first.

A list of list_heads that breaks off is walked from its other end, too, to tell how much is lost.
Back pointers that do not agree are told.",
    examples: &[
        Example {
            about: "Loaded modules.",
            line: "list -H modules -o module.list -s module.name,state",
            output: "",
        },
        Example {
            about: "All processes.",
            line: "list task_struct.tasks -h init_task -s task_struct.comm",
            output: "",
        },
        Example {
            about: "A task's ancestors.",
            line: "list task_struct.real_parent init_task",
            output: "",
        },
    ],
    run,
};

/// What was asked for.
struct Request {
    start: u64,
    /// Offset of the link in each structure.
    offset: u64,
    /// Offset of the head in the structure that `-h` names, when it is no entry.
    head_offset: Option<u64>,
    end: Option<u64>,
    is_head: bool,
    is_ring: bool,
    backwards: bool,
    brent: bool,
}

impl Request {
    fn new(session: &Session, kernel: &Kernel, parsed: &Parsed) -> Result<Request, CommandError> {
        let mut offset =
            parsed.value(OFFSET).map(|text| fields::offset(session, kernel, text)).transpose()?;
        let mut start = None;
        for word in &parsed.args {
            let twice = || parsed.wrong(format_args!("{word}: one word too many"));
            let is_member = word.contains('.') && !word.starts_with('(');
            let address = match fields::place(kernel, word) {
                Some(place) => Some(place),
                None if is_member => None,
                None => Some(session.address(word)?),
            };
            match address.filter(|address| kernel.target().is_kernel_address(*address)) {
                Some(_) if start.is_some() => return Err(twice()),
                Some(address) => start = Some(address),
                None if offset.is_some() => return Err(twice()),
                None => offset = Some(fields::offset(session, kernel, word)?),
            }
        }
        let start = start.ok_or_else(|| parsed.wrong("needs a start address"))?;
        let is_head = parsed.one_of(&[HEAD, IN_STRUCT])? == Some(HEAD);
        let head_offset = parsed
            .value(HEAD_OFFSET)
            .map(|text| fields::offset(session, kernel, text))
            .transpose()?;
        if head_offset.is_some() && !parsed.has(IN_STRUCT) {
            return Err(parsed.wrong("-O goes with -h only"));
        }
        Ok(Request {
            start,
            offset: offset.unwrap_or(0),
            head_offset,
            end: parsed.value(END).map(|text| session.address(text)).transpose()?,
            is_head,
            is_ring: is_head || parsed.has(IN_STRUCT),
            backwards: parsed.has(REVERSE),
            brent: parsed.has(BRENT),
        })
    }

    /// The `list_head` that the list hangs on and that is no entry, if there is one.
    fn head(&self) -> Option<u64> {
        match self.head_offset {
            Some(offset) => Some(self.start.wrapping_add(offset)),
            None => self.is_head.then_some(self.start),
        }
    }

    fn walk<'a>(&self, target: &'a Target, backwards: bool) -> Chain<'a, Target> {
        let link = if backwards { list::prev(target) } else { NEXT };
        let chain = match self.head() {
            Some(head) if backwards => list::list_backwards(target, head),
            Some(head) => list::list(target, head),
            None if self.is_ring => list::ring(target, self.start.wrapping_add(self.offset), link),
            // Without a head, -r follows the pointer behind the one at the offset.
            None => list::chain(target, self.start, self.offset.wrapping_add(link)),
        };
        match self.end {
            Some(end) => chain.end(end.wrapping_add(if self.is_ring { self.offset } else { 0 })),
            None => chain,
        }
    }
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let style = fields::style(session, parsed)?;
    let specs = parsed.options().filter(|(flag, _)| matches!(*flag, SHOW | SHOW_TOO));
    let shown = Shown::new(kernel, specs.filter_map(|(_, value)| value), style)?;
    let embedded =
        parsed.value(EMBEDDED).map(|text| fields::offset(session, kernel, text)).transpose()?;
    let request = Request::new(session, kernel, parsed)?;
    let target = kernel.target();
    let mut walk = request.walk(target, request.backwards);
    if request.is_ring {
        walk = walk.checked();
    }
    if request.brent {
        walk = walk.brent();
    }
    let (mut seen, mut index) = (HashSet::new(), 0);
    let mut doubts: Vec<Error> = Vec::new();
    for item in walk.by_ref() {
        let link = match item {
            Ok(link) => link,
            Err(error) => {
                doubts.push(error);
                continue;
            }
        };
        if request.is_ring {
            seen.insert(link);
        }
        let address = if request.is_ring { link.wrapping_sub(request.offset) } else { link };
        let at = address.wrapping_sub(embedded.unwrap_or(0));
        let row = EntryRow { index, address: Hex(address), values: shown.parts(kernel, at) };
        out.record(&row, |line| {
            writeln!(line, "{:x}", row.address.0)?;
            fields::write_parts(line, &row.values)
        })?;
        index += 1;
    }
    let broken = if walk.broke() { doubts.pop() } else { None };
    if index == 0 && broken.is_none() {
        out.line("(empty)")?;
    }
    let mut problems = Problems::default();
    // Where most entries disagree, the second word of a link is no back pointer.
    if doubts.len() * 2 < index {
        problems.extend(doubts);
    }
    if let Some(error) = broken {
        let far = request.is_ring.then(|| far_side(&request, target, &seen));
        return Err(CommandError::failed(match far {
            Some(far) => format!("{error}\nafter {index} entries; {far}"),
            None => format!("{error}\nafter {index} entries"),
        }));
    }
    problems.report("list entry", out)
}

/// What lies behind a break.
fn far_side(request: &Request, target: &Target, seen: &HashSet<u64>) -> String {
    let side = list::far_side(request.walk(target, !request.backwards), seen);
    let other = if request.backwards { "forwards" } else { "backwards" };
    match (side.last, side.error) {
        (None, Some(error)) => format!("{other}: {error}"),
        (None, None) => format!("{other}, no other entry is found"),
        (Some(last), error) => format!(
            "{other}, {} more are reached, the last of them {:x}{}",
            side.entries,
            last.wrapping_sub(request.offset),
            error.map_or_else(String::new, |error| format!(": {error}"))
        ),
    }
}
