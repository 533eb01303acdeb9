//! Files in memory.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
};

use necropsy_dump::PhysicalMemory;
use necropsy_linux::{
    Kernel,
    page_cache::{Cached, CachedRange},
};
use necropsy_rows::Row;

use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    numbers,
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    rows::core::CacheRow,
    session::Session,
};

const FILE: Opt =
    Opt::value("-o", "file", "write the content to this file; holes where it is missing");

pub(crate) static COMMAND: Command = Command {
    names: &["pagecache"],
    summary: "what of a file is in the page cache, and its content",
    synopsis: "[-o file] path | inode",
    options: &[FILE],
    rows: &[CacheRow::TYPE],
    args: &[Arg::Text("path | inode")],
    description: "\
Shows which pages of a file are in memory, by its path as the current task sees it (through the names
that are in memory) or by the address of its inode. With -o the content is written, as far as the dump
has it; what is missing is told and left as a hole.",
    examples: &[Example {
        about: "The file that the first process runs.",
        line: "pagecache /bin/busybox",
        output: "",
    }],
    run,
};

/// A stretch of the file with one state.
struct Stretch {
    offset: u64,
    bytes: u64,
    state: &'static str,
    /// Physical addresses of its pages.
    pages: Vec<u64>,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let path = parsed.need(0, "a path, or the address of an inode")?;
    let inode = match numbers::parse_hex(path).filter(|at| kernel.target().is_kernel_address(*at)) {
        Some(inode) => inode,
        None => {
            // The first process sees what the machine was started with.
            let first = kernel.task_by_pid(1)?;
            let task = session.context(&kernel)?;
            kernel.inode_at_path(task, path).or_else(|error| {
                first.map_or(Err(error), |first| kernel.inode_at_path(first, path))
            })?
        }
    };
    let mapping = kernel.inode_mapping(inode)?;
    let length = kernel.inode_bytes(inode)?;
    let (mut ranges, errors) = kernel.page_cache(mapping)?;
    ranges.sort_by_key(|range| range.index);
    let mut problems = Problems::default();
    problems.extend(errors);
    let stretches = stretches(&kernel, &ranges, length);
    let columns = CacheRow::columns();
    out.heading(&columns)?;
    for stretch in &stretches {
        let row = CacheRow {
            offset: Hex(stretch.offset),
            size: stretch.bytes,
            state: stretch.state,
            physical: stretch.pages.first().copied().map(Hex),
        };
        out.row(&columns, &row)?;
    }
    if let Some(file) = parsed.value(FILE) {
        let missing = write(&kernel, &stretches, length, file)
            .map_err(|error| CommandError::failed(format!("{file}: {error}")))?;
        out.line(format_args!("{file}: {} of {length} bytes", length - missing))?;
    }
    problems.report("part of the file", out)
}

fn stretches(kernel: &Kernel, ranges: &[CachedRange], length: u64) -> Vec<Stretch> {
    let (page, shift) = (kernel.target().page_size(), kernel.target().page_shift());
    let mut found: Vec<Stretch> = Vec::new();
    let mut add = |offset: u64, bytes: u64, state: &'static str, physical: Option<u64>| {
        if offset >= length {
            return;
        }
        let bytes = bytes.min(length - offset);
        if let Some(last) = found.last_mut()
            && last.state == state
            && last.offset + last.bytes == offset
        {
            last.bytes += bytes;
            last.pages.extend(physical);
            return;
        }
        found.push(Stretch { offset, bytes, state, pages: physical.into_iter().collect() });
    };
    let end = length.div_ceil(page);
    // Every page in memory has a frame of its own: more than there are frames is no file.
    let mut frames = kernel.target().dump_pfns();
    let mut next = 0;
    let mut buffer = vec![0; page as usize];
    for range in ranges.iter().take_while(|range| range.index < end) {
        if range.index > next {
            add(next << shift, (range.index - next) << shift, "not_cached", None);
        }
        let count = range.count.min(end - range.index);
        let whole = match range.cached {
            Cached::Page(_) if count > frames => Some("corrupt"),
            Cached::Page(_) => None,
            Cached::Swapped => Some("swapped"),
            Cached::Evicted => Some("evicted"),
        };
        if let Some(state) = whole {
            add(range.index << shift, count << shift, state, None);
            next = next.max(range.index + count);
            continue;
        }
        frames -= count;
        for number in 0..count {
            let offset = (range.index + number) << shift;
            match kernel.cached_page(range, number) {
                Err(_) => add(offset, page, "corrupt", None),
                Ok(physical) => match kernel.target().dump().read(physical, &mut buffer) {
                    Ok(()) => add(offset, page, "cached", Some(physical)),
                    Err(fault) => add(offset, page, fault.reason.name(), None),
                },
            }
        }
        next = next.max(range.index.saturating_add(range.count));
    }
    if next < end {
        add(next << shift, length - (next << shift), "not_cached", None);
    }
    found
}

/// Writes what is there; tells how many bytes are not.
fn write(kernel: &Kernel, stretches: &[Stretch], length: u64, file: &str) -> std::io::Result<u64> {
    let page = kernel.target().page_size();
    let mut out = File::create(file)?;
    out.set_len(length)?;
    let mut missing = 0;
    let mut buffer = vec![0; page as usize];
    for stretch in stretches {
        if stretch.pages.is_empty() {
            missing += stretch.bytes;
            continue;
        }
        out.seek(SeekFrom::Start(stretch.offset))?;
        let mut left = stretch.bytes;
        for physical in &stretch.pages {
            let bytes = left.min(page);
            if kernel.target().dump().read(*physical, &mut buffer).is_err() {
                missing += bytes;
                out.seek(SeekFrom::Current(bytes as i64))?;
            } else {
                out.write_all(&buffer[..bytes as usize])?;
            }
            left -= bytes;
        }
    }
    Ok(missing)
}
