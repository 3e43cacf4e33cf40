//! Reading a page: its sections, and the tables in them.

use std::collections::BTreeMap;

use crate::sources::read;

/// A page below docs/.
pub(crate) struct Page {
    name: String,
    text: String,
}

impl Page {
    pub(crate) fn read(name: &str) -> Self {
        Self { name: name.to_owned(), text: read(format!("docs/{name}")) }
    }

    /// The text under a heading, down to the next heading that is not below it.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let start = format!("\n{heading}\n");
        let Some(at) = self.text.find(&start) else { panic!("docs/{} needs a section {heading:?}", self.name) };
        let body = &self.text[at + start.len()..];
        let level = heading.chars().take_while(|&c| c == '#').count();
        let ends = (1..=level).filter_map(|level| body.find(&format!("\n{} ", "#".repeat(level))));
        &body[..ends.min().unwrap_or(body.len())]
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The rows of all tables, by what stands in backticks in the first cell; the other cells as they are.
pub(crate) fn rows(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<String> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        for name in cells[0].split('`').skip(1).step_by(2) {
            rows.insert(name.to_owned(), cells[1..].to_vec());
        }
    }
    rows
}
