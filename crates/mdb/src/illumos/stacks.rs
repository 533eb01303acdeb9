//! The stacks of all threads, alike ones together.

use std::{cmp::Reverse, collections::HashMap};

use necropsy_illumos::thread::{sobj_name, state_name};
use serde_json::json;

use crate::{Dcmd, Mdb, Options, Outcome, failure::fail};

use super::kernel;

/// Most frames of one stack.
const MAX_FRAMES: usize = 254;

/// A thread with its stack, as threads are compared.
struct Stack {
    thread: u64,
    state: String,
    sobj: String,
    panicked: bool,
    /// Why there is no stack.
    failed: Option<String>,
    pcs: Vec<u64>,
}

type Key = (String, String, bool, Option<String>, Vec<u64>);

impl Stack {
    fn key(&self) -> Key {
        let Stack { state, sobj, panicked, failed, pcs, .. } = self;
        (state.clone(), sobj.clone(), *panicked, failed.clone(), pcs.clone())
    }
}

pub(super) const STACKS: Dcmd = Dcmd::new(
    &["stacks"],
    "? [-afiv] [-c FUNC] [-C FUNC] [-m MODULE] [-M MODULE] [-s SOBJ] [-S SOBJ] [-t STATE] [-T \
     STATE]",
    "print unique kernel thread stacks",
    |mdb, call| {
        let options = Options::take(&call.args, "afivc:C:m:M:s:S:t:T:")?;
        let kernel = kernel(mdb)?;
        let threads = match call.piped {
            true => call.all.clone(),
            false => {
                let walk = kernel.threads();
                mdb.noted(walk)
            }
        };
        let mut all = Vec::new();
        for thread in threads {
            mdb.check()?;
            match read(mdb, thread) {
                Ok(stack) => all.push(stack),
                Err(failure) => super::thread::tell(mdb, thread, failure)?,
            }
        }
        let like = match call.address.filter(|_| !call.piped) {
            Some(thread) => match all.iter().find(|stack| stack.thread == thread) {
                Some(stack) => Some(stack.key()),
                None => return fail(format!("{thread:x} is no thread")),
            },
            None => None,
        };
        let filter = Filter::new(mdb, &options)?;
        let mut groups: HashMap<Key, Vec<u64>> = HashMap::new();
        for stack in &all {
            let wanted = match &like {
                Some(key) => stack.key() == *key,
                None => filter.accepts(mdb, stack),
            };
            if wanted {
                groups.entry(stack.key()).or_default().push(stack.thread);
            }
        }
        let mut groups: Vec<(Key, Vec<u64>)> = groups.into_iter().collect();
        let names: HashMap<u64, String> = groups
            .iter()
            .flat_map(|(key, _)| &key.4)
            .map(|&pc| (pc, mdb.system.name_or_hex(pc)))
            .collect();
        groups.sort_by_cached_key(|(key, threads)| {
            let (state, sobj, panicked, failed, pcs) = key;
            let pcs: Vec<String> = pcs.iter().map(|pc| names[pc].clone()).collect();
            let rank = state_rank(state);
            (
                *panicked,
                Reverse(threads.len()),
                rank,
                failed.clone(),
                sobj == "<NONE>",
                sobj.clone(),
                pcs,
            )
        });
        print(mdb, call, &groups, &names, options.has('a') || like.is_some())
    },
)
.taking_all()
.with_help(
    "Threads whose state, synchronisation object and stack are alike are printed once, with \
     their number, the most frequent first. In a pipeline only the threads of the pipe \
     count.\n\n  -a        list all threads\n  -c func   only stacks with this function; -C: \
     without it\n  -m module only stacks with a function of this module; -M: without one\n  -s \
     type   only threads that wait for this type of object (CV, MUTEX, RWLOCK, ...); -S: all \
     others\n  -t state  only threads in this state (SLEEP, RUN, ...); -T: all others\n  -i        \
     the interesting ones: the same as -S CV -T FREE",
);

/// Sleeping threads come first among equals.
fn state_rank(state: &str) -> usize {
    ["FREE", "SLEEP", "RUN", "ONPROC", "ZOMB", "STOPPED", "WAIT", "PANIC"]
        .iter()
        .position(|known| *known == state)
        .unwrap_or(9)
}

fn read(mdb: &Mdb, thread: u64) -> Outcome<Stack> {
    let kernel = kernel(mdb)?;
    let shape = &kernel.shapes().thread;
    let state = shape.state.get(&kernel, thread)?;
    let sobj = sobj_name(kernel.sobj_of(thread)?);
    let panicked = kernel.pointer("panic_thread").ok() == Some(thread);
    let (failed, mut pcs) = match kernel.find_stack(thread)? {
        Ok(found) => (None, found.pcs),
        Err(none) => (Some(none.text().to_owned()), Vec::new()),
    };
    pcs.truncate(MAX_FRAMES);
    let state = if panicked { "PANIC".into() } else { state_name(state).to_uppercase() };
    Ok(Stack { thread, state, sobj, panicked, failed, pcs })
}

#[derive(Default)]
struct Filter {
    with: Option<(u64, u64)>,
    without: Option<(u64, u64)>,
    module: Option<std::ops::Range<u64>>,
    no_module: Option<std::ops::Range<u64>>,
    sobj: Option<String>,
    no_sobj: Option<String>,
    state: Option<String>,
    no_state: Option<String>,
    interesting: bool,
}

impl Filter {
    fn new(mdb: &Mdb, options: &Options) -> Outcome<Filter> {
        // A function as a whole, or one place in it.
        let function = |letter: char| -> Outcome<Option<(u64, u64)>> {
            let Some(text) = options.get(letter) else { return Ok(None) };
            let at = mdb.evaluate(text)?;
            let range = match mdb.system.symbol_at(at) {
                Some(symbol) if symbol.address == at => (at, at.saturating_add(symbol.size.max(1))),
                _ => (at, at.saturating_add(1)),
            };
            Ok(Some(range))
        };
        let kernel = kernel(mdb)?;
        let module = |letter: char| -> Outcome<Option<std::ops::Range<u64>>> {
            let Some(name) = options.get(letter) else { return Ok(None) };
            match kernel.module(name) {
                Some(module) => Ok(Some(module.text.clone())),
                None => fail(format!("\"{name}\" is not a module")),
            }
        };
        let word = |letter: char| {
            options.get(letter).map(|text| match text.to_uppercase() {
                none if none == "NONE" => "<NONE>".to_owned(),
                other => other,
            })
        };
        let interesting = options.has('i');
        Ok(Filter {
            with: function('c')?,
            without: function('C')?,
            module: module('m')?,
            no_module: module('M')?,
            sobj: word('s'),
            no_sobj: word('S').or_else(|| interesting.then(|| "CV".into())),
            state: word('t'),
            no_state: word('T').or_else(|| interesting.then(|| "FREE".into())),
            interesting,
        })
    }

    fn accepts(&self, _: &Mdb, stack: &Stack) -> bool {
        if self.interesting && stack.panicked {
            return true;
        }
        let within =
            |&(start, end): &(u64, u64)| stack.pcs.iter().any(|pc| (start..end).contains(pc));
        let of = |range: &std::ops::Range<u64>| stack.pcs.iter().any(|pc| range.contains(pc));
        self.with.as_ref().is_none_or(within)
            && !self.without.as_ref().is_some_and(within)
            && self.module.as_ref().is_none_or(of)
            && !self.no_module.as_ref().is_some_and(of)
            && self.sobj.as_ref().is_none_or(|wanted| *wanted == stack.sobj)
            && self.no_sobj.as_ref() != Some(&stack.sobj)
            && self.state.as_ref().is_none_or(|wanted| *wanted == stack.state)
            && self.no_state.as_ref() != Some(&stack.state)
    }
}

fn print(
    mdb: &mut Mdb,
    call: &crate::Call,
    groups: &[(Key, Vec<u64>)],
    names: &HashMap<u64, String>,
    each: bool,
) -> Outcome {
    if call.pipe_out {
        for (_, threads) in groups {
            for &thread in threads.iter().take(if each { usize::MAX } else { 1 }) {
                mdb.pipe(thread);
            }
        }
        return Ok(());
    }
    mdb.heading(&format!("{:<16} {:<8} {:<16} {:>8}", "THREAD", "STATE", "SOBJ", "COUNT"))?;
    for ((state, sobj, _, failed, pcs), threads) in groups {
        mdb.check()?;
        if mdb.out.json {
            let all: Vec<String> = threads.iter().map(|at| format!("{at:#x}")).collect();
            let frames: Vec<&String> = pcs.iter().map(|pc| &names[pc]).collect();
            let object = json!({
                "state": state, "sobj": sobj, "count": threads.len(), "threads": all,
                "failed": failed, "frames": frames,
            });
            mdb.row("", object)?;
            continue;
        }
        let first = threads.first().copied().unwrap_or(0);
        mdb.line(&format!("{first:<16x} {state:<8} {sobj:<16} {:>8}", threads.len()))?;
        if each {
            for thread in threads.iter().skip(1) {
                mdb.line(&format!("{thread:<16x} {state:<8} {sobj:<16} {:>8}", ""))?;
            }
        }
        if let Some(failed) = failed {
            mdb.line(&format!("{:16} <{failed}>", ""))?;
        }
        for pc in pcs {
            let name = &names[pc];
            mdb.line(&format!("{:16} {name}", ""))?;
        }
        mdb.line("")?;
    }
    Ok(())
}
