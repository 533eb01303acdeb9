//! Trees.

use std::fmt::Write as _;

use necropsy_linux::{
    Kernel, maple,
    rbtree::{self, Order},
    xarray,
};
use serde::Serialize;

use crate::{
    CommandError, Outcome,
    fields::{self, Part, Shown},
    parsed::Parsed,
    problems::Problems,
    registry::{Arg, Command, Example, Opt},
    render::{Hex, Output},
    session::Session,
};

pub(crate) static COMMAND: Command = Command {
    names: &["tree"],
    summary: "entries of a red-black tree, radix tree, XArray or maple tree",
    synopsis: "[-t rbtree] [-l] [-r offset] [-o offset] [-p] [-s | -S struct[.member,...]] [-x | -d] [-N] start\n\
               -t radix | xarray | maple [-v] [-r offset] [-p] [-s | -S struct[.member,...]] [-N] start",
    options: &[
        Opt {
            flag: "-t",
            value: Some("type"),
            help: "rb (rbtree), ra (radix), x (xarray), m (maple); rb if none is given",
        },
        Opt {
            flag: "-r",
            value: Some("offset"),
            help: "offset of the root in start: bytes or struct.member",
        },
        Opt { flag: "-o", value: Some("offset"), help: "offset of the rb_node in each structure" },
        Opt {
            flag: "-s",
            value: Some("struct"),
            help: "show each entry as this structure, or members of it",
        },
        Opt { flag: "-S", value: Some("struct"), help: "the same" },
        Opt { flag: "-l", value: None, help: "red-black trees: by key, not from the root down" },
        Opt { flag: "-p", value: None, help: "each entry's position" },
        Opt { flag: "-v", value: None, help: "maple trees: every node and range" },
        Opt { flag: "-N", value: None, help: "start is a node, not a root" },
        Opt { flag: "-x", value: None, help: "numbers in hexadecimal" },
        Opt { flag: "-d", value: None, help: "numbers in decimal" },
    ],
    args: &[Arg::Symbol],
    description: "\
Shows the address of each structure in a tree. start is the address of the root: an rb_root,
radix_tree_root, xarray or maple_tree, or a structure that holds one at the offset given by -r.

The trees are checked on the way: parents, colours and depths of red-black trees, counts and
offsets of XArray nodes, parents and pivots of maple nodes. What is wrong is told at the end; it
costs its branch only.",
    examples: &[
        Example {
            about: "Interrupt descriptors, since 6.5.",
            line: "tree -t maple sparse_irqs -p",
            output: "",
        },
        Example {
            about: "Areas of vmalloc by address, until 6.8.",
            line: "tree -l -o vmap_area.rb_node vmap_area_root -s vmap_area.va_start",
            output: "",
        },
    ],
    run,
};

#[derive(Serialize)]
struct Row {
    address: Hex,
    position: String,
    /// First index, of a radix tree, XArray or maple tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    /// Last index, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<Part>,
}

/// What every kind of tree needs.
struct Request<'a> {
    kernel: &'a Kernel,
    shown: Shown,
    position: bool,
    /// Root or node.
    start: u64,
    is_node: bool,
}

fn run(session: &mut Session, parsed: &Parsed, out: &mut Output) -> Outcome {
    let kernel = session.kernel()?;
    let kernel = &*kernel;
    let offset =
        |flag: &str| parsed.value(flag).map_or(Ok(0), |text| fields::offset(session, kernel, text));
    let specs = parsed.options().filter(|(flag, _)| matches!(*flag, "-s" | "-S"));
    let style = fields::style(session, parsed)?;
    let is_node = parsed.has("-N");
    let root = if is_node { 0 } else { offset("-r")? };
    let request = Request {
        kernel,
        shown: Shown::new(kernel, specs.filter_map(|(_, value)| value), style)?,
        position: parsed.has("-p"),
        start: session.address(parsed.need(0, "a start address")?)?.wrapping_add(root),
        is_node,
    };
    let mut problems = Problems::default();
    match parsed.value("-t").unwrap_or("rb") {
        "rb" | "rbtree" => {
            let order = if parsed.has("-l") { Order::Sorted } else { Order::FromRoot };
            request.red_black(order, offset("-o")?, &mut problems, out)?;
        }
        "ra" | "radix" | "x" | "xarray" => request.xarray(&mut problems, out)?,
        "m" | "maple" if parsed.has("-v") => request.maple_nodes(&mut problems, out)?,
        "m" | "maple" => request.maple(&mut problems, out)?,
        other => return Err(parsed.wrong(format_args!("{other}: no kind of tree"))),
    }
    problems.report("tree node", out)
}

impl Request<'_> {
    fn show(&self, row: &mut Row, text: &str, out: &mut Output) -> Outcome {
        row.values = self.shown.parts(self.kernel, row.address.0);
        out.record(row, |line| {
            writeln!(line, "{:x}", row.address.0)?;
            if self.position {
                writeln!(line, "  {text}position: {}", row.position)?;
            }
            fields::write_parts(line, &row.values)
        })
    }

    fn red_black(
        &self,
        order: Order,
        offset: u64,
        problems: &mut Problems,
        out: &mut Output,
    ) -> Outcome {
        let target = self.kernel.target();
        let tree = match self.is_node {
            true => rbtree::subtree(target, self.start, order),
            false => rbtree::rbtree(target, self.start, order),
        };
        for node in tree.checked() {
            let Some(node) = problems.keep(node) else { continue };
            let mut row = Row {
                address: Hex(node.address.wrapping_sub(offset)),
                position: node.path.to_string(),
                index: None,
                last: None,
                values: Vec::new(),
            };
            self.show(&mut row, "", out)?;
        }
        Ok(())
    }

    fn xarray(&self, problems: &mut Problems, out: &mut Output) -> Outcome {
        let target = self.kernel.target();
        let layout = xarray::Layout::of(self.kernel)?;
        let entries = match self.is_node {
            true => xarray::below(target, layout, layout.reference(self.start)),
            false => xarray::entries(target, layout, self.start),
        };
        for entry in entries.checked() {
            let Some(entry) = problems.keep(entry) else { continue };
            if entry.kind == xarray::Kind::Reserved {
                continue;
            }
            let mut row = Row {
                address: Hex(entry.raw),
                position: entry.path.to_string(),
                index: Some(entry.index),
                last: Some(entry.index.wrapping_add(entry.span.wrapping_sub(1))),
                values: Vec::new(),
            };
            if let xarray::Kind::Value(_) = entry.kind {
                // A number is no structure.
                out.record(&row, |line| {
                    writeln!(line, "{:x}  (value)", entry.raw)?;
                    if self.position {
                        writeln!(line, "  index: {}  position: {}", entry.index, entry.path)?;
                    }
                    Ok(())
                })?;
                continue;
            }
            self.show(&mut row, &format!("index: {}  ", entry.index), out)?;
        }
        Ok(())
    }

    fn walk_maple(&self) -> Result<maple::Walk<'_, necropsy_target::Target>, CommandError> {
        let target = self.kernel.target();
        let layout = maple::Layout::of(self.kernel)?;
        Ok(match self.is_node {
            true => maple::below(target, layout, self.start),
            false => maple::walk(target, layout, self.start),
        })
    }

    fn maple(&self, problems: &mut Problems, out: &mut Output) -> Outcome {
        let mut count = 0;
        for step in self.walk_maple()? {
            let Some(maple::Step::Entry(entry)) = problems.keep(step) else { continue };
            if entry.is_empty() {
                continue;
            }
            count += 1;
            let mut row = Row {
                address: Hex(entry.raw),
                position: entry.path.to_string(),
                index: Some(entry.first),
                last: Some(entry.last),
                values: Vec::new(),
            };
            // As crash: which entry it is; the indexes that it stands at are in `--json` and -v.
            self.show(&mut row, &format!("index: {count}  "), out)?;
        }
        Ok(())
    }

    fn maple_nodes(&self, problems: &mut Problems, out: &mut Output) -> Outcome {
        if !self.is_node {
            let layout = maple::Layout::of(self.kernel)?;
            match maple::Root::read(self.kernel.target(), layout, self.start) {
                Ok(root) => out.line(format_args!(
                    "maple_tree({:x}) flags {:X}, height {} root {:#x}\n",
                    self.start,
                    root.flags,
                    root.height(),
                    root.reference
                ))?,
                Err(error) => return Err(error.into()),
            }
        }
        for step in self.walk_maple()? {
            match problems.keep(step) {
                Some(maple::Step::Node(node)) => show_node(&node, out)?,
                Some(maple::Step::Entry(entry)) => show_range(&entry, out)?,
                None => {}
            }
        }
        Ok(())
    }
}

fn range(first: u64, last: u64) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn show_node(node: &maple::Node, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct NodeRow<'a> {
        node: Hex,
        kind: &'static str,
        depth: usize,
        first: u64,
        last: u64,
        parent: Hex,
        end: usize,
        slots: Vec<Hex>,
        pivots: &'a [u64],
        gaps: &'a [u64],
    }
    let row = NodeRow {
        node: Hex(node.address),
        kind: node.kind.name(),
        depth: node.path.slots().len(),
        first: node.first,
        last: node.last,
        parent: Hex(node.parent),
        end: node.end,
        slots: node.slots.iter().copied().map(Hex).collect(),
        pivots: &node.pivots,
        gaps: &node.gaps,
    };
    let mut contents = String::new();
    for gap in row.gaps {
        let _ = write!(contents, "{gap} ");
    }
    if !row.gaps.is_empty() {
        let _ = write!(contents, "| {:02X} | ", row.end);
    }
    for (index, slot) in row.slots.iter().enumerate() {
        let _ = write!(contents, "{:#x} ", slot.0);
        if let Some(pivot) = row.pivots.get(index) {
            let _ = write!(contents, "{pivot} ");
        }
    }
    out.record(&row, |line| {
        writeln!(
            line,
            "{:indent$}{}: node {:#x} depth {} type {} parent {:#x} contents: {}",
            "",
            range(row.first, row.last),
            row.node.0,
            row.depth,
            node.kind.number(),
            row.parent.0,
            contents.trim_end(),
            indent = row.depth * 2,
        )
    })
}

fn show_range(entry: &maple::Entry, out: &mut Output) -> Outcome {
    #[derive(Serialize)]
    struct RangeRow {
        first: u64,
        last: u64,
        entry: Hex,
        position: String,
    }
    let row = RangeRow {
        first: entry.first,
        last: entry.last,
        entry: Hex(entry.raw),
        position: entry.path.to_string(),
    };
    let indent = entry.path.slots().len() * 2;
    out.record(&row, |line| {
        writeln!(line, "{:indent$}{}: {:#x}", "", range(row.first, row.last), row.entry.0)
    })
}
