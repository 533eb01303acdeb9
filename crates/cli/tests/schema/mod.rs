//! Rows against the JSON schemas that `schema` prints: what is promised is what is written.

use std::collections::HashMap;

use libtest_mimic::Failed;
use necropsy::{
    command::Command,
    commands::schema_of,
    language::run_captured,
    registry,
    render::{Capture, Form},
    session::Session,
};
use serde_json::Value;

/// Runs lines for their rows, and holds each against the schema of its command: as JSON, and by
/// the number of its cells as CSV.
pub(crate) fn hold(session: &mut Session, lines: &[String]) -> Result<(), Failed> {
    let capture = Capture::default();
    let mut schemas = HashMap::new();
    for line in lines {
        let Some(command) = command_of(line) else { continue };
        let schema = schemas
            .entry(command.name())
            .or_insert_with(|| serde_json::to_value(schema_of(command)).unwrap_or_default());
        session.settings.form = Form::Json;
        run_captured(session, line, &capture);
        for row in capture.take().lines().filter(|row| row.starts_with('{')) {
            let value: Value = serde_json::from_str(row).map_err(|e| format!("{line}: {e}"))?;
            fits(&value, schema).map_err(|why| format!("{line}: {why}\nin {row}"))?;
        }
        session.settings.form = Form::Csv;
        if line.split_whitespace().any(|word| word == "--json") {
            continue;
        }
        run_captured(session, line, &capture);
        cells(&capture.take()).map_err(|why| format!("{line} as CSV: {why}"))?;
    }
    Ok(())
}

/// Whose rows a line yields; none where a shell or a type's name decides.
fn command_of(line: &str) -> Option<&'static Command> {
    let mut words = line.split_whitespace();
    let first = registry::COMMANDS.find(words.next()?)?;
    match first.name() {
        "foreach" => words.find_map(|name| registry::COMMANDS.find(name)),
        _ => Some(first),
    }
}

/// Whether a value is as a schema says: of the schema language, what [`schema_of`] uses.
fn fits(value: &Value, schema: &Value) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{value}: {what} of {schema}"));
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        let tried: Vec<_> = options.iter().map(|option| fits(value, option)).collect();
        if !tried.iter().any(Result::is_ok) {
            let why = tried.into_iter().filter_map(Result::err).min_by_key(String::len);
            return Err(why.unwrap_or_default());
        }
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        fits(value, part)?;
    }
    let is = match schema.get("type").and_then(Value::as_str) {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        Some(_) => false,
    };
    if !is {
        return fail("the type is not that");
    }
    if schema.get("minimum").is_some() && value.as_i64().is_some_and(|value| value < 0) {
        return fail("it is below the minimum");
    }
    // The one pattern there is: hexadecimal.
    if schema.get("pattern").is_some() {
        let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
        if u64::from_str_radix(digits.unwrap_or(""), 16).is_err() {
            return fail("the pattern is not that");
        }
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if value.get(name.as_str().unwrap_or_default()).is_none() {
            return Err(format!("{name} is missing"));
        }
    }
    if let Some(items) = schema.get("items") {
        value.as_array().into_iter().flatten().try_for_each(|item| fits(item, items))?;
    }
    let declared = schema.get("properties");
    for (name, value) in value.as_object().into_iter().flatten() {
        match (declared.and_then(|d| d.get(name)), schema.get("additionalProperties")) {
            (Some(schema), _) => fits(value, schema).map_err(|why| format!("{name}: {why}"))?,
            (None, Some(Value::Bool(false))) => return Err(format!("{name} is not declared")),
            (None, Some(schema)) => fits(value, schema)?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// Whether every line of CSV has as many cells as the line that names them. Lines with a line end
/// of their own alone are no rows: what failed.
fn cells(text: &str) -> Result<(), String> {
    let mut columns = None;
    for row in text.split_inclusive("\r\n").filter(|row| row.ends_with("\r\n")) {
        let (mut quoted, mut count) = (false, 1);
        for letter in row.chars() {
            match letter {
                '"' => quoted = !quoted,
                ',' if !quoted => count += 1,
                _ => {}
            }
        }
        if quoted {
            return Err(format!("a quote stays open in {row}"));
        }
        // Another type of rows begins with names of its own, which no value looks like.
        let names = row.trim_end().split(',').all(|name| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || "_.86".contains(c))
        });
        if names {
            columns = Some(count);
        } else if columns != Some(count) {
            return Err(format!("{count} cells, not {columns:?}, in {row}"));
        }
    }
    Ok(())
}
