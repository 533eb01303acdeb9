//! STREAMS: queues and messages (`sys/stream.h`).

use necropsy_illumos::{Kernel, shapes::Field};
use serde_json::json;

use crate::{Dcmd, Options};

use super::kernel;

/// Bits of `q_flag`, from bit 0 on.
const QUEUE_FLAGS: [&str; 16] = [
    "QENAB",
    "QWANTR",
    "QWANTW",
    "QFULL",
    "QREADR",
    "QUSE",
    "QNOENB",
    "",
    "QBACK",
    "QHLIST",
    "",
    "QPAIR",
    "QPERQ",
    "QPERMOD",
    "QMTSAFE",
    "QMTOUTPERIM",
];

/// Types of messages: number and name.
const MESSAGES: [(u64, &str); 22] = [
    (0x00, "data"),
    (0x01, "proto"),
    (0x08, "break"),
    (0x09, "passfp"),
    (0x0a, "event"),
    (0x0b, "sig"),
    (0x0c, "delay"),
    (0x0d, "ctl"),
    (0x0e, "ioctl"),
    (0x10, "setopts"),
    (0x11, "rse"),
    (0x81, "iocack"),
    (0x82, "iocnak"),
    (0x83, "pcproto"),
    (0x84, "pcsig"),
    (0x85, "read"),
    (0x86, "flush"),
    (0x87, "stop"),
    (0x88, "start"),
    (0x89, "hangup"),
    (0x8a, "error"),
    (0x8b, "copyin"),
];

/// The name of the module or driver that a queue is of.
fn module_of(kernel: &Kernel, queue: u64) -> necropsy_illumos::Result<String> {
    let of = |owner, name| Field::resolve(kernel, &[owner], &[name]);
    let init = kernel.shapes().queue.info.get(kernel, queue)?;
    let info = of("struct qinit", "qi_minfo").get(kernel, init)?;
    let name = of("struct module_info", "mi_idname").get(kernel, info)?;
    Ok(kernel.read_string(name, 32)?)
}

pub(super) const QUEUE: Dcmd =
    Dcmd::new(&["queue"], ": [-v]", "filter and display STREAM queue", |mdb, call| {
        let at = call.needs_address()?;
        let verbose = Options::take(&call.args, "v")?.has('v');
        if call.pipe_out {
            mdb.pipe(at);
            return Ok(());
        }
        let kernel = kernel(mdb)?;
        let shapes = kernel.shapes();
        if call.wants_heading() {
            mdb.heading(&format!(
                "{:>16} {:<13} {:>6} {:>4} {}",
                "ADDR", "MODULE", "FLAGS", "NBLK", "FIRST"
            ))?;
        }
        let name = module_of(&kernel, at).unwrap_or_else(|_| "?".into());
        let (flag, first) =
            (shapes.queue.flag.get(&kernel, at)?, shapes.queue.first.get(&kernel, at)?);
        let messages = necropsy_illumos::list::Walk::follow(
            first,
            |_| false,
            |message| shapes.mblk.next.get(&kernel, message),
        );
        let count = mdb.noted(messages).len();
        let set = QUEUE_FLAGS.iter().enumerate().filter(|&(bit, _)| flag >> bit & 1 == 1);
        let names: Vec<&str> = set.map(|(_, &name)| name).filter(|name| !name.is_empty()).collect();
        let mut text = format!("{at:016x} {name:<13} {flag:06x} {count:>4} {first:016x}");
        if verbose {
            for name in &names {
                text.push_str(&format!("\n{:>37} {name}", "|"));
            }
        }
        let object = json!({
            "address": format!("{at:#x}"), "module": name, "flags": names, "messages": count,
            "first": format!("{first:#x}"),
        });
        mdb.row(&text, object)
    });

pub(super) const MBLK: Dcmd = Dcmd::new(&["mblk"], ": [-v]", "print an mblk", |mdb, call| {
    let at = call.needs_address()?;
    Options::take(&call.args, "v")?;
    if call.pipe_out {
        mdb.pipe(at);
        return Ok(());
    }
    let kernel = kernel(mdb)?;
    let shapes = kernel.shapes();
    if call.wants_heading() {
        mdb.heading(&format!(
            "{:>16} {:>2} {:<7} {:<5} {:<5} {:>16} {:>16}",
            "ADDR", "FL", "TYPE", "LEN", "BLEN", "RPTR", "DBLK"
        ))?;
    }
    let get = |field: Field, base: u64| field.get(&kernel, base);
    let (read, write) = (get(shapes.mblk.rptr, at)?, get(shapes.mblk.wptr, at)?);
    let (flag, data) = (get(shapes.mblk.flag, at)?, get(shapes.mblk.data, at)?);
    let room = get(shapes.dblk.lim, data)?.wrapping_sub(get(shapes.dblk.base, data)?);
    let kind = get(shapes.dblk.kind, data)?;
    let known = MESSAGES.iter().find(|(number, _)| *number == kind);
    let kind = known.map_or_else(|| format!("{kind:#x}"), |(_, name)| (*name).to_owned());
    let len = write.wrapping_sub(read);
    let object = json!({
        "address": format!("{at:#x}"), "type": kind, "length": len, "room": room,
        "data": format!("{read:#x}"), "dblk": format!("{data:#x}"),
    });
    let text = format!("{at:016x} {flag:<2x} {kind:<7} {len:<5} {room:<5} {read:016x} {data:016x}");
    mdb.row(&text, object)
});
