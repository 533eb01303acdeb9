//! The value of a C expression.

use necropsy_debuginfo::Type;
use necropsy_linux::Kernel;
use necropsy_machine::{
    expr::evaluate,
    format::{self, Radix, Style, render},
    scope::Scope,
    value::Value,
};

use crate::rows::types::{PerCpuRow, ValueRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    cpus::cpu_list,
    memory::Memory,
    parsed::{Parsed, is_plain},
    render::{Hex, Output},
    session::Session,
    values::{self, View},
};

const USER: Opt = Opt::flag("-u", "memory is that of the current task's user space");

const FORMAT: Opt = Opt::value(
    "--format",
    "letter",
    "as gdb's p/letter: a address, c character, o octal, s string, t binary, u unsigned",
);

const OPTIONS: &[Opt] = &[values::HEXADECIMAL, values::DECIMAL, USER, FORMAT];

const DESCRIPTION: &str = "\
The language is C's, as gdb reads it: members, indexes, casts, & and *, sizeof, container_of,
arithmetic; `*p@3` is an array of three; $ and $2 are values printed before. `symbol:cpus` (:a for
all, :1,3-5) is a per-CPU variable. gdb's p/x, p/d, p/a, p/c, p/o, p/s, p/t, p/u work, too.";

pub(crate) static COMMAND: Command = Command {
    names: &["p"],
    summary: "value of a C expression",
    synopsis: "[-x | -d | --format letter] [-u] expression | symbol:cpus",
    options: OPTIONS,
    rows: &[ValueRow::TYPE, PerCpuRow::TYPE],
    args: &[Arg::Expression],
    description: DESCRIPTION,
    examples: &[
        Example { about: "A variable.", line: "p init_task.comm", output: "" },
        Example { about: "Through pointers.", line: "p init_task.real_parent->pid", output: "" },
        Example { about: "On every CPU.", line: "p runqueues.nr_running:a", output: "" },
    ],
    run: |session, parsed, out| run(session, parsed, None, out),
};

pub(crate) static HEXADECIMAL: Command = Command {
    names: &["px"],
    summary: "value of a C expression in hexadecimal",
    synopsis: "[-x | -d | --format letter] [-u] expression | symbol:cpus",
    options: OPTIONS,
    rows: &[ValueRow::TYPE, PerCpuRow::TYPE],
    args: &[Arg::Expression],
    description: DESCRIPTION,
    examples: &[],
    run: |session, parsed, out| run(session, parsed, Some(Radix::Hexadecimal), out),
};

pub(crate) static DECIMAL: Command = Command {
    names: &["pd"],
    summary: "value of a C expression in decimal",
    synopsis: "[-x | -d | --format letter] [-u] expression | symbol:cpus",
    options: OPTIONS,
    rows: &[ValueRow::TYPE, PerCpuRow::TYPE],
    args: &[Arg::Expression],
    description: DESCRIPTION,
    examples: &[],
    run: |session, parsed, out| run(session, parsed, Some(Radix::Decimal), out),
};

fn run(session: &mut Session, parsed: &Parsed, radix: Option<Radix>, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    parsed.need(0, "an expression")?;
    let text = parsed.text();
    let mut style = values::style(session, parsed)?;
    if let Some(radix) =
        radix.filter(|_| !parsed.has(values::HEXADECIMAL) && !parsed.has(values::DECIMAL))
    {
        style.radix = radix;
    }
    let memory = if parsed.has(USER) {
        Memory::of_user(session, &kernel)?
    } else {
        Memory::of_kernel(&kernel)
    };
    let view = View::new(&kernel, memory);
    if let Some(wanted) = PerCpu::of(&kernel, &text) {
        return on_cpus(session, &kernel, &view, &wanted, &style, out);
    }
    if let Some(error) = not_per_cpu(&kernel, &text) {
        return Err(error);
    }
    if Scope::symbol(&*kernel, text.trim()).is_some_and(|symbol| symbol.per_cpu) {
        return addresses(&kernel, &view, text.trim(), out);
    }
    load_named_types(&kernel, &text);
    let view = view.with_history(session.printed.clone()).in_frame(session)?;
    if let Some(why) = view.lost(&text) {
        return Err(CommandError::missing(why));
    }
    if let Some(symbol) = untyped(&kernel, &text) {
        return Err(CommandError::missing(format!(
            "{symbol}: its type is not known without debug information; say it: \
             p *(struct TAG *)&{symbol}, or struct TAG {symbol}"
        )));
    }
    let value = evaluate(&view, &text).map_err(|error| match error.fault() {
        Some(fault) => CommandError::Fault(fault),
        None => CommandError::failed(error.to_string()),
    })?;
    if let Some(letter) = parsed.value(FORMAT) {
        return formatted(session, &view, &text, value, letter, out);
    }
    // A value of which nothing can be read is a failure; parts of one are shown in their places.
    if let (Some(address), Some(size)) = (value.address(), view.types().size_of(value.ty)) {
        values::readable(&view, address, size)?;
    }
    let rendered = render(&view, &value, &style);
    if let format::Rendered::Fault(error) = &rendered {
        return Err(CommandError::failed(error.to_string()));
    }
    let row = ValueRow {
        expression: &text,
        r#type: format::type_name(view.types(), value.ty),
        address: value.address().map(Hex),
        cpu: None,
        value: values::json(&rendered),
    };
    let number = session.printed.len() + 1;
    let name = Scope::symbol(&*kernel, &text).map(|_| format!("{text} = ")).unwrap_or_default();
    let gap = gap(&view, &value);
    out.record(&row, |line| {
        writeln!(line, "{name}${number} ={gap}{}", format::print(&view, &value, &style))
    })?;
    session.printed.push(value);
    Ok(())
}

/// The variable of unknown type that an expression wants the value of, not the address.
fn untyped<'t>(kernel: &Kernel, text: &'t str) -> Option<&'t str> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let name = text.get(..end).filter(|name| !name.is_empty())?;
    let whole = end == text.len() || text[end..].starts_with(['.', '-', '[']);
    let symbol = Scope::symbol(kernel, name)?;
    (whole && symbol.ty.is_none() && !symbol.text && !symbol.per_cpu).then_some(name)
}

/// A value as gdb's `p/letter` prints it.
fn formatted(
    session: &mut Session,
    view: &View<'_>,
    text: &str,
    value: Value,
    letter: &str,
    out: &mut Output,
) -> Outcome {
    let failed =
        |error: necropsy_machine::value::ValueError| CommandError::failed(error.to_string());
    let (types, size) = (view.types(), view.types().size_of(value.ty).unwrap_or(8).clamp(1, 8));
    let shown = if letter == "s" {
        // An array holds the string, a pointer leads to it.
        let at = match types.resolve(value.ty) {
            Type::Array { .. } => value.address().unwrap_or(0),
            _ => value.to_u64(view).map_err(failed)?,
        };
        let mut bytes = Vec::new();
        let limit = session.settings.print_max;
        let mut byte = [0];
        while bytes.len() < limit {
            Scope::read(view, at.wrapping_add(bytes.len() as u64), &mut byte)?;
            if byte == [0] {
                break;
            }
            bytes.push(byte[0]);
        }
        format::quote(&bytes)
    } else {
        let bits = value.to_u64(view).map_err(failed)?;
        let cut = if size < 8 { bits & ((1 << (size * 8)) - 1) } else { bits };
        match letter {
            "a" => match view.symbolize(bits) {
                Some((name, 0)) => format!("{bits:#x} <{name}>"),
                Some((name, offset)) => format!("{bits:#x} <{name}+{offset}>"),
                None => format!("{bits:#x}"),
            },
            "c" => {
                let byte = cut as u8;
                format!("{} {}", byte.cast_signed(), format::char_literal(byte))
            }
            "o" => format!("0{cut:o}"),
            "t" => format!("{cut:b}"),
            "z" => format!("{cut:#0width$x}", width = size as usize * 2 + 2),
            "u" => format!("{cut}"),
            _ => return Err(CommandError::usage(format!("{letter}: no format of a value"))),
        }
    };
    let row = ValueRow {
        expression: text,
        r#type: format::type_name(types, value.ty),
        address: value.address().map(Hex),
        cpu: None,
        value: shown.clone().into(),
    };
    let number = session.printed.len() + 1;
    out.record(&row, |line| writeln!(line, "${number} = {shown}"))?;
    session.printed.push(value);
    Ok(())
}

/// Loads the types of modules where an expression names one that vmlinux has not.
fn load_named_types(kernel: &Kernel, text: &str) {
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    while let Some(word) = words.next() {
        if matches!(word, "struct" | "union")
            && let Some(tag) = words.next()
        {
            // What is nowhere is told by the expression itself.
            let _ = crate::fields::composite(kernel, tag);
        }
    }
}

/// What stands before a value: arrays begin a line of their own, as in crash.
fn gap(view: &View<'_>, value: &Value) -> &'static str {
    let types = view.types();
    match types.resolve(value.ty) {
        Type::Array { element, .. } if types.size_of(*element) != Some(1) => "\n ",
        _ => " ",
    }
}

/// What is wrong with `symbol:cpus` where there is no such symbol for each CPU.
fn not_per_cpu(kernel: &Kernel, text: &str) -> Option<CommandError> {
    let wanted = PerCpu::parse(text)?;
    let (_, name, _) = wanted.parts;
    if !is_plain(name) || cpu_list(kernel, wanted.cpus).is_err() {
        return None;
    }
    Some(match Scope::symbol(kernel, name) {
        Some(_) => CommandError::failed(format!("{name} is no variable that each CPU has")),
        None => CommandError::failed(format!("there is no symbol {name}")),
    })
}

/// `symbol:cpus`, `&symbol:cpus` or `symbol.member:cpus`, of a symbol that each CPU has.
struct PerCpu<'t> {
    /// What stands before the colon.
    expression: &'t str,
    /// The same in parts: `&`, the symbol, the way to a member.
    parts: (&'t str, &'t str, &'t str),
    /// What stands behind it.
    cpus: &'t str,
}

impl<'t> PerCpu<'t> {
    fn of(kernel: &Kernel, text: &'t str) -> Option<PerCpu<'t>> {
        let wanted = PerCpu::parse(text)?;
        Scope::symbol(kernel, wanted.parts.1)?.per_cpu.then_some(wanted)
    }

    /// What has that form, whatever the symbol is; the colon of `a ? b : c` is another.
    fn parse(text: &'t str) -> Option<PerCpu<'t>> {
        let (expression, cpus) = text.rsplit_once(':')?;
        let parts = PerCpu::parts(expression);
        let way = parts.2;
        let member = way.is_empty() || way.starts_with(['.', '[']) || way.starts_with("->");
        let found = member && !expression.contains('?');
        found.then_some(PerCpu { expression: expression.trim(), parts, cpus: cpus.trim() })
    }

    fn parts(expression: &'t str) -> (&'t str, &'t str, &'t str) {
        let expression = expression.trim();
        let name = expression.trim_start_matches('&').trim_start();
        let (prefix, _) = expression.split_at(expression.len() - name.len());
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        let (name, way) = name.split_at(end);
        (prefix, name, way.trim())
    }

    /// The expression for one CPU.
    fn on(&self, cpu: u32) -> String {
        let (prefix, name, way) = self.parts;
        format!("{prefix}({name}:{cpu}){way}")
    }
}

/// A per-CPU variable without a CPU: its type, and where each CPU has it.
fn addresses(kernel: &Kernel, view: &View<'_>, name: &str, out: &mut Output) -> Outcome {
    let ty = Scope::symbol(kernel, name).and_then(|symbol| symbol.ty);
    let declared = ty.map(|ty| view.types().declare(ty, name));
    out.line("PER-CPU DATA TYPE:")?;
    out.line(format_args!("  {};", declared.as_deref().unwrap_or(name)))?;
    out.line("PER-CPU ADDRESSES:")?;
    for cpu in kernel.possible_cpus() {
        let address = Hex(kernel.per_cpu(name, cpu)?);
        let r#type = ty.map(|ty| format::type_name(view.types(), ty));
        let row = PerCpuRow { expression: name, r#type, cpu, address };
        out.record(&row, |line| writeln!(line, "  [{cpu}]: {address}"))?;
    }
    Ok(())
}

fn on_cpus(
    session: &mut Session,
    kernel: &Kernel,
    view: &View<'_>,
    wanted: &PerCpu<'_>,
    style: &Style,
    out: &mut Output,
) -> Outcome {
    let expression = wanted.expression;
    let cpus = match wanted.cpus {
        "" => vec![session.context(kernel)?.cpu()?],
        cpus => cpu_list(kernel, cpus)?,
    };
    for cpu in cpus {
        let value = evaluate(view, &wanted.on(cpu))
            .map_err(|error| CommandError::failed(format!("{expression}:{cpu}: {error}")))?;
        let row = ValueRow {
            expression,
            r#type: format::type_name(view.types(), value.ty),
            address: value.address().map(Hex),
            cpu: Some(cpu),
            value: values::json(&render(view, &value, style)),
        };
        let number = session.printed.len() + 1;
        let gap = gap(view, &value);
        out.record(&row, |line| {
            let shown = format::print(view, &value, style);
            writeln!(line, "per_cpu({expression}, {cpu}) = ${number} ={gap}{shown}")
        })?;
        session.printed.push(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::PerCpu;

    #[test]
    fn the_colon_of_a_condition_names_no_cpus() {
        let parse = |text| PerCpu::parse(text).map(|it| (it.parts, it.cpus));
        assert_eq!(parse("&runqueues:0,1"), Some((("&", "runqueues", ""), "0,1")));
        assert_eq!(parse("runqueues.curr->pid:a"), Some((("", "runqueues", ".curr->pid"), "a")));
        assert_eq!(parse("jiffies ? 1 : 0"), None);
        assert_eq!(parse("init_task.pid ? 1 : 0"), None);
        assert_eq!(parse("jiffies?1:0"), None);
    }
}
