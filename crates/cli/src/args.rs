//! The command line, and what of it the registry adds.

use std::path::PathBuf;

use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    cache::CacheArgs, command::Command, convert::ConvertArgs, oops::OopsArgs, opening::Request,
    registry,
};

/// Post-mortem debugger for kernels: opens a crash dump with nothing but the dump
#[derive(Debug, Parser)]
#[command(
    name = "necropsy",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit status: 0 done; 1 a command failed; 2 wrong usage; 3 the dump cannot be \
                  opened; 4 the dump or debug information lacks what was asked for; 5 check \
                  found something."
)]
pub struct Args {
    /// What to do instead of opening a session.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// The dump.
    #[command(flatten)]
    pub request: Request,
    /// The session.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Options of a session.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SessionArgs {
    /// Run a command and exit; may be repeated
    #[arg(short, long, value_name = "COMMAND")]
    pub exec: Vec<String>,
    /// Run the commands in a file first; may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// One JSON object a line from every command
    #[arg(long)]
    pub json: bool,
    /// Comma-separated values from every command
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Speak mdb's language, which a dump of illumos does anyway
    #[arg(long)]
    pub mdb: bool,
    /// No banner
    #[arg(short, long)]
    pub silent: bool,
    /// Do not read ~/.config/necropsy/rc, ~/.crashrc and ./.crashrc
    #[arg(long, visible_alias = "no_crashrc")]
    pub no_rc: bool,
    /// No pager
    #[arg(long, alias = "no_scroll")]
    pub no_scroll: bool,
    /// Lines to run after the rc files and before anything else, which crash's options stand for
    #[arg(skip)]
    pub setup: Vec<String>,
}

/// What needs no session, apart from the registry's own.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Write a dump in another format, or only a part of it
    Convert(ConvertArgs),
    /// Write unix.N and vmcore.N of an illumos vmdump.N, as savecore does
    Expand(crate::mdb::ExpandArgs),
    /// What kernel reports a log holds, from any channel and in any format
    Oops(OopsArgs),
    /// Write the JSON schema of a command's rows, or of all commands', to standard output
    Schema {
        /// Which command
        command: Option<String>,
    },
    /// Show the unpacked copies of packed dumps, and where they are; or remove them
    Cache(CacheArgs),
    /// Write completions for a shell to standard output
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual page to standard output
    Man,
}

/// Commands of the registry that are also subcommands: `necropsy log DUMP`.
const ON_DUMP: &[&str] = &["report", "log", "info", "doctor"];

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Open a session.
    Session(Request, SessionArgs),
    /// Run one command of the registry on a dump.
    OnDump(Request, &'static Command, Vec<String>),
    /// Print an entry of the dump's VMCOREINFO.
    VmCoreInfo(Request, &'static str),
    /// Needs no dump.
    Action(Action),
    /// Print the version.
    Version,
}

/// The program's command line, with the registry's subcommands.
pub fn command() -> clap::Command {
    ON_DUMP.iter().filter_map(|name| registry::COMMANDS.find(name)).fold(
        Args::command(),
        |all, command| {
            use clap::Args as _;
            let sub =
                Request::augment_args(clap::Command::new(command.name())).args(options(command));
            // What the arguments of all of them are for is no summary of this one.
            all.subcommand(sub.about(command.summary).long_about(None))
        },
    )
}

/// A command's options as clap has them, `--json` and `--csv` included.
fn options(command: &Command) -> impl Iterator<Item = clap::Arg> {
    let json = clap::Arg::new("--json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("One JSON object a line");
    let csv = clap::Arg::new("--csv")
        .long("csv")
        .action(ArgAction::SetTrue)
        .conflicts_with("--json")
        .help("Comma-separated values");
    let own = command.options.iter().filter_map(|opt| {
        let arg = clap::Arg::new(opt.flag).help(opt.help);
        let mut letters = opt.flag.chars().skip(1);
        let arg = match (opt.flag.strip_prefix("--"), letters.next(), letters.next()) {
            (Some(long), ..) => arg.long(long),
            (None, Some(letter), None) => arg.short(letter),
            // clap has no `-16`; such options are for the prompt.
            _ => return None,
        };
        Some(match opt.value {
            None => arg.action(ArgAction::SetTrue),
            Some(name) => arg.value_name(name.trim_start_matches('=')).action(ArgAction::Append),
        })
    });
    own.chain([json, csv])
}

/// Reads the command line.
///
/// # Errors
/// Wrong usage, and also `--help` and `--version`, as clap has it.
pub fn parse(args: Vec<std::ffi::OsString>) -> Result<Invocation, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    if let Some((name, sub)) = matches.subcommand()
        && let Some(command) = registry::COMMANDS.find(name).filter(|_| ON_DUMP.contains(&name))
    {
        let request = Request::from_arg_matches(sub)?;
        return Ok(Invocation::OnDump(request, command, words(command, sub)));
    }
    let args = Args::from_arg_matches(&matches)?;
    Ok(match args.action {
        Some(action) => Invocation::Action(action),
        None => Invocation::Session(args.request, args.session),
    })
}

/// The options that were given, as the command language has them.
fn words(command: &'static Command, matches: &ArgMatches) -> Vec<String> {
    let mut words = Vec::new();
    for id in options(command).map(|arg| arg.get_id().clone()) {
        match matches.try_get_many::<String>(id.as_str()) {
            Ok(values) => {
                for value in values.into_iter().flatten() {
                    words.extend([id.to_string(), value.clone()]);
                }
            }
            Err(_) if matches.get_flag(id.as_str()) => words.push(id.to_string()),
            Err(_) => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Invocation, clap::Error> {
        parse(line.split(' ').map(Into::into).collect())
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_first_word_that_is_no_subcommand_is_a_dump() {
        let Ok(Invocation::Session(request, session)) =
            read("necropsy vmcore vmlinux -e bt -e ps --json --no_crashrc --kaslr 0x1f000000")
        else {
            panic!("not a session");
        };
        assert_eq!(request.files, [PathBuf::from("vmcore"), PathBuf::from("vmlinux")]);
        assert_eq!(session.exec, ["bt", "ps"]);
        assert!(session.json && session.no_rc);
        assert_eq!(request.kaslr, Some(0x1f00_0000));
    }

    #[test]
    fn debug_information_of_the_command_line() {
        let line = "necropsy vmcore --symbols vmlinux --symbols mods --debuginfod http://d \
                    --any-build-id --source src";
        let Ok(Invocation::Session(request, _)) = read(line) else { panic!("not a session") };
        assert_eq!(request.symbols.len(), 2);
        assert_eq!(request.debuginfod, ["http://d"]);
        assert_eq!(request.source, [PathBuf::from("src")]);
        assert!(request.any_build_id && !request.no_debuginfo);
    }

    #[test]
    fn other_subcommands() {
        assert!(matches!(read("necropsy man"), Ok(Invocation::Action(Action::Man))));
        assert!(read("necropsy completions bash").is_ok());
        let convert = "necropsy convert a b OUT --touched-by lines --compress zstd:19";
        assert!(matches!(read(convert), Ok(Invocation::Action(Action::Convert(_)))));
        assert!(read("necropsy convert OUT").is_err());
        assert!(read("necropsy").is_err() && read("necropsy vmcore --bogus").is_err());
    }

    #[test]
    fn the_registry_s_commands_take_their_options() {
        for command in ON_DUMP.iter().filter_map(|name| registry::COMMANDS.find(name)) {
            let line = format!("necropsy {} vmcore --json", command.name());
            let Ok(Invocation::OnDump(request, found, words)) = read(&line) else {
                panic!("{line}");
            };
            assert_eq!((request.files.len(), found.name()), (1, command.name()));
            assert_eq!(words, ["--json"]);
        }
    }
}
