//! Columns: a table's layout, declared once beside its row.

use std::fmt::{self, Display, Write};

use unicode_width::UnicodeWidthStr;

/// Which side of its column a cell keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
    /// Addresses under a short heading.
    Centre,
}

/// One column of a table of `R`.
///
/// A cell wider than its column pushes the rest to the right; it is never cut.
pub struct Column<R: ?Sized> {
    /// Heading.
    pub heading: &'static str,
    /// Least width in terminal cells.
    pub width: usize,
    /// Side of heading and cells.
    pub align: Align,
    /// Writes a row's cell.
    pub cell: fn(&R, &mut Cell),
}

impl<R: ?Sized> Column<R> {
    /// A column of text.
    pub const fn left(heading: &'static str, width: usize, cell: fn(&R, &mut Cell)) -> Self {
        Column { heading, width, align: Align::Left, cell }
    }
    /// A column of numbers.
    pub const fn right(heading: &'static str, width: usize, cell: fn(&R, &mut Cell)) -> Self {
        Column { heading, width, align: Align::Right, cell }
    }
    /// A column whose heading stands in the middle, as crash has it over addresses.
    pub const fn centre(heading: &'static str, width: usize, cell: fn(&R, &mut Cell)) -> Self {
        Column { heading, width, align: Align::Centre, cell }
    }
}

/// The text of one cell.
#[derive(Debug, Default)]
pub struct Cell(String);

impl Cell {
    /// Puts `value` into the cell.
    pub fn put(&mut self, value: impl Display) {
        self.fmt(format_args!("{value}"));
    }
    /// Puts formatted text into the cell: `cell.fmt(format_args!("{:x}", n))`.
    pub fn fmt(&mut self, text: fmt::Arguments<'_>) {
        // A `String` takes everything; only a broken `Display` could fail, and then the cell
        // shows what it wrote until then.
        let _ = self.0.write_fmt(text);
    }
}

/// Between two columns.
const GAP: &str = "  ";

/// The line of headings, without its end.
pub fn write_heading<R: ?Sized>(line: &mut String, columns: &[Column<R>]) {
    for (index, column) in columns.iter().enumerate() {
        put(line, column.heading, column.width, column.align, index + 1 == columns.len());
    }
}

/// A row's line.
///
/// # Errors
/// Those of `line`.
pub fn write_row<R: ?Sized>(line: &mut dyn Write, columns: &[Column<R>], row: &R) -> fmt::Result {
    let mut text = String::new();
    for (index, column) in columns.iter().enumerate() {
        let mut cell = Cell::default();
        (column.cell)(row, &mut cell);
        put(&mut text, &cell.0, column.width, column.align, index + 1 == columns.len());
    }
    line.write_str(&text)?;
    line.write_char('\n')
}

/// Widens columns to their widest cell.
pub fn fit<'r, R: 'r>(columns: &mut [Column<R>], rows: impl IntoIterator<Item = &'r R>) {
    for column in columns.iter_mut() {
        column.width = column.width.max(column.heading.width());
    }
    for row in rows {
        for column in columns.iter_mut() {
            let mut cell = Cell::default();
            (column.cell)(row, &mut cell);
            column.width = column.width.max(cell.0.width());
        }
    }
}

/// Puts one cell; the last of a line gets no blanks behind it.
fn put(line: &mut String, text: &str, width: usize, align: Align, last: bool) {
    let room = width.saturating_sub(text.width());
    let before = match align {
        Align::Left => 0,
        Align::Right => room,
        Align::Centre => room / 2,
    };
    line.extend(std::iter::repeat_n(' ', before));
    line.push_str(text);
    if !last {
        line.extend(std::iter::repeat_n(' ', room - before));
        line.push_str(GAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(u64, &'static str);
    const COLUMNS: &[Column<Row>] = &[
        Column::right("PID", 5, |row, cell| cell.put(row.0)),
        Column::centre("TASK", 8, |row, cell| cell.fmt(format_args!("{:08x}", row.0))),
        Column::left("COMM", 6, |row, cell| cell.put(row.1)),
    ];

    #[test]
    fn cells_keep_to_their_side() {
        let mut text = String::new();
        write_heading(&mut text, COLUMNS);
        text.push('\n');
        write_row(&mut text, COLUMNS, &Row(17, "sh")).unwrap();
        assert_eq!(text, "  PID    TASK    COMM\n   17  00000011  sh\n");
    }

    #[test]
    fn wide_cells_are_not_cut() {
        let mut text = String::new();
        write_row(&mut text, COLUMNS, &Row(12345678, "日本")).unwrap();
        assert_eq!(text, "12345678  00bc614e  日本\n");
    }
}
