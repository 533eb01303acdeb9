//! Types that a field may have.

use std::fmt::Display;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Cell, FaultRow, Faults, Hex, Kind, Row, RowType, Size};

/// A type that a row's field may have.
pub trait Value: Serialize {
    /// What it is to readers.
    const KIND: Kind;

    /// Whether there is nothing to say: fields declared `[maybe]` are left out then.
    fn is_nothing(&self) -> bool {
        false
    }

    /// What could not be read, where that is what the value is.
    fn faults(&self) -> &[FaultRow] {
        &[]
    }
}

/// A value as a table's cell.
pub trait Shown {
    /// Writes the cell.
    fn show(&self, cell: &mut Cell);
}

macro_rules! plain {
    ($($kind:ident: $($ty:ty),+;)+) => {$($(
        impl Value for $ty {
            const KIND: Kind = Kind::$kind;
        }
        impl Shown for $ty {
            fn show(&self, cell: &mut Cell) {
                cell.put(self);
            }
        }
    )+)+};
}

plain! {
    Count: u8, u16, u32, u64, usize, Size;
    Integer: i8, i16, i32, i64, isize;
    Decimal: f32, f64;
    Text: String, str, char;
}

impl Value for bool {
    const KIND: Kind = Kind::Flag;

    fn is_nothing(&self) -> bool {
        !self
    }
}

impl Value for Hex {
    const KIND: Kind = Kind::Hex;
}

impl Shown for Hex {
    fn show(&self, cell: &mut Cell) {
        cell.fmt(format_args!("{:016x}", self.0));
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = Kind::Null(&T::KIND);

    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shown> Shown for Option<T> {
    fn show(&self, cell: &mut Cell) {
        match self {
            Some(value) => value.show(cell),
            None => cell.put("?"),
        }
    }
}

/// A value that there may rightly not be: tables then have a word of their own in its place, and `?`
/// for what is not known. JSON has `null` for either, and the faults of a row tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Perhaps<T> {
    /// There is one.
    Is(T),
    /// There is none, and what tables say then.
    Not(&'static str),
    /// It could not be told.
    Unknown,
}

/// What tables say where there is nothing.
pub const NONE: &str = "-";

impl<T> Perhaps<T> {
    /// The value, or that there is none.
    pub fn or_none(value: Option<T>) -> Perhaps<T> {
        value.map_or(Perhaps::Not(NONE), Perhaps::Is)
    }

    /// The value, or that it is not known.
    pub fn or_unknown(value: Option<T>) -> Perhaps<T> {
        value.map_or(Perhaps::Unknown, Perhaps::Is)
    }

    /// The value, where there is one and it is known.
    pub fn known(self) -> Option<T> {
        match self {
            Perhaps::Is(value) => Some(value),
            _ => None,
        }
    }
}

impl<T: Serialize> Serialize for Perhaps<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Perhaps::Is(value) => value.serialize(serializer),
            _ => serializer.serialize_none(),
        }
    }
}

impl<T: Value> Value for Perhaps<T> {
    const KIND: Kind = Kind::Null(&T::KIND);

    fn is_nothing(&self) -> bool {
        !matches!(self, Perhaps::Is(_))
    }
}

impl<T: Shown> Shown for Perhaps<T> {
    fn show(&self, cell: &mut Cell) {
        match self {
            Perhaps::Is(value) => value.show(cell),
            Perhaps::Not(word) => cell.put(word),
            Perhaps::Unknown => cell.put("?"),
        }
    }
}

impl<T: Value + ?Sized> Value for &T {
    const KIND: Kind = T::KIND;

    fn is_nothing(&self) -> bool {
        (**self).is_nothing()
    }
}

impl<T: Shown + ?Sized> Shown for &T {
    fn show(&self, cell: &mut Cell) {
        (**self).show(cell);
    }
}

impl<T: Value> Value for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Value> Value for [T] {
    const KIND: Kind = Kind::List(&T::KIND);

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Value, const N: usize> Value for [T; N]
where
    [T; N]: Serialize,
{
    const KIND: Kind = Kind::List(&T::KIND);
}

impl Value for Faults {
    const KIND: Kind = Kind::Faults;

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }

    fn faults(&self) -> &[FaultRow] {
        self.iter().as_slice()
    }
}

/// A value whose form the data's own types decide.
pub type Any = serde_json::Value;

impl Value for Any {
    const KIND: Kind = Kind::Any;

    fn is_nothing(&self) -> bool {
        self.is_null()
    }
}

/// A row within a row may be missing, and may be lent.
impl<R: Row> Row for Option<R> {
    const TYPE: &'static RowType = R::TYPE;

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |row| row.put(map))
    }
}

impl<R: Row> Row for &R {
    const TYPE: &'static RowType = R::TYPE;

    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        (**self).put(map)
    }
}

/// Puts the fields of a row that is serialised otherwise into a map: for [`Row::put`] of a row that
/// is only [`described!`](crate::described).
///
/// # Errors
/// The map's; and what serialises to something else than an object has no fields.
pub fn put_fields<T: Serialize, M: SerializeMap>(row: &T, map: &mut M) -> Result<(), M::Error> {
    match serde_json::to_value(row) {
        Ok(Any::Object(fields)) => {
            fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
        }
        _ => Err(serde::ser::Error::custom("a row has to be an object")),
    }
}

/// For the expansion of [`crate::row!`].
#[doc(hidden)]
pub fn serialize<R: Row, S: Serializer>(row: &R, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    row.put(&mut map)?;
    map.end()
}

/// For the expansion of [`crate::row!`].
#[doc(hidden)]
pub fn type_of<R: Row>() -> &'static RowType {
    R::TYPE
}

/// Text of which `Display` knows the form, as a cell.
impl Cell {
    /// Puts a value, or a question mark in its place.
    pub fn or_unknown(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.put(value),
            None => self.put("?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Row, row, write_row};

    row! {
        struct Limited {
            /// The most.
            max: Perhaps<u64> => "MAX" right 5,
            /// How many there are.
            count: Perhaps<u64> => "COUNT" right 5,
        }
    }

    #[test]
    fn none_and_unknown_look_different() {
        let shown = |max, count| {
            let row = Limited { max, count };
            let mut line = String::new();
            write_row(&mut line, &Limited::columns(), &row).unwrap();
            (line, serde_json::to_string(&row).unwrap())
        };
        let (line, json) = shown(Perhaps::Not("max"), Perhaps::Unknown);
        assert_eq!(
            (line.as_str(), json.as_str()),
            ("  max      ?\n", r#"{"max":null,"count":null}"#)
        );
        let (line, json) = shown(Perhaps::Is(7), Perhaps::or_none(None));
        assert_eq!((line.as_str(), json.as_str()), ("    7      -\n", r#"{"max":7,"count":null}"#));
    }
}
