//! Mounted file systems.

use necropsy_linux::Kernel;

use crate::rows::files::MountRow;
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    tasks,
};

const NAMESPACE: Opt = Opt::value("-n", "task", "what this task sees");
const FILES: Opt = Opt::flag("-f", "refused: no kernel since 3.13 lists open files, see fuser");
const DIRTY: Opt =
    Opt::flag("-i", "refused: no kernel since 2.6.32 lists dirty inodes so, see kmem -V");

pub(crate) static COMMAND: Command = Command {
    names: &["mount"],
    summary: "mounted file systems",
    synopsis: "[-n task] [mount | superblock | type | device | dir | dentry | inode] ...",
    options: &[NAMESPACE, FILES, DIRTY],
    rows: &[MountRow::TYPE],
    args: &[Arg::Text("mount")],
    description: "\
Shows what the first process sees mounted, or the task given with -n: the mount, its super block,
the kind of file system, the device and the directory. Words choose among them: an address of a
mount or super block, of a directory entry or inode in it, or a word that is its type, device or
directory.",
    examples: &[
        Example { about: "All of them.", line: "mount", output: "" },
        Example { about: "Those of one kind.", line: "mount tmpfs", output: "" },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    if parsed.has(FILES) {
        let text =
            "-f: since 3.13 file systems keep no list of their open files; fuser DIR finds them";
        return Err(CommandError::missing(text));
    }
    if parsed.has(DIRTY) {
        let text = "-i: since 2.6.32 file systems keep no list of their dirty inodes; kmem -V counts \
                    dirty frames";
        return Err(CommandError::missing(text));
    }
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let task = match parsed.value(NAMESPACE) {
        Some(word) => tasks::select(kernel, &[word.to_owned()])?.pop(),
        None => kernel.task_by_pid(1)?,
    };
    let task = task.ok_or_else(|| CommandError::failed("no task 1: say whose mounts with -n"))?;
    let (mounts, errors) = kernel.mounts(task)?;
    let mut problems = Problems::default();
    problems.extend(errors);
    let mut rows: Vec<MountRow> = Vec::new();
    for mount in mounts {
        let mut faults = Faults::default();
        let row = MountRow {
            mount: Hex(mount.address),
            superblock: Hex(mount.superblock),
            fs_type: faults.keep(mount.kind),
            device: faults.keep(mount.device),
            dir: faults.keep(mount.directory),
            faults,
        };
        if parsed.args.is_empty() || parsed.args.iter().any(|word| is(kernel, &row, word)) {
            rows.push(row);
        }
    }
    if rows.is_empty() && !parsed.args.is_empty() {
        return Err(CommandError::failed(format!("{}: no such mount", parsed.args.join(" "))));
    }
    out.title("     MOUNT           SUPERBLK     TYPE   DEVNAME   DIRNAME")?;
    for row in &rows {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        out.record(row, |line| {
            write!(line, "{:016x} {:016x}", row.mount.0, row.superblock.0)?;
            let what = format!("{:<6} {}", text(&row.fs_type), text(&row.device));
            writeln!(line, " {what:<16} {}", text(&row.dir))
        })?;
    }
    problems.report("mount", out)
}

fn is(kernel: &Kernel, row: &MountRow, word: &str) -> bool {
    let named = |text: &Option<String>| text.as_deref() == Some(word);
    if named(&row.fs_type) || named(&row.device) || named(&row.dir) {
        return true;
    }
    let Some(at) = crate::numbers::parse_hex(word).filter(|at| *at > 0xffff) else { return false };
    let shapes = kernel.shapes();
    at == row.mount.0
        || at == row.superblock.0
        || shapes.dentry.superblock.read(kernel.target(), at) == Ok(row.superblock.0)
        || shapes.inode.superblock.read(kernel.target(), at) == Ok(row.superblock.0)
}
