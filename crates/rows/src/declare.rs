//! The macro that declares rows.

/// Declares row types: structs that [`Row`](crate::Row) is implemented for.
///
/// Behind a field's type may stand, in brackets and in this order,
/// - how it stands in the row: `maybe` (left out where there is nothing to say), `flat` (a row
///   whose fields stand in this one) or `own` (the program's own: no output has it);
/// - `key "name"`: its name in JSON, where it cannot be the field's;
/// - a unit: `ns`, `seconds`, `jiffies`, `bytes`, `KiB`, `pages`, `percent`, `Hz`, `MHz`.
///
/// and behind that `=> "HEADING" left 8` (or `right`, `centre`): a column of the row's table.
///
/// See the crate's documentation for an example.
#[macro_export]
macro_rules! row {
    ($(
        $(#[doc = $about:literal])*
        $(#[derive($($derive:path),* $(,)?)])?
        $vis:vis struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[doc = $doc:literal])*
                $field_vis:vis $field:ident: $ty:ty
                    $([$($word:tt)*])?
                    $(=> $heading:literal $align:ident $width:literal)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[doc = $about])*
        $(#[derive($($derive),*)])?
        $vis struct $name $(<$life>)? {
            $(
                $(#[doc = $doc])*
                $field_vis $field: $ty,
            )*
        }

        impl $(<$life>)? $name $(<$life>)? {
            /// The declaration, as [`Row::TYPE`]($crate::Row::TYPE).
            #[allow(dead_code, reason = "an inner row's is asked for by the outer one")]
            $vis const TYPE: &'static $crate::RowType = <Self as $crate::Row>::TYPE;
        }

        impl $(<$life>)? $crate::Row for $name $(<$life>)? {
            const TYPE: &'static $crate::RowType = &$crate::RowType {
                name: stringify!($name),
                doc: concat!($($about, "\n",)* ""),
                declared: &[$($crate::Field {
                    name: $crate::__row_key!($field $($($word)*)?),
                    kind: $crate::__row_kind!($ty; $($($word)*)?),
                    unit: $crate::__row_unit!($($($word)*)?),
                    shape: $crate::__row_shape!($($($word)*)?),
                    doc: concat!($($doc, "\n",)* ""),
                },)*],
            };

            fn put<M: $crate::serde::ser::SerializeMap>(
                &self,
                map: &mut M,
            ) -> Result<(), M::Error> {
                $($crate::__row_put!(self, map, $field; $($($word)*)?);)*
                Ok(())
            }

            #[allow(unused_variables, reason = "rows need not have faults")]
            fn each_fault(&self, tell: &mut dyn FnMut(&$crate::FaultRow)) {
                $($crate::__row_faults!(self, tell, $field; $($($word)*)?);)*
            }

            fn columns() -> Vec<$crate::Column<Self>> {
                #[allow(unused_mut, reason = "rows need not have columns")]
                let mut columns = Vec::new();
                $($(columns.push($crate::Column::$align($heading, $width, |row: &Self, cell| {
                    $crate::Shown::show(&row.$field, cell);
                }));)?)*
                columns
            }
        }

        impl $(<$life>)? $crate::Value for $name $(<$life>)? {
            const KIND: $crate::Kind = $crate::Kind::Row($crate::__type_of::<Self>);
        }

        impl $(<$life>)? $crate::serde::Serialize for $name $(<$life>)? {
            fn serialize<S: $crate::serde::Serializer>(
                &self,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                $crate::__serialize(self, serializer)
            }
        }
    )+};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __row_key {
    ($field:ident key $key:literal $($rest:tt)*) => { $key };
    ($field:ident $word:ident $(, $($rest:tt)*)?) => { $crate::__row_key!($field $($($rest)*)?) };
    ($field:ident) => { stringify!($field) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __row_kind {
    ($ty:ty; own) => {
        $crate::Kind::Any
    };
    ($ty:ty; $($word:tt)*) => {
        <$ty as $crate::Value>::KIND
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __row_shape {
    (maybe $($rest:tt)*) => {
        $crate::Shape::Maybe
    };
    (flat) => {
        $crate::Shape::Flat
    };
    (own) => {
        $crate::Shape::Own
    };
    ($($rest:tt)*) => {
        $crate::Shape::Always
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __row_unit {
    () => { None };
    (maybe $(, $($rest:tt)*)?) => { $crate::__row_unit!($($($rest)*)?) };
    (flat) => { None };
    (own) => { None };
    (key $key:literal $(, $($rest:tt)*)?) => { $crate::__row_unit!($($($rest)*)?) };
    (ns) => { Some("ns") };
    (seconds) => { Some("seconds") };
    (jiffies) => { Some("jiffies") };
    (bytes) => { Some("bytes") };
    (KiB) => { Some("KiB") };
    (pages) => { Some("pages") };
    (percent) => { Some("percent") };
    (Hz) => { Some("Hz") };
    (MHz) => { Some("MHz") };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __row_faults {
    ($row:ident, $tell:ident, $field:ident; own) => {};
    ($row:ident, $tell:ident, $field:ident; flat) => {
        $crate::Row::each_fault(&$row.$field, $tell)
    };
    ($row:ident, $tell:ident, $field:ident; $($rest:tt)*) => {
        $crate::Value::faults(&$row.$field).iter().for_each(&mut *$tell)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __row_put {
    ($row:ident, $map:ident, $field:ident; own) => {};
    ($row:ident, $map:ident, $field:ident; flat) => {
        $crate::Row::put(&$row.$field, $map)?
    };
    ($row:ident, $map:ident, $field:ident; maybe $($rest:tt)*) => {
        if !$crate::Value::is_nothing(&$row.$field) {
            $map.serialize_entry($crate::__row_key!($field maybe $($rest)*), &$row.$field)?;
        }
    };
    ($row:ident, $map:ident, $field:ident; $($rest:tt)*) => {
        $map.serialize_entry($crate::__row_key!($field $($rest)*), &$row.$field)?
    };
}

/// Describes rows that another crate serialises: makes a `static` [`RowType`](crate::RowType) of
/// each. A test has to hold the description against what is written.
#[macro_export]
macro_rules! described {
    ($(
        $(#[doc = $about:literal])*
        $vis:vis static $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $key:literal: $kind:expr
                    $(=> $word:ident)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[doc = $about])*
        $vis static $name: $crate::RowType = $crate::RowType {
            name: stringify!($name),
            doc: concat!($($about, "\n",)* ""),
            declared: &[$($crate::Field {
                name: $key,
                kind: $kind,
                unit: $crate::__row_unit!($($word)?),
                shape: $crate::__row_shape!($($word)?),
                doc: concat!($($doc, "\n",)* ""),
            },)*],
        };
    )+};
}
