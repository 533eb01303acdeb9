//! The value of a C expression.

use necropsy_debuginfo::Type;
use necropsy_linux::Kernel;
use necropsy_target::{
    expr::evaluate,
    format::{self, Radix, Style, render},
    scope::Scope,
    value::Value,
};
use serde::Serialize;

use super::bt::cpu_list;
use crate::{
    CommandError, Outcome,
    memory::Memory,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
    values::{self, Json, View},
};

const OPTIONS: &[Opt] = &[
    Opt { flag: "-x", value: None, help: "numbers in hexadecimal" },
    Opt { flag: "-d", value: None, help: "numbers in decimal" },
    Opt { flag: "-u", value: None, help: "memory is that of the current task's user space" },
];

const DESCRIPTION: &str = "\
The language is C's, as gdb reads it: members, indexes, casts, & and *, sizeof, container_of,
arithmetic; `*p@3` is an array of three; $ and $2 are values printed before. `symbol:cpus` (:a for
all, :1,3-5) is a per-CPU variable.";

pub(crate) static COMMAND: Command = Command {
    names: &["p"],
    summary: "value of a C expression",
    synopsis: "[-x | -d] [-u] expression | symbol:cpus",
    options: OPTIONS,
    args: &[Arg::Expression],
    description: DESCRIPTION,
    examples: &[
        Example { about: "A variable.", line: "p init_task.comm", output: "" },
        Example { about: "Through pointers.", line: "p init_task.real_parent->pid", output: "" },
        Example { about: "On every CPU.", line: "p -x cpu_number:a", output: "" },
    ],
    run: |session, parsed, out| run(session, parsed, None, out),
};

pub(crate) static HEXADECIMAL: Command = Command {
    names: &["px"],
    summary: "value of a C expression in hexadecimal",
    synopsis: "[-x | -d] [-u] expression | symbol:cpus",
    options: OPTIONS,
    args: &[Arg::Expression],
    description: DESCRIPTION,
    examples: &[],
    run: |session, parsed, out| run(session, parsed, Some(Radix::Hexadecimal), out),
};

pub(crate) static DECIMAL: Command = Command {
    names: &["pd"],
    summary: "value of a C expression in decimal",
    synopsis: "[-x | -d] [-u] expression | symbol:cpus",
    options: OPTIONS,
    args: &[Arg::Expression],
    description: DESCRIPTION,
    examples: &[],
    run: |session, parsed, out| run(session, parsed, Some(Radix::Decimal), out),
};

#[derive(Serialize)]
struct Row<'a> {
    expression: &'a str,
    r#type: String,
    address: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<u32>,
    value: Json,
}

fn run(session: &mut Session, parsed: &Parsed, radix: Option<Radix>, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    parsed.need(0, "an expression")?;
    let text = parsed.text();
    let mut style = values::style(session, parsed)?;
    if let Some(radix) = radix.filter(|_| !parsed.has("-x") && !parsed.has("-d")) {
        style.radix = radix;
    }
    let memory = if parsed.has("-u") {
        Memory::of_user(session, &kernel)?
    } else {
        Memory::of_kernel(&kernel)
    };
    let view = View::new(&kernel, memory);
    if let Some((expression, cpus)) = per_cpu(&kernel, &text) {
        return on_cpus(session, &kernel, &view, (expression, cpus), &style, out);
    }
    if Scope::symbol(&*kernel, text.trim()).is_some_and(|symbol| symbol.per_cpu) {
        return addresses(&kernel, &view, text.trim(), out);
    }
    load_named_types(&kernel, &text);
    let view = view.with_history(session.printed.clone()).in_frame(session)?;
    if let Some(why) = view.lost(&text) {
        return Err(CommandError::missing(why));
    }
    let value = evaluate(&view, &text).map_err(|error| match error.fault() {
        Some(fault) => CommandError::Fault(fault),
        None => CommandError::failed(error.to_string()),
    })?;
    // A value of which nothing can be read is a failure; parts of one are shown in their places.
    let rendered = render(&view, &value, &style);
    if let format::Rendered::Fault(error) = &rendered {
        return Err(CommandError::failed(error.to_string()));
    }
    let row = Row {
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

/// `symbol:cpus` or `&symbol:cpus`, if there is such a symbol for each CPU.
fn per_cpu<'t>(kernel: &Kernel, text: &'t str) -> Option<(&'t str, &'t str)> {
    let (expression, cpus) = text.rsplit_once(':')?;
    let symbol = expression.trim().trim_start_matches('&').trim();
    Scope::symbol(kernel, symbol)?.per_cpu.then_some((expression.trim(), cpus.trim()))
}

/// A per-CPU variable without a CPU: its type, and where each CPU has it.
fn addresses(kernel: &Kernel, view: &View<'_>, name: &str, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct AddressRow<'a> {
        expression: &'a str,
        r#type: Option<String>,
        cpu: u32,
        address: Hex,
    }
    let ty = Scope::symbol(kernel, name).and_then(|symbol| symbol.ty);
    let declared = ty.map(|ty| view.types().declare(ty, name));
    out.line("PER-CPU DATA TYPE:")?;
    out.line(format_args!("  {};", declared.as_deref().unwrap_or(name)))?;
    out.line("PER-CPU ADDRESSES:")?;
    for cpu in kernel.possible_cpus() {
        let address = Hex(kernel.per_cpu(name, cpu)?);
        let r#type = ty.map(|ty| format::type_name(view.types(), ty));
        let row = AddressRow { expression: name, r#type, cpu, address };
        out.record(&row, |line| writeln!(line, "  [{cpu}]: {address}"))?;
    }
    Ok(())
}

fn on_cpus(
    session: &mut Session,
    kernel: &Kernel,
    view: &View<'_>,
    (expression, cpus): (&str, &str),
    style: &Style,
    out: &mut Output,
) -> Outcome {
    let cpus = match cpus {
        "" => vec![session.context(kernel)?.cpu()?],
        cpus => cpu_list(kernel, cpus)?,
    };
    for cpu in cpus {
        let one = format!("{expression}:{cpu}");
        let value = evaluate(view, &one)
            .map_err(|error| CommandError::failed(format!("{one}: {error}")))?;
        let row = Row {
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
