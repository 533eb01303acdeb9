//! Open files of tasks.

use necropsy_linux::{Kernel, dentry::Place, files::CachedPage, task::Task};

use crate::rows::{
    files::{DentryRow, FileRow, NodeSpreadRow},
    memory::PageRow,
};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    pages,
    parsed::Parsed,
    problems::Problems,
    render::{Faults, Hex, Output},
    session::Session,
    tasks::{self, Header},
};

const PAGES: Opt = Opt::flag("-c", "how many pages of each file are in memory");
const REFERENCE: Opt =
    Opt::value("-R", "reference", "only files with this descriptor, address or part of a path");
const CACHE: Opt = Opt::value("-p", "inode", "the pages of this inode that are in memory");
const NODES: Opt = Opt::value("-n", "inode", "how they are spread over NUMA nodes");
const DENTRY: Opt = Opt::value("-d", "dentry", "what a directory entry stands for");

pub(crate) static COMMAND: Command = Command {
    names: &["files"],
    summary: "open files of tasks",
    synopsis: "[-c] [-R reference] [pid | task | name] ...\n-d dentry | -p inode | -n inode",
    options: &[PAGES, REFERENCE, CACHE, NODES, DENTRY],
    rows: &[FileRow::TYPE, DentryRow::TYPE, PageRow::TYPE, NodeSpreadRow::TYPE],
    args: &[Arg::Task],
    description: "\
Shows a task's root and working directory, and its open files by descriptor: the file, its directory
entry and inode, what it is, and its path. A socket is told by its protocol, a pipe by its inode's
number. Without a task, the current one.

-p lists the pages of a file that are in memory, -n counts them by NUMA node.",
    examples: &[
        Example { about: "Of the current task.", line: "files", output: "" },
        Example {
            about: "Who has a terminal open.",
            line: "foreach files -R /dev/tty",
            output: "",
        },
    ],
    run,
};

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    if let Some(word) = parsed.value(DENTRY) {
        return entry(kernel, session.address(word)?, out);
    }
    if let Some(word) = parsed.value(CACHE) {
        return cache(kernel, session.address(word)?, out);
    }
    if let Some(word) = parsed.value(NODES) {
        return nodes(kernel, session.address(word)?, out);
    }
    let wanted = parsed.value(REFERENCE);
    let mut between = false;
    for task in tasks::select_or_context(session, kernel, &parsed.args)? {
        out.check_interrupt()?;
        let (standing, files) = rows(kernel, task, parsed.has(PAGES), out);
        let files: Vec<FileRow> = files
            .into_iter()
            .filter(|row| wanted.is_none_or(|wanted| mentions(row, wanted)))
            .collect();
        let here = standing.iter().any(|row| {
            wanted.is_none_or(|wanted| row.path.as_deref().is_some_and(|path| path == wanted))
        });
        if wanted.is_some() && files.is_empty() && !here {
            continue;
        }
        if between {
            out.line("")?;
        }
        between = true;
        show(task, &standing, &files, parsed.has(PAGES), out)?;
    }
    Ok(())
}

fn row(kind: &'static str, pid: Option<u64>) -> FileRow {
    FileRow {
        kind,
        pid,
        fd: None,
        file: None,
        dentry: None,
        inode: None,
        file_type: None,
        path: None,
        mapping: None,
        pages: None,
        faults: Faults::default(),
    }
}

/// Fills in what a place tells.
fn place(kernel: &Kernel, row: &mut FileRow, place: Place) {
    row.dentry = Some(Hex(place.dentry));
    let inode = row.faults.keep(kernel.inode_of(place.dentry));
    row.inode = inode.map(Hex);
    if let Some(inode) = inode.filter(|inode| *inode != 0) {
        row.file_type = row.faults.keep(kernel.inode_kind(inode)).map(|kind| kind.word());
    }
}

/// Root and working directory, and open files.
fn rows(
    kernel: &Kernel,
    task: Task<'_>,
    pages: bool,
    out: &mut Output,
) -> (Vec<FileRow>, Vec<FileRow>) {
    let pid = task.pid().ok();
    let mut standing = Vec::new();
    match task.standing() {
        Ok(Some(where_it_stands)) => {
            for (kind, at) in [("root", where_it_stands.root), ("cwd", where_it_stands.cwd)] {
                let mut row = row(kind, pid);
                place(kernel, &mut row, at);
                row.path = row.faults.keep(kernel.path_of(at));
                standing.push(row);
            }
        }
        Ok(None) => {}
        Err(error) => skip("root and working directory", &error, out),
    }
    let files = match task.open_files() {
        Ok((files, errors)) => {
            errors.iter().for_each(|error| skip("file", error, out));
            files
        }
        Err(error) => {
            skip("open files", &error, out);
            Vec::new()
        }
    };
    let file = |open: &necropsy_linux::files::OpenFile| {
        let mut row = row("fd", pid);
        (row.fd, row.file) = (Some(open.fd), Some(Hex(open.file)));
        if let Some(at) = row.faults.keep(kernel.place_of_file(open.file)) {
            place(kernel, &mut row, at);
        }
        row.path = row.faults.keep(kernel.name_of_file(open.file));
        if pages
            && let Some(inode) = row.inode
            && let Some((mapping, count)) = row.faults.keep(kernel.inode_pages(inode.0))
        {
            (row.mapping, row.pages) = (Some(Hex(mapping)), Some(count));
        }
        row
    };
    (standing, files.iter().map(file).collect())
}

/// Counts what could not be read.
fn skip(what: &str, error: &necropsy_linux::Error, out: &mut Output) {
    if let Some(fault) = error.fault() {
        out.skipped(what, fault);
    }
}

fn mentions(row: &FileRow, wanted: &str) -> bool {
    let number = crate::numbers::parse_hex(wanted);
    let is = |address: Option<Hex>| address.is_some_and(|at| Some(at.0) == number && at.0 > 0xffff);
    row.fd.is_some_and(|fd| wanted.parse() == Ok(fd))
        || is(row.file)
        || is(row.dentry)
        || is(row.inode)
        || row.file_type == Some(wanted)
        || row.path.as_deref().is_some_and(|path| path.contains(wanted))
}

fn hex(address: Option<Hex>) -> String {
    address.map_or_else(|| format!("{:<16}", "?"), |at| format!("{:016x}", at.0))
}

fn show(
    task: Task<'_>,
    standing: &[FileRow],
    files: &[FileRow],
    pages: bool,
    out: &mut Output,
) -> Outcome {
    out.line(Header::new(task, &mut Faults::default()))?;
    for row in standing {
        let path = row.path.as_deref().unwrap_or("?");
        out.record(row, |line| match row.kind {
            "root" => write!(line, "ROOT: {path}    "),
            _ => writeln!(line, "CWD: {path}"),
        })?;
    }
    if files.is_empty() {
        return out.line("No open files");
    }
    out.title(if pages {
        " FD      INODE          I_MAPPING     NRPAGES TYPE PATH"
    } else {
        " FD       FILE            DENTRY           INODE       TYPE PATH"
    })?;
    for row in files {
        out.record(row, |line| {
            let fd = row.fd.unwrap_or_default();
            if pages {
                let count = row.pages.map_or("?".to_owned(), |count| count.to_string());
                write!(line, "{fd:>3} {} {} {count:>7}", hex(row.inode), hex(row.mapping))?;
            } else {
                write!(line, "{fd:>3} {} {} {}", hex(row.file), hex(row.dentry), hex(row.inode))?;
            }
            let kind = row.file_type.unwrap_or("?");
            writeln!(line, " {kind:<4} {}", row.path.as_deref().unwrap_or("?"))
        })?;
    }
    Ok(())
}

/// The pages of an inode: the address of its mapping, how many it counts, those that are found.
fn cached(
    kernel: &Kernel,
    inode: u64,
    problems: &mut Problems,
) -> Result<(u64, Vec<CachedPage>), CommandError> {
    let (mapping, count) = kernel.inode_pages(inode)?;
    if mapping == 0 {
        return Ok((0, Vec::new()));
    }
    let (pages, errors) = kernel.cached_pages(mapping)?;
    problems.extend(errors);
    Ok((count, pages))
}

fn cache(kernel: &Kernel, inode: u64, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let (count, found) = cached(kernel, inode, &mut problems)?;
    out.title("     INODE        NRPAGES")?;
    if out.is_text() {
        out.line(format_args!("{inode:016x} {count:>8}\n"))?;
    }
    out.title(pages::HEADING)?;
    let size = kernel.target().page_size();
    for page in found {
        out.check_interrupt()?;
        let Some(first) = problems.keep(kernel.pfn_of(page.page)) else { continue };
        for index in 0..page.count {
            let physical = first.wrapping_add(index).wrapping_mul(size);
            let Some(row) = problems.keep(pages::row(kernel, physical)) else { continue };
            out.record(&row, |line| writeln!(line, "{}", pages::line(&row)))?;
        }
    }
    problems.report("page", out)
}

fn nodes(kernel: &Kernel, inode: u64, out: &mut Output) -> Outcome {
    let mut problems = Problems::default();
    let (count, found) = cached(kernel, inode, &mut problems)?;
    let mut spread = std::collections::BTreeMap::<u64, u64>::new();
    for page in found {
        let Some(node) = problems.keep(kernel.page_node(page.page)) else { continue };
        let pages = spread.entry(node).or_default();
        *pages = pages.saturating_add(page.count);
    }
    out.title("     INODE        NRPAGES")?;
    if out.is_text() {
        out.line(format_args!("{inode:016x} {count:>8}\n"))?;
    }
    out.title("     NODE           PAGES")?;
    for (node, pages) in spread {
        let row = NodeSpreadRow { inode: Hex(inode), node, pages };
        out.record(&row, |line| writeln!(line, "{:>9} {:>15}", row.node, row.pages))?;
    }
    problems.report("page", out)
}

fn entry(kernel: &Kernel, dentry: u64, out: &mut Output) -> Outcome {
    let mut faults = Faults::default();
    let shape = kernel.shapes().dentry.at(kernel.target(), dentry);
    let inode = faults.keep(kernel.inode_of(dentry));
    let superblock = faults.keep(shape.superblock());
    if inode.is_none() && superblock.is_none() {
        return Err(CommandError::failed(format!("{dentry:x}: no dentry can be read there")));
    }
    let row = DentryRow {
        dentry: Hex(dentry),
        inode: inode.map(Hex),
        superblock: superblock.map(Hex),
        file_type: inode
            .filter(|inode| *inode != 0)
            .and_then(|inode| faults.keep(kernel.inode_kind(inode)))
            .map(|kind| kind.word()),
        path: faults.keep(kernel.path_of(Place { dentry, mount: 0 })),
        faults,
    };
    out.title("     DENTRY           INODE           SUPERBLK     TYPE PATH")?;
    out.record(&row, |line| {
        write!(line, "{} {} {}", hex(Some(row.dentry)), hex(row.inode), hex(row.superblock))?;
        let kind = row.file_type.unwrap_or("N/A");
        writeln!(line, " {kind:<4} {}", row.path.as_deref().unwrap_or("?"))
    })
}
