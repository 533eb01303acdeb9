//! Bitmaps of requests.

use crate::rows::bpf::{BitWaitersRow, BitmapRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    render::{Faults, Hex, Output},
    session::Session,
    values,
};

use super::structure;

const STRUCTURE: Opt =
    Opt::value("-s", "struct", "of each bit that is set, this structure or member");
const ARRAY: Opt = Opt::value("-a", "address", "where the structures of -s lie, by bit");
const POINTERS: Opt = Opt::flag("-p", "at -a lie pointers to them");
const BITS: Opt = Opt::flag("-v", "with -a, only their addresses");

pub(crate) static COMMAND: Command = Command {
    names: &["sbitmapq"],
    summary: "a bitmap of the block layer: which requests are in use",
    synopsis: "address [-s struct[.member] -a address [-p] [-v] [-x | -d]]",
    options: &[STRUCTURE, ARRAY, POINTERS, BITS, values::HEXADECIMAL, values::DECIMAL],
    rows: &[BitmapRow::TYPE],
    args: &[Arg::Number],
    description: "\
Shows a struct sbitmap_queue: its members, who waits, and its bits as words of memory. With -s and
-a, the structures that belong to the bits which are set: in an array, or with -p by an array of
pointers, such as rqs of struct blk_mq_tags. A bit that waits to be cleared does not count as set.",
    examples: &[Example {
        about: "The requests that a disk's tags are given to.",
        line: "sbitmapq ffff88800b3f0000 -s request -a ffff88800b3f8000 -p",
        output: "",
    }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let address = session.address(parsed.need(0, "the address of a struct sbitmap_queue")?)?;
    let bitmap = kernel.sbitmap_queue(address)?;
    if let (Some(name), Some(array)) = (parsed.value(STRUCTURE), parsed.value(ARRAY)) {
        let array = session.address(array)?;
        return elements(session, parsed, &bitmap.busy, name, array, out);
    }
    if parsed.has(STRUCTURE) || parsed.has(ARRAY) {
        return Err(parsed.wrong("-s and -a go together"));
    }
    let mut faults = Faults::default();
    let waiters = faults.keep(bitmap.waiters);
    let row = BitmapRow {
        sbitmap_queue: Hex(address),
        depth: bitmap.depth,
        busy: bitmap.busy.len() as u64,
        cleared: bitmap.cleared,
        bits_per_word: bitmap.per_word,
        map_nr: bitmap.words,
        alloc_hint: faults.keep(bitmap.hints),
        wake_batch: faults.keep(bitmap.wake_batch),
        wake_index: faults.keep(bitmap.wake_index),
        ws_active: faults.keep(bitmap.active),
        ws: waiters.map(|groups| {
            let group = |(wait_cnt, active)| BitWaitersRow { wait_cnt, active };
            groups.into_iter().map(group).collect()
        }),
        round_robin: faults.keep(bitmap.round_robin),
        min_shallow_depth: faults.keep(bitmap.min_shallow_depth),
        set: bitmap.busy,
        faults,
    };
    out.record(&row, |line| {
        writeln!(line, "depth = {}\nbusy = {}", row.depth, row.busy)?;
        writeln!(line, "cleared = {}\nbits_per_word = {}", row.cleared, row.bits_per_word)?;
        writeln!(line, "map_nr = {}", row.map_nr)?;
        let hints = row.alloc_hint.iter().flatten().map(u64::to_string);
        writeln!(line, "alloc_hint = {{{}}}", hints.collect::<Vec<_>>().join(", "))?;
        let mut member = |name: &str, value: Option<u64>| match value {
            Some(value) => writeln!(line, "{name} = {value}"),
            None => Ok(()),
        };
        member("wake_batch", row.wake_batch)?;
        member("wake_index", row.wake_index)?;
        member("ws_active", row.ws_active)?;
        writeln!(line, "ws = {{")?;
        for group in row.ws.iter().flatten() {
            let active = if group.active { "active" } else { "inactive" };
            match group.wait_cnt {
                Some(count) => {
                    writeln!(line, "        {{ .wait_cnt = {count}, .wait = {active} }},")?;
                }
                None => writeln!(line, "        {{ .wait = {active} }},")?,
            }
        }
        writeln!(line, "}}")?;
        let mut member = |name: &str, value: Option<u64>| match value {
            Some(value) => writeln!(line, "{name} = {value}"),
            None => Ok(()),
        };
        member("round_robin", row.round_robin)?;
        member("min_shallow_depth", row.min_shallow_depth)?;
        writeln!(line)?;
        // 16 bytes a line, in pairs, the lowest bit first.
        let byte = |at: u64| {
            (0..8).fold(0u8, |byte, bit| {
                byte | u8::from(row.set.binary_search(&(at * 8 + bit)).is_ok()) << bit
            })
        };
        for start in (0..row.depth.div_ceil(8)).step_by(16) {
            write!(line, "{start:08x}:")?;
            for at in start..(start + 16).min(row.depth.div_ceil(8)) {
                let gap = if at % 2 == 0 { " " } else { "" };
                write!(line, "{gap}{:02x}", byte(at))?;
            }
            writeln!(line)?;
        }
        Ok(())
    })
}

/// What belongs to the bits that are set.
fn elements(
    session: &mut Session,
    parsed: &Parsed,
    bits: &[u64],
    name: &str,
    array: u64,
    out: &mut Output,
) -> Outcome {
    let kernel = session.kernel()?;
    let (tag, _) = name.split_once('.').unwrap_or((name, ""));
    let ty = structure::find(&kernel, tag)
        .ok_or_else(|| CommandError::failed(format!("invalid data structure reference: {tag}")))?;
    let size = match kernel.types().size_of(ty) {
        Some(size) => size,
        // Where pointers lead to them, it does not matter.
        None if parsed.has(POINTERS) => 0,
        None => return Err(CommandError::missing(format!("the size of {tag} is not known"))),
    };
    for bit in bits {
        let at = match parsed.has(POINTERS) {
            true => kernel.target().read_u64(array.wrapping_add(bit.wrapping_mul(8)))?,
            false => array.wrapping_add(bit.wrapping_mul(size)),
        };
        out.line(format_args!("{bit}: {at:016x}"))?;
        if parsed.has(BITS) {
            continue;
        }
        let radix =
            [values::HEXADECIMAL, values::DECIMAL].into_iter().filter(|opt| parsed.has(*opt));
        let words = [name.to_owned(), format!("{at:x}")];
        let words = radix.map(|opt| opt.flag.to_owned()).chain(words);
        let parsed = Parsed::new(&structure::COMMAND, words)?;
        (structure::COMMAND.run)(session, &parsed, out)?;
    }
    Ok(())
}
