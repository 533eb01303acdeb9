//! The `task_struct` of tasks.

use necropsy_linux::{Kernel, task::Task};
use necropsy_target::{format, value::Value};
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    parsed::Parsed,
    registry::{Arg, Command, Example, Opt},
    render::{Faults, Output},
    session::Session,
    tasks::{self, Header},
    values::{self, Json},
};

pub(crate) static COMMAND: Command = Command {
    names: &["task"],
    summary: "task_struct and thread_info of tasks",
    synopsis: "[-R members] [-x | -d] [pid | task | command] ...",
    options: &[
        Opt { flag: "-R", value: Some("members"), help: "only these: pid,comm,se.on_rq,comm[0]" },
        Opt { flag: "-x", value: None, help: "numbers in hexadecimal" },
        Opt { flag: "-d", value: None, help: "numbers in decimal" },
    ],
    args: &[Arg::Task],
    description: "\
Without -R the whole structures are shown. Members of -R may be those of task_struct or of
thread_info.",
    examples: &[
        Example { about: "Some members.", line: "task -R pid,comm,prio 1", output: "" },
        Example { about: "All of it.", line: "task -x 1", output: "" },
    ],
    run,
};

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    header: Header,
    /// Members by name, or the whole `task_struct`.
    values: Json,
    #[serde(skip_serializing_if = "Faults::is_empty")]
    faults: Faults,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let style = values::style(session, parsed)?;
    let members: Vec<&str> = parsed
        .values("-R")
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .collect();
    let holders = holders(kernel, &members)?;
    let chosen = tasks::select_or_context(session, kernel, &parsed.args)?;
    for task in chosen {
        let mut faults = Faults::default();
        let header = Header::new(task, &mut faults);
        let holders = in_task(kernel, task, &holders);
        let values = values::json_members(kernel, &holders, &style);
        let row = Row { header, values, faults };
        out.record(&row, |line| {
            writeln!(line, "{}", row.header)?;
            for (value, paths) in &holders {
                if paths.is_empty() {
                    format::write_instance(line, kernel, value, &style)?;
                    writeln!(line)?;
                } else {
                    format::write_members(line, kernel, value, paths, &style)?;
                }
            }
            if members.is_empty() { Ok(()) } else { writeln!(line) }
        })?;
    }
    Ok(())
}

/// Types and the members to be shown of each; no members: the whole.
type Holders<'a> = Vec<(&'static str, necropsy_debuginfo::TypeId, Vec<&'a str>)>;

fn holders<'a>(kernel: &Kernel, members: &[&'a str]) -> Result<Holders<'a>, CommandError> {
    let types = kernel.types();
    let find = |name| {
        let missing = || CommandError::missing(format!("this dump has no type {name}"));
        types.composite(name).ok_or_else(missing)
    };
    let (task, info) = (find("task_struct")?, find("thread_info")?);
    if members.is_empty() {
        return Ok(vec![("task_struct", task, Vec::new()), ("thread_info", info, Vec::new())]);
    }
    let mut holders: Holders<'a> = Vec::new();
    for member in members {
        let (name, ty) = match (types.member(task, member), types.member(info, member)) {
            (Some(_), _) => ("task_struct", task),
            (None, Some(_)) => ("thread_info", info),
            (None, None) => {
                return Err(CommandError::failed(format!(
                    "{member}: not a task_struct or thread_info member"
                )));
            }
        };
        match holders.last_mut() {
            Some((last, _, members)) if *last == name => members.push(member),
            _ => holders.push((name, ty, vec![member])),
        }
    }
    Ok(holders)
}

fn in_task<'a>(
    kernel: &Kernel,
    task: Task<'_>,
    holders: &Holders<'a>,
) -> Vec<(Value, Vec<&'a str>)> {
    // thread_info lies within task_struct (CONFIG_THREAD_INFO_IN_TASK, always on x86 since 4.9),
    // else at the bottom of the stack.
    let inside = kernel.offset_of("task_struct", "thread_info").ok();
    let info = inside.map(|offset| task.address.wrapping_add(offset)).or(task.stack().ok());
    let place = |name: &str| if name == "task_struct" { Some(task.address) } else { info };
    holders
        .iter()
        .filter_map(|(name, ty, members)| Some((Value::at(*ty, place(name)?), members.clone())))
        .collect()
}
