//! What lives as long as the program: settings, aliases, names, and how things went so far.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use necropsy_linux::Kernel;
use necropsy_target::{
    expr::evaluate,
    value::{Value, ValueError},
};

use crate::{
    CommandError, Status,
    aliases::{Aliases, Origin},
    debug_files::DebugFiles,
    memory::Memory,
    names::{Names, NoNames, TypeKind},
    numbers,
    settings::Settings,
    values::View,
};

/// One analysis: everything that commands share.
pub struct Session {
    /// What `set` changes.
    pub settings: Settings,
    /// What `alias` changes.
    pub aliases: Aliases,
    /// The kernel of the open dump.
    pub kernel: Option<Arc<Kernel>>,
    /// The `task_struct` that commands look at, once one was set.
    pub task: Option<u64>,
    /// The frame that was selected: of this task, this number.
    pub frame: Option<(u64, usize)>,
    /// The kernel's symbols and types by name.
    pub names: Arc<dyn Names>,
    /// Ctrl-C was pressed: the command in progress is to stop soon. Long walks look at it.
    pub interrupted: Arc<AtomicBool>,
    /// Where debug information is looked for.
    pub debug_files: Option<Arc<DebugFiles>>,
    /// Source trees of the kernel.
    pub source: Vec<PathBuf>,
    /// Values that `p` printed: `$1` and so on.
    pub printed: Vec<Value>,
    /// Lines typed in this session.
    pub history: Vec<String>,
    /// A person sits at a terminal: page long output, show progress.
    pub interactive: bool,
    /// Where lines come from at present; `alias` notes it.
    pub(crate) origin: Origin,
    /// How many input files are being read within each other.
    pub(crate) depth: usize,
    /// `quit` was asked for.
    pub(crate) quit: bool,
    status: Status,
}

impl Session {
    /// A session that knows no kernel yet.
    pub fn new() -> Self {
        Session {
            settings: Settings::default(),
            aliases: Aliases::default(),
            kernel: None,
            task: None,
            frame: None,
            names: Arc::new(NoNames),
            interrupted: Arc::default(),
            debug_files: None,
            source: Vec::new(),
            printed: Vec::new(),
            history: Vec::new(),
            interactive: false,
            origin: Origin::Runtime,
            depth: 0,
            quit: false,
            status: Status::Done,
        }
    }

    /// A session on a kernel.
    pub fn on(kernel: Arc<Kernel>) -> Self {
        Session { names: kernel.clone(), kernel: Some(kernel), ..Session::new() }
    }

    /// Whether `name` is a kernel symbol.
    pub fn is_symbol(&self, name: &str) -> bool {
        self.names.symbol(name).is_some()
    }

    /// What kind of type `name` is, if it is one.
    pub fn is_type(&self, name: &str) -> Option<TypeKind> {
        self.names.type_kind(name)
    }

    /// Stops with an error once Ctrl-C was pressed; for long walks.
    ///
    /// # Errors
    /// [`CommandError::Interrupted`].
    pub fn check_interrupt(&self) -> Result<(), CommandError> {
        if self.interrupted.load(Ordering::Relaxed) {
            Err(CommandError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// An address argument: hexadecimal, a symbol (with an offset), or `(expression)`.
    ///
    /// In crash's own expressions a symbol is its address: `(init_task+8)` is eight bytes behind
    /// it. What they cannot say may be C: `(init_task.stack)`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn address(&self, text: &str) -> Result<u64, CommandError> {
        if let Some(address) = numbers::parse_hex(text) {
            return Ok(address);
        }
        let simple = numbers::evaluate(text, &|name| self.names.symbol(name));
        match (&simple, &self.kernel) {
            (Err(_), Some(kernel)) if self.frame.is_some() || !is_one_word(text) => {
                c_address(self, kernel, text)
            }
            _ => simple,
        }
    }

    /// A number that is decimal when all its digits are: a count, an index, a size; or
    /// `(expression)`.
    ///
    /// # Errors
    /// It is none of them.
    pub fn number(&self, text: &str) -> Result<u64, CommandError> {
        numbers::evaluate(text, &|name| self.names.symbol(name))
    }

    /// Notes how a line went. The first failure decides the exit code.
    pub(crate) fn note(&mut self, status: Status) {
        self.status = self.status.then(status);
    }

    /// The exit code so far.
    pub fn status(&self) -> Status {
        self.status
    }
}

fn is_one_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// The value of a C expression as an address: of what is no number, where it lies.
fn c_address(session: &Session, kernel: &Kernel, text: &str) -> Result<u64, CommandError> {
    let kernel = &View::new(kernel, Memory::of_kernel(kernel)).in_frame(session)?;
    let failed = |error: &dyn std::fmt::Display| CommandError::failed(format!("{text}: {error}"));
    let value = evaluate(kernel, text).map_err(|error| match error.fault() {
        Some(fault) => CommandError::Fault(fault),
        None => failed(&error),
    })?;
    let number = value.decay(kernel).and_then(|value| value.to_u64(kernel));
    match (number, value.address()) {
        (Ok(number), _) => Ok(number),
        (Err(ValueError::Type(_)), Some(address)) => Ok(address),
        (Err(ValueError::Fault(fault)), _) => Err(CommandError::Fault(fault)),
        (Err(error), None) => Err(failed(&error)),
    }
}

impl Default for Session {
    fn default() -> Self {
        Session::new()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("settings", &self.settings).finish_non_exhaustive()
    }
}
