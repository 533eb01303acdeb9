//! The declaration of a row, as data.

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// A whole number from 0 on.
    Count,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Decimal,
    /// Text.
    Text,
    /// A number that people read in hexadecimal: in JSON the string `"0x…"`.
    Hex,
    /// The kind, or nothing: `null`.
    Null(&'static Kind),
    /// Several of the kind.
    List(&'static Kind),
    /// Values of the kind by names that depend on the data: registers.
    Map(&'static Kind),
    /// A row within the row. A function, so that rows may nest themselves.
    Row(fn() -> &'static RowType),
    /// What could not be read: a list of faults.
    Faults,
    /// Whatever the data's own types say: a C structure's value.
    Any,
}

impl Kind {
    /// The row type that the kind holds, alone or in a list or perhaps not at all.
    pub fn row(self) -> Option<&'static RowType> {
        match self {
            Kind::Null(inner) | Kind::List(inner) => inner.row(),
            Kind::Row(row) => Some(row()),
            _ => None,
        }
    }

    /// Whether it is a list of rows.
    pub fn is_rows(self) -> bool {
        match self {
            Kind::Null(inner) => inner.is_rows(),
            Kind::List(inner) => inner.row().is_some(),
            _ => false,
        }
    }
}

/// How a field stands in its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Always there.
    Always,
    /// Left out where there is nothing to say.
    Maybe,
    /// The fields of the inner row stand in this one.
    Flat,
    /// The program's own: no output has it.
    Own,
}

/// A field of a row.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name in JSON and CSV.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The unit of a number: `ns`, `bytes`, `jiffies`, …
    pub unit: Option<&'static str>,
    /// How it stands in its row.
    pub shape: Shape,
    /// What it means, in words.
    pub doc: &'static str,
}

/// The declaration of a row.
#[derive(Debug)]
pub struct RowType {
    /// Its name in the program.
    pub name: &'static str,
    /// What it is, in words.
    pub doc: &'static str,
    /// The fields, in the order of JSON and CSV; [`RowType::fields`] has them as readers see them.
    pub declared: &'static [Field],
}

impl RowType {
    /// The fields as readers see them: those of flat rows in their place, the program's own left
    /// out. The second value says whether a field is always there.
    pub fn fields(&self) -> Vec<(Field, bool)> {
        let mut fields = Vec::new();
        for field in self.declared {
            match field.shape {
                Shape::Own => {}
                Shape::Always | Shape::Maybe => fields.push((*field, field.shape == Shape::Always)),
                Shape::Flat => {
                    let always = !matches!(field.kind, Kind::Null(_));
                    let inner = field.kind.row().map(RowType::fields).unwrap_or_default();
                    fields.extend(inner.into_iter().map(|(field, there)| (field, there && always)));
                }
            }
        }
        fields
    }
}
