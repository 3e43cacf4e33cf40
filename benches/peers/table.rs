//! Figures side by side, in Markdown.

use std::fmt;

use super::program::Kind;

/// A column for each program, a row for each figure.
pub(super) struct Table {
    columns: Vec<Kind>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    pub(super) fn new(columns: &[Kind]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn add(&mut self, row: String, column: Kind, value: String) {
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
