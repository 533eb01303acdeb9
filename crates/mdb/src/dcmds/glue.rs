//! What ties statements together: pipes, variables, options, the log.

use std::fs::File;

use serde_json::json;

use crate::{Call, Dcmd, Failure, Mdb, Options, Outcome, failure::fail};

pub(super) const WALK: Dcmd = Dcmd::new(
    &["walk"],
    "? NAME [VARIABLE]",
    "walk data structure",
    |mdb, call| {
        let Some(name) = call.args.first() else {
            return Err(Failure::Usage("a walker must be named".into()));
        };
        let found = mdb.walk(&name.text, call.address)?;
        let variable = call.args.get(1).map(|arg| arg.text.clone());
        for &value in &found {
            mdb.check()?;
            if let Some(variable) = &variable {
                mdb.set_variable(variable, value);
                mdb.out.step(variable, value);
            }
            if call.pipe_out {
                mdb.pipe(value);
            } else {
                mdb.row(&format!("{value:x}"), json!({ "address": format!("{value:#x}") }))?;
            }
        }
        Ok(())
    },
)
.with_help(
    "Visits each element of a structure, such as every thread or every process. Alone it prints \
     their addresses; in a pipeline the next dcmd runs on each of them, and the variable, if one is \
     named, is the element.",
);

pub(super) const MAP: Dcmd =
    Dcmd::new(&["map"], "? EXPRESSION", "print dot after evaluating expression", |mdb, call| {
        let text = words(call, "an expression must be given")?;
        mdb.dot = call.address.unwrap_or(mdb.dot);
        let value = mdb.evaluate(&text)?;
        emit(mdb, call, value)
    });

pub(super) const GREP: Dcmd =
    Dcmd::new(&["grep"], "? EXPRESSION", "print dot if expression is true", |mdb, call| {
        let text = words(call, "an expression must be given")?;
        let value = call.address.unwrap_or(mdb.dot);
        mdb.dot = value;
        if mdb.evaluate(&text)? != 0 {
            emit(mdb, call, value)?;
        }
        Ok(())
    });

fn words(call: &Call, missing: &str) -> Outcome<String> {
    if call.args.is_empty() {
        return Err(Failure::Usage(missing.into()));
    }
    let words: Vec<&str> = call.args.iter().map(|arg| arg.text.as_str()).collect();
    Ok(words.join(" "))
}

fn emit(mdb: &mut Mdb, call: &Call, value: u64) -> Outcome {
    if call.pipe_out {
        mdb.pipe(value);
        return Ok(());
    }
    mdb.row(&format!("{value:x}"), json!({ "value": format!("{value:#x}") }))
}

/// `-N` or `-n N`, as both are typed.
fn count_of(mdb: &Mdb, call: &Call) -> Outcome<u64> {
    let Some(first) = call.args.first() else { return Ok(10) };
    let digits = first.text.trim_start_matches('-').trim_start_matches('n');
    let arg = match (digits, call.args.get(1)) {
        ("", Some(next)) => next.text.as_str(),
        (digits, _) => digits,
    };
    match arg.parse() {
        Ok(count) => Ok(count),
        Err(_) => mdb.evaluate(arg),
    }
}

pub(super) const HEAD: Dcmd =
    Dcmd::new(&["head"], "? [-NUM]", "limit number of elements in pipe", |mdb, call| {
        let count = count_of(mdb, call)? as usize;
        for &value in call.all.iter().take(count) {
            emit(mdb, call, value)?;
        }
        Ok(())
    })
    .taking_all();

pub(super) const TAIL: Dcmd =
    Dcmd::new(&["tail"], "? [-NUM]", "the last elements in pipe", |mdb, call| {
        let count = count_of(mdb, call)? as usize;
        for &value in call.all.iter().skip(call.all.len().saturating_sub(count)) {
            emit(mdb, call, value)?;
        }
        Ok(())
    })
    .taking_all();

pub(super) const EVAL: Dcmd =
    Dcmd::new(&["eval"], "? COMMAND", "evaluate the specified command", |mdb, call| {
        let text = words(call, "a command must be given")?;
        mdb.dot = call.address.unwrap_or(mdb.dot);
        mdb.run_text(&text)
    });

pub(super) const ECHO: Dcmd =
    Dcmd::new(&["echo"], "[STRING ...]", "echo arguments", |mdb, call| {
        let words: Vec<&str> = call.args.iter().map(|arg| arg.text.as_str()).collect();
        mdb.line(&words.join(" "))
    });

pub(super) const QUIT: Dcmd =
    Dcmd::new(&["quit", "$q", "$Q"], "", "quit debugger", |_, _| Err(Failure::Quit));

pub(super) const PROMPT: Dcmd =
    Dcmd::new(&["prompt", "$P"], "[PROMPT]", "set debugger prompt string", |mdb, call| {
        let text = call.args.first().map_or("> ", |arg| arg.text.as_str());
        mdb.prompt = text.to_owned();
        Ok(())
    });

pub(super) const VARS: Dcmd =
    Dcmd::new(&["vars", "$v"], "[-npt]", "print listing of variables", |mdb, call| {
        let options = Options::take(&call.args, "npt")?;
        let mut all: Vec<(String, u64)> = mdb.registers.clone();
        all.extend(mdb.variables.iter().map(|(name, value)| (name.clone(), *value)));
        all.push((".".into(), mdb.dot));
        all.sort();
        all.retain(|(_, value)| !options.has('n') || *value != 0);
        for (name, value) in all {
            let object = json!({ "name": name, "value": format!("{value:#x}") });
            mdb.row(&format!("{name} = {value:x}"), object)?;
        }
        Ok(())
    });

pub(super) const TYPESET: Dcmd =
    Dcmd::new(&["typeset"], "? VARIABLE ...", "set variable attributes", |mdb, call| {
        for arg in &call.args {
            if !arg.text.starts_with(['-', '+']) {
                let value = call.address.unwrap_or(0);
                mdb.set_variable(&arg.text, value);
            }
        }
        Ok(())
    });

pub(super) const UNSET: Dcmd = Dcmd::new(&["unset"], "NAME ...", "unset variables", |mdb, call| {
    for arg in &call.args {
        mdb.variables.remove(&arg.text);
    }
    Ok(())
});

pub(super) const SET: Dcmd = Dcmd::new(
    &["set"],
    "[-o [no]OPTION] [-s DISTANCE]",
    "get/set debugger properties",
    |mdb, call| {
        let options = Options::take(&call.args, "o:s:wFmL:P:")?;
        if options.has('w') {
            return fail("a dump cannot be written to");
        }
        match options.get('o') {
            Some("autowrap") => mdb.autowrap = true,
            Some("noautowrap") => mdb.autowrap = false,
            Some("psym") => mdb.psym = true,
            Some("nopsym") => mdb.psym = false,
            Some(other) => {
                let limit = |value: &str| match value {
                    "none" => Ok(None),
                    value => mdb.evaluate(value).map(Some),
                };
                if let Some(value) = other.strip_prefix("array_mem_limit=") {
                    mdb.array_limit = limit(value)?;
                } else if let Some(value) = other.strip_prefix("array_str_limit=") {
                    mdb.string_limit = limit(value)?;
                } else {
                    return fail(format!(
                        "unknown option {other}: autowrap, psym, array_mem_limit=N and \
                         array_str_limit=N are known"
                    ));
                }
            }
            None if options.has('s') => {}
            None => {
                let on = |on: bool| if on { "on" } else { "off" };
                let wrap = format!("autowrap: {}", on(mdb.autowrap));
                let psym = format!("psym: {}", on(mdb.psym));
                mdb.line(&wrap)?;
                mdb.line(&psym)?;
            }
        }
        Ok(())
    },
);

pub(super) const LOG: Dcmd =
    Dcmd::new(&["log"], "[-d | FILE]", "log session to a file", |mdb, call| {
        let options = Options::take(&call.args, "de")?;
        let Some(path) = options.rest.first().filter(|_| !options.has('d')) else {
            mdb.out.log = None;
            return Ok(());
        };
        mdb.reach_out()?;
        match File::options().create(true).append(true).open(&path.text) {
            Ok(file) => {
                mdb.out.log = Some(file);
                Ok(())
            }
            Err(error) => fail(format!("failed to open {}: {error}", path.text)),
        }
    })
    .with_help(
        "Writes what is typed and what is printed to a file, too, behind what it holds. -d, or \
         $> alone, ends that; $>FILE is the same as ::log FILE.",
    );
