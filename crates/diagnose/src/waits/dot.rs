//! The graph in the language of Graphviz.

use std::fmt::Write;

use necropsy_linux::locks::Certainty;

use super::{Contended, Graph};

/// A task's label: its pid and name.
fn task(graph: &Graph<'_>, address: u64) -> String {
    if !graph.exists(address) {
        return format!("{address:x} (gone)");
    }
    let task = graph.kernel.task_at(address);
    let pid = task.pid().map_or_else(|_| "?".to_owned(), |pid| pid.to_string());
    format!("{pid} {}", task.comm().unwrap_or_else(|_| "?".to_owned()))
}

/// A quoted string: what a dump holds must not end it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Tasks as ellipses, locks as boxes; an arrow leads to what is waited for, and on to who holds it.
/// Dashed: a hint.
pub fn dot<'a>(graph: &Graph<'_>, locks: impl IntoIterator<Item = &'a Contended>) -> String {
    let mut text = "digraph waits {\n".to_owned();
    for contended in locks {
        let lock = contended.lock;
        let name = contended.name.as_deref().unwrap_or("");
        let id = quoted(&format!("{} {:x}", lock.kind, lock.address));
        let label = quoted(&format!("{} {name}", lock.kind));
        let _ = writeln!(text, "  {id} [shape=box, label={label}];");
        for waiter in &contended.waiters {
            let _ = writeln!(text, "  {} -> {id};", quoted(&task(graph, waiter.task)));
        }
        if let Some(holder) = contended.held_by() {
            let style = match contended.holder.certainty {
                Certainty::Known => "",
                _ => " [style=dashed]",
            };
            let _ = writeln!(text, "  {id} -> {}{style};", quoted(&task(graph, holder)));
        }
    }
    text.push_str("}\n");
    text
}
