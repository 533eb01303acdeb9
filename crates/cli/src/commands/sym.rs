//! Symbols by name, address or part of a name.

use necropsy_debuginfo::symbols::Symbol;
use necropsy_linux::{Kernel, module::Module};
use necropsy_machine::{Image, target::VMLINUX};

use crate::rows::code::SymbolRow;
use crate::{
    CommandError, Outcome,
    addresses::with_offset,
    command::{Arg, Command, Example, Opt},
    numbers,
    parsed::Parsed,
    render::{Hex, Output},
    session::Session,
    source::Source,
};

const ALL: Opt = Opt::flag("-l", "every symbol");
const ALL_MODULES: Opt = Opt::flag("-M", "every symbol of every module");
const MODULE: Opt = Opt::value("-m", "module", "every symbol of this module");
const PREVIOUS: Opt = Opt::flag("-p", "also the symbol before");
const NEXT: Opt = Opt::flag("-n", "also the symbol behind");
const CONTAINING: Opt = Opt::value("-q", "text", "every symbol whose name contains the text");

pub(crate) static COMMAND: Command = Command {
    names: &["sym"],
    summary: "symbols by name, address or part of a name",
    synopsis: "[-p] [-n] symbol | address | (expression) ...\n-q text\n-l\n-M\n-m module",
    options: &[ALL, ALL_MODULES, MODULE, PREVIOUS, NEXT, CONTAINING],
    rows: &[SymbolRow::TYPE],
    args: &[Arg::Symbol],
    description: "\
Shows address, kind (nm's letter, a capital one for a global symbol), name, the offset into it in
decimal, and the module it belongs to; with debug information, file and line of code. A name that
several symbols have shows all of them.",
    examples: &[
        Example { about: "An address from a log.", line: "sym schedule", output: "" },
        Example { about: "Names to choose from.", line: "sym -q linux_ban", output: "" },
        Example { about: "The neighbours in memory.", line: "sym -pn linux_banner", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    match parsed.one_of(&[ALL, ALL_MODULES, MODULE, CONTAINING])? {
        Some(ALL) => {
            list(&kernel.target().kernel().symbols, None, out)?;
            return modules(kernel, None, out);
        }
        Some(ALL_MODULES) => return modules(kernel, None, out),
        Some(MODULE) => return modules(kernel, parsed.value(MODULE), out),
        Some(_) => return containing(kernel, parsed.value(CONTAINING).unwrap_or_default(), out),
        None => {}
    }
    parsed.need(0, "a symbol or an address")?;
    let (source, hex) = (Source::of(session), session.settings.hex());
    let mut failed = Vec::new();
    for word in &parsed.args {
        match lookup(session, kernel, word) {
            Some(found) => {
                for (image, symbol, offset) in found {
                    with_neighbours((kernel, &source, hex), image, &symbol, offset, parsed, out)?;
                }
            }
            None => failed.push(word.as_str()),
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        words => Err(not_found(kernel, words)),
    }
}

type Found<'k> = Vec<(&'k Image, Symbol<'k>, u64)>;

/// The symbols that a word names, or the one that an address belongs to.
fn lookup<'k>(session: &Session, kernel: &'k Kernel, word: &str) -> Option<Found<'k>> {
    let target = kernel.target();
    let mut found: Found<'k> = Vec::new();
    // A name that could be read as a number is one, as everywhere, unless no symbol is there.
    let address = numbers::parse_hex(word);
    if address.is_none() {
        for image in target.images() {
            found.extend(image.symbols.all_by_name(word).into_iter().map(|s| (image, s, 0)));
        }
    }
    if found.is_empty() {
        let address = match address {
            Some(address) => address,
            None => session.address(word).ok()?,
        };
        let located = kernel.nearest(address)?;
        found.push((located.image, located.symbol, located.offset));
    }
    Some(found)
}

fn not_found(kernel: &Kernel, words: &[&str]) -> CommandError {
    let mut text = Vec::new();
    for word in words {
        let near: Vec<&str> = kernel
            .target()
            .images()
            .flat_map(|image| image.symbols.iter_name_contains(word))
            .map(|symbol| symbol.name)
            .take(5)
            .collect();
        text.push(match near.as_slice() {
            _ if numbers::parse_hex(word).is_some() => {
                match numbers::parse_hex(word).and_then(|address| kernel.target().locate(address)) {
                    Some(before) => format!(
                        "{word}: in no symbol that is known to reach so far; the last one before it \
                         is {}, {:#x} bytes below",
                        before.symbol.name, before.offset
                    ),
                    None => format!("{word}: in no part of the kernel's image and in no module"),
                }
            }
            [] => format!("symbol not found: {word}"),
            near => format!("symbol not found: {word} (there are {})", near.join(", ")),
        });
    }
    CommandError::failed(text.join("; "))
}

fn with_neighbours(
    kernel: (&Kernel, &Source, bool),
    image: &Image,
    symbol: &Symbol<'_>,
    offset: u64,
    parsed: &Parsed,
    out: &mut Output,
) -> Outcome {
    let module = module_name(image);
    if parsed.has(PREVIOUS)
        && let Some(before) = image.symbols.prev(symbol.address)
    {
        show(kernel, &before, 0, module, out)?;
    }
    show(kernel, symbol, offset, module, out)?;
    if parsed.has(NEXT)
        && let Some(behind) = image.symbols.next(symbol.address)
    {
        show(kernel, &behind, 0, module, out)?;
    }
    Ok(())
}

fn module_name(image: &Image) -> Option<&str> {
    (image.name != VMLINUX).then_some(image.name.as_str())
}

fn show(
    (kernel, source, hex): (&Kernel, &Source, bool),
    symbol: &Symbol<'_>,
    offset: u64,
    module: Option<&str>,
    out: &mut Output,
) -> Outcome {
    let address = symbol.address.wrapping_add(offset);
    let code = kernel.target().is_text(address);
    let (file, line) = code.then(|| kernel.target().source_line(address)).flatten().unzip();
    let (name, section) = (symbol.name, symbol.kind);
    let row = SymbolRow { address: Hex(address), name, offset, section, module, file, line };
    out.record(&row, |line| {
        let place = with_offset(row.name, offset, hex);
        write!(line, "{} ({}) {place}", row.address, row.section)?;
        if let Some(module) = module {
            write!(line, " [{module}]")?;
        }
        if let (Some(file), Some(number)) = (&row.file, row.line) {
            write!(line, " {file}: {number}")?;
            if let Some(text) = source.line(file, number) {
                write!(line, "\n{number}\t{text}")?;
            }
        }
        writeln!(line)
    })
}

fn list(
    symbols: &necropsy_debuginfo::symbols::Symbols,
    module: Option<&str>,
    out: &mut Output,
) -> Outcome {
    for symbol in symbols.iter() {
        let address = Hex(symbol.address);
        let (name, section) = (symbol.name, symbol.kind);
        let row = SymbolRow { address, name, offset: 0, section, module, file: None, line: None };
        out.record(&row, |line| writeln!(line, "{} ({}) {}", row.address, row.section, row.name))?;
    }
    Ok(())
}

fn containing(kernel: &Kernel, part: &str, out: &mut Output) -> Outcome {
    let no_source = Source::default();
    let mut any = false;
    for image in kernel.target().images() {
        for symbol in image.symbols.iter_name_contains(part) {
            any = true;
            show((kernel, &no_source, false), &symbol, 0, module_name(image), out)?;
        }
    }
    if any { Ok(()) } else { Err(CommandError::failed(format!("no symbol contains {part}"))) }
}

/// The symbols of one module or of all, in order of their addresses, framed by where they begin
/// and end.
fn modules(kernel: &Kernel, name: Option<&str>, out: &mut Output) -> Outcome {
    let (modules, problem) = kernel.modules();
    let mut chosen: Vec<&Module> =
        modules.iter().filter(|m| name.is_none_or(|name| m.name == name)).collect();
    chosen.sort_by_key(|m| m.base);
    for module in &chosen {
        let bytes = module.size;
        let image = kernel.target().modules().iter().find(|image| image.name == module.name);
        out.line(format_args!("{:x} MODULE START: {}", module.base, module.name))?;
        if let Some(image) = image {
            list(&image.symbols, Some(&module.name), out)?;
        }
        let ends = module.ranges.iter().map(|r| r.end).max();
        let end = ends.unwrap_or(module.base.saturating_add(bytes));
        out.line(format_args!("{:x} MODULE END: {}", end.saturating_sub(1), module.name))?;
    }
    match (name, problem) {
        (Some(name), _) if chosen.is_empty() => {
            Err(CommandError::failed(format!("{name}: no such module")))
        }
        (_, Some(problem)) => Err(CommandError::failed(format!("the list of modules: {problem}"))),
        _ => Ok(()),
    }
}
