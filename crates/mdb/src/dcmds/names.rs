//! Symbols.

use serde_json::json;

use crate::{Dcmd, Failure, Options, Symbol, failure::fail};

pub(super) const NM: Dcmd =
    Dcmd::new(&["nm"], "? [-n] [-P MODULE] [OBJECT]", "print symbols", |mdb, call| {
        let options = Options::take(&call.args, "nvgudxoDPm:f:")?;
        let module = options.rest.first().map(|arg| arg.text.clone());
        let mut all = match call.address {
            Some(address) => mdb.system.symbol_at(address).into_iter().collect(),
            None => mdb.system.symbols(module.as_deref()),
        };
        if !options.has('v') {
            all.sort_by(|a, b| a.name.cmp(&b.name));
        } else {
            all.sort_by_key(|symbol| symbol.address);
        }
        if call.wants_heading() {
            mdb.heading(&format!("{:<18} {:<18} {}", "Value", "Size", "Name"))?;
        }
        for symbol in all {
            mdb.check()?;
            let object = json!({
                "address": format!("{:#x}", symbol.address),
                "size": symbol.size,
                "name": symbol.name,
            });
            let text = format!("{:#018x}|{:#018x}|{}", symbol.address, symbol.size, symbol.name);
            mdb.row(&text, object)?;
        }
        Ok(())
    });

pub(super) const NMADD: Dcmd = Dcmd::new(
    &["nmadd"],
    ": [-fo] [-e END] [-s SIZE] NAME",
    "add name to private symbol table",
    |mdb, call| {
        let address = call.needs_address()?;
        let options = Options::take(&call.args, "foe:s:")?;
        let Some(name) = options.rest.first() else {
            return Err(Failure::Usage("a name must be given".into()));
        };
        let size = match (options.get('s'), options.get('e')) {
            (Some(size), _) => mdb.evaluate(size)?,
            (_, Some(end)) => mdb.evaluate(end)?.saturating_sub(address),
            _ => 0,
        };
        mdb.private.retain(|symbol| symbol.name != name.text);
        mdb.private.push(Symbol { name: name.text.clone(), address, size });
        Ok(())
    },
);

pub(super) const NMDEL: Dcmd =
    Dcmd::new(&["nmdel"], "NAME", "remove name from private symbol table", |mdb, call| {
        let name = call.args.first().map(|arg| arg.text.clone()).unwrap_or_default();
        let before = mdb.private.len();
        mdb.private.retain(|symbol| symbol.name != name);
        if before == mdb.private.len() { fail(format!("no private symbol {name}")) } else { Ok(()) }
    });

pub(super) const WHATTYPE: Dcmd =
    Dcmd::new(&["typeof"], ":", "the type of a variable or function", |mdb, call| {
        let address = call.needs_address()?;
        let ty = mdb.system.object_type(address).or_else(|| mdb.system.function_type(address));
        match ty {
            Some(ty) => {
                let name = mdb.system.name_or_hex(address);
                let text = mdb.system.types().declare(ty, &name);
                mdb.line(&text)
            }
            None => fail(format!("the type of what is at {address:x} is not known")),
        }
    });
