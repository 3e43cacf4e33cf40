//! Lists on standard output, as JSON or as a table.

use std::io::{BufWriter, Write, stdout};

use serde::Serialize;

use super::exit::Failure;

/// A list with an element a line.
pub(super) fn json(elements: impl Iterator<Item = impl Serialize>) -> Result<(), Failure> {
    let mut out = BufWriter::new(stdout().lock());
    let write = || {
        out.write_all(b"[")?;
        for (index, element) in elements.enumerate() {
            out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut out, &element)?;
        }
        out.write_all(b"\n]\n")?;
        out.flush()
    };
    write().map_err(Failure::of_output)
}

/// Columns as wide as they have to be, the last one excepted.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(head[column].chars().count())
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = BufWriter::new(stdout().lock());
    let mut line = |cells: [&str; N]| {
        for (cell, width) in cells[..N - 1].iter().zip(widths) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{}", cells[N - 1])
    };
    let mut write = || {
        line(head)?;
        rows.iter().try_for_each(|row| line(row.each_ref().map(String::as_str)))
    };
    let written = write();
    written.and_then(|()| out.flush()).map_err(Failure::of_output)
}
