#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod csv;
mod declare;
mod document;
mod faults;
mod kind;
mod schema;
mod table;
mod value;
mod values;

pub use csv::Csv;
pub use document::document;
pub use faults::{FaultRow, Faults, Tally, Unread};
pub use kind::{Field, Kind, RowType, Shape};
pub use schema::Schema;
pub use table::{Align, Cell, Column, fit, write_heading, write_row};
pub use value::{Any, NONE, Perhaps, Shown, Value, put_fields};
pub use values::{Hex, Size, or_fault};

/// For the expansion of [`row!`].
#[doc(hidden)]
pub use serde;
#[doc(hidden)]
pub use value::{serialize as __serialize, type_of as __type_of};

use serde::ser::SerializeMap;

/// What [`row!`] makes of a declaration.
pub trait Row: serde::Serialize {
    /// The declaration.
    const TYPE: &'static RowType;

    /// Puts the fields into a map, in the order of their declaration.
    ///
    /// # Errors
    /// The map's.
    fn put<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;

    /// Everything that could not be read of it.
    fn each_fault(&self, tell: &mut dyn FnMut(&FaultRow)) {
        let _ = tell;
    }

    /// The columns of the row's table: the fields that have a heading.
    fn columns() -> Vec<Column<Self>>
    where
        Self: Sized,
    {
        Vec::new()
    }
}
