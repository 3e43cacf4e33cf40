//! Reads sections of a YAML document and notes everything that is wrong, each with the path of its key.

use rosterd_model::{Problem, nearest};
use rosterd_yaml::{Id, Tree};
use serde::de::DeserializeOwned;

/// The code of a key that nobody knows.
const UNKNOWN_KEY: &str = "cfg_unknown_key";
/// The code of a value that cannot be.
const INVALID_VALUE: &str = "cfg_invalid_value";

/// A value of the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    tree: &'a Tree,
    id: Id,
}

impl<'a> Value<'a> {
    pub(super) fn new(tree: &'a Tree, id: Id) -> Self {
        Self { tree, id }
    }

    fn is_null(self) -> bool {
        self.tree.is_null(self.id)
    }

    /// The text of a scalar. Numbers and booleans are taken where a string is wanted, as Go's YAML does.
    pub(super) fn text(self) -> Option<&'a str> {
        self.tree.text(self.id).filter(|_| !self.is_null())
    }

    /// The value as this type, if it is one.
    pub(super) fn read<T: DeserializeOwned>(self) -> Option<T> {
        self.tree.decode(self.id).value
    }
}

/// One mapping of the document. Every key that exists is asked for; [`end`](Self::end) refuses the rest.
pub(super) struct Section<'a> {
    path: String,
    entries: Vec<(String, Value<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The mapping at a path; nothing at all is an empty one.
    pub(super) fn new(path: &str, value: Option<Value<'a>>, problems: &mut Vec<Problem>) -> Self {
        let mut entries = Vec::new();
        if let Some(Value { tree, id }) = value {
            if !tree.is_map(id) {
                problems.push(invalid(path, "a mapping is needed here"));
            }
            entries.extend(tree.entries(id).map(|(key, _, id)| (key.to_owned(), Value { tree, id })));
        }
        Self { path: path.to_owned(), entries, known: Vec::new() }
    }

    /// The path of a key of this section.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of a key, unless it is absent or null.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.push(key);
        let index = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.swap_remove(index).1).filter(|value| !value.is_null())
    }

    /// A string that is not empty.
    pub(super) fn string(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<String> {
        let value = self.value(key)?;
        let text = value.text().map(str::to_owned);
        if text.is_none() {
            problems.push(invalid(&self.at(key), "a string is needed here"));
        }
        text.filter(|text| !text.is_empty())
    }

    /// A boolean, as YAML 1.1 spells it.
    pub(super) fn boolean(&mut self, key: &'static str, default: bool, problems: &mut Vec<Problem>) -> bool {
        let Some(value) = self.value(key) else { return default };
        value.read().unwrap_or_else(|| {
            problems.push(invalid(&self.at(key), "true or false is needed here"));
            default
        })
    }

    /// A list of strings, `None` when the key is absent.
    pub(super) fn strings(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<Vec<String>> {
        let value = self.value(key)?;
        if !value.tree.is_list(value.id) {
            problems.push(invalid(&self.at(key), "a list of strings is needed here"));
            return None;
        }
        let items = value.tree.items(value.id);
        let mut strings = Vec::with_capacity(items.len());
        for (index, id) in items.iter().enumerate() {
            match (Value { id: *id, ..value }).text() {
                Some(text) => strings.push(text.to_owned()),
                None => problems.push(invalid(&format!("{}[{index}]", self.at(key)), "a string is needed here")),
            }
        }
        Some(strings)
    }

    /// All entries that were not asked for, for a mapping whose keys are the user's.
    pub(super) fn rest(self) -> Vec<(String, Value<'a>)> {
        self.entries
    }

    /// Refuses what was not asked for.
    pub(super) fn end(self, problems: &mut Vec<Problem>) {
        for (key, _) in &self.entries {
            let nearest = nearest(key, self.known.iter().copied());
            let hint = nearest.map_or_else(String::new, |known| format!("; did you mean {known}?"));
            problems.push(Problem::new(self.at(key), UNKNOWN_KEY, format!("there is no such key{hint}")));
        }
    }
}

/// A problem with a value.
pub(super) fn invalid(path: &str, message: impl Into<String>) -> Problem {
    Problem::new(path, INVALID_VALUE, message)
}
