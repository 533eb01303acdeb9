//! A session: what statements share, and how they run.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use necropsy_debuginfo::TypeId;
use serde_json::Value as Json;

use crate::{
    Arg, Dcmd, Failure, Outcome, Registry, Sink, Symbol, System, Walker,
    failure::fail,
    format::FormatState,
    out::{Out, Piped, Steps},
    parse::{Command, Statement, Word, parse},
    text::nearest,
};

/// Most elements that one pipe holds.
const MAX_PIPE: usize = 10_000_000;

/// What a dcmd is called with.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The address, if one was given.
    pub address: Option<u64>,
    /// Arguments.
    pub args: Vec<Arg>,
    /// The first of several runs: headings are printed once.
    pub first: bool,
    /// Addresses come from a pipe.
    pub piped: bool,
    /// The output goes into a pipe.
    pub pipe_out: bool,
    /// All addresses of the pipe, for a dcmd that takes them at once.
    pub all: Vec<u64>,
}

impl Call {
    /// The address, which must be given.
    ///
    /// # Errors
    /// It was not.
    pub fn needs_address(&self) -> Outcome<u64> {
        self.address.ok_or_else(|| Failure::Usage("an address must be given: ADDRESS::dcmd".into()))
    }

    /// Whether a heading is due.
    pub fn wants_heading(&self) -> bool {
        self.first && !self.pipe_out
    }
}

/// A session.
pub struct Mdb {
    pub(crate) system: Arc<dyn System>,
    pub(crate) registry: &'static Registry,
    pub(crate) out: Out,
    pub(crate) dot: u64,
    pub(crate) recent: u64,
    pub(crate) increment: u64,
    pub(crate) variables: BTreeMap<String, u64>,
    pub(crate) registers: Vec<(String, u64)>,
    pub(crate) private: Vec<Symbol>,
    pub(crate) formats: FormatState,
    /// Type of what is at dot, for members that are named without it.
    pub(crate) dot_type: Option<(u64, TypeId)>,
    /// Names that `::typedef` gave.
    pub(crate) typedefs: BTreeMap<String, TypeId>,
    pub(crate) autowrap: bool,
    pub(crate) psym: bool,
    pub(crate) width: usize,
    pub(crate) array_limit: Option<u64>,
    pub(crate) string_limit: Option<u64>,
    pub(crate) prompt: String,
    /// Where walks were when the values came that an element of the pipeline takes now.
    steps: Vec<(usize, Steps)>,
    previous: Vec<Command>,
    interrupted: Arc<AtomicBool>,
    depth: u32,
    confined: bool,
    warn: Box<dyn FnMut(&str) + Send>,
    failed: bool,
}

impl std::fmt::Debug for Mdb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mdb").field("dot", &self.dot).finish_non_exhaustive()
    }
}

impl Mdb {
    /// A session that knows what is in `registry`, writes to `sink` and tells what goes wrong to `warn`.
    pub fn new(
        system: Arc<dyn System>,
        registry: &'static Registry,
        sink: Sink,
        warn: Box<dyn FnMut(&str) + Send>,
        interrupted: Arc<AtomicBool>,
    ) -> Mdb {
        let registers = system.registers();
        Mdb {
            system,
            registry,
            out: Out::new(sink),
            dot: 0,
            recent: 0,
            increment: 0,
            variables: BTreeMap::new(),
            registers,
            private: Vec::new(),
            formats: FormatState::default(),
            dot_type: None,
            typedefs: BTreeMap::new(),
            autowrap: true,
            psym: true,
            width: 80,
            array_limit: Some(32),
            string_limit: Some(1024),
            prompt: "> ".into(),
            steps: Vec::new(),
            previous: Vec::new(),
            interrupted,
            depth: 0,
            confined: false,
            warn,
            failed: false,
        }
    }

    /// Every row as a JSON object.
    pub fn set_json(&mut self, json: bool) {
        self.out.json = json;
    }

    /// Lines may come from anybody: nothing is run by the shell, and no file is written.
    pub fn confine(&mut self) {
        self.confined = true;
    }

    /// What reaches beyond the session stops here if that is confined.
    ///
    /// # Errors
    /// It is.
    pub(crate) fn reach_out(&self) -> Outcome {
        match self.confined {
            true => fail("this session runs no shell commands and writes no files"),
            false => Ok(()),
        }
    }

    /// The prompt.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// Whether a statement failed so far.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The kernel.
    pub fn system(&self) -> &Arc<dyn System> {
        &self.system
    }

    /// Stops with an error once Ctrl-C was pressed; for long walks.
    ///
    /// # Errors
    /// [`Failure::Interrupted`].
    pub fn check(&self) -> Outcome {
        if self.interrupted.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// Whether Ctrl-C was pressed, to be asked by what knows of no session.
    pub fn stopper(&self) -> impl Fn() -> bool + use<> {
        let flag = self.interrupted.clone();
        move || flag.load(Ordering::Relaxed)
    }

    /// Tells of something that is wrong, and goes on.
    pub fn warn(&mut self, text: &str) {
        let _ = self.out.flush();
        self.failed = true;
        (self.warn)(text);
    }

    /// Tells of something that is worth knowing, and no failure.
    pub fn note(&mut self, text: &str) {
        let _ = self.out.flush();
        (self.warn)(text);
    }

    // ---- output ----

    /// A line.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn line(&mut self, line: &str) -> Outcome {
        self.out.line(line)
    }

    /// A heading, which is no row.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn heading(&mut self, line: &str) -> Outcome {
        self.out.heading(line)
    }

    /// A row.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn row(&mut self, lines: &str, object: Json) -> Outcome {
        self.out.row(lines, object)
    }

    /// A value for the next element of the pipeline.
    pub fn pipe(&mut self, value: u64) {
        self.out.value(value);
    }

    /// Shows what was written so far.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub fn flush(&mut self) -> Outcome {
        self.out.flush()
    }

    // ---- names ----

    /// Every dcmd.
    pub fn dcmds(&self) -> impl Iterator<Item = &'static Dcmd> + use<> {
        self.registry.dcmds()
    }

    /// Every walker.
    pub fn walkers(&self) -> impl Iterator<Item = &'static Walker> + use<> {
        self.registry.walkers.iter()
    }

    /// A dcmd by a name of it; ``module`name`` names the same.
    pub(crate) fn find_dcmd(&self, name: &str) -> Option<&'static Dcmd> {
        let name = name.rsplit_once('`').map_or(name, |(_, name)| name);
        self.dcmds().find(|dcmd| dcmd.names.contains(&name))
    }

    pub(crate) fn find_walker(&self, name: &str) -> Option<&'static Walker> {
        let name = name.rsplit_once('`').map_or(name, |(_, name)| name);
        self.walkers().find(|walker| walker.name == name)
    }

    pub(crate) fn near_symbol(&self, word: &str) -> Option<String> {
        let all = self.system.symbols(None);
        nearest(word, all.iter().map(|symbol| symbol.name.as_str())).map(str::to_owned)
    }

    /// A variable: one that was set, the session's own, a register of the panic.
    pub(crate) fn variable(&self, name: &str) -> Option<u64> {
        if let Some(&value) = self.variables.get(name) {
            return Some(value);
        }
        match name {
            "_" => {
                let symbol = self.system.symbol_at(self.dot)?;
                return Some(self.dot.wrapping_sub(symbol.address));
            }
            "0" | "1" | "2" | "9" | "b" | "d" | "e" | "m" | "t" | "hits" => return Some(0),
            "thread" => return self.variables.get("thread").copied().or(Some(1)),
            _ => {}
        }
        let wide = match name {
            "pc" => "rip",
            "sp" => "rsp",
            "fp" => "rbp",
            "eip" | "esp" | "ebp" => return None,
            name => name,
        };
        self.registers.iter().find(|(found, _)| found == wide).map(|&(_, value)| value)
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: u64) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Notes an address that was read: dot and what follows from it.
    pub(crate) fn note_read(&mut self, address: u64) {
        let before = self.variable("1").unwrap_or(0);
        self.set_variable("2", before);
        self.set_variable("1", address);
    }

    // ---- statements ----

    /// Runs a line; what goes wrong is told and remembered.
    ///
    /// # Errors
    /// [`Failure::Quit`] and [`Failure::Closed`] alone.
    pub fn run_line(&mut self, line: &str) -> Outcome {
        self.interrupted.store(false, Ordering::Relaxed);
        self.out.steps = Steps::default();
        let typed = format!("{}{line}\n", self.prompt);
        self.out.note(&typed);
        match self.run_text(line) {
            Err(failure @ (Failure::Quit | Failure::Closed)) => Err(failure),
            Err(failure) => {
                while self.out.is_piped() {
                    self.out.end_pipe();
                }
                self.depth = 0;
                self.warn(&failure.to_string());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Runs statements that come from anywhere.
    pub(crate) fn run_text(&mut self, line: &str) -> Outcome {
        self.depth += 1;
        if self.depth > 16 {
            return fail("commands call each other too deeply");
        }
        let statements = parse(line)?;
        for statement in &statements {
            self.run_statement(statement)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn run_statement(&mut self, statement: &Statement) -> Outcome {
        if let Some(alone) = self.lone_dcmd(statement) {
            return self.run_statement(&alone);
        }
        if let Some(address) = &statement.address {
            let value = self.value(address)?;
            self.recent = self.dot;
            self.dot = value;
        }
        let count = match &statement.count {
            Some(count) => Some(self.value(count)?),
            None => None,
        };
        let commands = match (&statement.pipeline[..], &statement.shell, &statement.address) {
            ([], Some(shell), None) => return self.shell(shell, None),
            ([], _, _) => self.previous.clone(),
            (commands, ..) => commands.to_vec(),
        };
        if commands.is_empty() {
            // An address alone, and nothing was run before: mdb sets dot.
            return Ok(());
        }
        self.previous.clone_from(&commands);
        let address = statement.address.as_ref().map(|_| self.dot);
        let Some(shell) = &statement.shell else {
            return self.run_pipeline(&commands, address, count);
        };
        self.out.begin_pipe();
        let ran = self.run_pipeline_as(&commands, address, count, false);
        let Piped { text, .. } = self.out.end_pipe();
        self.shell(shell, Some(&text))?;
        ran
    }

    /// A dcmd's name typed without its colons, as people do: no symbol has that name.
    fn lone_dcmd(&self, statement: &Statement) -> Option<Statement> {
        let crate::parse::Expr::Word(word) = statement.address.as_ref()? else { return None };
        if !statement.pipeline.is_empty()
            || self.system.symbol(word).is_some()
            || u64::from_str_radix(word, 16).is_ok()
        {
            return None;
        }
        self.find_dcmd(word)?;
        let pipeline = vec![Command::Dcmd(word.clone(), Vec::new())];
        Some(Statement { address: None, pipeline, ..statement.clone() })
    }

    fn run_pipeline(
        &mut self,
        commands: &[Command],
        address: Option<u64>,
        count: Option<u64>,
    ) -> Outcome {
        self.run_pipeline_as(commands, address, count, false)
    }

    fn run_pipeline_as(
        &mut self,
        commands: &[Command],
        address: Option<u64>,
        count: Option<u64>,
        into_pipe: bool,
    ) -> Outcome {
        let Some((first, rest)) = commands.split_first() else { return Ok(()) };
        if rest.is_empty() {
            return self.run_command(first, address, count, None, into_pipe);
        }
        self.out.begin_pipe();
        let mut ran = self.run_command(first, address, count, None, true);
        let mut piped = self.out.end_pipe();
        for (index, command) in rest.iter().enumerate() {
            let is_last = index + 1 == rest.len();
            let steps = std::mem::take(&mut piped.steps);
            if let Err(failure) = ran {
                // What came so far still goes on: a fault costs what it stands for.
                match failure {
                    Failure::Text(_) | Failure::Fault(_) => self.warn(&failure.to_string()),
                    other => return Err(other),
                }
            }
            let values = self.piped_values(piped)?;
            let outer = std::mem::replace(&mut self.steps, steps);
            if !is_last {
                self.out.begin_pipe();
            }
            ran = self.run_command(command, None, None, Some(&values), into_pipe || !is_last);
            self.steps = outer;
            if is_last {
                return ran;
            }
            piped = self.out.end_pipe();
        }
        ran
    }

    /// An element of a pipeline takes the next value: variables are what they were when it came.
    fn take(&mut self, index: usize, value: u64) {
        self.dot = value;
        let after = self.steps.partition_point(|&(from, _)| from <= index);
        let Some((_, steps)) = after.checked_sub(1).and_then(|at| self.steps.get(at)) else {
            return;
        };
        let steps = steps.clone();
        for (variable, element) in steps.iter() {
            self.set_variable(variable, *element);
        }
        self.out.steps = steps;
    }

    /// What an element of a pipeline gives to the next: its values, or its text read as
    /// expressions.
    fn piped_values(&mut self, piped: Piped) -> Outcome<Vec<u64>> {
        let mut values = piped.values;
        for word in piped.text.split_whitespace() {
            if values.len() >= MAX_PIPE {
                return fail("too many values in the pipe");
            }
            values.push(self.evaluate(word)?);
        }
        Ok(values)
    }

    fn run_command(
        &mut self,
        command: &Command,
        address: Option<u64>,
        count: Option<u64>,
        piped: Option<&[u64]>,
        pipe_out: bool,
    ) -> Outcome {
        match command {
            Command::Dcmd(name, words) => {
                self.run_dcmd_words(name, words, address, count, piped, pipe_out)
            }
            Command::Format(verb, items) => match piped {
                Some(values) => {
                    for (index, &value) in values.iter().enumerate() {
                        self.check()?;
                        self.take(index, value);
                        self.run_format(*verb, items, 1)?;
                    }
                    Ok(())
                }
                None => self.run_format(*verb, items, count.unwrap_or(1)),
            },
            Command::Match(verb, letter, words) => {
                let args = self.arguments(words)?;
                self.run_match(*verb, *letter, &args, count)
            }
            Command::Assign(name, cast) => {
                let value = piped.and_then(|values| values.last().copied()).unwrap_or(self.dot);
                let value = match cast.as_deref() {
                    Some("c" | "1") => value & 0xff,
                    Some("s" | "2") => value & 0xffff,
                    Some("i" | "4") => value & 0xffff_ffff,
                    _ => value,
                };
                self.set_variable(name, value);
                Ok(())
            }
        }
    }

    fn arguments(&self, words: &[Word]) -> Outcome<Vec<Arg>> {
        words
            .iter()
            .map(|word| match word {
                Word::Text(text) => Ok(Arg::text(text)),
                Word::Value(expr) => {
                    let value = self.value(expr)?;
                    Ok(Arg { text: format!("{value:x}"), value: Some(value) })
                }
            })
            .collect()
    }

    fn run_dcmd_words(
        &mut self,
        name: &str,
        words: &[Word],
        address: Option<u64>,
        count: Option<u64>,
        piped: Option<&[u64]>,
        pipe_out: bool,
    ) -> Outcome {
        if name == "$<" || name == "$<<" {
            return self.run_macro(words, address, piped, pipe_out);
        }
        // `$>file` keeps a log, and `$>` ends it.
        let name = if name == "$>" { "log" } else { name };
        let Some(dcmd) = self.find_dcmd(name) else {
            let typed =
                if name.starts_with(['$', ':']) { name.into() } else { format!("::{name}") };
            let names = self.dcmds().flat_map(|dcmd| dcmd.names.iter().copied());
            let near = nearest(name, names);
            return fail(match near {
                Some(near) if !near.starts_with(['$', ':']) && name.len() > 2 => {
                    format!("invalid command '{typed}': unknown dcmd name (did you mean ::{near}?)")
                }
                _ => format!("invalid command '{typed}': unknown dcmd name"),
            });
        };
        let args = self.arguments(words)?;
        let mut call = Call { address, args, first: true, pipe_out, ..Call::default() };
        match piped {
            Some(values) if dcmd.takes_all => {
                call.all = values.to_vec();
                call.piped = true;
                self.call(dcmd, &call)
            }
            Some(values) => {
                call.piped = true;
                for (index, &value) in values.iter().enumerate() {
                    self.check()?;
                    self.take(index, value);
                    call.address = Some(value);
                    match self.call(dcmd, &call) {
                        // One that cannot be read costs that one.
                        Err(failure @ (Failure::Text(_) | Failure::Fault(_))) => {
                            self.warn(&failure.to_string());
                        }
                        other => other?,
                    }
                    call.first = false;
                }
                Ok(())
            }
            None => {
                for _ in 0..count.unwrap_or(1) {
                    self.check()?;
                    self.call(dcmd, &call)?;
                    call.first = false;
                    if call.address.is_some() {
                        call.address = Some(self.dot);
                    }
                }
                Ok(())
            }
        }
    }

    fn call(&mut self, dcmd: &'static Dcmd, call: &Call) -> Outcome {
        if dcmd.usage.starts_with(':')
            && call.address.is_none()
            && call.all.is_empty()
            && !call.piped
        {
            return fail(format!("{} needs an address: ADDRESS{0}", dcmd.typed()));
        }
        (dcmd.run)(self, call).map_err(|failure| match failure {
            Failure::Usage(text) => Failure::Text(format!(
                "{}: {text}; usage: {}{0} {}",
                dcmd.typed(),
                if dcmd.usage.starts_with(':') { "ADDRESS" } else { "" },
                dcmd.usage.trim_start_matches([':', '?']).trim(),
            )),
            other => other,
        })
    }

    /// Runs a dcmd by name, as others do that are made of it.
    ///
    /// # Errors
    /// Those of the dcmd.
    pub fn run_dcmd(&mut self, name: &str, address: Option<u64>, args: &[&str]) -> Outcome {
        let words: Vec<Word> = args.iter().map(|arg| Word::Text((*arg).to_owned())).collect();
        self.run_dcmd_words(name, &words, address, None, None, false)
    }

    fn run_macro(
        &mut self,
        words: &[Word],
        address: Option<u64>,
        piped: Option<&[u64]>,
        pipe_out: bool,
    ) -> Outcome {
        let Some(Word::Text(name)) = words.first() else {
            return fail("usage: [ADDRESS]$<MACRO (list of macros: $M)");
        };
        let Some(&(_, text)) = self.registry.macros.iter().find(|(found, _)| found == name) else {
            return fail(format!("macro {name} is not known (list of macros: $M)"));
        };
        let statements = parse(text)?;
        for statement in statements {
            let mut commands = statement.pipeline;
            let address = match &statement.address {
                Some(expr) => {
                    self.dot = self.value(expr)?;
                    Some(self.dot)
                }
                None => address,
            };
            match piped {
                None => self.run_pipeline_as(&commands, address, None, pipe_out)?,
                Some(values) => {
                    for (index, &value) in values.iter().enumerate() {
                        self.take(index, value);
                        self.run_pipeline_as(&commands, Some(value), None, pipe_out)?;
                    }
                }
            }
            commands.clear();
        }
        Ok(())
    }

    /// Runs a shell command; what a pipeline printed is its input, even if that is nothing.
    fn shell(&mut self, command: &str, text: Option<&str>) -> Outcome {
        self.reach_out()?;
        self.out.flush()?;
        let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
        let input = if text.is_some() { Stdio::piped() } else { Stdio::inherit() };
        let started = Process::new(&shell).arg("-c").arg(command).stdin(input).spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                let shell = shell.to_string_lossy().into_owned();
                return fail(format!("failed to run {shell}: {error}"));
            }
        };
        if let (Some(mut stdin), Some(text)) = (child.stdin.take(), text) {
            // A command that reads no more (head) is done.
            let _ = stdin.write_all(text.as_bytes());
        }
        let _ = child.wait();
        Ok(())
    }

    /// Runs a walker by name.
    ///
    /// # Errors
    /// There is none of that name, or it fails.
    pub fn walk(&mut self, name: &str, start: Option<u64>) -> Outcome<Vec<u64>> {
        let Some(walker) = self.find_walker(name) else {
            let near = nearest(name, self.walkers().map(|walker| walker.name));
            return fail(match near {
                Some(near) => format!("unknown walk name: {name} (did you mean {near}?)"),
                None => format!("unknown walk name: {name} (list of walkers: ::walkers)"),
            });
        };
        (walker.walk)(self, start)
    }

    /// Elements of a walk, and a note of what stopped it.
    pub fn noted(&mut self, walk: necropsy_illumos::list::Walk) -> Vec<u64> {
        if let Some(problem) = walk.problem {
            self.warn(&problem.to_string());
        }
        walk.found
    }

    /// A number among a dcmd's arguments.
    ///
    /// # Errors
    /// It is none.
    pub fn number(&self, arg: &Arg) -> Outcome<u64> {
        match arg.value {
            Some(value) => Ok(value),
            None => self.evaluate(&arg.text),
        }
    }
}
