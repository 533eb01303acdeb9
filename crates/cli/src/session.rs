//! What lives as long as the program: settings, aliases, names, and how things went so far.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use necropsy_linux::Kernel;
use necropsy_loader::DebugFiles;
use necropsy_machine::{debug::FrameNumber, value::Value};

use crate::{
    CommandError, Status,
    aliases::{Aliases, Origin},
    command::Commands,
    names::{Names, NoNames, TypeKind},
    settings::Settings,
};

/// One analysis: everything that commands share.
pub struct Session {
    /// What `set` changes.
    pub settings: Settings,
    /// What `alias` changes.
    pub aliases: Aliases,
    /// What can be run: whoever runs a line says so.
    pub(crate) commands: Commands,
    /// The kernel of the open dump.
    pub kernel: Option<Arc<Kernel>>,
    /// The `task_struct` that commands look at, once one was set.
    pub task: Option<u64>,
    /// The frame that was selected: of this task, this number.
    pub frame: Option<(u64, FrameNumber)>,
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
            commands: Commands::default(),
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

    /// Notes how a line went. The first failure decides the exit code.
    pub(crate) fn note(&mut self, status: Status) {
        self.status = self.status.then(status);
    }

    /// The exit code so far.
    pub fn status(&self) -> Status {
        self.status
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
