//! Help, and lists of what there is.

use serde_json::json;

use crate::{Dcmd, Mdb, Outcome, failure::fail, format::LETTERS, text::nearest};

pub(super) const DCMDS: Dcmd =
    Dcmd::new(&["dcmds"], "[NAME]", "list available debugger commands", |mdb, _| {
        let mut all: Vec<(&str, &Dcmd)> =
            mdb.dcmds().flat_map(|dcmd| dcmd.names.iter().map(move |&name| (name, dcmd))).collect();
        all.sort_by_key(|&(name, _)| name);
        all.dedup_by_key(|&mut (name, _)| name);
        for (name, dcmd) in all {
            let object = json!({ "name": name, "summary": dcmd.summary, "usage": dcmd.usage });
            mdb.row(&format!("{name:<24} - {}", dcmd.summary), object)?;
        }
        Ok(())
    });

pub(super) const WALKERS: Dcmd = Dcmd::new(&["walkers"], "", "list available walkers", |mdb, _| {
    let mut all: Vec<_> = mdb.walkers().collect();
    all.sort_by_key(|walker| walker.name);
    for walker in all {
        let object = json!({ "name": walker.name, "summary": walker.summary });
        mdb.row(&format!("{:<24} - {}", walker.name, walker.summary), object)?;
    }
    Ok(())
});

pub(super) const FORMATS: Dcmd = Dcmd::new(&["formats"], "", "list format specifiers", |mdb, _| {
    for (letter, text, _) in LETTERS {
        let object = json!({ "letter": letter.to_string(), "meaning": text });
        mdb.row(&format!("{letter} - {text}"), object)?;
    }
    Ok(())
});

pub(super) const MACROS: Dcmd = Dcmd::new(&["$M"], "", "list macro aliases", |mdb, _| {
    for (name, text) in mdb.registry.macros {
        mdb.row(&format!("{name:<24} {text}"), json!({ "name": name, "text": text }))?;
    }
    Ok(())
});

pub(super) const VERSION: Dcmd =
    Dcmd::new(&["version"], "", "print debugger version string", |mdb, _| {
        mdb.line(concat!("necropsy ", env!("CARGO_PKG_VERSION"), " (the mdb language)"))
    });

pub(super) const HELP: Dcmd =
    Dcmd::new(&["help"], "[COMMAND]", "list commands/command help", |mdb, call| {
        let Some(arg) = call.args.first() else { return introduction(mdb) };
        let name = arg.text.trim_start_matches("::");
        let Some(dcmd) = mdb.find_dcmd(name) else {
            if let Some(walker) = mdb.find_walker(name) {
                return mdb.line(&format!("{name} is a walker: {}", walker.summary));
            }
            let near = nearest(name, mdb.dcmds().flat_map(|dcmd| dcmd.names.iter().copied()));
            return fail(match near {
                Some(near) => format!("unknown command: {name} (did you mean {near}?)"),
                None => format!("unknown command: {name} (list of commands: ::dcmds)"),
            });
        };
        mdb.line("")?;
        mdb.line("NAME")?;
        mdb.line(&format!("  {name} - {}", dcmd.summary))?;
        mdb.line("")?;
        mdb.line("SYNOPSIS")?;
        let (address, rest) = match dcmd.usage.chars().next() {
            Some('?') => ("[ addr ] ", &dcmd.usage[1..]),
            Some(':') => ("addr ", &dcmd.usage[1..]),
            _ => ("", dcmd.usage),
        };
        let typed = if name.starts_with(['$', ':']) { name.into() } else { format!("::{name}") };
        mdb.line(format!("  {address}{typed} {}", rest.trim()).trim_end())?;
        if !dcmd.help.is_empty() {
            mdb.line("")?;
            mdb.line("DESCRIPTION")?;
            mdb.line("")?;
            for line in dcmd.help.lines() {
                for wrapped in wrap(line, 74) {
                    mdb.line(format!("  {wrapped}").trim_end())?;
                }
            }
        }
        mdb.line("")
    });

fn introduction(mdb: &mut Mdb) -> Outcome {
    for line in [
        "",
        "Each debugger command is of the form:",
        "",
        "  [ADDRESS][,COUNT] COMMAND [| COMMAND ...] [! SHELL-COMMAND]",
        "",
        "where COMMAND is one of:",
        "",
        "  ::dcmd [argument ...]   a debugger command; ::dcmds lists them",
        "  $c  $C  $r  $q          debugger commands of one letter",
        "  /fmt  \\fmt  =fmt        format memory, physical memory, or a value; ::formats lists",
        "  >name                   assign to a variable",
        "",
        "To begin with:",
        "",
        "  ::status                what the dump is, and why the system panicked",
        "  ::msgbuf                the console's messages",
        "  $C                      the stack of the panic",
        "  ::ps  ::ptree           processes",
        "  ::walk thread | ::findstack   the stacks of all threads",
        "  ::stacks                the same, alike ones together",
        "  ::help print            more about a command",
        "",
    ] {
        mdb.line(line)?;
    }
    Ok(())
}

fn wrap(line: &str, width: usize) -> Vec<String> {
    if line.starts_with(' ') || line.is_empty() {
        return vec![line.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in line.split_whitespace() {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !lines[last].is_empty() {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

pub(super) const WHICH: Dcmd =
    Dcmd::new(&["which", "whence"], "NAME ...", "show source of walk or dcmd", |mdb, call| {
        for arg in &call.args {
            let name = arg.text.trim_start_matches("::");
            let is_dcmd = mdb.find_dcmd(name).is_some();
            let is_walker = mdb.find_walker(name).is_some();
            if is_dcmd {
                mdb.line(&format!("{name} is a dcmd"))?;
            }
            if is_walker {
                mdb.line(&format!("{name} is a walker"))?;
            }
            if !is_dcmd && !is_walker {
                mdb.warn(&format!("{name} not found"));
            }
        }
        Ok(())
    });
