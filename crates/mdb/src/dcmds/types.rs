//! Typed memory.

use necropsy_debuginfo::{Type, TypeId};
use serde_json::json;

use crate::{
    Arg, Call, Dcmd, Failure, Mdb, Options, Outcome, Space,
    failure::fail,
    print::{Place, Style},
    text::{date, human},
};

/// Most elements of a list or array.
const MAX_ELEMENTS: u64 = 10_000_000;

/// The type that arguments begin with, and the rest of them: `struct proc` is two words.
fn type_of<'a>(mdb: &Mdb, args: &'a [Arg]) -> Outcome<(TypeId, &'a [Arg])> {
    let Some((first, rest)) = args.split_first() else {
        return Err(Failure::Usage("a type must be given".into()));
    };
    let two_words =
        matches!(first.text.as_str(), "struct" | "union" | "enum" | "unsigned" | "long");
    if let Some((second, rest)) = rest.split_first().filter(|_| two_words) {
        let text = format!("{} {}", first.text, second.text);
        if let Some(ty) = mdb.system.type_named(&text) {
            return Ok((ty, rest));
        }
    }
    let own = mdb.typedefs.get(&first.text).copied();
    match own.or_else(|| mdb.system.type_named(&first.text)) {
        Some(ty) => Ok((ty, rest)),
        None => fail(format!("failed to look up type {}: unknown type", first.text)),
    }
}

pub(super) const PRINT: Dcmd = Dcmd::new(
    &["print"],
    "? [-aCdhiLptTx] [-c LIMIT] [-l LIMIT] [-s DEPTH] [TYPE] [MEMBER|OFFSET ...]",
    "print the contents of a data structure",
    |mdb, call| {
        let options = Options::take(&call.args, "aCdhiLptTxn0c:l:s:")?;
        let limit = |letter: char, all: char, default: Option<u64>| -> Outcome<Option<u64>> {
            match options.get(letter) {
                Some("none") => Ok(None),
                Some(text) => mdb.evaluate(text).map(Some),
                None if options.has(all) => Ok(None),
                None => Ok(default),
            }
        };
        let style = Style {
            addresses: options.has('a'),
            types: options.has('t') || options.has('T'),
            decimal: options.has('d'),
            no_symbols: options.has('n'),
            physical: options.has('p'),
            array_limit: limit('l', 'L', mdb.array_limit)?,
            string_limit: limit('c', 'C', mdb.string_limit)?,
            depth: match options.get('s') {
                Some(text) => Some(mdb.evaluate(text)? as usize),
                None => None,
            },
        };
        let address = call.address.unwrap_or(mdb.dot);
        let (ty, members) = match type_of(mdb, &options.rest) {
            Ok(found) => found,
            // The type may be left out where it is known.
            Err(failure) => match implied(mdb, address) {
                Some(ty) => (ty, &options.rest[..]),
                None if options.rest.is_empty() => {
                    return fail("no type specified, and none is known for the address");
                }
                None => return Err(failure),
            },
        };
        mdb.dot_type = Some((address, ty));
        mdb.note_read(address);
        if options.has('i') {
            return immediate(mdb, address, ty, &style);
        }
        let whole = Place::new(address, ty);
        if members.is_empty() {
            return show(mdb, call, "", whole, &style);
        }
        for member in members {
            let place = match member_or_offset(mdb, whole, member, &style) {
                Ok(place) => place,
                Err(Failure::Fault(fault)) => {
                    mdb.warn(&format!("{}: {fault}", member.text));
                    continue;
                }
                Err(other) => return Err(other),
            };
            show(mdb, call, &member.text, place, &style)?;
        }
        Ok(())
    },
)
.with_help(
    "  -a        show address of object\n  -C        unlimit the length of character arrays\n  -c \
     limit  limit the length of character arrays\n  -d        output values in decimal\n  -i        \
     interpret address as data of the given type\n  -L        unlimit the length of standard \
     arrays\n  -l limit  limit the length of standard arrays\n  -n        don't print pointers as \
     symbol offsets\n  -p        interpret address as a physical memory address\n  -s depth  limit \
     the recursion depth\n  -t        show type of object\n  -x        output values in \
     hexadecimal\n\ntype may be omitted if the type of what is at addr is known. Members are \
     written as in C: a.b, a->b, a[3].",
);

fn implied(mdb: &Mdb, address: u64) -> Option<TypeId> {
    let of_symbol = mdb.system.object_type(address);
    of_symbol.or_else(|| mdb.dot_type.map(|(_, ty)| ty))
}

fn immediate(mdb: &mut Mdb, value: u64, ty: TypeId, style: &Style) -> Outcome {
    let types = mdb.system.types();
    let text = match types.get(mdb.resolved(ty)) {
        Type::Enum { values, .. } => {
            let name = values.iter().find(|found| found.value == value as i64);
            format!("{value} ({})", name.map_or("???", |found| types.name(found.name)))
        }
        Type::Pointer(_) => mdb.system.name_or_hex(value),
        _ if style.decimal => format!("0t{}", value as i64),
        _ => format!("{value:#x}"),
    };
    mdb.line(&text)
}

fn member_or_offset(mdb: &Mdb, whole: Place, member: &Arg, style: &Style) -> Outcome<Place> {
    let is_number = member.value.is_some() || member.text.starts_with(|c: char| c.is_ascii_digit());
    if !is_number {
        return mdb.member_place(whole, &member.text, style);
    }
    let offset = mdb.number(member)?;
    let types = mdb.system.types();
    let composite = types.as_composite(mdb.resolved(whole.ty));
    let found = composite.and_then(|composite| {
        composite.members.iter().rev().find(|member| member.bit_offset / 8 <= offset)
    });
    match found {
        Some(member) => Ok(Place {
            address: whole.address.wrapping_add(member.bit_offset / 8),
            ty: member.ty,
            bit_offset: (member.bit_offset % 8) as u32,
            bit_size: member.bit_size,
        }),
        None => fail(format!("no member at offset {offset:x}")),
    }
}

fn show(mdb: &mut Mdb, call: &Call, name: &str, place: Place, style: &Style) -> Outcome {
    if call.pipe_out {
        let value = mdb.pipe_value(place, style)?;
        mdb.pipe(value);
        return Ok(());
    }
    let text = mdb.value_text(place, style);
    let types = mdb.system.types();
    let mut label = String::new();
    if style.addresses {
        label.push_str(&format!("{:x} ", place.address));
    }
    if style.types {
        label.push_str(&types.declare(place.ty, name));
        label.push_str(if name.is_empty() { " " } else { " = " });
    } else if !name.is_empty() {
        label.push_str(&format!("{name} = "));
    }
    let object = json!({
        "address": format!("{:#x}", place.address),
        "type": types.display(place.ty),
        "member": name,
        "value": text,
    });
    mdb.row(&format!("{label}{text}"), object)
}

pub(super) const PRINTF: Dcmd = Dcmd::new(
    &["printf"],
    "? FORMAT [TYPE [MEMBER ...]]",
    "print and format the member(s) of a data structure",
    |mdb, call| {
        let Some((format, rest)) = call.args.split_first() else {
            return Err(Failure::Usage("a format must be given".into()));
        };
        let style = Style::default();
        let address = call.address.unwrap_or(mdb.dot);
        let places = if rest.is_empty() {
            Vec::new()
        } else {
            let (ty, members) = type_of(mdb, rest)?;
            let whole = Place::new(address, ty);
            if members.is_empty() {
                vec![whole]
            } else {
                let mut places = Vec::new();
                for member in members {
                    places.push(member_or_offset(mdb, whole, member, &style)?);
                }
                places
            }
        };
        let text = formatted(mdb, &format.text, &places, &style)?;
        mdb.out.text(&text)
    },
);

/// Text with a conversion for each place.
fn formatted(mdb: &Mdb, format: &str, places: &[Place], style: &Style) -> Outcome<String> {
    let mut out = String::new();
    let mut places = places.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(|c: char| c.is_ascii_alphabetic() && !"lhzjt".contains(c) || c == '%');
        let Some(end) = end else { return fail("the format ends within a conversion") };
        let (spec, after) = rest.split_at(end);
        let conversion = after.chars().next().unwrap_or('%');
        rest = &after[1..];
        if conversion == '%' {
            out.push('%');
            continue;
        }
        let Some(&place) = places.next() else { return fail("more conversions than members") };
        let flags: String = spec.chars().take_while(|c| "-0# +?".contains(*c)).collect();
        let wide = flags.contains('?') || spec.contains('?');
        let digits: String = spec.chars().filter(char::is_ascii_digit).collect();
        let width = if wide { 16 } else { digits.trim_start_matches('0').parse().unwrap_or(0) };
        let number = || mdb.number_at(place, style);
        let text = match conversion {
            'd' | 'i' => {
                let (value, bits) = number()?;
                let unused = 64 - bits.clamp(1, 64);
                ((value << unused) as i64 >> unused).to_string()
            }
            'u' => number()?.0.to_string(),
            'x' | 'p' => {
                let value = number()?.0;
                if flags.contains('#') { format!("{value:#x}") } else { format!("{value:x}") }
            }
            'X' => format!("{:X}", number()?.0),
            'o' => format!("{:o}", number()?.0),
            'r' => format!("{:x}", number()?.0),
            'c' => char::from(number()?.0 as u8).to_string(),
            'a' | 'A' => mdb.system.name_or_hex(number()?.0),
            'H' => human(number()?.0),
            'Y' => date(number()?.0 as i64),
            's' => {
                let types = mdb.system.types();
                let at = match types.get(mdb.resolved(place.ty)) {
                    Type::Array { .. } => place.address,
                    _ => number()?.0,
                };
                let bytes = mdb.system.read_string(Space::Virtual, at, 4096)?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
            other => return fail(format!("unknown conversion %{other}")),
        };
        let zero = flags.contains('0') && !flags.contains('-');
        out.push_str(&match (flags.contains('-'), zero) {
            (true, _) => format!("{text:<width$}"),
            (_, true) => format!("{text:0>width$}"),
            _ => format!("{text:>width$}"),
        });
    }
    out.push_str(rest);
    Ok(out)
}

pub(super) const SIZEOF: Dcmd =
    Dcmd::new(&["sizeof"], "TYPE [MEMBER]", "print the size of a type", |mdb, call| {
        let (ty, members) = type_of(mdb, &call.args)?;
        let (name, size) = match members.first() {
            None => (mdb.system.types().display(ty), mdb.size_of(ty)?),
            Some(member) => {
                let place = mdb.member_place(Place::new(0, ty), &member.text, &Style::default())?;
                (
                    format!("{}.{}", mdb.system.types().display(ty), member.text),
                    mdb.size_of(place.ty)?,
                )
            }
        };
        if call.pipe_out {
            mdb.pipe(size);
            return Ok(());
        }
        mdb.row(&format!("sizeof ({name}) = {size:#x}"), json!({ "type": name, "size": size }))
    });

pub(super) const OFFSETOF: Dcmd = Dcmd::new(
    &["offsetof"],
    "TYPE MEMBER",
    "print the offset of a given struct or union member",
    |mdb, call| {
        let (ty, members) = type_of(mdb, &call.args)?;
        let Some(member) = members.first() else {
            return Err(Failure::Usage("a member must be given".into()));
        };
        let types = mdb.system.types();
        let Some(found) = types.member(mdb.resolved(ty), &member.text) else {
            return fail(format!("no such member {} in {}", member.text, types.display(ty)));
        };
        let (offset, size) = (found.offset(), mdb.size_of(found.ty)?);
        if call.pipe_out {
            mdb.pipe(offset);
            return Ok(());
        }
        let name = types.display(ty);
        let text = if found.bit_size != 0 || found.bit_offset % 8 != 0 {
            format!(
                "offsetof ({name}, {}) = {:#x}, {:#x} bits",
                member.text, found.bit_offset, found.bit_size
            )
        } else {
            format!(
                "offsetof ({name}, {}) = {offset:#x}, sizeof (...->{0}) = {size:#x}",
                member.text
            )
        };
        let object = json!({ "type": name, "member": member.text, "offset": offset, "size": size });
        mdb.row(&text, object)
    },
);

pub(super) const ENUM: Dcmd =
    Dcmd::new(&["enum"], "? [-ex] ENUM [NAME]", "print an enumeration", |mdb, call| {
        let options = Options::take(&call.args, "ex")?;
        let mut args = options.rest.clone();
        let plain = args.first().filter(|arg| mdb.system.type_named(&arg.text).is_none());
        if plain.is_some() && args.first().is_some_and(|arg| arg.text != "enum") {
            args.insert(0, Arg::text("enum"));
        }
        let (ty, rest) = type_of(mdb, &args)?;
        let types = mdb.system.types();
        let Type::Enum { values, .. } = types.get(mdb.resolved(ty)).clone() else {
            return fail(format!("{} is not an enum", types.display(ty)));
        };
        let mut rows = Vec::new();
        for value in &values {
            let name = types.name(value.name).to_owned();
            let by_name = rest.first().is_none_or(|wanted| wanted.text == name);
            let by_value = call.address.is_none_or(|wanted| wanted as i64 == value.value);
            if by_name && by_value {
                rows.push((name, value.value));
            }
        }
        for (name, value) in rows {
            let number = if options.has('x') { format!("{value:#x}") } else { value.to_string() };
            mdb.row(&format!("{number} = {name}"), json!({ "name": name, "value": value }))?;
        }
        Ok(())
    });

pub(super) const ARRAY: Dcmd =
    Dcmd::new(&["array"], ": TYPE COUNT", "print each array element's address", |mdb, call| {
        let address = call.needs_address()?;
        let (ty, rest) = type_of(mdb, &call.args)?;
        let count = match rest.first() {
            Some(count) => mdb.number(count)?.min(MAX_ELEMENTS),
            None => match mdb.system.types().get(mdb.resolved(ty)) {
                Type::Array { count, .. } => *count,
                _ => return Err(Failure::Usage("a count must be given".into())),
            },
        };
        let size = mdb.size_of(ty)?;
        for index in 0..count {
            mdb.check()?;
            let at = address.wrapping_add(size.wrapping_mul(index));
            emit(mdb, call, at)?;
        }
        Ok(())
    });

fn emit(mdb: &mut Mdb, call: &Call, value: u64) -> Outcome {
    if call.pipe_out {
        mdb.pipe(value);
        return Ok(());
    }
    mdb.row(&format!("{value:x}"), json!({ "address": format!("{value:#x}") }))
}

pub(super) const LIST: Dcmd = Dcmd::new(
    &["list"],
    ": TYPE MEMBER [VARIABLE]",
    "walk list using member as link pointer",
    |mdb, call| {
        let start = call.needs_address()?;
        let (ty, rest) = type_of(mdb, &call.args)?;
        let Some(member) = rest.first() else {
            return Err(Failure::Usage("the member that links must be given".into()));
        };
        let style = Style::default();
        let mut at = start;
        let mut seen = std::collections::HashSet::new();
        while at != 0 && seen.insert(at) && (seen.len() as u64) < MAX_ELEMENTS {
            mdb.check()?;
            emit(mdb, call, at)?;
            let place = mdb.member_place(Place::new(at, ty), &member.text, &style)?;
            at = mdb.pipe_value(place, &style)?;
        }
        if at != 0 && at != start {
            mdb.warn(&format!("the list runs in a circle at {at:x}"));
        }
        mdb.dot_type = Some((start, ty));
        Ok(())
    },
);

pub(super) const TYPEDEF: Dcmd =
    Dcmd::new(&["typedef"], "[-l] [TYPE NAME]", "create a new type", |mdb, call| {
        let options = Options::take(&call.args, "l")?;
        if options.rest.is_empty() {
            let all: Vec<_> = mdb.typedefs.iter().map(|(name, ty)| (name.clone(), *ty)).collect();
            for (name, ty) in all {
                let text = mdb.system.types().declare(ty, &name);
                mdb.row(&format!("typedef {text};"), json!({ "name": name, "type": text }))?;
            }
            return Ok(());
        }
        let (ty, rest) = type_of(mdb, &options.rest)?;
        let [name] = rest else {
            return Err(Failure::Usage("a type and one name must be given".into()));
        };
        if mdb.system.type_named(&name.text).is_some() {
            return fail(format!("{} is a type of the kernel", name.text));
        }
        mdb.typedefs.insert(name.text.clone(), ty);
        Ok(())
    })
    .with_help(
        "Gives a type another name, for dcmds that take one. -l lists the names given so far.",
    );
