//! C values on the command line: how they are printed, where they are read, as JSON.

use std::borrow::Cow;

use necropsy_debuginfo::Types;
use necropsy_dump::Read;
use necropsy_linux::Kernel;
use necropsy_machine::{
    Regs,
    debug::Variable,
    format::{Rendered, Style, render},
    scope::{Scope, SymbolValue},
    value::{Value, ValueError},
};

use crate::{
    CommandError, command::Opt, memory::Memory, parsed::Parsed, session::Session, settings::Radix,
};

/// `-x`, which many commands have.
pub(crate) const HEXADECIMAL: Opt = Opt::flag("-x", "numbers in hexadecimal");
/// `-d`, which many commands have.
pub(crate) const DECIMAL: Opt = Opt::flag("-d", "numbers in decimal");

/// A value as JSON.
pub type Json = serde_json::Value;

/// The style that `-x` and `-d` ask for, else the session's.
///
/// # Errors
/// Both were given.
pub fn style(session: &Session, parsed: &Parsed) -> Result<Style, CommandError> {
    use necropsy_machine::format::Radix as Base;
    let radix = match parsed.one_of(&[HEXADECIMAL, DECIMAL])? {
        Some(HEXADECIMAL) => Base::Hexadecimal,
        Some(_) => Base::Decimal,
        None if session.settings.radix == Radix::Hexadecimal => Base::Hexadecimal,
        None => Base::Decimal,
    };
    let print_max = u32::try_from(session.settings.print_max).unwrap_or(u32::MAX);
    Ok(Style { radix, print_max, ..Style::default() })
}

/// What an expression sees: the kernel, the memory that the command's options chose, and the
/// values printed before.
#[derive(Debug)]
pub struct View<'a> {
    kernel: &'a Kernel,
    memory: Memory<'a>,
    history: Cow<'a, [Value]>,
    frame: Option<Selection>,
    /// Where no frame is selected: as the task that is set stopped.
    stopped: Option<Regs>,
}

/// The selected frame as an expression sees it.
#[derive(Debug, Clone)]
struct Selection {
    regs: Regs,
    variables: Vec<Variable>,
}

impl<'a> View<'a> {
    /// Memory of any address space; symbols and types are the kernel's.
    pub fn new(kernel: &'a Kernel, memory: Memory<'a>) -> Self {
        View { kernel, memory, history: Cow::Borrowed(&[]), frame: None, stopped: None }
    }

    /// With the values that `$` and `$1` mean.
    #[must_use]
    pub fn with_history(self, history: impl Into<Cow<'a, [Value]>>) -> Self {
        View { history: history.into(), ..self }
    }

    /// With the variables and registers of the frame that was selected, if one was.
    ///
    /// # Errors
    /// That frame is no more to be found.
    pub(crate) fn in_frame(self, session: &Session) -> Result<Self, CommandError> {
        // A frame of another task than the one that was set is selected no more.
        let context = session.context(self.kernel).ok().map(|task| task.address);
        if session.frame.is_none_or(|(of, _)| Some(of) != context) {
            let started =
                session.context(self.kernel).ok().and_then(|task| task.trace_start().ok());
            return Ok(View { stopped: started.map(|(start, _)| start.regs), ..self });
        }
        let selected = session.selected_frame(self.kernel)?;
        let regs = selected.regs(self.kernel.target().abi());
        let variables = selected.variables(self.kernel);
        Ok(View { frame: Some(Selection { regs, variables }), ..self })
    }

    /// Why a variable has no value.
    pub(crate) fn why_lost(&self, variable: &Variable) -> Option<String> {
        variable.lost(self.kernel.target().abi())
    }

    /// Why an expression has no value: it names a variable of the frame that is lost.
    pub(crate) fn lost(&self, expression: &str) -> Option<String> {
        let frame = self.frame.as_ref()?;
        let mut before = "";
        let boundary = |c: char| !c.is_alphanumeric() && c != '_';
        for word in expression.split_inclusive(boundary) {
            let name = word.trim_end_matches(boundary);
            // A member of that name is another thing.
            let member = before.ends_with('.') || before.ends_with('>');
            let variable = frame.variables.iter().rev().find(|v| !member && v.name == name);
            if let Some(lost) = variable.and_then(|variable| self.why_lost(variable)) {
                return Some(format!("{name}: {lost}"));
            }
            before = word;
        }
        None
    }
}

/// Of an object neither end of which can be read, one reason says more than one for each member.
///
/// # Errors
/// That reason.
pub(crate) fn readable(view: &View<'_>, address: u64, size: u64) -> Read<()> {
    let mut byte = [0];
    let ends = [address, address.wrapping_add(size.saturating_sub(1))];
    match ends.map(|end| view.read(end, &mut byte)) {
        [Err(fault), Err(_)] => Err(fault),
        _ => Ok(()),
    }
}

impl Scope for View<'_> {
    fn types(&self) -> &Types {
        self.kernel.types()
    }

    fn read(&self, address: u64, buf: &mut [u8]) -> Read<()> {
        self.memory.read(address, buf)
    }

    fn symbol(&self, name: &str) -> Option<SymbolValue> {
        Scope::symbol(self.kernel, name)
    }

    fn symbolize(&self, address: u64) -> Option<(String, u64)> {
        self.kernel.symbolize(address)
    }

    fn register(&self, name: &str) -> Option<u64> {
        match &self.frame {
            Some(frame) => frame.regs.get(self.kernel.target().register(name)?),
            None => {
                let stopped = |regs: Regs| regs.get(self.kernel.target().register(name)?);
                self.stopped.and_then(stopped).or_else(|| self.kernel.register(name))
            }
        }
    }

    fn local(&self, name: &str) -> Option<Value> {
        // The innermost block comes last.
        let variables = &self.frame.as_ref()?.variables;
        let variable = variables.iter().rev().find(|variable| variable.name == name)?;
        variable.value.clone().ok()
    }

    fn per_cpu_offset(&self, cpu: u32) -> Option<u64> {
        self.kernel.per_cpu_offset(cpu)
    }

    fn is_little_endian(&self) -> bool {
        self.kernel.is_little_endian()
    }

    fn history(&self, number: Option<u32>) -> Option<Value> {
        let index = match number {
            Some(number) => (number as usize).checked_sub(1)?,
            None => self.history.len().checked_sub(1)?,
        };
        self.history.get(index).cloned()
    }
}

/// A value as JSON: numbers as numbers, addresses as `"0x…"`, structures as objects whose
/// anonymous members are their own, and what cannot be read as `{"fault": …}`.
pub fn json(rendered: &Rendered) -> Json {
    match rendered {
        Rendered::Integer { value, text } => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(value), _) => value.into(),
            (_, Ok(value)) => value.into(),
            _ => text.as_str().into(),
        },
        Rendered::Bool { value, .. } => (*value).into(),
        Rendered::Enum { text, .. } => text.as_str().into(),
        Rendered::Pointer { address, .. } => format!("{address:#x}").into(),
        Rendered::String { value, .. } => value.as_str().into(),
        Rendered::Composite(members) => {
            let mut object = serde_json::Map::new();
            for (name, value) in members {
                match (name, json(value)) {
                    (Some(name), value) => drop(object.insert(name.clone(), value)),
                    (None, Json::Object(inner)) => object.extend(inner),
                    (None, _) => {}
                }
            }
            Json::Object(object)
        }
        Rendered::Array { items, .. } => items
            .iter()
            .flat_map(|(item, times)| std::iter::repeat_n(item, *times as usize))
            .take(MAX_ELEMENTS)
            .map(json)
            .collect(),
        Rendered::Fault(error) => serde_json::json!({ "fault": fault_name(error) }),
        Rendered::Other(text) => text.as_str().into(),
    }
}

/// Most elements of one array in JSON.
const MAX_ELEMENTS: usize = 1 << 16;

fn fault_name(error: &ValueError) -> String {
    match error {
        ValueError::Fault(fault) => fault.reason.name().to_owned(),
        ValueError::Type(text) => text.clone(),
    }
}

/// Members of values by their paths; of a value without paths, all that it has.
pub fn json_members(scope: &dyn Scope, values: &[(Value, Vec<&str>)], style: &Style) -> Json {
    let mut object = serde_json::Map::new();
    for (value, paths) in values {
        if paths.is_empty()
            && let Json::Object(all) = json(&render(scope, value, style))
        {
            object.extend(all);
        }
        for path in paths {
            let member = match value.member(scope, path) {
                Ok(member) => render(scope, &member, style),
                Err(error) => Rendered::Fault(error),
            };
            object.insert((*path).to_owned(), json(&member));
        }
    }
    Json::Object(object)
}
