//! Figures side by side, in Markdown.

use std::fmt;
use std::time::Duration;

use super::program::Kind;

/// A figure and its name.
pub(crate) type Row = (String, String);

/// A figure.
pub(crate) fn row(name: impl Into<String>, value: String) -> Row {
    (name.into(), value)
}

/// A time, in milliseconds when it is short.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

/// An amount of memory.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

/// A column for each program, a row for each figure.
pub(crate) struct Table {
    columns: Vec<Kind>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub(crate) fn new(columns: &[Kind]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, row: String, column: Kind, value: String) {
        let index = self.rows.iter().position(|(name, _)| *name == row).unwrap_or_else(|| {
            self.rows.push((row, vec![String::new(); self.columns.len()]));
            self.rows.len() - 1
        });
        if let Some(at) = self.columns.iter().position(|kind| *kind == column) {
            self.rows[index].1[at] = value;
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        write!(f, "| {:first$} |", "")?;
        for kind in &self.columns {
            write!(f, " {:>12} |", kind.name())?;
        }
        write!(f, "\n|{:-<1$}|", "", first + 2)?;
        for _ in &self.columns {
            write!(f, "{:->13}:|", "")?;
        }
        for (name, values) in &self.rows {
            write!(f, "\n| {name:first$} |")?;
            for value in values {
                write!(f, " {value:>12} |")?;
            }
        }
        writeln!(f)
    }
}
