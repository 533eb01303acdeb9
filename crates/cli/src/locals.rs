//! Arguments and local variables of a frame as rows.

use std::fmt::Write;

use necropsy_linux::Kernel;
use necropsy_machine::{
    debug::{Known, LogicalFrame, StackFrame, Variable, Work},
    format::{self, Style, render},
    scope::Scope,
    unwind::Frame,
    value::Value,
};

use crate::rows::stacks::VariableRow;
use crate::{
    memory::Memory,
    render::Hex,
    values::{self, View},
};

impl VariableRow {
    fn new(view: &View<'_>, variable: &Variable, style: &Style) -> VariableRow {
        let (value, text) = match &variable.value {
            Ok(value) => {
                let rendered = render(view, value, style);
                (Some(values::json(&rendered)), format::print(view, value, style))
            }
            Err(_) => {
                let why = view.why_lost(variable).unwrap_or_default();
                (None, format!("({why})"))
            }
        };
        let why = match (&variable.known, &variable.value) {
            (Known::Inferred(how), _) => Some(how.clone()),
            (_, Err(_)) => view.why_lost(variable),
            _ => None,
        };
        VariableRow {
            name: variable.name.clone(),
            r#type: format::type_name(view.types(), variable.ty),
            argument: variable.argument,
            address: variable.value.as_ref().ok().and_then(Value::address).map(Hex),
            value,
            known: variable.known.name(),
            why,
            text,
        }
    }

    /// `    name = value`, and how it is known if not by its place.
    pub(crate) fn write(&self, line: &mut dyn Write) -> std::fmt::Result {
        // Lines of a structure stand below its first.
        write!(line, "    {} = {}", self.name, self.text.replace('\n', "\n    "))?;
        match (self.known, &self.why) {
            ("entry", _) => writeln!(line, "  [as passed by the caller]"),
            ("inferred", Some(how)) => writeln!(line, "  [inferred: {how}]"),
            _ => writeln!(line),
        }
    }
}

/// The variables of a function of a trace.
pub(crate) fn variables(kernel: &Kernel, frames: &[Frame], at: &LogicalFrame) -> Vec<Variable> {
    let Some(source) = &at.source else { return Vec::new() };
    let work = Work::default();
    let frame = StackFrame::new(kernel.target(), frames, at.on_stack, &work);
    match at.jumped {
        None => frame.variables(kernel.types(), source),
        Some(_) => frame
            .entered()
            .map_or_else(Vec::new, |entered| entered.variables(kernel.types(), source)),
    }
}

/// Rows of variables, arguments first.
pub(crate) fn rows(kernel: &Kernel, variables: &[Variable], style: &Style) -> Vec<VariableRow> {
    let view = View::new(kernel, Memory::of_kernel(kernel));
    let (arguments, others): (Vec<_>, Vec<_>) = variables.iter().partition(|v| v.argument);
    arguments.into_iter().chain(others).map(|v| VariableRow::new(&view, v, style)).collect()
}
