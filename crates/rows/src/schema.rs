//! JSON schemas (draft 2020-12) of rows.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use crate::{Kind, RowType};

/// How deep rows nest; a type that nests itself ends there.
const MAX_DEPTH: usize = 6;

/// The schema of the rows that a command yields: each of them is of one of the types. Serialise
/// it to have it.
#[derive(Debug)]
pub struct Schema<'a> {
    /// What the rows are of: the command's name.
    pub title: &'a str,
    /// The types.
    pub rows: &'a [&'a RowType],
}

impl Serialize for Schema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("$schema", "https://json-schema.org/draft/2020-12/schema")?;
        map.serialize_entry("title", self.title)?;
        match self.rows {
            [row] => Object(row, 0).put(&mut map)?,
            rows => {
                let rows: Vec<_> = rows.iter().map(|row| Object(row, 0)).collect();
                map.serialize_entry("anyOf", &rows)?;
            }
        }
        map.end()
    }
}

struct Object<'a>(&'a RowType, usize);

impl Object<'_> {
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let fields = self.0.fields();
        map.serialize_entry("description", &crate::document::one_line(self.0.doc))?;
        map.serialize_entry("type", "object")?;
        map.serialize_entry("properties", &Properties(self.0, self.1))?;
        let required: Vec<_> =
            fields.iter().filter(|(_, always)| *always).map(|(field, _)| field.name).collect();
        map.serialize_entry("required", &required)?;
        map.serialize_entry("additionalProperties", &false)
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.put(&mut map)?;
        map.end()
    }
}

struct Properties<'a>(&'a RowType, usize);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (field, _) in self.0.fields() {
            let doc = crate::document::one_line(field.doc);
            let of = Of { kind: field.kind, doc: &doc, unit: field.unit, depth: self.1 + 1 };
            map.serialize_entry(field.name, &of)?;
        }
        map.end()
    }
}

/// The schema of a value.
struct Of<'a> {
    kind: Kind,
    doc: &'a str,
    unit: Option<&'a str>,
    depth: usize,
}

impl Serialize for Of<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.doc.is_empty() {
            map.serialize_entry("description", self.doc)?;
        }
        if let Some(unit) = self.unit {
            map.serialize_entry("unit", unit)?;
        }
        let inner =
            |kind: &'static Kind| Of { kind: *kind, doc: "", unit: None, depth: self.depth };
        match self.kind {
            Kind::Flag => map.serialize_entry("type", "boolean")?,
            Kind::Count => {
                map.serialize_entry("type", "integer")?;
                map.serialize_entry("minimum", &0)?;
            }
            Kind::Integer => map.serialize_entry("type", "integer")?,
            Kind::Decimal => map.serialize_entry("type", "number")?,
            Kind::Text => map.serialize_entry("type", "string")?,
            Kind::Hex => {
                map.serialize_entry("type", "string")?;
                map.serialize_entry("pattern", "^0x[0-9a-f]+$")?;
            }
            Kind::Null(kind) => {
                let null = json!({"type": "null"});
                map.serialize_entry("anyOf", &(inner(kind), null))?;
            }
            Kind::List(kind) => {
                map.serialize_entry("type", "array")?;
                map.serialize_entry("items", &inner(kind))?;
            }
            Kind::Map(kind) => {
                map.serialize_entry("type", "object")?;
                map.serialize_entry("additionalProperties", &inner(kind))?;
            }
            Kind::Row(_) if self.depth > MAX_DEPTH => map.serialize_entry("type", "object")?,
            // The field's own words say more than its type's.
            Kind::Row(row) if self.doc.is_empty() => Object(row(), self.depth).put(&mut map)?,
            Kind::Row(row) => map.serialize_entry("allOf", &[Object(row(), self.depth)])?,
            Kind::Faults => {
                map.serialize_entry("type", "array")?;
                map.serialize_entry(
                    "items",
                    &Object(<crate::FaultRow as crate::Row>::TYPE, self.depth),
                )?;
            }
            Kind::Any => {}
        }
        map.end()
    }
}
