//! Users of files.

use necropsy_linux::dentry::Place;

use crate::rows::{files::FileUserRow, tasks::Header};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example},
    parsed::Parsed,
    render::{Faults, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["fuser"],
    summary: "tasks that use a file",
    synopsis: "path | inode",
    options: &[],
    rows: &[FileUserRow::TYPE],
    args: &[Arg::Text("path")],
    description: "\
Shows the tasks that use a file, given by its path or by the address of its inode, and how: as root,
as working directory, by a descriptor, mapped, as the program that runs.",
    examples: &[Example { about: "Who is at the root.", line: "fuser /", output: "" }],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let word = parsed.need(0, "a path or an inode")?;
    let inode = if word.starts_with('/') { None } else { Some(session.address(word)?) };
    let is = |file: u64| match inode {
        Some(inode) => kernel
            .place_of_file(file)
            .and_then(|place| kernel.inode_of(place.dentry))
            .is_ok_and(|found| found == inode),
        None => kernel.name_of_file(file).is_ok_and(|path| path == word),
    };
    let stands = |place: Place| match inode {
        Some(inode) => kernel.inode_of(place.dentry).is_ok_and(|found| found == inode),
        None => kernel.path_of(place).is_ok_and(|path| path == word),
    };
    let mut found = false;
    for task in kernel.tasks().tasks {
        out.check_interrupt()?;
        let mut usage = Vec::new();
        if let Ok(Some(standing)) = task.standing() {
            usage.extend(stands(standing.root).then_some("root"));
            usage.extend(stands(standing.cwd).then_some("cwd"));
        }
        if let Ok((files, _)) = task.open_files() {
            usage.extend(files.iter().any(|open| is(open.file)).then_some("fd"));
        }
        if let Ok(Some(mm)) = task.mm() {
            let exe = kernel.shapes().mm_mappings.at(kernel.target(), mm).exe().unwrap_or(0);
            usage.extend((exe != 0 && is(exe)).then_some("exe"));
            let mapped = kernel
                .mappings(mm)
                .is_ok_and(|(vmas, _)| vmas.iter().any(|vma| vma.file != 0 && is(vma.file)));
            usage.extend(mapped.then_some("mmap"));
        }
        if usage.is_empty() {
            continue;
        }
        if !found {
            out.title(" PID         TASK        COMM             USAGE")?;
        }
        found = true;
        let mut faults = Faults::default();
        let header = Header::new(task, &mut faults);
        let row = FileUserRow { pid: header.pid, task: header.task, comm: header.comm, usage };
        out.record(&row, |line| {
            let pid = row.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
            let comm = format!("\"{}\"", row.comm.as_deref().unwrap_or("?"));
            writeln!(line, "{pid:>5}  {:016x}  {comm:<16} {}", row.task.0, row.usage.join(" "))
        })?;
    }
    if found { Ok(()) } else { Err(CommandError::failed(format!("No users of {word} found"))) }
}
