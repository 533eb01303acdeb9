//! BPF programs and maps.

use std::fmt::Write;

use necropsy_linux::{
    Kernel,
    bpf::{Map, Program},
};

use super::{dis, structure};
use crate::rows::bpf::{BpfMapRow, BpfProgramRow};
use crate::{
    CommandError, Outcome,
    command::{Command, Example, Opt},
    memory::Memory,
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    values, words,
};

const PROGRAM: Opt = Opt::value("-p", "id", "the program of this number");
const PROGRAMS: Opt = Opt::flag("-P", "all programs, in detail");
const MAP: Opt = Opt::value("-m", "id", "the map of this number");
const MAPS: Opt = Opt::flag("-M", "all maps, in detail");
const BYTECODE: Opt = Opt::flag("-t", "the instructions of programs");
const RAW_BYTECODE: Opt = Opt::flag("-T", "as -t");
const CODE: Opt = Opt::flag("-j", "the machine code of programs");
const STRUCTURES: Opt = Opt::flag("-s", "the structures of programs and maps, member by member");

pub(crate) static COMMAND: Command = Command {
    names: &["bpf"],
    summary: "BPF programs and maps",
    synopsis: "[[-p id | -P] [-m id | -M] [-t | -T] [-j] [-s [-x | -d]]]",
    options: &[
        PROGRAM,
        PROGRAMS,
        MAP,
        MAPS,
        BYTECODE,
        RAW_BYTECODE,
        CODE,
        STRUCTURES,
        values::HEXADECIMAL,
        values::DECIMAL,
    ],
    rows: &[BpfProgramRow::TYPE, BpfMapRow::TYPE],
    args: &[],
    description: "\
Without options, shows the BPF programs that are loaded and the maps that they share. -p, -P, -m and
-M tell more of one or all of them. Instructions (-t) are shown as words of 8 bytes, as they lie in
memory; the machine code that was made of them (-j) is disassembled.",
    examples: &[Example { about: "All of them.", line: "bpf", output: "" }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let id = |opt: Opt| match parsed.value(opt) {
        Some(text) => match text.parse::<u64>() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(CommandError::usage(format!("{text}: not the number of one"))),
        },
        None => Ok(None),
    };
    let (program, map) = (id(PROGRAM)?, id(MAP)?);
    let code = [BYTECODE, RAW_BYTECODE, CODE].iter().any(|opt| parsed.has(*opt));
    let programs = parsed.has(PROGRAMS) || program.is_some() || code && map.is_none();
    let maps = parsed.has(MAPS) || map.is_some();
    let both = !programs && !maps;
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let mut problems = Problems::default();
    if programs || both {
        let (mut found, errors) = kernel.bpf_programs()?;
        problems.extend(errors);
        if let Some(id) = program {
            found.retain(|found| found.id == id);
            if found.is_empty() {
                return Err(CommandError::failed(format!("invalid program ID: {id}")));
            }
        }
        if found.is_empty() {
            out.line(problems.nothing("(no BPF programs are loaded)"))?;
        }
        for (index, program) in found.iter().enumerate() {
            if index == 0 || programs {
                out.title(PROGRAM_HEADING)?;
            }
            show_program(program, programs, out)?;
            if parsed.has(STRUCTURES) {
                members(session, parsed, "bpf_prog", program.address, out)?;
                members(session, parsed, "bpf_prog_aux", program.aux, out)?;
            }
            contents(session, kernel, parsed, program, out)?;
        }
    }
    if maps || both {
        let (mut found, errors) = kernel.bpf_maps()?;
        problems.extend(errors);
        if let Some(id) = map {
            found.retain(|found| found.id == id);
            if found.is_empty() {
                return Err(CommandError::failed(format!("invalid map ID: {id}")));
            }
        }
        if programs || both {
            out.line("")?;
        }
        if found.is_empty() {
            out.line(problems.nothing("(there are no BPF maps)"))?;
        }
        for (index, map) in found.iter().enumerate() {
            if index == 0 || maps {
                out.title(MAP_HEADING)?;
            }
            show_map(map, maps, out)?;
            if parsed.has(STRUCTURES) {
                members(session, parsed, "bpf_map", map.address, out)?;
            }
        }
    }
    problems.report("BPF object", out)
}

const PROGRAM_HEADING: &str =
    " ID      BPF_PROG        BPF_PROG_AUX        BPF_PROG_TYPE            TAG          USED_MAPS";
const MAP_HEADING: &str = " ID      BPF_MAP         BPF_MAP_TYPE         MAP_FLAGS";

fn text<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "(unknown)".to_owned(), ToString::to_string)
}

fn show_program(program: &Program, details: bool, out: &mut Output) -> Outcome {
    let mut faults = Faults::default();
    let hex = |tag: [u8; 8]| {
        tag.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let row = BpfProgramRow {
        kind: "program",
        id: program.id,
        bpf_prog: Hex(program.address),
        bpf_prog_aux: Hex(program.aux),
        program_type: program.kind.clone(),
        tag: faults.keep(program.tag.clone()).map(hex),
        used_maps: faults.keep(program.maps.clone()),
        name: faults.keep(program.name.clone()),
        xlated: faults.keep(program.bytes.clone()),
        jited: faults.keep(program.jited_bytes.clone()),
        memlock: faults.keep(program.memory.clone()),
        load_time_ns: faults.keep(program.loaded.clone()),
        uid: faults.keep(program.uid.clone()),
        faults,
    };
    out.record(&row, |line| {
        let maps = row.used_maps.as_ref().map_or("?".to_owned(), |maps| {
            maps.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
        });
        write!(line, "{:>3}  {:016x}  {:016x}", row.id, row.bpf_prog.0, row.bpf_prog_aux.0)?;
        write!(line, "  {:<23}  {:<16}", row.program_type, text(row.tag.as_ref()))?;
        writeln!(line, "{}", format!("  {maps}").trim_end())?;
        if !details {
            return Ok(());
        }
        write!(line, "     XLATED: {}  ", text(row.xlated.as_ref()))?;
        write!(line, "JITED: {}  ", text(row.jited.as_ref()))?;
        writeln!(line, "MEMLOCK: {}", text(row.memlock.as_ref()))?;
        let seconds = row
            .load_time_ns
            .map(|ns| format!("{}.{:09} s after boot", ns / 1_000_000_000, ns % 1_000_000_000));
        writeln!(line, "     LOAD_TIME: {}", text(seconds.as_ref()))?;
        let name = row.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("(unused)");
        writeln!(line, "     NAME: \"{name}\"  UID: {}", text(row.uid.as_ref()))
    })
}

fn show_map(map: &Map, details: bool, out: &mut Output) -> Outcome {
    let mut faults = Faults::default();
    let row = BpfMapRow {
        kind: "map",
        id: map.id,
        bpf_map: Hex(map.address),
        map_type: map.kind.clone(),
        flags: faults.keep(map.flags.clone()).map(Hex),
        key_size: faults.keep(map.key_size.clone()),
        value_size: faults.keep(map.value_size.clone()),
        max_entries: faults.keep(map.max_entries.clone()),
        // Kernels that leave it to the cgroup have no such member, which is no fault.
        memlock: faults.keep(map.memory.clone()),
        name: faults.keep(map.name.clone()),
        uid: faults.keep(map.uid.clone()),
        faults,
    };
    out.record(&row, |line| {
        write!(line, "{:>3}  {:016x}  {:<20} ", row.id, row.bpf_map.0, row.map_type)?;
        writeln!(line, "{}", row.flags.map_or("?".to_owned(), |flags| format!("{:08x}", flags.0)))?;
        if !details {
            return Ok(());
        }
        write!(line, "     KEY_SIZE: {}  ", text(row.key_size.as_ref()))?;
        write!(line, "VALUE_SIZE: {}  ", text(row.value_size.as_ref()))?;
        write!(line, "MAX_ENTRIES: {}  ", text(row.max_entries.as_ref()))?;
        writeln!(line, "MEMLOCK: {}", text(row.memlock.as_ref()))?;
        let name = row.name.as_deref().filter(|name| !name.is_empty()).unwrap_or("(unused)");
        writeln!(line, "     NAME: \"{name}\"  UID: {}", text(row.uid.as_ref()))
    })
}

/// A structure as `struct` shows it.
fn members(
    session: &mut Session,
    parsed: &Parsed,
    tag: &str,
    address: u64,
    out: &mut Output,
) -> Outcome {
    let radix = [values::HEXADECIMAL, values::DECIMAL].into_iter().filter(|opt| parsed.has(*opt));
    let words = [tag.to_owned(), format!("{address:x}")];
    let words = radix.map(|opt| opt.flag.to_owned()).chain(words);
    let parsed = Parsed::new(&structure::COMMAND, words)?;
    (structure::COMMAND.run)(session, &parsed, out)
}

/// Instructions and machine code, as far as they are asked for.
fn contents(
    session: &mut Session,
    kernel: &Kernel,
    parsed: &Parsed,
    program: &Program,
    out: &mut Output,
) -> Outcome {
    /// More than a program can have (BPF_COMPLEXITY_LIMIT_INSNS), in bytes.
    const MAX_BYTES: u64 = 8_000_000;
    if parsed.has(BYTECODE) || parsed.has(RAW_BYTECODE) {
        let (at, bytes) = (program.bytecode.clone()?, program.bytes.clone()?);
        words::dump(kernel, &Memory::of_kernel(kernel), at, bytes.min(MAX_BYTES), out)?;
    }
    if parsed.has(CODE) {
        let (at, bytes) = (program.code.clone()?, program.jited_bytes.clone()?);
        if bytes == 0 {
            return out.line("(no machine code was made of it)");
        }
        let end = at.saturating_add(bytes.min(MAX_BYTES));
        dis::range(session, at, end, out)?;
    }
    Ok(())
}
