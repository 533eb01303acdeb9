//! Memory, instructions, registers.

use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome, Space, disasm};

/// Most bytes of one dump.
const MAX_DUMP: u64 = 256 << 20;

pub(super) const REGS: Dcmd =
    Dcmd::new(&["regs", "$r", "$?"], "", "print general purpose registers", |mdb, _| {
        if mdb.registers.is_empty() {
            return crate::failure::fail("no registers: the dump is of a running system");
        }
        if mdb.out.json {
            for (name, value) in mdb.registers.clone() {
                mdb.row("", json!({ "register": name, "value": format!("{value:#x}") }))?;
            }
            return Ok(());
        }
        let get = |mdb: &Mdb, name: &str| {
            mdb.registers.iter().find(|(found, _)| found == name).map_or(0, |&(_, value)| value)
        };
        let pairs = [
            ("rax", "r9 "),
            ("rbx", "r10"),
            ("rcx", "r11"),
            ("rdx", "r12"),
            ("rsi", "r13"),
            ("rdi", "r14"),
            ("r8 ", "r15"),
        ];
        for (left, right) in pairs {
            let (a, b) = (get(mdb, left.trim()), get(mdb, right.trim()));
            mdb.line(&format!("%{left} = {a:#018x} {:>17}{right} = {b:#018x} ", "%"))?;
        }
        mdb.line("")?;
        let rip = get(mdb, "rip");
        let name = mdb.system.symbolize(rip).unwrap_or_default();
        mdb.line(&format!("%rip = {rip:#018x} {name}"))?;
        mdb.line(&format!("%rbp = {:#018x}", get(mdb, "rbp")))?;
        mdb.line(&format!("%rsp = {:#018x}", get(mdb, "rsp")))?;
        let flags = get(mdb, "rflags");
        mdb.line(&format!("%rflags = {flags:#010x}"))?;
        let bit = |at: u32| flags >> at & 1;
        mdb.line(&format!(
            "  id={} vip={} vif={} ac={} vm={} rf={} nt={} iopl={:#x}",
            bit(21),
            bit(20),
            bit(19),
            bit(18),
            bit(17),
            bit(16),
            bit(14),
            flags >> 12 & 3
        ))?;
        let names = [
            (11, "of"),
            (10, "df"),
            (9, "if"),
            (8, "tf"),
            (7, "sf"),
            (6, "zf"),
            (4, "af"),
            (2, "pf"),
            (0, "cf"),
        ];
        let words: Vec<String> = names
            .iter()
            .map(|&(at, name)| if bit(at) == 1 { name.to_uppercase() } else { name.to_owned() })
            .collect();
        mdb.line(&format!("  status=<{}>", words.join(",")))?;
        mdb.line("")?;
        let word = |name: &str| format!("{:#06x}", get(mdb, name));
        let lines = [
            format!("{:24}%cs = {}\t%ds = {}\t%es = {}", "", word("cs"), word("ds"), word("es")),
            format!(
                "%trapno = {:#x}\t\t%fs = {}\t%gs = {}",
                get(mdb, "trapno"),
                word("fs"),
                word("gs")
            ),
            format!("   %err = {:#x}", get(mdb, "err")),
        ];
        for line in lines {
            mdb.line(&line)?;
        }
        Ok(())
    });

pub(super) const DIS: Dcmd =
    Dcmd::new(&["dis"], "? [-abfw] [-n COUNT] [ADDRESS]", "disassemble near addr", |mdb, call| {
        let options = Options::take(&call.args, "abfwn:")?;
        let plain = options.has('a');
        let at = match options.rest.first() {
            Some(arg) => mdb.number(arg)?,
            None => call.address.unwrap_or(mdb.dot),
        };
        let count = match options.get('n') {
            Some(text) => Some(text.parse().map_or_else(|_| mdb.evaluate(text), Ok)?),
            None => None,
        };
        let symbol = mdb.system.symbol_at(at);
        let window =
            options.has('w') || count.is_some() && call.address.is_some() && symbol.is_none();
        match symbol {
            // The whole function, or the instructions around the address.
            Some(symbol)
                if !window && count.is_none() && (symbol.size > 0 || at == symbol.address) =>
            {
                let end = symbol.address.saturating_add(symbol.size.max(1));
                disassemble(mdb, symbol.address, plain, &|next, _| next < end)
            }
            Some(symbol) if at != symbol.address => {
                let around = count.unwrap_or(10) as usize;
                // Instructions cannot be read backwards: those before are found from the start.
                let mut starts = Vec::new();
                let mut next = symbol.address;
                while next < at && starts.len() < 1 << 20 {
                    starts.push(next);
                    let instruction = disasm::read(&*mdb.system, Space::Virtual, next)?;
                    next = next.wrapping_add(instruction.len() as u64);
                }
                let first = starts.get(starts.len().saturating_sub(around)).copied().unwrap_or(at);
                let total = around.min(starts.len()) + around + 1;
                disassemble(mdb, first, plain, &|_, done| done < total)
            }
            _ => {
                let total = count.unwrap_or(10) as usize + usize::from(count.is_none());
                disassemble(mdb, at, plain, &|_, done| done < total)
            }
        }
    })
    .with_help(
        "Disassembles the function that the address lies in.\n\n  -a        addresses as \
         numbers\n  -n count  that many instructions \
     around the address\n  -w        the instructions around the address, even of a function",
    );

/// A function and an offset, of which one digit is as plain as mdb prints it here.
fn short_label(mdb: &Mdb, at: u64) -> String {
    match mdb.system.symbol_at(at) {
        Some(symbol) if (1..10).contains(&at.wrapping_sub(symbol.address)) => {
            format!("{}+{}", symbol.name, at - symbol.address)
        }
        _ => mdb.system.name_or_hex(at),
    }
}

/// Instructions from an address on; `plain`: with their addresses as numbers.
fn disassemble(
    mdb: &mut Mdb,
    from: u64,
    plain: bool,
    goes_on: &dyn Fn(u64, usize) -> bool,
) -> Outcome {
    let mut at = from;
    let mut done = 0;
    while goes_on(at, done) {
        mdb.check()?;
        let instruction = disasm::read(&*mdb.system, Space::Virtual, at)?;
        let label = if plain { format!("{at:x}") } else { short_label(mdb, at) };
        let label = format!("{:<31} ", format!("{label}:"));
        let text = disasm::text(&*mdb.system, &instruction, label.chars().count());
        let object = json!({
            "address": format!("{at:#x}"),
            "symbol": mdb.system.symbolize(at),
            "text": instruction.text,
            "leads_to": instruction.leads_to.map(|to| format!("{to:#x}")),
        });
        mdb.row(&format!("{label}{text}"), object)?;
        at = at.wrapping_add(instruction.len() as u64);
        done += 1;
    }
    mdb.dot = at;
    Ok(())
}

pub(super) const DUMP: Dcmd = Dcmd::new(
    &["dump"],
    "? [-eqrstu] [-g GROUP] [-l BYTES] [-w LINES] [-p]",
    "dump memory from specified address",
    |mdb, call| {
        let options = Options::take(&call.args, "efg:l:pqrstuvw:")?;
        let number = |letter: char, default: u64| -> Outcome<u64> {
            match options.get(letter) {
                Some(text) => mdb.evaluate(text),
                None => Ok(default),
            }
        };
        let group = number('g', 4)?;
        if !matches!(group, 1 | 2 | 4 | 8) {
            return Err(Failure::Usage("-g takes 1, 2, 4 or 8".into()));
        }
        let width = number('w', 1)?.clamp(1, 16) * 16;
        let length = number('l', 16)?.min(MAX_DUMP);
        let space = if options.has('p') { Space::Physical } else { Space::Virtual };
        let from = call.address.unwrap_or(mdb.dot);
        mdb.note_read(from);
        let style = DumpStyle {
            group: group as usize,
            width: width as usize,
            swap: options.has('e'),
            ascii: !options.has('q'),
            relative: options.has('r'),
            squeeze: options.has('s'),
            exact: options.has('t') || options.has('u'),
        };
        dump(mdb, call, space, from, length, &style)
    },
);

struct DumpStyle {
    group: usize,
    width: usize,
    swap: bool,
    ascii: bool,
    relative: bool,
    squeeze: bool,
    /// Only what was asked for, not whole lines.
    exact: bool,
}

fn dump(
    mdb: &mut Mdb,
    call: &Call,
    space: Space,
    from: u64,
    length: u64,
    style: &DumpStyle,
) -> Outcome {
    let width = style.width as u64;
    let start = if style.exact { from } else { from & !(width - 1) };
    let end = from.saturating_add(length);
    let end = if style.exact { end } else { end.checked_next_multiple_of(width).unwrap_or(end) };
    if call.wants_heading() {
        let mut columns = String::new();
        let mut text = String::new();
        for index in 0..style.width {
            if index % style.group == 0 && index > 0 {
                columns.push(' ');
            }
            let here = start.wrapping_add(index as u64) == from;
            let digit = (start.wrapping_add(index as u64) & 0xf) as usize;
            columns.push_str(&if here { "\\/".into() } else { format!(" {digit:x}") });
            text.push_str(&if here { "v".into() } else { format!("{digit:x}") });
        }
        let text = if style.ascii { format!("  {text}") } else { String::new() };
        mdb.heading(&format!("{:16}   {columns}{text}", ""))?;
    }
    let mut last: Option<Vec<u8>> = None;
    let mut squeezed = false;
    let mut at = start;
    while at < end {
        mdb.check()?;
        let len = (end - at).min(width) as usize;
        let mut bytes = vec![0; len];
        mdb.system.read(space, at, &mut bytes)?;
        if style.squeeze && last.as_ref() == Some(&bytes) {
            if !squeezed {
                mdb.line("*")?;
            }
            squeezed = true;
            at += len as u64;
            continue;
        }
        squeezed = false;
        let mut columns = String::new();
        for (index, group) in bytes.chunks(style.group).enumerate() {
            if index > 0 {
                columns.push(' ');
            }
            let digits = |byte: &u8| format!("{byte:02x}");
            let text: String = match style.swap {
                true => group.iter().rev().map(digits).collect(),
                false => group.iter().map(digits).collect(),
            };
            columns.push_str(&text);
        }
        let full = style.width * 2 + style.width / style.group - 1;
        let text: String = bytes
            .iter()
            .map(|&byte| if matches!(byte, b' '..=b'~') { byte as char } else { '.' })
            .collect();
        let label = if style.relative { at - start } else { at };
        let tail = if style.ascii { format!("  {text}") } else { String::new() };
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let object = json!({ "address": format!("{at:#x}"), "bytes": hex, "text": text });
        mdb.row(&format!("{label:x}:  {columns:<full$}{tail}"), object)?;
        last = Some(bytes);
        at += len as u64;
    }
    Ok(())
}

pub(super) const KGREP: Dcmd = Dcmd::new(
    &["kgrep"],
    ": [-v] [-s SIZE] [-d DISTANCE | -m MASK | -M INVERSE] [-a MIN -A MAX]",
    "search kernel memory for a pointer",
    |mdb, call| {
        let value = call.needs_address()?;
        let options = Options::take(&call.args, "vs:d:m:M:a:A:")?;
        let number = |letter: char| match options.get(letter) {
            Some(text) => mdb.evaluate(text).map(Some),
            None => Ok(None),
        };
        let size = number('s')?.unwrap_or(8);
        if !matches!(size, 1 | 2 | 4 | 8) {
            return Err(Failure::Usage("-s takes 1, 2, 4 or 8".into()));
        }
        let (distance, mask) = (number('d')?, number('m')?);
        let inverse = number('M')?.map(|mask| !mask);
        let (low, high) = (number('a')?.unwrap_or(0), number('A')?.unwrap_or(u64::MAX));
        let wanted = move |found: u64| {
            if let Some(distance) = distance {
                return found.wrapping_sub(value) < distance;
            }
            match mask.or(inverse) {
                Some(mask) => found & mask == value & mask,
                None => found == value,
            }
        };
        let system = mdb.system.clone();
        let stop = mdb.stopper();
        let mut found = Vec::new();
        system.search(size as usize, &wanted, &stop, &mut |at| {
            if (low..high).contains(&at) {
                found.push(at);
            }
        });
        mdb.check()?;
        for at in found {
            if call.pipe_out {
                mdb.pipe(at);
                continue;
            }
            let object = json!({ "address": format!("{at:#x}") });
            if options.has('v') {
                let mut bytes = [0; 8];
                mdb.system.read(Space::Virtual, at, &mut bytes[..size as usize])?;
                let value = u64::from_le_bytes(bytes);
                mdb.row(&format!("{at:x} {value:x}"), object)?;
            } else {
                mdb.row(&format!("{at:x}"), object)?;
            }
        }
        Ok(())
    },
)
.with_help(
    "Prints the addresses of all aligned words of kernel memory that hold the value.\n\n  -v    \
     print the words, too\n  -s n  words of n bytes\n  -d n  values up to n above\n  -m n  compare \
     these bits alone; -M: all but these",
);
