//! The `task_struct` of tasks.

use necropsy_linux::{Kernel, task::Task};
use necropsy_machine::{format, value::Value};

use crate::rows::tasks::StructuresRow;
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    fields,
    parsed::Parsed,
    render::{Faults, Output},
    session::Session,
    tasks::{self, Header},
    values,
};

const MEMBERS: Opt = Opt::value("-R", "members", "only these: pid,comm,se.on_rq,comm[0]");

pub(crate) static COMMAND: Command = Command {
    names: &["task"],
    summary: "task_struct and thread_info of tasks",
    synopsis: "[-R members] [-x | -d] [pid | task | command] ...",
    options: &[MEMBERS, values::HEXADECIMAL, values::DECIMAL],
    rows: &[StructuresRow::TYPE],
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

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let style = values::style(session, parsed)?;
    let members: Vec<&str> = parsed
        .values(MEMBERS)
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .collect();
    let (holders, wrong) = holders(kernel, &members)?;
    if let (Some(wrong), true) = (&wrong, holders.is_empty()) {
        return Err(CommandError::failed(wrong.clone()));
    }
    let chosen = tasks::select_or_context(session, kernel, &parsed.args)?;
    for task in chosen {
        let mut faults = Faults::default();
        let header = Header::new(task, &mut faults);
        let holders = in_task(kernel, task, &holders);
        let values = values::json_members(kernel, &holders, &style);
        let row = StructuresRow { header, values, faults };
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
    // A member that this kernel does not have costs none of the others.
    wrong.map_or(Ok(()), |wrong| Err(CommandError::failed(wrong)))
}

/// Types and the members to be shown of each; no members: the whole.
type Holders<'a> = Vec<(&'static str, necropsy_debuginfo::TypeId, Vec<&'a str>)>;

/// And what is wrong with the first member that there is not.
fn holders<'a>(
    kernel: &Kernel,
    members: &[&'a str],
) -> Result<(Holders<'a>, Option<String>), CommandError> {
    let types = kernel.types();
    let find = |name| {
        let missing = || CommandError::missing(format!("this dump has no type {name}"));
        types.composite(name).ok_or_else(missing)
    };
    let (task, info) = (find("task_struct")?, find("thread_info")?);
    if members.is_empty() {
        let whole = vec![("task_struct", task, Vec::new()), ("thread_info", info, Vec::new())];
        return Ok((whole, None));
    }
    let mut wrong = None;
    let mut holders: Holders<'a> = Vec::new();
    for member in members {
        let (name, ty) = match (types.member(task, member), types.member(info, member)) {
            (Some(_), _) => ("task_struct", task),
            (None, Some(_)) => ("thread_info", info),
            (None, None) => {
                wrong.get_or_insert_with(|| fields::no_member(kernel, "task_struct", member));
                continue;
            }
        };
        match holders.last_mut() {
            Some((last, _, members)) if *last == name => members.push(member),
            _ => holders.push((name, ty, vec![member])),
        }
    }
    Ok((holders, wrong))
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
