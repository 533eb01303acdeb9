//! Trees.

use std::fmt::Write as _;

use necropsy_linux::{
    Kernel, maple,
    rbtree::{self, Order},
    xarray,
};

use crate::rows::walks::{LeafRow, MapleRow, NodeRow, RangeRow};
use crate::{
    CommandError, Outcome,
    command::{Arg, Command, Example, Opt},
    fields::{self, Shown},
    parsed::Parsed,
    problems::Problems,
    render::{Hex, Output},
    session::Session,
    values,
};

const KIND: Opt =
    Opt::value("-t", "type", "rb (rbtree), ra (radix), x (xarray), m (maple); rb if none is given");
const ROOT_OFFSET: Opt =
    Opt::value("-r", "offset", "offset of the root in start: bytes or struct.member");
const OFFSET: Opt = Opt::value("-o", "offset", "offset of the rb_node in each structure");
const SHOW: Opt = Opt::value("-s", "struct", "show each entry as this structure, or members of it");
const SHOW_TOO: Opt = Opt::value("-S", "struct", "the same");
const SORTED: Opt = Opt::flag("-l", "red-black trees: by key, not from the root down");
const POSITIONS: Opt = Opt::flag("-p", "each entry's position");
const NODES: Opt = Opt::flag("-v", "maple trees: every node and range");
const IS_NODE: Opt = Opt::flag("-N", "start is a node, not a root");

pub(crate) static COMMAND: Command = Command {
    names: &["tree"],
    summary: "entries of a red-black tree, radix tree, XArray or maple tree",
    synopsis: "[-t rbtree] [-l] [-r offset] [-o offset] [-p] [-s | -S struct[.member,...]] [-x | -d] [-N] start\n\
               -t radix | xarray | maple [-v] [-r offset] [-p] [-s | -S struct[.member,...]] [-N] start",
    options: &[
        KIND,
        ROOT_OFFSET,
        OFFSET,
        SHOW,
        SHOW_TOO,
        SORTED,
        POSITIONS,
        NODES,
        IS_NODE,
        values::HEXADECIMAL,
        values::DECIMAL,
    ],
    rows: &[LeafRow::TYPE, MapleRow::TYPE, NodeRow::TYPE, RangeRow::TYPE],
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
            about: "Keys, by number.",
            line: "tree -l -o key.serial_node key_serial_tree -s key.serial,description",
            output: "",
        },
        Example {
            about: "Processes, by number.",
            line: "tree -t radix -r pid_namespace.idr init_pid_ns -p",
            output: "",
        },
    ],
    run,
};

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
        |opt: Opt| parsed.value(opt).map_or(Ok(0), |text| fields::offset(session, kernel, text));
    let specs = parsed.options().filter(|(flag, _)| matches!(*flag, SHOW | SHOW_TOO));
    let style = fields::style(session, parsed)?;
    let is_node = parsed.has(IS_NODE);
    let root = if is_node { 0 } else { offset(ROOT_OFFSET)? };
    let request = Request {
        kernel,
        shown: Shown::new(kernel, specs.filter_map(|(_, value)| value), style)?,
        position: parsed.has(POSITIONS),
        start: match fields::place(kernel, parsed.need(0, "a start address")?) {
            Some(place) => place,
            None => session.address(parsed.need(0, "a start address")?)?,
        }
        .wrapping_add(root),
        is_node,
    };
    let mut problems = Problems::default();
    match parsed.value(KIND).unwrap_or("rb") {
        "rb" | "rbtree" => {
            let order = if parsed.has(SORTED) { Order::Sorted } else { Order::FromRoot };
            request.red_black(order, offset(OFFSET)?, &mut problems, out)?;
        }
        "ra" | "radix" | "x" | "xarray" => request.xarray(&mut problems, out)?,
        "m" | "maple" if parsed.has(NODES) => request.maple_nodes(&mut problems, out)?,
        "m" | "maple" => request.maple(&mut problems, out)?,
        other => return Err(parsed.wrong(format_args!("{other}: no kind of tree"))),
    }
    problems.report("tree node", out)
}

impl Request<'_> {
    fn show(&self, row: &mut LeafRow, text: &str, out: &mut Output) -> Outcome {
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
            let mut row = LeafRow {
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
            let mut row = LeafRow {
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

    fn walk_maple(&self) -> Result<maple::Walk<'_, necropsy_machine::Target>, CommandError> {
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
            let mut row = LeafRow {
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
                Ok(root) => {
                    let row = MapleRow {
                        maple_tree: Hex(self.start),
                        flags: Hex(root.flags.into()),
                        height: root.height(),
                        root: Hex(root.reference),
                    };
                    out.record(&row, |line| {
                        let MapleRow { maple_tree, flags, height, root } = &row;
                        let flags = flags.0;
                        writeln!(line, "maple_tree({maple_tree}) flags {flags:X}, height {height} root {:#x}\n", root.0)
                    })?;
                }
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
