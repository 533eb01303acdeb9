//! Kinds of events as the kernel describes them (`/sys/kernel/tracing/events/*/*/format`).

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    fmt::Write,
    rc::Rc,
};

use super::print_fmt::PrintFmt;
use crate::{
    Kernel,
    error::{Error, Result, Thing},
    list::{list, list_backwards},
};

/// A field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFormat {
    /// Its name.
    pub name: String,
    /// Its C type, as the kernel spells it: `char[16]`, `__data_loc char[]`.
    pub kind: String,
    /// Bytes from the start of the event.
    pub offset: usize,
    /// Bytes of it; of a `__data_loc`, of the word that tells where the data lie.
    pub size: usize,
    /// Whether its numbers are signed.
    pub signed: bool,
    /// Elements of an array whose type does not tell it.
    pub count: usize,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// A number.
    Number(i128),
    /// Text.
    Text(String),
    /// An array of numbers.
    Numbers(Vec<i128>),
}

/// How fields with data of no fixed length say where they lie.
const DYNAMIC: &str = "__data_loc";
/// The same, counted from behind the field.
const RELATIVE: &str = "__rel_loc";

impl FieldFormat {
    /// What the array is made of: `char` of `char[16]`; `None` for no array.
    pub fn element(&self) -> Option<&str> {
        let kind = self.kind.trim_start_matches(DYNAMIC).trim_start_matches(RELATIVE).trim();
        kind.split_once('[').map(|(element, _)| element.trim())
    }

    /// Whether its data have no fixed place.
    pub fn is_dynamic(&self) -> bool {
        self.kind.starts_with(DYNAMIC) || self.kind.starts_with(RELATIVE)
    }

    /// Its bytes in an event; of a dynamic one, those that it leads to.
    pub fn bytes<'a>(&self, event: &'a [u8]) -> Option<&'a [u8]> {
        let own = match self.size {
            // An array that lasts to the end of the event.
            0 => event.get(self.offset..)?,
            size => event.get(self.offset..self.offset.checked_add(size)?)?,
        };
        if !self.is_dynamic() {
            return Some(own);
        }
        let word = u32::from_le_bytes(own.get(..4)?.try_into().ok()?);
        let (mut offset, length) = ((word & 0xffff) as usize, (word >> 16) as usize);
        if self.kind.starts_with(RELATIVE) {
            offset += self.offset + self.size;
        }
        event.get(offset..offset.checked_add(length)?)
    }

    /// Bytes of an element of its array, or of itself.
    pub fn width(&self) -> usize {
        match self.element() {
            None => self.size,
            Some("char" | "unsigned char" | "u8" | "s8" | "__u8" | "uint8_t" | "bool") => 1,
            Some("short" | "unsigned short" | "u16" | "s16" | "__u16" | "__be16" | "__le16") => 2,
            Some("int" | "unsigned int" | "u32" | "s32" | "__u32" | "__be32" | "__le32") => 4,
            Some(_) => 8,
        }
    }

    /// Its value in an event; `None` where the event is too short for it.
    pub fn value(&self, event: &[u8]) -> Option<FieldValue> {
        let bytes = self.bytes(event)?;
        if self.element().is_some_and(|element| element == "char") {
            return Some(FieldValue::Text(text(bytes)));
        }
        let width = self.width();
        if self.element().is_none() {
            return Some(FieldValue::Number(number(bytes, self.signed)?));
        }
        let numbers = bytes.chunks_exact(width).map_while(|bytes| number(bytes, self.signed));
        Some(FieldValue::Numbers(numbers.collect()))
    }
}

/// Text up to its NUL.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A number of 1, 2, 4 or 8 bytes.
pub(super) fn number(bytes: &[u8], signed: bool) -> Option<i128> {
    let size = bytes.len();
    if !matches!(size, 1 | 2 | 4 | 8) {
        return None;
    }
    let mut word = [0; 8];
    word[..size].copy_from_slice(bytes);
    let value = u64::from_le_bytes(word);
    let shift = 64 - 8 * size as u32;
    Some(if signed { i128::from(((value << shift) as i64) >> shift) } else { value.into() })
}

/// A kind of event.
#[derive(Debug)]
pub struct Format {
    /// Its group: `sched`; `ftrace` for what tracers write.
    pub system: String,
    /// Its name: `sched_switch`.
    pub name: String,
    /// Its number.
    pub id: u16,
    /// The fields that all events have.
    pub common: Rc<Vec<FieldFormat>>,
    /// Its own fields, in their order.
    pub fields: Vec<FieldFormat>,
    /// How it is printed, as the kernel has it.
    pub print_fmt: String,
    pub(super) parsed: OnceCell<Option<PrintFmt>>,
}

impl Format {
    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&FieldFormat> {
        self.fields.iter().chain(self.common.iter()).find(|field| field.name == name)
    }

    /// How it is printed, understood; `None` where it is not.
    pub(super) fn printer(&self) -> Option<&PrintFmt> {
        self.parsed.get_or_init(|| PrintFmt::parse(&self.print_fmt)).as_ref()
    }

    /// The description as tracefs has it, for those who read trace files.
    pub fn to_text(&self) -> String {
        let mut out = format!("name: {}\nID: {}\nformat:\n", self.name, self.id);
        for field in self.common.iter() {
            write_field(&mut out, field);
        }
        out.push('\n');
        for field in &self.fields {
            write_field(&mut out, field);
        }
        let _ = writeln!(out, "\nprint fmt: {}", self.print_fmt);
        out
    }
}

/// `field:char comm[16]; offset:8; size:16; signed:0;`
fn write_field(out: &mut String, field: &FieldFormat) {
    let declared = match field.kind.split_once('[') {
        Some((element, length)) if !field.is_dynamic() => {
            format!("{} {}[{length}", element.trim_end(), field.name)
        }
        None if field.count > 0 => format!("{} {}[{}]", field.kind, field.name, field.count),
        _ => format!("{} {}", field.kind, field.name),
    };
    let (offset, size, signed) = (field.offset, field.size, u8::from(field.signed));
    let _ = writeln!(out, "\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed};");
}

/// Longest texts that are read, in bytes: of a name, and of a `print_fmt`.
const MAX_NAME: usize = 256;
const MAX_PRINT_FMT: usize = 64 << 10;
/// TRACE_EVENT_FL_TRACEPOINT where the types do not tell it (include/linux/trace_events.h).
const BY_TRACEPOINT: u64 = 1 << 4;

/// The kinds of events that a kernel knows, read when they are asked for.
#[derive(Debug)]
pub struct Formats<'k> {
    kernel: &'k Kernel,
    /// `struct trace_event_call` by number.
    calls: HashMap<u16, u64>,
    common: Rc<Vec<FieldFormat>>,
    known: RefCell<HashMap<u16, Option<Rc<Format>>>>,
    /// What of the list of kinds could not be read.
    pub errors: Vec<Error>,
}

impl<'k> Formats<'k> {
    /// The kinds of a kernel.
    ///
    /// # Errors
    /// It has no list of them; its traces are of a form that is not read here.
    pub fn of(kernel: &'k Kernel) -> Result<Formats<'k>> {
        let (target, shapes) = (kernel.target(), kernel.shapes());
        if target.big_endian() || target.pointer_size() != 8 {
            let order = if target.big_endian() { "big-endian" } else { "little-endian" };
            let bits = target.pointer_size() * 8;
            let name = format!("to read traces of {order} machines of {bits} bits");
            return Err(Error::NoSuch { thing: Thing::Way, name });
        }
        let link = shapes.trace_event_call.list.offset()?;
        let (mut calls, mut errors) = (HashMap::new(), Vec::new());
        for entry in list(target, shapes.trace_variables.events.address()?) {
            let call = entry.map(|at| at.wrapping_sub(link));
            let id =
                call.and_then(|call| Ok((shapes.trace_event_call.at(target, call).id()?, call)));
            match id {
                Ok((id, call)) => {
                    calls.insert(id as u16, call);
                }
                Err(error) => errors.push(error),
            }
        }
        let common = shapes.trace_variables.common_fields.address();
        let common = common.and_then(|head| fields(kernel, head)).unwrap_or_else(|_| usual());
        let known = RefCell::default();
        Ok(Formats { kernel, calls, common: Rc::new(common), known, errors })
    }

    /// The kernel.
    pub fn kernel(&self) -> &'k Kernel {
        self.kernel
    }

    /// The kind with a number; `None` if there is none, or it cannot be read.
    pub fn of_id(&self, id: u16) -> Result<Rc<Format>> {
        let call = self.calls.get(&id).copied();
        let call = call.ok_or_else(|| Error::absent(format!("event of kind {id}")))?;
        self.read(id, call).map(Rc::new)
    }

    /// As [`Formats::of_id`], kept; `None` where it fails.
    pub fn known(&self, id: u16) -> Option<Rc<Format>> {
        let known = self.known.borrow().get(&id).cloned();
        known.unwrap_or_else(|| {
            let format = self.of_id(id).ok();
            self.known.borrow_mut().insert(id, format.clone());
            format
        })
    }

    /// Every kind's number, ascending.
    pub fn ids(&self) -> Vec<u16> {
        let mut ids: Vec<u16> = self.calls.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn read(&self, id: u16, address: u64) -> Result<Format> {
        let (kernel, target, shapes) = (self.kernel, self.kernel.target(), self.kernel.shapes());
        let call = shapes.trace_event_call.at(target, address);
        let class = shapes.trace_event_class.at(target, call.class()?);
        let by_tracepoint = shapes.trace_flags.by_tracepoint.index().unwrap_or(BY_TRACEPOINT);
        let mut name = call.name()?;
        if call.flags()? & by_tracepoint != 0 {
            name = shapes.tracepoint.name.read(target, name)?;
        }
        // Kinds whose fields differ though their class is one have a function for them.
        let getter = class.get_fields().unwrap_or(0);
        let head = match target.locate(getter).map(|found| found.symbol.name) {
            Some("syscall_get_enter_fields") => {
                shapes.syscall_metadata.enter_fields.address(call.data()?)?
            }
            _ => class.address_of(|class| &class.fields)?,
        };
        Ok(Format {
            system: target.read_cstr(class.system()?, MAX_NAME)?,
            name: target.read_cstr(name, MAX_NAME)?,
            id,
            common: self.common.clone(),
            fields: fields(kernel, head)?,
            print_fmt: target.read_cstr(call.print_fmt()?, MAX_PRINT_FMT)?,
            parsed: OnceCell::new(),
        })
    }
}

/// The fields of a list, to which the kernel adds at the front.
fn fields(kernel: &Kernel, head: u64) -> Result<Vec<FieldFormat>> {
    let (target, shapes) = (kernel.target(), kernel.shapes());
    let link = shapes.event_field.link.offset()?;
    let field = |at: u64| -> Result<FieldFormat> {
        let field = shapes.event_field.at(target, at.wrapping_sub(link));
        Ok(FieldFormat {
            name: target.read_cstr(field.name()?, MAX_NAME)?,
            kind: target.read_cstr(field.kind()?, MAX_NAME)?,
            offset: field.offset()? as usize,
            size: field.size()? as usize,
            signed: field.is_signed()? != 0,
            count: field.count().unwrap_or(0) as usize,
        })
    };
    list_backwards(target, head).map(|entry| entry.and_then(field)).collect()
}

/// `struct trace_entry` (include/linux/trace_events.h).
fn usual() -> Vec<FieldFormat> {
    let field = |name: &str, kind: &str, offset, size, signed| FieldFormat {
        name: name.to_owned(),
        kind: kind.to_owned(),
        offset,
        size,
        signed,
        count: 0,
    };
    vec![
        field("common_type", "unsigned short", 0, 2, false),
        field("common_flags", "unsigned char", 2, 1, false),
        field("common_preempt_count", "unsigned char", 3, 1, false),
        field("common_pid", "int", 4, 4, true),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: &str, offset: usize, size: usize) -> FieldFormat {
        let (name, kind) = ("x".to_owned(), kind.to_owned());
        FieldFormat { name, kind, offset, size, signed: true, count: 0 }
    }

    #[test]
    fn values_are_read_by_type() {
        let event = [1, 0, 0xff, 0xff, b'a', b'b', 0, 0, 6 + 6, 0, 2, 0, b'h', b'i'];
        assert_eq!(field("short", 2, 2).value(&event), Some(FieldValue::Number(-1)));
        assert_eq!(field("char[4]", 4, 4).value(&event), Some(FieldValue::Text("ab".into())));
        assert_eq!(
            field("__data_loc char[]", 8, 4).value(&event),
            Some(FieldValue::Text("hi".into()))
        );
        assert_eq!(field("u16[2]", 0, 4).value(&event), Some(FieldValue::Numbers(vec![1, -1])));
        assert_eq!(field("long", 8, 8).value(&event), None, "beyond the end");
    }

    #[test]
    fn fields_are_written_as_tracefs_does() {
        let mut out = String::new();
        write_field(&mut out, &field("char[16]", 8, 16));
        write_field(&mut out, &field("__data_loc char[]", 8, 4));
        assert_eq!(
            out,
            "\tfield:char x[16];\toffset:8;\tsize:16;\tsigned:1;\n\
             \tfield:__data_loc char[] x;\toffset:8;\tsize:4;\tsigned:1;\n"
        );
    }
}
